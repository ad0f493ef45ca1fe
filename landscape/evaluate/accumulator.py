"""The ledger: what each example of one split gave at the point being measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from landscape.errors import UserCodeError
from landscape.evaluate.statistics import N_MOMENTS, Estimate, moments

__all__ = ["MetricAccumulator", "Results"]

Results = Mapping[
    str, tuple[Tensor, Tensor | None]
]  # metric -> sums and weights, each `(*points_per_pass, n)`, or `(*points_per_pass,)` of a batch


class MetricAccumulator:
    """Sums and weights by example, in float64 on the device, and the estimates they give in one transfer.

    The tables are made at the first point and written over at each further one: a point's examples are always recorded in the same
    batches. A scalar stands for its whole batch and is kept at the place of the batch's first example. Which metrics there are follows
    from the first batch that is recorded or expected.

    Args:
        size: how many examples a point uses at most.
        population: how many they are drawn at random from, and errors speak of; None: they are no random sample, and have none.
        device: where the tables lie.
        points_per_pass: how many points are measured at once; `()` for one at a time, else `(n_points,)`.
        split: the split's name, for messages.
        dtype: the type the model computes in: results in a finer one are known no better.
        unit: the unit of a metric, by its name.
    """

    def __init__(
        self,
        size: int,
        population: int | None,
        device: torch.device,
        points_per_pass: tuple[int, ...] = (),
        split: str = "the split",
        dtype: torch.dtype = torch.float64,
        unit: Callable[[str], str] = lambda name: "",
    ) -> None:
        self._population = population or 0
        self._shape = (*points_per_pass, size)
        self._device = device
        self._split = split
        self._roundoff = torch.finfo(dtype).eps
        self._unit = unit
        self._kinds: dict[str, _Kind] = {}
        self._sums: dict[str, Tensor] = {}
        self._weights: dict[str, Tensor] = {}
        self._by_example = population is not None

    @property
    def fractions(self) -> frozenset[str]:
        """The metrics that are a number from 0 to 1 by example, without weights: they have intervals instead of standard errors."""
        return frozenset(name for name, kind in self._kinds.items() if kind.fraction)

    def expect(self, start: int, stop: int, results: Results) -> None:
        """Compare the metrics of one batch with those there were so far; the first batch says of what kind each is.

        Raises:
            UserCodeError: when one is missing, or is new: its values at this point would be another's, or none.
        """
        if not self._kinds:
            self._kinds = {name: self._kind(name, *pair) for name, pair in results.items()}
        for name in sorted(self._kinds.keys() ^ results.keys()):
            what = f'no "{name}"' if name in self._kinds else f'"{name}" too'
            raise UserCodeError(
                f"the loss returned {what} for the batch of examples {start} to {stop - 1} of {self._split}, other than for the first batch; "
                "return the same metrics for every batch at every point"
            )

    def record(self, start: int, stop: int, results: Results) -> None:
        """Write down what the examples from `start` to `stop` gave: metric → sums and weights, `(*points_per_pass, n)` or `(*points_per_pass,)`.

        Raises:
            UserCodeError: when the metrics are not those of the batches before.
        """
        if results.keys() != self._kinds.keys():
            self.expect(start, stop, results)
        for name, (sums, weights) in results.items():
            if name not in self._sums:
                self._sums[name] = torch.zeros(self._shape, dtype=torch.float64, device=self._device)
            if weights is not None and name not in self._weights:
                self._weights[name] = torch.zeros_like(self._sums[name])
                self._weights[name][..., :start] = 1.0  # none of them had a weight so far
            end = stop
            if sums.dim() < len(self._shape):
                self._by_example, end, sums = False, start + 1, sums.unsqueeze(-1)
                weights = None if weights is None else weights.unsqueeze(-1)
                for table in (self._sums, self._weights):
                    table[name][..., end:stop] = 0.0
            self._sums[name][..., start:end] = sums
            if name in self._weights:
                self._weights[name][..., start:end] = 1.0 if weights is None else weights

    def losses(self, start: int, stop: int) -> Tensor:
        """The losses recorded from `start` to `stop`, `(*points_per_pass, n)`."""
        return self._sums["loss"][..., start:stop]

    def linear_losses(self, places: Tensor, n: int) -> Tensor | None:
        """The losses of some examples among the first n, `(*points_per_pass, m)` float32, whose mean over all n is the loss.

        Of a ratio R = Σs/Σw they are linear to first order: R + (s_i − R w_i)/w̄. None of whole batches.
        """
        if not self._by_example:
            return None
        sums, weights = self._sums["loss"], self._weights.get("loss")
        if weights is None:
            return sums[..., places].float()
        below = weights[..., :n].sum(dim=-1, keepdim=True)
        ratio = sums[..., :n].sum(dim=-1, keepdim=True) / below
        return (ratio + (sums[..., places] - ratio * weights[..., places]) * (n / below)).float()

    def summary(self, n: int) -> Tensor:
        """The sums of all metrics over the first n examples that their estimates need, `(*points_per_pass, n_sums)`, still on the device."""
        return torch.stack([total for name in self._sums for total in self._totals(name, n)], dim=-1)

    def estimates(self, summary: Sequence[float], n: int) -> dict[str, Estimate]:
        """The estimates of one point from its part of the summary, moved to the host."""
        totals = iter(summary)
        found = {name: self._estimate(name, totals, n) for name in self._sums}
        if math.isnan(found["loss"].value):  # where the loss is no number, neither is what else the outputs said
            return {name: Estimate(math.nan, math.nan, n) for name in found}
        return found

    def loss_estimate(self, n: int) -> Estimate:
        """The loss over the first n examples; waits for the device. One point at a time only."""
        return self._estimate("loss", iter(torch.stack(self._totals("loss", n)).tolist()), n)

    def _kind(self, name: str, sums: Tensor, weights: Tensor | None) -> _Kind:
        own = torch.finfo(sums.dtype).eps if sums.is_floating_point() else 0.0
        bits = sums.dtype == torch.bool
        fraction = weights is None and sums.dim() == len(self._shape) and (bits or self._unit(name) == "fraction")
        # A loss needs its standard error for the tolerance, whatever is stored of it.
        return _Kind(max(own, self._roundoff), fraction, counted=fraction and bits and name != "loss")

    def _sampled(self, name: str, n: int) -> bool:
        """Whether an estimate needs the squares of the residuals: for a standard error that is neither none nor 0."""
        return self._by_example and n < self._population and not self._kinds[name].counted

    def _totals(self, name: str, n: int) -> list[Tensor]:
        """The `moments` where a standard error is wanted, else Σs, and Σw where examples have weights."""
        if self._sampled(name, n):
            return list(moments(self._sums[name], self._weights.get(name), n).unbind(-1))
        return [table[name][..., :n].sum(dim=-1) for table in (self._sums, self._weights) if name in table]

    def _estimate(self, name: str, totals: Iterator[float], n: int) -> Estimate:
        kind = self._kinds[name]
        plain = kind.fraction and self._by_example and name not in self._weights
        if self._sampled(name, n):
            found = tuple(next(totals) for _ in range(N_MOMENTS))
            estimate = Estimate.of(found, n, self._population, kind.roundoff)
            return estimate.with_interval(self._population, found[2]) if plain else estimate
        above = next(totals)
        below = next(totals) if name in self._weights else float(n)
        exact = self._by_example and n >= self._population
        estimate = Estimate(above / below if below != 0 else math.nan, 0.0 if exact else math.nan, n)
        return estimate.with_interval(self._population) if plain else estimate


@dataclass(frozen=True)
class _Kind:
    """What a metric is made of: the rounding unit of its numbers; whether it is a fraction; whether one of 0 and 1 alone."""

    roundoff: float
    fraction: bool
    counted: bool
