"""Figures, films and pages of surfaces: `curve` for lines, `contour`, `filled`, `heatmap` and `relief` for planes, `page` for both.
`graphs` draws plain numbers."""

from __future__ import annotations

from typing import Any

from landscape.plotting import backend  # noqa: F401  # first: it loads matplotlib, which may need some persuasion
from landscape.plotting.animation import animate, check_animation
from landscape.plotting.contours import contour, filled, heatmap
from landscape.plotting.curves import curve
from landscape.plotting.figures import figure, save
from landscape.plotting.graphs import Graph, Trace, graphs
from landscape.plotting.relief import relief

__all__ = [
    "Graph",
    "Trace",
    "animate",
    "check_animation",
    "contour",
    "curve",
    "figure",
    "filled",
    "graphs",
    "heatmap",
    "page",
    "relief",
    "save",
    "write_page",
]


def __getattr__(name: str) -> Any:
    """The interactive page, imported on use: matplotlib's figures need no plotly."""
    if name in ("page", "write_page"):
        from landscape.plotting import viewer

        return getattr(viewer, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
