"""The bench a rank works at: the objective on its device, and what has to hold before the first point is measured."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from landscape.atomic import check_target
from landscape.errors import InputError
from landscape.executors import Executor
from landscape.objective import Engine, Objective, Sample, choose
from landscape.problem import Examples
from landscape.surface import Surface
from landscape.sweep.options import Options, choose_device
from landscape.sweep.plan import Plan
from landscape.sweep.provenance import package_version
from landscape.weights import digest

__all__ = ["Bench", "check_agreement", "check_plan", "prepare", "read_existing"]

_MANY_POINTS = 1_000_000
_MOST_POINTS = 10_000_000  # as many as are read back from a file


@dataclass(frozen=True, eq=False)
class Bench:
    """What each rank computes with."""

    objective: Objective
    samples: list[Sample]
    calibration: Examples | None


def check_plan(plan: Plan, options: Options) -> Plan:
    """The plan, after what can be refused before any data are read."""
    n_points = plan.grid.n_points
    if n_points > _MOST_POINTS:
        raise InputError(f"the axes make {n_points:,} points, a surface has {_MOST_POINTS:,} at most; ask for fewer")
    if n_points >= _MANY_POINTS and not options.yes:
        raise InputError(f"the axes make {n_points:,} points; say --yes if you mean it, or ask for fewer")
    if options.to is not None:
        check_target(options.to)
    for split in options.splits(plan.problem.splits):
        plan.problem.examples(split)
    return plan


def read_existing(options: Options) -> Surface | None:
    """The surface in the file to go on with; None where there is none, or it is to be replaced."""
    if options.to is None or options.overwrite or not Path(options.to).exists():
        return None
    from landscape import store

    try:
        return store.read(options.to)
    except InputError as error:
        raise InputError(f"{error}; nothing was overwritten: choose another name, or --overwrite to replace it") from error


def prepare(plan: Plan, options: Options, executor: Executor, old: Surface | None) -> Bench:
    """The objective on this rank's device, with the stored batch size where the run is resumed."""
    device = choose_device(options.device, executor)
    stored = old.runs[-1].get("batch_size") if old is not None and old.runs else None
    batch_size = options.batch_size or (stored if isinstance(stored, int) else None)
    double = all(p.dtype == torch.float64 for p in plan.problem.model.parameters() if p.is_floating_point())
    engine = Engine(device, options.precision or ("fp64" if double else "fp32"), batch_size, plan.bn, options.tolerance)
    splits = options.splits(plan.problem.splits)
    samples = [choose(plan.problem.examples(split), options.examples, plan.seed, options.tolerance > 0) for split in splits]
    calibration = None
    if plan.bn == "recalibrated":
        calibration = plan.problem.examples("train" if "train" in plan.problem.splits else splits[0])
    return Bench(Objective(plan.problem, plan.subspace, samples, engine, calibration), samples, calibration)


def check_agreement(executor: Executor, plan: Plan, samples: Sequence[Sample]) -> None:
    """Every rank has to have the same code, model, directions and data before the first point is measured."""
    mine = {
        "host": socket.gethostname(),
        "package version": package_version(),
        "weights": digest(plan.subspace.origin),
        "directions": " ".join(direction.sha256 for direction in plan.subspace.directions),
        "data": " ".join(sample.sha256 for sample in samples),
    }
    first, *others = executor.gather(mine)
    for rank, theirs in enumerate(others, start=1):
        for what in list(mine)[1:]:
            if theirs[what] != first[what]:
                raise InputError(
                    f"rank {rank} on {theirs['host']} has another {what} than rank 0 on {first['host']}; give every rank the same files and code"
                )
