"""One split as the engine holds it, and a pass over its examples."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from landscape.evaluate.accumulator import MetricAccumulator
from landscape.evaluate.data_source import DataSource, Span
from landscape.evaluate.engine import Engine
from landscape.evaluate.sample import Sample
from landscape.evaluate.statistics import SMALLEST_LOOK, Estimate, interim_sizes, tolerance_met
from landscape.problem.data import Batch
from landscape.problem.losses import Sums

__all__ = ["SplitEvaluator", "collect", "spans"]

Evaluate = Callable[[Batch, int], Sums]


class SplitEvaluator:
    """A split's examples, where they live, and the ledger of the pass over them.

    Args:
        sample: the examples and their population.
        residence: hands them out in batches.
        batch_size: how many at once.
        engine: the device the ledger lies on, and the type that is computed in.
        unit: the unit of a metric, by its name.
        points_per_pass: `()` for one point at a time, `(n,)` for n.

    Attributes:
        first_look: after how many examples a point may stop at the earliest.
    """

    def __init__(
        self,
        sample: Sample,
        source: DataSource,
        batch_size: int,
        engine: Engine,
        unit: Callable[[str], str] = lambda name: "",
        points_per_pass: tuple[int, ...] = (),
    ) -> None:
        self.sample = sample
        self.source = source
        self._batch_size = batch_size
        self._device = engine.device
        self.first_look = SMALLEST_LOOK
        self._kept: Tensor | None = None
        self.accumulator = MetricAccumulator(
            sample.size, sample.reach, engine.device, points_per_pass, sample.split, engine.dtype, unit
        )

    def run(self, evaluate: Evaluate, tolerance: float = 0.0, at_most: int | None = None) -> int:
        """Bring the examples before a model and write down what they give; how many were used.

        A pass ends where the loss of every point is NaN, or at a look where the tolerance is met.
        """
        size = min(at_most or self.sample.size, self.sample.size)
        stops = interim_sizes(size, self.first_look) if tolerance else [size]
        parts, stop = spans(self._batch_size, stops), 0
        watch = _NanWatch(self._device) if len(parts) > 1 else None
        for (start, stop), batch in zip(parts, self.source.batches(parts), strict=True):  # the last stop counts
            self.accumulator.record(start, stop, evaluate(batch, stop - start))
            if watch is not None and stop < size and watch.sees(self.accumulator.losses(start, stop)):
                break
            if tolerance and stop < size and stop in stops and tolerance_met(self.accumulator.loss_estimate(stop), tolerance):
                break
        return self.run(evaluate, tolerance, at_most) if self.source.overwritten() else stop

    def estimates(self, summary: Sequence[float], n: int, lane: tuple[int, ...] = ()) -> dict[str, Estimate]:
        """The estimates by `<split>_<metric>` of one point from its ledger's summary over n examples, already on the host."""
        found = self.accumulator.estimates(summary, n)
        if math.isnan(found["loss"].value):  # how many examples it took to see that, however far the device had run on
            until = self._until_nan(self.accumulator.losses(0, n)[lane], n)
            found = {name: replace(estimate, n_examples=until) for name, estimate in found.items()}
        return {f"{self.sample.split}_{name}": estimate for name, estimate in found.items()}

    def keep(self, places: np.ndarray) -> None:
        """Have `losses` tell those of the examples at some places of the sample."""
        self._kept = torch.from_numpy(places).to(self._device)

    def losses(self, n: int) -> np.ndarray | None:
        """The losses of the kept examples among the first n, `(*points_per_pass, m)` float32; None where none are kept, or there are none."""
        if self._kept is None:
            return None
        found = self.accumulator.linear_losses(self._kept[self._kept < n], n)
        return None if found is None else found.cpu().numpy()

    def _until_nan(self, losses: Tensor, n: int) -> int:
        wrong = losses.isnan().nonzero()
        return next((stop for _, stop in spans(self._batch_size, [n]) if len(wrong) and stop > int(wrong[0])), n)


def collect(splits: Sequence[SplitEvaluator], used: Sequence[int], points_per_pass: int | None = None) -> list[dict[str, Estimate]]:
    """The estimates of one point, or of each lane, over several splits; one transfer from the device."""
    summaries = [split.accumulator.summary(n) for split, n in zip(splits, used, strict=True)]
    host: list[Any] = torch.cat(summaries, dim=-1).tolist()  # (*lanes, n_sums)
    points: list[dict[str, Estimate]] = []
    for lane in range(points_per_pass or 1):
        totals = iter(host if points_per_pass is None else host[lane])
        estimates: dict[str, Estimate] = {}
        for split, n, summary in zip(splits, used, summaries, strict=True):
            own = [next(totals) for _ in range(summary.shape[-1])]
            estimates |= split.estimates(own, n, () if points_per_pass is None else (lane,))
        points.append(estimates)
    return points


def spans(batch_size: int, stops: Sequence[int]) -> list[Span]:
    """Batches as (start, stop), of which some end where looks are taken.

    >>> spans(100, [150, 200])
    [(0, 100), (100, 150), (150, 200)]
    """
    return list(_spans(batch_size, stops))


def _spans(batch_size: int, stops: Sequence[int]) -> Iterator[Span]:
    start = 0
    for end in stops:
        while start < end:
            stop = min(start + batch_size, end)
            yield start, stop
            start = stop


class _NanWatch:
    """Tells whether the losses have become NaN at every point, without making a GPU wait: there, as soon as the word is in."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._gpu = device.type == "cuda"
        self._asked: list[tuple[torch.cuda.Event, Tensor]] = []

    def sees(self, losses: Tensor) -> bool:
        """Whether a batch, this or an earlier one, held a NaN for every point; `losses` `(*points_per_pass, n)`."""
        lost = losses.isnan().any(dim=-1).all()
        if not self._gpu:
            return bool(lost)
        answer = torch.zeros((), dtype=torch.bool, pin_memory=True).copy_(lost, non_blocking=True)
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch has no types here
        event.record(torch.cuda.current_stream(self._device))
        self._asked.append((event, answer))
        while self._asked and self._asked[0][0].query():  # type: ignore[no-untyped-call]
            if bool(self._asked.pop(0)[1]):
                return True
        return False
