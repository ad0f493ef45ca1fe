"""What each mechanism of the engine is worth: switched on alone against the plain engine, in turns, on three networks of the zoo.

The machine may be busy with other work: the two sides of a comparison alternate, so that what slows one slows the other, and the
ratio is that of their medians. The spread is that of the ratios turn by turn. All networks have random weights, whose values do not
change what a point costs; the residual network gets images of noise of CIFAR-10's size, so that nothing has to be downloaded.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch

from landscape.benchmark import random_plane
from landscape.core.subspace import Subspace
from landscape.evaluate import Engine, Objective, Sample, choose
from landscape.problem import Problem
from landscape.zoo.problems import blueprint, problem

__all__ = ["measure", "part"]

_SPLIT = "train"
_TURN = 0.3  # seconds of a side's turn at least
_AUDITED = 17 / 625  # points of a plane of 25 x 25 that the audit computes in fp32 as well


@dataclass(frozen=True)
class Case:
    """One network with its examples and a random plane around its weights."""

    name: str
    problem: Problem
    subspace: Subspace
    sample: Sample

    def engine(self, **settings: Any) -> Objective:
        """The engine with some settings, everything else by default, that has computed something already."""
        objective = Objective(self.problem, self.subspace, [self.sample], Engine(**settings))
        objective.trial()
        return objective


def cases(n_images: int, n_texts: int) -> list[Case]:
    """The residual network on noise, the perceptron on all digits, the transformer on text that Python ships."""
    torch.manual_seed(0)
    residual = blueprint("resnet56")
    random = torch.Generator().manual_seed(0)
    images = torch.randint(256, (n_images, 3, 32, 32), generator=random, dtype=torch.uint8)
    noise = Problem(residual.make_model().eval(), residual.make_loss(), {_SPLIT: (images, torch.arange(n_images) % 10)})
    return [
        _case("digits-mlp-3x64", problem("digits-mlp-3x64"), None),
        _case("resnet56", noise, None),
        _case("text-gpt-2x64", problem("text-gpt-2x64"), n_texts),
    ]


def part(options: argparse.Namespace) -> dict[str, Any]:
    """The part of the script: see `measure`."""
    return measure(options.rounds or 7)


def measure(n_turns: int, n_images: int = 128, n_texts: int = 64) -> dict[str, Any]:
    """Compare every mechanism on every network.

    Returns:
        `rows`: for each network and mechanism the milliseconds a point without and with it, the gain (the ratio of the medians), its
        smallest and largest by turn, and the relative difference of the losses at one point.
    """
    rows = []
    for case in cases(n_images, n_texts):
        for mechanism, (without, settings) in _comparisons(case).items():
            rows.append(_compared(case, mechanism, without, settings, n_turns))
            print(_told(rows[-1]), flush=True)
    return {"turns": n_turns, "rows": rows}


def _case(name: str, made: Problem, examples: int | None) -> Case:
    return Case(name, made, random_plane(made, None), choose(made.examples(_SPLIT), examples, 0, False))


def _comparisons(case: Case) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """For each mechanism the settings without it and with it; those that a network has no use for are left out."""
    found: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "nothing (the engine against itself)": ({}, {}),  # how far to trust the others
        "compiled mode": ({}, {"mode": "compiled"}),
        "offload": ({}, {"offload": True}),
        "bf16": ({}, {"precision": "bf16"}),
        "several points in one pass": ({}, {"mode": "batched", "points_per_pass": 16 if "mlp" in case.name else 4}),
    }
    if case.name.startswith("resnet"):
        found["channels_last"] = ({"channels_last": False}, {})
    return found


def _compared(case: Case, mechanism: str, without: dict[str, Any], settings: dict[str, Any], n_turns: int) -> dict[str, Any]:
    sides = [case.engine(**without), case.engine(**settings)]
    n_points = settings.get("points_per_pass", 1)
    works = [_work(side, n_points) for side in sides]
    warm = [work() for work in works for _ in range(2)]  # what is compiled is compiled at the first
    n_times = max(1, round(_TURN / min(seconds for seconds, _ in warm)))
    taken: list[list[float]] = [[], []]
    for turn in range(n_turns):
        for side in (0, 1) if turn % 2 else (1, 0):
            taken[side].append(_mean(works[side], n_times))
    losses = [work()[1] for work in works]
    ratios = [old / new for old, new in zip(*taken, strict=True)]
    old, new = (median(seconds) / n_points for seconds in taken)
    row = {
        "network": case.name, "examples": case.sample.size, "mechanism": mechanism, "settings": settings,
        "milliseconds_without": 1e3 * old, "milliseconds_with": 1e3 * new, "gain": old / new, "least": min(ratios), "most": max(ratios),
        "deviation": abs(losses[0] - losses[1]) / abs(losses[0]),
    }  # fmt: skip
    if mechanism == "bf16":
        row["gain_with_audit"] = old / (new + _AUDITED * old)
    return row


def _work(objective: Objective, n_points: int) -> Callable[[], tuple[float, float]]:
    """Computes a few points far from the origin; the seconds that took, and the loss at the first of them."""
    places: Sequence[tuple[float, float]] = [(0.5 + index / 100, 0.4) for index in range(n_points)]

    def work() -> tuple[float, float]:
        began = time.perf_counter()
        found = objective.measure_all(places)
        return time.perf_counter() - began, found[0].estimates[f"{_SPLIT}_loss"].value

    return work


def _mean(work: Callable[[], tuple[float, float]], n_times: int) -> float:
    return sum(work()[0] for _ in range(n_times)) / n_times


def _told(row: dict[str, Any]) -> str:
    return (
        f"{row['network']:<18}{row['mechanism']:<28}{row['milliseconds_without']:>9.3g} ms {row['milliseconds_with']:>9.3g} ms "
        f"{row['gain']:>6.2f} × ({row['least']:.2f} to {row['most']:.2f})  deviation {row['deviation']:.1g}  {row['settings']}"
    )
