"""The one loop: every pending point of a plan is measured, by whichever executor there is, and recorded."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from landscape.core.surface import Surface
from landscape.errors import LandscapeError, RunError
from landscape.evaluate import Measurement
from landscape.parallel import Call, Executor, Steps, Task, exhausted
from landscape.parallel.signals import on_shutdown
from landscape.progress import Progress
from landscape.sweep import messages, rank_stats
from landscape.sweep.blocks import Index, Part, blocks_of
from landscape.sweep.checks import measure_again, metrics_of
from landscape.sweep.located_models import direction_arrays
from landscape.sweep.options import Options
from landscape.sweep.paired_errors import PairedErrors
from landscape.sweep.point_worker import PointWorker, Result
from landscape.sweep.precision_audit import Audit, AuditError
from landscape.sweep.provenance import describe_run, describe_subject
from landscape.sweep.rank_stats import RankStats
from landscape.sweep.result_writer import ResultWriter
from landscape.sweep.resume import blank, describe_changes, merge, pending
from landscape.sweep.self_check import SelfCheck, complain
from landscape.sweep.setup import RunContext
from landscape.sweep.tolerance_audit import ToleranceAudit
from landscape.sweep.tolerance_rounds import settle
from landscape.sweep.worker_setup import WorkerSetup

__all__ = ["Sweep"]

_POINTS_AT_THE_END = 6  # what the self-check after the last point costs, in points, at most


class Sweep:
    """One run: begin (on the root), measure (on every rank), finish (on the root)."""

    def __init__(self, executor: Executor, options: Options, context: RunContext, progress: Progress) -> None:
        self._executor = executor
        self._plan = context.plan
        self._options = options
        self._context = context
        self._audit = Audit(context.plan, context.objective, options.audit_tolerance)
        self._worker = PointWorker(context.plan, context.objective, self._audit)
        self._make = WorkerSetup.of(context, options, executor.n_workers) if executor.sends else None
        self._first_looks: Mapping[str, int] = {}
        self._paired = PairedErrors(context.plan.problem, context.objective, context.samples)
        self._progress = progress
        self._writer: ResultWriter | None = None
        self._check: SelfCheck | None = None
        self._splits = [sample.split for sample in context.samples]
        self._keys: list[str] = []
        self._part = Part.of(options.part)
        self._blocks: list[list[Index]] = []  # those left to compute, on the root
        self._missing: set[Index] = set()  # their points that are to be recorded
        self._tolerance = ToleranceAudit(context.plan, context.objective, context.samples, self._part.n_parts)

    def begin(self, old: Surface | None, complaint: str = "") -> float:
        """Check the engine, write the file with what is known, and say what is left to measure and how long it takes.

        Args:
            old: what the file to go on with holds.
            complaint: what is wrong with the ranks, found before.

        Returns:
            The seconds that a point takes, with a tolerance at most.

        Raises:
            SelfCheckError: when a check fails; nothing was written.
        """
        plan, context, engine = self._plan, self._context, self._context.objective.engine
        check = self._check = self._checked(old, complaint)
        self._worker.known = check.measured
        metrics = metrics_of(plan, check.keys)
        self._keys = [metric.key for metric in metrics]
        now = describe_run(self._options.command, engine, self._executor.n_workers, context.batch_size_asked)
        now |= {"part": str(self._part)} if self._part.n_parts > 1 else {}
        surface = blank(
            plan.kind,
            plan.axes,
            metrics,
            context.samples,
            context.objective.fractions,
            attributes=describe_subject(plan, engine, check.needs_batch_size, self._options.basin_level),
            data={sample.split: sample.to_attributes() for sample in context.samples},
            points=tuple(check.points),
            checks=check.attributes,
            runs=(now,),
        )
        if old is not None:
            surface = merge(old, surface, str(self._options.to))
            self._tolerance.resume(old, surface)
            measure_again(plan, context.objective, context.samples, old, str(self._options.to))
            if old.runs and (changes := describe_changes(now, old.runs[-1])):
                self._progress.note(changes)
        self._blocks, self._missing = self._left(set(pending(surface, self._keys)))
        path = Path(self._options.to) if self._options.to is not None else None
        directions = direction_arrays(plan) if self._options.save_directions else None
        self._paired.begin(surface, old, check.measured.get((0.0,) * context.objective.n_directions))
        self._writer = ResultWriter(surface, path, directions, self._paired, resumed=old is not None)
        return self._announce(check.seconds)

    def _checked(self, old: Surface | None, complaint: str) -> SelfCheck:
        """The self-check before the first point; a failure ends the run, or is said and goes along."""
        context, engine = self._context, self._context.objective.engine
        named = self._options.batch_size == engine.batch_size or (old is not None and "batch_size" in old.attributes)
        check = SelfCheck(self._plan, context.objective, context.samples, context.calibration, named, self._options.audit_tolerance)
        check.before()
        if complaint:
            check.fail(complaint)
        if old is not None and not old.checks.get("passed", 1):
            check.fail(
                f"an earlier run into this file: {old.checks.get('failure', 'its self-check failed')}; --overwrite starts over"
            )
        complain(check.failures, self._options.check)
        return check

    def _left(self, pending: set[Index]) -> tuple[list[list[Index]], set[Index]]:
        """The blocks to compute, and the points of this run's part in them that are not measured yet.

        The audit comes first, so that a precision too coarse is found early; it is repeated in every run.
        """
        blocks = blocks_of(self._audit.points, self._plan.grid.indices(), self._worker.points_per_pass)
        missing = pending.intersection(index for block in self._part.of_blocks(blocks) for index in block)
        audited = set(self._audit.points) if missing else set()
        return [block for block in blocks if not (missing | audited).isdisjoint(block)], missing

    def audit(self, deadline: float, seconds: float) -> None:
        """With a tolerance, measure the points of its audit and settle after how many examples any point may stop."""
        self._worker.slowest = seconds
        surface = self._writer.surface if self._writer is not None and self._missing else None

        def run_task(items: Sequence[Any], call: Call, on_result: Callable[[Any, Any], None]) -> None:
            exhausted(self._share_out(items, call, on_result, deadline, seconds))

        known = (self._executor, self._tolerance, self._worker, surface, self._keys)
        self._first_looks = settle(*known, run_task, self._add, self._make)

    def measure(self, deadline: float, seconds: float) -> Generator[Any, None, list[RankStats]]:
        """Measure the points left, until all are done or no further one would end before the deadline.

        Args:
            deadline: of the monotonic clock.
            seconds: that a point takes, at most.
        Yields the surface so far with the executor's steps, and returns what each worker did that this process speaks for.
        """
        self._worker.slowest = 0.0 if self._context.objective.engine.tolerance else seconds
        started = time.perf_counter()
        call = Call(self._worker, "block", (self._first_looks,), self._make)
        blocks = [] if self._tolerance.unsettled else [block for block in self._blocks if not self._is_done(block)]
        shares = yield from self._share_out(blocks, call, self._take, deadline, self._worker.points_per_pass * seconds)
        wall = time.perf_counter() - started
        return [
            replace(share.account or self._worker.account(), wall=wall, busy=share.busy, waiting=share.waiting, idle=share.idle)
            for share in shares
        ]

    def _share_out(
        self, items: Sequence[Any], call: Call, on_result: Callable[[Any, Any], None], deadline: float, seconds: float
    ) -> Steps:
        """Compute items, every worker its share; whatever ends that leaves a file with what there is."""
        task = Task(
            items,
            call,
            on_result,
            out_of_time=lambda: self._worker.out_of_time(deadline),
            heartbeat=self._tend,
            on_abort=self._rescued,
            so_far=lambda: self._writer.surface if self._writer is not None else None,
            seconds=seconds,
        )
        try:
            with on_shutdown(self._tend, self._end) if self._executor.is_root else nullcontext():
                return (yield from self._executor.steps(task))
        except KeyboardInterrupt as error:
            raise self._saved(error) from None
        except BaseException as error:
            self._saved(error)
            raise

    def _is_done(self, block: Sequence[Index]) -> bool:
        """Whether nothing of a block is left to measure, nor for the audit of a lossy precision to compare."""
        open_points = [i for i in block if i in self._missing and not self._is_measured(i)]
        return not open_points and set(self._audit.points).isdisjoint(block)

    def _is_measured(self, index: Index) -> bool:
        return self._writer is not None and all(self._writer.surface.done[key][index] for key in self._keys)

    def _add(self, points: Iterable[tuple[Index, Measurement]]) -> None:
        """Record points that the audit of a tolerance measured, if nothing is known of them yet."""
        if self._writer is not None:
            new = [(index, measurement) for index, measurement in points if not self._is_measured(index)]
            self._writer.add(new)
            self._progress.advance(sum(index in self._missing for index, _ in new))

    def _take(self, block: Sequence[Index], results: Sequence[Result]) -> None:
        """Record a block that some rank measured."""
        if self._writer is None:
            raise RunError("the sweep has not begun")
        pairs = self._worker.checked(block, results, self._keys)
        if self._make is not None:  # nobody else here knows how long points take elsewhere
            self._worker.slowest = max(self._worker.slowest, *(measurement.seconds for measurement, _ in results))
        self._writer.add((index, measurement) for index, (measurement, _) in pairs if index in self._missing)
        for index, (measurement, exact) in pairs:
            if exact is not None:
                self._audit.compare(index, measurement, exact)
        self._progress.advance(len(self._missing.intersection(block)))

    def _tend(self) -> None:
        if self._writer is not None:
            self._writer.flush()

    def finish(self, ranks: Sequence[RankStats], deadline: float) -> Surface:
        """Close the bar, check once more while there is time, complete the file and say how it went.

        Raises:
            SelfCheckError: when the check fails; the file is complete, and says so.
        """
        try:
            with on_shutdown(self._tend, self._end):
                failures = self._check_again(deadline)
        except KeyboardInterrupt as error:
            raise self._saved(error) from None
        except BaseException as error:
            self._saved(error)
            raise
        surface = self._close(ranks)
        n_left = int(surface.runs[-1]["left"])
        left = messages.what_is_left(surface, self._options.to, self._splits, n_left, self._part, ranks)
        for line in (rank_stats.summary(ranks), rank_stats.table(ranks), self._audit.summary(), *self._tolerance.summary(), left):
            if line:
                self._progress.note(line)
        complain(failures, self._options.check)
        return surface

    def _check_again(self, deadline: float) -> list[str]:
        """The self-check after the last point; what it found beyond the first one."""
        if self._writer is None or self._check is None:
            raise RunError("the sweep has not begun")
        surface, before = self._writer.surface, len(self._check.failures)
        measured = [i for block in self._blocks for i in block if i in self._missing and self._is_measured(i)]
        if time.monotonic() + _POINTS_AT_THE_END * self._check.seconds < deadline:
            self._check.after(surface, measured)
        return self._check.failures[before:]

    def _close(self, ranks: Sequence[RankStats]) -> Surface:
        self._progress.close()
        if self._writer is None:
            raise RunError("the sweep has not begun")
        n_left = sum(not self._is_measured(index) for index in self._missing)
        run = {
            "left": n_left,
            "check_seconds": self._check.spent if self._check else 0.0,
            **(rank_stats.to_attributes(ranks) if ranks else {}),
        }
        checks = {
            **(self._check.attributes if self._check else {}),
            **self._audit.to_attributes(),
            **self._tolerance.to_attributes(),
        }
        return self._writer.finish(run, checks, interrupted=not ranks)

    def _saved(self, error: BaseException) -> BaseException:
        """The error that ends the run, with a word about what the file holds; other ranks than the root have none."""
        return error if self._writer is None else self._with_a_word(error, self._close([]))

    def _rescued(self, error: BaseException) -> BaseException:
        """The same, called from another thread while the main one is deep inside a point."""
        if self._writer is None:
            return error
        self._progress.close()
        self._writer.flush()
        return self._with_a_word(error, self._writer.surface)

    def _end(self) -> None:
        """End the job after a signal that the main thread does not react to."""
        self._executor.abort(self._rescued(KeyboardInterrupt()))

    def _with_a_word(self, error: BaseException, surface: Surface) -> BaseException:
        word = messages.so_far(surface, self._options.to)
        if isinstance(error, KeyboardInterrupt):
            return KeyboardInterrupt(f"interrupted: {word}")
        if isinstance(error, LandscapeError):
            error.args = (f"{error}; {messages.n_done(surface)} measured" if isinstance(error, AuditError) else f"{error}; {word}",)
        return error

    def _announce(self, seconds: float) -> float:
        n_left, engine = len(self._missing), self._context.objective.engine
        if engine.reduced_precision and n_left:  # the origin was computed in fp32
            seconds = self._context.objective.measure(self._plan.place(self._audit.points[-1])).seconds
        for line in (*messages.opening(self._plan), *messages.estimate(n_left, seconds, engine, self._executor)):
            self._progress.note(line)
        self._progress.start(self._plan.grid.n_points, self._plan.grid.n_points - n_left)
        return seconds
