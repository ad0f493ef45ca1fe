"""A run from its plan to its surface: what every rank does, in order."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch

from landscape.atomic import check_target
from landscape.core.surface import Axis, Surface
from landscape.errors import InputError
from landscape.evaluate import main_type
from landscape.parallel import Executor, PoolExecutor, detect_executor, exhausted
from landscape.progress import Progress
from landscape.sweep.checks import check_agreement, compare_ranks
from landscape.sweep.devices import choose_device, choose_threads
from landscape.sweep.isolation import isolated, uses_gpu
from landscape.sweep.loop import Sweep
from landscape.sweep.options import Options, seconds_of
from landscape.sweep.plan import Plan
from landscape.sweep.setup import prepare

__all__ = ["run", "run_in_steps"]

_MANY_POINTS = 1_000_000
_MOST_POINTS = 10_000_000  # as many as are read back from a file


def run(plan_of: Callable[[], Plan], options: Options) -> Surface:
    """Measure what a plan asks for; under mpirun every rank calls this, and gets the surface at the end.

    Args:
        plan_of: makes the plan.
        options: of the run.

    Raises:
        InputError: for input that cannot be used; nothing is written then.
        RunError: when the computation fails; what was measured is in the file.
        KeyboardInterrupt: likewise.
    """
    executor = detect_executor() if options.executor is None else PoolExecutor(options.executor)
    try:
        with isolated(choose_threads(options.threads, executor)):
            return exhausted(_steps(plan_of, options, executor))
    except BaseException as error:
        executor.fail(error)
        raise


def run_in_steps(plan_of: Callable[[], Plan], options: Options) -> Generator[Surface, None, None]:
    """The same, step by step: copies of the surface so far, and in between torch's state as it was before.

    Raises:
        InputError: also under mpirun, where the ranks wait for each other.
    """
    executor = detect_executor() if options.executor is None else PoolExecutor(options.executor)
    if executor.n_ranks > 1:
        error = InputError("a stream is of one process, or of one with executor=; under mpirun use surface")
        executor.fail(error)
        raise error
    steps, threads, gpu = _steps(plan_of, options, executor), choose_threads(options.threads, executor), None
    while True:
        with isolated(threads):
            if gpu is not None:
                torch.cuda.set_device(gpu)
            try:
                surface, over = next(steps).copy(), False
            except StopIteration as end:
                surface, over = end.value, True
            gpu = torch.cuda.current_device() if uses_gpu() else None
        try:
            yield surface
        except BaseException as error:  # nobody asks any more
            with isolated(threads):
                steps.throw(error)
        if over:
            return


def _steps(plan_of: Callable[[], Plan], options: Options, executor: Executor) -> Generator[Surface, None, Surface]:
    limit = seconds_of(options.time_limit)
    deadline = math.inf if limit is None else time.monotonic() + limit
    with Progress(options.quiet or not executor.is_root) as progress, ExitStack() as held:
        executor.on_root(lambda: held.enter_context(_reserved(options, progress.note)))
        plan = executor.load_or_receive(lambda: _check_plan(plan_of(), options))
        old = executor.on_root(lambda: _read_existing(options))
        if options.offload:  # rebound, so that nothing holds on to the directions in memory
            plan = executor.on_all_ranks(partial(_offloaded, plan, options, executor))
        context = prepare(plan, options, executor, old, progress)
        check_agreement(executor, context.plan, context.samples, context.calibration)
        sweep = Sweep(executor, options, context, progress)
        complaint = compare_ranks(executor, context.plan, context.objective, context.samples)
        seconds = executor.on_root(lambda: sweep.begin(old, complaint))
        sweep.audit(deadline, seconds)
        mine = yield from sweep.measure(deadline, seconds)
        ranks = [work for works in executor.gather(mine) for work in works]
        return executor.on_root(lambda: sweep.finish(ranks, deadline))


def _offloaded(plan: Plan, options: Options, executor: Executor) -> Plan:
    return plan.offloaded(choose_device(options.device, executor))


@contextmanager
def _reserved(options: Options, note: Callable[[str], None]) -> Iterator[None]:
    """The run's file, kept to this process from before it is read to the end.

    Raises:
        InputError: when it cannot be written, or another process is writing it.
    """
    if options.to is None:
        yield
        return
    from landscape import io  # here, so that surfaces in memory need no h5py

    with io.lock_for_writing(check_target(options.to), note):
        yield


def _check_plan(plan: Plan, options: Options) -> Plan:
    """The plan, after what can be refused before any data are read."""
    n_points = plan.grid.n_points
    if n_points > _MOST_POINTS:
        raise InputError(f"the axes make {n_points:,} points, a surface has {_MOST_POINTS:,} at most; ask for fewer")
    if n_points >= _MANY_POINTS and not options.yes:
        raise InputError(f"the axes make {n_points:,} points; pass --yes to confirm, or ask for fewer")
    double = options.precision == "fp64" or (options.precision is None and main_type(plan.problem.model) == torch.float64)
    for axis in plan.axes:
        if axis.name != "seed":
            _check_coordinates(axis, torch.float64 if double else torch.float32)
    for split in options.splits(plan.problem.splits):
        plan.problem.examples(split)
    return plan


def _check_coordinates(axis: Axis, dtype: torch.dtype) -> None:
    """Refuse coordinates that the weights' type cannot tell from infinity, or from 0."""
    limits, sizes, name = torch.finfo(dtype), np.abs(axis.values), str(dtype).removeprefix("torch.")
    if sizes.max() > limits.max:
        raise InputError(f"{axis.name} reaches {sizes.max():.3g}, which is infinite in {name}; ask for a smaller range")
    if (lost := sizes[(sizes > 0) & (sizes < limits.tiny)]).size:
        raise InputError(f"{axis.name} has a point at {lost.max():.3g}, which is 0 in {name}; ask for a larger range")


def _read_existing(options: Options) -> Surface | None:
    """The surface in the file to go on with; None where there is none, or it is to be replaced."""
    if options.to is None or options.overwrite or not Path(options.to).exists():
        return None
    from landscape import io

    try:
        return io.read(options.to)
    except InputError as error:
        raise InputError(f"{error}; nothing was overwritten: choose another name, or --overwrite to replace it") from error
