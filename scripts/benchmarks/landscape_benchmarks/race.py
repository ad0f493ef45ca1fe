"""The race: contenders take turns, round after round, so that what disturbs the machine disturbs them all."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from landscape.errors import LandscapeError
from landscape.progress import Progress
from landscape_benchmarks.case import Case
from landscape_benchmarks.contender import Contender

__all__ = ["Result", "race"]

_FEWEST = 2  # points: landscaper's noise needs a second one
_PATIENCE = 10.0  # seconds
_SHORT = 2.0  # seconds; a longer first call is taken for a usual one, unless it compiles


@dataclass(frozen=True)
class Result:
    """What one contender did: seconds a point, round by round."""

    name: str
    note: str
    precision: str
    n_points: int  # measured in each round
    setup: float  # seconds before the first point and lost on it, compilation included
    seconds: tuple[float, ...]
    deviation: float  # largest relative difference of its losses to a plain loop in double precision

    @property
    def typical(self) -> float:
        """The median over the rounds, in seconds a point."""
        return median(self.seconds)

    def times(self, other: Result) -> tuple[float, float, float]:
        """How many times as fast as another: median, smallest and largest of the ratios by round."""
        ratios = [theirs / mine for theirs, mine in zip(other.seconds, self.seconds, strict=True)]
        return median(ratios), min(ratios), max(ratios)


@dataclass
class _Entrant:
    contender: Contender
    setup: float
    n_points: int
    seconds: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)


def race(
    case: Case, entries: Sequence[tuple[str, Callable[[Case], Contender]]], rounds: int, turn: float, progress: Progress
) -> tuple[list[Result], dict[str, str]]:
    """Let contenders take turns.

    Args:
        case: what they measure.
        entries: name and constructor of each.
        rounds: how many turns each has.
        turn: seconds of a turn; it decides how many points of the line each measures, two and a block at least. Who needs more than
            ten seconds for that, and more for a point than the first contender, is left out with that word.
        progress: told what is going on.

    Returns:
        The results, and for those that cannot run why, by name.
    """
    entrants: list[_Entrant] = []
    absent: dict[str, str] = {}
    slowest = 0.0  # seconds a point of the first contender
    progress.start((len(entries) + 1) * (rounds + 2), unit="turns")
    for name, build in entries:
        progress.advance(text=f"preparing {name}")
        try:
            entrant, usual = _prepared(case, build, turn)
        except ImportError as error:
            absent[name] = f"not installed ({error.name or error}); pip install {name}"
        except Exception as error:  # what others wrote may fail in any way, and ours is to be told too
            absent[name] = str(error) if isinstance(error, LandscapeError) else _first_line(error)
        else:
            slowest = slowest or usual
            if usual > slowest and usual * entrant.n_points > _PATIENCE:
                absent[name] = f"left out, it is slow: {1e3 * usual:,.0f} ms a point when it was tried"
            else:
                entrants.append(entrant)
    for number in range(rounds):
        for entrant in entrants:
            progress.advance(text=f"round {number + 1} of {rounds}: {entrant.contender.name}")
            began = time.perf_counter()
            entrant.losses = entrant.contender(entrant.n_points)
            entrant.seconds.append((time.perf_counter() - began) / entrant.n_points)
    results = []
    for entrant in entrants:
        progress.advance(text=f"checking {entrant.contender.name}")
        results.append(_result(entrant))
    progress.close()
    return results, absent


def _prepared(case: Case, build: Callable[[Case], Contender], turn: float) -> tuple[_Entrant, float]:
    """Build a contender, warm it up, and see how many points it can measure in a turn; also its usual seconds a point."""
    began = time.perf_counter()
    contender = build(case)
    fewest = max(_FEWEST, contender.block)
    seconds = [_timed(contender, fewest)]
    first = time.perf_counter() - began
    if contender.compiles or seconds[0] < _SHORT:
        seconds.clear()
        while not seconds or (sum(seconds) < turn / 2 and len(seconds) < 10):
            seconds.append(_timed(contender, fewest))
    usual = min(seconds)
    n_points = max(fewest, min(case.n_points, int(fewest * turn / usual)) // contender.block * contender.block)
    if n_points > fewest:
        contender(n_points)  # a call of another size may have to be prepared too
    return _Entrant(contender, max(0.0, first - usual), n_points), usual / fewest


def _timed(contender: Contender, n_points: int) -> float:
    began = time.perf_counter()
    contender(n_points)
    return time.perf_counter() - began


def _result(entrant: _Entrant) -> Result:
    contender = entrant.contender
    deviation = contender.deviation(entrant.losses)
    return Result(
        contender.name, contender.note, contender.precision, entrant.n_points, entrant.setup, tuple(entrant.seconds), deviation
    )


def _first_line(error: BaseException) -> str:
    return ": ".join([type(error).__name__, *str(error).strip().splitlines()[:1]])
