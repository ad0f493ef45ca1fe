"""Whether a grid is fine enough for the basin in it, and which one would be.

What linear interpolation makes of a basin narrower than a cell has nothing to do with the basin: where the loss is (r/b)² and the next
node lies at h > b, the interpolated radius is about b²/h. How fine is fine enough was found with ellipses, the basins of quadratic
losses: 20,000 of them, of semi-axes from a hundredth of a cell to eight cells, tilted and shifted at random (a part of this is
tests/measures/test_resolution.py). Of those that hold a node together with its 8 neighbours (on a line, with both) the interpolated
radius is at most 8 % too small (on a line 6 %), and never too large. Where two of the 8 are missing that is 19 %, where four are
46 %, and beyond there is no limit. Such a basin is *resolved*; of another, only a bound or nothing can be told.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

__all__ = ["cells_touched", "finer_grid", "near", "resolved_part"]

_WIDER = 2.0  # the range to ask for, in radii of a parabola through the origin and its lower neighbour
_POINTS = 51
_CLEARLY = 1.01  # farther out, and not by rounding


def near(nodes: np.ndarray) -> np.ndarray:
    """The nodes of a grid that are among some or next to one, diagonals included; beyond the grid there are none."""
    window = (3,) * nodes.ndim
    return np.asarray(np.lib.stride_tricks.sliding_window_view(np.pad(nodes, 1), window).any(axis=_last(nodes.ndim)))


def resolved_part(nodes: np.ndarray) -> np.ndarray:
    """The nodes among some all of whose neighbours, diagonals included, are among them too; none on the grid's edge."""
    window = (3,) * nodes.ndim
    blocks = np.lib.stride_tricks.sliding_window_view(np.pad(nodes, 1), window)
    return np.asarray(blocks.all(axis=_last(nodes.ndim)))


def cells_touched(axes: Sequence[np.ndarray], nodes: np.ndarray) -> float:
    """The length or area of all cells that have one of some nodes as a corner.

    A convex basin whose nodes are these alone hardly reaches beyond: an interval on a line cannot. An ellipse about the origin that
    holds no other node covers at most 2π/√3 cells, less than the four that meet at the origin (by Minkowski's theorem of 1896 four is
    the limit of every convex set that is symmetric about it), and of ellipses that hold a few nodes none went beyond 0.8 of the cells.
    """
    window = (2,) * nodes.ndim
    touched = np.lib.stride_tricks.sliding_window_view(nodes, window).any(axis=_last(nodes.ndim))
    steps = [np.diff(axis) for axis in axes]
    return float((touched * (steps[0] if len(steps) == 1 else np.outer(*steps))).sum())


def finer_grid(axes: Sequence[np.ndarray], heights: np.ndarray, nodes: np.ndarray, threshold: float, origin: float) -> str:
    """The options that ask for a grid on which a basin may be resolved, `--x start:stop:n` for each axis.

    Along an axis on which the basin holds other coordinates than the origin's, all of them and four times as many points; along one
    where it is narrower than a cell, two radii of the parabola that passes through the origin and its lower neighbour.

    Args:
        axes: ascending.
        heights: of the nodes.
        nodes: which of them are in the basin.
        threshold: the height of the basin's edge.
        origin: the origin's.
    """
    words = []
    for k, axis in enumerate(axes):
        held = axis[nodes.any(axis=tuple(i for i in range(nodes.ndim) if i != k))]
        reach = float(np.abs(held).max()) if held.size else 0.0
        beyond = float(np.abs(axis[np.abs(axis) > _CLEARLY * reach]).min(initial=math.inf))
        if reach > 0:
            half = beyond if math.isfinite(beyond) else reach
            count = max(_POINTS, 1 + 4 * int(np.count_nonzero(np.abs(axis) <= half) // 2 * 2))
        else:
            half, count = _parabola(axes, heights, k, threshold, origin), _POINTS
        half = _rounded_up(
            half if 0 < half < math.inf else float(np.abs(axis).max())
        )  # heights may differ by more than a number holds
        words.append(f"--{'xy'[k]} {-half:g}:{half:g}:{count}")
    return " ".join(words)


def _parabola(axes: Sequence[np.ndarray], heights: np.ndarray, k: int, threshold: float, origin: float) -> float:
    """The range at which a parabola along an axis is well above the threshold; the nearest node's distance where it is infinitely high."""
    index = tuple(int(np.argmin(np.abs(axis))) for axis in axes)
    row = heights[tuple(slice(None) if i == k else place for i, place in enumerate(index))]
    distance = np.abs(axes[k])
    others = np.flatnonzero(distance > 0)
    nearest = others[np.argsort(distance[others])[:2]]
    if nearest.size == 0:
        return 1.0
    low = nearest[np.argmin(row[nearest])]
    ratio = (threshold - origin) / max(row[low] - origin, threshold - origin)
    far = float(distance[low])
    return far if row[low] >= 1e100 else _WIDER * far * math.sqrt(ratio)


def _rounded_up(number: float) -> float:
    """To one significant digit.

    >>> _rounded_up(0.0301), _rounded_up(2.0)
    (0.04, 2.0)
    """
    unit = 10.0 ** math.floor(math.log10(number))
    return float(f"{math.ceil(number / unit - 1e-9) * unit:.6g}")


def _last(ndim: int) -> tuple[int, ...]:
    return tuple(range(ndim, 2 * ndim))
