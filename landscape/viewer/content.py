"""What the page draws: every surface as plain numbers and texts, ready for JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from landscape.core.surface import Point, Surface
from landscape.errors import InputError
from landscape.measures import describe_audit, describe_errors
from landscape.report import describe_check
from landscape.report.caveats import (
    describe_examples,
    describe_left_out,
    describe_policies,
    describe_precision,
    describe_resolution,
    is_approximate,
)
from landscape.viewer.packing import Packer

__all__ = ["content", "embed", "holes"]

# Perceptually uniform, and safe for colour-blind readers; the first is what a page opens with.
COLOUR_MAPS = ("viridis", "cividis", "plasma", "inferno", "magma")
_STOPS = 33


def content(surfaces: Sequence[Surface], titles: Sequence[str]) -> dict[str, Any]:
    """`surfaces` as a mapping of lists, numbers and texts: the metrics offered, then the planes and the lines in their order.

    Arrays stand in `numbers`, one text made by a `Packer`; where an array belongs, its reference is.

    Raises:
        InputError: when no metric is in all surfaces.
    """
    keys = [key for key in surfaces[0].metrics if all(key in surface.metrics for surface in surfaces)]
    if not keys:
        held = "; ".join(f"{title}: {', '.join(surface.metrics)}" for title, surface in zip(titles, surfaces, strict=True))
        raise InputError(f"these surfaces have no metric in common ({held}); show them on pages of their own")
    wanted = surfaces[0].metric().key
    metrics = [surfaces[0].metrics[key] for key in keys]
    packer = Packer()
    pairs = list(zip(surfaces, titles, strict=True))
    planes = [_plane(surface, title, keys, packer) for surface, title in pairs if surface.kind == "surface"]
    lines = [_line(surface, title, keys, packer) for surface, title in pairs if surface.kind == "line"]
    if policies := describe_policies(surfaces, titles):
        for notes in (notes for drawn in (*planes, *lines) for notes in drawn["notes"].values()):
            notes.append(_sentence(policies))
    return {
        "metrics": [
            {
                "key": metric.key,
                "split": metric.split,
                "name": metric.name,
                "label": f"{metric.split} {metric.name}",
                "unit": metric.unit,
            }
            for metric in metrics
        ],
        "metric": wanted if wanted in keys else keys[0],
        "colours": _colours(),
        "planes": planes,
        "lines": lines,
        "numbers": packer.text(),
    }


def embed(data: Mapping[str, Any]) -> str:
    """JSON that may stand inside a script element whatever texts it holds; numbers with all their digits.

    >>> embed({"name": "</script>", "value": 0.1})
    '{"name":"\\\\u003c/script\\\\u003e","value":0.1}'
    """
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))  # ASCII only: U+2028 and its like arrive escaped
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def holes(surface: Surface, key: str) -> dict[str, int]:
    """How many points of a metric have no number to draw, by reason: not measured yet, measured as NaN, as infinite."""
    values, done = surface.values[key], np.asarray(surface.done[key], dtype=bool)
    return {
        "unmeasured": int((~done).sum()),
        "nan": int((done & np.isnan(values)).sum()),
        "infinite": int((done & np.isinf(values)).sum()),
    }


def _plane(surface: Surface, title: str, keys: Sequence[str], packer: Packer) -> dict[str, Any]:
    origins = {key: surface.origin(key) for key in keys}
    return {
        **_drawn(surface, title, keys, packer),
        **_beyond(surface, keys, packer),
        "y_label": surface.axes[1].label,
        "basin_level": surface.basin_level,
        "origin": {key: value for key, value in origins.items() if np.isfinite(value)},
    }


def _line(surface: Surface, title: str, keys: Sequence[str], packer: Packer) -> dict[str, Any]:
    """A line: `values` holds one row of `nx` for each draw; for several draws the quartiles between them stand beside."""
    line = {**_drawn(surface, title, keys, packer), "quartiles": {}, "draws": []}
    if surface.n_draws > 1:
        parts = _parts(surface, keys)
        line["draws"] = [_text(seed) for seed in surface.axes[1].values.tolist()]
        line["quartiles"] = {key: packer.add(_quartiles(parts[surface.metrics[key].split], key)) for key in keys}
    return line


def _drawn(surface: Surface, title: str, keys: Sequence[str], packer: Packer) -> dict[str, Any]:
    """What planes and lines have alike: of a split that is not all measured the complete part, on a grid of its own."""
    parts = _parts(surface, keys)
    part_of = {key: parts[surface.metrics[key].split] for key in keys}
    return {
        "name": title,
        "grids": {split: {axis.name: axis.values.tolist() for axis in part.axes} for split, part in parts.items()},
        "x_label": surface.axes[0].label,
        "holes": {key: holes(part, key) for key, part in part_of.items()},
        "notes": {key: _notes(surface, part, key) for key, part in part_of.items()},
        "points": [_point(point) for point in surface.points],
        "values": {key: packer.add(_rows(_measured(part, key))) for key, part in part_of.items()},
        **{kind: _packed(part_of, kind, packer) for kind in ("stderr", "low", "high")},
        "examples": {split: packer.add(_rows(part.examples[split])) for split, part in parts.items() if split in part.examples},
    }


def _packed(part_of: Mapping[str, Surface], kind: str, packer: Packer) -> dict[str, Any]:
    """One kind of error of those metrics that have it."""
    return {key: packer.add(_rows(getattr(part, kind)[key])) for key, part in part_of.items() if key in getattr(part, kind)}


def _beyond(surface: Surface, keys: Sequence[str], packer: Packer) -> dict[str, Any]:
    """The measured points of a plane beyond its complete part, by split: their coordinates, and a row of values for each metric."""
    parts = _parts(surface, keys)
    beyond: dict[str, dict[str, list[float]]] = {}
    values = {}
    for split, part in parts.items():
        own = [key for key in keys if surface.metrics[key].split == split]
        measured = np.logical_and.reduce([np.asarray(surface.done[key], dtype=bool) for key in own])
        inside = np.ix_(*(np.isin(axis.values, kept.values) for axis, kept in zip(surface.axes, part.axes, strict=True)))
        measured[inside] = False
        i, j = np.nonzero(measured)
        beyond[split] = {"x": surface.axes[0].values[i].tolist(), "y": surface.axes[1].values[j].tolist()}
        values.update({key: packer.add(surface.values[key][i, j][None, :]) for key in own})
    return {"beyond": beyond, "values_beyond": values}


def _colours() -> dict[str, list[str]]:
    """The colour maps, each as colours at equal steps from its lower to its upper end."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return {name: [to_hex(colormaps[name](stop)) for stop in np.linspace(0, 1, _STOPS)] for name in COLOUR_MAPS}


def _parts(surface: Surface, keys: Sequence[str]) -> dict[str, Surface]:
    """The part of a surface on which all of `keys` are measured, by split; the surface itself where there is none."""
    parts: dict[str, Surface] = {}
    for split in dict.fromkeys(surface.metrics[key].split for key in keys):
        part: Surface | None = surface
        for key in keys:
            part = part.complete_part(key) if part is not None and surface.metrics[key].split == split else part
        parts[split] = surface if part is None else part
    return parts


def _notes(surface: Surface, part: Surface, key: str) -> list[str]:
    """What a reader must know of the values drawn, in sentences."""
    left_out = describe_left_out(surface, part, key)
    if surface.kind == "surface":  # where the page has dots for them
        left_out = left_out.replace("is not drawn", "is drawn as a dot").replace("are not drawn", "are drawn as dots")
    notes = [describe_resolution(surface, part), left_out, describe_errors(part, key)]
    if is_approximate(surface):
        notes[2:2] = [describe_examples(part, part.metrics[key].split)]
        notes += [describe_audit(surface, part.metrics[key].split), describe_precision(surface)]
    notes.append(describe_check(surface))
    return [_sentence(note) for note in notes if note]


def _sentence(note: str) -> str:
    return f"{note[0].upper()}{note[1:]}."


def _point(point: Point) -> dict[str, Any]:
    values = {key: float(value) for key, value in point.values.items() if np.isfinite(value)}
    return {"name": point.name, "coordinates": [float(c) for c in point.coordinates], "values": values}


def _measured(surface: Surface, key: str) -> np.ndarray:
    return np.where(np.asarray(surface.done[key], dtype=bool), surface.values[key], np.nan)


def _rows(values: np.ndarray) -> np.ndarray:
    """The one transpose of the page: `[x, y]` becomes rows of y, as Plotly wants them; `[x]` becomes a single row."""
    return np.atleast_2d(np.asarray(values, dtype=np.float64).T)


def _quartiles(surface: Surface, key: str) -> np.ndarray:
    """Quartiles `(3, nx)` over the draws measured at each x; NaN where none is, or where a draw gave NaN and has no rank."""
    values, done = surface.values[key], np.asarray(surface.done[key], dtype=bool)
    quartiles = np.full((3, len(values)), np.nan)
    for i, (row, measured) in enumerate(zip(values, done, strict=True)):
        if measured.any() and not np.isnan(row[measured]).any():
            with np.errstate(invalid="ignore"):  # between two infinite draws the quartile is NaN: a hole, as it should be
                quartiles[:, i] = np.quantile(row[measured], [0.25, 0.5, 0.75])
    return quartiles


def _text(value: float) -> str:
    return f"{value:g}"
