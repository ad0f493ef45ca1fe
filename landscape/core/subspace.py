"""A subspace of weight space: an origin and the directions that span it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from landscape.core.directions import Direction
from landscape.core.weights import Weights, add, difference, dot, norm

__all__ = ["Subspace"]


@dataclass(frozen=True, eq=False)
class Subspace:
    """All weights θ* + Σ c_k δ_k: a line with one direction, a plane with two (Li et al. 2018, eq. 1).

    Several draws of a line are a subspace too, with one direction a draw and coordinates along one of them at a time.
    """

    origin: Weights  # parameters and buffers
    directions: tuple[Direction, ...]

    def point(self, coordinates: Sequence[float]) -> Weights:
        """The weights at some coordinates, `(n_directions,)`; origin and directions are left as they are."""
        weights = dict(self.origin)
        for coordinate, direction in zip(coordinates, self.directions, strict=True):
            weights = add(weights, {**direction.parameters, **direction.buffers}, float(coordinate))
        return {name: tensor.to(self.origin[name].dtype) for name, tensor in weights.items()}

    def project(self, weights: Mapping[str, Tensor]) -> tuple[tuple[float, ...], float]:
        """The coordinates of the point of the subspace nearest to some parameters, and the distance to it, in weight units."""
        gap = difference(weights, self.origin, weights)
        gram = np.array([[dot(a.parameters, b.parameters) for b in self.directions] for a in self.directions])
        right = np.array([dot(gap, direction.parameters) for direction in self.directions])
        coordinates = np.linalg.lstsq(gram, right, rcond=None)[0]
        for coordinate, direction in zip(coordinates, self.directions, strict=True):
            gap = add(gap, direction.parameters, -float(coordinate))
        return tuple(float(c) for c in coordinates), norm(gap)
