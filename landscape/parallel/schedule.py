"""The schedule: which items a rank is handed, and how many at once."""

from __future__ import annotations

import math
from collections import deque

__all__ = ["Schedule"]

_LATENCY = 0.02  # seconds that an answer of rank 0 takes while it computes, at worst: as long as a hand-out should last at least
_SERVICE = 1e-4  # seconds that rank 0 spends on one hand-out, from its request to its results on disk
_SERVING = 0.2  # the share of its time that rank 0's thread may spend on that
_WORTH_HIDING = 100  # a hand-out that lasts so many latencies needs no other one waiting behind it
_ROUNDS = 4  # no hand-out is longer than this part of a rank's fair share of what is left
_TAIL = 2  # hand-outs left for each rank below which none is handed out ahead of its time


class Schedule:
    """Who is handed which items. It knows neither clock nor messages: rank 0's desk asks it, and so does its simulation.

    Items go out in their order. A hand-out is one item; where items are so short that rank 0's answers, or the sheer number of
    ranks, would be felt, it is several. While plenty is left a rank is given its next hand-out while it computes one, so that it
    never waits for an answer; towards the end it is not, so that nobody sits on items that an idle rank could compute.

    Args:
        n_items: how many there are, numbered from 0.
        n_ranks: among how many ranks.
        seconds: about what an item takes; 0 where that is not known.
    """

    def __init__(self, n_items: int, n_ranks: int, seconds: float = 0.0) -> None:
        self._next = 0
        self._n_items = n_items
        self._n_ranks = n_ranks
        self._returned: deque[int] = deque()
        self._held: list[deque[list[int]]] = [deque() for _ in range(n_ranks)]
        self._n_held = 0
        self._dismissed: set[int] = set()
        self._expected = seconds
        self._seconds, self._n_done = 0.0, 0

    @property
    def n_left(self) -> int:
        """How many items nobody holds yet."""
        return self._n_items - self._next + len(self._returned)

    @property
    def finished(self) -> bool:
        """Whether every item is done, or nobody is left to do those that are not."""
        return self._n_held == 0 and (self.n_left == 0 or len(self._dismissed) == self._n_ranks)

    def holds(self, rank: int) -> bool:
        """Whether a rank has items to compute."""
        return bool(self._held[rank])

    def hand_out(self, rank: int, ahead: bool = True) -> list[int]:
        """The next items of a rank that has room for some; none when it has not, or none are left.

        Args:
            rank: whose.
            ahead: whether it may be given items while it still has some.
        """
        held = len(self._held[rank])
        if rank in self._dismissed or not self.n_left or held > 1 or (held == 1 and not (ahead and self._worth_hiding())):
            return []
        items = [self._pop() for _ in range(self.size())]
        self._held[rank].append(items)
        self._n_held += len(items)
        return items

    def hand_in(self, rank: int, seconds: float, undone: list[int] | None = None, items: list[int] | None = None) -> list[int]:
        """A hand-out of a rank comes back: its items, those done.

        Args:
            rank: whose.
            seconds: it took.
            undone: items that were not begun, as the rank has no time for them; it is handed nothing more.
            items: which hand-out it is; its oldest by default.
        """
        items = items or self._held[rank][0]
        self._held[rank].remove(items)
        self._n_held -= len(items)
        left = set(undone or ())
        done = [item for item in items if item not in left]
        self._seconds, self._n_done = self._seconds + seconds, self._n_done + len(done)
        if undone is not None:
            self._dismissed.add(rank)
            self._returned.extend(item for item in items if item in left)
        return done

    def size(self) -> int:
        """How many items the next hand-out has."""
        mean = self._mean()
        if mean <= 0:
            return 1
        served = _SERVICE * self._n_ranks  # seconds in which rank 0 serves each rank once: shorter hand-outs only make a queue
        wanted = math.ceil(max(_LATENCY, served / _SERVING) / mean)
        at_least = min(math.ceil(served / mean), self.n_left // self._n_ranks)
        return max(1, min(wanted, max(at_least, self.n_left // (_ROUNDS * self._n_ranks))))

    def _mean(self) -> float:
        return self._seconds / self._n_done if self._n_done else self._expected

    def _worth_hiding(self) -> bool:
        size = self.size()
        return size * self._mean() < _WORTH_HIDING * _LATENCY and self.n_left >= _TAIL * size * self._n_ranks

    def _pop(self) -> int:
        if self._returned:
            return self._returned.popleft()
        self._next += 1
        return self._next - 1
