"""How long a rank waits for rank 0's answer while rank 0 computes, by three ways of answering. One process a rank, under mpiexec."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from landscape.errors import RunError

__all__ = ["run"]

_N_REQUESTS = 60
_APART = 0.02  # seconds between a rank's requests
_PAUSE = 0.002  # seconds between the looks of a thread, as rank 0's desk has them


def run(way: str, load: str) -> dict[str, float]:
    """Measure one way of answering under one kind of load.

    Args:
        way: "thread" on rank 0; rank 0 "between" its points; or a "counter" in its memory that the others count up (one-sided).
        load: "large", points of some long operations, or "small", points of thousands of short ones.

    Returns:
        Milliseconds from a rank's request to its answer, `median` and `largest`, those of rank 0's `point`, and how many points a
        second rank 0 computed, `speed`, as a share of its speed alone.

    Raises:
        RunError: when the job fails.
    """
    command = [str(Path(sys.executable).with_name("mpiexec")), "-n", "2", sys.executable, __file__, way, load]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise RunError(f"the job failed: {done.stderr.strip()[-300:]}")
    return dict(json.loads(done.stdout))


def _load(kind: str) -> Callable[[], None]:
    torch.set_num_threads(1)
    if kind == "large":
        images, layer = torch.randn(32, 32, 32, 32), torch.nn.Conv2d(32, 32, 3, padding=1)

        def point() -> None:
            with torch.no_grad():
                for _ in range(24):
                    layer(images)
    else:
        rows, layers = torch.randn(64, 64), [torch.nn.Linear(64, 64) for _ in range(4)]

        def point() -> None:
            with torch.no_grad():
                for _ in range(500):
                    for layer in layers:
                        layer(rows)

    return point


def _ask(comm: Any, window: Any, way: str) -> list[float]:
    """Rank 1: its requests, in seconds each."""
    from mpi4py import MPI

    one, before = np.ones(1, dtype="i8"), np.zeros(1, dtype="i8")
    took = []
    for _ in range(_N_REQUESTS):
        time.sleep(_APART)
        began = time.perf_counter()
        if way == "counter":
            window.Lock(0, MPI.LOCK_SHARED)
            window.Fetch_and_op(one, before, 0, 0, MPI.SUM)
            window.Unlock(0)
        else:
            comm.send(1, dest=0)
            while not comm.iprobe(source=0):
                time.sleep(0.0002)
            comm.recv(source=0)
        took.append(time.perf_counter() - began)
    return took


def _answer(comm: Any) -> bool:
    """Rank 0: answer what has arrived; whether it was the last word."""
    while comm.iprobe(source=1):
        if comm.recv(source=1) is None:
            return True
        comm.send(0, dest=1)
    return False


def _compute(comm: Any, way: str, point: Callable[[], None]) -> dict[str, float]:
    """Rank 0: points until the other has asked enough."""
    over = threading.Event()

    def serve() -> None:
        while not _answer(comm):
            time.sleep(_PAUSE)
        over.set()

    thread = threading.Thread(target=serve, daemon=True)
    if way == "thread":
        thread.start()
    took = []
    while not over.is_set():
        began = time.perf_counter()
        point()
        took.append(time.perf_counter() - began)
        if (way == "between" and _answer(comm)) or (way == "counter" and comm.iprobe(source=1)):
            break
    return {"point": float(np.median(took)), "n_points": len(took)}


def _main(way: str, load: str) -> None:
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    window = MPI.Win.Allocate(8, comm=comm)
    point = _load(load)
    alone = []
    for _ in range(20):
        began = time.perf_counter()
        point()
        alone.append(time.perf_counter() - began)
    comm.Barrier()
    if comm.rank == 0:
        found = _compute(comm, way, point)
        if way == "counter":
            comm.recv(source=1)
        took = comm.recv(source=1, tag=1)
        milliseconds = {"median": float(np.median(took)), "largest": max(took), "point": found["point"]}
        print(
            json.dumps(
                {**{name: 1e3 * value for name, value in milliseconds.items()}, "speed": float(np.median(alone)) / found["point"]}
            )
        )
    else:
        took = _ask(comm, window, way)
        comm.send(None, dest=0)
        comm.send(took, dest=0, tag=1)
    window.Free()


if __name__ == "__main__":
    _main(*sys.argv[1:])
