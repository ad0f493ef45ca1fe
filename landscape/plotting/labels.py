"""Labels on contour lines: each where its line is long and straight enough, and where it covers nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.contour import ContourSet
from matplotlib.transforms import Bbox

from landscape.plotting.scale import Scale
from landscape.plotting.styles import StyledFigure, style_of

__all__ = ["label_lines"]

_LETTER = 0.62  # width of a digit of the house's letters, in their size
_N_PLACES = 12  # tried on each line, evenly
_STRAIGHT = 0.9  # chord over arc under a label, at least: more bent, and the letters would leave their line


def label_lines(figure: StyledFigure, all_axes: Sequence[Axes], scale: Scale) -> None:
    """Write each level's value on its contour lines, after the panels have found their places.

    The longest lines come first. A label keeps clear of every line but its own, of other labels, of the models' names and of the
    panel's edge; a line without such a place gets none, as its colour still says its level.
    """
    figure.draw_without_rendering()
    for axes in all_axes:
        for lines in [artist for artist in axes.get_children() if isinstance(artist, ContourSet) and not artist.filled]:
            _label(axes, lines, scale)


def _label(axes: Axes, lines: ContourSet, scale: Scale) -> None:
    style, points = style_of(axes), 72 / axes.figure.dpi
    in_points = {
        level: [axes.transData.transform(segment) * points for segment in segments if len(segment) > 1]
        for level, segments in zip(np.asarray(lines.levels).tolist(), lines.allsegs, strict=True)
    }
    frame = Bbox(axes.bbox.get_points() * points)
    taken = [Bbox(text.get_window_extent().get_points() * points) for text in axes.texts if text.get_text()]
    chosen: dict[float, list[tuple[float, float]]] = {}
    for level, own in sorted(
        ((level, segment) for level, segments in in_points.items() for segment in segments), key=lambda pair: -_length(pair[1])
    ):
        wide = style.smallest * (_LETTER * len(_words(level, scale)) + 0.6)
        others = np.concatenate(
            [_dense(segment) for other, segments in in_points.items() if other != level for segment in segments] or [own[:0]]
        )
        for place, box in _places(own, wide, 1.1 * style.smallest):
            inside = frame.x0 < box.x0 and frame.y0 < box.y0 and box.x1 < frame.x1 and box.y1 < frame.y1
            if inside and not any(box.overlaps(other) for other in taken) and not _holds_any(box, others):
                taken.append(box)
                chosen.setdefault(level, []).append(tuple(axes.transData.inverted().transform(place / points)))
                break
    if chosen:
        places = [place for several in chosen.values() for place in several]
        axes.clabel(
            lines, fmt=lambda height: _words(height, scale), manual=places,
            fontsize=style.smallest, colors="0.2", inline_spacing=2,
        )  # fmt: skip  # grey letters: yellow ones are lost on white


def _words(height: float, scale: Scale) -> str:
    return f"{float(scale.value(np.array(height))):.4g}"


def _length(line: np.ndarray) -> float:
    return float(np.hypot(*np.diff(line, axis=0).T).sum())


def _dense(line: np.ndarray) -> np.ndarray:
    """The same line with points at most three apart, so that a box on it holds some of them."""
    n = np.maximum(1, np.ceil(np.hypot(*np.diff(line, axis=0).T) / 3).astype(int))
    along = np.concatenate([[0.0], *(k + np.arange(1, m + 1) / m for k, m in enumerate(n))])
    return np.stack([np.interp(along, np.arange(len(line)), line[:, k]) for k in (0, 1)], axis=1)


def _places(line: np.ndarray, wide: float, high: float) -> Iterator[tuple[np.ndarray, Bbox]]:
    """Where a label `wide` × `high` may stand on a line `(n, 2)` in points, from the middle outwards, and the box it would fill."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    if along[-1] < 2.5 * wide:
        return
    for share in sorted((np.arange(_N_PLACES) + 0.5) / _N_PLACES, key=lambda share: abs(share - 0.5)):
        middle = share * along[-1]
        ends = np.clip([middle - wide / 2, middle, middle + wide / 2], 0, along[-1])
        start, place, end = (np.array([np.interp(s, along, line[:, k]) for k in (0, 1)]) for s in ends)
        chord = end - start
        if np.hypot(*chord) < _STRAIGHT * wide:
            continue
        turn = math.atan2(chord[1], chord[0])
        half = (
            np.array(
                [wide * abs(math.cos(turn)) + high * abs(math.sin(turn)), wide * abs(math.sin(turn)) + high * abs(math.cos(turn))]
            )
            / 2
        )
        yield place, Bbox([place - half, place + half])


def _holds_any(box: Bbox, line_points: np.ndarray) -> bool:
    x, y = line_points.T
    return bool(((box.x0 < x) & (x < box.x1) & (box.y0 < y) & (y < box.y1)).any())
