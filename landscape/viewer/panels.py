"""The written part of the page: what each surface is, its numbers and how it was made, as HTML that no text can break out of."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from landscape.core.surface import Surface
from landscape.measures import describe_errors
from landscape.viewer.content import holes

__all__ = ["about", "escape", "heading", "stage"]

Row = tuple[str, Any]


def escape(value: Any) -> str:
    """Any value as text that is safe inside an element or a quoted attribute.

    >>> escape('<b title="x">'), escape(True), escape(0.1)
    ('&lt;b title=&quot;x&quot;&gt;', 'yes', '0.1')
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, (bool, np.bool_)):
        value = "yes" if value else "no"
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    text = ", ".join(str(part) for part in value) if isinstance(value, (list, tuple)) else str(value)
    return html.escape(text.encode("utf-8", "replace").decode("utf-8"))  # a lone surrogate would not survive the writing


def heading(titles: Sequence[str]) -> str:
    """The names of all surfaces, each its own element so that long ones wrap between names."""
    return " ".join(f"<span>{escape(title)}</span>" for title in titles)


def stage(surfaces: Sequence[Surface], titles: Sequence[str]) -> str:
    """Where the scripts draw: for planes a relief and a map each and the two cross-sections they share, for lines one chart."""
    planes = [(surface, title) for surface, title in zip(surfaces, titles, strict=True) if surface.kind == "surface"]
    parts = []
    if planes:
        reliefs = "".join(_relief(surface, title) for surface, title in planes)
        maps = "".join(_map(surface, title) for surface, title in planes)
        parts.append(
            f'<section class="stage" data-count="{len(planes)}" aria-label="Surfaces"><div class="reliefs">{reliefs}</div>'
            f'<div class="maps">{maps}</div>{_SECTIONS}</section>'
        )
    if len(planes) < len(surfaces):
        parts.append(
            '<section class="card along" aria-label="Lines"><h2>Along the line</h2><p class="caption" id="along"></p>'
            '<div class="plot lines" role="img" aria-label="Curves of all lines"></div></section>'
        )
    return "\n".join(parts)


def about(surfaces: Sequence[Surface], titles: Sequence[str]) -> str:
    """What each surface is, its numbers, its self-check and how it was made."""
    return "".join(_card(surface, title) for surface, title in zip(surfaces, titles, strict=True))


_SECTIONS = (
    '<section class="card sections" aria-label="Cross-sections"><header><h2 id="place">Cross-sections</h2>'
    '<button type="button" id="hold" aria-pressed="false" title="Hold the point where it is; a click on a map does the same">Hold</button></header>'
    '<div class="scroll" tabindex="0" role="region" aria-label="Values at the point"><table id="readout"></table></div><div class="charts">'
    '<div class="plot section" data-along="x" role="img" aria-label="Cross-section along x"></div>'
    '<div class="plot section" data-along="y" role="img" aria-label="Cross-section along y"></div></div></section>'
)


def _relief(surface: Surface, title: str) -> str:
    return (
        f'<article class="card relief"><header><h2>{escape(title)}</h2><p class="shape">{escape(_extent(surface))}</p></header>'
        f'<div class="scale" aria-hidden="true"></div><div class="plot plane" tabindex="0" role="application" '
        f'aria-label="3-D view of {escape(title)}; arrow keys turn it, plus and minus zoom"></div><p class="note"></p></article>'
    )


def _map(surface: Surface, title: str) -> str:
    axes = "; ".join(f"{axis.name}: {axis.label}" for axis in surface.axes if axis.label != axis.name)
    return (
        f'<article class="card chart"><header><h2>{escape(title)}</h2><p class="axes" title="{escape(axes)}">{escape(axes)}</p></header>'
        f'<div class="frame"><div class="plot map" tabindex="0" role="application" '
        f'aria-label="Contour map of {escape(title)}; arrow keys move the point, Enter holds it"></div></div></article>'
    )


def _card(surface: Surface, title: str) -> str:
    note = '<p class="note"></p>' if surface.kind == "line" else ""
    return (
        f'<article class="card facts-of"><header><h2>{escape(title)}</h2><p class="shape">{escape(_extent(surface))}</p></header>'
        f"{note}{_rows(_facts(surface), 'facts')}{_again(surface)}"
        f"{_details('Self-check', [_rows(_words(_single(surface.checks)), 'small')] if surface.checks else [])}"
        f"{_details('How it was made', _provenance(surface))}</article>\n"
    )


def _again(surface: Surface) -> str:
    """The command that makes the surface again: the first run's, which later ones only went on with."""
    command = next((str(run["command"]) for run in surface.runs if run.get("command")), "")
    return f'<div class="again"><h3>To make it again</h3>{_code(command)}</div>' if command else ""


def _code(text: str) -> str:
    return f'<div class="code"><pre tabindex="0"><code>{escape(text)}</code></pre><button type="button" class="copy">Copy</button></div>'


def _extent(surface: Surface) -> str:
    if surface.kind == "line":
        draws = f", {surface.n_draws} draws" if surface.n_draws > 1 else ""
        return f"line of {len(surface.x)} points{draws}"
    return f"{len(surface.x)} × {len(surface.y)} points"


def _facts(surface: Surface) -> list[Row]:
    """What a reader needs beside the picture: the problem, the measures, and how far the values can be trusted."""
    facts: list[Row] = [("problem", surface.attributes["problem"])] if surface.attributes.get("problem") else []
    facts += [(name.replace("_", " "), number) for name, number in surface.numbers.items()]
    facts += [(f"{split} examples", _examples(surface, split, counts)) for split, counts in surface.examples.items()]
    for key, metric in surface.metrics.items():
        if told := describe_errors(surface, key):
            facts.append((f"errors, {metric.split} {metric.name}", told))
    if surface.attributes.get("tolerance"):
        facts.append(("tolerance", surface.attributes["tolerance"]))
    first = surface.metric().key
    n_points, missing = surface.values[first].size, holes(surface, first)
    if missing["unmeasured"]:
        share = 100 * missing["unmeasured"] / n_points
        facts.append(("not measured yet", f"{missing['unmeasured']:,} of {n_points:,} points ({share:.3g}\u00a0%)"))
    return facts


def _examples(surface: Surface, split: str, counts: np.ndarray) -> str:
    """How many examples the measured points used, of how many there are."""
    used = counts[counts > 0]
    if used.size == 0:
        return "none yet"
    low, high = int(used.min()), int(used.max())
    text = f"{low:,}" if low == high else f"{low:,} to {high:,} a point"
    size = surface.data.get(split, {}).get("size")
    return text if size is None else f"{text} of {int(size):,}"


def _provenance(surface: Surface) -> list[str]:
    """The runs with their commands, then everything the file says of itself, its axes and its data."""
    parts = []
    for number, run in enumerate(surface.runs, start=1):
        command = _code(str(run["command"])) if "command" in run else ""
        rest = {key: value for key, value in run.items() if key != "command"}
        parts.append(f"<h3>Run {number}</h3>{command}{_rows(_words(rest), 'small')}")
    if surface.points:
        rows = [(f"{p.name} at ({', '.join(f'{c:g}' for c in p.coordinates)})", _values(p.values)) for p in surface.points]
        parts.append(f"<h3>Models in it</h3>{_rows(rows, 'small')}")
    if surface.attributes:
        parts.append(f"<h3>Surface</h3>{_rows(_words(surface.attributes), 'small')}")
    for axis in surface.axes:
        if axis.attributes:
            parts.append(f"<h3>Axis {escape(axis.name)}</h3>{_rows(_words(axis.attributes), 'small')}")
    for split, attributes in surface.data.items():
        parts.append(f"<h3>Data, {escape(split)}</h3>{_rows(_words(attributes), 'small')}")
    return parts


def _values(values: Mapping[str, float]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {value:.6g}" for key, value in values.items())


def _single(checks: Mapping[str, Any]) -> dict[str, Any]:
    """The checks without what a tolerance's audit found point by point."""
    return {name: value for name, value in checks.items() if not isinstance(value, list)}


def _words(attributes: Mapping[str, Any]) -> list[Row]:
    return [(key.replace("_", " "), value) for key, value in attributes.items()]


def _rows(rows: Iterable[Row], kind: str) -> str:
    inner = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in rows)
    return f'<dl class="{kind}">{inner}</dl>' if inner else ""


def _details(summary: str, parts: Sequence[str]) -> str:
    return f"<details><summary>{summary}</summary>{''.join(parts)}</details>" if parts else ""
