"""A surface in words: how it was made, its self-check and its numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from landscape.core.surface import Surface, shown_by
from landscape.measures import describe_audit, describe_errors, exactness
from landscape.report.verdict import describe_check

__all__ = ["describe", "tabulate"]

_NUMBERS = {
    "basin_radius": "basin radius",
    "basin_radius_weights": "basin radius × ‖δ‖",
    "basin_share": "basin share",
    "bump": "bump",
    "alpha_half": "α at half the drop",
    "convexity": "convexity",
    "turning_points": "turning points",
    "turning_points_between": "turning points in [0, 1]",
    "minima": "minima",
    "minimum": "minimum",
    "minimum_x": "  at x",
    "minimum_y": "  at y",
}


@shown_by
def describe(surface: Surface) -> str:
    """The surface as a page of text: provenance, values, self-check, numbers."""
    lines = [_title(surface), *(_axis(surface, i) for i in range(len(surface.axes)))]
    if "cosine" in surface.attributes:
        spread = surface.attributes.get("cosine_sd")
        random = f" (random ones: ±{spread:.4f})" if isinstance(spread, float) else ""
        lines.append(f"  cosine      {surface.attributes['cosine']:.4f}{random}")
    lines += _statistics(surface)
    lines += [
        f"  {name:<11} {surface.attributes[name]}"
        for name in ("objective", "ignore", "only", "filters", "precision")
        if surface.attributes.get(name)
    ]
    if surface.attributes.get("effective_weights"):
        lines.append(f"  effective   what moves is the weight a layer computes with: {surface.attributes['effective_weights']}")
    if surface.attributes.get("leaves_constraint"):
        lines.append(f"  constraint  holds at the origin alone for {surface.attributes['leaves_constraint']}")
    if surface.attributes.get("filters_by_default"):
        lines.append(
            f"  filters     along the first axis, which is a guess: {surface.attributes['filters_by_default']}; Problem(filters=...) says"
        )
    if surface.attributes.get("tolerance"):
        lines.append(f"  tolerance   {surface.attributes['tolerance']:g}: points used as many examples as that took")
    lines += (
        [f"  weights     sha256 {str(surface.attributes['weights_sha256'])[:16]}…"]
        if "weights_sha256" in surface.attributes
        else []
    )
    for split, data in surface.data.items():
        lines.append(
            f"  data        {split}: {data.get('used')} of {data.get('size')} examples ({data.get('order')}), sha256 {str(data.get('sha256'))[:16]}…"
        )
    lines += [
        "values",
        *_values(surface),
        *_points(surface),
        "self-check",
        *_checks(surface),
        "numbers",
        *_numbers(surface),
        "runs",
        *_runs(surface),
    ]
    return "\n".join(lines)


def _statistics(surface: Surface) -> list[str]:
    """What running statistics do, and why."""
    bn, reason = surface.attributes.get("bn"), surface.attributes.get("bn_reason")
    if not bn:
        return []
    if not reason and surface.attributes.get("bn_layers") == 0:
        reason = "the model keeps no running statistics"
    return [f"  bn          {bn}{f': {reason}' if reason else ''}"]


def tabulate(surface: Surface) -> dict[str, Any]:
    """The same for machines: plain numbers and texts by name; what is not finite is written as a text."""
    return {
        "kind": surface.kind,
        "shape": list(surface.shape),
        "complete": surface.complete,
        "axes": {axis.name: {"start": axis.values[0], "stop": axis.values[-1], "n": len(axis.values), **_plain(axis.attributes)} for axis in surface.axes},
        "attributes": _plain(surface.attributes),
        "data": {split: _plain(data) for split, data in surface.data.items()},
        "values": {key: {**_plain(_extent(surface, key)), "errors": _errors(surface, key)} for key in surface.metrics},
        "points": [
            {"name": point.name, "coordinates": list(point.coordinates), **_plain(point.values)} for point in surface.points
        ],
        "checks": _plain(surface.checks),
        "numbers": {name: _plain(asdict(number)) for name, number in surface.numbers.items()},
        "runs": [_plain(run) for run in surface.runs],
    }  # fmt: skip


def _errors(surface: Surface, key: str) -> dict[str, Any]:
    found = exactness(surface, key)
    told: dict[str, Any] = {"exact": found.exact, "unsure": found.n_unsure, "points": found.n_points}
    if math.isfinite(found.relative):
        told["relative_stderr"] = found.relative
    return told if found.interval is None else {**told, "interval": list(found.interval)}


def _plain(attributes: Any) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, list):
            return [plain(item) for item in value]
        return str(value) if isinstance(value, float) and not math.isfinite(value) else value

    return {str(name): plain(value) for name, value in attributes.items()}


def _title(surface: Surface) -> str:
    shape = " × ".join(str(n) for n in surface.shape)
    done = np.logical_and.reduce(list(surface.done.values()))
    state = "complete" if surface.complete else f"incomplete: {int(done.sum())} of {done.size} points measured"
    what = "plane" if surface.kind == "surface" else "line"
    return f"{surface.attributes.get('problem', 'a model')}: a {what} of {shape} points, {state}"


def _axis(surface: Surface, i: int) -> str:
    axis = surface.axes[i]
    median = "median " if axis.has_draws else ""
    length = f", {median}‖δ‖ = {axis.norm:.4g}" if math.isfinite(axis.norm) else ""
    return f"  {axis.name:<11} {axis.values[0]:g} to {axis.values[-1]:g} in {len(axis.values)} points: {axis.label}{length}"


def _extent(surface: Surface, key: str) -> dict[str, float]:
    values = surface.values[key][surface.done[key]]
    finite = values[np.isfinite(values)]
    result = {"min": float(finite.min()), "max": float(finite.max())} if finite.size else {}
    return result


def _values(surface: Surface) -> list[str]:
    lines = []
    for key, metric in surface.metrics.items():
        extent = _extent(surface, key)
        if "min" not in extent:
            lines.append(f"  {key:<15} nothing finite")
            continue
        told = f"{extent['min']:.6g} to {extent['max']:.6g} {metric.unit}".rstrip()
        lines.append(f"  {key:<15} {', '.join(filter(None, [told, describe_errors(surface, key)]))}")
    return lines


def _points(surface: Surface) -> list[str]:
    return [
        f"  {point.name} at ({', '.join(f'{c:g}' for c in point.coordinates)}): " + ", ".join(f"{key} {value:.6g}" for key, value in point.values.items())
        for point in surface.points
    ]  # fmt: skip


def _checks(surface: Surface) -> list[str]:
    checks = surface.checks
    if not checks:
        return ["  none"]
    lines = [f"  {describe_check(surface) or 'not made'}"]
    for name in checks:
        key = name.removesuffix("_reference").removesuffix("_apart")  # as 0.1.0 called it
        if key != name and key in checks:
            lines.append(f"  {key}: {checks[key]:.8g} on the surface, {checks[name]:.8g} evaluated independently")
    if "batch_size_difference" in checks:
        lines.append(
            f"  values depend on the batch size: {checks['batch_size_difference']:.2g} apart, relative, in another; it is fixed at "
            f"{surface.attributes.get('batch_size', 'none')}"
        )
    if "repeat_difference" in checks:
        lines.append(f"  the origin measured twice: losses {checks['repeat_difference']:.3g} apart")
    if "audit_points" in checks:
        allowed = checks.get("audit_tolerance", checks.get("audit_max_error", math.nan))  # the latter in files of version 0.1.0
        lines.append(
            f"  audit: {checks['audit_points']} points in fp32 as well, {checks.get('audit_relative', math.nan):.2g} apart at most, "
            f"relative ({allowed:g} allowed), {checks.get('audit_absolute', math.nan):.2g} absolute; "
            f"{checks.get('fp32_points', 'no')} points near the origin are in fp32"
        )
    lines += [f"  tolerance audit: {told}" for split in surface.data if (told := describe_audit(surface, split, one_by_one=True))]
    return [*lines, f"  not finite: {checks.get('nan_count', 0)} values"]


def _numbers(surface: Surface) -> list[str]:
    lines = [f"  {_NUMBERS.get(name, name):<24} {number}" for name, number in surface.numbers.items()]
    if any(name.startswith("basin") for name in surface.numbers):
        height = f"{surface.basin_level:g} {surface.metric().unit}".rstrip()
        lines.insert(0, f"  {'basins':<24} within {height} of the origin")
    return lines or ["  none"]


def _runs(surface: Surface) -> list[str]:
    lines = []
    for run in surface.runs:
        lines.append(f"  {run.get('command')}")
        if "device" not in run:  # imported: the file does not say
            continue
        seconds = run.get("seconds")
        ended = isinstance(seconds, float) and math.isfinite(seconds)
        took = f"{run.get('points')} points in {seconds:.1f} s" if ended else "still running, or killed,"
        lines.append(f"    {took} on {run['device']}, {run.get('n_ranks')} × {run.get('threads')} threads, {run.get('host')}")
        lines += _engine(run)
        version = f"{run.get('package_version')} {run.get('package_commit', '')}".strip()
        lines.append(f"    {run.get('started')}, version {version}, torch {run.get('torch')}")
    return lines


def _engine(run: Mapping[str, Any]) -> list[str]:
    """How a run computed, and how fast, where its file says so."""
    if "points_per_second" not in run:
        return [f"    {run.get('engine')}, batch {run.get('batch_size')}"]
    told = {name: run.get(name, math.nan) for name in ("points_per_second", "examples_per_second", "memory_peak")}
    shares = ", ".join(f"{name} {run.get(f'share_{name}', math.nan):.1%}" for name in ("model", "moving", "metrics", "overhead"))
    rates = f"{told['points_per_second']:.3g} points/s, {told['examples_per_second']:.3g} examples/s"
    return [
        f"    {run.get('engine')}, batch {run.get('batch_size')}: {rates}, memory peak {told['memory_peak'] / 2**30:.2g} GiB",
        f"    of the time {shares}",
    ]
