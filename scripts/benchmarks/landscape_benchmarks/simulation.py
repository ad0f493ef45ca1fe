"""The schedule without a cluster: what ranks would do with items of given costs, event by event.

The simulation asks the very `Schedule` that rank 0's desk asks. Beside it stand ways of sharing out the same items that need no
events: a queue whose answers cost nothing, the static split, and the lock-step of the original tool.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from landscape.parallel import Schedule

__all__ = ["Answers", "Outcome", "ideal", "lock_step", "log_normal", "simulate", "split", "zero_cost"]


@dataclass(frozen=True)
class Answers:
    """What a rank's request goes through, in seconds.

    Attributes:
        delay: from a rank's report to its next hand-out when rank 0 has nothing else to do; messages and pauses between looks.
        service: of rank 0's thread, which serves one report at a time; it is taken from rank 0's computing.
    """

    delay: float = 0.004
    service: float = 1e-4


@dataclass(frozen=True)
class Outcome:
    """How it went: the seconds until the last item was done, each rank's items, and the seconds ranks waited in all."""

    makespan: float
    n_items: list[int]
    waiting: float = 0.0
    n_reports: int = 0

    def efficiency(self, costs: np.ndarray) -> float:
        """The share of all ranks' time spent on items, whose costs are `(n_items,)` seconds."""
        return float(costs.sum()) / (self.makespan * len(self.n_items))


def log_normal(n_items: int, mean: float, seed: int = 0, sigma: float = 1.0) -> np.ndarray:
    """Costs `(n_items,)` in seconds, log-normal with a given mean; σ = 1 has one in a hundred above six times the mean."""
    return np.asarray(np.random.default_rng(seed).lognormal(-(sigma**2) / 2, sigma, n_items) * mean)


def ideal(costs: np.ndarray, n_ranks: int) -> float:
    """The seconds below which no way of sharing out can get: all items evenly spread, or the longest item."""
    return max(float(costs.sum()) / n_ranks, float(costs.max()))


def zero_cost(costs: np.ndarray, n_ranks: int) -> Outcome:
    """A queue that hands out one item at a time, in order, to whoever is free, at no cost."""
    free = [(0.0, rank) for rank in range(n_ranks)]
    n_items = [0] * n_ranks
    for cost in costs:
        now, rank = free[0]
        heapq.heapreplace(free, (now + float(cost), rank))
        n_items[rank] += 1
    return Outcome(max(now for now, _ in free), n_items)


def split(costs: np.ndarray, n_ranks: int) -> Outcome:
    """Each rank takes every n-th item, decided beforehand."""
    shares = [costs[rank::n_ranks] for rank in range(n_ranks)]
    return Outcome(max(float(share.sum()) for share in shares), [len(share) for share in shares])


def lock_step(costs: np.ndarray, n_ranks: int) -> Outcome:
    """Each rank has a run of consecutive items, and all wait for each other after every one, as in tomgoldstein/loss-landscape."""
    shares = np.array_split(costs, n_ranks)
    rounds = np.zeros((n_ranks, max(len(share) for share in shares)))
    for rank, share in enumerate(shares):
        rounds[rank, : len(share)] = share
    return Outcome(float(rounds.max(axis=0).sum()), [len(share) for share in shares])


@dataclass
class _Rank:
    held: deque[float] = field(default_factory=deque)  # seconds of each hand-out it has
    idle_since: float = 0.0
    n_items: int = 0


def simulate(costs: np.ndarray, n_ranks: int, answers: Answers | None = None, expected: float | None = None) -> Outcome:
    """What the ranks of a job do with items, from the first hand-out to the last result.

    Args:
        costs: `(n_items,)` seconds of each.
        n_ranks: how many ranks compute, rank 0 among them.
        answers: what rank 0's answers cost.
        expected: seconds the schedule is told an item takes; the mean by default, as a run knows from its self-check.
    """
    return _Simulation(costs, n_ranks, answers or Answers(), float(costs.mean()) if expected is None else expected).run()


class _Simulation:
    """Ranks, the desk of rank 0, and the events between them: a rank ends a hand-out, or a hand-out reaches it."""

    def __init__(self, costs: np.ndarray, n_ranks: int, answers: Answers, expected: float) -> None:
        self._costs, self._answers = costs, answers
        self._schedule = Schedule(len(costs), n_ranks, expected)
        self._ranks = [_Rank() for _ in range(n_ranks)]
        self._events: list[
            tuple[float, int, int, float]
        ] = []  # time, a number to tell equals apart, rank, seconds of a hand-out or 0
        self._n_events = self._n_reports = 0
        self._desk_free = self._last = self._waiting = 0.0

    def run(self) -> Outcome:
        for rank in range(len(self._ranks)):
            self._hand_out(rank, 0.0)
        while self._events:
            now, _, rank, arrived = heapq.heappop(self._events)
            if arrived:
                self._arrive(rank, arrived, now)
            else:
                self._end(rank, now)
        return Outcome(self._last, [rank.n_items for rank in self._ranks], self._waiting, self._n_reports)

    def _arrive(self, rank: int, seconds: float, now: float) -> None:
        state = self._ranks[rank]
        state.held.append(seconds)
        if len(state.held) == 1:
            self._waiting += now - state.idle_since
            self._push(now + seconds, rank)

    def _end(self, rank: int, now: float) -> None:
        """A rank has computed its oldest hand-out, and goes on with the next one while rank 0 hears of it."""
        state = self._ranks[rank]
        seconds = state.held.popleft()
        self._last, state.idle_since = max(self._last, now), now
        if state.held:
            self._push(now + state.held[0], rank)
        served = now
        if rank:  # rank 0 asks the schedule itself
            served = self._desk_free = max(now, self._desk_free) + self._answers.service
            self._n_reports += 1
        state.n_items += len(self._schedule.hand_in(rank, seconds))
        self._hand_out(rank, served)

    def _hand_out(self, rank: int, now: float) -> None:
        while items := self._schedule.hand_out(rank, ahead=rank > 0):
            seconds = float(self._costs[items].sum())
            if rank:
                self._push(now + self._answers.delay, rank, seconds)
            else:
                self._arrive(rank, seconds * self._slowed(), now)

    def _slowed(self) -> float:
        """How much longer rank 0 takes: its thread serves the others from the same core."""
        return 1 / (1 - min(0.9, self._n_reports * self._answers.service / self._last)) if self._last else 1.0

    def _push(self, time: float, rank: int, seconds: float = 0.0) -> None:
        self._n_events += 1
        heapq.heappush(self._events, (time, self._n_events, rank, seconds))
