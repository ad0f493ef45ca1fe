"""Options: what they resolve to on this machine, and which are refused."""

from __future__ import annotations

import os
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from landscape.errors import InputError
from landscape.parallel import SerialExecutor, usable_cores
from landscape.sweep.devices import choose_device, choose_threads
from landscape.sweep.options import Options, seconds_of


def executor(local_rank: int = 0, n_local_ranks: int = 1) -> Any:
    cores = len(usable_cores()) / n_local_ranks
    return SimpleNamespace(local_rank=local_rank, cores=lambda: cores, gather=lambda value: [value])


def test_options_are_those_documented() -> None:
    for field in fields(Options):
        assert f"        {field.name}: " in (Options.__doc__ or "")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"batchsize": 3}, 'did you mean "batch_size"'),
        ({"bn": "freeze"}, 'did you mean "frozen"'),
        ({"precision": "float32"}, "one of: fp32"),
        ({"batch_size": 0}, "at least 1"),
        ({"threads": 0}, "--threads must be 1 to 4096, not 0"),
    ],
)
def test_wrong_options_are_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Options.of(given)


def test_splits() -> None:
    assert Options().splits(["val", "train"]) == ["train"]
    assert Options().splits(["val", "test"]) == ["val"]
    assert Options(split="train,test").splits(["train", "test"]) == ["train", "test"]
    assert Options(split=["test"]).splits(["train", "test"]) == ["test"]


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [(None, None), (0, 0), (1.5, 1.5), ("90", 90), ("55m", 3300), ("1h30m", 5400), ("2d", 172800), (" 1.5H ", 5400)],
)
def test_time_limits(limit: Any, seconds: float | None) -> None:
    assert seconds_of(limit) == seconds


@pytest.mark.parametrize("limit", ["soon", "", "m", "5 m", "-3", "1h-5m", "nan", "inf"])
def test_wrong_time_limits_are_refused(limit: str) -> None:
    with pytest.raises(InputError, match="neither seconds nor like"):
        seconds_of(limit)


def test_threads_are_shared_out() -> None:
    torch.set_num_threads(8)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    assert choose_threads(None, SerialExecutor()) == min(8, cores)
    assert choose_threads(None, executor(1, 2)) == max(1, min(8, cores) // 2)
    assert choose_threads(None, executor(0, 100)) == 1
    assert choose_threads(3, executor(0, 100)) == 3


def test_devices_by_local_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [choose_device("auto", executor(rank)).index for rank in range(4)] == [0, 1, 0, 1]
    assert choose_device("cuda:1", executor(0)) == torch.device("cuda", 1)
    assert choose_device("cpu", executor(0)) == torch.device("cpu")
    with pytest.raises(InputError, match="cuda:0 to cuda:1"):
        choose_device("cuda:2", executor(0))


def test_devices_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto", executor()) == torch.device("cpu")
    with pytest.raises(InputError, match="sees no CUDA device here; use --device cpu"):
        choose_device("cuda", executor())
    for wanted in ("gpu", "cuda:x", "cpu:1", "tpu", ""):
        with pytest.raises(InputError, match="unknown device"):
            choose_device(wanted, executor())
