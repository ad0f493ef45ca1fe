"""What every figure has in common: the panels to draw, the sheet they stand on, titles, labels and notes."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import FuncNorm, LogNorm, Normalize
from matplotlib.layout_engine import ConstrainedLayoutEngine

from landscape.core.surface import Axis, Metric, Surface
from landscape.errors import InputError, did_you_mean
from landscape.plotting.scale import COLOUR_MAP, MaskedValues, Scale, contour_levels, measured_layer
from landscape.plotting.styles import Style, StyledFigure, style_of
from landscape.report.caveats import describe_left_out, describe_resolution

__all__ = [
    "Panel",
    "axis_label",
    "colour_bar",
    "colour_norm",
    "gather",
    "label_axes",
    "make_panel",
    "metric_label",
    "name_all",
    "name_panel",
    "printable",
    "sheet",
    "tick_text",
    "trim",
]


@dataclass(frozen=True, eq=False)
class Panel:
    """One metric of one surface under the name it is shown by, and the kind of scale it is drawn on.

    Of a surface that is not all measured, `surface` is the part that is drawn: its complete part where there is one.
    """

    name: str
    surface: Surface
    whole: Surface
    metric: Metric
    log: bool
    clip: float | None
    offset: float = 0.0

    @cached_property
    def layer(self) -> MaskedValues:
        """The values, sorted into those the scale can show and those it cannot."""
        return measured_layer(self.surface, self.metric.key, self.log, self.clip, self.offset)

    @property
    def share_measured(self) -> str:
        """How much of the metric is measured, in words; empty when all is."""
        if self.surface.shape != self.whole.shape:
            return describe_resolution(self.whole, self.surface)
        measured = ~self.layer.not_measured
        percent = 100 * measured.mean()
        return "" if measured.all() else f"incomplete: {'< 1' if 0 < percent < 1 else math.floor(percent)} % measured"

    @property
    def left_out(self) -> str:
        """How many measured points are not drawn because their neighbours are missing, in words; empty when all are."""
        return describe_left_out(self.whole, self.surface, self.metric.key)

    @property
    def title(self) -> str:
        """The name, and how much is measured when not all is."""
        return "\n".join(part for part in (self.name, self.share_measured) if part)


def gather(
    surfaces: Surface | Sequence[Surface],
    metric: str | None,
    log: bool,
    clip: float | None,
    names: Sequence[str] | None,
    offset: float = 0.0,
    every_point: bool = False,
) -> list[Panel]:
    """One panel for each plane, all showing one metric: of its complete part, or with `every_point` of all that is measured.

    Raises:
        InputError: for no surfaces, lines, or surfaces without the metric.
    """
    named = name_all(surfaces, "surface", names)
    key = metric if metric is not None else named[0][1].metric().key
    return [make_panel(name, surface, key, log, clip, offset, every_point) for name, surface in named]


def make_panel(
    name: str, surface: Surface, key: str, log: bool, clip: float | None, offset: float = 0.0, every_point: bool = False
) -> Panel:
    """The panel of the metric stored under `key`, of the surface's complete part or of every point.

    Raises:
        InputError: when the surface does not hold it.
    """
    if key not in surface.metrics:
        raise InputError(f'{name or "this surface"}: no metric "{key}": {did_you_mean(key, surface.metrics)}')
    part = None if every_point else surface.complete_part(key)
    return Panel(name, part or surface, surface, surface.metrics[key], log, clip, offset)


def name_all(surfaces: Surface | Sequence[Surface], kind: str, names: Sequence[str] | None) -> list[tuple[str, Surface]]:
    """The surfaces, all of one kind, with what each is called: the given names, else their problems, numbered where they repeat.

    Raises:
        InputError: for no surfaces, surfaces of another kind than `kind` (`line` or `surface`), or another number of names.
    """
    several = [surfaces] if isinstance(surfaces, Surface) else list(surfaces)
    if not several:
        raise InputError("there is no surface to draw; pass at least one")
    given = [str(surface.attributes.get("problem", "")) for surface in several] if names is None else list(names)
    given = [printable(name) for name in ([names] if isinstance(names, str) else given)]
    if len(given) != len(several):
        raise InputError(f"{len(given)} names for {len(several)} surfaces; pass one name for each")
    labels = [f"{name} ({given[: i + 1].count(name)})".lstrip() if given.count(name) > 1 else name for i, name in enumerate(given)]
    _check_kinds(several, labels, kind)
    return list(zip(labels, several, strict=True))


def printable(text: str) -> str:
    """A text fit for every format: control characters, which a name from a file may have and XML forbids, are question marks."""
    return "".join(letter if letter.isprintable() or letter == "\u00a0" else "?" for letter in text)


def _check_kinds(surfaces: Sequence[Surface], labels: Sequence[str], kind: str) -> None:
    noun = {"line": "line", "surface": "plane"}
    for surface, label in zip(surfaces, labels, strict=True):
        if surface.kind != surfaces[0].kind:
            raise InputError(
                f"one figure shows lines or planes, not both: {labels[0] or 'the first'} is a {noun[surfaces[0].kind]}, "
                f"{label or 'another'} is a {noun[surface.kind]}; draw them apart"
            )
    if surfaces[0].kind != kind:
        fitting = "curve" if kind == "surface" else "contour, filled, heatmap or relief"
        raise InputError(
            f"{labels[0] or 'this'} is a {noun[surfaces[0].kind]}, this figure shows {noun[kind]}s; draw it as {fitting}"
        )


def axis_label(axis: Axis, short: bool = False) -> str:
    """What an axis is: its name, its direction, and its unit, the length of that direction; `short` leaves out the particulars."""
    equals = ", median\u00a0" if axis.has_draws else "\u00a0=\u00a0"
    unit = "" if math.isnan(axis.norm) else " (unit ‖δ‖)" if short else f" (unit ‖δ‖{equals}{axis.norm:.4g})"
    text = axis.name if short or axis.label == axis.name else f"{axis.name}: {axis.label}"
    return text + unit if short else textwrap.fill(text + unit, 36, break_on_hyphens=False)


def label_axes(all_axes: Sequence[Axes], panels: Sequence[Panel]) -> None:
    """What the axes of planes are; between panels whose axes are the same, it is said at the sheet's edges only."""
    short = not style_of(all_axes[0]).notes  # else the caption has the particulars
    labels = [[axis_label(axis, short) for axis in panel.surface.axes] for panel in panels]
    alike = [
        len({(pair[k], panel.surface.axes[k].values.tobytes()) for pair, panel in zip(labels, panels, strict=True)}) == 1
        for k in (0, 1)
    ]
    for number, (axes, (x_label, y_label)) in enumerate(zip(all_axes, labels, strict=True)):
        if len(panels) > 1:
            axes.locator_params(nbins=4)
        place = axes.get_subplotspec()
        n_columns = place.get_gridspec().ncols if place is not None else 1
        if alike[0] and number + n_columns < len(panels):
            axes.tick_params(labelbottom=False)
        else:
            axes.set_xlabel(x_label)
        if alike[1] and number % n_columns:
            axes.tick_params(labelleft=False)
        else:
            axes.set_ylabel(y_label)


def name_panel(axes: Axes, panel: Panel, number: int, n_panels: int, height: float | None = None) -> None:
    """The panel's name above it; in a style without titles a letter and the name, small, where there are several to tell apart.

    A `height`, in shares of the panel, is a fixed place.
    """
    style = style_of(axes)
    if style.titles:
        axes.set_title(panel.title, y=height, pad=None if height is None else 0)
        return
    name = f"({chr(ord('a') + number % 26)}) {panel.name}" if n_panels > 1 else ""
    text = "\n".join(filter(None, (name, panel.share_measured)))
    if height is None:
        axes.set_title(text, loc="left", fontsize=style.small)
    elif text:
        axes.annotate(text, (0, height), xycoords="axes fraction", va="top", fontsize=style.small, gid="name")


def trim(figure: StyledFigure) -> None:
    """Cut what height a layout of square panels left empty, in a style where every line of a page counts."""
    engine = figure.get_layout_engine()
    if figure.style.page is None and not figure.style.notes and engine is not None:
        engine.execute(figure)
        used = figure.get_tightbbox().height
        figure.set_figheight(min(figure.get_figheight(), used + 0.08))


def sheet(
    n_panels: int, style: Style, height: float, n_columns: int | None = None, projection: str | None = None, compress: bool = False
) -> tuple[StyledFigure, list[Axes]]:
    """A figure of `n_panels` axes, and those axes; `compress` suits square axes.

    `height` is that of one panel, in inches, were it 3.3 inches wide.
    """
    if n_columns is None:
        n_columns = n_panels if n_panels <= 3 else math.ceil(math.sqrt(n_panels))
    n_rows = math.ceil(n_panels / n_columns)
    width, fixed = style.sheet_size(n_columns)
    figure = StyledFigure(
        style=style,
        figsize=(width, fixed or height * n_rows * width / n_columns / 3.3),
        layout=ConstrainedLayoutEngine(compress=compress, h_pad=0.04 * style.line_scale, w_pad=0.04 * style.line_scale),
        facecolor="white",
    )
    axes = [figure.add_subplot(n_rows, n_columns, i + 1, projection=projection) for i in range(n_panels)]
    return figure, axes


def metric_label(metric: Metric, split: bool = True) -> str:
    """A metric with its unit, for an axis."""
    return f"{metric.split + ' ' if split else ''}{metric.name}{f' ({metric.unit})' if metric.unit else ''}"


def tick_text(value: float) -> str:
    """A round number for the scale of values, the same on every axis: 0.01, 10000, and from there on as 1e6.

    >>> [tick_text(value) for value in (0.0, 0.01, 1e4, 1e6, -2.5e-7, 1e35)]
    ['0', '0.01', '10000', '1e6', '−2.5e−7', '1e35']
    """
    digits, e, power = f"{value:g}".partition("e")
    return (digits + (f"e{int(power)}" if e else "")).replace("-", "\N{MINUS SIGN}")


def colour_norm(scale: Scale) -> Normalize:
    """The matplotlib form of a scale; equal scales give equal norms."""
    if scale.log and scale.offset:
        return FuncNorm((scale.height, scale.value), scale.low, scale.high)
    return LogNorm(scale.low, scale.high) if scale.log else Normalize(scale.low, scale.high)


def colour_bar(figure: StyledFigure, axes: Sequence[Axes], scale: Scale, metric: Metric, clipped: bool) -> None:
    """The one colour bar of a figure, for all its panels."""
    mappable = ScalarMappable(colour_norm(scale), COLOUR_MAP)
    bar = figure.colorbar(mappable, ax=list(axes), extend="max" if clipped else "neither", aspect=28, pad=0.02, shrink=0.9)
    bar.set_label(", ".join(filter(None, (metric_label(metric), scale.words))))
    if scale.log:
        ticks = contour_levels(scale, fewest=3, most=8).tolist()
        bar.set_ticks(ticks, labels=[tick_text(tick) for tick in ticks], minor=False)
    bar.minorticks_off()
    if bar.solids is not None:
        bar.solids.set_rasterized(True)  # as 256 outlines it would show seams
    bar.outline.set_linewidth(0.4 * figure.style.line_scale)
