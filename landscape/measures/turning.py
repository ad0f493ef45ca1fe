"""How often the surface turns: comparable between equal grids only."""

from __future__ import annotations

import math

import numpy as np

from landscape.core.surface import Number, Surface
from landscape.measures.interpolation import WITHHELD, between_models, ends_elsewhere
from landscape.measures.noise import SIGNIFICANT, Noise, noise_without_losses
from landscape.measures.values import measured

__all__ = ["count_turns", "signs_of_steps", "turning_points", "turning_points_between"]


def turning_points(surface: Surface, key: str | None = None, noise: Noise | None = None) -> Number | None:
    """How often the loss turns from falling to rising or back: the mean over all rows and columns of a plane, the count for a line.

    Differences of neighbouring nodes count when they exceed 3 of their noise; a turning point is a change of sign from one that counts
    to the next that does. Of differences that are 0 in truth about one in 400 counts. A finer grid can only show more: compare equal
    grids. "≥" while nodes are not measured yet. Withheld where the noise is not known. None where no axis has 3 points; rows or
    columns of fewer than 3 points are not counted.

    Args:
        surface: a line of one draw, or a plane.
        key: the values to measure; the training loss without one.
        noise: of the values; without it, what is known from the surface alone.
    """
    metric = surface.metric(key)
    values, done = measured(surface, metric.key)
    if max(values.shape) < 3:
        return None
    noise = noise_without_losses(surface, metric.key) if noise is None else noise
    unit = "on the line" if surface.kind == "line" else "per row or column"
    if noise.withheld:
        return Number(math.nan, unit, withheld=noise.withheld)
    values, _ = noise.compared(values, surface.origin(metric.key))
    nodes, bound = np.arange(values.size).reshape(values.shape), "" if done.all() else "≥"
    if surface.kind == "line":
        return Number(float(count_turns(signs_of_steps(values, nodes, noise))), unit, bound)
    turns = [count_turns(signs_of_steps(v, n, noise)) for v, n in ((values, nodes), (values.T, nodes.T)) if len(v) >= 3]
    return Number(float(np.mean(np.concatenate(turns))), unit, bound)


def turning_points_between(surface: Surface, key: str | None = None, noise: Noise | None = None) -> Number | None:
    """The turning points of a line between two models over its nodes in [0, 1]: 0 for a monotone path.

    As in `turning_points`; None for lines along other directions and lines that do not reach from 0 to 1. Withheld too where the line
    does not end at the other model.
    """
    metric = surface.metric(key)
    values, done = measured(surface, metric.key)
    if not between_models(surface):
        return None
    noise = noise_without_losses(surface, metric.key) if noise is None else noise
    if withheld := WITHHELD if ends_elsewhere(surface) else noise.withheld:
        return Number(math.nan, "between the models", withheld=withheld)
    values, _ = noise.compared(values, surface.origin(metric.key))
    within = (surface.x >= 0) & (surface.x <= 1)
    turns = count_turns(signs_of_steps(values[within], np.flatnonzero(within), noise))
    return Number(float(turns), "between the models", "" if done[within].all() else "≥")


def signs_of_steps(values: np.ndarray, nodes: np.ndarray, noise: Noise) -> np.ndarray:
    """Signs of the consecutive differences along the first axis, `(n-1, ...)`: 0 where within 3 of their noise or not finite.

    Args:
        values: `(n, ...)`.
        nodes: their numbers, in the same shape.
        noise: of the values.
    """
    finite = np.where(np.isfinite(values), values, np.nan)
    difference = np.diff(finite, axis=0)
    beyond = np.abs(difference) > SIGNIFICANT * noise.of(np.array([1.0, -1.0]), np.stack([nodes[1:], nodes[:-1]], axis=-1))
    return np.where(beyond, np.sign(np.where(beyond, difference, 0.0)), 0.0).astype(np.int64)


def count_turns(signs: np.ndarray) -> np.ndarray:
    """Sign changes along the first axis of signs `(n, ...)` of -1, 0 and 1, zeros skipped: shape `(...)`.

    >>> int(count_turns(np.array([0, 1, 0, 1, -1, 0, 0, 1])))
    2
    """
    place = np.arange(len(signs)).reshape(-1, *(1,) * (signs.ndim - 1))
    last = np.maximum.accumulate(np.where(signs != 0, place, 0), axis=0)
    previous = np.take_along_axis(signs, last, axis=0)
    return np.asarray((signs[1:] * previous[:-1] < 0).sum(axis=0))
