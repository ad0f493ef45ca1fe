"""Figures and films of surfaces: `curve` for lines; `contour`, `filled`, `heatmap` and `relief` for planes; `graphs` for plain numbers.

Belongs here: what matplotlib draws. Does not: numbers that are not about drawing (`measures`), sentences that the page shares (`report`).
"""

from __future__ import annotations

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
    "relief",
    "save",
]
