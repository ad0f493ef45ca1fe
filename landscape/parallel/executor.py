"""What is asked of an executor, and the executor that is one process."""

from __future__ import annotations

import os
import pickle
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from landscape.errors import in_a_line
from landscape.output import complain
from landscape.parallel.remote_errors import RemoteError, capture, packed

__all__ = ["HEARTBEAT", "Call", "Executor", "SerialExecutor", "Share", "Steps", "Task", "exhausted", "usable_cores"]

Item = TypeVar("Item")
Result = TypeVar("Result")

HEARTBEAT = 1.0  # seconds


@dataclass(frozen=True)
class Call:
    """A method of a worker, called with each item: what may be computed in processes that are no ranks, too.

    Attributes:
        worker: has it.
        method: its name.
        arguments: what it takes behind the item.
        make: makes such a worker where there is none; it travels there, and so holds all that this takes. What it makes also has
            `computing`, the context to call it in, and `account`, which gives and forgets what it did.
    """

    worker: Any
    method: str
    arguments: tuple[Any, ...] = ()
    make: Callable[[], Any] | None = None

    def __call__(self, item: Any) -> Any:
        """An item's result, by the worker here."""
        return getattr(self.worker, self.method)(item, *self.arguments)


@dataclass(frozen=True)
class Task(Generic[Item, Result]):
    """Items to compute, and what becomes of their results.

    Attributes:
        items: all of them, on the root; what other ranks hold here is not looked at.
        compute: makes an item's result, on any rank; for a pool of processes it is a `Call`.
        on_result: is given each item with its result, on the root, one call at a time, though not always on the main thread.
        out_of_time: whether a rank should begin no further item, as its time is over.
        heartbeat: called on the root about every second while ranks compute.
        on_abort: called on the root when the job has to end while its main thread is inside an item; saves what there is, and
            returns the error with a word about that.
        so_far: what each step yields.
        seconds: about what an item takes, as far as one knows before the first.
    """

    items: Sequence[Item]
    compute: Callable[[Item], Result]
    on_result: Callable[[Item, Result], None]
    out_of_time: Callable[[], bool] = lambda: False
    heartbeat: Callable[[], None] = lambda: None
    on_abort: Callable[[BaseException], BaseException] = lambda error: error
    so_far: Callable[[], Any] = lambda: None
    seconds: float = 0.0


@dataclass
class Share:
    """What one rank or worker had of a task: its items, and where its seconds went.

    Attributes:
        n_items: how many it computed.
        busy: seconds inside items.
        waiting: seconds empty-handed while there were items left, waiting for rank 0's word.
        idle: seconds at the end, when nothing was left and others still computed.
        account: what a worker elsewhere says of its work.
    """

    n_items: int = 0
    busy: float = 0.0
    waiting: float = 0.0
    idle: float = 0.0
    account: Any = None


Steps = Generator[Any, None, list[Share]]


def exhausted(steps: Generator[Any, None, Result]) -> Result:
    """What a generator returns at its end; interrupted between two of its steps, it ends as within one."""
    try:
        while True:
            next(steps)
    except StopIteration as end:
        result: Result = end.value
        return result
    except BaseException as error:
        steps.throw(error)
        raise


class Executor(ABC):
    """Who computes. Ranks run one program each, all of them the same calls in the same order; workers compute the items of tasks.

    A transport says how items are computed (`steps`) and how ranks speak to each other (`gather`, `broadcast`, `abort`).
    """

    rank: int
    n_ranks: int
    local_rank: int  # among the ranks of this host
    n_local_ranks: int
    sends = False  # whether items are computed in processes that are no ranks, which workers are sent to

    @property
    def is_root(self) -> bool:
        """Whether this process writes the file and speaks to the user."""
        return self.rank == 0

    @property
    def n_workers(self) -> int:
        """How many processes compute items; as a rule the ranks themselves."""
        return self.n_ranks

    @abstractmethod
    def steps(self, task: Task[Any, Any]) -> Steps:
        """Compute the items of a task, every worker its share; over when all are done, or nobody has time for another.

        Yields:
            `task.so_far()` whenever results were taken in; nothing where others wait for this process, as under MPI.

        Returns:
            The shares of the workers this process speaks for: its own, or those of all of a pool.

        Raises:
            RunError: on the root, when another worker failed or fell silent.
            BaseException: whatever an item raised here.
        """

    @abstractmethod
    def gather(self, value: Result) -> list[Result]:
        """The values of all ranks, on every rank."""

    @abstractmethod
    def broadcast(self, value: Result) -> Result:
        """The root's value, on every rank."""

    @abstractmethod
    def cores(self) -> float:
        """The share of the cores that a worker here may use: those of its host, shared out among the workers that may use them too."""

    @abstractmethod
    def abort(self, error: BaseException) -> None:
        """Say what happened, and end the job at once: every rank, whatever it is doing."""

    name = ""  # of this rank, for people
    _agreed: BaseException | None = None  # an error that every rank raises

    def run_task(self, task: Task[Any, Any]) -> list[Share]:
        """All `steps` of a task."""
        return exhausted(self.steps(task))

    def on_all_ranks(self, function: Callable[[], Result]) -> Result:
        """Call a function on every rank; when it raises on one, every rank raises that error."""
        if self.n_ranks == 1:
            return function()
        result, error = capture(function, self.name)
        self._raise_first(self.gather(error))
        return result  # type: ignore[return-value]  # no rank raised, so the function returned

    def load_or_receive(self, function: Callable[[], Result]) -> Result:
        """As `on_all_ranks`, but a rank that lacks a file which the root can read is sent what the root made.

        Where every rank finds the files, every rank reads them: that is ten times as fast as sending them round (measured by
        scripts/benchmarks), and asks nothing of the root. Only a rank that misses one is sent what the root made of it, if that can be sent.
        """
        if self.n_ranks == 1:
            return function()
        result, error = capture(function, self.name)
        errors = self.gather(error)
        lacking = [rank for rank, other in enumerate(errors) if other is not None and other.file_missing]
        if errors[0] is None and lacking:
            parcel = self.on_root(lambda: packed(result))
            if parcel:
                errors = [None if rank in lacking else other for rank, other in enumerate(errors)]
                result = pickle.loads(parcel) if self.rank in lacking else result  # from our own root
        self._raise_first(errors)
        return result  # type: ignore[return-value]  # made here or at the root

    def on_root(self, function: Callable[[], Result]) -> Result:
        """Call a function on the root; every rank gets its result, or raises its error."""
        if self.n_ranks == 1:
            return function()
        answer: tuple[Result | None, RemoteError | None] = capture(function, "") if self.is_root else (None, None)
        value, error = self.broadcast(answer)
        self._raise_first([error])
        return value  # type: ignore[return-value]  # the root's function returned it

    def fail(self, error: BaseException) -> None:
        """Say that this rank cannot go on: the others would wait for its word for ever, so the whole job ends here.

        One process just goes on raising, and so does every rank where all of them raise the same.
        """
        if self.n_ranks > 1 and error is not self._agreed:
            self.abort(error)

    def _raise_first(self, errors: Sequence[RemoteError | None]) -> None:
        for rank, error in enumerate(errors):
            if error is not None:
                self._agreed = error.error_of(rank)
                raise self._agreed


class SerialExecutor(Executor):
    """One process does it all."""

    rank = 0
    n_ranks = 1
    local_rank = 0
    n_local_ranks = 1

    def steps(self, task: Task[Any, Any]) -> Steps:
        """See `Executor.steps`."""
        share, tended = Share(), time.monotonic()
        for item in task.items:
            if task.out_of_time():
                break
            began = time.perf_counter()
            result = task.compute(item)
            share.busy += time.perf_counter() - began
            share.n_items += 1
            task.on_result(item, result)
            if time.monotonic() - tended > HEARTBEAT:  # what is behind a slow item is on disk before the next begins
                task.heartbeat()
                tended = time.monotonic()
            yield task.so_far()
        return [share]

    def gather(self, value: Result) -> list[Result]:
        """See `Executor.gather`."""
        return [value]

    def broadcast(self, value: Result) -> Result:
        """See `Executor.broadcast`."""
        return value

    def cores(self) -> float:
        """See `Executor.cores`."""
        return float(len(usable_cores()))

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
