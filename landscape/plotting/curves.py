"""Lines: loss and accuracy along one direction, with their spread over draws or their standard errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, NullFormatter

from landscape.core.surface import Surface
from landscape.plotting.footnotes import draw_notes
from landscape.plotting.insets import free_corner, zoomed_view
from landscape.plotting.marks import MARKS, draw_legend, legend_markers, model_places, reasons
from landscape.plotting.panels import Panel, axis_label, make_panel, metric_label, name_all, sheet
from landscape.plotting.scale import COLOUR_MAP, MaskedValues, Scale, contour_levels, shared_scale, sort_values
from landscape.plotting.styles import style_named, style_of

__all__ = ["COLOURS", "DASHES", "curve"]

# The palette of Okabe and Ito, made for colour-blind readers, without its yellow, which is lost on white.
_MODEL = "model, evaluated independently"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
_Dashes = str | tuple[int, tuple[float, ...]]
DASHES: tuple[_Dashes, ...] = ("-", (0, (3, 1.2)), (0, (1, 1)), (0, (4, 1, 1, 1)))


@dataclass(frozen=True, eq=False)
class _Series:
    """One curve: a metric of a line, or the median of several draws of it, with a band around it."""

    panel: Panel
    layer: MaskedValues  # (nx,)
    band: np.ndarray  # (2, nx), NaN where there is none
    band_words: str
    colour: str
    dashes: _Dashes


def curve(
    surfaces: Surface | Sequence[Surface],
    metric: str | None = None,
    log: bool = False,
    clip: float | None = None,
    names: Sequence[str] | None = None,
    style: str = "notebook",
    inset: bool = True,
) -> Figure:
    """Curves of lines on shared axes: loss above, accuracy below, a colour for each surface, a dash for each split.

    Several draws `(nx, n_draws)` are drawn as their median and the band between their quartiles, over the draws measured at each
    point; a single line has a band of one standard error to each side. Of a line that is not all measured the points of the finest
    complete grid are joined. A curve breaks where there is no value, and a marker on the panel's edge says why.

    Where a linear axis presses the surroundings of the minimum into its lowest part, an inset shows them larger: if they can be
    magnified at least four times and some corner is free of curves.

    Args:
        surfaces: one line or several, values `(nx,)` or `(nx, n_draws)`.
        metric: only this one, for example `test_loss`; by default the loss and the accuracy of every split.
        log: a logarithmic axis for the loss, or for `metric`. Values ≤ 0 have no place there: they are marked and counted.
        clip: where the axis of the loss, or of `metric`, ends; curves leave the panel there.
        names: what to call the surfaces; their problems where not given.
        style: the preset, `paper`, `slides` or `notebook`.
        inset: whether there may be an inset.

    Raises:
        InputError: for planes, a missing metric, an unknown style, or a clip that leaves nothing.
    """
    preset = style_named(style)
    groups = _groups(name_all(surfaces, "line", names), metric, log, clip)
    everything = _all_series([panel for group in groups for panel in group])
    with preset.settings():
        figure, all_axes = sheet(len(groups), preset, height=1.7 if len(groups) > 1 else 2.3, n_columns=1)
        for number, (axes, group) in enumerate(zip(all_axes, groups, strict=True)):
            members = [series for series in everything if series.panel in group]
            _draw_group(axes, members)
            if inset and number == 0:
                _draw_inset(axes, members)
        _mark_models(all_axes, [panel.surface for panel in groups[0]])
        for axes in all_axes[:-1]:
            axes.sharex(all_axes[-1])
            axes.tick_params(labelbottom=False)
        all_axes[-1].xaxis.set_major_locator(MaxNLocator(5 if preset.page is None else 9, steps=[1, 2, 5, 10]))
        all_axes[-1].set_xlabel(_x_label([panel.surface for panel in groups[0]], short=not preset.notes))
        present = reasons(series.layer for series in everything)
        draw_legend(figure, [*_handles(everything, preset.line_scale), *legend_markers(present, clip, preset.line_scale)])
        draw_notes(figure, [series.panel for series in everything])
    return figure


def _groups(named: Sequence[tuple[str, Surface]], metric: str | None, log: bool, clip: float | None) -> list[list[Panel]]:
    """What goes on one pair of axes: `metric` alone, or the loss and the accuracy; log and clip are for the first of them."""
    if metric is not None:
        groups = [[(name, surface, metric) for name, surface in named]]
    else:
        held = [(name, surface, key, known.name) for name, surface in named for key, known in surface.metrics.items()]
        groups = [[(name, surface, key) for name, surface, key, kind in held if kind == wanted] for wanted in ("loss", "accuracy")]
    groups = [group for group in groups if group] or [[(name, surface, surface.metric().key) for name, surface in named]]
    return [
        [make_panel(name, surface, key, log and i == 0, clip if i == 0 else None) for name, surface, key in group]
        for i, group in enumerate(groups)
    ]


def _all_series(panels: Sequence[Panel]) -> list[_Series]:
    surfaces = list(dict.fromkeys(id(panel.whole) for panel in panels))
    splits = list(dict.fromkeys(panel.metric.split for panel in panels))
    spread = matplotlib.colormaps[COLOUR_MAP](np.linspace(0, 0.92, len(surfaces)))
    palette = COLOURS if len(surfaces) <= len(COLOURS) else [to_hex(colour) for colour in spread]
    several = []
    for panel in panels:
        centre, band, words = _summary(panel)
        measured = np.logical_not(panel.layer.not_measured).reshape(len(centre), -1).any(axis=1)
        layer = sort_values(centre, measured, panel.log, panel.clip)
        colour, dashes = palette[surfaces.index(id(panel.whole))], DASHES[splits.index(panel.metric.split) % len(DASHES)]
        several.append(_Series(panel, layer, np.where(np.isnan(layer.values), np.nan, band), words, colour, dashes))
    return several


def _summary(panel: Panel) -> tuple[np.ndarray, np.ndarray, str]:
    """The values of a line `(nx,)`, the band around them `(2, nx)`, and what the band is."""
    key, surface = panel.metric.key, panel.surface
    values = np.where(panel.layer.not_measured, np.nan, surface.values[key])
    if surface.n_draws == 1:
        centre = values.reshape(-1)
        if key in surface.low:
            low, high = (np.asarray(ends[key], dtype=np.float64).reshape(-1) for ends in (surface.low, surface.high))
            return centre, np.where((high > low) & np.isfinite(centre), np.stack([low, high]), np.nan), "95 % interval"
        error = np.asarray(surface.stderr.get(key, np.zeros_like(values)), dtype=np.float64).reshape(-1)
        error = np.where(np.isfinite(error) & (error > 0) & np.isfinite(centre), error, np.nan)
        return centre, np.stack([centre - error, centre + error]), "± 1 standard error"
    quartiles = np.full((3, len(values)), np.nan)
    for i, (row, missing) in enumerate(zip(values, panel.layer.not_measured, strict=True)):
        if not missing.all():
            with np.errstate(invalid="ignore"):  # between infinite draws a quartile is NaN, and is marked
                quartiles[:, i] = np.quantile(row[~missing], [0.25, 0.5, 0.75])
    return quartiles[1], quartiles[[0, 2]], f"quartiles around the median of {surface.n_draws} draws"


def _draw_group(axes: Axes, group: Sequence[_Series]) -> None:
    log, clip = group[0].panel.log, group[0].panel.clip
    bands = [np.where(series.band > 0, series.band, np.nan) if log else series.band for series in group]
    scale = shared_scale([series.layer.values for series in group] + bands, log, clip)
    if log:
        axes.set_yscale("log")
        ticks = contour_levels(scale, fewest=3, most=6)
        axes.set_yticks(ticks, labels=[f"{tick:g}" for tick in ticks])
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(*_limits(scale, group))
    for number, series in enumerate(group):
        _draw_series(axes, series)
        _mark_edges(axes, series, number)
        _mark_own_values(axes, series)
    one_split = len({series.panel.metric.split for series in group}) == 1
    axes.set_ylabel(metric_label(group[0].panel.metric, split=one_split))
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.02)


def _limits(scale: Scale, group: Sequence[_Series]) -> tuple[float, float]:
    """The ends of the y axis: a little beyond the values, but never beyond the clip; the whole range for an accuracy."""
    if not scale.log and scale.clip is None and group[0].panel.metric.name == "accuracy" and scale.low >= 0 and scale.high <= 1:
        return -0.02, 1.02
    low, high = scale.span
    room = 0.04 * (high - low)
    ends = (low - room, high + room)
    bottom, top = (10.0 ** ends[0], 10.0 ** ends[1]) if scale.log else ends
    return bottom, scale.clip if any(series.layer.clipped.any() for series in group) and scale.clip is not None else top


def _draw_series(axes: Axes, series: _Series) -> None:
    x, y = series.panel.surface.x, series.layer.values
    drawn = np.concatenate([[False], ~np.isnan(y), [False]])
    alone = np.flatnonzero(drawn[1:-1] & ~drawn[:-2] & ~drawn[2:])  # a line of one point would not be seen
    dots = list(range(len(x))) if len(x) <= 31 else [int(i) for i in alone]
    looks: dict[str, Any] = {"marker": "o" if dots else "", "ms": 2 * style_of(axes).line_scale, "markevery": dots or None}
    axes.plot(x, y, color=series.colour, ls=series.dashes, gid="curve", **looks)
    if not np.isnan(series.band).all():
        bottom, top = axes.get_ylim()
        far = 1e3 * (top - bottom)  # out of sight, and still a coordinate that every vector format can hold
        low, high = np.clip(series.band, bottom if series.panel.log else bottom - far, top + far)
        axes.fill_between(x, low, high, color=series.colour, alpha=0.22, linewidth=0, gid="band")


def _mark_edges(axes: Axes, series: _Series, number: int) -> None:
    """Markers on the panel's edge where the curve has a gap or leaves the panel, one row for each curve."""
    k = style_of(axes).line_scale
    for name in reasons([series.layer]):
        x = series.panel.surface.x[getattr(series.layer, name)]
        height = 0.98 - 0.04 * number if name == "clipped" else 0.02 + 0.04 * number
        axes.plot(
            x, np.full(len(x), height), ls="none", marker=MARKS[name].marker, ms=3 * k, mew=0.7 * k, color=series.colour, gid=name,
            transform=axes.get_xaxis_transform(), clip_on=False,
        )  # fmt: skip


def _mark_own_values(axes: Axes, series: _Series, clip: bool = False) -> None:
    """The values of the models on the line, evaluated independently of it; with `clip` none reaches beyond the axes."""
    bottom, top = axes.get_ylim()
    key = series.panel.metric.key
    own = [(point.coordinates[0], point.values[key]) for point in series.panel.surface.points if key in point.values]
    own = [(x, value) for x, value in own if bottom <= value <= top]
    if own:
        k = style_of(axes).line_scale
        looks: dict[str, Any] = {"ms": 4.5 * k, "mfc": "none", "mec": series.colour, "mew": 0.9 * k}
        axes.plot(*zip(*own, strict=True), "o", **looks, clip_on=clip, gid="model")


def _draw_inset(axes: Axes, group: Sequence[_Series]) -> None:
    """The surroundings of the minimum once more, larger, where that helps and there is room."""
    ends = axes.get_ylim()
    curves = [(series.panel.surface.x, series.layer.values) for series in group]
    view = None if group[0].panel.log else zoomed_view(curves, ends)
    bounds = (
        None
        if view is None
        else free_corner([*curves, *((x, edge) for (x, _), s in zip(curves, group, strict=True) for edge in s.band)], axes)
    )
    if view is None or bounds is None:
        return
    small = axes.inset_axes(bounds, gid="inset")
    small.set_ylim(*view[1])
    for series in group:
        _draw_series(small, series)
        _mark_own_values(small, series, clip=True)  # what stood far outside would cost the sheet that much room
    small.set_xlim(*view[0])
    small.set_ylim(*view[1])
    small.tick_params(labelsize=style_of(axes).smallest, pad=1.5 * style_of(axes).line_scale)
    small.locator_params(nbins=3)
    axes.indicate_inset_zoom(small, edgecolor="0.5", alpha=0.6, linewidth=0.6 * style_of(axes).line_scale)


def _mark_models(all_axes: Sequence[Axes], surfaces: Sequence[Surface]) -> None:
    """A dotted line through all panels where the models lie, their names above the first panel."""
    names: dict[float, list[str]] = {}
    left, right = min(surface.x.min() for surface in surfaces), max(surface.x.max() for surface in surfaces)
    for surface in surfaces:
        for name, (x,) in model_places(surface):
            if left <= x <= right:
                names.setdefault(x, []).append(name)
    for x, here in names.items():
        for axes in all_axes:
            axes.axvline(x, color="0.6", lw=0.6 * style_of(axes).line_scale, ls=":", zorder=0, gid="place")
        text = ", ".join(dict.fromkeys(filter(None, here)))
        side = "left" if x < left + 0.1 * (right - left) else "right" if x > right - 0.1 * (right - left) else "center"
        if len(text) > 20:  # a folder and its file would run into what stands at the other end
            text = text.replace("/", "/\n")
        if max(map(len, text.splitlines()), default=0) <= 40:
            all_axes[0].annotate(
                text, (x, 1), (0, 1), xycoords=("data", "axes fraction"), textcoords="offset points",
                ha=side, va="bottom", fontsize=style_of(all_axes[0]).small, color="0.3",
            )  # fmt: skip


def _x_label(surfaces: Sequence[Surface], short: bool) -> str:
    """What the shared axis is, as far as all the surfaces agree."""
    first = [surface.axes[0] for surface in surfaces]
    for labels in ({axis_label(axis, short) for axis in first}, {f"x: {axis.label} (unit ‖δ‖)" for axis in first}):
        if len(labels) == 1:
            return labels.pop()
    return "x, along each one's own direction (unit ‖δ‖)"


def _handles(everything: Sequence[_Series], scale: float) -> list[Line2D | Patch]:
    """The legend of the curves: names by colour and splits by dash where both are several, else one entry a curve."""
    by_name = {series.panel.name: series for series in reversed(everything)}
    by_split = {series.panel.metric.split: series for series in reversed(everything)}
    handles: list[Line2D | Patch] = []
    for name, series in reversed(by_name.items()):
        share = f" ({series.panel.share_measured})" if series.panel.share_measured else ""
        if len(by_name) > 1:
            handles.append(Line2D([], [], color=series.colour, label=f"{name}{share}"))
        else:
            for split, one in reversed(by_split.items()):
                words = ", ".join(part for part in (name, split) if part)
                handles.append(Line2D([], [], color=one.colour, ls=one.dashes, label=f"{words}{share}"))
    if len(by_name) > 1 and len(by_split) > 1:
        handles += [Line2D([], [], color="0.4", ls=one.dashes, label=split) for split, one in reversed(by_split.items())]
    bands = {series.band_words: series for series in everything if not np.isnan(series.band).all()}
    handles += [
        Patch(facecolor="0.5" if len(by_name) > 1 else series.colour, alpha=0.3, label=words) for words, series in bands.items()
    ]
    if any(series.panel.metric.key in point.values for series in everything for point in series.panel.surface.points):
        handles.append(Line2D([], [], ls="none", marker="o", ms=4.5 * scale, mfc="none", mec="0.4", mew=0.9 * scale, label=_MODEL))
    return handles
