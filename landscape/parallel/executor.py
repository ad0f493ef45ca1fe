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

__all__ = ["Executor", "SerialExecutor", "Share", "Task", "usable_cores"]

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Task(Generic[Item, Result]):
    """Items to compute, and what becomes of their results.

    Attributes:
        items: all of them, on the root; what other ranks hold here is not looked at.
        compute: makes an item's result, on any rank.
        on_result: is given each item with its result, on the root, one call at a time, though not always on the main thread.
        out_of_time: whether a rank should begin no further item, as its time is over.
        heartbeat: called on the root about every second while ranks compute.
        on_abort: called on the root when the job has to end while its main thread is inside an item; saves what there is, and
            returns the error with a word about that.
        seconds: about what an item takes, as far as one knows before the first.
    """

    items: Sequence[Item]
    compute: Callable[[Item], Result]
    on_result: Callable[[Item, Result], None]
    out_of_time: Callable[[], bool] = lambda: False
    heartbeat: Callable[[], None] = lambda: None
    on_abort: Callable[[BaseException], BaseException] = lambda error: error
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
    def run_task(self, task: Task[Any, Any]) -> Share:
        """Compute the items of a task, every rank its share; over when all are done, or no rank has time for another.

        Raises:
            RunError: on the root, when another rank failed or fell silent.
            BaseException: whatever an item raised here.
        """

    @abstractmethod
    def on_all_ranks(self, function: Callable[[], Result]) -> Result:
        """Call a function on every rank; when it raises on one, every rank raises that error."""

    @abstractmethod
    def load_or_receive(self, function: Callable[[], Result]) -> Result:
        """As `on_all_ranks`, but a rank that lacks a file which the root can read is sent what the root made."""

    @abstractmethod
    def on_root(self, function: Callable[[], Result]) -> Result:
        """Call a function on the root; every rank gets its result, or raises its error."""

    @abstractmethod
    def gather(self, value: Result) -> list[Result]:
        """The values of all ranks, on every rank."""

    @abstractmethod
    def cores(self) -> float:
        """This process's share of the cores it may use: those of its host, shared out among the ranks that may use them too."""

    @abstractmethod
    def fail(self, error: BaseException) -> None:
        """Say that this rank cannot go on, so that no other waits for it; one process just goes on raising."""

    @abstractmethod
    def abort(self, error: BaseException) -> None:
        """Say what happened, and end the job at once: every rank, whatever it is doing."""


class SerialExecutor(Executor):
    """One process does it all."""

    rank = 0
    n_ranks = 1
    local_rank = 0
    n_local_ranks = 1

    def run_task(self, task: Task[Any, Any]) -> Share:
        """See `Executor.run_task`."""
        share = Share()
        for item in task.items:
            if task.out_of_time():
                break
            began = time.perf_counter()
            result = task.compute(item)
            share.busy += time.perf_counter() - began
            share.n_items += 1
            task.on_result(item, result)
        return share

    def on_all_ranks(self, function: Callable[[], Result]) -> Result:
        """See `Executor.on_all_ranks`."""
        return function()

    def load_or_receive(self, function: Callable[[], Result]) -> Result:
        """See `Executor.load_or_receive`."""
        return function()

    def on_root(self, function: Callable[[], Result]) -> Result:
        """See `Executor.on_root`."""
        return function()

    def gather(self, value: Result) -> list[Result]:
        """See `Executor.gather`."""
        return [value]

    def cores(self) -> float:
        """See `Executor.cores`."""
        return float(len(usable_cores()))

    def fail(self, error: BaseException) -> None:
        """See `Executor.fail`."""

    def abort(self, error: BaseException) -> None:
        """See `Executor.abort`."""
        try:
            complain(in_a_line(error))
        finally:
            os._exit(130 if isinstance(error, KeyboardInterrupt) else 1)


def usable_cores() -> frozenset[int]:
    """The cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))
