"""A run from its plan to its surface: what every rank does, in order."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch

from landscape.core.surface import Surface
from landscape.errors import InputError
from landscape.parallel import Executor, PoolExecutor, detect_executor, exhausted
from landscape.progress import Progress
from landscape.sweep.checks import compare_ranks
from landscape.sweep.devices import choose_device, choose_threads
from landscape.sweep.isolation import isolated, uses_gpu
from landscape.sweep.loop import Sweep
from landscape.sweep.options import Options, seconds_of
from landscape.sweep.plan import Plan
from landscape.sweep.setup import check_agreement, check_plan, prepare, read_existing, reserved

__all__ = ["run", "run_in_steps"]


def run(plan_of: Callable[[], Plan], options: Options, pool: Any = None) -> Surface:
    """Measure what a plan asks for; under mpirun every rank calls this, and gets the surface at the end.

    Args:
        plan_of: makes the plan.
        options: of the run.
        pool: processes that compute the points, see `PoolExecutor`; by default this one, or the ranks of mpirun.

    Raises:
        InputError: for input that cannot be used; nothing is written then.
        RunError: when the computation fails; what was measured is in the file.
        KeyboardInterrupt: likewise.
    """
    executor = detect_executor() if pool is None else PoolExecutor(pool)
    try:
        with isolated(choose_threads(options.threads, executor)):
            return exhausted(_steps(plan_of, options, executor))
    except BaseException as error:
        executor.fail(error)
        raise


def run_in_steps(plan_of: Callable[[], Plan], options: Options, pool: Any = None) -> Generator[Surface, None, None]:
    """The same, step by step: copies of the surface so far, and in between torch's state as it was before.

    Raises:
        InputError: also under mpirun, where the ranks wait for each other.
    """
    executor = detect_executor() if pool is None else PoolExecutor(pool)
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
        executor.on_root(lambda: held.enter_context(reserved(options, progress.note)))
        plan = executor.load_or_receive(lambda: check_plan(plan_of(), options))
        old = executor.on_root(lambda: read_existing(options))
        if options.offload:  # rebound, so that nothing holds on to the directions in memory
            plan = executor.on_all_ranks(partial(_offloaded, plan, options, executor))
        context = prepare(plan, options, executor, old, progress)
        check_agreement(executor, context)
        sweep = Sweep(executor, options, context, progress)
        complaint = compare_ranks(executor, context.plan, context.objective, context.samples)
        seconds = executor.on_root(lambda: sweep.begin(old, complaint))
        sweep.audit(deadline, seconds)
        mine = yield from sweep.measure(deadline, seconds)
        ranks = [work for works in executor.gather(mine) for work in works]
        return executor.on_root(lambda: sweep.finish(ranks, deadline))


def _offloaded(plan: Plan, options: Options, executor: Executor) -> Plan:
    return plan.offloaded(choose_device(options.device, executor))
