"""The written part of the page: what each surface is, its numbers and how it was made, as HTML that no text can break out of."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from landscape.plotting.viewer.content import holes
from landscape.surface import Surface

__all__ = ["cards", "escape", "heading"]

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


def cards(surfaces: Sequence[Surface], titles: Sequence[str]) -> str:
    """The planes' drawings with their panels, then one drawing for all lines with theirs."""
    planes = [(s, title) for s, title in zip(surfaces, titles, strict=True) if s.kind == "surface"]
    lines = [(s, title) for s, title in zip(surfaces, titles, strict=True) if s.kind == "line"]
    parts = []
    if planes:
        inner = "".join(_card(surface, title, '<div class="plot plane"></div>') for surface, title in planes)
        parts.append(f'<section class="grid" data-count="{len(planes)}" aria-label="Surfaces">{inner}</section>')
    if lines:
        drawing = '<section class="card" aria-label="Lines"><h2>Along the line</h2><div class="plot lines"></div></section>'
        inner = "".join(_card(surface, title, "") for surface, title in lines)
        parts.append(f'{drawing}<section class="grid" data-count="{len(lines)}" aria-label="Lines in numbers">{inner}</section>')
    return "\n".join(parts)


def _card(surface: Surface, title: str, drawing: str) -> str:
    scale = '<div class="scale" aria-hidden="true"></div>' if drawing else ""
    return (
        f'<article class="card"><header><h2>{escape(title)}</h2><p class="shape">{escape(_extent(surface))}</p></header>'
        f'{scale}{drawing}<p class="note" role="status"></p>{_rows(_facts(surface), "facts")}'
        f"{_details('Self-check', [_rows(_words(surface.checks), 'small')] if surface.checks else [])}"
        f"{_details('How it was made', _provenance(surface))}</article>\n"
    )


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
    for key, errors in surface.stderr.items():
        finite = errors[np.isfinite(errors)]
        if finite.size:
            metric = surface.metrics[key]
            text = f"median {np.median(finite):.3g}, at most {finite.max():.3g} {metric.unit}".rstrip()
            facts.append((f"standard error, {metric.split} {metric.name}", text))
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
        command = f"<pre><code>{escape(run['command'])}</code></pre>" if "command" in run else ""
        rest = {key: value for key, value in run.items() if key != "command"}
        parts.append(f"<h3>Run {number}</h3>{command}{_rows(_words(rest), 'small')}")
    if surface.attributes:
        parts.append(f"<h3>Surface</h3>{_rows(_words(surface.attributes), 'small')}")
    for axis in surface.axes:
        if axis.attributes:
            parts.append(f"<h3>Axis {escape(axis.name)}</h3>{_rows(_words(axis.attributes), 'small')}")
    for split, attributes in surface.data.items():
        parts.append(f"<h3>Data, {escape(split)}</h3>{_rows(_words(attributes), 'small')}")
    return parts


def _words(attributes: Mapping[str, Any]) -> list[Row]:
    return [(key.replace("_", " "), value) for key, value in attributes.items()]


def _rows(rows: Iterable[Row], kind: str) -> str:
    inner = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in rows)
    return f'<dl class="{kind}">{inner}</dl>' if inner else ""


def _details(summary: str, parts: Sequence[str]) -> str:
    return f"<details><summary>{summary}</summary>{''.join(parts)}</details>" if parts else ""
