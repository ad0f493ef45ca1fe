"""How a run computes: as asked, as the file to go on with was, or eagerly; decided once, by rank 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from landscape.core.surface import Surface
from landscape.errors import InputError, UserCodeError, in_a_line
from landscape.evaluate import Engine, Objective, Sample, has_images, main_type, out_of_memory
from landscape.progress import Progress
from landscape.sweep.agreement import agree
from landscape.sweep.options import Options
from landscape.sweep.plan import Plan

__all__ = ["settle"]

_FEW, _MANY = 64, 8192  # examples of a first trial
_STORED = {
    "engine": "mode",
    "batch_size": "batch_size",
    "lanes": "points_per_pass",
    "channels_last": "channels_last",
}


def settle(
    plan: Plan, options: Options, device: torch.device, samples: Sequence[Sample], old: Surface | None, progress: Progress
) -> Engine:
    """The engine of a run.

    A resumed run computes as the file says it was begun. Any other computes as asked, by default with what follows from the problem
    alone, so that two runs share their last digits. A model that cannot be compiled or mapped over is computed eagerly.

    Raises:
        InputError: for settings that do not go together.
    """
    precision = options.precision or ("fp64" if main_type(plan.problem.model) == torch.float64 else "fp32")
    asked = {"batch_size": options.batch_size, "mode": options.engine}
    given = {**_stored(old), **{name: value for name, value in asked.items() if value is not None}}
    engine = Engine(device, precision, bn=plan.bn, tolerance=options.tolerance, offload=options.offload, **given)
    engine = _tried(plan, samples, engine, progress)
    if "batch_size" not in given:
        engine = replace(engine, batch_size=min(engine.batch_size or 1, max(sample.size for sample in samples)))
    return engine


def _stored(old: Surface | None) -> dict[str, Any]:
    """The settings a file was begun with; a file of another origin has none."""
    run: Mapping[str, Any] = old.runs[-1] if old is not None and old.runs else {}
    kinds = {"engine": str, "batch_size": int, "lanes": int, "channels_last": bool}
    return {
        field: kinds[name](run[name])
        for name, field in _STORED.items()
        if name in run and (name != "lanes" or run.get("engine") == "batched")
    }


def _tried(plan: Plan, samples: Sequence[Sample], engine: Engine, progress: Progress) -> Engine:
    """The engine with its batch size settled, eager where it fails otherwise."""
    n = _FEW if engine.mode == "eager" else _MANY  # what is compiled is compiled for whole batches
    part = [replace(sample, examples=sample.examples.select(np.arange(min(sample.size, n)))) for sample in samples]
    objective = None
    try:
        objective = Objective(plan.problem, plan.subspace, part, engine)
        objective.trial()
        _check_batched(objective)
    except Exception as error:
        if out_of_memory(error):  # it is halved later, when every rank has tried its own memory
            return objective.engine if objective is not None else replace(engine, batch_size=engine.batch_size or 1)
        if isinstance(error, InputError):
            raise
        if engine.channels_last and has_images(plan.problem.model):  # x.view(n, -1) after a convolution wants the plain layout
            return _tried(plan, samples, replace(engine, channels_last=False), progress)
        if engine.mode == "eager":
            raise
        cause = error.__cause__ if isinstance(error, UserCodeError) and error.__cause__ is not None else error
        progress.note(f"the model cannot be {engine.mode} ({in_a_line(cause)[:120]}); computing eagerly")
        return _tried(plan, samples, replace(engine, mode="eager"), progress)
    return objective.engine


def _check_batched(objective: Objective) -> None:
    """A model that holds its weights in other ways than as parameters stays where it is when they are replaced.

    Raises:
        RuntimeError: when points computed at once are not those points.
    """
    if objective.engine.mode != "batched":
        return
    place = (0.1,) * objective.n_directions
    (at_once,) = objective.measure_all([place])  # first, while the model itself stands elsewhere
    allowed = 1e-2 if objective.engine.reduced_precision else 1e-4
    alone = {key: estimate.value for key, estimate in objective.measure(place).estimates.items() if key.endswith("_loss")}
    if not all(agree(at_once.estimates[key].value, value, allowed * abs(value)) for key, value in alone.items()):
        raise RuntimeError("points computed at once get other values")
