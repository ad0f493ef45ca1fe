"""Weights of other kinds than the model's, weights that are no numbers, and those that never move."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import N_EXAMPLES, Images, images, normal, seeded
from layers import STORED, stored
from torch import Tensor, nn
from torch.nn.functional import mse_loss

import landscape
from landscape import Problem
from landscape.checkpoints import weights_of
from landscape.core import weights
from landscape.core.directions import between, from_arrays
from landscape.errors import InputError

State = dict[str, Tensor]


def linear(dtype: torch.dtype = torch.float32) -> nn.Module:
    return seeded(lambda: nn.Linear(3, 2)).to(dtype)


def problem(model: nn.Module | None = None) -> Problem:
    data = {"train": (normal(N_EXAMPLES, 3), normal(N_EXAMPLES, 2, seed=1))}
    return Problem(linear() if model is None else model, nn.MSELoss(), data)


# --- of another kind ---


@pytest.mark.parametrize(
    ("dtype", "words"),
    [
        (torch.int64, "weight holds int64 where the model has float32"),
        (torch.uint8, "weight holds uint8 where the model has float32"),
        (torch.bool, "weight holds bool where the model has float32"),
        (torch.complex64, "weight holds complex64 where the model has float32"),
    ],
)
def test_weights_of_another_kind_are_not_cast(tmp_path: Path, dtype: torch.dtype, words: str) -> None:
    state = {**linear().state_dict(), "weight": torch.ones(2, 3).to(dtype)}
    torch.save(state, tmp_path / "a.pt")
    for checkpoint, place in ((tmp_path / "a.pt", str(tmp_path / "a.pt")), (state, "the state dict")):
        with pytest.raises(InputError, match=words) as raised:
            weights_of(checkpoint, linear())
        assert str(raised.value).startswith(f"{place}: ")


def test_real_weights_are_no_complex_ones() -> None:
    model = nn.Module()
    model.w = nn.Parameter(torch.zeros(2, dtype=torch.complex64))
    with pytest.raises(InputError, match="w holds float32 where the model has complex64"):
        weights_of({"w": torch.zeros(2)}, model)
    assert weights_of({"w": torch.zeros(2, dtype=torch.complex128)}, model)["w"].dtype == torch.complex64


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_another_width_of_real_numbers_is_cast(dtype: torch.dtype) -> None:
    found = weights_of({name: tensor.to(dtype) for name, tensor in linear().state_dict().items()}, linear())
    assert found["weight"].dtype == torch.float32
    assert found["weight"].equal(linear().weight.to(dtype).float())


class Table(nn.Module):
    """A layer that looks up which of its inputs count: whole numbers, truth values, and a parameter of whole numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.chosen = nn.Parameter(torch.tensor([0, 2, 1]), requires_grad=False)
        self.register_buffer("order", torch.tensor([2, 0, 1]))
        self.register_buffer("keep", torch.tensor([True, False, True]))

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.layer(inputs[:, self.order][:, self.chosen] * self.keep)
        return outputs


def test_whole_numbers_and_truth_values_are_cast_where_nothing_is_lost() -> None:
    model = seeded(Table)
    state = {**model.state_dict(), "order": torch.tensor([1.0, 2.0, 0.0]), "chosen": torch.tensor([1, 0, 2], dtype=torch.int32)}
    found = weights_of({**state, "keep": torch.tensor([0, 1, 1])}, model)
    assert (found["order"].tolist(), found["chosen"].tolist()) == ([1, 2, 0], [1, 0, 2])
    assert found["keep"].tolist() == [False, True, True]
    for name, wrong in (("order", torch.tensor([0.5, 1, 2])), ("keep", torch.tensor([0, 1, 2]))):
        with pytest.raises(InputError, match=f"{name} holds .* where the model has"):
            weights_of({**state, name: wrong}, model)


def test_averaged_checkpoints_have_fractions_where_batches_are_counted() -> None:
    states = [seeded(Images, seed).state_dict() for seed in (0, 1)]
    states[1]["bn.num_batches_tracked"] += 1
    mean = {name: (states[0][name] + states[1][name]) / 2 for name in states[0]}
    assert weights_of(mean, seeded(Images))["conv.weight"].equal(mean["conv.weight"])


def test_whole_numbers_and_truth_values_never_move() -> None:
    model, end = seeded(Table), seeded(Table, 1)
    given = problem(model)
    inputs, targets = given.data["train"]
    plane = landscape.surface(given, x=(0, 1, 2), y=(0, 1, 2), ignore="none", quiet=True)
    assert plane.checks["passed"] == 1
    found = landscape.line(given, None, end, x=(0, 1, 3), quiet=True).values["train_loss"]
    for a, value in zip((0, 0.5, 1), found, strict=True):
        twin = seeded(Table)
        twin.layer.load_state_dict({n: (1 - a) * t + a * end.layer.state_dict()[n] for n, t in model.layer.state_dict().items()})
        assert value == pytest.approx(mse_loss(twin(inputs), targets).item(), rel=2e-6)
    with pytest.raises(InputError, match='"chosen" names none left to move'):
        landscape.line(given, only="chosen", quiet=True)


def test_one_tensor_under_two_names_is_refused() -> None:
    state = linear().state_dict()
    for name in ("module.weight", "_orig_mod.weight", "_orig_mod.module.weight"):
        with pytest.raises(InputError, match=f"holds both weight and {name}"):
            weights_of({**state, name: state["weight"] + 1}, linear())


# --- no numbers ---


def broken(state: State, name: str, value: float, n: int = 3) -> State:
    state = {key: tensor.clone() for key, tensor in state.items()}
    state[name].view(-1)[:n] = value
    return state


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("way", ["random", "line", "several", "plane", "start"])
def test_weights_that_are_no_numbers_are_named_with_their_file(tmp_path: Path, value: float, way: str) -> None:
    good, bad = linear().state_dict(), broken(linear().state_dict(), "weight", value)
    torch.save(bad, tmp_path / "bad.pt")
    other = seeded(lambda: nn.Linear(3, 2), 5)
    runs: dict[str, Callable[[], Any]] = {
        "random": lambda: landscape.surface(problem(), tmp_path / "bad.pt", quiet=True),
        "several": lambda: landscape.line(problem(), tmp_path / "bad.pt", seeds=[1, 2], normalize="none", quiet=True),
        "line": lambda: landscape.line(problem(), good, tmp_path / "bad.pt", quiet=True),
        "plane": lambda: landscape.surface(problem(), good, other, tmp_path / "bad.pt", quiet=True),
        "start": lambda: landscape.line(problem(), tmp_path / "bad.pt", good, quiet=True),
    }
    with pytest.raises(InputError, match=r"^bad\.pt: weight holds 3 values that are not finite"):
        runs[way]()


def test_complex_and_effective_weights_that_are_no_numbers() -> None:
    model = nn.Module()
    model.w = nn.Parameter(torch.tensor([[1.0 + 0j, complex(0, math.nan)]]))
    given = Problem(model, lambda m, x: x @ m.w.real.T, {"train": normal(4, 2)})
    with pytest.raises(InputError, match=r"^model: w holds 1 value that is not finite"):
        landscape.line(given, quiet=True)
    for way in STORED:
        layer = stored(linear(), way)
        layer.get_parameter(STORED[way][1][-1]).data[0] = math.nan
        with pytest.raises(InputError, match=r"^model: weight holds [36] values that are not finite"):
            landscape.line(problem(layer), quiet=True)


def test_what_does_not_move_may_be_no_number() -> None:
    """A frozen offset of minus infinity masks a class; the loss is finite all the same."""
    model = nn.Module()
    model.layer = nn.Linear(3, 2)
    model.offset = nn.Parameter(torch.tensor([-math.inf, 0.0]), requires_grad=False)
    given = Problem(model, lambda m, x: (m.layer(x) + m.offset).softmax(dim=1)[:, 0] + m.layer(x)[:, 1], {"train": normal(4, 3)})
    assert landscape.line(given, x=(0, 1, 2), quiet=True).checks["passed"] == 1


def test_running_statistics_that_are_no_numbers() -> None:
    given, end = images(), seeded(Images, 1)
    with torch.no_grad():
        end.bn.running_mean[1:] = math.nan
    with pytest.raises(InputError, match=r"^end: bn\.running_mean holds 3 values that are not finite"):
        landscape.line(given, None, end, quiet=True)


class Masked(nn.Module):
    """Attention's mask of minus infinity, a buffer of floating-point numbers, and statistics of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.register_buffer("mask", torch.full((3,), 0.0).index_fill(0, torch.tensor([1]), -math.inf))
        self.register_buffer("shift", torch.randn(3))

    def forward(self, inputs: Tensor) -> Tensor:
        weights = (self.layer(inputs + self.shift) + self.mask).softmax(dim=1)
        return weights[:, [0, 2]]


def test_a_mask_of_minus_infinity_goes_along_a_line() -> None:
    model, end = seeded(Masked), seeded(Masked, 1)
    given = problem(model)
    inputs, targets = given.data["train"]
    found = landscape.line(given, None, end, x=(-0.5, 1, 4), quiet=True)
    assert found.checks["passed"] == 1
    for a, value in zip((-0.5, 0, 0.5, 1), found.values["train_loss"], strict=True):
        twin = seeded(Masked)
        state = {n: t if n == "mask" else (1 - a) * t + a * end.state_dict()[n] for n, t in model.state_dict().items()}
        twin.load_state_dict(state)
        assert value == pytest.approx(mse_loss(twin(inputs), targets).item(), rel=3e-6)


def test_directions_that_are_no_numbers() -> None:
    model = linear()
    read = weights.read(model)
    with pytest.raises(InputError, match=r"d: weight holds 6 values that are not finite"):
        from_arrays({"weight": np.full((2, 3), np.nan)}, read, model, "d")
    huge = {name: torch.full_like(tensor.double(), 1e200) for name, tensor in read.items()}
    with pytest.raises(InputError, match="too long to be measured"):
        between({name: tensor.double() for name, tensor in read.items()}, huge, model, list(read))
