"""The benchmark: how many points this machine computes a second, beside the loop that one would write by hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import torch
from torch import nn

from landscape.checkpoints import Checkpoint, name_of, weights_of
from landscape.core.directions import random_direction, roles, select_parameters
from landscape.core.modules import copy_module
from landscape.core.subspace import Subspace
from landscape.errors import InputError
from landscape.evaluate import Engine, Objective, Sample, choose, main_type
from landscape.parallel import detect_executor
from landscape.problem import Problem
from landscape.problem.data import Batch, map_tensors
from landscape.progress import Progress
from landscape.sweep.devices import choose_device, choose_threads
from landscape.sweep.environment import environment_of
from landscape.sweep.options import Options

__all__ = ["Report", "bench", "hand_loop", "random_plane"]

_EXAMPLES = 2000  # by default
_TURN = 0.5  # seconds of each side's turn, a point at least


@dataclass(frozen=True)
class Report:
    """What was measured.

    Attributes:
        problem: its name.
        weights: the checkpoint's name, or "untrained".
        n_examples: the examples of each point.
        engine: the engine's settings.
        seconds: the engine's for a point, turn by turn, `(rounds,)`.
        hand_loop_seconds: those of the loop by hand.
        deviation: the largest relative difference between the losses of both.
        environment: the machine.
    """

    problem: str
    weights: str
    n_examples: int
    engine: Mapping[str, Any]
    seconds: Sequence[float]
    hand_loop_seconds: Sequence[float]
    deviation: float
    environment: Mapping[str, Any]

    @property
    def ratios(self) -> list[float]:
        """How many times as fast as the loop by hand, turn by turn."""
        return [loop / engine for loop, engine in zip(self.hand_loop_seconds, self.seconds, strict=True)]

    def tabulate(self) -> dict[str, Any]:
        """The report as a tree of plain values."""
        rate, ratios = 1 / median(self.seconds), self.ratios
        return {
            **asdict(self),
            "points_per_second": rate,
            "images_per_second": rate * self.n_examples,
            "times_as_fast_as_hand_loop": {"median": median(ratios), "min": min(ratios), "max": max(ratios)},
        }

    def describe(self) -> str:
        """The report in words."""
        machine, engine, found = self.environment, self.engine, self.tabulate()
        ratio = found["times_as_fast_as_hand_loop"]
        return "\n".join(
            [
                f"{self.problem} ({self.weights}), {self.n_examples:,} examples at each point",
                f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} threads, load {machine['load']:.2f}; "
                f"torch {machine['torch']} on {machine['device']}",
                f"engine: {engine['mode']}, {engine['precision']}, batches of {engine['batch_size']}",
                f"{found['points_per_second']:,.4g} points/s, {found['images_per_second']:,.4g} images/s",
                f"{ratio['median']:.2f} times as fast as a loop over load_state_dict and forward "
                f"({ratio['min']:.2f} to {ratio['max']:.2f} over {len(self.seconds)} rounds)",
                f"largest relative difference between the losses of both: {self.deviation:.1g}",
            ]
        )


def bench(
    problem: Problem,
    start: Checkpoint | None = None,
    *,
    examples: int | str | None = None,
    device: str = "auto",
    threads: int | None = None,
    precision: str | None = None,
    engine: str = "eager",
    rounds: int = 5,
    quiet: bool = False,
) -> Report:
    """Measure how fast the engine computes points of a random plane, in turns with a loop by hand.

    Both run in this process on the same network, examples, points and batches; the loop computes in the model's own type.

    Args:
        problem: the network, its loss and data; the split `train`, or the first.
        start: its weights; the problem's own by default.
        examples: how many, or `first:N`; at most 2,000 by default.
        device: auto, cpu or cuda[:i].
        threads: of the CPU; all cores by default.
        precision: of the engine; the model's own by default.
        engine: its mode.
        rounds: turns of each side.
        quiet: no progress on standard error.

    Raises:
        InputError: for input that cannot be used.
    """
    if rounds < 1:
        raise InputError(f"--rounds must be at least 1, not {rounds}")
    place, before = choose_device(device, detect_executor()), torch.get_num_threads()
    torch.set_num_threads(choose_threads(Options(threads=threads).threads, detect_executor()))
    try:
        with Progress(quiet) as progress:
            machine, plane = environment_of(place), random_plane(problem, start)
            split = "train" if "train" in problem.splits else problem.splits[0]
            sample = choose(problem.examples(split), _EXAMPLES if examples is None else examples, 0, False)
            own = "fp64" if main_type(problem.model) == torch.float64 else "fp32"
            objective = Objective(problem, plane, [sample], Engine(place, precision or own, mode=engine))
            loop = hand_loop(problem, plane, sample, objective.batch_size, place)
            (fast, slow), losses = _in_turns([lambda at: _losses(objective, split, at), loop], rounds, progress)
    finally:
        torch.set_num_threads(before)
    deviation = max(abs(a - b) / abs(b) if b else abs(a) for a, b in zip(*losses, strict=True))
    settings = {name: getattr(objective.engine, name) for name in ("mode", "precision", "batch_size", "channels_last")}
    title = name_of(start, "given weights") if start is not None else "untrained"
    return Report(problem.name, title, sample.size, settings, fast, slow, deviation, machine)


def random_plane(problem: Problem, start: Checkpoint | None) -> Subspace:
    """The plane of two filter-normalized random directions around a checkpoint, or around the problem's own weights."""
    origin, model_roles = weights_of(start, problem.model), roles(problem.model)
    names = select_parameters(origin, model_roles, ("bias", "norm"))
    return Subspace(origin, tuple(random_direction(origin, model_roles, names, seed=0, axis=axis) for axis in "xy"))


Places = Sequence[tuple[float, float]]


def hand_loop(
    problem: Problem, plane: Subspace, sample: Sample, batch_size: int, device: torch.device
) -> Callable[[Places], list[float]]:
    """A function that gives the losses at some coordinates as a loop over load_state_dict and forward does."""
    model: nn.Module = copy_module(problem.model).eval().to(device)
    loss = problem.loss.to(device, main_type(problem.model))
    data = map_tensors(lambda tensor: tensor.to(device), sample.examples.tensors)
    spans = [(first, min(first + batch_size, sample.size)) for first in range(0, sample.size, batch_size)]

    @torch.no_grad()
    def losses(places: Places) -> list[float]:
        return [loss_at(place) for place in places]

    def loss_at(place: tuple[float, float]) -> float:
        model.load_state_dict(plane.point(place), strict=False)
        total, below = 0.0, 0.0
        for first, last in spans:
            batch: Batch = map_tensors(lambda tensor, first=first, last=last: tensor[first:last], data)  # type: ignore[misc]
            sums, weights = loss(model, batch, last - first)["loss"]
            total += sums.sum().item()
            below += last - first if weights is None else weights.sum().item()
        return total / below

    return losses


def _losses(objective: Objective, split: str, places: Places) -> list[float]:
    return [found.estimates[f"{split}_loss"].value for found in objective.measure_all(places)]


def _in_turns(
    sides: Sequence[Callable[[Places], list[float]]], rounds: int, progress: Progress
) -> tuple[list[list[float]], list[list[float]]]:
    """Seconds a point of each side, turn by turn, after a turn that is not counted; and the losses of each at the same points."""
    progress.start(len(sides) * (rounds + 1), unit="turns")
    seconds: list[list[float]] = [[] for _ in sides]
    losses = [side([(0.5, 0.4), (1.0, -0.5)]) for side in sides]
    n_points = 1
    for number in range(rounds + 1):
        for side, taken in zip(sides, seconds, strict=True):
            progress.advance()
            began = time.perf_counter()
            side([(0.5 + index / n_points, 0.4) for index in range(n_points)])
            taken.append((time.perf_counter() - began) / n_points)
        if number == 0:
            n_points = max(1, int(_TURN / min(taken.pop() for taken in seconds)))
    return seconds, losses
