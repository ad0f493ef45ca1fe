"""A job whose items only sleep: real ranks, real messages, known costs. Started by `run` under mpiexec, one process a rank."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from landscape.errors import RunError
from landscape.parallel import Executor, Task, detect_executor

__all__ = ["run"]


def run(costs: np.ndarray, n_ranks: int, pattern: str) -> dict[str, Any]:
    """Start a job of so many ranks that sleep, and wait for it.

    Args:
        costs: `(n_items,)` seconds each item sleeps.
        n_ranks: how many ranks.
        pattern: "schedule" for the product's own, "split" for every n-th item, "lock-step" for the original tool's.

    Returns:
        `makespan` in seconds, `n_items` by rank, and `costs`, what each item really took, in order.

    Raises:
        RunError: when the job fails.
    """
    mpiexec = Path(sys.executable).with_name("mpiexec")
    command = [str(mpiexec), "-n", str(n_ranks), sys.executable, __file__, pattern]
    done = subprocess.run(
        command, input=json.dumps(costs.tolist()), capture_output=True, text=True, timeout=600, check=False
    )  # mpiexec hands its input to rank 0
    if done.returncode:
        raise RunError(f"the sleeping job failed: {done.stderr.strip()[-300:]}")
    return dict(json.loads(done.stdout))


def _sleep(seconds: float) -> float:
    began = time.perf_counter()
    time.sleep(seconds)
    return time.perf_counter() - began


def _schedule(costs: Sequence[float], executor: Executor) -> tuple[float, int, list[float]]:
    took = [0.0] * len(costs)

    def on_result(item: tuple[int, float], result: float) -> None:
        took[item[0]] = result

    task = Task(list(enumerate(costs)), lambda item: _sleep(item[1]), on_result, seconds=float(np.mean(costs)))
    began = time.perf_counter()
    (share,) = executor.run_task(task)
    return time.perf_counter() - began, share.n_items, took


def _split(costs: Sequence[float], executor: Executor) -> tuple[float, int, list[float]]:
    mine = range(executor.rank, len(costs), executor.n_ranks)
    return _apart(costs, executor, [[item] for item in mine], lambda: None)


def _lock_step(costs: Sequence[float], executor: Executor) -> tuple[float, int, list[float]]:
    shares = np.array_split(np.arange(len(costs)), executor.n_ranks)
    n_rounds = max(len(share) for share in shares)
    mine = [[int(item)] for item in shares[executor.rank]]
    return _apart(costs, executor, mine + [[]] * (n_rounds - len(mine)), lambda: executor.gather(None))


def _apart(
    costs: Sequence[float], executor: Executor, rounds: Sequence[Sequence[int]], meet: Callable[[], Any]
) -> tuple[float, int, list[float]]:
    """Items decided beforehand, in rounds, with a meeting after each."""
    found: dict[int, float] = {}
    began = time.perf_counter()
    for items in rounds:
        found |= {item: _sleep(costs[item]) for item in items}
        meet()
    together = executor.gather(found)
    seconds = time.perf_counter() - began
    everything = {item: took for part in together for item, took in part.items()}
    return seconds, len(found), [everything[item] for item in range(len(costs))]


def _main(pattern: str) -> None:
    executor = detect_executor()
    costs = executor.on_root(lambda: json.loads(sys.stdin.read()))
    executor.gather(None)  # all begin together
    seconds, n_items, took = {"schedule": _schedule, "split": _split, "lock-step": _lock_step}[pattern](costs, executor)
    counts, spans = executor.gather(n_items), executor.gather(seconds)
    if executor.is_root:
        print(json.dumps({"pattern": pattern, "makespan": max(spans), "n_items": counts, "costs": took}))


if __name__ == "__main__":
    _main(sys.argv[1])
