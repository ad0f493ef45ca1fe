"""Which engine is fastest for a problem on this machine, found by trying."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from landscape.core.subspace import Subspace
from landscape.evaluate.engine import Engine
from landscape.evaluate.memory import out_of_memory
from landscape.evaluate.objective import Measurement, Objective
from landscape.evaluate.sample import Sample
from landscape.problem import Problem

__all__ = ["Calibration", "agree", "calibrate"]

_EXAMPLES = 256  # a trial's point has so many, or a batch where that is larger; on a GPU several, which it works on ahead
_BATCHES = {"cpu": 1, "cuda": 4}
_ROUNDS = 3
_SMALLEST_BATCH = 32
_AGREEMENT = 1e-5  # relative; in tf32 and bf16, which round otherwise in every order:
_LOSSY_AGREEMENT = 1e-2
_BUDGET = 10.0  # seconds after which nothing further is tried; what is being tried is finished
_MARGIN = 1.1  # a way has to be so much faster to be taken: smaller gains come and go with the machine's mood
_WORTH_COMPILING = 300.0  # seconds a run has to take before a compilation of some 20 can pay
_BOUND_BY_LAUNCHES = 0.05  # seconds of a point below which a GPU may be waiting for its orders


@dataclass(frozen=True)
class Calibration:
    """The engine chosen, what a point costs with it, and what it cost with the one to begin with, in seconds."""

    engine: Engine
    seconds: float
    seconds_before: float


def calibrate(
    problem: Problem, subspace: Subspace, samples: Sequence[Sample], engine: Engine, n_points: int, keep_batch: bool = False
) -> Calibration:
    """Try other ways of computing against an engine, on a part of the examples, and keep the fastest.

    Tried are half and twice the batch size, images laid out the other way round, batch norm folded where it stands still, on a GPU
    several points at once where a point is short, and compilation where the run is long enough to pay for it. Each is measured in
    turn with the best so far. A way that fails, runs out of memory, or gives another loss than the rounding of its precision
    explains, is not taken.

    Args:
        problem: model and loss.
        subspace: origin and directions.
        samples: the examples of the run.
        engine: where to begin.
        n_points: how many points this process will measure.
        keep_batch: the batch size is the user's own.
    """
    trials = _Trials(problem, subspace, samples)
    began = time.perf_counter()
    champion = trials.prepared(engine, first_of_all=True)
    if champion is None:
        return Calibration(engine, 0.0, 0.0)
    before = seconds = trials.seconds(champion)
    for vary in _VARIATIONS if keep_batch else (_smaller_batch, _larger_batch, *_VARIATIONS):
        if time.perf_counter() - began > _BUDGET:
            break
        wanted = vary(replace(champion.engine, tolerance=engine.tolerance), seconds, n_points * seconds)
        challenger = trials.prepared(wanted) if wanted is not None else None
        if challenger is not None:
            champion, seconds = trials.faster(champion, challenger)
    chosen = replace(champion.engine, tolerance=engine.tolerance)  # trials take all their few examples
    return Calibration(chosen, seconds, before)


def agree(first: Measurement, second: Measurement, relative: float) -> bool:
    """Whether the losses of two measurements of one point agree, or are no numbers in both."""
    pairs = [(first.estimates[key].value, second.estimates[key].value) for key in first.estimates if key.endswith("_loss")]
    return all(a == b or (math.isnan(a) and math.isnan(b)) or abs(a - b) <= relative * abs(a) for a, b in pairs)


def _smaller_batch(engine: Engine, point: float, total: float) -> Engine | None:
    return _batch(engine, (engine.batch_size or 1) // 2)


def _larger_batch(engine: Engine, point: float, total: float) -> Engine | None:
    return _batch(engine, (engine.batch_size or 1) * 2)


def _batch(engine: Engine, size: int) -> Engine | None:
    return replace(engine, batch_size=size) if size >= _SMALLEST_BATCH else None


def _other_layout(engine: Engine, point: float, total: float) -> Engine | None:
    return replace(engine, channels_last=not engine.channels_last)


def _folded(engine: Engine, point: float, total: float) -> Engine | None:
    return replace(engine, folded=True) if engine.bn == "frozen" else None


def _several_points(engine: Engine, point: float, total: float) -> Engine | None:
    fits = engine.bn != "recalibrated" and not engine.tolerance and not engine.offload
    short = engine.device.type == "cuda" and point < _BOUND_BY_LAUNCHES
    return replace(engine, mode="batched") if fits and short else None


def _compiled(engine: Engine, point: float, total: float) -> Engine | None:
    fits = engine.bn != "recalibrated" and engine.mode == "eager"
    return replace(engine, mode="compiled") if fits and total > _WORTH_COMPILING else None


_VARIATIONS: tuple[Callable[[Engine, float, float], Engine | None], ...] = (
    _other_layout, _folded, _several_points, _compiled,
)  # fmt: skip


class _Trials:
    """Points of a few examples, for timing; what they cost is scaled to the whole run's."""

    def __init__(self, problem: Problem, subspace: Subspace, samples: Sequence[Sample]) -> None:
        self._problem = problem
        self._subspace = subspace
        self._samples = samples
        self._origin = (0.0,) * len(subspace.directions)
        self._apart = (0.1,) * len(subspace.directions)

    def prepared(self, engine: Engine, first_of_all: bool = False) -> Objective | None:
        """An engine ready to measure on the first examples, its first batch behind it; None where it cannot."""
        n = max(_EXAMPLES, _BATCHES[engine.device.type] * (engine.batch_size or 1))
        first = self._samples[0]
        part = replace(first, examples=first.examples.select(np.arange(min(n, first.size))))
        try:
            objective = Objective(self._problem, self._subspace, [part], replace(engine, tolerance=0.0))
            objective.trial()
            for _ in range(_ROUNDS):  # what a GPU records, it records at the second call
                self._once(objective)
        except Exception as error:  # whatever a compiler or vmap, or a model under them, raises
            if first_of_all and not out_of_memory(error) and engine.mode == "eager":
                raise
            return None
        return objective

    def seconds(self, objective: Objective) -> float:
        """What a point of the run costs, by the fastest of a few trials."""
        return min(self._once(objective) for _ in range(_ROUNDS))

    def faster(self, champion: Objective, challenger: Objective) -> tuple[Objective, float]:
        """The faster of two, measured in turn, and what a point of the run costs with it."""
        pairs = [(self._once(champion), self._once(challenger)) for _ in range(_ROUNDS)]
        old, new = (min(times) for times in zip(*pairs, strict=True))
        quicker = new * _MARGIN < old
        return (challenger, new) if quicker and self._agree(champion, challenger) else (champion, old)

    def _agree(self, champion: Objective, challenger: Objective) -> bool:
        """Whether two ways give one loss: at the origin, where it is smallest as a rule and its relative error largest, and apart."""
        allowed = _LOSSY_AGREEMENT if champion.engine.reduced_precision else _AGREEMENT
        return all(
            agree(champion.measure_all([place])[0], challenger.measure_all([place])[0], allowed)
            for place in (self._origin, self._apart)
        )

    def _once(self, objective: Objective) -> float:
        n_points = objective.engine.points_per_pass if objective.engine.mode == "batched" else 1
        started = time.perf_counter()
        objective.measure_all([self._apart] * n_points)
        share = sum(sample.size for sample in self._samples) / objective.n_examples
        return (time.perf_counter() - started) / n_points * share
