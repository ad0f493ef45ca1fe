"""Executors: who computes the points. One process, or the ranks of an MPI job."""

from __future__ import annotations

import os
import socket
import sys
import time
import traceback
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from landscape.errors import InputError, LandscapeError

__all__ = ["Executor", "Ranks", "Serial", "launched"]

Item = TypeVar("Item")
Result = TypeVar("Result")

# What a launcher tells its processes: the variable that holds the number of ranks, and the launcher's name.
_LAUNCHERS = {
    "OMPI_COMM_WORLD_SIZE": "Open MPI's mpirun",
    "PMI_SIZE": "MPICH's mpiexec",
    "MV2_COMM_WORLD_SIZE": "MVAPICH's mpirun",
    "SLURM_STEP_NUM_TASKS": "srun",
}


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
    def map(
        self, function: Callable[[Item], Result], items: Sequence[Item], stop: Callable[[], bool]
    ) -> Iterator[tuple[Item, Result]]:
        """Each item with its result as they come, on the root; other ranks yield nothing. Ends early when `stop()` says so."""

    @abstractmethod
    def together(self, function: Callable[[], Result]) -> Result:
        """Call a function on every rank; when it raises on one, every rank raises that error."""

    @abstractmethod
    def abandon(self, error: BaseException) -> None:
        """Say that this rank cannot go on, so that no other waits for it; one process just goes on raising."""

    @abstractmethod
    def at_root(self, function: Callable[[], Result]) -> Result:
        """Call a function on the root; every rank gets its result, or raises its error."""

    @abstractmethod
    def gather(self, value: Result) -> list[Result]:
        """The values of all ranks, on every rank."""


class Serial(Executor):
    """One process does it all."""

    rank = 0
    n_ranks = 1
    local_rank = 0
    n_local_ranks = 1

    def map(
        self, function: Callable[[Item], Result], items: Sequence[Item], stop: Callable[[], bool]
    ) -> Iterator[tuple[Item, Result]]:
        """See `Executor.map`."""
        for item in items:
            if stop():
                return
            yield item, function(item)

    def together(self, function: Callable[[], Result]) -> Result:
        """See `Executor.together`."""
        return function()

    def abandon(self, error: BaseException) -> None:
        """See `Executor.abandon`."""

    def at_root(self, function: Callable[[], Result]) -> Result:
        """See `Executor.at_root`."""
        return function()

    def gather(self, value: Result) -> list[Result]:
        """See `Executor.gather`."""
        return [value]


class Ranks(Executor):
    """The ranks of an MPI job: each takes every n-th point, rank 0 computes too and collects what the others send."""

    def __init__(self, comm: Any) -> None:
        from mpi4py import MPI

        self._mpi = MPI
        self._comm = comm
        self.rank: int = comm.Get_rank()
        self.n_ranks: int = comm.Get_size()
        local = comm.Split_type(MPI.COMM_TYPE_SHARED)
        self.local_rank: int = local.Get_rank()
        self.n_local_ranks: int = local.Get_size()
        local.Free()

    def map(
        self, function: Callable[[Item], Result], items: Sequence[Item], stop: Callable[[], bool]
    ) -> Iterator[tuple[Item, Result]]:
        """See `Executor.map`."""
        if self.is_root:
            yield from self._collect(function, items, stop)
            return
        try:
            self._work(function, items, stop)
        except BaseException as error:
            self.abandon(error)

    def _work(self, function: Callable[[Item], Result], items: Sequence[Item], stop: Callable[[], bool]) -> None:
        sent = []
        for item in items[self.rank :: self.n_ranks]:
            if stop():
                break
            sent.append(self._comm.isend((item, function(item)), dest=0))
        sent.append(self._comm.isend(None, dest=0))
        for request in sent:
            request.wait()

    def _collect(
        self, function: Callable[[Item], Result], items: Sequence[Item], stop: Callable[[], bool]
    ) -> Iterator[tuple[Item, Result]]:
        working = self.n_ranks - 1
        mine = iter(items[:: self.n_ranks])
        item = next(mine, None)
        while item is not None or working:
            if item is not None and not stop():
                yield item, function(item)
                item = next(mine, None)
            else:
                item = None
                time.sleep(0.002)  # a blocking receive would take a core from the ranks still computing
            while working and self._comm.iprobe():
                message = self._comm.recv()
                if message is None:
                    working -= 1
                else:
                    yield message

    def abandon(self, error: BaseException) -> None:
        """See `Executor.abandon`: MPI would wait for ever for the lost rank's word, so the whole job ends here."""
        text = f"{type(error).__name__}: {error}"
        if not isinstance(error, LandscapeError | KeyboardInterrupt):
            text = "".join(traceback.format_exception(error)).rstrip()
        print(f"landscape: rank {self.rank} on {socket.gethostname()} failed: {text}", file=sys.stderr, flush=True)
        self._comm.Abort(130 if isinstance(error, KeyboardInterrupt) else 1)

    def together(self, function: Callable[[], Result]) -> Result:
        """See `Executor.together`."""
        result, error = _attempt(function)
        first = next((other for other in self._comm.allgather(error) if other is not None), None)
        if first is not None:
            raise first
        return result  # type: ignore[return-value]  # no rank raised, so the function returned

    def at_root(self, function: Callable[[], Result]) -> Result:
        """See `Executor.at_root`."""
        result: tuple[Result | None, BaseException | None] = _attempt(function) if self.is_root else (None, None)
        value, error = self._comm.bcast(result, root=0)
        if error is not None:
            raise error
        return value  # type: ignore[no-any-return]  # the root's function returned it

    def gather(self, value: Result) -> list[Result]:
        """See `Executor.gather`."""
        gathered: list[Result] = self._comm.allgather(value)
        return gathered


def _attempt(function: Callable[[], Result]) -> tuple[Result | None, BaseException | None]:
    """A function's result or its error, in a form that travels to other ranks."""
    try:
        return function(), None
    except (LandscapeError, KeyboardInterrupt) as error:
        return None, error
    except BaseException as error:  # whatever it is, the other ranks wait for a word
        what = "".join(traceback.format_exception_only(error)).strip()
        return None, RuntimeError(f"{what}\n{''.join(traceback.format_exception(error)).rstrip()}")


def launched(environment: Mapping[str, str] | None = None) -> Executor:
    """The executor for how this process was started: `Ranks` under mpirun or srun with several ranks, else `Serial`.

    Outside a launcher MPI is never imported.

    Raises:
        InputError: when the launcher started several ranks but MPI is missing or sees only one.
    """
    environment = os.environ if environment is None else environment
    variable = next(
        (name for name in _LAUNCHERS if environment.get(name, "1").isdigit() and int(environment.get(name, "1")) > 1), None
    )
    if variable is None:
        return Serial()
    launcher, n_ranks = _LAUNCHERS[variable], int(environment[variable])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of a launcher that does not fit; we say so ourselves, below
            from mpi4py import MPI
    except Exception as error:
        raise InputError(
            f"{launcher} started {n_ranks} ranks, but MPI cannot be used ({str(error).splitlines()[0]}); "
            "pip install 'torch-landscape[mpi]', or build mpi4py for the MPI of this launcher"
        ) from error
    if MPI.COMM_WORLD.Get_size() == 1:
        library = MPI.Get_library_version().splitlines()[0].strip().strip("\0")
        raise InputError(
            f"{launcher} started {n_ranks} ranks, but MPI sees one: mpi4py uses {library}, another MPI than the launcher's; "
            "start with the mpiexec of that MPI, or rebuild mpi4py for the launcher's"
        )
    return Ranks(MPI.COMM_WORLD)
