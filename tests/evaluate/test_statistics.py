"""Means and standard errors against the formula written out, and against what repeated samples show."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from landscape.evaluate.accumulator import MetricAccumulator
from landscape.evaluate.statistics import Estimate

RNG = np.random.default_rng(0)


def estimate(sums: np.ndarray, weights: np.ndarray | None, population: int, batch: int = 7) -> Estimate:
    accumulator = MetricAccumulator(len(sums), population, torch.device("cpu"))
    for start in range(0, len(sums), batch):
        stop = min(start + batch, len(sums))
        part = None if weights is None else torch.from_numpy(weights[start:stop])
        accumulator.record(start, stop, {"loss": (torch.from_numpy(sums[start:stop]), part)})
    return accumulator.loss_estimate(len(sums))


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
    accumulator, start = MetricAccumulator(20, 100, torch.device("cpu")), 0
    for value, size in ((1.0, 8), (2.0, 8), (4.0, 4)):
        accumulator.record(start, start + size, {"loss": (torch.tensor(value * size), torch.tensor(float(size)))})
        start += size
    found = accumulator.loss_estimate(20)
    assert found.value == (8 + 16 + 16) / 20
    assert found.n_examples == 20
    assert math.isnan(found.stderr)


# --- fractions ---


def fraction(values: np.ndarray, population: int, batch: int = 7, **options: Any) -> Estimate:
    accumulator = MetricAccumulator(len(values), population, torch.device("cpu"), **options)
    for start in range(0, len(values), batch):
        part = torch.from_numpy(values[start : start + batch])
        accumulator.record(start, start + len(part), {"loss": torch_pair(np.ones(len(part))), "accuracy": (part, None)})
    (host,) = [accumulator.summary(len(values)).tolist()]
    return accumulator.estimates(host, len(values))["accuracy"]


def torch_pair(values: np.ndarray) -> tuple[torch.Tensor, None]:
    return torch.from_numpy(values), None


def inverted(count: int, n: int, population: int) -> tuple[float, float]:
    """The fractions P of which (p − P)² ≤ z² P (1 − P) (N − n) / ((N − 1) n), found by bisection; z is the 97.5 % quantile."""
    p, z = count / n, 1.959963984540054

    def within(true: float) -> bool:
        return (p - true) ** 2 <= z**2 * true * (1 - true) * (population - n) / ((population - 1) * n)

    ends = []
    for outside in (0.0, 1.0):
        inside = p
        for _ in range(200):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if within(middle) else (inside, middle)
        ends.append(inside)
    return ends[0], ends[1]


@pytest.mark.parametrize(
    ("count", "n", "population"), [(500, 500, 50_000), (0, 100, 1000), (99, 100, 10**9), (3, 40, 60), (1, 2, 3)]
)
def test_the_interval_of_a_fraction_is_wilsons(count: int, n: int, population: int) -> None:
    found = fraction(np.arange(n) < count, population)
    low, high = inverted(count, n, population)
    assert found.value == count / n
    # At 0 and 1 the inequality is an equation at the end itself, which bisection finds from inside; elsewhere to rounding.
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-12), pytest.approx(high, abs=1e-12))
    assert found.low <= found.value <= found.high
    assert math.isnan(found.stderr)


def test_all_right_of_five_hundred_is_not_certain() -> None:
    found = fraction(np.ones(500, dtype=bool), 50_000)
    # The rule of three: with less than 1 - 3/500 = 0.994 right, 500 of 500 would be a chance below 5 %.
    assert found.value == 1 == found.high
    assert 0.992 < found.low < 0.994


def test_a_fraction_of_all_examples_is_exact() -> None:
    found = fraction(np.arange(50) < 20, 50)
    assert (found.value, found.low, found.high) == (0.4, 0.4, 0.4)


def test_a_fraction_of_no_random_sample_has_no_interval() -> None:
    found = fraction(np.ones(50, dtype=bool), None)
    assert found.value == 1
    assert math.isnan(found.low)
    assert math.isnan(found.high)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64])
def test_zeros_and_ones_of_any_type_are_a_fraction_where_that_is_their_unit(kind: Any) -> None:
    values = RNG.random(80) < 0.9
    expected = fraction(values, 1000)
    found = fraction(values.astype(kind), 1000, unit=lambda name: "fraction" if name == "accuracy" else "")
    # Σ(s − p)² of 80 numbers in another order of rounding.
    assert (found.value, found.low, found.high) == pytest.approx((expected.value, expected.low, expected.high), rel=1e-12)
    undeclared = fraction(values.astype(kind), 1000)
    assert math.isnan(undeclared.low)
    assert undeclared.stderr > 0


def test_shares_by_example_spread_less_than_zeros_and_ones() -> None:
    """An intersection over union by image: the interval is about that of its standard error, and no wider for being a fraction."""
    shares = RNG.beta(8, 2, 400)
    found = fraction(shares, 10_000, unit=lambda name: "fraction")
    error = shares.std() / math.sqrt(400) * math.sqrt(1 - 400 / 10_000)
    # Wilson's interval differs from value ± 1.96 errors by terms of order 1/n of its effective n, here above 400.
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.02)


@pytest.mark.parametrize("right", [0, 1])
def test_a_fraction_with_weights_has_the_ratios_error_withheld_at_0_and_1(right: int) -> None:
    """Tokens or pixels by example: at 0 and 1 the residuals are 0, which says nothing."""
    weights = RNG.integers(1, 20, 60).astype(np.float64)
    found = estimate(weights * right, weights, population=500)
    assert (found.value, found.effective) == (right, 0)
    assert math.isnan(found.stderr)
    some = estimate(np.where(np.arange(60) == 5, weights - 1, weights), weights, population=500)
    assert 0 < some.stderr < 1
    assert estimate(weights * right, weights, population=60).stderr == 0  # exact


# --- effective examples ---


@pytest.mark.parametrize("weighted", [False, True])
def test_effective_examples_by_the_formula(weighted: bool) -> None:
    weights = RNG.integers(1, 9, 70).astype(np.float64) if weighted else None
    sums = RNG.gamma(2, size=70) * (1 if weights is None else weights)
    ones = np.ones(70) if weights is None else weights
    spread = [(s - sums.sum() / ones.sum() * w) ** 2 for s, w in zip(sums, ones, strict=True)]
    # 70 numbers in float64
    assert estimate(sums, weights, 700).effective == pytest.approx(sum(spread) ** 2 / sum(s * s for s in spread), rel=1e-12)


def test_effective_examples_of_a_few_that_hold_all() -> None:
    losses = np.zeros(1000)
    losses[[3, 500, 720]] = 7.0
    # With k of n at one value and the rest at another: s = (1 - k/n)² k times and (k/n)² n - k times, so (n/k - 1) · k + ... ≈ 3.
    assert estimate(losses, None, 10_000).effective == pytest.approx(3, rel=0.01)
    assert estimate(RNG.normal(size=100_000), None, 10**6).effective == pytest.approx(100_000 / 3, rel=0.03)  # E z⁴ = 3


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_effective_examples_do_not_depend_on_the_unit(scale: float) -> None:
    losses = np.random.default_rng(5).gamma(2, size=100)
    assert estimate(losses * scale, None, 1000).effective == pytest.approx(estimate(losses, None, 1000).effective, rel=1e-9)
