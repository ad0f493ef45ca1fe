"""What the sweep asks of an executor, and the executor that is one process."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from landscape.errors import in_a_line
from landscape.output import complain

__all__ = ["Executor", "Serial", "Share", "Task", "usable_cores"]

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Task(Generic[Item, Result]):
    """Items to compute, and what becomes of their results.

    Attributes:
        items: all of them, on the root; what other ranks hold here is not looked at.
        compute: makes an item's result, on any rank.
        take: is given each item with its result, on the root, one call at a time, though not always on the main thread.
        late: whether a rank should begin no further item, as its time is over.
        tend: called on the root about every second while ranks compute.
        rescue: called on the root when the job has to end while its main thread is inside an item; saves what there is, and
            returns the error with a word about that.
        seconds: about what an item takes, as far as one knows before the first.
    """

    items: Sequence[Item]
    compute: Callable[[Item], Result]
    take: Callable[[Item, Result], None]
    late: Callable[[], bool] = lambda: False
    tend: Callable[[], None] = lambda: None
    rescue: Callable[[BaseException], BaseException] = lambda error: error
    seconds: float = 0.0


@dataclass
class Share:
    """What one rank had of a task: its items, and where its seconds went.

    Attributes:
        n_items: how many it computed.
        busy: seconds inside items.
        waiting: seconds empty-handed while there were items left, waiting for rank 0's word.
        idle: seconds at the end, when nothing was left and others still computed.
    """

    n_items: int = 0
    busy: float = 0.0
    waiting: float = 0.0
    idle: float = 0.0


class Executor(ABC):
    """What the sweep asks of an executor."""

    rank: int
    n_ranks: int
    local_rank: int  # among the ranks of this host
    n_local_ranks: int

    @property
    def is_root(self) -> bool:
        """Whether this process writes the file and speaks to the user."""
        return self.rank == 0

    @abstractmethod
    def share_out(self, task: Task[Any, Any]) -> Share:
        """Compute the items of a task, every rank its share; over when all are done, or no rank has time for another.

        Raises:
            RunError: on the root, when another rank failed or fell silent.
            BaseException: whatever an item raised here.
        """

    @abstractmethod
    def together(self, function: Callable[[], Result]) -> Result:
        """Call a function on every rank; when it raises on one, every rank raises that error."""

    @abstractmethod
    def made(self, function: Callable[[], Result]) -> Result:
        """As `together`, but a rank that lacks a file which the root can read is sent what the root made."""

    @abstractmethod
    def at_root(self, function: Callable[[], Result]) -> Result:
        """Call a function on the root; every rank gets its result, or raises its error."""

    @abstractmethod
    def gather(self, value: Result) -> list[Result]:
        """The values of all ranks, on every rank."""

    @abstractmethod
    def cores(self) -> float:
        """This process's share of the cores it may use: those of its host, shared out among the ranks that may use them too."""

    @abstractmethod
    def abandon(self, error: BaseException) -> None:
        """Say that this rank cannot go on, so that no other waits for it; one process just goes on raising."""

    @abstractmethod
    def leave(self, error: BaseException) -> None:
        """Say what happened, and end the job at once: every rank, whatever it is doing."""


class Serial(Executor):
    """One process does it all."""

    rank = 0
    n_ranks = 1
    local_rank = 0
    n_local_ranks = 1

    def share_out(self, task: Task[Any, Any]) -> Share:
        """See `Executor.share_out`."""
        share = Share()
        for item in task.items:
            if task.late():
                break
            began = time.perf_counter()
            result = task.compute(item)
            share.busy += time.perf_counter() - began
            share.n_items += 1
            task.take(item, result)
        return share

    def together(self, function: Callable[[], Result]) -> Result:
        """See `Executor.together`."""
        return function()

    def made(self, function: Callable[[], Result]) -> Result:
        """See `Executor.made`."""
        return function()

    def at_root(self, function: Callable[[], Result]) -> Result:
        """See `Executor.at_root`."""
        return function()

    def gather(self, value: Result) -> list[Result]:
        """See `Executor.gather`."""
        return [value]

    def cores(self) -> float:
        """See `Executor.cores`."""
        return float(len(usable_cores()))

    def abandon(self, error: BaseException) -> None:
        """See `Executor.abandon`."""

    def leave(self, error: BaseException) -> None:
        """See `Executor.leave`."""
        try:
            complain(in_a_line(error))
        finally:
            os._exit(130 if isinstance(error, KeyboardInterrupt) else 1)


def usable_cores() -> frozenset[int]:
    """The cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))
