"""What every figure has in common: the panels to draw, the sheet they stand on, titles, labels and notes."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from landscape.errors import InputError, nearest
from landscape.plotting.caveats import describe_left_out, describe_resolution
from landscape.plotting.scale import COLOUR_MAP, Layer, Scale, contour_levels, measured_layer
from landscape.surface import Axis, Metric, Surface

__all__ = [
    "PANEL_WIDTH",
    "Panel",
    "Sheet",
    "axis_label",
    "colour_bar",
    "colour_norm",
    "gather",
    "make_panel",
    "metric_label",
    "name_all",
    "sheet",
    "style",
]

PANEL_WIDTH = 3.3  # inches: one column of a paper
_STYLE: dict[str, Any] = {
    "font.size": 8, "axes.titlesize": 8, "axes.labelsize": 7.5, "xtick.labelsize": 7, "ytick.labelsize": 7, "legend.fontsize": 7,
    "axes.linewidth": 0.6, "xtick.major.width": 0.6, "ytick.major.width": 0.6, "xtick.major.size": 2.5, "ytick.major.size": 2.5,
    "xtick.minor.size": 1.5, "ytick.minor.size": 1.5, "xtick.minor.width": 0.4, "ytick.minor.width": 0.4,
    "lines.linewidth": 1.2, "hatch.linewidth": 0.5, "axes.labelpad": 2.0, "legend.frameon": False, "legend.handlelength": 1.8,
    "figure.dpi": 150, "pdf.fonttype": 42, "svg.hashsalt": "landscape",
}  # fmt: skip


def style() -> AbstractContextManager[None]:
    """The settings all figures are made and drawn under, whatever the reader's own matplotlib settings are."""
    return matplotlib.style.context(["default", _STYLE])


class Sheet(Figure):
    """A figure that belongs to no window and no global state, and still shows in a notebook."""

    def draw(self, renderer: RendererBase) -> None:
        """Draw under the house's settings: matplotlib reads some of them, hatches among them, only now."""
        with style():
            super().draw(renderer)

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=150)
        return buffer.getvalue()


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

    @cached_property
    def layer(self) -> Layer:
        """The values, sorted into those the scale can show and those it cannot."""
        return measured_layer(self.surface, self.metric.key, self.log, self.clip)

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
    every_point: bool = False,
) -> list[Panel]:
    """One panel for each plane, all showing one metric: of its complete part, or with `every_point` of all that is measured.

    Raises:
        InputError: for no surfaces, lines, or surfaces without the metric.
    """
    named = name_all(surfaces, "surface", names)
    key = metric if metric is not None else named[0][1].metric().key
    return [make_panel(name, surface, key, log, clip, every_point) for name, surface in named]


def make_panel(name: str, surface: Surface, key: str, log: bool, clip: float | None, every_point: bool = False) -> Panel:
    """The panel of the metric stored under `key`, of the surface's complete part or of every point.

    Raises:
        InputError: when the surface does not hold it.
    """
    if key not in surface.metrics:
        raise InputError(f'{name or "this surface"}: no metric "{key}": {nearest(key, surface.metrics)}')
    part = None if every_point else surface.complete_part(key)
    return Panel(name, part or surface, surface, surface.metrics[key], log, clip)


def name_all(surfaces: Surface | Sequence[Surface], kind: str, names: Sequence[str] | None) -> list[tuple[str, Surface]]:
    """The surfaces, all of one kind, with what each is called: the given names, else their problems, numbered where they repeat.

    Raises:
        InputError: for no surfaces, surfaces of another kind than `kind` (`line` or `surface`), or another number of names.
    """
    several = [surfaces] if isinstance(surfaces, Surface) else list(surfaces)
    if not several:
        raise InputError("there is no surface to draw; pass at least one")
    given = [str(surface.attributes.get("problem", "")) for surface in several] if names is None else list(names)
    if isinstance(names, str):
        given = [names]
    if len(given) != len(several):
        raise InputError(f"{len(given)} names for {len(several)} surfaces; pass one name for each")
    labels = [f"{name} ({given[: i + 1].count(name)})".lstrip() if given.count(name) > 1 else name for i, name in enumerate(given)]
    _check_kinds(several, labels, kind)
    return list(zip(labels, several, strict=True))


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


def axis_label(axis: Axis) -> str:
    """What an axis is: its name, its direction, and the length of that direction."""
    text = axis.name if axis.label == axis.name else f"{axis.name}: {axis.label}"
    if not math.isnan(axis.norm):
        text += f", ‖δ‖\u00a0=\u00a0{axis.norm:.4g}"
    return textwrap.fill(text, 36, break_on_hyphens=False)


def sheet(
    n_panels: int, height: float, n_columns: int | None = None, projection: str | None = None, compress: bool = False
) -> tuple[Sheet, list[Axes]]:
    """A figure of `n_panels` axes, each as wide as a column and `height` inches high, and those axes; `compress` suits square axes."""
    if n_columns is None:
        n_columns = n_panels if n_panels <= 3 else math.ceil(math.sqrt(n_panels))
    n_rows = math.ceil(n_panels / n_columns)
    figure = Sheet(
        figsize=(PANEL_WIDTH * n_columns, height * n_rows),
        layout=ConstrainedLayoutEngine(compress=compress),
        facecolor="white",
    )
    axes = [figure.add_subplot(n_rows, n_columns, i + 1, projection=projection) for i in range(n_panels)]
    return figure, axes


def metric_label(metric: Metric, split: bool = True) -> str:
    """A metric with its unit, for an axis."""
    return f"{metric.split + ' ' if split else ''}{metric.name}{f' ({metric.unit})' if metric.unit else ''}"


def colour_norm(scale: Scale) -> Normalize:
    """The matplotlib form of a scale; equal scales give equal norms."""
    return LogNorm(scale.low, scale.high) if scale.log else Normalize(scale.low, scale.high)


def colour_bar(figure: Figure, axes: Sequence[Axes], scale: Scale, metric: Metric, clipped: bool) -> None:
    """The one colour bar of a figure, for all its panels."""
    mappable = ScalarMappable(colour_norm(scale), COLOUR_MAP)
    bar = figure.colorbar(mappable, ax=list(axes), extend="max" if clipped else "neither", aspect=28, pad=0.02, shrink=0.9)
    bar.set_label(f"{metric_label(metric)}{', log scale' * scale.log}")
    if scale.log:
        ticks = contour_levels(scale, fewest=3, most=8).tolist()
        bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks], minor=False)
    bar.minorticks_off()
    bar.outline.set_linewidth(0.4)
