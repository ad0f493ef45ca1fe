"""The case: one network, its examples and the points that every contender measures, and their losses in double precision."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import nn

from landscape.benchmark import random_plane
from landscape.checkpoints import Checkpoint
from landscape.core.modules import copy_module
from landscape.core.subspace import Subspace
from landscape.core.weights import Weights, parameter_names
from landscape.errors import InputError
from landscape.evaluate import Sample, choose
from landscape.problem import Problem
from landscape.reference import Reference

__all__ = ["LINE", "Case", "load", "pose"]

# The points lie on a line in a random plane: contenders that only walk lines can follow it. It stays away from the origin, where
# lossy precisions hand over to fp32: most points of a sweep are not there.
LINE = ((0.25, 0.15), (1.0, 0.8))
_BATCH = 100  # examples computed at once for the exact values


@dataclass(frozen=True, eq=False)
class Case:
    """What every contender is given: `n_points` points on a line of a subspace, and the examples to average over."""

    problem: Problem
    subspace: Subspace
    sample: Sample
    device: torch.device
    n_points: int
    _exact: dict[int, float] = field(default_factory=dict)

    def coordinates(self, index: float) -> tuple[float, float]:
        """The place of point `index` in the plane; the contenders that walk begin at -1."""
        share = index / (self.n_points - 1)
        (a, b), (c, d) = LINE
        return a + share * (c - a), b + share * (d - b)

    def weights(self, index: float, dtype: torch.dtype = torch.float64) -> Weights:
        """The weights at point `index`, added up in double precision."""
        wide = {name: tensor.double() for name, tensor in self.subspace.origin.items()}
        for coordinate, direction in zip(self.coordinates(index), self.subspace.directions, strict=True):
            for name, part in direction.parameters.items():
                wide[name] = wide[name] + coordinate * part.double()
        return {name: tensor.to(dtype) for name, tensor in wide.items()}

    def model(self, index: float | None = None) -> nn.Module:
        """A private copy of the model in eval mode on the device, in single precision, at the origin or at point `index`."""
        private = copy_module(self.problem.model).float().eval().requires_grad_(False).to(self.device)
        load(private, self.subspace.origin if index is None else self.weights(index))
        return private

    def parameter_names(self) -> list[str]:
        """The parameters of the model in its own order."""
        return parameter_names(self.problem.model)

    def exact(self, index: int) -> float:
        """The loss at point `index` by a plain loop in double precision."""
        if index not in self._exact:
            self._exact[index] = self.exact_at(self.weights(index))
        return self._exact[index]

    def exact_at(self, weights: Weights) -> float:
        """The loss at some weights by a plain loop in double precision."""
        reference = Reference(self.problem, {self.sample.split: self.sample.examples.tensors}, device=self.device)
        return reference.of(weights, _BATCH, dtype=torch.float64).losses[self.sample.split]


def pose(problem: Problem, start: Checkpoint | None, examples: int | str | None, device: torch.device, n_points: int) -> Case:
    """A case over a random plane of filter-normalized directions around a checkpoint, or around the problem's own weights.

    Raises:
        InputError: when weights, examples or directions cannot be used.
    """
    if n_points < 2:
        raise InputError(f"a line needs at least 2 points, not {n_points}")
    split = "train" if "train" in problem.splits else problem.splits[0]
    sample = choose(problem.examples(split), examples, 0, False)
    return Case(problem, random_plane(problem, start), sample, device, n_points)


def load(model: nn.Module, weights: Weights) -> None:
    """Copy weights into a model in place, tensor by tensor."""
    named = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    with torch.no_grad():
        for name, tensor in weights.items():
            named[name].copy_(tensor)
