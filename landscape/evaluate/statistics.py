"""The mean of a metric over examples, what is known of its error, and where a point may stop looking at further ones.

What a point estimates is R = Σ s_i / Σ w_i over all N examples of a split. n of them, the first n of one order drawn at random for the
whole run, are a sample without replacement, and R̂ is the same ratio over the sample. Its error is, to first order in 1/n,
Σ r_i / Σ w_i with r_i = s_i − R w_i, a mean of residuals that add up to 0 over the population. Its variance is therefore that of a mean
of n residuals drawn without replacement, (1 − n/N) S² / n over the squared mean weight, with S² estimated by Σ r_i² / (n − 1)
(Cochran 1977, Sampling Techniques, eq. 6.13). Weights of 1 give the error of a plain mean. The correction 1 − n/N makes the
error 0 where all examples are used, as it is.

How well an error is known depends on how many examples carry the spread: n_eff = (Σ r_i²)² / Σ r_i⁴, which is n where all r_i² are
equal, n/3 for normal numbers, and k where k examples hold nearly all of it (Kish's effective sample size, Survey Sampling 1965, of
weights r_i²). A sample that shows no spread, max r − min r within 8 rounding units, has n_eff 0 and no standard error at all: 256 right
answers do not make a 0-1 loss 0 ± 0. `landscape.core.surface.UNSURE_BELOW` says which errors are flagged.

With a tolerance T a point stops at the first look at which n_eff is 64 or more and its loss has a standard error of at most T·R̂.
Looks are at 256, 512, 1,024 … examples: each twice the last, since every further look is another chance to stop because the error
came out too small by accident (estimation to a fixed precision: Anscombe 1953, J. R. Stat. Soc. B 15; Chow and Robbins 1965). That
costs at most twice the examples that would have done; 50,000 examples have nine looks. There is no floor below which T no longer
applies: near a minimum few examples hold the loss, and such points go on to all examples, as they must. What no sample shows, such as
one example of a thousand that is not among the first, a run's self-audit looks for (`landscape.sweep.tolerance_audit`).

What this gives was measured by replaying it over stored losses of 10,000 images at 30 points in five planes around each network of
figure 1 of Li et al. 2018, in 400 orders (tests/evaluate/test_tolerance.py). Share of values within two standard errors of the truth,
among those of points that stopped before all examples (the others are exact), mean error in standard errors, and mean share of the
examples that the 25 points of the grid on [-1, 1]² used:

    T      with shortcuts             without
    1 %    0.956   +0.01   54 %       0.956   +0.02   35 %
    2 %    0.955   +0.01   26 %       0.955   +0.04   13 %
    5 %    0.954   +0.02    9 %       0.959   +0.03    4 %
   10 %    0.955   +0.01    7 %       0.960   +0.03    4 %

20 % is no different from 10 %, for n_eff decides. Synthetic samples: tests/evaluate/test_coverage.py. Of a single point less can be
said. Where a look is passed in some orders and failed in others, those pass that came out high, and the point's mean error is up to 0.4
of its standard error, upwards (the bias of every sequential rule: Whitehead 1986, Biometrika 73); its coverage is 0.92 at least.
Where the loss is held by very few examples (0.0008 to 0.01 at and around ResNet-56's origin) no order stops early.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from landscape.core.intervals import wilson

__all__ = [
    "FEWEST_EFFECTIVE",
    "N_MOMENTS",
    "SMALLEST_LOOK",
    "Estimate",
    "estimate",
    "interim_sizes",
    "moments",
    "tolerance_met",
]

FEWEST_EFFECTIVE = 64  # effective examples below which a standard error is no basis for stopping, and is flagged: see above
SMALLEST_LOOK = 256
N_MOMENTS = 5
_ROUNDINGS = 8  # rounding units that examples may differ by and still show no spread


@dataclass(frozen=True)
class Estimate:
    """The mean of a metric over a split, and what is known of its error; NaN where nothing is.

    Attributes:
        value: the mean.
        stderr: its standard error; of a fraction of 0 and 1 by example `low` and `high` say it instead.
        n_examples: how many were used.
        effective: how many of them carry the spread, n_eff; NaN where there is no standard error, or it is exact.
        low: lower end of a fraction's 95 % interval.
        high: its upper end.
    """

    value: float
    stderr: float
    n_examples: int
    effective: float = math.nan
    low: float = math.nan
    high: float = math.nan

    @classmethod
    def of(cls, moments: Sequence[float], n: int, population: int, unit: float) -> Estimate:
        """The estimate from the sums of `moments` over n of a population's examples.

        Args:
            moments: Σs, Σw, Σr², Σr⁴ and the spread of r, as `moments` gives them.
            n: how many examples they are over.
            population: how many there are.
            unit: the rounding unit of the type the numbers came in, as a share of them.
        """
        above, below, squares, fourths, spread = moments
        value = above / below if below != 0 else math.nan
        if n >= population:
            return cls(value, 0.0, n)
        if n < 2 or below == 0 or not math.isfinite(squares):
            return cls(value, math.nan, n)
        if spread <= _ROUNDINGS * unit * abs(value):
            return cls(value, math.nan, n, effective=0.0)
        stderr = math.sqrt(squares * n / (n - 1) * (1 - n / population)) / abs(below)
        return cls(value, stderr, n, effective=squares * squares / fourths if fourths > 0 else math.nan)

    def with_interval(self, population: int, squares: float | None = None) -> Estimate:
        """The estimate of a fraction with its 95 % interval.

        Args:
            population: how many examples there are.
            squares: Σ (s − value)² where the numbers lie between 0 and 1, of which `n_examples` tell as much as more of 0 and 1
                alone would; None: they are 0 or 1.
        """
        n, most = float(self.n_examples), self.value * (1 - self.value) * self.n_examples
        if squares and most > squares:  # of numbers that are 0 or 1 they are equal; no others spread further
            n *= most / squares
        low, high = wilson(self.value, n, population, self.n_examples)
        return replace(self, low=low, high=high)


def moments(sums: Tensor, weights: Tensor | None, n: int) -> Tensor:
    """Σs, Σw, Σr², Σr⁴ and the spread of r over the first n examples; r = s − R w are the residuals of R = Σs / Σw.

    The spread is max r − min r, over the largest weight. All of it in float64 on the device, over the last axis.

    Args:
        sums: `(..., at least n)` float64.
        weights: likewise; None: 1 each.
        n: how many examples count.

    Returns:
        `(..., 5)`.
    """
    s = sums[..., :n]
    w = None if weights is None else weights[..., :n]
    above = s.sum(dim=-1)
    below = torch.full_like(above, n) if w is None else w.sum(dim=-1)
    value = (above / below).unsqueeze(-1)
    residuals = s - value if w is None else s - value * w
    least, most = residuals.aminmax(dim=-1)
    spread = most - least if w is None else (most - least) / w.amax(dim=-1)
    squares = residuals.square()
    return torch.stack([above, below, squares.sum(dim=-1), squares.square().sum(dim=-1), spread], dim=-1)


def estimate(sums: Tensor, weights: Tensor | None, population: int) -> Estimate:
    """The mean R = Σ s_i / Σ w_i of n examples, and its standard error as an estimate for all `population` examples.

    The standard error is that of a ratio estimator drawn without replacement (Cochran 1977, eq. 6.13):
    √((1 − n/N) · n/(n−1) · Σ (s_i − R w_i)²) / Σ w_i, zero when all N are used, NaN where the examples show no spread.

    Args:
        sums: `(n,)` float64, the first n examples in their order.
        weights: `(n,)`, None: 1 each.
        population: N.

    >>> estimate(torch.tensor([1.0, 2.0, 3.0, 6.0], dtype=torch.float64), None, population=8).value
    3.0
    """
    n = len(sums)
    return Estimate.of(moments(sums, weights, n).tolist(), n, population, torch.finfo(sums.dtype).eps)


def interim_sizes(size: int, first: int = SMALLEST_LOOK) -> list[int]:
    """After how many examples a point may stop: 256, or another first look, twice as many each time, and all.

    >>> interim_sizes(1000), interim_sizes(100), interim_sizes(3000, 1024)
    ([256, 512, 1000], [100], [1024, 2048, 3000])
    """
    counts = []
    look = first
    while look < size:
        counts.append(look)
        look *= 2
    return [*counts, size]


def tolerance_met(now: Estimate, tolerance: float) -> bool:
    """Whether a point needs no further examples: its value is exact or not finite, or its error is known and within the tolerance."""
    if not math.isfinite(now.value) or now.stderr == 0:  # which it is where all examples were used, and nowhere else
        return True
    return now.effective >= FEWEST_EFFECTIVE and now.stderr <= tolerance * abs(now.value)
