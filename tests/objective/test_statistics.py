"""Means and standard errors against the formula written out, and against what repeated samples show."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from landscape.objective.ledger import Ledger
from landscape.objective.statistics import Estimate

RNG = np.random.default_rng(0)


def estimate(sums: np.ndarray, weights: np.ndarray | None, population: int, batch: int = 7) -> Estimate:
    ledger = Ledger(len(sums), population, torch.device("cpu"))
    for start in range(0, len(sums), batch):
        stop = min(start + batch, len(sums))
        part = None if weights is None else torch.from_numpy(weights[start:stop])
        ledger.record(start, stop, {"loss": (torch.from_numpy(sums[start:stop]), part)})
    return ledger.loss_estimate(len(sums))


def test_a_plain_mean_and_its_error() -> None:
    losses = RNG.gamma(2, size=50)
    found = estimate(losses, None, population=200)
    # Rounding: the sums of squares lose a few units of 1e-16 relative, the difference of them some times that.
    assert found.value == pytest.approx(losses.mean(), rel=1e-14)
    assert found.stderr == pytest.approx(losses.std(ddof=1) / math.sqrt(50) * math.sqrt(1 - 50 / 200), rel=1e-12)
    assert found.n_examples == 50


def test_a_ratio_and_its_error_by_the_formula() -> None:
    weights = RNG.integers(1, 20, 40).astype(np.float64)
    sums = weights * RNG.gamma(2, size=40)
    ratio = sums.sum() / weights.sum()
    residuals = sum((s - ratio * w) ** 2 for s, w in zip(sums, weights, strict=True))
    expected = math.sqrt((1 - 40 / 160) * 40 / 39 * residuals) / weights.sum()
    found = estimate(sums, weights, population=160)
    assert found.value == pytest.approx(ratio, rel=1e-14)
    assert found.stderr == pytest.approx(expected, rel=1e-12)


def test_the_error_is_what_repeated_samples_show() -> None:
    population = 400
    weights = RNG.integers(1, 10, population).astype(np.float64)
    sums = weights * (1 + RNG.gamma(2, size=population)) + RNG.normal(size=population)
    n, trials = 100, 600
    draws = [RNG.choice(population, n, replace=False) for _ in range(trials)]
    found = [estimate(sums[draw], weights[draw], population) for draw in draws]
    shown = np.std([e.value for e in found])
    # The spread of 600 values is known to 1/√1200 = 3 %, the ratio estimator's own bias is of order 1/n = 1 %.
    assert np.mean([e.stderr for e in found]) == pytest.approx(shown, rel=0.15)
    assert np.mean([e.value for e in found]) == pytest.approx(
        sums.sum() / weights.sum(), abs=5 * shown / math.sqrt(trials) + 0.01 * shown
    )


def test_the_error_is_what_a_bootstrap_shows() -> None:
    n = 80
    weights = RNG.integers(1, 10, n).astype(np.float64)
    sums = weights * (1 + RNG.gamma(2, size=n))
    draws = RNG.integers(0, n, (2000, n))
    shown = (sums[draws].sum(1) / weights[draws].sum(1)).std()
    # The bootstrap's spread is known to 1/√4000 = 1.6 %, and divides by n where the formula divides by n - 1.
    assert estimate(sums, weights, population=10**9).stderr == pytest.approx(shown, rel=0.12)


def test_all_of_a_population_has_no_error() -> None:
    assert estimate(RNG.gamma(2, size=50), None, population=50).stderr == 0
    assert estimate(np.array([3.0]), None, population=1) == Estimate(3.0, 0.0, 1)


def test_one_example_of_many_tells_nothing_of_its_error() -> None:
    found = estimate(np.array([3.0]), None, population=10)
    assert found.value == 3
    assert math.isnan(found.stderr)


def test_sums_do_not_forget_small_numbers() -> None:
    # In float32, 2^25 plus ones stays 2^25.
    losses = np.ones(1001, dtype=np.float32)
    losses[0] = 2.0**25
    assert estimate(losses, None, population=1001).value == (2.0**25 + 1000) / 1001


@pytest.mark.parametrize("batch", [1, 7, 50])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_stays_so(bad: float, batch: int) -> None:
    losses = np.ones(50)
    losses[30] = bad
    found = estimate(losses, None, population=100, batch=batch)
    assert found.value == bad or (math.isnan(found.value) and math.isnan(bad))
    assert math.isnan(found.stderr)


def test_nothing_that_counts_is_nan() -> None:
    assert math.isnan(estimate(np.zeros(5), np.zeros(5), population=5).value)


def test_losses_of_whole_batches_have_no_error() -> None:
    ledger, start = Ledger(20, 100, torch.device("cpu")), 0
    for value, size in ((1.0, 8), (2.0, 8), (4.0, 4)):
        ledger.record(start, start + size, {"loss": (torch.tensor(value * size), torch.tensor(float(size)))})
        start += size
    found = ledger.loss_estimate(20)
    assert found.value == (8 + 16 + 16) / 20
    assert found.n_examples == 20
    assert math.isnan(found.stderr)
