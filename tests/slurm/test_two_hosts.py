"""Ranks on two hosts that have nothing but a network in common, and a file system: mpiexec over ssh, MPI over TCP."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from cluster import PATIENCE, search_path
from hosts import ADDRESSES, NAMES, Hosts, lacking, running
from plane import MPIEXEC, assert_equal, needs_mpi, small_problems, variables
from torch import nn

import landscape

N_RANKS = 4
WIDTH = 100_000  # 1.2 million numbers in the model's state
WIDE = f"""
import small_problems
from landscape import Problem
from torch import nn


def make():
    return Problem(small_problems.make_net(width={WIDTH}), nn.CrossEntropyLoss(), {{"train": small_problems.make_data()}})
"""


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    if reason := lacking():
        pytest.skip(reason)
    with running(tmp_path_factory.mktemp("hosts")) as hosts:
        yield hosts


@pytest.fixture
def job(hosts: Hosts, tmp_path: Path) -> Callable[..., tuple[str, list[int]]]:
    """Runs a program on the ranks of both hosts, started from the first; what it says, and the bytes that came to each host."""
    strange = ("PMI_", "PMIX_", "OMPI_", "SLURM_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(strange)}
    launch = [str(MPIEXEC), "-hosts", ",".join(ADDRESSES), "-ppn", "2", "-n", str(N_RANKS), "-launcher", "ssh"]

    def run(*program: str) -> tuple[str, list[int]]:
        before = [hosts.received(host) for host in (0, 1)]
        done = subprocess.run(
            hosts.inside(0, *launch, "-launcher-exec", str(hosts.folder / "ssh"), "-wdir", str(tmp_path), *program),
            env={**clean, **variables(), "PATH": search_path()}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        return done.stdout, [hosts.received(host) - old for host, old in zip((0, 1), before, strict=True)]

    return run


@needs_mpi
def test_two_hosts_give_the_same_file(hosts: Hosts, job: Callable[..., tuple[str, list[int]]], tmp_path: Path) -> None:
    """The checkpoint is hidden from the second host, so its ranks have it from rank 0, over the cable."""
    said, launching = job("hostname")
    assert sorted(said.split()) == sorted(2 * NAMES)

    (tmp_path / "wide.py").write_text(WIDE)
    weights, empty = tmp_path / "weights", tmp_path / "empty"
    for folder in (weights, empty):
        folder.mkdir()
    made = small_problems()
    torch.save(made.make_net(1, width=WIDTH).state_dict(), weights / "a.pt")
    hosts.call(1, "mount", "--bind", str(empty), str(weights))
    words = "surface wide:make weights/a.pt --x -1:1:5 --y -1:0.5:4 --device cpu --threads 1 -o out.h5"
    said, computing = job(str(Path(sys.executable).with_name("landscape")), *words.split())

    assert "4 ranks on 2 hosts (host-a, host-b)" in said, said
    assert computing[1] - launching[1] > (weights / "a.pt").stat().st_size
    assert computing[0] - launching[0] > 0
    found = landscape.read(tmp_path / "out.h5")
    assert found.runs[-1]["n_ranks"] == N_RANKS
    problem = landscape.Problem(made.make_net(width=WIDTH), nn.CrossEntropyLoss(), {"train": made.make_data()})
    expected = landscape.surface(problem, weights / "a.pt", x=(-1, 1, 5), y=(-1, 0.5, 4), device="cpu", threads=1, quiet=True)
    assert_equal(found, expected)
