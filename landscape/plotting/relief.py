"""Planes as mountains: a lit surface in three dimensions, cut flat where it leaves the scale."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.colors import LightSource, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from landscape.errors import InputError
from landscape.plotting.marks import MARKS, draw_legend, legend_areas, model_places, reasons
from landscape.plotting.notes import draw_notes
from landscape.plotting.panels import Panel, colour_bar, gather, sheet, style
from landscape.plotting.scale import COLOUR_MAP, Scale, contour_levels, shared_scale
from landscape.surface import Surface

__all__ = ["relief"]

_HEIGHT = 0.7  # of the box, its base being 1 × 1: enough to see a basin, not so much that it looks like a well
_N_BANDS = 16  # colours on a cliff
_CAMERA = {"elev": 33.0, "azim": -58.0}
_SUN = LightSource(azdeg=250, altdeg=50)
_PLATEAU = "0.85"  # no colour of the map: what is cut off has no value here
_SHADE = 0.4  # how much darker a face turned away from the sun is


@dataclass(frozen=True, eq=False)
class _Faces:
    """The faces of one relief: polygons in the coordinates of the axes, and which of them are the flat top of a cut."""

    polygons: list[np.ndarray]  # (3 to 5, 3) each: x, y, height
    cut: np.ndarray  # (n_faces,) bool


def relief(
    surfaces: Surface | Sequence[Surface],
    metric: str | None = None,
    log: bool = False,
    clip: float | None = None,
    names: Sequence[str] | None = None,
) -> Figure:
    """Lit surfaces in three dimensions, side by side under one camera, one scale of heights and one of colours.

    The form of figure 1 of Li et al. 2018. The colour is the value's; light only darkens it. Nothing is cut by default, so that a
    single cliff can flatten all the rest: then pass `log=True`, or as `clip` the highest loss of interest (for a classifier some
    multiple of log(n_classes), the loss of a guess). What lies above the clip becomes a grey, flat top, cut along the contour at
    that height; cells with a corner that has no value are holes, and their shadow on the floor is marked. Of a plane that is not all
    measured the finest grid that is complete is drawn, and the title says which.

    Args:
        surfaces: one plane or several, values `(nx, ny)`.
        metric: for example `train_loss`; by default the training loss.
        log: heights are decimal logarithms. Values ≤ 0 have none: they are holes, marked and counted in a note.
        clip: where the scale ends.
        names: what to call the surfaces; their problems where not given.

    Raises:
        InputError: for lines, an axis of one point, a missing metric, or a clip that leaves nothing.
    """
    panels = gather(surfaces, metric, log, clip, names)
    for panel in panels:
        if min(panel.surface.shape) < 2:
            raise InputError(f"{panel.name or 'this plane'} has an axis of one point, which makes no relief; draw it as heatmap")
    scale = shared_scale([panel.layer.values for panel in panels], log, clip)
    with style():
        figure, all_axes = sheet(len(panels), height=2.9, projection="3d")
        for axes, panel in zip(all_axes, panels, strict=True):
            _draw_box(axes, panel, scale)
            _draw_faces(axes, _faces(panel, scale), scale)
            _draw_shadows(axes, panel, scale)
            _draw_models(axes, panel, scale)
        present = reasons(panel.layer for panel in panels)
        colour_bar(figure, all_axes, scale, panels[0].metric, clipped="clipped" in present)
        draw_legend(figure, legend_areas(present, clip, top=_PLATEAU))
        draw_notes(figure, panels, directions=True)
    return figure


def _faces(panel: Panel, scale: Scale) -> _Faces:
    """One quadrilateral for each cell with four values; where it is steep or cut, triangles parted along level lines.

    Parting lets one colour stand for one height on a cliff, and lets the cut run where the contour runs.
    """
    x, y, heights = panel.surface.x, panel.surface.y, scale.height(panel.layer.values)
    low, high = scale.span
    levels = np.linspace(low, high, _N_BANDS + 1)
    polygons, cut = [], []
    for i in range(len(x) - 1):
        for j in range(len(y) - 1):
            corners = np.array([(x[k], y[m], heights[k, m]) for k, m in ((i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1))])
            lowest, highest = corners[:, 2].min(), corners[:, 2].max()
            if np.isnan(lowest):
                continue
            if highest <= scale.top and highest - lowest <= 2 * (levels[1] - levels[0]):
                polygons.append(corners)
                cut.append(False)
            else:
                pieces = [piece for corner in ([0, 1, 2], [0, 2, 3]) for piece in _slabs(corners[corner], levels, scale.top)]
                polygons += [polygon for polygon, _ in pieces]
                cut += [above for _, above in pieces]
    return _Faces(polygons, np.array(cut, dtype=bool))


def _slabs(triangle: np.ndarray, levels: np.ndarray, top: float) -> Iterator[tuple[np.ndarray, bool]]:
    """A triangle parted along `levels`, and whether a part is what lay above `top`, pressed flat onto it."""
    rest, lowest, highest = triangle, triangle[:, 2].min(), triangle[:, 2].max()
    for level in levels[1:-1][(levels[1:-1] > lowest) & (levels[1:-1] < min(highest, top))]:
        yield _part(rest, level, below=True), False
        rest = _part(rest, level, below=False)
    if highest <= top:
        yield rest, False
        return
    if lowest < top:
        yield _part(rest, top, below=True), False
        rest = _part(rest, top, below=False)
    yield np.column_stack([rest[:, :2], np.full(len(rest), top)]), True


def _part(polygon: np.ndarray, level: float, below: bool) -> np.ndarray:
    """What of a convex polygon lies on one side of a height `level` (Sutherland and Hodgman 1974)."""
    outside = polygon[:, 2] - level if below else level - polygon[:, 2]
    kept: list[np.ndarray] = []
    for k in range(len(polygon)):
        start, end = polygon[k - 1], polygon[k]
        if min(outside[k - 1], outside[k]) < 0 < max(outside[k - 1], outside[k]):
            crossing = start + (end - start) * ((level - start[2]) / (end[2] - start[2]))
            crossing[2] = level  # not a rounding beside it
            kept.append(crossing)
        if outside[k] <= 0:
            kept.append(end)
    return np.array(kept)


def _draw_faces(axes: Axes3D, faces: _Faces, scale: Scale) -> None:
    if not faces.polygons:
        return
    low, high = scale.span
    middles = np.array([polygon[:, 2].mean() for polygon in faces.polygons])
    colours = matplotlib.colormaps[COLOUR_MAP]((middles - low) / (high - low))[:, :3]
    colours[faces.cut] = to_rgb(_PLATEAU)
    spans = np.array([np.ptp(axes.get_xlim()), np.ptp(axes.get_ylim()), (high - low) / _HEIGHT])
    brightness = 1 - _SHADE * (1 - np.array([_light(polygon / spans) for polygon in faces.polygons]))
    colours = colours * np.where(faces.cut, 1.0, brightness)[:, None]
    edges = np.where(faces.cut[:, None], np.full(3, 0.6), colours)  # a net on the flat tops; elsewhere it only closes the seams
    axes.add_collection3d(
        Poly3DCollection(faces.polygons, facecolors=colours, edgecolors=edges, linewidths=0.25, shade=False, zorder=2, gid="relief")
    )  # fmt: skip


def _light(polygon: np.ndarray) -> float:
    """How much sun a face gets, from 0 to 1."""
    normal = np.cross(polygon[2] - polygon[0], polygon[-1] - polygon[1])
    length = float(np.linalg.norm(normal))
    facing = float(normal @ _SUN.direction) * np.sign(normal[2]) if length > 0 else 0.0
    return min(1.0, max(0.0, facing / length)) if length > 0 else 1.0


def _draw_box(axes: Axes3D, panel: Panel, scale: Scale) -> None:
    x, y = panel.surface.x, panel.surface.y
    low, high = scale.span
    axes.computed_zorder = False
    axes.set_xlim3d(x.min(), x.max(), view_margin=0)
    axes.set_ylim3d(y.min(), y.max(), view_margin=0)
    axes.set_zlim3d(low - 0.08 * (high - low), high, view_margin=0)
    axes.set_box_aspect((1, 1, _HEIGHT), zoom=1.03)
    axes.view_init(**_CAMERA)
    if scale.log:
        ticks = contour_levels(scale, fewest=3, most=6)
        axes.zaxis.set_major_locator(FixedLocator(list(scale.height(ticks))))
        axes.zaxis.set_major_formatter(FuncFormatter(lambda height, _: f"{10.0**height:.4g}"))
        axes.zaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.tick_params(pad=1)
    axes.set_title(panel.title, pad=0, y=1.03)  # a fixed place: for one it finds itself, the layout leaves no room
    axes.set_xlabel("x", labelpad=-4)
    axes.set_ylabel("y", labelpad=-4)


def _draw_shadows(axes: Axes3D, panel: Panel, scale: Scale) -> None:
    """Mark on the floor where cells are missing, each by the first reason among its corners."""
    x, y = panel.surface.x, panel.surface.y
    floor = axes.get_zlim()[0]
    open_cells = np.ones((len(x) - 1, len(y) - 1), dtype=bool)
    for name in ("not_measured", "not_finite", "not_positive"):
        bad = getattr(panel.layer, name)
        cells = open_cells & (bad[:-1, :-1] | bad[1:, :-1] | bad[:-1, 1:] | bad[1:, 1:])
        open_cells &= ~cells
        corners = ((0, 0), (1, 0), (1, 1), (0, 1))
        quads = [[(x[i + k], y[ends[m]], floor) for k, m in corners] for i in range(len(x) - 1) for ends in _runs(cells[i])]
        if quads:
            mark = MARKS[name]
            looks = {"facecolors": mark.face, "edgecolors": mark.edge, "hatch": mark.hatch, "linewidths": 0.0}
            axes.add_collection3d(Poly3DCollection(quads, shade=False, zorder=1, gid=name, **looks))


def _runs(mask: np.ndarray) -> Iterator[tuple[int, int]]:
    """Where each run of neighbours in `mask` `(n,)` starts, and the index after its end."""
    changes = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(int)))
    return zip(changes[::2].tolist(), changes[1::2].tolist(), strict=True)


def _draw_models(axes: Axes3D, panel: Panel, scale: Scale) -> None:
    """A pin at each model whose height is known, its head with the name above the relief, where nothing hides it."""
    low, high = scale.span
    key = panel.metric.key
    values = {point.name: point.values[key] for point in panel.surface.points if key in point.values}
    for name, (x, y) in model_places(panel.surface):
        value = values.get(name, panel.surface.origin(key) if x == y == 0 else np.nan)
        inside = panel.surface.x.min() <= x <= panel.surface.x.max() and panel.surface.y.min() <= y <= panel.surface.y.max()
        if inside and np.isfinite(value) and (value > 0 or not scale.log):
            foot = min(max(float(scale.height(np.array(value))), low), high)
            axes.plot([x, x], [y, y], [foot, high], color="black", lw=0.6, zorder=3, gid="model")
            axes.plot([x], [y], [high], "o", ms=2.5, color="black", zorder=3)
            axes.text(x, y, high + 0.03 * (high - low), name, ha="center", va="bottom", fontsize=7, zorder=4)
