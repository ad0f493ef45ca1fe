"""Placement: which device and how many threads each rank computes with, and the line that says so."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from landscape.errors import InputError
from landscape.sweep import devices
from landscape.sweep.devices import Placement, choose_device, choose_threads, describe_places, n_sharing


def cpu(host: str = "node1", threads: int = 2) -> Placement:
    return Placement(host, "cpu", "cpu", "", threads)


def gpu(host: str = "node1", number: int = 0, uuid: str | None = None, model: str = "H100", threads: int = 4) -> Placement:
    return Placement(host, f"cuda:{number}", uuid or f"{host}-{number}", model, threads)


def executor(cores: float = 4.0, others: tuple[int, ...] = (), local_rank: int = 0) -> Any:
    """One of several ranks; the others would take so many threads."""
    return SimpleNamespace(local_rank=local_rank, cores=lambda: cores, gather=lambda value: [value, *others])


@pytest.mark.parametrize(
    ("places", "text"),
    [
        ([cpu()] * 2, "2 ranks on node1: cpu, 2 threads each"),
        ([cpu(threads=1)] * 3, "3 ranks on node1: cpu, 1 thread each"),
        ([cpu(), cpu("node2")], "2 ranks on 2 hosts (node1, node2): cpu, 2 threads each"),
        ([gpu(), gpu(number=1)], "2 ranks on node1: 2 GPUs (H100), 4 threads each"),
        ([gpu()] * 4, "4 ranks on node1: 1 GPU (H100), 4 ranks on each, 4 threads each"),
        ([gpu(), gpu(), gpu(number=1), gpu(number=1)], "4 ranks on node1: 2 GPUs (H100), 2 ranks on each, 4 threads each"),
        ([gpu(), gpu(number=1, model="A100")], "2 ranks on node1: 2 GPUs (A100, H100), 4 threads each"),
        # A launcher may show each rank one GPU alone: all are cuda:0, and two of them all the same.
        ([gpu(uuid="GPU-a"), gpu(uuid="GPU-b")], "2 ranks on node1: 2 GPUs (H100), 4 threads each"),
        ([gpu(), gpu("node2")], "2 ranks on 2 hosts (node1, node2): 1 GPU (H100), 4 threads each"),
        ([cpu(threads=1), cpu(threads=3)], "2 ranks on node1: cpu, 1 to 3 threads each"),
        (
            [gpu(), gpu(number=1), gpu("node2"), cpu("node3", 4)],
            "4 ranks on 3 hosts, 4 threads each; node1: 2 ranks, 2 GPUs (H100); node2: 1 rank, 1 GPU (H100); node3: 1 rank, cpu",
        ),
        ([cpu(), cpu(), cpu("node2")], "3 ranks on 2 hosts (node1, node2): cpu, 2 threads each"),
        (
            [cpu(), cpu(), cpu("node2"), cpu("node3"), gpu("node4", threads=2)],
            "5 ranks on 4 hosts, 2 threads each; node1: 2 ranks, cpu; node2, node3: 1 rank, cpu; node4: 1 rank, 1 GPU (H100)",
        ),
    ],
)
def test_where_the_ranks_compute_in_one_line(places: list[Placement], text: str) -> None:
    assert describe_places(places) == text


def test_many_hosts_are_not_named_one_by_one() -> None:
    text = describe_places([cpu(f"node{k}") for k in range(500)])
    assert text == f"500 ranks on 500 hosts ({', '.join(f'node{k}' for k in range(8))}, …): cpu, 2 threads each"


def test_ranks_share_a_device_where_host_and_hardware_are_the_same() -> None:
    places = [gpu(uuid="a"), gpu(uuid="a", number=1), gpu(uuid="b"), gpu("node2", uuid="a")]
    assert [n_sharing(place, places) for place in places] == [2, 2, 1, 1]
    assert n_sharing(cpu(), [cpu(), cpu(), cpu("node2")]) == 2


def test_ranks_of_a_host_spread_over_its_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [choose_device("auto", executor(local_rank=k)).index for k in range(5)] == [0, 1, 0, 1, 0]
    assert [choose_device("cuda", executor(local_rank=k)).index for k in range(2)] == [0, 1]
    assert choose_device("cuda:1", executor(local_rank=0)) == torch.device("cuda", 1)
    assert choose_device("cpu", executor(local_rank=1)) == torch.device("cpu")
    with pytest.raises(InputError, match="cuda:0 to cuda:1"):
        choose_device("cuda:2", executor())


def test_threads_are_the_cores_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(devices, "usable_cores", lambda: frozenset(range(8)))
    torch.set_num_threads(8)
    assert choose_threads(3, executor(1.0, others=(1,))) == 3  # as asked, whatever there is
    assert choose_threads(None, executor(8.0)) == 8
    assert choose_threads(None, executor(8 / 3)) == 2
    assert choose_threads(None, executor(0.5)) == 1
    assert choose_threads(None, executor(8 * (1 / 3 + 1 / 3 + 1 / 3))) == 8  # rounding makes no 7 of it
    # All ranks take what the poorest has: their values may depend on it in the last digits.
    assert choose_threads(None, executor(8.0, others=(2, 4))) == 2


def test_hardware_threads_are_no_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch takes one thread for two hardware threads of a core: a half of eight is four, of which two ranks get two each."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(devices, "usable_cores", lambda: frozenset(range(8)))
    torch.set_num_threads(4)
    assert choose_threads(None, executor(8.0)) == 4
    assert choose_threads(None, executor(4.0)) == 2


def test_omp_num_threads_is_the_most_that_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(devices, "usable_cores", lambda: frozenset(range(8)))
    torch.set_num_threads(2)  # as torch does at its start
    assert choose_threads(None, executor(8.0)) == 2
    assert choose_threads(None, executor(4.0)) == 2  # it is said per process
    assert choose_threads(None, executor(1.0)) == 1
    assert choose_threads(6, executor(1.0)) == 6


def test_the_place_of_this_process() -> None:
    import socket

    torch.set_num_threads(1)
    assert Placement.of(torch.device("cpu")) == Placement(socket.gethostname(), "cpu", "cpu", "", 1)
