"""The minima between the points of a surface, and the lowest point where it lies below the origin."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from landscape.core.surface import Number, Surface
from landscape.measures.noise import ORIGIN, SIGNIFICANT, Noise, Rounding, noise_without_losses
from landscape.measures.values import measured

__all__ = ["minima", "minimum"]


def minima(surface: Surface, key: str | None = None, noise: Noise | None = None) -> Number | None:
    """The number of strict minima: interior nodes below all 8 neighbours of a plane, below both of a line, by more than 3 of the noise.

    Nodes with a neighbour that is NaN are none. "≥" while nodes are not measured yet. Withheld where the noise is not known. None where
    an axis has fewer than 3 points.

    Args:
        surface: a line of one draw, or a plane.
        key: the values to measure; the training loss without one.
        noise: of the values; without it, what is known from the surface alone.
    """
    metric = surface.metric(key)
    values, done = measured(surface, metric.key)
    if min(values.shape) < 3:
        return None
    noise = noise_without_losses(surface, metric.key) if noise is None else noise
    unit = "on the line" if surface.kind == "line" else "on the grid"
    if noise.withheld:
        return Number(math.nan, unit, withheld=noise.withheld)
    values, _ = noise.compared(values, surface.origin(metric.key))
    window = (3,) * values.ndim
    around = np.lib.stride_tricks.sliding_window_view(np.arange(values.size).reshape(values.shape), window).reshape(
        -1, 3**values.ndim
    )
    middle, neighbours = around[:, [around.shape[1] // 2]], np.delete(around, around.shape[1] // 2, axis=1)
    flat = values.ravel()
    strict = (flat[middle] < flat[neighbours]).all(axis=1)
    nodes = np.stack(np.broadcast_arrays(neighbours[strict], middle[strict]), axis=-1)
    rise = flat[nodes[..., 0]] - flat[nodes[..., 1]]
    # A finite node below one that is infinitely high is so whatever the noise.
    beyond = np.isinf(rise) | (rise > SIGNIFICANT * noise.of(np.array([1.0, -1.0]), nodes))
    return Number(float(beyond.all(axis=1).sum()), unit, "" if done.all() else "≥")


def minimum(surface: Surface, key: str | None = None, noise: Noise | None = None) -> dict[str, Number]:
    """The lowest value measured and where, as `minimum`, `minimum_x`, `minimum_y`; empty unless it lies below the origin's.

    Below means by more than chance finds among so many nodes as rarely as a single one lies 3 of its noise below (Bonferroni: of 2,601
    nodes 4.9), so that neither the grid's own node at the origin, measured apart from the model, nor the luckiest of many noisy values
    passes for a better place. Of equal values the first in grid order is taken. Where the noise is not known the value is withheld.

    Args:
        surface: a line of one draw, or a plane.
        key: the values to measure; the training loss without one.
        noise: of the values; without it, what is known from the surface alone.
    """
    metric = surface.metric(key)
    values, _ = measured(surface, metric.key)
    noise = noise_without_losses(surface, metric.key) if noise is None else noise
    compared, origin = noise.compared(values, surface.origin(metric.key))
    if np.isnan(compared).all() or not math.isfinite(origin):
        return {}
    lowest = int(np.nanargmin(compared))
    fall = origin - float(compared.flat[lowest])
    if _within(fall, Rounding(surface, metric.key), lowest, values.size):
        return {}
    if noise.withheld:
        return {"minimum": Number(math.nan, metric.unit, withheld=noise.withheld)}
    if _within(fall, noise, lowest, values.size):
        return {}
    place = np.unravel_index(lowest, values.shape)
    found = {"minimum": Number(float(values[place]), metric.unit)}
    for axis, index in zip(surface.axes, place, strict=True):
        found[f"minimum_{axis.name}"] = Number(float(axis.values[index]), "direction")
    return found


def _within(fall: float, noise: Noise, lowest: int, n_nodes: int) -> bool:
    """Whether the lowest of so many nodes lies no further below the origin than chance explains."""
    threshold = -NormalDist().inv_cdf(NormalDist().cdf(-SIGNIFICANT) / n_nodes)
    own = float(noise.of(np.array([1.0, -1.0]), np.array([ORIGIN, lowest])))
    return not fall > 0 or (math.isfinite(fall) and not fall > threshold * own)
