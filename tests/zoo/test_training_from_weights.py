"""A training that begins with given weights instead of drawn ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from landscape.errors import InputError
from landscape.zoo.problems import blueprint, problem
from landscape.zoo.training import train

NAME = "digits-mlp-1x8"


def load(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)["state_dict"]


def test_it_begins_with_them_and_goes_as_from_drawn_ones(tmp_path: Path) -> None:
    """From the weights that a seed draws, given as a file, the training is that seed's, bit for bit."""
    usual = train(NAME, tmp_path / "usual", epochs=2, seed=3)
    given = train(NAME, tmp_path / "given", epochs=2, seed=3, start=usual.start)
    assert all(torch.equal(tensor, load(usual.end)[name]) for name, tensor in load(given.end).items())
    other = blueprint(NAME).build(seed=4).model
    moved = train(NAME, tmp_path / "other", epochs=1, seed=3, start=other)
    assert all(torch.equal(tensor, load(moved.start)[name]) for name, tensor in other.state_dict().items())
    assert not torch.equal(load(moved.start)["1.weight"], load(usual.start)["1.weight"])


def test_running_statistics_come_along(tmp_path: Path) -> None:
    trained = train("digits-vgg9", tmp_path / "first", epochs=1, settings={"width": 2})
    again = train("digits-vgg9", tmp_path / "second", epochs=1, settings={"width": 2}, start=trained.end)
    begun, ended = load(again.start), load(trained.end)
    names = [name for name in begun if not name.endswith("num_batches_tracked")]
    assert any(name.endswith("running_var") for name in names)
    assert all(torch.equal(begun[name], ended[name]) for name in names)


def interrupt(done: int, total: int, text: str) -> None:
    if done == total * 5 // 6:
        raise KeyboardInterrupt


def test_it_is_gone_on_with_from_the_same_weights_alone(tmp_path: Path) -> None:
    start, other = (blueprint(NAME).build(seed=seed).model for seed in (8, 9))
    whole = train(NAME, tmp_path / "whole", epochs=3, start=start)
    with pytest.raises(KeyboardInterrupt):
        train(NAME, tmp_path / "parts", epochs=3, start=start, progress=interrupt)
    for wrong in (None, other):
        with pytest.raises(InputError, match="holds an unfinished training with another start"):
            train(NAME, tmp_path / "parts", epochs=3, start=wrong)
    said: list[str] = []
    parts = train(NAME, tmp_path / "parts", epochs=3, start=start, progress=lambda done, total, text: said.append(text))
    assert "resumed after epoch 2" in said[0]
    assert all(torch.equal(tensor, load(whole.end)[name]) for name, tensor in load(parts.end).items())


def test_weights_of_another_net_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has shape"):
        train(NAME, tmp_path / "new", start=problem("digits-mlp-1x9").model)
    assert not (tmp_path / "new").exists()
