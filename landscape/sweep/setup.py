"""What a rank computes with: its examples, and the engine on its device, chosen and built here alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from landscape.core.agreement import agree
from landscape.core.surface import Surface
from landscape.errors import InputError, UserCodeError, in_a_line
from landscape.evaluate import Engine, Objective, Sample, choose, free_bytes, has_images, main_type, out_of_memory
from landscape.parallel import Executor
from landscape.problem import Examples
from landscape.progress import Progress
from landscape.sweep import devices
from landscape.sweep.devices import Placement, choose_device, n_sharing
from landscape.sweep.options import Options, bytes_of
from landscape.sweep.plan import Plan

__all__ = ["RunContext", "choose_examples", "prepare"]

_STORED = {
    "engine": "mode",
    "batch_size": "batch_size",
    "lanes": "points_per_pass",
    "channels_last": "channels_last",
}


@dataclass(frozen=True, eq=False)
class RunContext:
    """What each rank computes with."""

    plan: Plan
    objective: Objective
    samples: list[Sample]
    calibration: Examples | None
    batch_size_asked: int  # before a lack of memory halved it


def prepare(plan: Plan, options: Options, executor: Executor, old: Surface | None, progress: Progress) -> RunContext:
    """The objective on this rank's device, computed as rank 0 decides: as the file to go on with was, or as asked.

    Raises:
        InputError: when the problem cannot be computed; on every rank, whichever found it.
    """
    device = executor.on_all_ranks(lambda: choose_device(options.device, executor))
    if device.type == "cuda":
        torch.cuda.set_device(device)  # what names no device, in torch or in the user's model, means this one
    if "bn_reason" in plan.attributes:
        progress.note(f"batch norm {plan.bn}: {plan.attributes['bn_reason']}")
    samples, calibration = executor.on_all_ranks(lambda: choose_examples(plan, options))
    mine = Placement.of(device)
    places = executor.gather(mine)
    if executor.n_ranks > 1:
        progress.note(devices.describe_places(places))
    memory = executor.on_all_ranks(lambda: bytes_of(options.memory, free_bytes(device))) / n_sharing(mine, places)
    trial = _Trial(plan, samples, calibration, progress)
    settled = executor.on_root(lambda: _choose_engine(trial, options, device, memory, old))
    engine, asked = replace(settled, device=device, memory=memory), settled.batch_size or 1
    while True:
        objective = executor.on_all_ranks(partial(trial.computing, engine))
        if all(executor.gather(objective is not None)) and objective is not None:
            return RunContext(plan, objective, samples, calibration, asked)
        size = engine.batch_size or 1
        if size == 1:
            raise InputError(f"one example at a time does not fit the memory of {device}; use a device with more, or --offload")
        if not plan.problem.per_example:
            raise InputError(
                f"a batch of {size} does not fit the memory of {device}, and the loss of whole batches depends on their size: "
                f"choose it, for instance --batch-size {size // 2}"
            )
        engine, objective = replace(engine, batch_size=size // 2), None  # let go of, before the next one is made
        progress.note(f"a batch of {size} does not fit the memory of {device}: computing {size // 2} at once")


def choose_examples(plan: Plan, options: Options) -> tuple[list[Sample], Examples | None]:
    """The examples measured on, by split, and those batch norm is recalibrated on."""
    splits = options.splits(plan.problem.splits)
    samples = [choose(plan.problem.examples(split), options.examples, plan.seed, options.tolerance > 0) for split in splits]
    if not plan.calibrates:
        return samples, None
    return samples, plan.problem.examples("train")


class _Trial:
    """Builds the objective, and tries it out; the one that the engine was chosen with is the one that computes."""

    def __init__(self, plan: Plan, samples: Sequence[Sample], calibration: Examples | None, progress: Progress) -> None:
        self.plan, self.samples, self.progress = plan, samples, progress
        self._calibration = calibration
        self._has_images = has_images(plan.problem.model)
        self._built: Objective | None = None

    def computing(self, engine: Engine) -> Objective | None:
        """The objective once it computed a whole batch; None where that did not fit the memory."""
        if self._built is not None and self._built.engine == engine:
            return self._built
        self._built = None  # its memory is needed
        try:
            self._built = self._objective(engine)
            self._built.trial()
        except Exception as error:
            if out_of_memory(error):
                self._built = None
                return None
            raise
        return self._built

    def settled(self, engine: Engine) -> Engine:
        """The engine with its batch size settled, eager where it fails otherwise."""
        try:
            self._built = self._objective(engine)
            self._built.trial()
            _check_batched(self._built)
        except Exception as error:
            built, self._built = self._built, None
            if out_of_memory(error):  # it is halved later, when every rank has tried its own memory
                return built.engine if built is not None else replace(engine, batch_size=engine.batch_size or 1)
            if isinstance(error, InputError):
                raise
            if engine.channels_last and self._has_images:  # x.view(n, -1) after a convolution wants the plain layout
                return self.settled(replace(engine, channels_last=False))
            if engine.mode == "eager":
                raise
            cause = error.__cause__ if isinstance(error, UserCodeError) and error.__cause__ is not None else error
            self.progress.note(f"the model cannot be {engine.mode} ({in_a_line(cause)[:120]}); computing eagerly")
            return self.settled(replace(engine, mode="eager"))
        return self._built.engine

    def _objective(self, engine: Engine) -> Objective:
        return Objective(self.plan.problem, self.plan.subspace, self.samples, engine, self._calibration)


def _choose_engine(trial: _Trial, options: Options, device: torch.device, memory: float, old: Surface | None) -> Engine:
    """The engine of a run.

    A resumed run computes as the file says it was begun. Any other computes as asked, by default with what follows from the problem
    alone, so that two runs share their last digits. A model that cannot be compiled or mapped over is computed eagerly.

    Raises:
        InputError: for settings that do not go together.
    """
    plan = trial.plan
    precision = options.precision or ("fp64" if main_type(plan.problem.model) == torch.float64 else "fp32")
    asked = {"batch_size": options.batch_size, "mode": options.engine}
    given = {**_stored(old), **{name: value for name, value in asked.items() if value is not None}}
    engine = Engine(device, precision, bn=plan.bn, tolerance=options.tolerance, offload=options.offload, memory=memory, **given)
    return trial.settled(engine)


def _stored(old: Surface | None) -> dict[str, Any]:
    """The settings a file was begun with; a file of another origin has none."""
    run: Mapping[str, Any] = old.runs[-1] if old is not None and old.runs else {}
    kinds = {"engine": str, "batch_size": int, "lanes": int, "channels_last": bool}
    return {
        field: kinds[name](run[name])
        for name, field in _STORED.items()
        if name in run and (name != "lanes" or run.get("engine") == "batched")
    }


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
