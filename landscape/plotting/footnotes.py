"""The small print under a figure: what was measured on how much, how exactly, and what the drawing leaves out."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np

from landscape.core.surface import Surface
from landscape.measures import describe_audit, describe_errors
from landscape.plotting.marks import model_places, wording
from landscape.plotting.panels import Panel, axis_label, printable
from landscape.plotting.styles import StyledFigure
from landscape.report import describe_check
from landscape.report.caveats import describe_examples, describe_policies, describe_precision

__all__ = ["draw_notes", "note_lines"]


def draw_notes(figure: StyledFigure, panels: Sequence[Panel], directions: bool = False) -> None:
    """Give the figure its caption; in a style with small print write the notes under the panels too, growing the figure.

    With `directions` the notes say what the axes are; the caption always does.
    """
    names = list(dict.fromkeys(panel.name for panel in panels))
    told = [", ".join(filter(None, names)), *note_lines(panels, directions=True)]
    figure.caption = printable("; ".join(filter(None, told)))
    width = int(figure.get_figwidth() * 20.5)  # characters of this size in one inch
    lines = [line for note in note_lines(panels, directions) for line in textwrap.wrap(note, width, subsequent_indent="   ")]
    if lines and figure.style.notes:
        figure.set_figheight(figure.get_figheight() + 0.06 + 0.115 * len(lines))  # inches
        figure.supxlabel("\n".join(lines), x=0.02, ha="left", fontsize=figure.style.smallest, color="0.25", linespacing=1.25)


def note_lines(panels: Sequence[Panel], directions: bool = False) -> list[str]:
    """The notes of all panels, each once; one that does not hold for every surface starts with the names it holds for."""
    owners: dict[str, list[str]] = {}
    names = list(dict.fromkeys(panel.name for panel in panels))
    for name in names:
        own = [panel for panel in panels if panel.name == name]
        axes = [axis_label(axis).replace("\n", " ") for axis in own[0].surface.axes if directions and axis.label != axis.name]
        notes = [
            *axes,
            *(panel.left_out for panel in own),
            *(describe_examples(panel.surface, panel.metric.split) for panel in own),
            *_errors(own),
            *(describe_audit(panel.whole, panel.metric.split) for panel in own),
            describe_precision(own[0].whole),
            *_left_out(own),
            describe_check(own[0].whole),
            *_outside(own[0].surface),
        ]
        for note in dict.fromkeys(filter(None, notes)):
            owners.setdefault(note, []).append(name)
    told = [note if len(holders) == len(names) else f"{', '.join(holders)}: {note}" for note, holders in owners.items()]
    policies = describe_policies([panel.surface for panel in panels], [panel.name for panel in panels])
    return [*told, policies] if policies else told


def _errors(panels: Sequence[Panel]) -> list[str]:
    """What the errors of what is drawn of one surface say, each word once with the metrics it holds for."""
    notes: dict[str, list[str]] = {}
    for panel in panels:
        drawn = np.isfinite(panel.layer.values) & ~panel.layer.clipped
        note = describe_errors(panel.surface, panel.metric.key, drawn if drawn.shape == panel.surface.shape else None)
        cut = " of what is not cut off" if panel.layer.clipped.any() else ""
        notes.setdefault(note.replace(" of the value", f" of the value{cut}"), []).append(_what(panel))
    return [f"{note} ({', '.join(metrics)})" for note, metrics in notes.items() if note]


def _left_out(panels: Sequence[Panel]) -> list[str]:
    """How many points of one surface bear which mark; what is not measured stands in the title or the legend."""
    notes: dict[str, list[str]] = {}
    for name in ("not_finite", "not_positive", "clipped"):
        for panel in panels:
            mask = getattr(panel.layer, name)
            if mask.any():
                largest = f", up to {panel.layer.values[mask].max():.4g}" if name == "clipped" else ""
                note = f"{mask.sum():,} of {panel.surface.grid.n_points:,} points {wording(name, panel.clip)}{largest}"
                notes.setdefault(note, []).append(_what(panel))
    return [f"{note} ({', '.join(metrics)})" for note, metrics in notes.items()]


def _outside(surface: Surface) -> list[str]:
    return [
        f"{name} at ({', '.join(f'{c:.3g}' for c in place)}) lies outside"
        for name, place in model_places(surface)
        if name and any(not axis.values.min() <= c <= axis.values.max() for axis, c in zip(surface.axes, place, strict=False))
    ]


def _what(panel: Panel) -> str:
    return f"{panel.metric.split} {panel.metric.name}"
