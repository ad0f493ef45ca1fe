"""Errors of differences between means over the same examples: against closed forms, and against populations that are known whole."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from grids import line, plane, value
from scipy import ndimage

from landscape.core.surface import Surface
from landscape.measures import (
    Noise,
    Paired,
    Rounding,
    convexity,
    measure,
    minima,
    minimum,
    noise_without_losses,
    turning_points,
    turning_points_between,
)
from landscape.measures.noise import ORIGIN

SIGNS = ("convexity", "turning_points", "minima")
FALSE = 2 * NormalDist().cdf(-3)  # how often a difference that is 0 lies beyond 3 of its errors, 0.27 %


def sampled(surface: Surface, used: Any, size: int, order: str = "random", **attributes: Any) -> Surface:
    """The surface, its values said to be means over so many examples of a split."""
    counts = np.broadcast_to(np.asarray(used), surface.shape).copy()
    data = {"train": {"used": int(counts.max()), "size": size, "order": f"{order}:{counts.max()}"}}
    return replace(surface, examples={"train": counts}, data=data, attributes={**surface.attributes, **attributes})


def of_losses(losses: np.ndarray, population: int, x: Any, y: Any = None, origin: int | None = None) -> tuple[Surface, Paired]:
    """The surface of the means of some examples' losses `(n_nodes, n)`, and what is known of its noise."""
    means, n = losses.mean(axis=1), losses.shape[1]
    surface = line(means, x, "random") if y is None else plane(means.reshape(len(x), len(y)), x, y)
    surface = replace(sampled(surface, n, population), attributes={"precision": "fp64"})
    rows = np.append(np.arange(len(losses)), len(losses) // 2 if origin is None else origin)
    return surface, Paired(surface, "train_loss", losses, rows, 1 / n - 1 / population)


@pytest.mark.parametrize("chunk", [None, 7])
def test_the_error_of_a_combination_is_that_of_the_examples_combinations(
    chunk: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if chunk:
        monkeypatch.setattr("landscape.measures.noise._MOST_AT_ONCE", chunk)
    random = np.random.default_rng(0)
    losses = random.gamma(1.0, size=(12, 40)).astype(np.float32)
    _, noise = of_losses(losses, 100, np.arange(4.0), np.arange(3.0), origin=5)
    coefficients, nodes = random.normal(size=(6, 2, 3)), random.integers(0, 12, size=(6, 2, 3))
    nodes[3, 1, 2] = ORIGIN
    found = noise.of(coefficients, nodes)
    assert found.shape == (6, 2)
    for place in np.ndindex(6, 2):
        rows = [5 if node == ORIGIN else int(node) for node in nodes[place]]
        combined = [sum(float(c) * float(losses[r, i]) for c, r in zip(coefficients[place], rows, strict=True)) for i in range(40)]
        mean = math.fsum(combined) / 40
        expected = math.sqrt(math.fsum((one - mean) ** 2 for one in combined) / 39 * (1 - 40 / 100) / 40)
        assert found[place] == pytest.approx(expected, rel=1e-9)  # rounding in fp64 adds 1e-16 of the values


def test_what_examples_have_in_common_cancels() -> None:
    """Losses that differ by example alone, not by node, leave differences exact, however large the values' own errors."""
    own = np.random.default_rng(1).gamma(0.1, size=500) * 1000
    x = np.linspace(-1, 1, 21)
    losses = own[None, :] + x[:, None] ** 2
    surface, noise = of_losses(losses, 50_000, x)
    assert value(convexity(surface, noise=noise)) == 1.0
    assert value(turning_points(surface, noise=noise)) == 1.0
    assert value(minima(surface, noise=noise)) == 1.0
    stderr = own.std() / math.sqrt(500)
    assert stderr > 10 * np.abs(np.diff(surface.values["train_loss"])).max()  # their own errors would say nothing of this


def population(random: np.random.Generator, shape: tuple[int, ...], size: int, spread: float) -> np.ndarray:
    """Losses `(n_nodes, size)` of a whole split whose mean is exactly 1 everywhere: what a node has more, others of the split have less.

    Of each example the losses are smooth over the grid, correlated over some three nodes, and skewed.
    """
    field = ndimage.gaussian_filter(random.normal(size=(size, *shape)), (0, *[1.5] * len(shape)), mode="wrap")
    losses = np.exp(spread * field / field.std()).reshape(size, -1).T
    return losses - losses.mean(axis=1, keepdims=True) + 1


def false_signs(shape: tuple[int, ...], n_samples: int, noise_of: Any) -> dict[str, float]:
    """Of flat surfaces, seen through samples of 500 of 5,000 examples: what is found there, though nothing is.

    Returns:
        the share of steps between neighbours that count, turning points a row, and minima a sample.
    """
    random = np.random.default_rng(2)
    losses, found = population(random, shape, 5000, 0.5), []
    axes = [np.linspace(-1, 1, n) for n in shape]
    for _ in range(n_samples):
        surface, paired = of_losses(losses[:, random.choice(5000, 500, replace=False)], 5000, *axes)
        noise: Noise = noise_of(surface, paired)
        nodes = np.arange(losses.shape[0]).reshape(shape)
        steps = np.diff(surface.values["train_loss"], axis=0)
        own = noise.of(np.array([1.0, -1.0]), np.stack([nodes[1:], nodes[:-1]], axis=-1))
        share = float(np.mean(np.abs(steps) > 3 * own))
        found.append((share, value(turning_points(surface, noise=noise)), value(minima(surface, noise=noise))))
    return dict(zip(("steps", "turns", "minima"), np.mean(found, axis=0), strict=True))


def false_turns(losses: np.ndarray, shape: tuple[int, ...], n_fields: int) -> float:
    """The turning points a row or column that normal theory predicts: fields of the population's covariance, errors that are known."""
    random = np.random.default_rng(9)
    covariance = np.cov(losses) * (1 / 500 - 1 / 5000)
    fields = random.multivariate_normal(np.zeros(len(losses)), covariance, n_fields, method="cholesky").reshape(-1, *shape)
    turns = []
    for axis in (1, 2):
        nodes = np.moveaxis(np.arange(len(losses)).reshape(shape), axis - 1, 0)
        first, second = nodes[1:].ravel(), nodes[:-1].ravel()
        own = np.sqrt(covariance[first, first] + covariance[second, second] - 2 * covariance[first, second])
        steps = np.moveaxis(np.diff(fields, axis=axis), axis, 1)
        signs = np.sign(steps) * (np.abs(steps) > 3 * own.reshape(steps.shape[1:]))
        for row in np.moveaxis(signs, 1, 2).reshape(-1, signs.shape[1]):
            seen = row[row != 0]
            turns.append(int((seen[1:] != seen[:-1]).sum()))
    return float(np.mean(turns))


def test_signs_that_chance_alone_makes_are_as_rare_as_predicted() -> None:
    """On planes of 15 × 15 points that are flat in truth, seen through samples of 500 of 5,000 examples (400 of them; the test takes 150).

    Paired errors: 0.26 % of the steps count, where 0.27 % are predicted; 0.0023 turning points a row or column, where 0.0018 are; no
    minima. The noise of version 0.1.0, rounding alone, as if sampling errors were common to all points: 100 % of the steps, 3.6
    turning points a row or column, 4.2 minima a plane.
    """
    shape = (15, 15)
    paired = false_signs(shape, 150, lambda surface, paired: paired)
    # 150 · 210 steps, of which some three neighbours go together: about 10,000 independent ones; √(.0027/10⁴) = 0.0005, four of it.
    assert paired["steps"] == pytest.approx(FALSE, abs=0.002)
    losses = population(np.random.default_rng(2), shape, 5000, 0.5)
    # 150 · 30 rows: of a share of 0.002, nine of them, four standard deviations are 0.0027.
    assert paired["turns"] == pytest.approx(false_turns(losses, shape, 1000), abs=0.0027)
    assert paired["minima"] < 0.02  # all of eight neighbours beyond 3 errors
    rounding = false_signs(shape, 3, lambda surface, paired: Rounding(surface, "train_loss"))
    assert rounding["steps"] > 0.99
    assert rounding["turns"] > 3
    assert rounding["minima"] > 3


def test_signs_that_are_there_are_found() -> None:
    """A wave far above the noise: each of its turns and minima counts; one far below: none does."""
    random = np.random.default_rng(3)
    x = np.linspace(0, 1, 41)
    wave = np.sin(2 * np.pi * 3 * x)[:, None]
    noise = population(random, (41,), 4000, 0.3)[:, :500]
    strong, weak = (of_losses(noise + height * wave, 4000, x) for height in (1.0, 1e-4))
    assert value(turning_points(strong[0], noise=strong[1])) == 6
    assert value(minima(strong[0], noise=strong[1])) == 3
    assert value(turning_points(weak[0], noise=weak[1])) <= 1
    assert value(minima(weak[0], noise=weak[1])) == 0


def test_the_curvature_of_a_sample_is_in_doubt_where_that_of_its_examples_is() -> None:
    random = np.random.default_rng(4)
    x = np.linspace(-1, 1, 9)
    bends = random.normal(0.02, 1.0, size=500)  # of each example; their mean is a twentieth of a standard deviation
    for losses, expected in ((x[:, None] ** 2 * bends, 0.0), (x[:, None] ** 2 * (bends + 1), 1.0)):
        grid = losses[:, None, :] + losses[None, :, :]
        surface, noise = of_losses(grid.reshape(81, 500), 50_000, x, x)
        assert value(convexity(surface, noise=noise)) == expected
        along, single = of_losses(losses, 50_000, x)
        assert value(convexity(along, noise=single)) == expected


def test_the_lowest_of_many_nodes_has_to_be_low_beyond_chance() -> None:
    """Of 400 flat nodes seen through samples, some lie 3 errors below the origin in one of ten samples; none is told as a minimum."""
    random, told, beyond = np.random.default_rng(5), 0, 0
    for _ in range(100):
        losses = 1 + random.normal(size=(400, 300))  # each node for itself: the worst case
        losses[200] = 1 + random.normal(size=300)
        surface, noise = of_losses(losses, 10**6, np.linspace(-1, 1, 401)[:400], origin=200)
        surface = replace(surface, points=())
        own = noise.of(np.array([1.0, -1.0]), np.stack([np.full(400, 200), np.arange(400)], axis=-1))
        fall = surface.values["train_loss"][200] - surface.values["train_loss"]
        beyond += bool((fall > 3 * own).any())
        told += "minimum" in minimum(surface, noise=noise)
    assert beyond >= 4  # about one in ten, for all nodes are compared with the same noisy origin
    assert told <= 1  # each sample with a probability of 0.0013
    low = losses.copy()
    low[100] -= 1.0
    surface, noise = of_losses(low, 10**6, np.linspace(-1, 1, 401)[:400], origin=200)
    found = minimum(surface, noise=noise)
    assert found["minimum_x"].value == surface.x[100]


def test_values_over_different_examples_are_compared_over_those_they_share() -> None:
    random = np.random.default_rng(6)
    x = np.linspace(-1, 1, 11)
    losses = random.gamma(1.0, size=1000)[None, :] * 50 + x[:, None] ** 2
    used = np.where(np.arange(11) % 2, 1000, 200)  # every second point stopped early: their own means zigzag
    means = np.array([losses[k, :n].mean() for k, n in enumerate(used)])
    surface = sampled(line(means, x, "random"), used, 2000, tolerance=0.1)
    rows = np.append(np.arange(11), 5)
    noise = Paired(surface, "train_loss", losses[:, :200], rows, 1 / 200 - 1 / 2000, replaced=True)
    assert np.abs(np.diff(np.sign(np.diff(means)))).sum() > 10
    assert value(turning_points(surface, noise=noise)) == 1
    assert value(convexity(surface, noise=noise)) == 1
    assert minimum(surface, noise=noise) == {}


def test_a_point_without_a_value_counts_for_nothing() -> None:
    losses = np.abs(np.arange(7.0) - 3)[:, None] + np.random.default_rng(7).normal(size=(7, 100)) * 0.01
    losses[1] = 0.0  # nothing was kept there
    surface, noise = of_losses(losses, 1000, np.arange(7.0) - 3)
    values = surface.values["train_loss"].copy()
    values[1] = np.nan
    surface = replace(surface, values={"train_loss": values})
    assert value(turning_points(surface, noise=noise)) == 1
    assert value(minima(surface, noise=noise)) == 1


@pytest.mark.parametrize(
    ("used", "size", "order", "attributes", "words"),
    [
        (500, 50_000, "random", {}, "from 500 of 50,000 examples; telling it takes their single losses, which only the run had"),
        (np.arange(100, 109), 50_000, "random", {"tolerance": 0.1}, "from 100 to 108 of 50,000 examples"),
        (500, 50_000, "first", {}, "the first examples are no random sample"),
        (np.arange(100, 109), 50_000, "first", {"tolerance": 0.1}, "the first examples are no random sample"),
        (0, 0, "", {"source": "imported"}, "the file it was imported from does not say"),
    ],
)
@pytest.mark.parametrize("kind", ["line", "plane"])
def test_without_the_losses_signs_are_withheld_with_the_reason(
    used: Any, size: int, order: str, attributes: dict[str, Any], words: str, kind: str
) -> None:
    x = np.linspace(-1, 1, 9)
    bowl = line(x**2, x) if kind == "line" else plane(x[:, None] ** 2 + x[None, :] ** 2, x, x)
    counts = used if kind == "line" or np.ndim(used) == 0 else np.broadcast_to(used, (9, 9))
    surface = sampled(bowl, counts, size, order, **attributes)
    found = measure(surface)
    for name in SIGNS:
        assert words in found[name].withheld
        assert math.isnan(found[name].value)
    assert not found["basin_radius"].withheld
    if kind == "line":
        between = turning_points_between(sampled(line(x + 1, (0, 1, 9)), used, size, order, **attributes))
        assert between is not None
        assert words in between.withheld


def test_the_origins_own_node_is_no_minimum_whatever_is_known_of_the_noise() -> None:
    """The model's own loss and that of its node differ by rounding; that needs no losses to be told."""
    x = np.linspace(-1, 1, 9)
    nearly = line(x**2 + 1 - 2.0**-24, x, "random", origin=1.0)
    assert minimum(sampled(nearly, 500, 50_000)) == {}
    below = sampled(line(x**2 + 1 - 1e-3, x, "random", origin=1.0), 500, 50_000)
    assert set(minimum(below)) == {"minimum"}
    assert minimum(below)["minimum"].withheld


@pytest.mark.parametrize(("used", "size", "tolerance"), [(500, 500, 0.0), (500, 500, 0.1), (0, 0, 0.0)])
def test_where_all_examples_were_used_rounding_is_all_there_is(used: int, size: int, tolerance: float) -> None:
    x = np.linspace(-1, 1, 9)
    surface = sampled(line(x**2, x), used, size, "all", tolerance=tolerance)
    assert isinstance(noise_without_losses(surface, "train_loss"), Rounding)
    assert {name: measure(surface)[name].value for name in SIGNS} == {"convexity": 1.0, "turning_points": 1.0, "minima": 1.0}


def test_minima_made_by_rounding_do_not_count() -> None:
    random = np.random.default_rng(8)
    flat = 2.0 * (1 + 2.0**-25 * random.uniform(-1, 1, size=(30, 30)))
    assert value(minima(plane(flat, (-1, 1, 30), (-1, 1, 30)))) == 0
    assert value(minima(plane(flat, (-1, 1, 30), (-1, 1, 30), attributes={"precision": "fp64"}))) > 50
