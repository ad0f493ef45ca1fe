"""The one loop: every pending point of a plan is measured, by whichever executor there is, and recorded."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from landscape.errors import InputError, RunError
from landscape.executors import Executor, launched
from landscape.objective import CALIBRATION_BATCH, CALIBRATION_EXAMPLES, Engine, Measurement, Sample
from landscape.progress import Progress, duration
from landscape.surface import Metric, Surface
from landscape.sweep.bench import Bench, check_agreement, check_plan, prepare, read_existing
from landscape.sweep.checks import SelfCheck, check_models
from landscape.sweep.options import Options, choose_threads, seconds_of
from landscape.sweep.plan import Plan
from landscape.sweep.provenance import describe_run
from landscape.sweep.record import Record
from landscape.sweep.resume import blank, differing, merge, pending
from landscape.weights import digest

__all__ = ["run"]

Index = tuple[int, ...]
_LONG_RUN = 5.0  # seconds from which on an estimate is worth a line
_AGREEMENT = 1e-6  # a stored value measured again, relative
_LOSSY_AGREEMENT = 1e-2  # the same in tf32 and bf16, where another batch size or device rounds otherwise


def run(plan_of: Callable[[], Plan], options: Options) -> Surface:
    """Measure what a plan asks for; under mpirun every rank calls this, and gets the surface at the end.

    Raises:
        InputError: for input that cannot be used; nothing is written then.
        RunError: when the computation fails; what was measured is in the file.
        KeyboardInterrupt: likewise.
    """
    executor = launched()
    limit = seconds_of(options.time_limit)
    deadline = math.inf if limit is None else time.monotonic() + limit
    before = torch.get_num_threads()
    torch.set_num_threads(choose_threads(options.threads, executor))
    try:
        with Progress(options.quiet or not executor.is_root) as progress:
            plan = executor.together(lambda: check_plan(plan_of(), options))
            old = executor.at_root(lambda: read_existing(options))
            bench = executor.together(lambda: prepare(plan, options, executor, old))
            check_agreement(executor, plan, bench.samples)
            sweep = _Sweep(executor, plan, options, bench, progress)
            todo = executor.at_root(lambda: sweep.begin(old))
            sweep.measure(todo, deadline)
            return executor.at_root(sweep.finish)
    finally:
        torch.set_num_threads(before)


class _Sweep:
    """One run: begin (on the root), measure (on every rank), finish (on the root)."""

    def __init__(self, executor: Executor, plan: Plan, options: Options, bench: Bench, progress: Progress) -> None:
        self._executor = executor
        self._plan = plan
        self._options = options
        self._bench = bench
        self._progress = progress
        self._record: Record | None = None
        self._known: dict[tuple[float, ...], Measurement] = {}
        self._slowest = 0.0

    def begin(self, old: Surface | None) -> list[Index]:
        """Check the engine, write the file with what is known, and say what is left to measure and how long it takes."""
        plan, bench, engine = self._plan, self._bench, self._bench.objective.engine
        check = check_models(plan, bench.objective, bench.samples, bench.calibration)
        for complaint in check.complaints:
            self._progress.note(f"self-check failed: {complaint}")
        self._known = check.measured
        metrics = _metrics(plan, bench.samples, check)
        now = describe_run(self._options.command, engine.device, self._executor.n_ranks, bench.objective.batch_size)
        surface = blank(
            plan.kind,
            plan.axes,
            metrics,
            [sample.split for sample in bench.samples],
            attributes=_described(plan, engine),
            data={sample.split: sample.described() for sample in bench.samples},
            points=tuple(check.points),
            checks=check.attributes,
            runs=(now,),
        )
        if old is not None:
            surface = merge(old, surface, str(self._options.to))
            self._measure_again(old)
            if old.runs and (changes := differing(now, old.runs[-1])):
                self._progress.note(changes)
        todo = pending(surface, [metric.key for metric in metrics])
        path = Path(self._options.to) if self._options.to is not None else None
        self._record = Record(surface, path, self._directions())
        self._announce(len(todo), check)
        return todo

    def measure(self, todo: Sequence[Index], deadline: float) -> None:
        """Measure the points left, until all are done or no further one would end before the deadline."""

        def late() -> bool:
            return time.monotonic() + self._slowest > deadline

        try:
            for index, measurement in self._executor.map(self._point, todo, late):
                if self._record is not None:  # only the root is handed results
                    self._record.add(index, measurement)
                self._progress.advance()
        except BaseException as error:
            try:
                so_far = f"interrupted: {self._so_far(self._close())}"
            finally:
                self._executor.abandon(error)  # also when the file cannot be written any more: the other ranks wait
            if isinstance(error, KeyboardInterrupt):
                raise KeyboardInterrupt(so_far) from None
            self._progress.note(so_far)
            raise

    def finish(self) -> Surface:
        """Close the bar, complete the file and say how it went."""
        surface = self._close()
        splits = [sample.split for sample in self._bench.samples]
        if not all(surface.done[key].all() for key, metric in surface.metrics.items() if metric.split in splits):
            self._progress.note(f"stopped at the time limit: {self._so_far(surface)}")
        elif not surface.complete:
            others = ", ".join(sorted({metric.split for metric in surface.metrics.values()} - set(splits)))
            self._progress.note(f"the new points are not measured on {others} yet: add --split {others} to complete the file")
        return surface

    def _close(self) -> Surface:
        self._progress.close()
        if self._record is None:
            raise RunError("the sweep has not begun")
        return self._record.finish(self._options.level)

    def _so_far(self, surface: Surface) -> str:
        n_done = int(np.logical_and.reduce(list(surface.done.values())).sum())
        file = self._options.to
        place = f"are in {file}; run the same command again to go on" if file is not None else "were measured"
        return f"{n_done} of {surface.grid.n_points} points {place}"

    def _point(self, index: Index) -> Measurement:
        coordinates = self._plan.place(index)
        try:
            measurement = self._known.get(coordinates) or self._bench.objective(coordinates)
        except torch.cuda.OutOfMemoryError as error:
            raise RunError(
                f"{self._where(self._plan.grid.coordinates(index))}: the GPU is out of memory; try a smaller --batch-size"
            ) from error
        except Exception as error:
            raise RunError(
                f"{self._where(self._plan.grid.coordinates(index))}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            ) from error
        self._slowest = max(self._slowest, measurement.seconds)
        return measurement

    def _where(self, coordinates: Sequence[float]) -> str:
        pairs = zip(self._plan.axes, coordinates, strict=True)
        return "at " + ", ".join(f"{axis.name} = {coordinate:g}" for axis, coordinate in pairs)

    def _measure_again(self, old: Surface) -> None:
        """One stored point once more: other numbers mean that model code, loss or data are not what they were.

        Raises:
            InputError: when they differ.
        """
        keys = [key for key in old.metrics if old.metrics[key].split in [sample.split for sample in self._bench.samples]]
        stored = [i for i in old.grid.indices() if all(old.done[key][i] and np.isfinite(old.values[key][i]) for key in keys)]
        if not stored or not keys:
            return
        place = coordinates = old.grid.coordinates(stored[0])
        if old.kind == "line" and len(place) == 2:  # x and the seed of a draw
            draw = list(self._plan.axes[1].values).index(place[1])
            coordinates = tuple(place[0] if i == draw else 0.0 for i in range(self._plan.n_draws))
        again = self._bench.objective(coordinates).estimates
        allowed = _AGREEMENT if self._bench.objective.engine.precision in ("fp32", "fp64") else _LOSSY_AGREEMENT
        for key in keys:
            before, now = float(old.values[key][stored[0]]), again[key].value if key in again else math.nan
            if not abs(before - now) <= allowed * abs(before) + 1e-9:
                raise InputError(
                    f"{self._options.to}: {key} {self._where(place)} is stored as {before:.9g} but measures {now:.9g} now; "
                    "was the model's code or the loss changed? choose another name, or --overwrite to replace it"
                )

    def _directions(self) -> dict[str, dict[str, np.ndarray]] | None:
        if not self._options.save_directions:
            return None
        if self._plan.n_draws > 1:
            raise InputError(
                "--save-directions stores one direction an axis; several seeds have several, and are drawn again from them"
            )
        pairs = zip(self._plan.axes, self._plan.subspace.directions, strict=True)
        return {axis.name: {n: t.cpu().numpy() for n, t in {**d.parameters, **d.buffers}.items()} for axis, d in pairs}

    def _announce(self, n_left: int, check: SelfCheck) -> None:
        note, attributes, engine = self._progress.note, self._plan.attributes, self._bench.objective.engine
        if "cosine" in attributes:
            note(f"cosine of the two directions: {attributes['cosine']:.4f} (random ones: ±{attributes['cosine_sd']:.4f})")
        self._slowest = 0.0 if engine.tolerance else check.seconds
        total = n_left * check.seconds / self._executor.n_ranks
        if total > _LONG_RUN:
            ranks = f" × {self._executor.n_ranks} ranks" if self._executor.n_ranks > 1 else ""
            about = "at most" if engine.tolerance else "≈"
            note(f"{n_left} points × {duration(check.seconds)} {about} {duration(total)} on {engine.device}{ranks}")
        n_gpus = torch.cuda.device_count() if engine.device.type == "cuda" else 0
        if n_gpus > self._executor.n_local_ranks:
            note(
                f"{n_gpus} GPUs are visible, {self._executor.n_local_ranks} used: start with mpirun -n {n_gpus} in front of the command"
            )
        self._progress.start(self._plan.grid.n_points, self._plan.grid.n_points - n_left)


def _metrics(plan: Plan, samples: Sequence[Sample], check: SelfCheck) -> list[Metric]:
    """What is measured, by split; the losses first."""
    found = []
    for key in check.points[0].values:
        split = max((sample.split for sample in samples if key.startswith(f"{sample.split}_")), key=len)  # train, or train_clean
        name = key.removeprefix(f"{split}_")
        found.append(Metric(split, name, plan.problem.loss.unit(name)))
    return sorted(found, key=lambda metric: metric.name != "loss")


def _described(plan: Plan, engine: Engine) -> dict[str, Any]:
    """The root attributes of the file."""
    attributes = {
        "problem": plan.problem.name,
        "weights_sha256": digest(plan.subspace.origin),
        "bn": plan.bn,
        "precision": engine.precision,
        "tolerance": engine.tolerance,
        **plan.attributes,
    }
    if plan.bn == "recalibrated":
        attributes["bn_calibration"] = (
            f"first {CALIBRATION_EXAMPLES} training examples in batches of {CALIBRATION_BATCH}, plain mean"
        )
    return attributes
