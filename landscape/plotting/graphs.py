"""Graphs of plain numbers, such as what a training wrote at each epoch, in the looks of the other figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from landscape.errors import InputError
from landscape.plotting.curves import COLOURS, DASHES
from landscape.plotting.marks import draw_legend
from landscape.plotting.panels import sheet
from landscape.plotting.styles import StyledFigure, style_named

__all__ = ["Graph", "Trace", "graphs"]


@dataclass(frozen=True, eq=False)
class Trace:
    """One curve: numbers `y` `(n,)` over `x` `(n,)`, or several of them, `(n_several, n)`, drawn as their median and whole range.

    Traces of one `name` have one colour, in all panels; `dash` tells them apart. The line breaks where a median is not finite, or has
    no logarithm.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    dash: int = 0
    dots: bool = False


@dataclass(frozen=True, eq=False)
class Graph:
    """One panel."""

    title: str
    x_label: str
    y_label: str
    traces: Sequence[Trace]
    log: bool = False
    log_x: bool = False


def graphs(panels: Sequence[Graph], style: str = "notebook", n_columns: int | None = None) -> StyledFigure:
    """Panels side by side under one legend, a colour for each name.

    Raises:
        InputError: for no panels, an unknown style, or a trace whose numbers are not as many as their places.
    """
    preset = style_named(style)
    if not panels:
        raise InputError("there is nothing to draw; pass at least one panel")
    names = list(dict.fromkeys(trace.name for panel in panels for trace in panel.traces))
    with preset.settings():
        figure, all_axes = sheet(len(panels), preset, height=2.3, n_columns=n_columns)
        for axes, panel in zip(all_axes, panels, strict=True):
            for trace in panel.traces:
                _draw(axes, trace, COLOURS[names.index(trace.name) % len(COLOURS)], panel.log)
            axes.set(title=panel.title, xlabel=panel.x_label, ylabel=panel.y_label)
            axes.set_yscale("log" if panel.log else "linear")
            axes.set_xscale("log" if panel.log_x else "linear")
            for axis, is_log in ((axes.xaxis, panel.log_x), (axes.yaxis, panel.log)):
                if is_log:  # matplotlib's own labels are formulas, which our styles do not set
                    axis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))
                    axis.set_minor_formatter(NullFormatter())
            axes.spines[["top", "right"]].set_visible(False)
            axes.margins(x=0.02)
            if not panel.log_x and all(np.equal(np.mod(trace.x, 1), 0).all() for trace in panel.traces):
                axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))  # epochs and layers come whole
        draw_legend(figure, [Line2D([], [], color=COLOURS[i % len(COLOURS)], label=name) for i, name in enumerate(names)])
    return figure


def _draw(axes: Axes, trace: Trace, colour: str, log: bool) -> None:
    several = np.atleast_2d(np.asarray(trace.y, dtype=np.float64))
    x = np.asarray(trace.x, dtype=np.float64)
    if several.shape[1:] != x.shape:
        raise InputError(f"{trace.name}: {several.shape[1]} numbers at {x.size} places; pass one for each")
    # The median and the range are of all that was measured; only then is left out what the axis cannot show.
    measured = ~np.isnan(several).all(axis=0)
    low, middle, high = (np.full(x.shape, np.nan) for _ in range(3))
    low[measured], high[measured] = np.nanmin(several[:, measured], axis=0), np.nanmax(several[:, measured], axis=0)
    with np.errstate(invalid="ignore"):  # the middle of -inf and inf is NaN
        middle[measured] = np.nanmedian(several[:, measured], axis=0)
    middle[~np.isfinite(middle) | ((middle <= 0) & log)] = np.nan
    dash = DASHES[trace.dash % len(DASHES)]
    axes.plot(x, middle, color=colour, ls="none" if trace.dots else dash, marker="o" if trace.dots else "", ms=3, gid="trace")
    if len(several) > 1:
        reach = np.isfinite(high) & ((high > 0) | (not log))
        least = several[several > 0].min(initial=np.inf)  # where a logarithm has no low end, as far down as any of its numbers
        bottom = np.where(low > 0, low, least) if log else low
        axes.fill_between(x, bottom, high, where=reach, color=colour, alpha=0.22, linewidth=0, gid="range")
