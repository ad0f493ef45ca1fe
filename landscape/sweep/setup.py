"""The bench a rank works at: the objective on its device, and what has to hold before the first point is measured."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from landscape.atomic import check_target
from landscape.core.surface import Axis, Surface
from landscape.core.weights import digest
from landscape.errors import InputError
from landscape.evaluate import Engine, Objective, Sample, choose, free_bytes, main_type, out_of_memory
from landscape.parallel import Executor
from landscape.problem import Examples
from landscape.progress import Progress
from landscape.sweep.devices import Placement, choose_device, described, n_sharing
from landscape.sweep.engine_choice import settle
from landscape.sweep.options import Options, bytes_of
from landscape.sweep.plan import Plan
from landscape.sweep.provenance import package_version, source_commit

__all__ = [
    "RunContext",
    "check_agreement",
    "check_plan",
    "choose_examples",
    "compare_identities",
    "identity",
    "prepare",
    "read_existing",
    "reserved",
]

_MANY_POINTS = 1_000_000
_MOST_POINTS = 10_000_000  # as many as are read back from a file


@dataclass(frozen=True, eq=False)
class RunContext:
    """What each rank computes with."""

    plan: Plan
    objective: Objective
    samples: list[Sample]
    calibration: Examples | None
    batch_size_asked: int  # before a lack of memory halved it


@contextmanager
def reserved(options: Options, note: Callable[[str], None]) -> Iterator[None]:
    """The run's file, kept to this process from before it is read to the end.

    Raises:
        InputError: when it cannot be written, or another process is writing it.
    """
    if options.to is None:
        yield
        return
    from landscape import io  # here, so that surfaces in memory need no h5py

    with io.writing(check_target(options.to), note):
        yield


def check_plan(plan: Plan, options: Options) -> Plan:
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


def read_existing(options: Options) -> Surface | None:
    """The surface in the file to go on with; None where there is none, or it is to be replaced."""
    if options.to is None or options.overwrite or not Path(options.to).exists():
        return None
    from landscape import io

    try:
        return io.read(options.to)
    except InputError as error:
        raise InputError(f"{error}; nothing was overwritten: choose another name, or --overwrite to replace it") from error


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
    settled = executor.on_root(lambda: settle(plan, options, device, samples, old, executor.n_workers, progress))
    mine = Placement.of(device)
    places = executor.gather(mine)
    if executor.n_ranks > 1:
        progress.note(described(places))
    memory = executor.on_all_ranks(lambda: bytes_of(options.memory, free_bytes(device))) / n_sharing(mine, places)
    engine, asked = replace(settled, device=device, memory=memory), settled.batch_size or 1
    while True:
        objective = executor.on_all_ranks(partial(_tried, plan, samples, engine, calibration))
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


def _tried(plan: Plan, samples: Sequence[Sample], engine: Engine, calibration: Examples | None) -> Objective | None:
    """The objective once it computed a whole batch; None where that did not fit the memory."""
    try:
        objective = Objective(plan.problem, plan.subspace, samples, engine, calibration)
        objective.trial()
    except Exception as error:
        if out_of_memory(error):
            return None
        raise
    return objective


def choose_examples(plan: Plan, options: Options) -> tuple[list[Sample], Examples | None]:
    """The examples measured on, by split, and those batch norm is recalibrated on."""
    splits = options.splits(plan.problem.splits)
    samples = [choose(plan.problem.examples(split), options.examples, plan.seed, options.tolerance > 0) for split in splits]
    if not plan.calibrates:
        return samples, None
    return samples, plan.problem.examples("train")


def check_agreement(executor: Executor, context: RunContext) -> None:
    """Every rank has to have the same code, model, directions and data before the first point is measured."""
    everybody = executor.gather(identity(context.plan, context.samples, context.calibration))
    executor.on_root(lambda: compare_identities(everybody))


def identity(plan: Plan, samples: Sequence[Sample], calibration: Examples | None) -> dict[str, str]:
    """What a process computes with, and where."""
    return {
        "host": socket.gethostname(),
        "package version": package_version(),
        "package commit": source_commit(),
        "torch version": str(torch.__version__),
        "weights": digest(plan.subspace.origin),
        "directions": " ".join(direction.sha256 for direction in plan.subspace.directions),
        "data": " ".join(sample.sha256 for sample in samples) + (calibration.sha256 if calibration is not None else ""),
    }


def compare_identities(everybody: Sequence[Mapping[str, str]]) -> None:
    """Refuse processes that compute with something else than the first.

    Raises:
        InputError: naming what differs.
    """
    first, *others = everybody
    for rank, theirs in enumerate(others, start=1):
        changed = [what for what in first if what != "host" and theirs[what] != first[what]]
        if changed:
            raise InputError(
                f"rank {rank} on {theirs['host']} has other {', '.join(changed)} than rank 0 on {first['host']}; "
                "give every rank the same files and code"
            )
