"""How often the surface turns: comparable between equal grids only."""

from __future__ import annotations

import numpy as np

from landscape.measures.interpolation import WITHHELD, between_models, ends_elsewhere
from landscape.measures.noise import rounding_noise, steps
from landscape.measures.values import measured
from landscape.surface import Number, Surface

__all__ = ["count_turns", "turning_points", "turning_points_between"]


def turning_points(surface: Surface, key: str | None = None) -> Number | None:
    """How often the loss turns from falling to rising or back: the mean over all rows and columns of a plane, the count for a line.

    Differences of neighbouring nodes count when they exceed 3 of their noise, √(σ_i² + σ_j²); a turning point is a change of sign
    from one that counts to the next that does. A finer grid can only show more: compare equal grids. "≥" while nodes
    are not measured yet. None where points used different examples, and where no axis has 3 points; rows or columns of
    fewer than 3 points are not counted.
    """
    metric = surface.metric(key)
    values, done = measured(surface, metric.key)
    if not surface.same_examples(metric.split) or max(values.shape) < 3:
        return None
    noise = rounding_noise(surface, metric.key)
    bound = "" if done.all() else "≥"
    if surface.kind == "line":
        return Number(float(count_turns(steps(values, noise))), "on the line", bound)
    turns = [count_turns(steps(v, n)) for v, n in ((values, noise), (values.T, noise.T)) if len(v) >= 3]
    return Number(float(np.mean(np.concatenate(turns))), "per row or column", bound)


def turning_points_between(surface: Surface, key: str | None = None) -> Number | None:
    """The turning points of a line between two models over its nodes in [0, 1]: 0 for a monotone path.

    As in `turning_points`; None for lines along other directions and lines that do not reach from 0 to 1. Withheld where the line does not
    end at the other model.
    """
    metric = surface.metric(key)
    values, done = measured(surface, metric.key)
    if not between_models(surface) or not surface.same_examples(metric.split):
        return None
    if ends_elsewhere(surface):
        return Number(np.nan, "between the models", withheld=WITHHELD)
    within = (surface.x >= 0) & (surface.x <= 1)
    noise = rounding_noise(surface, metric.key)
    turns = float(count_turns(steps(values[within], noise[within])))
    return Number(turns, "between the models", "" if done[within].all() else "≥")


def count_turns(signs: np.ndarray) -> np.ndarray:
    """Sign changes along the first axis of signs `(n, ...)` of -1, 0 and 1, zeros skipped: shape `(...)`.

    >>> int(count_turns(np.array([0, 1, 0, 1, -1, 0, 0, 1])))
    2
    """
    place = np.arange(len(signs)).reshape(-1, *(1,) * (signs.ndim - 1))
    last = np.maximum.accumulate(np.where(signs != 0, place, 0), axis=0)
    previous = np.take_along_axis(signs, last, axis=0)
    return np.asarray((signs[1:] * previous[:-1] < 0).sum(axis=0))
