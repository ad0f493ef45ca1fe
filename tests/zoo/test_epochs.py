"""Passes through the training examples, and the precision they are computed in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from landscape.errors import InputError
from landscape.zoo.epochs import EpochIterator
from landscape.zoo.precision import choose_precision
from landscape.zoo.problems import blueprint
from landscape.zoo.training import train


@pytest.mark.parametrize("name", ["text-lstm-1x4", "text-gpt-1x8"])
def test_at_rate_zero_a_pass_has_the_loss_of_the_whole_text(tmp_path: Path, name: str) -> None:
    """Only with the state carried from piece to piece, and each piece weighted by its tokens: the last one is shorter."""
    settings = {"vocabulary": 20, "learning_rate": 0, "weight_decay": 0, "scale": 1.0, "streams": 500, "unroll": 37}
    if "gpt" in name:
        settings = {"vocabulary": 20, "learning_rate": 0, "weight_decay": 0, "batch_size": 100}
    result = train(name, tmp_path, epochs=1, settings=settings)
    line = json.loads(result.history.read_text())
    assert line["train_loss"] == pytest.approx(result.train_loss, rel=1e-6)  # float32 losses of 1e5 tokens, sums in float64
    assert line["valid_loss"] == result.metrics["valid_loss"]


def passes(name: str, **settings: object) -> EpochIterator:
    plan = blueprint(name, settings)
    problem = plan.build()
    return EpochIterator(problem.model, problem.loss, problem.examples("train"), plan.recipe, torch.Generator(), plan.augment)


@pytest.mark.parametrize(
    ("name", "settings"), [("moons-softmax", {"batch_size": 64}), ("text-lstm-1x4", {"unroll": 30, "streams": 500})]
)
def test_a_pass_has_as_many_steps_as_it_says(name: str, settings: dict[str, object]) -> None:
    one = passes(name, **settings)
    steps = list(one())
    assert len(steps) == one.n_steps
    inputs = one.examples.tensors[0]
    assert sum(weight for _, weight in steps) == (inputs.numel() if "text" in name else len(inputs))


def test_gradients_end_with_the_piece() -> None:
    """Truncated backpropagation: the second piece's loss knows nothing of how the first one's state came about."""
    one = passes("text-lstm-1x4", unroll=30, streams=500)
    model = one.model.train()
    steps = iter(one())
    next(steps)[0].backward()
    model.zero_grad()
    next(steps)[0].backward()  # a graph that reached back would have been freed, and raise
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_a_loss_in_bfloat16_keeps_its_digits() -> None:
    plan = blueprint("resnet8", {"width": 2})
    model, loss = plan.make_model().train(), plan.make_loss()
    batch = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8), torch.arange(8)
    seen = []
    model.linear.register_forward_hook(lambda module, inputs, outputs: seen.append(outputs.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        found = loss(model, batch)["loss"]
    found.mean().backward()
    assert seen == [torch.bfloat16]
    assert found.dtype == torch.float32
    assert all(p.dtype == torch.float32 and p.grad is not None for p in model.parameters())


@pytest.mark.parametrize(
    ("name", "device", "able", "safe", "expected"),
    [
        ("auto", "cuda", True, True, "bf16"),
        ("auto", "cuda", True, False, "fp32"),
        ("auto", "cuda", False, True, "fp32"),
        ("auto", "cpu", True, True, "fp32"),
        ("fp32", "cuda", True, True, "fp32"),
        ("bf16", "cuda", True, False, "bf16"),
    ],
)
def test_where_bfloat16_is_taken(
    monkeypatch: pytest.MonkeyPatch, name: str, device: str, able: bool, safe: bool, expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: able)
    assert choose_precision(name, torch.device(device), safe) == expected
    with pytest.raises(InputError, match="bf16 needs a CUDA device"):
        choose_precision("bf16", torch.device("cpu"), safe)


def test_small_and_recurrent_networks_stay_in_fp32() -> None:
    large = {name: blueprint(name).large and not blueprint(name).recipe.unroll for name in ("resnet20", "ptb-lstm-2x200")}
    assert large == {"resnet20": True, "ptb-lstm-2x200": False}
    assert not blueprint("digits-resnet8").large


def test_dropout_is_on_in_training_and_off_in_figures(tmp_path: Path) -> None:
    result = train("text-gpt-1x8", tmp_path, epochs=1, settings={"vocabulary": 20, "dropout": 0.9, "batch_size": 200})
    found = blueprint("text-gpt-1x8", {"vocabulary": 20, "dropout": 0.9}).build()
    assert any(isinstance(module, nn.Dropout) and module.p == 0.9 for module in found.model.modules())
    found.model.load_state_dict(torch.load(result.end, weights_only=True)["state_dict"])
    with torch.no_grad():
        sums, weights = found.loss(found.model.eval(), found.examples("test").tensors, found.examples("test").size)["loss"]
    assert result.test_loss == pytest.approx(float(sums.sum() / weights.sum()), rel=1e-6)  # float32, other batches
