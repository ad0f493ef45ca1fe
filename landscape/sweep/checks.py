"""What a run checks besides its values: what is measured, stored points measured again, and ranks that compute alike."""

from __future__ import annotations

import math
import socket
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from landscape.core.agreement import agree, apart
from landscape.core.surface import Metric, Surface
from landscape.core.weights import digest
from landscape.errors import InputError
from landscape.evaluate import Measurement, Objective, Sample, main_type
from landscape.parallel import Executor
from landscape.problem import Examples
from landscape.sweep.allowance import allowed_relative
from landscape.sweep.located_models import far_corner, losses_of
from landscape.sweep.plan import Plan
from landscape.sweep.version import package_version, source_commit

__all__ = [
    "check_agreement",
    "compare_identities",
    "compare_ranks",
    "describe_difference",
    "identity",
    "losses_off_origin",
    "measure_again",
    "measured_as",
    "metrics_of",
]

_AGREEMENT = 1e-6  # a stored value measured again, relative
_LOSSY_AGREEMENT = 1e-2  # the same in tf32 and bf16, where another batch size or device rounds otherwise
_RESERVED = ("_stderr", "_low", "_high")  # what the file adds to a metric's name
_EXAMPLES = 4096
_TENTH = 0.1


def measure_again(plan: Plan, objective: Objective, samples: Sequence[Sample], old: Surface, place: str) -> None:
    """One stored point once more: other numbers mean that model code, loss or data are not what they were.

    Raises:
        InputError: when they differ.
    """
    splits = [sample.split for sample in samples]
    keys = [key for key in old.metrics if old.metrics[key].split in splits]
    stored = [i for i in old.grid.indices() if all(old.done[key][i] and np.isfinite(old.values[key][i]) for key in keys)]
    if not stored or not keys:
        return
    node = coordinates = old.grid.coordinates(stored[0])
    if old.kind == "line" and len(node) == 2:  # x and the seed of a draw
        draw = list(plan.axes[1].values).index(node[1])
        coordinates = tuple(node[0] if i == draw else 0.0 for i in range(plan.n_draws))
    again = measured_as(objective, coordinates, {split: int(counts[stored[0]]) for split, counts in old.examples.items()}).estimates
    allowed = _LOSSY_AGREEMENT if objective.engine.reduced_precision else _AGREEMENT
    where = ", ".join(f"{axis.name} = {c:g}" for axis, c in zip(plan.axes, node, strict=True))
    for key in keys:
        before, now = float(old.values[key][stored[0]]), again[key].value if key in again else math.nan
        if not agree(now, before, allowed * abs(before) + 1e-9):
            raise InputError(
                f"{place}: {key} at {where} is stored as {before:.9g} but measures {now:.9g} now; "
                "was the model's code or the loss changed? choose another name, or --overwrite to replace it"
            )


def measured_as(objective: Objective, place: Sequence[float], used: Mapping[str, int]) -> Measurement:
    """A point once more: where a tolerance says how many examples a point takes, over as many of each split as it took before."""
    return objective.measure(place, at_most=used) if objective.engine.tolerance else objective.measure_all([place])[0]


def metrics_of(plan: Plan, keys: Sequence[tuple[str, str]]) -> list[Metric]:
    """What is measured, from pairs of split and metric; the losses first.

    Raises:
        InputError: for names that would be one in the file, as those of metric clean_loss of split train and metric loss of split
            train_clean, or that the file itself adds.
    """
    names = Counter(f"{split}_{metric}" for split, metric in keys)
    for split, metric in keys:
        name = f"{split}_{metric}"
        if names[name] > 1:
            others = " and of ".join(f'split "{s}" the metric "{m}"' for s, m in keys if f"{s}_{m}" == name)
            raise InputError(f"of {others} would both be stored as {name}; give the split or the metric another name")
        suffix = next((suffix for suffix in _RESERVED if metric.endswith(suffix)), None)
        if suffix is not None:
            raise InputError(
                f'the loss function returned a metric named "{metric}"; names ending in {suffix} are the file\'s own: rename it'
            )
    found = [Metric(split, metric, plan.problem.loss.unit(metric)) for split, metric in keys]
    return sorted(found, key=lambda metric: metric.name != "loss")


def check_agreement(executor: Executor, plan: Plan, samples: Sequence[Sample], calibration: Examples | None) -> None:
    """Every rank has to have the same code, model, directions and data before the first point is measured."""
    everybody = executor.gather(identity(plan, samples, calibration))
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


def compare_ranks(executor: Executor, plan: Plan, objective: Objective, samples: Sequence[Sample]) -> str:
    """Whether all ranks get one value at a point off the origin, over the first examples; what is wrong, or nothing.

    Code that differs from rank to rank, a library that does, or a faulty device shows here; every rank has to call this.
    """
    if executor.n_ranks == 1:
        return ""
    first, *others = executor.gather(executor.on_all_ranks(lambda: losses_off_origin(plan, objective, samples)))
    told = (describe_difference(f"rank {rank}", theirs, first, plan, objective) for rank, theirs in enumerate(others, start=1))
    return next((text for text in told if text), "")


def losses_off_origin(plan: Plan, objective: Objective, samples: Sequence[Sample]) -> dict[str, float]:
    """The losses a tenth of the way to the farthest corner, over the first examples of each split."""
    at_most = {sample.split: min(sample.size, _EXAMPLES) for sample in samples}
    precision = "fp32" if objective.engine.reduced_precision else None
    return losses_of(objective.measure(_off_origin(plan), precision=precision, at_most=at_most), samples)


def describe_difference(
    name: str, theirs: Mapping[str, float], first: Mapping[str, float], plan: Plan, objective: Objective
) -> str:
    """What is wrong with the losses somebody has off the origin, where rank 0 has others; nothing where rounding explains it."""
    origin = plan.parameters_of(plan.subspace.origin)
    allowed = allowed_relative(origin, [main_type(plan.problem.model), objective.engine.dtype])
    for split, value in first.items():
        if not agree(theirs[split], value, allowed * abs(value)):
            where = ", ".join(f"{c:g}" for c in _off_origin(plan))
            return (
                f"{name} has {split}_loss {theirs[split]:.7g} at ({where}) where rank 0 has {value:.7g} "
                f"({apart(value, theirs[split]):.2g} apart, relative; {allowed:.2g} allowed): do all ranks run the same code, on the same data?"
            )
    return ""


def _off_origin(plan: Plan) -> tuple[float, ...]:
    return tuple(_TENTH * coordinate for coordinate in far_corner(plan)) or (0.0,)
