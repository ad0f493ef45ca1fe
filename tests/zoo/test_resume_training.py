"""A training that was ended early goes on from its last checkpoint and gives the bits of one that was not."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from landscape.errors import InputError
from landscape.zoo.training import train

RESNET: dict[str, Any] = {"name": "digits-resnet8", "epochs": 4, "seed": 7, "settings": {"width": 2}}
LSTM: dict[str, Any] = {
    "name": "text-lstm-1x4",
    "epochs": 3,
    "seed": 7,
    "settings": {"dropout": 0.5, "vocabulary": 20, "streams": 500, "unroll": 50},
}


def load(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


def same(first: Any, second: Any) -> bool:
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    return first == second


def lines(folder: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in found]


def interrupt_at(step: int) -> Any:
    def interrupt(done: int, total: int, text: str) -> None:
        if done == step:
            raise KeyboardInterrupt

    return interrupt


def expect_equal(first: Path, second: Path) -> None:
    names = sorted(path.name for path in first.glob("epoch_*.pt"))
    assert names == sorted(path.name for path in second.glob("epoch_*.pt"))
    for name in names:
        assert same(load(first / name), load(second / name)), name  # weights, optimizer, generator, everything
    assert lines(first) == lines(second)
    results = [json.loads((folder / "result.json").read_text()) for folder in (first, second)]
    assert all(result.pop("seconds") > 0 for result in results)
    assert results[0] == results[1]


@pytest.mark.parametrize("how", [pytest.param(RESNET, marks=pytest.mark.slow), LSTM], ids=["shuffled", "streams"])
def test_a_killed_training_goes_on(tmp_path: Path, how: dict[str, Any]) -> None:
    """SIGKILL in the middle of the third epoch, from inside, so that it is the same step on every machine."""
    train(out=tmp_path / "whole", **how)
    code = f"""
import os, signal, torch
from landscape.zoo.training import train
torch.set_num_threads(1)
def kill(done, total, text):
    if done == total * 5 // 8 and {how["epochs"]} == 4 or done == total * 5 // 6 and {how["epochs"]} == 3:
        os.kill(os.getpid(), signal.SIGKILL)
train(out={str(tmp_path / "killed")!r}, progress=kill, **{how!r})
"""
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert sorted(os.listdir(tmp_path / "killed")) == [*(f"epoch_00{epoch}.pt" for epoch in range(3)), "history.jsonl"]
    said: list[str] = []
    train(out=tmp_path / "killed", progress=lambda done, total, text: said.append(f"{done} {text}"), **how)
    assert "resumed after epoch 2" in said[0]
    assert int(said[0].split()[0]) == int(said[-1].split()[0]) * 2 // how["epochs"] + 1  # only what was left was computed
    expect_equal(tmp_path / "whole", tmp_path / "killed")


def test_augmentation_goes_on_too(tmp_path: Path) -> None:
    import numpy as np

    for split in ("train", "test"):
        np.save(tmp_path / f"{split}_images.npy", np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8))
        np.save(tmp_path / f"{split}_labels.npy", np.arange(20) % 10)
    how: dict[str, Any] = {
        "name": "resnet8", "epochs": 3, "data_dir": tmp_path, "settings": {"width": 2, "batch_size": 8, "optimizer": "adamw"}
    }  # fmt: skip
    train(out=tmp_path / "whole", **how)
    with pytest.raises(KeyboardInterrupt):
        train(out=tmp_path / "parts", progress=interrupt_at(5), **how)
    train(out=tmp_path / "parts", **how)
    expect_equal(tmp_path / "whole", tmp_path / "parts")


def test_before_the_first_epoch_ends_it_begins_anew_with_the_same_weights(tmp_path: Path) -> None:
    train(out=tmp_path / "whole", **RESNET)
    with pytest.raises(KeyboardInterrupt):
        train(out=tmp_path / "parts", progress=interrupt_at(3), **RESNET)
    train(out=tmp_path / "parts", **RESNET)
    expect_equal(tmp_path / "whole", tmp_path / "parts")


def unfinished(folder: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(out=folder, progress=interrupt_at(30), **RESNET)  # in the third epoch of 11 steps each
    assert (folder / "epoch_002.pt").exists()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"seed": 8}, "another seed (7, now 8)"),
        ({"epochs": 5}, "another recipe (epochs 4, now epochs 5)"),
        ({"settings": {"width": 3}}, "another problem (digits-resnet8 width=2, now digits-resnet8 width=3)"),
        ({"settings": {"width": 2, "learning_rate": 0.2}}, "another recipe (learning_rate 0.1, now learning_rate 0.2)"),
    ],
)
def test_a_training_of_another_kind_is_not_gone_on_with(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    unfinished(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(InputError) as caught:
        train(out=tmp_path, **{**RESNET, **changes})
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert train(out=tmp_path, overwrite=True, **{**RESNET, "epochs": 1}).epochs == 1
    assert sorted(os.listdir(tmp_path)) == ["epoch_000.pt", "epoch_001.pt", "history.jsonl", "result.json"]


def test_settings_are_the_same_as_text_and_as_numbers(tmp_path: Path) -> None:
    unfinished(tmp_path)
    said: list[str] = []
    train(out=tmp_path, progress=lambda done, total, text: said.append(text), **{**RESNET, "settings": {"width": "2"}})
    assert "resumed after epoch 2" in said[0]


@pytest.mark.parametrize("damage", ["truncated", "emptied", "no optimizer", "renamed", "all"])
def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, damage: str) -> None:
    train(out=tmp_path / "whole", **RESNET)
    folder = tmp_path / "parts"
    unfinished(folder)
    path = folder / "epoch_002.pt"
    if damage in ("truncated", "all"):
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == "emptied":
        path.write_bytes(b"")
    elif damage == "no optimizer":
        made = load(path)
        del made["optimizer"]
        torch.save(made, path)
    else:
        (folder / "epoch_001.pt").replace(path)
    if damage == "all":
        for epoch in (0, 1):
            (folder / f"epoch_00{epoch}.pt").write_bytes(b"no checkpoint")
    train(out=folder, **RESNET)
    for name in ("epoch_003.pt", "epoch_004.pt"):
        assert same(load(folder / name), load(tmp_path / "whole" / name))
    assert lines(folder) == lines(tmp_path / "whole")


def test_fewer_checkpoints_and_the_first_steps(tmp_path: Path) -> None:
    train(out=tmp_path / "all", steps=3, **RESNET)
    train(out=tmp_path / "some", every=3, **RESNET)
    steps = [path.name for path in sorted((tmp_path / "all").glob("step_*.pt"))]
    assert steps == ["step_0001.pt", "step_0002.pt", "step_0003.pt"]
    assert [path.name for path in sorted((tmp_path / "some").glob("*.pt"))] == ["epoch_000.pt", "epoch_003.pt", "epoch_004.pt"]
    for name in ("epoch_003.pt", "epoch_004.pt"):  # what is kept changes nothing
        assert same(load(tmp_path / "all" / name), load(tmp_path / "some" / name))
    weights = [load(tmp_path / "all" / name)["state_dict"]["conv1.weight"] for name in ("epoch_000.pt", *steps, "epoch_001.pt")]
    assert all(not torch.equal(first, second) for first, second in itertools.pairwise(weights))
    assert [load(tmp_path / "all" / name)["step"] for name in steps] == [1, 2, 3]
    assert load(tmp_path / "all" / "epoch_001.pt")["step"] == 11


def test_the_first_step_is_the_recipes(tmp_path: Path) -> None:
    """Against one step of torch's own SGD on the batch the seed draws."""
    from landscape.zoo.problems import blueprint

    train(out=tmp_path, steps=1, **{**RESNET, "name": "digits-mlp-1x8", "settings": {}})
    problem = blueprint("digits-mlp-1x8").build(seed=7)
    images, labels = problem.examples("train").tensors
    chosen = torch.randperm(len(labels), generator=torch.Generator().manual_seed(7))[:128]
    optimizer = torch.optim.SGD(problem.model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    torch.nn.functional.cross_entropy(problem.model(images[chosen]), labels[chosen]).backward()
    optimizer.step()
    for name, tensor in problem.model.state_dict().items():
        # the gradient's norm is below the largest allowed; the sums of 128 float32 terms may be taken in another order
        torch.testing.assert_close(load(tmp_path / "step_0001.pt")["state_dict"][name], tensor, rtol=1e-5, atol=1e-7)
