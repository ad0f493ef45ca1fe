"""The minima between the points of a surface, and the lowest point where it lies below the origin."""

from __future__ import annotations

import math

import numpy as np

from landscape.measures.noise import SIGNIFICANT, noise_of
from landscape.measures.values import measured
from landscape.surface import Number, Surface

__all__ = ["minima", "minimum"]


def minima(surface: Surface, key: str | None = None) -> Number | None:
    """The number of strict minima: interior nodes below all 8 neighbours of a plane, below both of a line.

    Nodes with a neighbour that is NaN are none. Strictly below is enough, so on a plateau that is flat to rounding, rounding alone
    makes minima; `turning_points` does not count these. "≥" while nodes are not measured yet. None where points used
    different examples, and where an axis has fewer than 3 points.
    """
    metric = surface.metric(key)
    values, done = measured(surface, metric.key)
    if not surface.same_examples(metric.split) or min(values.shape) < 3:
        return None
    window = (3,) * values.ndim
    neighbourhoods = np.lib.stride_tricks.sliding_window_view(values, window).reshape(-1, 3**values.ndim)
    middle = neighbourhoods.shape[1] // 2
    neighbours = np.delete(neighbourhoods, middle, axis=1)
    count = int((neighbourhoods[:, [middle]] < neighbours).all(axis=1).sum())
    return Number(float(count), "on the line" if surface.kind == "line" else "on the grid", "" if done.all() else "≥")


def minimum(surface: Surface, key: str | None = None) -> dict[str, Number]:
    """The lowest value measured and where, as `minimum`, `minimum_x`, `minimum_y`; empty unless it lies below the origin's.

    Below means by more than 3 of the difference's rounding noise, so that the grid's own node at the origin, measured apart
    from the model, does not pass for a better place. Of equal values the first in grid order is taken. Empty too where points
    used different examples: the lowest of many noisy values says more about the noise.
    """
    metric = surface.metric(key)
    values, _ = measured(surface, metric.key)
    origin = surface.origin(metric.key)
    if np.isnan(values).all() or not math.isfinite(origin) or not surface.same_examples(metric.split):
        return {}
    place = np.unravel_index(int(np.nanargmin(values)), values.shape)
    noise = math.sqrt(2) * float(noise_of(surface, np.array(origin)))  # of a difference between two values of this size
    if not origin - float(values[place]) > SIGNIFICANT * noise:
        return {}
    found = {"minimum": Number(float(values[place]), metric.unit)}
    for axis, index in zip(surface.axes, place, strict=True):
        found[f"minimum_{axis.name}"] = Number(float(axis.values[index]), "direction")
    return found
