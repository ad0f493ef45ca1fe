"""How the engine's time grows with examples and with points: both should be straight lines."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np
import torch

from landscape.checkpoints import Checkpoint
from landscape.problem import Problem
from landscape.sweep.environment import environment_of
from landscape_benchmarks.case import pose
from landscape_benchmarks.engines import EngineRun

__all__ = ["Scaling", "scale"]


@dataclass(frozen=True)
class Scaling:
    """Seconds against examples (at a fixed number of points) and against points (at a fixed number of examples).

    The times are medians over the rounds, `(n,)` as the counts; `fixed` is the cost of a point that no example explains, the
    intercept of the straight line through the smallest and largest number of examples.
    """

    problem: str
    mode: str
    precision: str
    examples: tuple[int, ...]
    seconds_by_examples: tuple[float, ...]  # a point
    points: tuple[int, ...]
    seconds_by_points: tuple[float, ...]  # in all
    environment: dict[str, Any]

    @property
    def fixed(self) -> float:
        """Seconds a point costs beside its examples, from the least-squares line through relative errors."""
        counts, seconds = np.array(self.examples, dtype=float), np.array(self.seconds_by_examples)
        design = np.stack([np.ones_like(counts), counts], axis=1) / seconds[:, None]  # each time is off by about a share of itself
        return float(np.linalg.lstsq(design, np.ones_like(counts), rcond=None)[0][0])

    def tabulate(self) -> dict[str, Any]:
        """The times as a tree of plain values."""
        return {**asdict(self), "fixed": self.fixed}


def scale(
    problem: Problem,
    start: Checkpoint | None,
    examples: Sequence[int],
    points: Sequence[int],
    device: torch.device,
    mode: str = "eager",
    precision: str = "fp32",
    rounds: int = 5,
) -> Scaling:
    """Time the engine at several numbers of examples and of points, in turns.

    The first number of examples is the one points are counted with, the first two points are those examples are counted with.

    Raises:
        InputError: for input that cannot be used.
    """
    by_examples = [EngineRun(pose(problem, start, f"first:{n}", device, max(points)), mode, precision) for n in examples]
    work: list[Callable[[], object]] = [lambda run=run: run(2) for run in by_examples]  # type: ignore[misc]
    work += [lambda n=n: by_examples[0](n) for n in points]  # type: ignore[misc]
    seconds: list[list[float]] = [[] for _ in work]
    for number in range(rounds + 1):
        for each, taken in zip(work, seconds, strict=True):
            began = time.perf_counter()
            each()
            if number:  # the first round warms up
                taken.append(time.perf_counter() - began)
    typical = [median(taken) for taken in seconds]
    sizes = tuple(run.case.sample.size for run in by_examples)
    return Scaling(
        problem.name, mode, precision, sizes, tuple(each / 2 for each in typical[: len(sizes)]),
        tuple(points), tuple(typical[len(sizes) :]), environment_of(device),
    )  # fmt: skip
