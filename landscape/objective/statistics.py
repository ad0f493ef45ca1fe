"""The mean of a metric over examples, its standard error, and where a point may stop looking at further ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["FEWEST_EXAMPLES", "Estimate", "estimate", "looks", "moments", "stopped"]

FEWEST_EXAMPLES = 64  # below so many independent examples a standard error is no basis for stopping
_SMALLEST_LOOK = 256


@dataclass(frozen=True)
class Estimate:
    """The mean of a metric over a split, and its standard error; NaN where there is none."""

    value: float
    stderr: float
    n_examples: int

    @classmethod
    def of(cls, moments: tuple[float, float, float], n: int, population: int, by_example: bool = True) -> Estimate:
        """The estimate from the three sums of `moments` over n of a population's examples."""
        above, below, residual = moments
        value = above / below if below != 0 else math.nan
        if not by_example:
            return cls(value, math.nan, n)
        if n >= population:
            return cls(value, 0.0, n)
        if n < 2 or below == 0 or not math.isfinite(residual):
            return cls(value, math.nan, n)
        return cls(value, math.sqrt(residual * n / (n - 1) * (1 - n / population)) / abs(below), n)


def moments(sums: Tensor, weights: Tensor | None, n: int, spread: bool) -> Tensor:
    """Σs, Σw and Σ(s − R w)² with R = Σs / Σw, over the last axis of the first n examples, `(..., 3)` float64 on the device.

    Args:
        sums: `(..., at least n)` float64.
        weights: likewise; None: 1 each.
        n: how many examples count.
        spread: False leaves the last of the three at 0, where no standard error is wanted.
    """
    s = sums[..., :n]
    w = None if weights is None else weights[..., :n]
    above = s.sum(dim=-1)
    below = torch.full_like(above, n) if w is None else w.sum(dim=-1)
    if not spread:
        return torch.stack([above, below, torch.zeros_like(above)], dim=-1)
    value = (above / below).unsqueeze(-1)
    residual = (s - value if w is None else s - value * w).square().sum(dim=-1)
    return torch.stack([above, below, residual], dim=-1)


def estimate(sums: Tensor, weights: Tensor | None, population: int) -> Estimate:
    """The mean R = Σ s_i / Σ w_i of n examples, and its standard error as an estimate for all `population` examples.

    The standard error is that of a ratio estimator drawn without replacement (Cochran 1977, eq. 6.13):
    √((1 − n/N) · n/(n−1) · Σ (s_i − R w_i)²) / Σ w_i, zero when all N are used.

    Args:
        sums: `(n,)` float64, the first n examples in their order.
        weights: `(n,)`, None: 1 each.
        population: N.

    >>> estimate(torch.tensor([1.0, 2.0, 3.0, 6.0], dtype=torch.float64), None, population=8).value
    3.0
    """
    n = len(sums)
    above, below, residual = moments(sums, weights, n, spread=n < population).tolist()
    return Estimate.of((above, below, residual), n, population)


def looks(size: int) -> list[int]:
    """After how many examples a point may stop: 256, twice as many each time, and all.

    >>> looks(1000), looks(100)
    ([256, 512, 1000], [100])
    """
    counts = []
    look = _SMALLEST_LOOK
    while look < size:
        counts.append(look)
        look *= 2
    return [*counts, size]


def stopped(now: Estimate, tolerance: float) -> bool:
    """Whether a point needs no further examples: the standard error is within the tolerance, or the value is not finite."""
    return not math.isfinite(now.value) or now.stderr <= tolerance * abs(now.value)
