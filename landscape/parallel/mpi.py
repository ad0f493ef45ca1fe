"""The ranks of an MPI job as an executor."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from landscape.errors import InputError, RunError, in_a_line
from landscape.output import complain
from landscape.parallel.coordinator import Coordinator, WorkerMessage
from landscape.parallel.executor import Executor, Share, Steps, Task, usable_cores
from landscape.parallel.remote_errors import readable_traceback, trace_of

__all__ = ["MPIExecutor"]

Result = TypeVar("Result")

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.0002, 0.002  # seconds between looks for a message; a rank that blocks in MPI burns a core
_FORWARDING = 0.2  # seconds that a launcher may take to pass on what a rank said, before it ends it
_DYING = 5.0  # seconds that a launcher may take to end a process after its word
_HEARING = 8.0  # seconds that rank 0 has to end the job after a rank told it of an error


class MPIExecutor(Executor):
    """The ranks of an MPI job: rank 0 hands out items, and computes as the others do.

    Args:
        comm: of mpi4py; every rank of it makes its `MPIExecutor` at the same time.

    Raises:
        InputError: when this MPI may not be called from a thread.
    """

    def __init__(self, comm: Any) -> None:
        from mpi4py import MPI

        if MPI.Query_thread() < MPI.THREAD_SERIALIZED:
            raise InputError(
                "this MPI was started without support for threads (MPI_THREAD_SERIALIZED), which rank 0 needs; "
                "leave mpi4py.rc.thread_level as it is, or use an MPI built with threads"
            )
        self._comm = comm
        self._coordinator_comm = comm.Dup()
        self.rank: int = comm.Get_rank()
        self.n_ranks: int = comm.Get_size()
        local = comm.Split_type(MPI.COMM_TYPE_SHARED)
        self.local_rank: int = local.Get_rank()
        self.n_local_ranks: int = local.Get_size()
        mine = usable_cores()
        users = [core for cores in local.allgather(mine) for core in cores]
        self._cores = sum(1 / users.count(core) for core in mine)
        local.Free()
        self.name = f"rank {self.rank} on {socket.gethostname()}"
        self._leaving = threading.Lock()  # never let go of: one thread ends the job, the others wait for the end

    # --- the task ---

    def steps(self, task: Task[Any, Any]) -> Steps:
        """See `Executor.steps`."""
        yield from ()
        names = self.gather(self.name)
        if not self.is_root:
            return [self._work(task)]
        coordinator = Coordinator(self._coordinator_comm, task, names, self.fail)
        coordinator.open()
        try:
            return [self._work_at_root(task, coordinator)]
        finally:
            coordinator.close()

    def _work_at_root(self, task: Task[Any, Any], coordinator: Coordinator) -> Share:
        share = Share()
        while not coordinator.is_over:
            numbers = coordinator.next()
            if not numbers:
                began = time.perf_counter()
                time.sleep(_LONGEST_PAUSE)
                share.idle += time.perf_counter() - began
                continue
            items = [(number, task.items[number]) for number in numbers]
            coordinator.hand_in(*_computed(task, items, share, coordinator.put, coordinator.check))
        coordinator.check()
        return share

    def _work(self, task: Task[Any, Any]) -> Share:
        share = Share()
        sent: list[Any] = []
        waiting: deque[list[tuple[int, Any]]] = deque()
        found: dict[int, Any] = {}  # of the hand-out that is being computed
        try:
            while True:
                began = time.perf_counter()
                while not waiting or self._coordinator_comm.iprobe(source=0):
                    handed = self._received()
                    if handed is None:
                        share.idle += time.perf_counter() - began
                        for request in sent:
                            request.wait()
                        return share
                    waiting.append(handed)
                share.waiting += time.perf_counter() - began
                found = {}
                seconds, undone = _computed(task, waiting.popleft(), share, found.__setitem__)
                sent.append(self._coordinator_comm.isend(WorkerMessage(list(found.values()), seconds, undone), dest=0))
                while undone is not None and waiting:
                    sent.append(
                        self._coordinator_comm.isend(WorkerMessage(undone=[number for number, _ in waiting.popleft()]), dest=0)
                    )
                sent = [request for request in sent if not request.test()[0]]
        except BaseException as error:
            self._fail(error, found)
            raise

    def _received(self) -> list[tuple[int, Any]] | None:
        """Rank 0's next word, waited for without burning a core."""
        pause = _SHORTEST_PAUSE
        while not self._coordinator_comm.iprobe(source=0):
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        handed: list[tuple[int, Any]] | None = self._coordinator_comm.recv(source=0)
        return handed

    def _fail(self, error: BaseException, found: dict[int, Any]) -> None:
        """Tell rank 0, which saves what was found and ends the job; where it does not, this rank ends it."""
        told = error if isinstance(error, KeyboardInterrupt) else RunError(in_a_line(error))
        request = self._coordinator_comm.isend(WorkerMessage(error=told, trace=trace_of(error), rest=found), dest=0)
        until = time.monotonic() + _HEARING
        while time.monotonic() < until:
            request.test()
            time.sleep(_LONGEST_PAUSE)
        self.fail(error)

    # --- words with all ranks ---

    def gather(self, value: Result) -> list[Result]:
        """See `Executor.gather`."""
        self._meet()
        gathered: list[Result] = self._comm.allgather(value)
        return gathered

    def broadcast(self, value: Result) -> Result:
        """See `Executor.broadcast`."""
        self._meet()
        return self._comm.bcast(value, root=0)  # type: ignore[no-any-return]  # mpi4py has no types

    def cores(self) -> float:
        """See `Executor.cores`."""
        return self._cores

    def _meet(self) -> None:
        """Wait for all ranks asleep: one that blocks in MPI takes a core from those that still compute."""
        request, pause = self._comm.Ibarrier(), _SHORTEST_PAUSE
        try:
            while not request.Test():
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
        except KeyboardInterrupt as error:  # the others wait for this rank's word, and would do so for ever
            until = time.monotonic() + _HEARING  # the root may be writing the file
            while not request.Test() and time.monotonic() < until:
                time.sleep(_LONGEST_PAUSE)
            self.abort(error)

    # --- the end ---

    def abort(self, error: BaseException) -> None:
        """See `Executor.abort`."""
        interrupted = isinstance(error, KeyboardInterrupt)
        place = "" if self.is_root or interrupted else f"{self.name}: "
        code = 130 if interrupted else getattr(error, "exit_code", 1)
        self._leaving.acquire()
        try:
            complain(f"{place}{in_a_line(error)}", readable_traceback(error))
            time.sleep(_FORWARDING)
            _unlink_shared_memory()
            self._comm.Abort(code)
            time.sleep(_DYING)  # some MPIs only send word to the launcher, and return
        finally:
            os._exit(code)  # before anybody says the same again


def _unlink_shared_memory() -> None:
    """Take away the names of the shared memory that MPICH's abort leaves behind: it fills /dev/shm, and confuses a later job."""
    with contextlib.suppress(OSError):  # where there is no /proc, there is nothing to see
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
            paths = {line.split(maxsplit=5)[5].strip() for line in maps if "/dev/shm/mpich_shm" in line}
        for path in paths:
            with contextlib.suppress(OSError):  # another rank was faster
                os.unlink(path)


def _computed(
    task: Task[Any, Any],
    items: list[tuple[int, Any]],
    share: Share,
    put: Callable[[int, Any], None],
    check: Callable[[], None] = lambda: None,
) -> tuple[float, list[int] | None]:
    """Compute a hand-out: the seconds it took, and the numbers of those there was no time for; None where there was."""
    began = time.perf_counter()
    undone = None
    for k, (number, item) in enumerate(items):
        check()
        if task.out_of_time():
            undone = [number for number, _ in items[k:]]
            break
        put(number, task.compute(item))
        share.n_items += 1
    seconds = time.perf_counter() - began
    share.busy += seconds
    return seconds, undone
