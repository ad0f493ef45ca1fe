"""Where the models of a plan lie in its subspace, its farthest corner, and what is compared there."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from landscape.core.weights import difference, digest, norm
from landscape.errors import InputError
from landscape.evaluate import Measurement, Sample
from landscape.sweep.base import NamedWeights
from landscape.sweep.plan import Plan

__all__ = ["direction_arrays", "far_corner", "has_other_statistics", "losses_of", "parts_of", "place_of"]

_IN_PLANE = 1e-5  # a model lies in the plane when its distance is below this share of its distance from the origin


def place_of(plan: Plan, model: NamedWeights) -> tuple[tuple[float, ...], bool]:
    """The coordinates of a model, `(n_directions,)`, and whether it lies in the subspace."""
    origin = plan.models[0]
    n = len(plan.subspace.directions)
    if model is origin:
        return (0.0,) * n, True
    parameters = plan.parameters_of(model.weights)
    coordinates, distance = plan.subspace.project(parameters)
    length = norm(difference(parameters, origin.weights, parameters))
    # A least-squares solution misses whole numbers by rounding; a model's true place is exact.
    exact = tuple(float(round(c)) if abs(c - round(c)) < 1e-6 else c for c in coordinates)
    return exact, distance <= _IN_PLANE * length


def far_corner(plan: Plan) -> tuple[float, ...]:
    """The coordinates of the grid's corner that is farthest from the origin, in direction units; of equal ones the first."""
    corners = itertools.product(*((0, n - 1) for n in plan.grid.shape))
    return max((plan.place(index) for index in corners), key=lambda place: sum(c * c for c in place))


def direction_arrays(plan: Plan) -> dict[str, dict[str, np.ndarray]]:
    """The directions as a file stores them: axis name → parameter name → array.

    Raises:
        InputError: for several draws of a line.
    """
    if plan.n_draws > 1:
        raise InputError(
            "--save-directions stores one direction an axis; several seeds have several, and are drawn again from them"
        )
    pairs = zip(plan.axes, plan.subspace.directions, strict=True)
    return {axis.name: {n: t.cpu().numpy() for n, t in {**d.parameters, **d.buffers}.items()} for axis, d in pairs}


def losses_of(measurement: Measurement, samples: Sequence[Sample]) -> dict[str, float]:
    """The losses of a measurement by split."""
    return {sample.split: measurement.estimates[f"{sample.split}_loss"].value for sample in samples}


def parts_of(plan: Plan) -> list[dict[str, Tensor]]:
    """What each direction of a plan moves, parameters and buffers by name."""
    return [{**direction.parameters, **direction.buffers} for direction in plan.subspace.directions]


def has_other_statistics(plan: Plan, model: NamedWeights) -> bool:
    """Whether a model's buffers are not the origin's."""
    origin, parameters = plan.models[0].weights, set(plan.parameters_of(plan.models[0].weights))
    first, second = ({name: held[name] for name in origin if name not in parameters} for held in (origin, model.weights))
    return digest(first) != digest(second)
