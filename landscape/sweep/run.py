"""A run from its plan to its surface: what every rank does, in order."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import torch

from landscape.core.surface import Surface
from landscape.parallel import Executor, detect_executor
from landscape.progress import Progress
from landscape.sweep.checks import compare_ranks
from landscape.sweep.devices import choose_device, choose_threads
from landscape.sweep.isolation import isolated
from landscape.sweep.loop import Sweep
from landscape.sweep.options import Options, seconds_of
from landscape.sweep.plan import Plan
from landscape.sweep.setup import check_agreement, check_plan, prepare, read_existing, reserved

__all__ = ["run"]


def run(plan_of: Callable[[], Plan], options: Options) -> Surface:
    """Measure what a plan asks for; under mpirun every rank calls this, and gets the surface at the end.

    Raises:
        InputError: for input that cannot be used; nothing is written then.
        RunError: when the computation fails; what was measured is in the file.
        KeyboardInterrupt: likewise.
    """
    executor = detect_executor()
    try:
        with isolated():
            return _run(plan_of, options, executor)
    except BaseException as error:
        executor.fail(error)
        raise


def _run(plan_of: Callable[[], Plan], options: Options, executor: Executor) -> Surface:
    limit = seconds_of(options.time_limit)
    deadline = math.inf if limit is None else time.monotonic() + limit
    before, device = torch.get_num_threads(), torch.cuda.current_device() if _uses_cuda() else 0
    torch.set_num_threads(choose_threads(options.threads, executor))
    try:
        with Progress(options.quiet or not executor.is_root) as progress, ExitStack() as held:
            executor.on_root(lambda: held.enter_context(reserved(options, progress.note)))
            plan = executor.load_or_receive(lambda: check_plan(plan_of(), options))
            old = executor.on_root(lambda: read_existing(options))
            if options.offload:  # rebound, so that nothing holds on to the directions in memory
                plan = executor.on_all_ranks(partial(_offloaded, plan, options, executor))
            context = prepare(plan, options, executor, old, progress)
            check_agreement(executor, context.plan, context.samples)
            sweep = Sweep(executor, options, context, progress)
            complaint = compare_ranks(executor, context.plan, context.objective, context.samples)
            seconds = executor.on_root(lambda: sweep.begin(old, complaint))
            sweep.audit(deadline, seconds)
            sweep.measure(deadline, seconds)
            ranks = executor.gather(sweep.work)
            return executor.on_root(lambda: sweep.finish(ranks, deadline))
    finally:
        torch.set_num_threads(before)
        if _uses_cuda():
            torch.cuda.set_device(device)


def _uses_cuda() -> bool:
    """Whether this process has begun to use a GPU; asking a device's name before would begin it."""
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]  # torch has no types here


def _offloaded(plan: Plan, options: Options, executor: Executor) -> Plan:
    return plan.offloaded(choose_device(options.device, executor))
