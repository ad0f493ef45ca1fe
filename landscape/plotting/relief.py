"""Planes as mountains: a lit surface in three dimensions, cut flat where it leaves the scale."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from inspect import signature
from typing import Any

import matplotlib
import numpy as np
from matplotlib.colors import LightSource, to_rgb
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from landscape.core.surface import Surface
from landscape.errors import InputError
from landscape.plotting.footnotes import draw_notes
from landscape.plotting.marks import MARKS, draw_legend, legend_areas, model_places, reasons
from landscape.plotting.panels import Panel, axis_label, colour_bar, gather, name_panel, sheet, tick_text
from landscape.plotting.relief_mesh import HEIGHT, ReliefMesh, hidden, relief_mesh_of
from landscape.plotting.scale import COLOUR_MAP, Scale, contour_levels, shared_scale
from landscape.plotting.styles import Style, StyledFigure, style_named, style_of

__all__ = ["CAMERA", "TITLE_HEIGHT", "align_heights", "draw_pins", "draw_plane", "panels_with_scale", "relief", "relief_sheet"]

CAMERA = (33.0, -58.0)  # elevation and azimuth in degrees: into the basin, past the corner in front
TITLE_HEIGHT = 1.06  # of the panel: above the box's farthest corner
_NO_MARGIN: dict[str, Any] = (
    {"view_margin": 0} if "view_margin" in signature(Axes3D.set_xlim3d).parameters else {}
)  # matplotlib ≥ 3.9
_SUN = LightSource(azdeg=250, altdeg=50)
_PLATEAU = "0.85"  # no colour of the map: what is cut off has no value here
_SHADE = 0.5  # how much darker a face turned away from the sun is


def relief(
    surfaces: Surface | Sequence[Surface],
    metric: str | None = None,
    log: bool = False,
    clip: float | None = None,
    names: Sequence[str] | None = None,
    offset: float = 0.0,
    style: str = "notebook",
    camera: tuple[float, float] = CAMERA,
) -> Figure:
    """Lit surfaces in three dimensions, side by side under one camera, one scale of heights and one of colours.

    The form of figure 1 of Li et al. 2018; that figure's heights are log(loss + 0.1): `log=True, offset=0.1`. The colour is the
    value's; light only darkens it. Nothing is cut by default, so that a single cliff can flatten all the rest: then pass `log=True`,
    or as `clip` the highest loss of interest (for a classifier some multiple of log(n_classes), the loss of a guess). What lies
    above the clip becomes a grey, flat top, cut along the contour at that height; cells with a corner that has no value are holes,
    and their shadow on the floor is marked. Of a plane that is not all measured the finest grid that is complete is drawn, and the
    title says which.

    Args:
        surfaces: one plane or several, values `(nx, ny)`.
        metric: for example `train_loss`; by default the training loss.
        log: heights are decimal logarithms. Values ≤ 0 have none: they are holes, marked and counted in a note.
        clip: where the scale ends.
        names: what to call the surfaces; their problems where not given.
        offset: with `log`, heights are log(value + offset), which has a place for 0 and keeps a basin from becoming a needle.
        style: the preset, `paper`, `slides` or `notebook`.
        camera: elevation and azimuth of the eye in degrees.

    Raises:
        InputError: for lines, an axis of one point, a missing metric, an unknown style, a camera below the floor, or a clip that
            leaves nothing.
    """
    preset = style_named(style)
    panels, scale = panels_with_scale(surfaces, metric, log, clip, names, offset)
    if not (len(camera) == 2 and np.isfinite(camera).all() and 0 <= camera[0] <= 90):
        raise InputError("the camera is an elevation of 0 to 90 and an azimuth, both in degrees; for example (33, -58)")
    figure, all_axes = relief_sheet(panels, scale, preset, len(panels))
    with preset.settings():
        for number, (axes, panel) in enumerate(zip(all_axes, panels, strict=True)):
            axes.view_init(*camera)
            draw_plane(axes, panel, scale)
            draw_pins(axes, panel, scale)
            align_heights(axes)
            name_panel(
                axes, panel, number, len(panels), height=TITLE_HEIGHT
            )  # a fixed place: for one it finds itself is left no room
    return figure


def panels_with_scale(
    surfaces: Surface | Sequence[Surface],
    metric: str | None,
    log: bool,
    clip: float | None,
    names: Sequence[str] | None,
    offset: float,
) -> tuple[list[Panel], Scale]:
    """The planes to draw as reliefs, and the one scale they share.

    Raises:
        InputError: for lines, an axis of one point, a missing metric, or a clip that leaves nothing.
    """
    panels = gather(surfaces, metric, log, clip, names, offset)
    for panel in panels:
        if min(panel.surface.shape) < 2:
            raise InputError(f"{panel.name or 'this plane'} has an axis of one point, which makes no relief; draw it as heatmap")
    return panels, shared_scale([panel.layer.values for panel in panels], log, clip, offset)


def relief_sheet(panels: Sequence[Panel], scale: Scale, style: Style, n_axes: int) -> tuple[StyledFigure, list[Axes3D]]:
    """A figure with `n_axes` empty axes in three dimensions and all that stands around them: colour bar, legend, notes."""
    with style.settings():
        figure, all_axes = sheet(
            n_axes, style, height=3.1 if n_axes <= 2 else 3.4, projection="3d"
        )  # labels do not shrink with the box
        present = reasons(panel.layer for panel in panels)
        colour_bar(figure, all_axes, scale, panels[0].metric, clipped="clipped" in present)
        draw_legend(figure, legend_areas(present, scale.clip, top=_PLATEAU, hatched=False))
        draw_notes(figure, panels, directions=True)
    return figure, all_axes


def draw_plane(axes: Axes3D, panel: Panel, scale: Scale) -> None:
    """Put one plane on empty axes: the box, the faces, and on the floor the marks of what is missing."""
    _draw_box(axes, panel, scale)
    values = panel.layer.values
    if np.isfinite(values).any():
        _draw_faces(axes, relief_mesh_of(panel.surface.x, panel.surface.y, values, scale, np.asarray(_SUN.direction)), scale)
    _draw_shadows(axes, panel, scale)


def _draw_faces(axes: Axes3D, faces: ReliefMesh, scale: Scale) -> None:
    if not faces.polygons:
        return
    low, high = scale.span
    middles = np.array([polygon[:, 2].mean() for polygon in faces.polygons])
    colours = matplotlib.colormaps[COLOUR_MAP]((middles - low) / (high - low))[:, :3]
    colours[faces.cut] = to_rgb(_PLATEAU)
    colours = colours * np.where(faces.cut, 1.0, 1 - _SHADE * (1 - faces.light))[:, None]
    # Edges of the faces' own colours close the seams. Tens of thousands of faces are pixels in every format.
    axes.add_collection3d(
        Poly3DCollection(faces.corners(), facecolors=colours, edgecolors=colours, linewidths=0.3 * style_of(axes).line_scale, shade=False, zorder=2, gid="relief",
                         rasterized=True)
    )  # fmt: skip


def _draw_box(axes: Axes3D, panel: Panel, scale: Scale) -> None:
    x, y = panel.surface.x, panel.surface.y
    low, high = scale.span
    k = style_of(axes).line_scale
    axes.computed_zorder = False
    axes.set_xlim3d(x.min(), x.max(), **_NO_MARGIN)
    axes.set_ylim3d(y.min(), y.max(), **_NO_MARGIN)
    axes.set_zlim3d(low - 0.08 * (high - low), high, **_NO_MARGIN)
    axes.set_box_aspect((1, 1, HEIGHT), zoom=1.08)
    ticks = contour_levels(scale, fewest=3, most=6)
    axes.zaxis.set_major_locator(FixedLocator(list(scale.height(ticks))))
    axes.zaxis.set_major_formatter(FixedFormatter(_tick_labels(ticks, panel.metric.unit)))
    axes.zaxis.set_minor_locator(NullLocator())
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(2, steps=[1, 2, 5, 10]))
        axis.set_major_formatter(FuncFormatter(lambda place, _: f"{place:.4g}".replace("-", "\N{MINUS SIGN}")))
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_pane_color((1.0, 1.0, 1.0, 0.0))
        axis.line.set_linewidth(0.6 * k)
        axis.line.set_color("0.5")
        axis._axinfo["grid"].update(color="0.88", linewidth=0.5 * k)  # there is no public way to the lines of the box
        axis._axinfo["tick"].update(linewidth={True: 0.6 * k, False: 0.4 * k})
    axes.tick_params(pad=7 * k - 8)  # matplotlib's own distances, 8 and 21 points, do not grow with the letters
    axes.tick_params(axis="z", pad=4 * k - 8)  # to the labels' near ends, not to their middles
    axes.set_xlabel(axis_label(panel.surface.axes[0], short=True), labelpad=17 * k - 21)
    axes.set_ylabel(axis_label(panel.surface.axes[1], short=True), labelpad=17 * k - 21)


def _tick_labels(ticks: np.ndarray, unit: str) -> list[str]:
    """Numbers for the axis of heights, the highest with the unit: there is no room for a label that the colour bar has too."""
    texts = [tick_text(tick) for tick in ticks]
    return [*texts[:-1], f"{texts[-1]} {unit}".rstrip()] if texts and unit != "fraction" else texts


def align_heights(axes: Axes3D) -> None:
    """Let the labels of the heights begin, or end, beside their axis: centred, as matplotlib has them, long ones reach over the box.

    matplotlib takes the edge of the box that is rightmost or leftmost on the screen, by turns with each quarter of a turn.
    """
    azimuth = math.radians(180 - (180 - axes.azim) % 360)  # as matplotlib has it, to be on its side of a tie
    side = "right" if math.sin(azimuth) * math.cos(azimuth) >= 0 else "left"
    for tick in axes.zaxis.get_major_ticks():
        tick.label1.set_horizontalalignment(side)


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


def draw_pins(axes: Axes3D, panel: Panel, scale: Scale) -> None:
    """A pin at each model whose height is known, dotted where the relief hides it, and its name above.

    Pins that are there already, of another camera, are taken away.
    """
    for artist in [*axes.lines, *axes.texts]:
        if artist.get_gid() in ("model", "pin"):
            artist.remove()
    low, high = scale.span
    halo = [withStroke(linewidth=1.8 * style_of(axes).line_scale, foreground="white", alpha=0.8)]
    style, key, surface = style_of(axes), panel.metric.key, panel.surface
    relief = np.minimum(scale.height(panel.layer.values), scale.top)
    values = {
        name: point.values[key]
        for (name, _), point in zip(model_places(surface), surface.points, strict=False)
        if key in point.values
    }
    for name, (x, y) in model_places(surface):
        value = values.get(name, surface.origin(key) if x == y == 0 else np.nan)
        inside = surface.x.min() <= x <= surface.x.max() and surface.y.min() <= y <= surface.y.max()
        if inside and np.isfinite(value) and (value + scale.offset > 0 or not scale.log):
            foot = min(max(float(scale.height(np.array(value))), low), high)
            looks = {"color": "black", "lw": 0.7 * style.line_scale}
            axes.plot([x, x], [y, y], [foot, high], ls=(0, (1, 2)), zorder=3, gid="model", **looks)
            heights = np.linspace(foot, high, 65)
            places = np.stack([np.full(65, x), np.full(65, y), heights], axis=1)
            seen = ~hidden(surface.x, surface.y, relief, places, (axes.elev, axes.azim), (low, high))
            axes.plot(places[:, 0], places[:, 1], np.where(seen, heights, np.nan), zorder=3, gid="pin", **looks)
            axes.plot([x], [y], [high], "o", ms=2.5 * style.line_scale, color="black", zorder=3, gid="pin")
            axes.text(
                x,
                y,
                high + 0.03 * (high - low),
                name,
                ha="center",
                va="bottom",
                fontsize=style.small,
                zorder=4,
                gid="pin",
                path_effects=halo,
            )
