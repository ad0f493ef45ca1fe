"""Jobs that the parts of results/scaling start: they run, and every item is done once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from landscape_benchmarks import fake_workload, ranks, simulation

MPIEXEC = Path(sys.executable).with_name("mpiexec")
COSTS = np.array([0.001, 0.004, 0.002, 0.001, 0.003, 0.001, 0.002])


@pytest.mark.skipif(not MPIEXEC.exists(), reason="needs the extra [mpi]")
@pytest.mark.parametrize("pattern", ranks.PATTERNS)
def test_two_ranks_that_sleep_do_every_item_once(pattern: str) -> None:
    found = fake_workload.run(COSTS, 2, pattern)
    assert sum(found["n_items"]) == len(COSTS)
    assert all(took >= cost for took, cost in zip(found["costs"], COSTS, strict=True))
    assert found["makespan"] >= sum(found["costs"]) / 2


@pytest.mark.parametrize("pattern", ranks.PATTERNS)
def test_simulated_ranks_do_every_item_and_are_never_faster_than_can_be(pattern: str) -> None:
    costs = simulation.log_normal(60, mean=0.1)
    found = ranks.PATTERNS[pattern](costs, 4)
    assert sum(found.n_items) == len(costs)
    assert found.makespan >= simulation.ideal(costs, 4)
    assert 0 < found.efficiency(costs) <= 1


def test_a_checkpoint_is_read_both_ways(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, tmp_path / "net.pt")
    words = [sys.executable, "-c", ranks.READING, str(tmp_path / "net.pt")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)) == {"read by all", "read by one"}
