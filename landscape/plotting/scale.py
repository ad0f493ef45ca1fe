"""What of a metric can be drawn, what cannot and why, and the scale that several drawings share: numbers only."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from landscape.core.surface import Surface
from landscape.errors import InputError

__all__ = [
    "COLOUR_MAP",
    "TOP_COLOUR",
    "MaskedValues",
    "Scale",
    "cell_edges",
    "contour_levels",
    "measured_layer",
    "shared_scale",
    "sort_values",
]

COLOUR_MAP = "viridis"  # perceptually uniform, and safe for colour-blind readers
TOP_COLOUR = "#fde725"  # its upper end
_LARGEST = 1e300  # beyond it differences and margins overflow
_SMALLEST = 1e-300  # below it logarithms lose their digits


@dataclass(frozen=True, eq=False)
class MaskedValues:
    """The values of one metric as measured, sorted into those a scale can show and those it cannot.

    All five arrays have the same shape. `values` is NaN exactly where one of the first three masks is set;
    clipped values stay as they are, the scale ends below them.
    """

    values: np.ndarray  # float64
    not_measured: np.ndarray  # bool
    not_finite: np.ndarray  # bool: measured, and NaN or ±inf
    not_positive: np.ndarray  # bool: finite, and without a logarithm where one is asked for
    clipped: np.ndarray  # bool: drawable, and above the clip


@dataclass(frozen=True)
class Scale:
    """One scale for all that is drawn: from `low` to `high`, linear or logarithmic, ending at a clip or not.

    A logarithm may be that of value + `offset`: far above the offset that is the plain one, and near zero it is a straight line, so
    that a basin keeps its shape where a plain logarithm would make a needle of it.

    >>> Scale(1.0, 100.0, log=True).height(np.array([1.0, 10.0])).tolist()
    [0.0, 1.0]
    """

    low: float
    high: float
    log: bool = False
    clip: float | None = None
    offset: float = 0.0

    def height(self, values: np.ndarray) -> np.ndarray:
        """Where values stand on the scale: themselves, or their decimal logarithm; NaN stays NaN."""
        return np.log10(np.asarray(values) + self.offset) if self.log else np.asarray(values, dtype=np.float64)

    def value(self, heights: np.ndarray) -> np.ndarray:
        """Which values stand at some heights: what undoes `height`.

        >>> Scale(0.0, 9.9, log=True, offset=0.1).value(np.array([0.0, 1.0])).tolist()
        [0.9, 9.9]
        """
        return 10.0 ** np.asarray(heights) - self.offset if self.log else np.asarray(heights, dtype=np.float64)

    @property
    def words(self) -> str:
        """What the scale does to values, for a label; empty for a linear one."""
        if not self.log:
            return ""
        return f"log(value + {self.offset:g}) scale" if self.offset else "log scale"

    @property
    def span(self) -> tuple[float, float]:
        """The heights of `low` and `high`."""
        low, high = self.height(np.array([self.low, self.high]))
        return float(low), float(high)

    @property
    def top(self) -> float:
        """The height of the clip, infinite where there is none."""
        return math.inf if self.clip is None else float(self.height(np.array(self.clip)))


def sort_values(values: np.ndarray, done: np.ndarray, log: bool, clip: float | None, offset: float = 0.0) -> MaskedValues:
    """Sort the values of one metric, `done` being where they were measured.

    >>> layer = sort_values(np.array([0.0, 2.0, 9.0, np.inf]), np.array([True, True, True, True]), log=True, clip=5.0)
    >>> layer.values.tolist(), layer.not_positive.tolist(), layer.clipped.tolist()
    ([nan, 2.0, 9.0, nan], [True, False, False, False], [False, False, True, False])
    """
    values, done = np.asarray(values, dtype=np.float64), np.asarray(done, dtype=bool)
    finite = done & np.isfinite(values)
    not_positive = finite & (values + offset <= 0) if log else np.zeros_like(done)
    drawable = finite & ~not_positive
    drawn = np.where(drawable, values, np.nan)
    clipped = drawable & (values > clip) if clip is not None else np.zeros_like(done)
    return MaskedValues(drawn, ~done, done & ~finite, not_positive, clipped)


def measured_layer(surface: Surface, key: str, log: bool = False, clip: float | None = None, offset: float = 0.0) -> MaskedValues:
    """The values of a surface stored under `key`, sorted."""
    return sort_values(surface.values[key], surface.done[key], log, clip, offset)


def shared_scale(drawn: Sequence[np.ndarray], log: bool = False, clip: float | None = None, offset: float = 0.0) -> Scale:
    """The scale that holds every drawable value of `drawn` (NaN: none), up to the clip.

    Equal values get a little room around them; with no value at all the scale runs from 0 to 1 (log: 0.1 to 1).

    Raises:
        InputError: for a clip that leaves nothing, an offset without a logarithm, or values too large or small to scale.
    """
    _check_offset(offset, log)
    if clip is not None and not (math.isfinite(clip) and (clip + offset > 0 or not log)):
        raise InputError(
            f"clip {clip:g} is no end for a {'logarithmic' if log else 'linear'} scale; pass a finite number{', > 0' * log}"
        )
    flat = np.concatenate([np.ravel(values) for values in drawn]) if drawn else np.empty(0)
    flat = flat[~np.isnan(flat)]
    if flat.size == 0:
        return Scale(0.1 if log else 0.0, 1.0, log, clip, offset)
    low, high = float(flat.min()), float(flat.max())
    if clip is not None and low >= clip:
        raise InputError(f"clip {clip:g} leaves nothing to draw: the smallest value is {low:.4g}; pass a larger clip")
    if clip is not None:
        high = min(high, clip)
    if max(-low, high) > _LARGEST or (log and low + offset < _SMALLEST):
        raise InputError(f"values from {low:.3g} to {high:.3g} are more than a figure can scale; pass a clip below {_LARGEST:g}")
    if high - low <= max(1e-9 * max(abs(low), abs(high)), _SMALLEST):  # below that a step between levels is 0
        low, high = _widened(low, high, log and low > 0)
    return Scale(low, high, log, clip, offset)


def _check_offset(offset: float, log: bool) -> None:
    if offset and not log:
        raise InputError(f"offset {offset:g} is for a logarithmic scale; ask for that too, or leave the offset out")
    if not (math.isfinite(offset) and offset >= 0):
        raise InputError(f"offset {offset:g} is not valid for a logarithm; pass a finite number > 0, for example 0.1")


def _widened(low: float, high: float, log: bool) -> tuple[float, float]:
    if log:
        return low / 1.2, high * 1.2
    size = max(abs(low), abs(high))
    room = 0.05 * size if size > _SMALLEST else 0.5
    return low - room, high + room


def contour_levels(scale: Scale, fewest: int = 6, most: int = 13) -> np.ndarray:
    """Round numbers strictly inside a scale, ascending: 1, 2, 2.5 or 5 times a power of ten, and powers of ten on long log scales.

    >>> contour_levels(Scale(0.0, 10.0), fewest=3).tolist()
    [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
    >>> contour_levels(Scale(0.05, 2e6, log=True)).tolist()
    [0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0, 100000.0, 1000000.0]
    """
    for levels in _log_candidates(scale, most) if scale.log else ():
        if len(levels) >= fewest:
            return levels
    step = (scale.high - scale.low) / (most - 1)
    unit = 10.0 ** math.floor(math.log10(step))
    step = unit * next(factor for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if factor * unit >= step * (1 - 1e-9))
    first, last = math.floor(scale.low / step), math.ceil(scale.high / step)
    return _inside(np.arange(first, last + 1) * step, scale)


def _log_candidates(scale: Scale, most: int) -> Iterator[np.ndarray]:
    least = max(scale.low, scale.offset)  # below its offset a scale is nearly linear, and holds little
    if least >= scale.high:
        return
    low, high = math.log10(least), math.log10(scale.high)
    first, last = math.floor(low), math.ceil(high)
    stride = max(1, math.ceil((high - low) / most))
    yield _inside(10.0 ** np.arange(first - first % stride, last + 1, stride), scale)
    for digits in ((1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        yield _inside(np.array([float(f"{digit}e{power}") for power in range(first, last + 1) for digit in digits]), scale)


def _inside(levels: np.ndarray, scale: Scale) -> np.ndarray:
    low, high = scale.span
    room = 1e-9 * (high - low)
    rounded = np.array([float(f"{level:.15g}") for level in levels if level + scale.offset > 0 or not scale.log])
    heights = scale.height(rounded)
    return rounded[(heights > low + room) & (heights < high - room)]


def cell_edges(axis: np.ndarray) -> np.ndarray:
    """The edges of the cells around an axis's points, `(n + 1,)`: halfway between neighbours, mirrored at the ends.

    A lone point gets a cell one unit wide.

    >>> cell_edges(np.array([0.0, 1.0, 4.0])).tolist()
    [-0.5, 0.5, 2.5, 5.5]
    """
    if len(axis) == 1:
        return np.array([axis[0] - 0.5, axis[0] + 0.5])
    middles = (axis[:-1] + axis[1:]) / 2
    return np.concatenate([[2 * axis[0] - middles[0]], middles, [2 * axis[-1] - middles[-1]]])
