"""Sums over examples, and the mean and standard error they give."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Accumulator", "Estimate"]


@dataclass(frozen=True)
class Estimate:
    """The mean of a metric over a split, and its standard error; NaN where there is none."""

    value: float
    stderr: float
    n_examples: int


class Accumulator:
    """Running sums of one metric over batches, in float64 on the device; one transfer gives the estimate.

    The value is R = Σ s_i / Σ w_i over examples i with sums s and weights w (1 each for a plain mean). Its standard error is that of
    a ratio estimator drawn without replacement from N examples (Cochran 1977, eq. 6.13):
    √((1 − n/N) · n/(n−1) · Σ (s_i − R w_i)²) / Σ w_i, zero when all N are used.
    """

    def __init__(self, device: torch.device) -> None:
        self._sums = torch.zeros(5, dtype=torch.float64, device=device)  # Σs, Σw, Σs², Σsw, Σw²
        self._n_examples = 0
        self._by_example = True

    def add(self, sums: Tensor, weights: Tensor | None, n_examples: int) -> None:
        """Add the examples of one batch: `(n,)` sums and weights, or scalars that stand for the whole batch."""
        s = sums.detach().double()
        w = torch.ones_like(s) if weights is None else weights.detach().double()
        self._sums += torch.stack([s.sum(), w.sum(), (s * s).sum(), (s * w).sum(), (w * w).sum()])
        self._n_examples += n_examples
        self._by_example &= s.dim() > 0

    def estimate(self, population: int) -> Estimate:
        """The mean and its standard error as an estimate for `population` examples."""
        s, w, ss, sw, ww = self._sums.tolist()
        n = self._n_examples
        value = s / w if w != 0 else math.nan
        if not self._by_example:
            return Estimate(value, math.nan, n)
        residual = ss - 2 * value * sw + value * value * ww
        if n < 2 or not math.isfinite(residual) or w == 0:
            return Estimate(value, math.nan if n < population else 0.0, n)
        finite = max(0.0, 1 - n / population)
        return Estimate(value, math.sqrt(max(0.0, residual) * n / (n - 1) * finite) / abs(w), n)
