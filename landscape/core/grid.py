"""The grid: its axes, the coordinates of its points, and the order they are visited in."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from landscape.errors import InputError

__all__ = ["AxisLike", "Grid", "axis_values", "check_reach", "coarse_to_fine", "coarser_axes", "parse_axis"]

_MOST_POINTS = 10_000_000  # more than a surface file may hold
_FARTHEST = 1e150  # coordinates and steps from its inverse to this: their products are numbers still

AxisLike = str | tuple[float, float, int] | np.ndarray


def parse_axis(text: str) -> tuple[float, float, int]:
    """Read `start:stop:n` into `(start, stop, n)`.

    >>> parse_axis("-1:1:51")
    (-1.0, 1.0, 51)

    Raises:
        InputError: when the text is not of that form.
    """
    parts = text.split(":")
    try:
        if len(parts) != 3:
            raise ValueError
        return float(parts[0]), float(parts[1]), int(parts[2])
    except ValueError:
        raise InputError(
            f'axis "{text}" is not start:stop:n with two numbers and a whole number of points; write for example -1:1:51'
        ) from None


def axis_values(axis: AxisLike) -> np.ndarray:
    """The coordinates of an axis, float64 `(n,)`: a tuple is (start, stop, n), an array is taken as it is.

    The axis may ascend or descend, cross zero, or have one point.

    >>> axis_values((-1, 1, 5)).tolist()
    [-1.0, -0.5, 0.0, 0.5, 1.0]

    Raises:
        InputError: for no points, values that are not finite, or repeated values.
    """
    if isinstance(axis, str):
        axis = parse_axis(axis)
    if isinstance(axis, np.ndarray):
        values = np.array(axis, dtype=np.float64)
        if values.ndim != 1:
            raise InputError(f"an axis of explicit coordinates is a 1-D array, this one has shape {values.shape}")
    elif isinstance(axis, tuple):
        values = _spaced(axis)
    else:
        raise InputError(f"an axis is a tuple (start, stop, n) or an ndarray of coordinates, not a {type(axis).__name__}")
    if values.size == 0:
        raise InputError("an axis needs at least one point")
    _check_extent(values)
    return values


def _check_extent(values: np.ndarray) -> None:
    """Refuse coordinates whose order is none, or that lie too far out or too close together for areas to be numbers."""
    check_reach(values)
    steps = np.diff(values)
    if steps.size and not (steps > 0).all() and not (steps < 0).all():
        raise InputError("an axis has to ascend or descend, this one repeats values or turns back")
    if steps.size and float(np.abs(steps).min()) < 1 / _FARTHEST:
        raise InputError(
            f"the steps of an axis are at least {1 / _FARTHEST:g}, one of this axis is {np.abs(steps).min():g}; ask for a wider range"
        )


def check_reach(values: np.ndarray) -> None:
    """Refuse coordinates that are no numbers, or lie so far out that areas are none.

    Raises:
        InputError: when one is nan, inf, or beyond ±1e150.
    """
    if not np.isfinite(values).all():
        raise InputError("coordinates are finite numbers, these hold nan or inf")
    if values.size == 0:
        return
    farthest = float(values[np.abs(values).argmax()])
    if abs(farthest) > _FARTHEST:
        raise InputError(f"coordinates go from {-_FARTHEST:g} to {_FARTHEST:g}, not to {farthest:g}")


def _spaced(axis: Sequence[float]) -> np.ndarray:
    try:
        start, stop, n = axis
        count = int(n)
        if count != n:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"an axis is (start, stop, n) with a whole n, not {axis!r}; explicit coordinates are an ndarray") from None
    if count < 1:
        raise InputError(f"an axis needs at least one point, {start:g}:{stop:g}:{count} asks for {count}")
    if count > _MOST_POINTS:
        raise InputError(
            f"{start:g}:{stop:g}:{count} asks for {count:,} points, an axis has {_MOST_POINTS:,} at most; ask for fewer"
        )
    if not (math.isfinite(start) and math.isfinite(stop)):
        raise InputError(f"an axis needs finite ends, {start:g}:{stop:g}:{count} has not")
    check_reach(np.array([start, stop], dtype=np.float64))
    if count == 1 and start != stop:
        raise InputError(f"one point cannot span {start:g} to {stop:g}; write {start:g}:{start:g}:1 or ask for more points")
    values = np.linspace(float(start), float(stop), count)
    values[np.abs(values) < 1e-12 * max(abs(start), abs(stop))] = 0.0  # linspace may miss the origin by a rounding
    return values


@dataclass(frozen=True, eq=False)
class Grid:
    """The product of one or two axes; every array over it is indexed [x] or [x, y].

    >>> grid = Grid((np.array([0.0, 1.0, 2.0]), np.array([0.0, 5.0])))
    >>> grid.shape, grid.coordinates((2, 1))
    ((3, 2), (2.0, 5.0))
    """

    axes: tuple[np.ndarray, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """How many points lie along each axis."""
        return tuple(len(axis) for axis in self.axes)

    @property
    def n_points(self) -> int:
        """How many points there are."""
        return math.prod(self.shape)

    def coordinates(self, index: Sequence[int]) -> tuple[float, ...]:
        """Where the point at `index` lies, one number for each axis."""
        return tuple(float(axis[i]) for axis, i in zip(self.axes, index, strict=True))

    def indices(self) -> Iterator[tuple[int, ...]]:
        """Every index once, coarse to fine: origin and corners first, then ever finer grids of the whole."""
        levels = np.meshgrid(*(coarse_to_fine(axis) for axis in self.axes), indexing="ij")
        level = np.maximum.reduce(levels)
        for flat in np.argsort(level, axis=None, kind="stable"):
            yield tuple(int(i) for i in np.unravel_index(flat, self.shape))


def coarse_to_fine(axis: np.ndarray) -> np.ndarray:
    """The level at which each of an axis's points is visited, `(n,)` int: 0 for the ends and the point nearest to 0.

    Each further level halves the steps, so the points of levels up to k are a coarser axis.

    >>> coarse_to_fine(np.linspace(-1, 1, 9)).tolist()
    [0, 2, 1, 2, 0, 2, 1, 2, 0]
    """
    n = len(axis)
    level = np.full(n, -1)
    level[[0, n - 1, int(np.argmin(np.abs(axis)))]] = 0
    depth = 0
    while (level < 0).any():
        depth += 1
        visited = np.flatnonzero(level >= 0)
        middles = (visited[:-1] + visited[1:]) // 2
        level[middles[level[middles] < 0]] = depth
    return level


def coarser_axes(axis: np.ndarray) -> list[np.ndarray]:
    """The axes that an axis holds, itself among them, as indices `(m,)`: each has both ends and the point nearest to 0.

    They are what a run leaves that visits level by level, and every k-th point, which is where the points of a coarser axis are
    that was made finer later.

    >>> [indices.tolist() for indices in coarser_axes(np.linspace(0, 1, 7))]
    [[0, 6], [0, 3, 6], [0, 1, 3, 4, 6], [0, 1, 2, 3, 4, 5, 6], [0, 2, 4, 6]]
    """
    level = coarse_to_fine(axis)
    found = [np.flatnonzero(level <= depth) for depth in range(int(level.max()) + 1)]
    common = int(np.gcd.reduce(np.flatnonzero(level == 0)))
    levels = {indices.tobytes() for indices in found}
    strides = [np.arange(0, len(axis), step) for step in range(2, common + 1) if common % step == 0]
    return [*found, *(indices for indices in strides if indices.tobytes() not in levels)]
