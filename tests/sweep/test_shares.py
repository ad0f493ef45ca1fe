"""What is shared out: the memory of a device among the ranks on it, and the time that is left among the points of a block."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from cases import perceptron

from landscape.parallel import SerialExecutor
from landscape.progress import Progress
from landscape.sweep.devices import Placement
from landscape.sweep.options import Options
from landscape.sweep.plan import plan_line
from landscape.sweep.point_worker import PointWorker
from landscape.sweep.setup import prepare


class Several(SerialExecutor):
    """This process as the first of several ranks, the others on these hosts."""

    def __init__(self, hosts: list[str]) -> None:
        self.n_ranks = self.n_local_ranks = 1 + len(hosts)
        self._hosts = hosts

    def gather(self, value: Any) -> list[Any]:
        """As all ranks would answer alike, but for the host they are on."""
        others = [replace(value, host=host or value.host) if isinstance(value, Placement) else value for host in self._hosts]
        return [value, *others]


@pytest.mark.parametrize(
    ("hosts", "share"),
    [([], 1.0), ([""], 1 / 2), (["", ""], 1 / 3), (["elsewhere"], 1.0), (["", "elsewhere", "", "elsewhere"], 1 / 3)],
)
@pytest.mark.parametrize("memory", ["6M", 3e6])
def test_the_memory_asked_for_is_shared_among_the_ranks_of_a_device(hosts: list[str], share: float, memory: str | float) -> None:
    plan = plan_line(perceptron(), None, None, (-1, 1, 3), None, Options())
    options = Options(memory=memory, device="cpu", engine="eager", quiet=True)
    with Progress(quiet=True) as progress:
        context = prepare(plan, options, Several(hosts), None, progress)
    asked = 6 * 2**20 if memory == "6M" else 3e6
    assert context.objective.engine.memory == pytest.approx(asked * share, rel=1e-12)


@pytest.mark.parametrize(
    ("mode", "points_per_pass", "at_once"), [("eager", 8, 1), ("compiled", 8, 1), ("batched", 8, 8), ("batched", 2, 2)]
)
def test_a_block_is_late_when_all_its_points_together_would_be(
    monkeypatch: pytest.MonkeyPatch, mode: str, points_per_pass: int, at_once: int
) -> None:
    objective: Any = SimpleNamespace(engine=SimpleNamespace(mode=mode, points_per_pass=points_per_pass))
    nothing: Any = None
    worker = PointWorker(nothing, objective, nothing)
    worker.slowest = 0.5  # seconds a point
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    assert not worker.out_of_time(1000.0 + at_once * 0.5 + 0.01)
    assert worker.out_of_time(1000.0 + at_once * 0.5 - 0.01)
