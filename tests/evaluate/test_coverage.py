"""How often the truth lies where an error says, by simulation with the package's own rule: on ordinary samples, and on nasty ones.

A population of N losses is drawn once; its mean is the truth. Many orders of it are drawn, each the sample of a run without
replacement. ±2 standard errors hold 95.4 % of a normal error. Where too few examples carry the spread for that, a value is flagged.
What no sample shows, such as one example in a thousand, is for the self-audit of a run: tests/sweep/test_tolerance_audit.py.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
import torch

from landscape.core.intervals import wilson
from landscape.core.surface import UNSURE_BELOW
from landscape.evaluate.statistics import Estimate, interim_sizes, moments, tolerance_met

N = 10_000
N_ORDERS = 400
UNIT = 2.0**-23  # the losses are taken for float32
SIGMAS = 3.3  # of the simulation's own binomial error, one-sided: 1 in 2,000; some 60 shares are looked at


def spiked(share: float, height: float, rest: float) -> np.ndarray:
    losses = np.full(N, rest)
    losses[: round(share * N)] = height
    return losses


def populations() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "normal": rng.normal(5, 1, N),
        "exponential": rng.exponential(1, N),
        "lognormal 1": rng.lognormal(0, 1, N),
        "lognormal 2": rng.lognormal(0, 2, N),
        "cross-entropy": np.logaddexp(0, rng.normal(-4, 3, N)),
        "1 % of 20 on .05": spiked(0.01, 20.0, 0.05),
        ".2 % of 20 on .05": spiked(0.002, 20.0, 0.05),
        ".1 % of 50 on 0": spiked(0.001, 50.0, 0.0),
        "6 % wrong": spiked(0.06, 1.0, 0.0),
        ".5 % wrong": spiked(0.005, 1.0, 0.0),
    }


POPULATIONS = populations()


@cache
def seen(name: str, n: int) -> list[Estimate]:
    """What the first n examples of each order say."""
    population = torch.from_numpy(POPULATIONS[name])
    if n == N:
        return [Estimate(float(POPULATIONS[name].mean()), 0.0, N)] * N_ORDERS
    generator = torch.Generator().manual_seed(1)
    orders = torch.stack([torch.randperm(N, generator=generator)[:n] for _ in range(N_ORDERS)])
    return [Estimate.of(row, n, N, UNIT) for row in moments(population[orders], None, n).tolist()]


def covered(found: Estimate, name: str) -> bool:
    return abs(found.value - float(POPULATIONS[name].mean())) <= 2 * found.stderr


def unsure(found: Estimate) -> bool:
    return not found.effective >= UNSURE_BELOW


def least(n: int, share: float = 0.95) -> float:
    """The smallest share that n trials of a chance of `share` would show, but for one time in 2,000."""
    return share - SIGMAS * math.sqrt(share * (1 - share) / n)


@pytest.mark.parametrize("n", [64, 256, 1000])
@pytest.mark.parametrize("name", POPULATIONS)
def test_a_samples_error_covers_or_is_flagged(name: str, n: int) -> None:
    found = seen(name, n)
    assert np.mean([unsure(estimate) or covered(estimate, name) for estimate in found]) > least(N_ORDERS)
    sure = [estimate for estimate in found if not unsure(estimate)]
    if len(sure) > N_ORDERS / 2:  # where few are, they are those that happen to lack the tail, and too low
        assert np.mean([covered(estimate, name) for estimate in sure]) > least(len(sure))


def test_without_the_flag_they_would_not() -> None:
    """So that the test above can fail: of the flagged ones far too few hold the truth."""
    for name, n in (("lognormal 2", 256), ("1 % of 20 on .05", 64), (".2 % of 20 on .05", 256), (".1 % of 50 on 0", 1000)):
        assert np.mean([covered(estimate, name) for estimate in seen(name, n)]) < 0.85


def test_ordinary_samples_are_not_flagged() -> None:
    for name, n in (("normal", 256), ("exponential", 1000), ("6 % wrong", 1000)):
        assert np.mean([unsure(estimate) for estimate in seen(name, n)]) < 0.05


@pytest.mark.parametrize("tolerance", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("name", POPULATIONS)
def test_a_tolerances_error_covers_or_the_point_runs_on(name: str, tolerance: float) -> None:
    runs = zip(*(seen(name, n) for n in interim_sizes(N)), strict=True)
    found = [next(estimate for estimate in run if tolerance_met(estimate, tolerance)) for run in runs]
    early = [estimate for estimate in found if estimate.n_examples < N]
    assert not any(unsure(estimate) for estimate in early)
    assert all(estimate.stderr <= tolerance * estimate.value for estimate in early)
    if len(early) > 20:
        assert np.mean([covered(estimate, name) for estimate in early]) > least(len(early))


@pytest.mark.parametrize(("share", "n"), [(0.99, 100), (0.999, 500), (0.9, 100), (0.5, 64), (0.01, 1000), (1.0, 500), (0.0, 64)])
def test_wilsons_interval_covers_near_0_and_1_too(share: float, n: int) -> None:
    """The probability that it holds the truth, summed over all counts there can be (hypergeometric), is no simulation.

    Wilson's interval covers 95 % on average over the truth, and never below 0.83 (Brown, Cai and DasGupta 2001, Stat. Sci. 16).
    """
    right = round(share * N)
    counts = np.arange(max(0, n - (N - right)), min(n, right) + 1)
    chances = [math.comb(right, k) * math.comb(N - right, n - k) / math.comb(N, n) for k in counts.tolist()]
    assert sum(chances) == pytest.approx(1)
    ends = [wilson(k / n, n, N) for k in counts.tolist()]
    holds = sum(chance for chance, (low, high) in zip(chances, ends, strict=True) if low <= right / N <= high)
    assert holds > 0.9
    errors = [2 * math.sqrt(k / n * (1 - k / n) / (n - 1) * (1 - n / N)) for k in counts.tolist()]
    plain = sum(c for c, k, e in zip(chances, counts.tolist(), errors, strict=True) if abs(k / n - right / N) <= e)
    if share in (0.99, 0.999):
        assert plain < 0.7  # what ±2 standard errors would hold
