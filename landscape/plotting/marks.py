"""What is put on a panel beside its values: marks where a value cannot be shown, and the models that lie in the plane."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path
from matplotlib.patheffects import withStroke

from landscape.core.surface import Surface
from landscape.plotting.panels import printable
from landscape.plotting.scale import MaskedValues
from landscape.plotting.styles import StyledFigure, style_of

__all__ = [
    "MARKS",
    "Mark",
    "draw_legend",
    "image",
    "legend_areas",
    "legend_markers",
    "mark_cells",
    "mark_models",
    "mark_path",
    "model_places",
    "reasons",
    "wording",
]


@dataclass(frozen=True)
class Mark:
    """How one reason for not showing a value looks: an area's fill and hatch, and a marker on a curve's edge."""

    face: str
    edge: str
    hatch: str
    marker: str
    words: str


# One look for each mask of a Layer; none of these colours is on the colour map.
MARKS = {
    "not_measured": Mark("0.94", "0.65", "/////", "|", "not measured"),
    "not_finite": Mark("white", "#d55e00", "xxxxx", "x", "NaN or infinite"),
    "not_positive": Mark("white", "#0072b2", ".....", "v", "≤ 0, no logarithm"),
    "clipped": Mark("none", "0.45", "\\\\\\\\\\", "^", "above {clip:g}, cut off"),
}


def wording(name: str, clip: float | None) -> str:
    """A mark in words.

    >>> wording("clipped", 10.0)
    'above 10, cut off'
    """
    return MARKS[name].words.format(clip=clip or 0.0)


def reasons(layers: Iterable[MaskedValues]) -> list[str]:
    """Which marks these layers need, in the order of `MARKS`."""
    several = list(layers)
    return [name for name in MARKS if any(getattr(layer, name).any() for layer in several)]


def image(values: np.ndarray) -> np.ndarray:
    """The one transpose of the figures: `[x, y]` becomes matplotlib's `[row, column]` = `[y, x]`; NaN becomes masked.

    >>> image(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])).tolist()
    [[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]]
    """
    masked: np.ndarray = np.ma.masked_invalid(values).T
    return masked


def mark_cells(axes: Axes, name: str, mask: np.ndarray, x_edges: np.ndarray, y_edges: np.ndarray) -> None:
    """Mark the cells `mask` `[x, y]` of the grid between the edges `(nx + 1,)` and `(ny + 1,)`."""
    i, j = np.nonzero(mask)
    if i.size == 0:
        return
    xs, ys = (x_edges[i], x_edges[i + 1]), (y_edges[j], y_edges[j + 1])
    corners = [(xs[0], ys[0]), (xs[1], ys[0]), (xs[1], ys[1]), (xs[0], ys[1]), (xs[0], ys[0])]
    vertices = np.array([np.stack(corner, axis=-1) for corner in corners])  # (5, n, 2)
    codes = np.tile([Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY], i.size)
    mark_path(axes, name, Path(vertices.transpose(1, 0, 2).reshape(-1, 2), codes))


def mark_path(axes: Axes, name: str, path: Path) -> None:
    """Mark what a path in data coordinates encloses; the patch bears the mark's name as its gid."""
    mark = MARKS[name]
    axes.add_patch(
        PathPatch(path, facecolor=mark.face, edgecolor=mark.edge, hatch=mark.hatch, linewidth=0, gid=name, zorder=2.5)
    )  # fmt: skip


def model_places(surface: Surface) -> list[tuple[str, tuple[float, ...]]]:
    """The models of a surface and where they lie; the origin, unnamed, where there is none."""
    n_spatial = 1 if surface.kind == "line" else 2
    return [(printable(point.name), tuple(point.coordinates[:n_spatial])) for point in surface.points] or [("", (0.0,) * n_spatial)]


def mark_models(axes: Axes, surface: Surface) -> None:
    """Small named circles where the models lie in a plane; a cross at the origin where there is none."""
    (left, right), (bottom, top) = sorted(axes.get_xlim()), sorted(axes.get_ylim())
    style, k = style_of(axes), style_of(axes).line_scale
    for name, (x, y) in model_places(surface):
        if not (left <= x <= right and bottom <= y <= top):
            continue
        axes.plot([x], [y], "o" if name else "+", ms=4 * k, mfc="white", mec="black", mew=0.8 * k, ls="none", zorder=4, gid="model")
        near_right, near_top = x > left + 0.7 * (right - left), y > bottom + 0.9 * (top - bottom)
        axes.annotate(
            name,
            (x, y),
            (-4 * k if near_right else 4 * k, -4 * k if near_top else 4 * k),
            textcoords="offset points",
            ha="right" if near_right else "left",
            va="top" if near_top else "bottom",
            fontsize=style.small,
            zorder=4,
            path_effects=[withStroke(linewidth=1.8 * k, foreground="white")],
        )


def draw_legend(figure: StyledFigure, handles: Sequence[Line2D | Patch]) -> None:
    """One legend above the panels, in as many columns as fit; the figure grows by its height where its page is not fixed."""
    if handles:
        letter = 0.05 * figure.style.small / 7  # inches, about
        longest = max(len(str(handle.get_label())) for handle in handles)
        n_columns = min(len(handles), max(1, int(figure.get_figwidth() / (letter * (8.4 + longest)))))
        figure.legend(handles=handles, loc="outside upper center", ncols=n_columns, borderaxespad=0.2, columnspacing=1.2)
        if figure.style.page is None:
            figure.set_figheight(figure.get_figheight() + 0.06 + 0.155 * math.ceil(len(handles) / n_columns))


def legend_areas(names: Sequence[str], clip: float | None, top: str, hatched: bool = True) -> list[Line2D | Patch]:
    """What the marks `names` mean, as areas; `top` is the colour of what is cut off, and `hatched` whether that bears its hatch."""
    return [
        Patch(
            facecolor=top if name == "clipped" else MARKS[name].face,
            edgecolor=MARKS[name].edge,
            hatch=MARKS[name].hatch if hatched or name != "clipped" else None,
            linewidth=0,
            label=wording(name, clip),
        )
        for name in names
    ]


def legend_markers(names: Sequence[str], clip: float | None, scale: float = 1.0) -> list[Line2D | Patch]:
    """What the marks `names` mean, as markers on a panel's edge, `scale` times as large as for letters of 8 points."""
    return [
        Line2D([], [], ls="none", marker=MARKS[name].marker, ms=4 * scale, mew=0.8 * scale, color="0.4", label=wording(name, clip))
        for name in names
    ]
