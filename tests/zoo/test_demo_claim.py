"""What the demo claims, on five seeds fixed before any of them was run.

The pilot, seeds 100 to 103, with / without shortcuts, depth 32, 25 epochs, the plane and the examples of the demo, numbers by errors of
differences over the same examples: turning points 1.04/1.68, 1.12/1.72, 1.00/3.04, 1.00/1.44; convexity 0.594/0.255, 0.618/0.503,
0.788/0.253, 0.605/0.340; half of the drop at 0.48/0.85, 0.53/0.91, 0.47/0.88, 0.46/0.90.

Before, sampling errors were taken for common to all points, and noise turned: 1.28/2.08, 1.16/2.32, 1.00/3.52, 1.00/2.68 in the pilot. The
claim made of that, half a turning point more in four of five seeds, held for seeds 1 to 5 as counted then (1.00/2.56, 1.24/2.48, 1.00/1.44,
1.00/2.64, 1.00/1.88), and not as counted now (1.00/2.00, 1.00/1.68, 1.00/1.12, 1.00/1.50, 1.00/1.32). So it is made anew, a quarter of one,
for seeds that were not run before. Seeds 6 to 10, fixed before, gave turning points 1.08/1.40, 1.00/2.16, 1.00/1.28, 1.00/1.64, 1.00/1.68;
convexity lower by 0.36 in the median; half of the drop later by 0.31 to 0.40.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from landscape.core.surface import Surface
from landscape.zoo import demo
from landscape.zoo.demo import DemoResult, Settings

SEEDS = (6, 7, 8, 9, 10)
ROUGHER, LESS_CONVEX, LATER = 0.25, 0.1, 0.2
ENOUGH = 4  # of the five seeds

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[DemoResult]:
    """The demo itself for each seed, its planes whole, its path coarser (21 points), and hardly any random lines."""
    settings = replace(Settings(), path=(0.0, 1.0, 21), ray=(-1.0, 1.0, 3), n_draws=1)
    out = tmp_path_factory.mktemp("claim")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "draw", lambda nets, folder, quiet: ({}, Path(folder) / "index.html"))
        return [demo.run(out / str(seed), seed, quiet=True, settings=settings) for seed in SEEDS]


def differences(results: list[DemoResult], sweep: Callable[[demo.NetResult], Surface], number: str) -> list[float]:
    """What the network without shortcuts has more than the one with, seed by seed."""
    pairs = [[sweep(net).numbers[number].value for net in result.nets] for result in results]
    print(number, *(f"{short:.3g}/{noshort:.3g}" for short, noshort in pairs))
    return [noshort - short for short, noshort in pairs]


def test_both_networks_train(results: list[DemoResult]) -> None:
    for result in results:
        print(result.describe())
        assert result.passed
        assert [net.training.failure for net in result.nets] == [None, None]


def test_the_plane_without_shortcuts_is_rougher(results: list[DemoResult]) -> None:
    more = differences(results, lambda net: net.plane, "turning_points")
    assert sum(difference >= ROUGHER for difference in more) >= ENOUGH


def test_less_of_the_plane_without_shortcuts_is_convex(results: list[DemoResult]) -> None:
    more = differences(results, lambda net: net.plane, "convexity")
    assert statistics.median(more) <= -LESS_CONVEX


def test_the_path_without_shortcuts_falls_later(results: list[DemoResult]) -> None:
    more = differences(results, lambda net: net.path, "alpha_half")
    assert sum(difference >= LATER for difference in more) >= ENOUGH
