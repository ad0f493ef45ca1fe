"""Rank 0's desk: the thread that hands out items, takes in results and watches over the ranks, while rank 0 computes."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from landscape.errors import RankError, RunError
from landscape.parallel.executor import HEARTBEAT, Task
from landscape.parallel.schedule import Schedule

__all__ = ["Coordinator", "WorkerMessage"]

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.0005, 0.004  # seconds between looks at the messages; they cost rank 0's computing about 1 %
_SILENCE, _SLOWER = 60.0, 20.0  # a rank is given up after so many seconds, or so many times the slowest hand-out
_PAUSED = 5.0  # seconds between two looks from which on the process itself was stopped, and other ranks' silence means nothing
_GRACE = 3.0  # seconds in which the main thread may come out of its item by itself when the job has to end

Message = tuple[Any, Any, Any]  # a request, whose it is, and what to do with its content


@dataclass
class WorkerMessage:
    """What a rank sends rank 0: the results of its oldest hand-out; or why there will be no more, and what it has by number."""

    results: list[Any] = field(default_factory=list)
    seconds: float = 0.0
    undone: list[int] | None = None
    error: BaseException | None = None
    trace: str = ""
    rest: dict[int, Any] = field(default_factory=dict)


class Coordinator:
    """Serves a task to all ranks of a communicator. Between `open` and `close` nothing else may use that communicator.

    Args:
        comm: of mpi4py, for these messages alone.
        task: its items, and what becomes of the results.
        names: each rank's name, for people.
        leave: ends the job.
    """

    def __init__(self, comm: Any, task: Task[Any, Any], names: list[str], abort: Callable[[BaseException], None]) -> None:
        self._comm, self._task, self._names, self._leave = comm, task, names, abort
        self._schedule = Schedule(len(task.items), len(names), task.seconds)
        self._lock = threading.Lock()  # of the schedule
        self._own: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        self._gave_back = threading.Event()
        self._receiving: list[tuple[int, Any]] = []
        self._sending: list[Any] = []
        self._heard = [time.monotonic()] * len(names)
        self._slowest = task.seconds
        self._error: BaseException | None = None
        self._closed, self._left = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._serve, name="desk", daemon=True)

    # --- rank 0's main thread ---

    def open(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def next(self) -> list[int]:
        """Rank 0's own next items; none when all are handed out.

        Raises:
            BaseException: what ended the task on another rank or at the desk.
        """
        self.check()
        with self._lock:
            return self._schedule.hand_out(0, ahead=False)

    def put(self, number: int, result: Any) -> None:
        """Rank 0's result of one item, to be taken in at once: the next one may take long, or fail."""
        self._own.put((number, result))

    def hand_in(self, seconds: float, undone: list[int] | None) -> None:
        """Rank 0 is through with the items it was handed."""
        with self._lock:
            self._schedule.hand_in(0, seconds, undone)
        if undone is not None:
            self._gave_back.set()
        self._heard[0] = time.monotonic()
        self._slowest = max(self._slowest, seconds)

    def check(self) -> None:
        """Raise what ended the task, if something did."""
        if self._error is not None:
            self._left.set()
            raise self._error

    @property
    def is_over(self) -> bool:
        """Whether everything is done and every rank was told."""
        return not self._thread.is_alive()

    def close(self) -> None:
        """Stop serving; after an error the other ranks are left waiting."""
        self._left.set()
        self._closed.set()
        self._thread.join()
        with suppress(Exception):  # there is something left after an error alone, which says more than one from here
            self._take_own()

    # --- the desk's thread ---

    def _serve(self) -> None:
        try:
            self._work()
        except BaseException as error:
            self._error = error
            if not self._left.wait(_GRACE) and not self._closed.is_set():  # the main thread is deep in an item
                self._leave(self._rescued(error))

    def _rescued(self, error: BaseException) -> BaseException:
        try:
            self._take_own()
            return self._task.on_abort(error)
        except BaseException as worse:  # nothing more can be saved, and the job has to end all the same
            return worse

    def _work(self) -> None:
        pause, looked, tended = _SHORTEST_PAUSE, time.monotonic(), time.monotonic()
        self._hand_out_to_all()
        while not self._closed.is_set():
            busy = self._take_own() + self._listen()
            with self._lock:
                finished = self._schedule.finished
            if finished and self._own.empty() and not self._receiving:
                self._dismiss()
                return
            now = time.monotonic()
            if now - tended > HEARTBEAT:
                tended = now
                self._task.heartbeat()
                self._watch(now, looked)
            looked = now
            pause = _SHORTEST_PAUSE if busy else min(2 * pause, _LONGEST_PAUSE)
            time.sleep(pause)

    def _take_own(self) -> int:
        n = 0
        while not self._own.empty():
            self._take(*self._own.get())
            n += 1
        if self._gave_back.is_set():
            self._gave_back.clear()
            self._hand_out_to_all()
        return n

    def _listen(self) -> int:
        """Take in what has arrived; a long message is received while others are looked after."""
        from mpi4py import MPI

        status = MPI.Status()
        while (message := self._comm.improbe(status=status)) is not None:
            self._receiving.append((status.Get_source(), message.irecv()))
        n = 0
        for entry in list(self._receiving):
            rank, request = entry
            arrived, report = request.test()
            if arrived:
                self._receiving.remove(entry)
                self._answer(rank, report)
                n += 1
        self._sending = [request for request in self._sending if not request.test()[0]]
        return n

    def _answer(self, rank: int, report: WorkerMessage) -> None:
        if report.error is not None:
            for number, result in report.rest.items():
                self._take(number, result)
            raise _told(report, self._names[rank])
        self._heard[rank] = time.monotonic()
        self._slowest = max(self._slowest, report.seconds)
        with self._lock:
            done = self._schedule.hand_in(rank, report.seconds, report.undone)
        self._hand_out(rank)
        if report.undone is not None:
            self._hand_out_to_all()
        for number, result in zip(done, report.results, strict=True):
            self._take(number, result)

    def _hand_out_to_all(self) -> None:
        """At the start, and when a rank gave items back: the others may have time for them, and wait empty-handed."""
        for rank in range(1, len(self._names)):
            self._hand_out(rank)

    def _hand_out(self, rank: int) -> None:
        """Give a rank what it has room for."""
        while True:
            with self._lock:
                numbers = self._schedule.hand_out(rank)
            if not numbers:
                return
            self._sending.append(self._comm.isend([(number, self._task.items[number]) for number in numbers], dest=rank))

    def _take(self, number: int, result: Any) -> None:
        self._task.on_result(self._task.items[number], result)

    def _watch(self, now: float, looked: float) -> None:
        """Give up a rank that holds items and has not been heard of for too long.

        Raises:
            RunError: naming it.
        """
        if now - looked > _PAUSED:  # this process itself was stopped, and so, it may be, were the others
            self._heard = [heard + now - looked for heard in self._heard]
            return
        patience = max(_SILENCE, _SLOWER * self._slowest)
        for rank, heard in enumerate(self._heard):
            if not self._schedule.holds(rank):
                self._heard[rank] = now
            elif now - heard > patience:
                raise RunError(
                    f"{self._names[rank]} has been silent for {now - heard:.0f} s, where no {'points' if self._slowest < 1 else 'point'} "
                    f"took longer than {self._slowest:.2g} s; the job was ended, look at that host"
                )

    def _dismiss(self) -> None:
        """Tell every rank that it is over."""
        self._sending += [self._comm.isend(None, dest=rank) for rank in range(1, len(self._names))]
        while self._sending:
            self._sending = [request for request in self._sending if not request.test()[0]]
            time.sleep(_SHORTEST_PAUSE)


def _told(report: WorkerMessage, name: str) -> BaseException:
    """The error a rank reported, as rank 0 raises it."""
    if isinstance(report.error, KeyboardInterrupt):
        return report.error
    return RankError(f"{name}: {report.error}", report.trace)
