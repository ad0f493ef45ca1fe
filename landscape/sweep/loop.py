"""The one loop: every pending point of a plan is measured, by whichever executor there is, and recorded."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from landscape.errors import InputError, RunError
from landscape.executors import Executor, launched
from landscape.objective import Measurement, Sample, out_of_memory, peak_bytes, trains_otherwise
from landscape.progress import Progress, duration
from landscape.surface import Metric, Surface
from landscape.sweep import work
from landscape.sweep.audit import Audit, AuditError
from landscape.sweep.bench import Bench, check_agreement, check_plan, prepare, read_existing
from landscape.sweep.checks import SelfCheck, check_models, measure_again
from landscape.sweep.options import Options, choose_device, choose_threads, seconds_of
from landscape.sweep.plan import Plan
from landscape.sweep.provenance import describe_run, describe_subject
from landscape.sweep.record import Record
from landscape.sweep.resume import blank, differing, merge, pending
from landscape.sweep.work import Work

__all__ = ["run"]

Index = tuple[int, ...]
_SLOW_POINT = 1.0  # seconds from which on a point is not begun before those behind it are on disk
_LONG_RUN = 5.0  # seconds from which on an estimate is worth a line


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
    before, device = torch.get_num_threads(), torch.cuda.current_device() if _uses_cuda() else 0
    torch.set_num_threads(choose_threads(options.threads, executor))
    try:
        with Progress(options.quiet or not executor.is_root) as progress:
            plan = executor.together(lambda: check_plan(plan_of(), options))
            old = executor.at_root(lambda: read_existing(options))
            if options.offload:  # rebound, so that nothing holds on to the directions in memory
                plan = executor.together(partial(_offloaded, plan, options, executor))
            bench = prepare(plan, options, executor, old, progress)
            check_agreement(executor, bench.plan, bench.samples)
            sweep = _Sweep(executor, options, bench, progress)
            todo = executor.at_root(lambda: sweep.begin(old))
            sweep.measure(todo, deadline)
            ranks = executor.gather(sweep.work)
            return executor.at_root(lambda: sweep.finish(ranks))
    finally:
        torch.set_num_threads(before)
        if _uses_cuda():
            torch.cuda.set_device(device)


def _uses_cuda() -> bool:
    """Whether this process has begun to use a GPU; asking a device's name before would begin it."""
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]  # torch has no types here


def _offloaded(plan: Plan, options: Options, executor: Executor) -> Plan:
    return plan.offloaded(choose_device(options.device, executor))


class _Sweep:
    """One run: begin (on the root), measure (on every rank), finish (on the root)."""

    def __init__(self, executor: Executor, options: Options, bench: Bench, progress: Progress) -> None:
        self._executor = executor
        self._plan = bench.plan
        self._options = options
        self._bench = bench
        self._audit = Audit(bench.plan, bench.objective, options.max_error)
        self.work = Work()
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
        now = describe_run(self._options.command, engine, self._executor.n_ranks, bench.batch_size_asked)
        surface = blank(
            plan.kind,
            plan.axes,
            metrics,
            [sample.split for sample in bench.samples],
            attributes=describe_subject(plan, engine),
            data={sample.split: sample.described() for sample in bench.samples},
            points=tuple(check.points),
            checks=check.attributes,
            runs=(now,),
        )
        if old is not None:
            surface = merge(old, surface, str(self._options.to))
            measure_again(plan, bench.objective, bench.samples, old, str(self._options.to))
            if old.runs and (changes := differing(now, old.runs[-1])):
                self._progress.note(changes)
        todo = pending(surface, [metric.key for metric in metrics])
        path = Path(self._options.to) if self._options.to is not None else None
        self._record = Record(surface, path, self._directions())
        self._announce(len(todo), check)
        return todo

    def measure(self, todo: Sequence[Index], deadline: float) -> None:
        """Measure the points left, until all are done or no further one would end before the deadline."""
        lanes = self._bench.objective.engine.lanes if self._bench.objective.engine.mode == "batched" else 1
        # The audit comes first, so that a precision too coarse is found early; of points measured before, only it is repeated.
        ordered = [*self._audit.points, *(index for index in todo if index not in self._audit.points)]
        blocks = [ordered[first : first + lanes] for first in range(0, len(ordered), lanes)]
        missing = set(todo)
        started = time.perf_counter()
        self._bench.objective.stopwatch.reset()
        try:
            for block, results in self._executor.map(self._points, blocks, lambda: self._late(deadline, lanes)):
                for index, (measurement, exact) in zip(block, results, strict=True):
                    if self._record is not None:  # only the root is handed results
                        self._record.add(index, measurement)
                    if exact is not None:
                        self._audit.compare(index, measurement, exact)
                self._progress.advance(len(missing.intersection(block)))
        except BaseException as error:
            try:
                surface = self._close([])
                again = not isinstance(error, AuditError)  # that run would end the same way
                so_far = f"interrupted: {self._so_far(surface)}" if again else f"stopped: {self._n_done(surface)} measured"
            finally:
                self._executor.abandon(error)  # also when the file cannot be written any more: the other ranks wait
            if isinstance(error, KeyboardInterrupt):
                raise KeyboardInterrupt(so_far) from None
            self._progress.note(so_far)
            raise
        seconds = self._bench.objective.stopwatch.seconds
        self.work.wall = time.perf_counter() - started
        self.work.moving, self.work.model = seconds.get("moving", 0.0), seconds.get("model", 0.0)
        self.work.peak_bytes = peak_bytes(self._bench.objective.engine.device)

    def finish(self, ranks: Sequence[Work]) -> Surface:
        """Close the bar, complete the file and say how it went."""
        surface = self._close(ranks)
        for line in (work.summary(ranks), self._audit.summary()):
            if line:
                self._progress.note(line)
        splits = [sample.split for sample in self._bench.samples]
        if not all(surface.done[key].all() for key, metric in surface.metrics.items() if metric.split in splits):
            self._progress.note(f"stopped at the time limit: {self._so_far(surface)}")
        elif not surface.complete:
            others = ", ".join(sorted({metric.split for metric in surface.metrics.values()} - set(splits)))
            self._progress.note(f"the new points are not measured on {others} yet: add --split {others} to complete the file")
        return surface

    def _late(self, deadline: float, n_points: int) -> bool:
        return time.monotonic() + n_points * self._slowest > deadline

    def _close(self, ranks: Sequence[Work]) -> Surface:
        self._progress.close()
        if self._record is None:
            raise RunError("the sweep has not begun")
        return self._record.finish(self._options.level, work.described(ranks) if ranks else {}, self._audit.described())

    def _so_far(self, surface: Surface) -> str:
        file = self._options.to
        place = f"are in {file}; run the same command again to go on" if file is not None else "were measured"
        return f"{self._n_done(surface)} {place}"

    def _n_done(self, surface: Surface) -> str:
        return f"{int(np.logical_and.reduce(list(surface.done.values())).sum())} of {surface.grid.n_points} points"

    def _points(self, block: Sequence[Index]) -> list[tuple[Measurement, Measurement | None]]:
        """The points of a block, those of the audit in fp32 as well."""
        if self._record is not None and self._slowest > _SLOW_POINT:
            self._record.flush()
        places = [self._plan.place(index) for index in block]
        try:
            batched = self._bench.objective.engine.mode == "batched"
            known = [None if batched else self._known.get(place) for place in places]
            measured = iter(self._bench.objective.measure_all([p for p, old in zip(places, known, strict=True) if old is None]))
            found = [old or next(measured) for old in known]
            exact = [self._audit.exact(index, lossy) for index, lossy in zip(block, found, strict=True)]
        except Exception as error:
            where = self._where(self._plan.grid.coordinates(block[0]))
            if out_of_memory(error):
                raise RunError(f"{where}: memory ran out; run again with a smaller --batch-size") from error
            first = next(iter(str(error).splitlines()), "")
            raise RunError(f"{where}: {type(error).__name__}: {first}") from error
        now = [measurement for measurement, old in zip(found, known, strict=True) if old is None]
        self.work.points += sum(measurement.seconds for measurement in (*now, *(other for other in exact if other is not None)))
        self.work.n_points += len(block)
        self.work.n_examples += sum(e.n_examples for m in found for key, e in m.estimates.items() if key.endswith("_loss"))
        self._slowest = max(self._slowest, *(measurement.seconds for measurement in found))
        return list(zip(found, exact, strict=True))

    def _where(self, coordinates: Sequence[float]) -> str:
        pairs = zip(self._plan.axes, coordinates, strict=True)
        return "at " + ", ".join(f"{axis.name} = {coordinate:g}" for axis, coordinate in pairs)

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
        if trains_otherwise(self._plan.problem.model):
            note("the model is in train mode; a copy of it is measured in eval mode")
        if "cosine" in attributes:
            note(f"cosine of the two directions: {attributes['cosine']:.4f} (random ones: ±{attributes['cosine_sd']:.4f})")
        seconds = check.seconds
        if engine.lossy and n_left:  # the origin was computed in fp32
            seconds = self._bench.objective.measure(self._plan.place(self._audit.points[-1])).seconds
        self._slowest = 0.0 if engine.tolerance else seconds
        total = n_left * seconds / self._executor.n_ranks
        if total > _LONG_RUN:
            ranks = f" × {self._executor.n_ranks} ranks" if self._executor.n_ranks > 1 else ""
            about = "at most" if engine.tolerance else "≈"
            note(f"{n_left} points × {duration(seconds)} {about} {duration(total)} on {engine.device}{ranks}")
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
