"""The ledger: what each example of one split gave at the point being measured."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence, Set

import torch
from torch import Tensor

from landscape.errors import UserCodeError
from landscape.objective.statistics import Estimate, moments

__all__ = ["Ledger"]


class Ledger:
    """Sums and weights by example, in float64 on the device, and the estimates they give in one transfer.

    The tables are made at the first point and written over at each further one: a point's examples are always recorded in the same
    batches. A scalar stands for its whole batch and is kept at the place of the batch's first example. Which metrics there are follows
    from the first batch that is recorded or expected.

    Args:
        size: how many examples a point uses at most.
        population: how many the split has.
        device: where the tables lie.
        lanes: how many points are measured at once; `()` for one at a time, else `(n_points,)`.
        split: the split's name, for messages.
    """

    def __init__(
        self, size: int, population: int, device: torch.device, lanes: tuple[int, ...] = (), split: str = "the split"
    ) -> None:
        self._population = population
        self._shape = (*lanes, size)
        self._device = device
        self._split = split
        self._names: Set[str] = frozenset()
        self._sums: dict[str, Tensor] = {}
        self._weights: dict[str, Tensor] = {}
        self._by_example = True

    def expect(self, start: int, stop: int, names: Set[str]) -> None:
        """Compare the metrics of one batch with those there were so far.

        Raises:
            UserCodeError: when one is missing, or is new: its values at this point would be another's, or none.
        """
        self._names = self._names or frozenset(names)
        for name in sorted(self._names ^ names):
            what = f'no "{name}"' if name in self._names else f'"{name}" too'
            raise UserCodeError(
                f"the loss returned {what} for the batch of examples {start} to {stop - 1} of {self._split}, other than for the first batch; "
                "return the same metrics for every batch at every point"
            )

    def record(self, start: int, stop: int, results: Mapping[str, tuple[Tensor, Tensor | None]]) -> None:
        """Write down what the examples from `start` to `stop` gave: metric → sums and weights, `(*lanes, n)` or `(*lanes,)`.

        Raises:
            UserCodeError: when the metrics are not those of the batches before.
        """
        if results.keys() != self._names:
            self.expect(start, stop, results.keys())
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
        """The losses recorded from `start` to `stop`, `(*lanes, n)`."""
        return self._sums["loss"][..., start:stop]

    def summary(self, n: int) -> Tensor:
        """The sums of all metrics over the first n examples that their estimates need, `(*lanes, n_sums)`, still on the device."""
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

    def _totals(self, name: str, n: int) -> list[Tensor]:
        """Σs; Σw where examples have weights; and the squares of the residuals where a standard error is wanted."""
        if n < self._population:
            return list(moments(self._sums[name], self._weights.get(name), n).unbind(-1))
        return [table[name][..., :n].sum(dim=-1) for table in (self._sums, self._weights) if name in table]

    def _estimate(self, name: str, totals: Iterator[float], n: int) -> Estimate:
        above, spread = next(totals), n < self._population
        below = next(totals) if spread or name in self._weights else float(n)
        return Estimate.of((above, below, next(totals) if spread else 0.0), n, self._population, self._by_example)
