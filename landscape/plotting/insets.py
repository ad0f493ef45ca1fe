"""Where an inset helps a curve, and where on its panel there is room for one: numbers only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

__all__ = ["free_corner", "zoomed_view"]

_Curve = tuple[np.ndarray, np.ndarray]  # x and y, (n,) each; NaN where there is no value

_LOWEST = 0.06  # of the axis: what lies in it is what an inset shows
_FEWEST = 7  # points an inset shows; between fewer there is no shape to see
_WIDEST = 0.6  # of the x axis: a wider region is not a detail of the panel
_MAGNIFIED = 4.0  # at least so many times higher; less is seen as well in the panel itself
_STRETCHED = 2.0  # at least so many times higher than wider: a straight slope looks the same at every size
_SIZE = (0.3, 0.36)  # of the panel
_ROOM = (0.1, 0.1, 0.03, 0.05)  # left, below, right, above, of the panel: the inset's numbers, and air


def zoomed_view(curves: Sequence[_Curve], ends: tuple[float, float]) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """The x and y limits of what an inset should show of curves on a linear axis between `ends`; None where none helps.

    It is the run of points around the lowest one in which every point lies in the lowest 6 % of the axis.

    >>> x = np.linspace(-1, 1, 201)
    >>> [round(end, 2) for end in zoomed_view([(x, 100 * x**2)], (0.0, 100.0))[0]]
    [-0.25, 0.25]
    >>> zoomed_view([(x, x + 1)], (0.0, 2.0)) is None
    True
    """
    bottom, top = ends
    lowest = [np.nanmin(y) if np.isfinite(y).any() else np.inf for _, y in curves]
    if not curves or not np.isfinite(min(lowest)):
        return None
    x, y = curves[int(np.argmin(lowest))]
    order = np.argsort(x)
    x, y = x[order], y[order]
    low = np.nan_to_num(y, nan=np.inf) <= bottom + _LOWEST * (top - bottom)
    centre = int(np.nanargmin(y))
    beyond = np.flatnonzero(~low)
    first, last = max(beyond[beyond < centre], default=-1) + 1, min(beyond[beyond > centre], default=len(x)) - 1
    span = float(np.ptp(x)) or 1.0
    if last - first + 1 < _FEWEST or x[last] - x[first] > _WIDEST * span:
        return None
    left, right = float(x[first]), float(x[last])
    inside = [(y, (x >= left) & (x <= right) & (y <= bottom + _LOWEST * (top - bottom))) for x, y in curves]
    values = np.concatenate([y[mask] for y, mask in inside])
    room = 0.08 * float(np.ptp(values)) or 0.01 * (top - bottom)
    view = (float(values.min()) - room, float(values.max()) + room)
    magnified = _SIZE[1] * (top - bottom) / (view[1] - view[0])
    if magnified < max(_MAGNIFIED, _STRETCHED * _SIZE[0] * span / (right - left)):
        return None
    margin = 0.02 * (right - left)
    return (left - margin, right + margin), view


def free_corner(curves: Sequence[_Curve], axes: Axes) -> tuple[float, float, float, float] | None:
    """Left, bottom, width and height of a place for an inset that no curve runs through, in shares of the panel; None where none is.

    High places come first, and of those as high the ones nearer to the middle.
    """
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    dense = [_dense(x, y) for x, y in curves]
    xs = np.concatenate([(x - left) / (right - left) for x, _ in dense])
    ys = np.clip(np.concatenate([(y - bottom) / (top - bottom) for _, y in dense]), 0, 1)
    wide, high = _SIZE
    across = sorted(np.linspace(0.12, 0.97 - wide, 12).tolist(), key=lambda x: abs(x + wide / 2 - 0.5))
    places = [(x, y) for y in (0.95 - high, 0.85 - high, 0.75 - high) for x in across]
    for x, y in places:
        box = (x - _ROOM[0], y - _ROOM[1], x + wide + _ROOM[2], y + high + _ROOM[3])
        if not ((xs > box[0]) & (xs < box[2]) & (ys > box[1]) & (ys < box[3])).any():
            return x, y, wide, high
    return None


def _dense(x: np.ndarray, y: np.ndarray) -> _Curve:
    """A curve with points close enough that none crosses a place between two of them."""
    along = np.linspace(0, len(x) - 1, max(400, 2 * len(x)))
    whole = np.isfinite(y)
    x, y = np.interp(along, np.arange(len(x)), x), np.interp(along, np.arange(len(y)), np.where(whole, y, np.nan))
    return x[np.isfinite(y)], y[np.isfinite(y)]
