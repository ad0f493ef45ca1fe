"""What the line between two models shows: a barrier on the way, and where half of the way down is done."""

from __future__ import annotations

import numpy as np

from landscape.core.surface import Number, Surface
from landscape.measures.values import measured

__all__ = ["WITHHELD", "alpha_half", "barrier", "between_models", "bump", "climb", "ends_elsewhere"]

WITHHELD = "running statistics stay at the origin's, so the other end is not the other model"


def bump(surface: Surface, key: str | None = None) -> Number | None:
    """The height of the barrier between two models over the difference of their losses.

    max(0, max over α in [0, 1] of L(α) - chord(α)) / |L(0) - L(1)| with chord(α) = (1-α)·L(0) + α·L(1) and L linear between nodes;
    0 for a path that stays below the straight descent (Goodfellow, Vinyals, Saxe 2015 plot such paths). None for lines along other
    directions, lines that do not reach from 0 to 1, and ends without a finite loss or with equal ones.
    "≥" where a point in between is NaN or not measured yet. Withheld where the line does not end at the other model.
    """
    rise = barrier(surface, key)
    path = _path(surface, key)
    if rise is None or path is None or path[1][0] == path[1][-1]:
        return None
    return Number(rise.value / abs(float(path[1][0] - path[1][-1])), "of |L(0) - L(1)|", rise.bound, rise.withheld)


def barrier(surface: Surface, key: str | None = None) -> Number | None:
    """How far the loss rises above the chord between two models, in the metric's unit: the measure for two solutions.

    max(0, max over α in [0, 1] of L(α) - chord(α)), chord and L as in `bump`, whose height this is before it is divided by the drop;
    two solutions of about the same loss have next to no drop to compare it with. 0 where the loss is convex along the line. None for
    lines along other directions, lines that do not reach from 0 to 1, and ends without a finite loss.
    "≥" where a point in between is NaN or not measured yet. Withheld where the line does not end at the other model.
    """
    path = _path(surface, key)
    if path is None:
        return None
    if ends_elsewhere(surface):
        return Number(np.nan, surface.metric(key).unit, withheld=WITHHELD)
    alpha, loss = path
    start, end = float(loss[0]), float(loss[-1])
    if not np.isfinite([start, end]).all():
        return None
    rise = float(np.nanmax(loss - ((1 - alpha) * start + alpha * end)))
    return Number(max(0.0, rise), surface.metric(key).unit, "≥" if np.isnan(loss).any() else "")


def climb(surface: Surface, key: str | None = None) -> Number | None:
    """The most that the loss climbs on the way from one model down to another, over the drop: 0 for a path that never rises.

    max over 0 ≤ α ≤ β ≤ 1 of (L(β) - L(α)) / (L(0) - L(1)), L linear between nodes; the numerator is the least Δ for which the path is
    Δ-monotonic (Lucas et al. 2021). Unlike `bump` it does not count a path that is late in falling. None where `bump` is, and where
    the loss does not drop from 0 to 1. "≥" where a point in between is NaN or not measured yet. Withheld where the line does not end
    at the other model.
    """
    path = _path(surface, key)
    if path is None:
        return None
    if ends_elsewhere(surface):
        return Number(np.nan, "of L(0) - L(1)", withheld=WITHHELD)
    _, loss = path
    if not np.isfinite(loss[[0, -1]]).all() or not loss[-1] < loss[0]:
        return None
    known = loss[~np.isnan(loss)]
    with np.errstate(invalid="ignore"):  # ∞ - ∞ where the loss stays infinite
        rise = float(np.nanmax(known - np.minimum.accumulate(known)))
    return Number(rise / float(loss[0] - loss[-1]), "of L(0) - L(1)", "≥" if np.isnan(loss).any() else "")


def alpha_half(surface: Surface, key: str | None = None) -> Number | None:
    """The first α in [0, 1] at which half of the drop is done: L(α) = (L(0) + L(1))/2, with L linear between nodes.

    None where `bump` is, where the loss does not drop from 0 to 1, and where a point before is NaN or not measured yet. Withheld where
    the line does not end at the other model.
    """
    path = _path(surface, key)
    if path is None:
        return None
    if ends_elsewhere(surface):
        return Number(np.nan, "direction", withheld=WITHHELD)
    alpha, loss = path
    if not np.isfinite(loss[[0, -1]]).all() or not loss[-1] < loss[0]:
        return None
    half = (loss[0] + loss[-1]) / 2
    k = 1 + int(np.flatnonzero(loss[1:] <= half)[0])
    if np.isnan(loss[:k]).any():
        return None
    if np.isinf(loss[[k - 1, k]]).any():  # the limit of the line from ever higher to here, or from there to ever lower
        part = 1.0 if np.isposinf(loss[k - 1]) else 0.0
    else:
        part = float((loss[k - 1] - half) / (loss[k - 1] - loss[k]))
    return Number(float(alpha[k - 1] + part * (alpha[k] - alpha[k - 1])), "direction")


def between_models(surface: Surface) -> bool:
    """Whether this is a line from one model at 0 to another at 1, and reaches both."""
    axis = surface.axes[0]
    is_difference = surface.kind == "line" and axis.attributes.get("source") == "difference"
    return is_difference and bool(axis.values.min() <= 0 and axis.values.max() >= 1)


def ends_elsewhere(surface: Surface) -> bool:
    """Whether the point at 1 has the other model's weights with the origin's running statistics, and so is not that model.

    Files of version 0.1.0 say so in the self-check alone: there the other model was not compared.
    """
    if surface.attributes.get("bn") != "frozen":
        return False
    return "bn_ends" in surface.attributes or any(name.endswith("_compared") for name in surface.checks)


def _path(surface: Surface, key: str | None) -> tuple[np.ndarray, np.ndarray] | None:
    """α ascending from 0 to 1 and the loss there: at the nodes in between and at both ends, interpolated if need be."""
    values, _ = measured(surface, surface.metric(key).key)
    if not between_models(surface):
        return None
    x = surface.x
    if x[0] > x[-1]:
        x, values = x[::-1], values[::-1]
    within = (x > 0) & (x < 1)
    start, end = (_at(alpha, x, values) for alpha in (0.0, 1.0))
    return np.concatenate([[0.0], x[within], [1.0]]), np.concatenate([[start], values[within], [end]])


def _at(alpha: float, x: np.ndarray, values: np.ndarray) -> float:
    """L(α), linear between nodes; a node's own value beside infinities too, which np.interp does not promise."""
    k = int(np.searchsorted(x, alpha))
    return float(values[k]) if x[k] == alpha else float(np.interp(alpha, x[k - 1 : k + 1], values[k - 1 : k + 1]))
