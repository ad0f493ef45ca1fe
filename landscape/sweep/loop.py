"""The one loop: every pending point of a plan is measured, by whichever executor there is, and recorded."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path

import numpy as np
import torch

from landscape.ending import rescued_by
from landscape.errors import InputError, LandscapeError, RunError
from landscape.executors import Executor, Task, launched
from landscape.objective import trains_otherwise
from landscape.progress import Progress, duration
from landscape.surface import Surface
from landscape.sweep import work
from landscape.sweep.audit import Audit, AuditError
from landscape.sweep.bench import Bench, check_agreement, check_plan, prepare, read_existing, reserved
from landscape.sweep.blocks import Part, blocks_of
from landscape.sweep.checks import SelfCheck, check_models, measure_again, metrics_of
from landscape.sweep.measuring import Index, Measuring, Result
from landscape.sweep.options import Options, seconds_of
from landscape.sweep.placement import choose_device, choose_threads
from landscape.sweep.plan import Plan
from landscape.sweep.provenance import describe_run, describe_subject
from landscape.sweep.record import Record
from landscape.sweep.resume import blank, differing, merge, pending
from landscape.sweep.work import Work

__all__ = ["run"]

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
    try:
        return _run(plan_of, options, executor)
    except BaseException as error:
        executor.abandon(error)
        raise


def _run(plan_of: Callable[[], Plan], options: Options, executor: Executor) -> Surface:
    limit = seconds_of(options.time_limit)
    deadline = math.inf if limit is None else time.monotonic() + limit
    before, device = torch.get_num_threads(), torch.cuda.current_device() if _uses_cuda() else 0
    torch.set_num_threads(choose_threads(options.threads, executor))
    try:
        with Progress(options.quiet or not executor.is_root) as progress, ExitStack() as held:
            executor.at_root(lambda: held.enter_context(reserved(options, progress.note)))
            plan = executor.made(lambda: check_plan(plan_of(), options))
            old = executor.at_root(lambda: read_existing(options))
            if options.offload:  # rebound, so that nothing holds on to the directions in memory
                plan = executor.together(partial(_offloaded, plan, options, executor))
            bench = prepare(plan, options, executor, old, progress)
            check_agreement(executor, bench.plan, bench.samples)
            sweep = _Sweep(executor, options, bench, progress)
            sweep.measure(deadline, executor.at_root(lambda: sweep.begin(old)))
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
        self._measuring = Measuring(bench.plan, bench.objective, self._audit)
        self._progress = progress
        self._record: Record | None = None
        self._splits = [sample.split for sample in bench.samples]
        self._keys: list[str] = []
        self._part = Part.of(options.part)
        self._blocks: list[list[Index]] = []  # those left to compute, on the root
        self._missing: set[Index] = set()  # their points that are to be recorded

    def begin(self, old: Surface | None) -> float:
        """Check the engine, write the file with what is known, and say what is left to measure and how long it takes.

        Returns:
            The seconds that a point takes, with a tolerance at most.
        """
        plan, bench, engine = self._plan, self._bench, self._bench.objective.engine
        check = check_models(plan, bench.objective, bench.samples, bench.calibration)
        for complaint in check.complaints:
            self._progress.note(f"self-check failed: {complaint}")
        self._measuring.known = check.measured
        metrics = metrics_of(plan, bench.samples, check)
        self._keys = [metric.key for metric in metrics]
        now = describe_run(self._options.command, engine, self._executor.n_ranks, bench.batch_size_asked)
        now |= {"part": str(self._part)} if self._part.n_parts > 1 else {}
        surface = blank(
            plan.kind,
            plan.axes,
            metrics,
            bench.samples,
            bench.objective.fractions,
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
        self._blocks, self._missing = self._left(set(pending(surface, self._keys)))
        path = Path(self._options.to) if self._options.to is not None else None
        self._record = Record(surface, path, self._directions())
        return self._announce(check)

    def _left(self, pending: set[Index]) -> tuple[list[list[Index]], set[Index]]:
        """The blocks to compute, and the points of this run's part in them that are not measured yet.

        The audit comes first, so that a precision too coarse is found early; it is repeated in every run.
        """
        blocks = blocks_of(self._audit.points, self._plan.grid.indices(), self._measuring.lanes)
        missing = pending.intersection(index for block in self._part.of_blocks(blocks) for index in block)
        audited = set(self._audit.points) if missing else set()
        return [block for block in blocks if not (missing | audited).isdisjoint(block)], missing

    def measure(self, deadline: float, seconds: float) -> None:
        """Measure the points left, until all are done or no further one would end before the deadline.

        Args:
            deadline: of the monotonic clock.
            seconds: that a point takes, at most.
        """
        self._measuring.slowest = 0.0 if self._bench.objective.engine.tolerance else seconds
        task = Task(
            items=self._blocks, compute=self._compute, take=self._take, late=lambda: self._measuring.late(deadline), tend=self._tend,
            rescue=self._rescued, seconds=self._measuring.lanes * seconds,
        )  # fmt: skip
        started = time.perf_counter()
        self._bench.objective.stopwatch.reset()
        try:
            with rescued_by(self._tend, self._end) if self._executor.is_root else nullcontext():
                share = self._executor.share_out(task)
        except KeyboardInterrupt as error:
            raise self._saved(error) from None
        except BaseException as error:
            self._saved(error)
            raise
        self._measuring.ended(time.perf_counter() - started, share.busy, share.waiting, share.idle)

    @property
    def work(self) -> Work:
        """What this rank did."""
        return self._measuring.work

    def _compute(self, block: Sequence[Index]) -> list[Result]:
        if self._measuring.slowest > _SLOW_POINT:  # what is behind a slow point is on disk before it begins
            self._tend()
        return self._measuring.block(block)

    def _take(self, block: Sequence[Index], results: Sequence[Result]) -> None:
        """Record a block that some rank measured."""
        if self._record is None:
            raise RunError("the sweep has not begun")
        pairs = self._measuring.checked(block, results, self._keys)
        self._record.add((index, measurement) for index, (measurement, _) in pairs if index in self._missing)
        for index, (measurement, exact) in pairs:
            if exact is not None:
                self._audit.compare(index, measurement, exact)
        self._progress.advance(len(self._missing.intersection(block)))

    def _tend(self) -> None:
        if self._record is not None:
            self._record.flush()

    def finish(self, ranks: Sequence[Work]) -> Surface:
        """Close the bar, complete the file and say how it went."""
        surface = self._close(ranks)
        n_left = int(surface.runs[-1]["left"])
        for line in (work.summary(ranks), work.table(ranks), self._audit.summary(), self._what_is_left(surface, n_left, ranks)):
            if line:
                self._progress.note(line)
        return surface

    def _what_is_left(self, surface: Surface, n_left: int, ranks: Sequence[Work]) -> str:
        """What is not measured yet, and why; empty for a complete surface."""
        if n_left:
            points = sum(work.n_points for work in ranks)
            seconds = sum(work.busy for work in ranks) / points * n_left / len(ranks) if points else math.nan
            more = f"; {n_left} are left, about {duration(seconds)} more" if math.isfinite(seconds) else ""
            return f"stopped at the time limit: {self._so_far(surface)}{more}"
        if self._part.n_parts > 1:
            return (
                f"part {self._part} is done: {self._n_done(surface)} are in {self._options.to}; landscape merge puts parts together"
            )
        if surface.complete:
            return ""
        others = ", ".join(sorted({metric.split for metric in surface.metrics.values()} - set(self._splits)))
        return f"the new points are not measured on {others} yet: add --split {others} to complete the file"

    def _close(self, ranks: Sequence[Work]) -> Surface:
        self._progress.close()
        if self._record is None:
            raise RunError("the sweep has not begun")
        n_left = sum(not all(self._record.surface.done[key][index] for key in self._keys) for index in self._missing)
        run = {"left": n_left, **(work.described(ranks) if ranks else {})}
        return self._record.finish(self._options.level, run, self._audit.described())

    def _saved(self, error: BaseException) -> BaseException:
        """The error that ends the run, with a word about what the file holds; other ranks than the root have none."""
        return error if self._record is None else self._with_a_word(error, self._close([]))

    def _rescued(self, error: BaseException) -> BaseException:
        """The same, called from another thread while the main one is deep inside a point."""
        if self._record is None:
            return error
        self._progress.close()
        self._record.flush()
        return self._with_a_word(error, self._record.surface)

    def _end(self) -> None:
        """End the job after a signal that the main thread does not react to."""
        self._executor.leave(self._rescued(KeyboardInterrupt()))

    def _with_a_word(self, error: BaseException, surface: Surface) -> BaseException:
        word = self._so_far(surface)
        if isinstance(error, KeyboardInterrupt):
            return KeyboardInterrupt(f"interrupted: {word}")
        if isinstance(error, LandscapeError):
            error.args = (f"{error}; {self._n_done(surface)} measured" if isinstance(error, AuditError) else f"{error}; {word}",)
        return error

    def _so_far(self, surface: Surface) -> str:
        file = self._options.to
        place = f"are in {file}; run the same command again to go on" if file is not None else "were measured"
        return f"{self._n_done(surface)} {place}"

    def _n_done(self, surface: Surface) -> str:
        return f"{int(np.logical_and.reduce(list(surface.done.values())).sum())} of {surface.grid.n_points} points"

    def _directions(self) -> dict[str, dict[str, np.ndarray]] | None:
        if not self._options.save_directions:
            return None
        if self._plan.n_draws > 1:
            raise InputError(
                "--save-directions stores one direction an axis; several seeds have several, and are drawn again from them"
            )
        pairs = zip(self._plan.axes, self._plan.subspace.directions, strict=True)
        return {axis.name: {n: t.cpu().numpy() for n, t in {**d.parameters, **d.buffers}.items()} for axis, d in pairs}

    def _announce(self, check: SelfCheck) -> float:
        n_left, note = len(self._missing), self._progress.note
        attributes, engine = self._plan.attributes, self._bench.objective.engine
        if trains_otherwise(self._plan.problem.model):
            note("the model is in train mode; a copy of it is measured in eval mode")
        if "cosine" in attributes:
            note(f"cosine of the two directions: {attributes['cosine']:.4f} (random ones: ±{attributes['cosine_sd']:.4f})")
        seconds = check.seconds
        if engine.lossy and n_left:  # the origin was computed in fp32
            seconds = self._bench.objective.measure(self._plan.place(self._audit.points[-1])).seconds
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
        return seconds
