"""Planes seen from above: contour lines, filled contours, and one coloured cell for each point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.path import Path

from landscape.core.surface import Surface
from landscape.errors import InputError
from landscape.plotting.footnotes import draw_notes
from landscape.plotting.labels import label_lines
from landscape.plotting.marks import MARKS, draw_legend, image, legend_areas, mark_cells, mark_models, mark_path, reasons
from landscape.plotting.panels import Panel, axis_label, colour_bar, colour_norm, gather, label_axes, name_panel, sheet, trim
from landscape.plotting.scale import COLOUR_MAP, TOP_COLOUR, Scale, cell_edges, contour_levels, shared_scale
from landscape.plotting.styles import Style, style_named, style_of

__all__ = ["contour", "filled", "heatmap"]


def contour(
    surfaces: Surface | Sequence[Surface],
    metric: str | None = None,
    log: bool = False,
    clip: float | None = None,
    names: Sequence[str] | None = None,
    offset: float = 0.0,
    style: str = "notebook",
) -> Figure:
    """Labelled contour lines of planes, side by side at the same levels; lines are straight between neighbouring points.

    Of a plane that is not all measured the finest grid that is complete is drawn, and the title says which. Cells of the grid with a
    corner that has no value are marked and hold no line; so is all that lies above `clip`. A level is labelled where its line is
    long and straight enough and the label covers no other, no other line and no model's name; else it goes without.

    Args:
        surfaces: one plane or several, values `(nx, ny)`.
        metric: for example `train_loss`; by default the training loss.
        log: levels spaced logarithmically. Values ≤ 0 have no place there: they are marked and counted in a note.
        clip: where the scale ends; what lies above is marked.
        names: what to call the surfaces; their problems where not given.
        offset: with `log`, the scale is that of log(value + offset), which has a place for 0 and keeps a basin from becoming a needle.
        style: the preset, `paper`, `slides` or `notebook`.

    Raises:
        InputError: for lines, an axis of one point, a missing metric, an unknown style, or a clip that leaves nothing.
    """
    return _seen_from_above(surfaces, metric, log, clip, names, offset, style, _draw_contour)


def filled(
    surfaces: Surface | Sequence[Surface],
    metric: str | None = None,
    log: bool = False,
    clip: float | None = None,
    names: Sequence[str] | None = None,
    offset: float = 0.0,
    style: str = "notebook",
) -> Figure:
    """Filled contours of planes, side by side on one scale of colours; arguments, marks and errors as for `contour`."""
    return _seen_from_above(surfaces, metric, log, clip, names, offset, style, _draw_filled)


def heatmap(
    surfaces: Surface | Sequence[Surface],
    metric: str | None = None,
    log: bool = False,
    clip: float | None = None,
    names: Sequence[str] | None = None,
    offset: float = 0.0,
    style: str = "notebook",
) -> Figure:
    """One coloured cell for each point of planes, side by side on one scale of colours: nothing between points is supposed.

    For the same reason every measured point of an unfinished plane is drawn, also those beyond the finest complete grid, and the
    cells not measured are marked. Arguments, marks and errors as for `contour`, but an axis of one point is welcome.
    """
    return _seen_from_above(surfaces, metric, log, clip, names, offset, style, _draw_heatmap)


def _seen_from_above(
    surfaces: Surface | Sequence[Surface],
    metric: str | None,
    log: bool,
    clip: float | None,
    names: Sequence[str] | None,
    offset: float,
    style: str,
    draw: Callable[[Axes, Panel, Scale], None],
) -> Figure:
    preset = style_named(style)
    panels = gather(surfaces, metric, log, clip, names, offset, every_point=draw is _draw_heatmap)
    scale = shared_scale([panel.layer.values for panel in panels], log, clip, offset)
    with preset.settings():
        figure, all_axes = sheet(len(panels), preset, height=_height(panels, preset), compress=True)
        for number, (axes, panel) in enumerate(zip(all_axes, panels, strict=True)):
            draw(axes, panel, scale)
            axes.set_box_aspect(1)
            name_panel(axes, panel, number, len(panels))
            mark_models(axes, panel.surface)
        label_axes(all_axes, panels)
        present = reasons(panel.layer for panel in panels)
        colour_bar(figure, all_axes, scale, panels[0].metric, clipped="clipped" in present)
        draw_legend(figure, legend_areas(present, clip, top="white" if draw is _draw_contour else TOP_COLOUR))
        draw_notes(figure, panels)
        trim(figure)
        if draw is _draw_contour:
            label_lines(figure, all_axes, scale)
    return figure


def _height(panels: Sequence[Panel], preset: Style) -> float:
    """How many inches a row needs: a square as wide as a column allows, and its title and labels."""
    square = 2.15 if len(panels) == 1 else 2.5  # one panel shares its column with the colour bar
    n_lines = max(panel.title.count("\n") + axis_label(panel.surface.axes[0]).count("\n") for panel in panels) + 2
    return (square + 0.25 + 0.14 * n_lines) * (1.0 if preset.notes else 1.15)  # where the rest is trimmed, there may be some


def _draw_heatmap(axes: Axes, panel: Panel, scale: Scale) -> None:
    x_edges, y_edges = cell_edges(panel.surface.x), cell_edges(panel.surface.y)
    axes.pcolormesh(x_edges, y_edges, image(panel.layer.values), norm=colour_norm(scale), cmap=COLOUR_MAP, rasterized=True)
    for name in MARKS:
        mark_cells(axes, name, getattr(panel.layer, name), x_edges, y_edges)
    axes.set_xlim(x_edges.min(), x_edges.max())
    axes.set_ylim(y_edges.min(), y_edges.max())


def _draw_contour(axes: Axes, panel: Panel, scale: Scale) -> None:
    _prepare(axes, panel, scale)
    _contours(axes, panel, scale, fill=False)


def _draw_filled(axes: Axes, panel: Panel, scale: Scale) -> None:
    _prepare(axes, panel, scale)
    _contours(axes, panel, scale, fill=True)
    _contours(axes, panel, scale, fill=False, colors="white", linewidths=0.3 * style_of(axes).line_scale, alpha=0.6)


def _contours(axes: Axes, panel: Panel, scale: Scale, fill: bool, **looks: Any) -> ContourSet | None:
    """The contours of a panel at the shared levels, straight between points on the drawn scale; None where there are none."""
    if not _whole_cells(panel.layer.values).any():
        return None
    heights, levels = image(scale.height(panel.layer.values)), scale.height(contour_levels(scale))
    low, high = scale.span
    within = levels[(levels > heights.min()) & (levels < heights.max())]
    if not fill and within.size == 0:
        return None
    how: dict[str, Any] = {"levels": np.concatenate([[low], levels, [high]]) if fill else within, "corner_mask": False, **looks}
    if "colors" not in how:
        how |= {"norm": Normalize(low, high), "cmap": COLOUR_MAP}
    if fill:
        return axes.contourf(panel.surface.x, panel.surface.y, heights, extend="neither" if scale.clip is None else "max", **how)
    how |= {"linestyles": "solid"}  # matplotlib dashes what is below zero, which on a log scale is no special place
    return axes.contour(panel.surface.x, panel.surface.y, heights, **{"linewidths": 0.9 * style_of(axes).line_scale, **how})


def _whole_cells(values: np.ndarray) -> np.ndarray:
    """Which cells between points, `(nx - 1, ny - 1)`, have a value at all four corners."""
    good = ~np.isnan(values)
    whole: np.ndarray = good[:-1, :-1] & good[1:, :-1] & good[:-1, 1:] & good[1:, 1:]
    return whole


def _prepare(axes: Axes, panel: Panel, scale: Scale) -> None:
    """Limits, and marks wherever no contour can be drawn."""
    x, y, layer = panel.surface.x, panel.surface.y, panel.layer
    if min(len(x), len(y)) < 2:
        raise InputError(f"{panel.name or 'this plane'} has an axis of one point, which has no contours; draw it as heatmap")
    axes.set_xlim(x.min(), x.max())
    axes.set_ylim(y.min(), y.max())
    unmarked = ~_whole_cells(layer.values)
    for name in ("not_measured", "not_finite", "not_positive"):
        cells = unmarked & ~_whole_cells(np.where(getattr(layer, name), np.nan, 0.0))
        mark_cells(axes, name, cells, x, y)
        unmarked &= ~cells
    if layer.clipped.any() and _whole_cells(layer.values).any():
        mark_path(axes, "clipped", _region_above(axes, panel, scale))


def _region_above(axes: Axes, panel: Panel, scale: Scale) -> Path:
    """The outline of all that lies above the clip, as contours see it."""
    heights = image(scale.height(panel.layer.values))
    beyond = scale.top + 2 * max(1.0, abs(float(heights.max()) - scale.top))
    above = axes.contourf(panel.surface.x, panel.surface.y, heights, levels=[scale.top, beyond], corner_mask=False)
    outline = Path.make_compound_path(*above.get_paths())
    above.remove()
    return outline
