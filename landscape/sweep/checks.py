"""The self-check: the engine's values at the models in the plane against the models' own losses, and one point twice."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from landscape.errors import InputError
from landscape.objective import Engine, Measurement, Objective, Sample, measure_apart
from landscape.problem import Examples
from landscape.surface import Metric, Point, Surface
from landscape.sweep.ground import Model
from landscape.sweep.plan import Plan
from landscape.weights import difference, norm

__all__ = ["SelfCheck", "check_models", "measure_again", "metrics_of", "nan_counts"]

# How far the engine may be from the plain loop, as (relative, absolute in nats). Both add rounding errors of the same size in
# another order: some hundred operations deep, they differ by about 1e-6 of the loss, and where the loss is far below 1 by the
# rounding of logits of size 10. The lossy types have units of rounding of 2^-11 and 2^-8.
_ALLOWED = {"fp64": (1e-10, 1e-12), "fp32": (1e-5, 1e-6), "tf32": (1e-2, 1e-3), "bf16": (3e-2, 3e-3)}
_OWN_ROUNDINGS = 3
_LARGEST_APART = 100  # examples
_AGREEMENT = 1e-6  # a stored value measured again, relative
_LOSSY_AGREEMENT = 1e-2  # the same in tf32 and bf16, where another batch size or device rounds otherwise
_IN_PLANE = 1e-5  # a model lies in the plane when its distance is below this share of its distance from the origin


@dataclass
class SelfCheck:
    """What the check found: marks for the file, its attributes, the measured points by coordinates, and what to tell the user."""

    points: list[Point] = field(default_factory=list)
    attributes: dict[str, Any] = field(default_factory=dict)
    measured: dict[tuple[float, ...], Measurement] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)
    seconds: float = 0.0  # what a point costs, over all examples


def check_models(plan: Plan, objective: Objective, samples: Sequence[Sample], calibration: Examples | None) -> SelfCheck:
    """Measure each model that lies in the plane apart and through the engine, the origin twice, and compare.

    Where running statistics stay frozen at the origin's, another model's own loss is no check of the engine, and is only marked.
    """
    engine, check = objective.engine, SelfCheck()
    for model in plan.models:
        coordinates, lies_in = _place(plan, model)
        if not lies_in:
            continue
        weights, apart = model.weights, _apart(plan, model, engine, samples, calibration)
        at_origin = not any(coordinates)
        check.points.append(Point(model.name, coordinates[:2] if plan.n_draws == 1 else coordinates[:1], apart))
        if not at_origin and engine.bn == "frozen" and _other_statistics(plan, weights):
            check.attributes[f"{model.name}_compared"] = "no: running statistics stay at the origin's"
            continue
        measured = objective.measure(coordinates)
        if at_origin:
            measured = _repeat(check, objective, coordinates, measured)
            if not engine.tolerance:
                check.measured[coordinates] = measured
        name = "origin" if at_origin else model.name
        exact = {}
        if _disagreeing(measured, apart, engine.precision) and engine.dtype == torch.float32:
            exact = _apart(plan, model, engine, samples, calibration, torch.float64)
        _compare(check, name, measured, apart, exact, engine.precision)
    check.attributes["passed"] = int(not check.complaints)
    return check


def measure_again(plan: Plan, objective: Objective, samples: Sequence[Sample], old: Surface, place: str) -> None:
    """One stored point once more: other numbers mean that model code, loss or data are not what they were.

    Raises:
        InputError: when they differ.
    """
    splits = [sample.split for sample in samples]
    keys = [key for key in old.metrics if old.metrics[key].split in splits]
    stored = [i for i in old.grid.indices() if all(old.done[key][i] and np.isfinite(old.values[key][i]) for key in keys)]
    if not stored or not keys:
        return
    node = coordinates = old.grid.coordinates(stored[0])
    if old.kind == "line" and len(node) == 2:  # x and the seed of a draw
        draw = list(plan.axes[1].values).index(node[1])
        coordinates = tuple(node[0] if i == draw else 0.0 for i in range(plan.n_draws))
    again = objective.measure_all([coordinates])[0].estimates
    allowed = _LOSSY_AGREEMENT if objective.engine.lossy else _AGREEMENT
    where = ", ".join(f"{axis.name} = {c:g}" for axis, c in zip(plan.axes, node, strict=True))
    for key in keys:
        before, now = float(old.values[key][stored[0]]), again[key].value if key in again else math.nan
        if not abs(before - now) <= allowed * abs(before) + 1e-9:
            raise InputError(
                f"{place}: {key} at {where} is stored as {before:.9g} but measures {now:.9g} now; "
                "was the model's code or the loss changed? choose another name, or --overwrite to replace it"
            )


def metrics_of(plan: Plan, samples: Sequence[Sample], check: SelfCheck) -> list[Metric]:
    """What is measured, by split; the losses first."""
    found = []
    for key in check.points[0].values:
        split = max((sample.split for sample in samples if key.startswith(f"{sample.split}_")), key=len)  # train, or train_clean
        name = key.removeprefix(f"{split}_")
        found.append(Metric(split, name, plan.problem.loss.unit(name)))
    return sorted(found, key=lambda metric: metric.name != "loss")


def nan_counts(surface: Surface) -> dict[str, int]:
    """How many measured values are not finite, by metric, where there are any; and their sum as `nan_count`."""
    counts = {key: int((~np.isfinite(surface.values[key][surface.done[key]])).sum()) for key in surface.metrics}
    return {"nan_count": sum(counts.values()), **{f"nan_count_{key}": count for key, count in counts.items() if count}}


def _place(plan: Plan, model: Model) -> tuple[tuple[float, ...], bool]:
    origin = plan.models[0]
    n = len(plan.subspace.directions)
    if model is origin:
        return (0.0,) * n, True
    parameters = plan.parameters_of(model.weights)
    coordinates, distance = plan.subspace.project(parameters)
    length = norm(difference(parameters, origin.weights, parameters))
    # A least-squares solution misses whole numbers by rounding; a model's true place is exact.
    exact = tuple(float(round(c)) if abs(c - round(c)) < 1e-6 else c for c in coordinates)
    return exact, distance <= _IN_PLANE * length


def _apart(
    plan: Plan,
    model: Model,
    engine: Engine,
    samples: Sequence[Sample],
    calibration: Examples | None,
    dtype: torch.dtype | None = None,
) -> dict[str, float]:
    recalibrated = calibration if engine.bn == "recalibrated" else None
    size = engine.batch_size or 1
    if plan.problem.loss.per_example:
        size = min(_LARGEST_APART, max(1, 2 * size // 3))  # another size than the engine's, that fits the memory too
    return measure_apart(plan.original, model.stored, samples, engine.device, dtype or engine.dtype, recalibrated, size)


def _other_statistics(plan: Plan, weights: Mapping[str, Any]) -> bool:
    origin, parameters = plan.models[0].weights, set(plan.parameters_of(plan.models[0].weights))
    return any(name not in parameters and not origin[name].equal(weights[name]) for name in origin)


def _repeat(check: SelfCheck, objective: Objective, coordinates: tuple[float, ...], first: Measurement) -> Measurement:
    """Measure a point once more; the second, warm measurement also tells what a point costs."""
    second = objective.measure(coordinates)
    check.seconds = second.seconds
    gaps = [abs(estimate.value - first.estimates[key].value) for key, estimate in second.estimates.items()]
    worst = max((gap for gap in gaps if math.isfinite(gap)), default=0.0)
    check.attributes["repeat_difference"] = worst
    if worst > 0:
        check.complaints.append(
            f"the same point gave two values {worst:.2g} apart: the model or loss draws random numbers, or changes its inputs"
        )
    return second


def _disagreeing(measured: Measurement, apart: Mapping[str, float], precision: str) -> list[str]:
    """The losses that are further apart than the rounding of a usual network explains."""
    relative, absolute = _ALLOWED[precision]
    pairs = {key: (e.value, apart[key]) for key, e in measured.estimates.items() if key.endswith("_loss")}
    return [key for key, (value, own) in pairs.items() if not _agree(value, own, relative * abs(own) + absolute)]


def _agree(value: float, own: float, room: float) -> bool:
    """Whether two values are equal, both NaN, or finite and no further apart than there is room; to infinity there is no end of room."""
    return value == own or (math.isnan(value) and math.isnan(own)) or (math.isfinite(room) and abs(value - own) <= room)


def _compare(
    check: SelfCheck,
    name: str,
    measured: Measurement,
    apart: Mapping[str, float],
    exact: Mapping[str, float],
    precision: str,
) -> None:
    """Note both values, and complain where they differ by more than rounding explains.

    Some networks, deep ones without shortcuts above all, magnify rounding beyond what is usual. How much this one does is measured:
    by its own loss in float64, `exact`. A surface may be three times as far from the model's loss in fp32 as that is from the truth.
    """
    disagreeing = _disagreeing(measured, apart, precision)
    for key, estimate in measured.estimates.items():
        if not key.endswith("_loss"):
            continue
        own, value = apart[key], estimate.value
        check.attributes |= {f"{name}_{key}": value, f"{name}_{key}_apart": own}
        if math.isfinite(value) and math.isfinite(own):
            check.attributes[f"{name}_{key}_difference"] = abs(value - own) / max(abs(own), 1e-300)
        if key in exact:
            check.attributes[f"{name}_{key}_fp64"] = exact[key]
        rounding = abs(own - exact[key]) if key in exact else 0.0
        if key in disagreeing and not _agree(value, own, _OWN_ROUNDINGS * rounding):
            check.complaints.append(f"at {name} the surface has {key} {value:.7g}, the model itself {own:.7g}")
