"""What a rank computes with: its examples, and the engine on its device, chosen and built here alone."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from landscape.core.surface import Surface
from landscape.errors import InputError, UserCodeError, in_a_line
from landscape.evaluate import (
    Engine,
    Objective,
    Sample,
    agree,
    calibrate,
    choose,
    free_bytes,
    has_images,
    main_type,
    out_of_memory,
)  # fmt: skip
from landscape.parallel import Executor
from landscape.problem import Examples
from landscape.progress import Progress, duration
from landscape.sweep import devices
from landscape.sweep.devices import Placement, choose_device, n_sharing
from landscape.sweep.options import Options, bytes_of, seconds_of
from landscape.sweep.plan import Plan

__all__ = ["RunContext", "choose_examples", "describe_engine", "prepare"]

_SHORT_RUN = 30.0  # seconds; trying out engines takes a few, and below this the usual one is as good
_STORED = {
    "engine": "mode",
    "batch_size": "batch_size",
    "lanes": "points_per_pass",
    "channels_last": "channels_last",
    "folded": "folded",
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
    """The objective on this rank's device, computed as rank 0 decides: as the file to go on with was, as asked, or as is fastest.

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
        progress.note(devices.described(places))
    memory = executor.on_all_ranks(lambda: bytes_of(options.memory, free_bytes(device))) / n_sharing(mine, places)
    trial = _Trial(plan, samples, calibration, progress)
    settled = executor.on_root(lambda: _choose_engine(trial, options, device, memory, old, executor.n_workers))
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

    def let_go(self) -> None:
        """Make room in memory for others."""
        self._built = None

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

    def timed(self, engine: Engine) -> tuple[Engine, float]:
        """The engine with its batch size settled, eager where it fails otherwise, and about what a point costs, in seconds."""
        try:
            self._built = self._objective(engine)
            self._built.trial()
            started = time.perf_counter()
            n_examples = self._built.trial()
            seconds = (time.perf_counter() - started) / n_examples * sum(sample.size for sample in self.samples)
            _check_batched(self._built)
        except Exception as error:
            built, self._built = self._built, None
            if out_of_memory(error):  # it is halved later, when every rank has tried its own memory
                return built.engine if built is not None else replace(engine, batch_size=engine.batch_size or 1), 0.0
            if isinstance(error, InputError):
                raise
            if engine.channels_last and self._has_images:  # x.view(n, -1) after a convolution wants the plain layout
                return self.timed(replace(engine, channels_last=False))
            if engine.mode == "eager":
                raise
            cause = error.__cause__ if isinstance(error, UserCodeError) and error.__cause__ is not None else error
            self.progress.note(f"the model cannot be {engine.mode} ({in_a_line(cause)[:120]}); computing eagerly")
            return self.timed(replace(engine, mode="eager"))
        return self._built.engine, seconds

    def _objective(self, engine: Engine) -> Objective:
        return Objective(self.plan.problem, self.plan.subspace, self.samples, engine, self._calibration)


def _choose_engine(
    trial: _Trial, options: Options, device: torch.device, memory: float, old: Surface | None, n_workers: int
) -> Engine:
    """The engine of a run.

    A resumed run computes as the file says it was begun. One that is short, or told its engine, is not tried out: what it computes
    with follows from the problem alone. A model that cannot be compiled or mapped over is computed eagerly.

    Raises:
        InputError: for settings that do not go together.
    """
    plan, samples, progress = trial.plan, trial.samples, trial.progress
    precision = options.precision or ("fp64" if main_type(plan.problem.model) == torch.float64 else "fp32")
    asked = {"batch_size": options.batch_size, "mode": options.engine}
    given = {**_stored(old), **{name: value for name, value in asked.items() if value is not None}}
    engine = Engine(device, precision, bn=plan.bn, tolerance=options.tolerance, offload=options.offload, memory=memory, **given)
    engine, seconds = trial.timed(engine)
    limit = seconds_of(options.time_limit)
    total = seconds * _n_left(plan, samples, old)  # not the share of a rank: the engine must not depend on how many there are
    if _stored(old) or options.engine is not None or total < _SHORT_RUN or not plan.problem.per_example:
        return engine
    n_points = math.ceil(min(total / n_workers, math.inf if limit is None else limit) / seconds)
    trial.let_go()
    found = calibrate(plan.problem, plan.subspace, samples, engine, n_points, options.batch_size is not None)
    if found.engine == engine:
        progress.note(f"engine: {describe_engine(engine)}, as nothing tried was faster by a tenth")
    else:
        progress.note(
            f"engine: {describe_engine(found.engine)}, {found.seconds_before / found.seconds:.2f} × the speed of {describe_engine(engine)} "
            f"({duration(found.seconds)} instead of {duration(found.seconds_before)} a point)"
        )
    return found.engine


def describe_engine(engine: Engine) -> str:
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
