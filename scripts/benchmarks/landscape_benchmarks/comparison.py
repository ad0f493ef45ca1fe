"""The comparison: how fast the engine computes points, against the baselines and against arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch

from landscape.checkpoints import Checkpoint, name_of
from landscape.core.choices import MODES
from landscape.errors import InputError
from landscape.evaluate import Engine
from landscape.parallel import detect_executor
from landscape.problem import Problem
from landscape.progress import Progress
from landscape.sweep.devices import choose_device, choose_threads
from landscape.sweep.environment import environment_of
from landscape.sweep.options import check_threads
from landscape_benchmarks.case import Case, pose
from landscape_benchmarks.contender import Contender
from landscape_benchmarks.engines import EngineRun
from landscape_benchmarks.hand_loop import HandLoop
from landscape_benchmarks.original import Forward, Original
from landscape_benchmarks.peers import PEERS
from landscape_benchmarks.race import race
from landscape_benchmarks.report import Report
from landscape_benchmarks.roofline import arithmetic, cost_of, measure_rates

__all__ = ["MOST_EXAMPLES", "compare"]

MOST_EXAMPLES = 2000  # by default; the original takes 5 s a point over as many CIFAR images on two cores
_POINTS = 64
_TURN = 0.2  # seconds


def compare(
    problem: Problem,
    start: Checkpoint | None = None,
    *,
    examples: int | str | None = None,
    device: str = "auto",
    threads: int | None = None,
    precision: Sequence[str] = ("fp32",),
    rounds: int = 5,
    quiet: bool = False,
) -> Report:
    """Measure how fast the original's pattern, the peers, a loop by hand and the engine compute points of one landscape.

    All run in this process, turn after turn, on the same network, examples and points; memory settings the engine makes for the
    process speed up the others too.

    Args:
        problem: the network, its loss and data; the split `train`, or the first.
        start: its weights; the problem's own by default.
        examples: how many, or `first:N`; at most 2,000 by default.
        device: auto, cpu or cuda[:i].
        threads: of the CPU; all cores by default.
        precision: those the engine runs in, by mode.
        rounds: turns of each contender; the spread is over them.
        quiet: no progress on standard error.

    Raises:
        InputError: for input that cannot be used.
    """
    if len(set(precision)) != len(precision) or not precision:
        raise InputError("name one precision or several, each once, for instance fp32,bf16")
    if rounds < 1:
        raise InputError(f"{rounds} rounds measure nothing; ask for at least 1")
    before = torch.get_num_threads()
    place = choose_device(device, detect_executor())
    for word in precision:
        Engine(place, word)  # refuses what the device does not have
    torch.set_num_threads(choose_threads(None if threads is None else check_threads(threads), detect_executor()))
    try:
        with Progress(quiet) as progress:
            machine = environment_of(place)
            case = pose(problem, start, MOST_EXAMPLES if examples is None else examples, place, _POINTS)
            words = dict.fromkeys(("fp32", *precision))  # in this order, each once
            rates = measure_rates(place, words)
            with arithmetic("fp32"):  # TF32 off for whoever does not ask for it
                results, absent = race(case, _entries(precision), rounds, _TURN, progress)
            cost, rates = cost_of(case), rates.best(measure_rates(place, words))
    finally:
        torch.set_num_threads(before)
    floors = {word: rates.floor(cost, word) for word in words}
    title = name_of(start, "given weights") if start is not None else "untrained"
    return Report(problem.name, title, case.sample.size, case.sample.population, machine, cost, floors, results, absent)


def _entries(precision: Sequence[str]) -> list[tuple[str, Callable[[Case], Contender]]]:
    """Name and constructor of every contender, the original first."""
    entries: list[tuple[str, Callable[[Case], Contender]]] = [
        (contender.name, contender) for contender in (Original, Forward, *PEERS, HandLoop)
    ]
    for word in precision:
        entries += [(f"engine {mode} {word}", partial(EngineRun, mode=mode, precision=word)) for mode in MODES]
    return entries
