"""How a run computes: as asked, as the file to go on with was, or as is found to be fastest; decided once, by rank 0."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from landscape.core.surface import Surface
from landscape.errors import InputError, UserCodeError, in_a_line
from landscape.evaluate import Engine, Objective, Sample, agree, calibrate, has_images, main_type, out_of_memory
from landscape.progress import Progress, duration
from landscape.sweep.options import Options, seconds_of
from landscape.sweep.plan import Plan

__all__ = ["described", "settle"]

_SHORT_RUN = 30.0  # seconds; trying out engines takes a few, and below this the usual one is as good
_FEW, _MANY = 64, 8192  # examples of a first trial
_STORED = {
    "engine": "mode",
    "batch_size": "batch_size",
    "lanes": "points_per_pass",
    "channels_last": "channels_last",
    "folded": "folded",
}


def settle(
    plan: Plan,
    options: Options,
    device: torch.device,
    samples: Sequence[Sample],
    old: Surface | None,
    n_ranks: int,
    progress: Progress,
) -> Engine:
    """The engine of a run.

    A resumed run computes as the file says it was begun. One that is short, or told its engine, is not tried out: what it computes
    with follows from the problem alone. A model that cannot be compiled or mapped over is computed eagerly.

    Raises:
        InputError: for settings that do not go together.
    """
    precision = options.precision or ("fp64" if main_type(plan.problem.model) == torch.float64 else "fp32")
    asked = {"batch_size": options.batch_size, "mode": options.engine}
    given = {**_stored(old), **{name: value for name, value in asked.items() if value is not None}}
    engine = Engine(device, precision, bn=plan.bn, tolerance=options.tolerance, offload=options.offload, **given)
    engine, seconds = _tried(plan, samples, engine, progress)
    if "batch_size" not in given:
        engine = replace(engine, batch_size=min(engine.batch_size or 1, max(sample.size for sample in samples)))
    limit = seconds_of(options.time_limit)
    total = seconds * _n_left(plan, samples, old)  # not the share of a rank: the engine must not depend on how many there are
    if _stored(old) or options.engine is not None or total < _SHORT_RUN or not plan.problem.per_example:
        return engine
    n_points = math.ceil(min(total / n_ranks, math.inf if limit is None else limit) / seconds)
    found = calibrate(plan.problem, plan.subspace, samples, engine, n_points, options.batch_size is not None)
    if found.engine == engine:
        progress.note(f"engine: {described(engine)}, as nothing tried was faster by a tenth")
    else:
        progress.note(
            f"engine: {described(found.engine)}, {found.seconds_before / found.seconds:.2f} × the speed of {described(engine)} "
            f"({duration(found.seconds)} instead of {duration(found.seconds_before)} a point)"
        )
    return found.engine


def described(engine: Engine) -> str:
    """An engine in a few words."""
    layout = "channels last" if engine.channels_last else "channels first"
    layout += ", batch norm folded" if engine.folded else ""
    points_per_pass = f" {engine.points_per_pass} points at once" if engine.mode == "batched" else ""
    return f"{engine.mode}{points_per_pass}, batch {engine.batch_size}, {layout}"


def _stored(old: Surface | None) -> dict[str, Any]:
    """The settings a file was begun with; a file of another origin has none."""
    run: Mapping[str, Any] = old.runs[-1] if old is not None and old.runs else {}
    kinds = {"engine": str, "batch_size": int, "lanes": int, "channels_last": bool, "folded": bool}
    return {
        field: kinds[name](run[name])
        for name, field in _STORED.items()
        if name in run and (name != "lanes" or run.get("engine") == "batched")
    }


def _n_left(plan: Plan, samples: Sequence[Sample], old: Surface | None) -> int:
    """How many points are not measured yet on every split."""
    losses = [f"{sample.split}_loss" for sample in samples]
    if old is None or not all(key in old.done for key in losses):
        return plan.grid.n_points
    return plan.grid.n_points - int(np.logical_and.reduce([old.done[key] for key in losses]).sum())


def _tried(plan: Plan, samples: Sequence[Sample], engine: Engine, progress: Progress) -> tuple[Engine, float]:
    """The engine with its batch size settled, eager where it fails otherwise, and about what a point costs, in seconds."""
    n = _FEW if engine.mode == "eager" else _MANY  # what is compiled is compiled for whole batches
    part = [replace(sample, examples=sample.examples.select(np.arange(min(sample.size, n)))) for sample in samples]
    objective = None
    try:
        objective = Objective(plan.problem, plan.subspace, part, engine)
        objective.trial()
        started = time.perf_counter()
        n_examples = objective.trial()
        seconds = (time.perf_counter() - started) / n_examples * sum(sample.size for sample in samples)
        _check_batched(objective)
    except Exception as error:
        if out_of_memory(error):  # it is halved later, when every rank has tried its own memory
            return objective.engine if objective is not None else replace(engine, batch_size=engine.batch_size or 1), 0.0
        if isinstance(error, InputError):
            raise
        if engine.channels_last and has_images(plan.problem.model):  # x.view(n, -1) after a convolution wants the plain layout
            return _tried(plan, samples, replace(engine, channels_last=False), progress)
        if engine.mode == "eager":
            raise
        cause = error.__cause__ if isinstance(error, UserCodeError) and error.__cause__ is not None else error
        progress.note(f"the model cannot be {engine.mode} ({in_a_line(cause)[:120]}); computing eagerly")
        return _tried(plan, samples, replace(engine, mode="eager"), progress)
    return objective.engine, seconds


def _check_batched(objective: Objective) -> None:
    """A model that holds its weights in other ways than as parameters stays where it is when they are replaced.

    Raises:
        RuntimeError: when points computed at once are not those points.
    """
    if objective.engine.mode != "batched":
        return
    place = (0.1,) * objective.n_directions
    (at_once,) = objective.measure_all([place])  # first, while the model itself stands elsewhere
    if not agree(objective.measure(place), at_once, 1e-2 if objective.engine.reduced_precision else 1e-4):
        raise RuntimeError("points computed at once get other values")
