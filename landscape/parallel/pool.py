"""A pool of processes that somebody else made, as an executor: anything that has `submit`, or `map`."""

from __future__ import annotations

import hashlib
import pickle
import queue
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

from landscape.errors import InputError, LandscapeError, RankError, RunError, in_a_line
from landscape.parallel.executor import HEARTBEAT, Call, SerialExecutor, Share, Steps, Task, usable_cores
from landscape.parallel.pool_worker import Reply, Request, serve
from landscape.parallel.remote_errors import ElsewhereError
from landscape.parallel.schedule import Schedule

__all__ = ["PoolExecutor"]

_EXTRA = "pip install 'torch-landscape[executors]', which sends models and losses that live in a notebook or script, or define them in a module"


class PoolExecutor(SerialExecutor):
    """This process hands out the items, records and checks; the processes of a pool compute.

    What makes their worker is sent where it is missing: a request comes without it, and again with it where the process that took it
    has no such worker yet. So it travels about once to each process, whichever way the pool shares out its work.

    Args:
        pool: what has `submit(function, argument)` that returns futures with callbacks, as those of concurrent.futures, mpi4py.futures
            and Dask have (of a Dask client its `get_executor()` is taken), and computes whatever is ready; or `map(function,
            arguments)`, in order and in rounds.

    Raises:
        InputError: when it is none of this, or forks its processes.
    """

    sends = True

    def __init__(self, pool: Any) -> None:
        self._n_workers = _n_workers(pool)
        self._pool = pool.get_executor() if hasattr(pool, "get_executor") else pool
        if not callable(getattr(self._pool, "submit", None)) and not callable(getattr(self._pool, "map", None)):
            raise InputError(f"executor= takes a pool with submit or map, such as a ProcessPoolExecutor, not {type(pool).__name__}")
        context = getattr(self._pool, "_mp_context", None) or getattr(
            self._pool, "_ctx", None
        )  # of concurrent.futures, multiprocessing
        if context is not None and context.get_start_method() == "fork":
            raise InputError(
                "the pool forks its processes, in which torch hangs once it has started threads; "
                'make it with mp_context=multiprocessing.get_context("spawn")'
            )
        self.n_local_ranks = self._n_workers
        self._sent: tuple[Callable[[], Any], str, bytes] | None = None

    @property
    def n_workers(self) -> int:
        """How many processes compute items; where the pool does not say, as many as this host has cores."""
        return self._n_workers

    def cores(self) -> float:
        """See `Executor.cores`; as if all workers were on this host."""
        return max(1.0, len(usable_cores()) / self._n_workers)

    def steps(self, task: Task[Any, Any]) -> Steps:
        """See `Executor.steps`."""
        if not isinstance(task.compute, Call) or task.compute.make is None:
            raise TypeError("a pool computes what a Call says, which can be sent")
        call, (digest, payload) = task.compute, self._packed(task.compute.make)
        schedule, dispatcher = Schedule(len(task.items), self._n_workers, task.seconds), _Dispatcher(self._pool, payload)
        shares: dict[str, Share] = {}
        began = tended = time.monotonic()
        try:
            while True:
                late = task.out_of_time()
                for slot in () if late else range(self._n_workers):
                    while numbers := schedule.hand_out(slot):
                        items = [task.items[number] for number in numbers]
                        dispatcher.put((slot, numbers), Request(digest, b"", call.method, call.arguments, items))
                if not dispatcher.n_open:
                    break
                found = dispatcher.take()
                if time.monotonic() - tended > HEARTBEAT:
                    task.heartbeat()
                    tended = time.monotonic()
                if found is None:
                    continue
                (slot, numbers), reply = found
                for number, result in zip(numbers, reply.results, strict=False):  # of those before an error, too
                    task.on_result(task.items[number], result)
                _check(reply)
                schedule.hand_in(slot, reply.seconds, items=numbers)
                _add(shares.setdefault(reply.worker, Share()), reply)
                yield task.so_far()
        finally:
            dispatcher.cancel()
        for share in shares.values():
            share.waiting = max(0.0, time.monotonic() - began - share.busy)
        return list(shares.values()) or [Share()]

    def _packed(self, make: Callable[[], Any]) -> tuple[str, bytes]:
        """What makes a worker, pickled once for all tasks of a run, and its digest."""
        if self._sent is None or self._sent[0] is not make:
            payload = _pickled(make)
            self._sent = make, hashlib.sha256(payload).hexdigest(), payload
        return self._sent[1:]


Handed = tuple[int, list[int]]  # whose slot, and the numbers of the items
Sent = tuple[Handed, Request]


class _Dispatcher:
    """Sends requests, and with some of them what makes the worker: as many at a time as processes said that they lack it."""

    def __init__(self, pool: Any, payload: bytes) -> None:
        self._requests: _Requests = _Submitted(pool) if hasattr(pool, "submit") else _Mapped(pool)
        self._payload = payload
        self._lacking: set[str] = set()
        self._held: list[Sent] = []
        self._n_carrying = 0

    @property
    def n_open(self) -> int:
        """How many requests are not answered yet."""
        return self._requests.n_open + len(self._held)

    def put(self, handed: Handed, request: Request) -> None:
        """Send a request."""
        self._requests.put((handed, request))

    def take(self) -> tuple[Handed, Reply] | None:
        """An answer; None where none came within a moment."""
        found = self._requests.take()
        if found is None:
            return None
        (handed, request), reply = found
        self._n_carrying -= bool(request.payload)
        if reply.missing:
            self._lacking.add(reply.worker)
            self._held.append((handed, request))
        else:
            self._lacking.discard(reply.worker)
        held, self._held = self._held, []
        for handed_out, again in held:
            if self._n_carrying < len(self._lacking):
                self._n_carrying += 1
                self.put(handed_out, replace(again, payload=self._payload))
            elif not reply.missing or not self._requests.n_open:
                self.put(handed_out, again)
            else:
                self._held.append((handed_out, again))
        return None if reply.missing else (handed, reply)

    def cancel(self) -> None:
        """Have nothing more begun."""
        self._requests.cancel()


class _Requests(Protocol):
    """Requests on their way: `put` sends one, `take` waits a moment for a reply."""

    @property
    def n_open(self) -> int: ...

    def put(self, sent: Sent) -> None: ...

    def take(self) -> tuple[Sent, Reply] | None: ...

    def cancel(self) -> None: ...


class _Submitted:
    """By `submit`: whichever is ready first is taken first."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._open: dict[Any, Sent] = {}
        self._ready: queue.SimpleQueue[Any] = queue.SimpleQueue()

    @property
    def n_open(self) -> int:
        return len(self._open)

    def put(self, sent: Sent) -> None:
        with _told():
            future = self._pool.submit(serve, sent[1])
        self._open[future] = sent
        future.add_done_callback(self._ready.put)

    def take(self) -> tuple[Sent, Reply] | None:
        try:
            future = self._ready.get(timeout=HEARTBEAT)
        except queue.Empty:
            return None
        with _told():
            return self._open.pop(future), future.result()

    def cancel(self) -> None:
        for future in self._open:
            future.cancel()


class _Mapped:
    """By `map`: in rounds, each in its order."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._next: list[Sent] = []
        self._round: list[Sent] = []
        self._replies: Iterator[Reply] = iter(())

    @property
    def n_open(self) -> int:
        return len(self._next) + len(self._round)

    def put(self, sent: Sent) -> None:
        self._next.append(sent)

    def take(self) -> tuple[Sent, Reply] | None:
        with _told():
            if not self._round:
                self._round, self._next = self._next, []
                self._replies = iter(self._pool.map(serve, [request for _, request in self._round]))
            return self._round.pop(0), next(self._replies)

    def cancel(self) -> None:
        self._replies = iter(())


def _n_workers(pool: Any) -> int:
    """How many processes a pool has: of concurrent.futures, multiprocessing, mpi4py and Dask; else this host's cores."""
    client = getattr(pool, "_client", pool)
    if callable(getattr(client, "nthreads", None)):
        return max(1, len(client.nthreads()))
    known = (getattr(pool, name, None) for name in ("_max_workers", "_processes", "num_workers"))
    return next((n for n in known if isinstance(n, int) and n > 0), len(usable_cores()))


def _pickled(make: Callable[[], Any]) -> bytes:
    try:
        import cloudpickle as pickler
    except ImportError:
        pickler = pickle
    try:
        return bytes(pickler.dumps(make))
    except Exception as error:
        raise InputError(f"the problem cannot be sent to the pool's processes ({in_a_line(error)}); {_EXTRA}") from error


@contextmanager
def _told() -> Iterator[None]:
    """What the pool itself raises, in a line.

    Raises:
        RunError: when it lost a process, or cannot send or receive.
    """
    try:
        yield
    except (KeyboardInterrupt, LandscapeError):
        raise
    except BrokenExecutor as error:
        guard = 'where it did not get that far, put what your script does under if __name__ == "__main__"'
        raise RunError(f"a process of the pool ended ({in_a_line(error)}): memory may have run out; {guard}") from error
    except BaseException as error:  # a cancelled future's is none of `Exception`
        raise RunError(f"the pool failed: {in_a_line(error)}") from error


def _check(reply: Reply) -> None:
    """Raise what ended a request.

    Raises:
        RankError: naming the worker, caused by its traceback.
        KeyboardInterrupt: of Ctrl-C, which all processes of a terminal hear.
    """
    if isinstance(reply.error, KeyboardInterrupt):
        raise reply.error
    if reply.error is not None:
        raise RankError(f"{reply.worker}: {reply.error}", reply.trace) from ElsewhereError(reply.trace)


def _add(share: Share, reply: Reply) -> None:
    share.n_items += len(reply.results)
    share.busy += reply.seconds
    share.account = reply.account if share.account is None else share.account + reply.account
