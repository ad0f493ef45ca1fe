"""Rules of the user's own: a function that normalizes, a predicate that selects; on a direction and through a whole surface."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import images, perceptron, regression
from torch import Tensor, nn

import landscape
from landscape.core import weights
from landscape.core.directions import normals, random_direction, roles, select_parameters
from landscape.errors import InputError, UserCodeError
from landscape.sweep.base import described_choice

QUIET: dict[str, Any] = {"quiet": True, "threads": 1, "device": "cpu"}


def by_filter(filters: Tensor, own: Tensor) -> Tensor:
    """Li et al. 2018, sec. 4, once more."""
    return filters / filters.norm(dim=1, keepdim=True) * own.norm(dim=1, keepdim=True)


def signs(filters: Tensor, own: Tensor) -> Tensor:
    """±θ, the sign by the normal number."""
    return filters.sign() * own


def signs_in_place(filters: Tensor, own: Tensor) -> Tensor:
    return own.mul_(filters.sign_())


def other(filters: Tensor, own: Tensor) -> Tensor:
    return filters


def drawn(model: nn.Module, normalize: Any, pruned: Any = None) -> dict[str, Tensor]:
    held, found = weights.read(model), roles(model)
    names = select_parameters(held, found, ())
    return random_direction(held, found, names, 3, "x", normalize, pruned).parameters


@pytest.mark.parametrize("make", [images, perceptron])
def test_the_papers_rule_as_a_function_is_the_papers_rule(make: Callable[[], landscape.Problem]) -> None:
    ours, theirs = drawn(make().model, by_filter), drawn(make().model, "filter")
    assert ours.keys() == theirs.keys()
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-6, atol=0)


@pytest.mark.parametrize("function", [signs, signs_in_place])
def test_a_function_sees_filters_as_rows_and_changes_no_weight(function: Callable[[Tensor, Tensor], Tensor]) -> None:
    model, layer = nn.ConvTranspose2d(4, 6, 3, groups=2).double(), nn.Linear(3, 2)
    before = weights.digest(weights.read(model))
    shapes: list[tuple[int, ...]] = []

    def watched(filters: Tensor, own: Tensor) -> Tensor:
        shapes.append(tuple(own.shape))
        assert filters.dtype == own.dtype == torch.float64
        return function(filters, own)

    part = drawn(model, watched)["weight"]
    assert torch.equal(part, normals(3, "x", "weight", part.shape).sign() * model.weight.detach())
    assert shapes == [(6, 2 * 9), (1, 6)]
    assert weights.digest(weights.read(model)) == before
    assert drawn(layer, watched)["weight"].dtype == torch.float32


def test_pruned_entries_stay_whatever_a_function_returns() -> None:
    held = {"weight": torch.tensor([[True, False], [False, True]])}
    part = drawn(nn.Linear(2, 2), lambda filters, own: torch.ones_like(own), held)["weight"]
    assert part.tolist() == [[0.0, 1.0], [1.0, 0.0]]


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda filters, own: filters[0], InputError, r"returned a tensor of shape \(2,\) for weight"),
        (lambda filters, own: 1.0, InputError, "returned a float for weight"),
        (lambda filters, own: filters / 0, InputError, "not finite"),
        (lambda filters, own: 0 * own, InputError, "zero in every parameter"),
        (lambda filters, own: undefined, UserCodeError, "raised NameError"),  # type: ignore[name-defined]  # noqa: F821
    ],
)
def test_a_function_that_cannot_be_used_is_refused(function: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        drawn(nn.Linear(2, 2), function)


def test_a_surface_along_a_rule_of_ones_own_is_the_closed_form() -> None:
    problem = regression()
    inputs, targets = (tensor.numpy() for tensor in problem.data["train"])
    surface = landscape.surface(problem, seed=4, x=(-1, 1, 5), y=(-2, 1, 3), normalize=signs, ignore="none", **QUIET)
    own = {name: tensor.numpy() for name, tensor in weights.read(problem.model).items()}
    delta, eta = ({n: np.sign(normals(4, axis, n, t.shape).numpy()) * t for n, t in own.items()} for axis in "xy")
    for i, a in enumerate(np.linspace(-1, 1, 5)):
        for j, b in enumerate(np.linspace(-2, 1, 3)):
            moved = {name: own[name] + a * delta[name] + b * eta[name] for name in own}
            loss = np.mean((inputs @ moved["weight"].T + moved["bias"] - targets) ** 2)
            assert surface.values["train_loss"][i, j] == pytest.approx(loss, rel=1e-12)
    assert surface.axes[0].attributes["normalize"] == f"{__name__}.signs"
    assert "cosine_sd" not in surface.attributes


def test_a_file_knows_the_function_by_its_name(tmp_path: Path) -> None:
    to, x = tmp_path / "s.h5", (-1, 1, 3)
    landscape.line(images(), x=x, normalize=signs, to=to, **QUIET)
    again = landscape.line(images(), x=x, normalize=signs, to=to, **QUIET)
    assert again.runs[-1]["points"] == 0
    assert landscape.read(to).axes[0].attributes["normalize"] == f"{__name__}.signs"
    with pytest.raises(InputError, match=r"another normalize of direction x \(.*\.signs, now .*\.other\)"):
        landscape.line(images(), x=x, normalize=other, to=to, **QUIET)


# --- a predicate ---


def test_a_predicate_sees_each_parameter_and_chooses() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))
    model[1].weight.requires_grad_(False)
    held, seen = weights.read(model), {}

    def frozen(name: str, parameter: nn.Parameter) -> bool:
        assert torch.equal(parameter, held[name])
        seen[name] = parameter.requires_grad
        return not parameter.requires_grad

    assert select_parameters(held, roles(model), (), frozen) == ["1.weight"]
    assert seen == {"0.weight": True, "0.bias": True, "1.weight": False, "1.bias": True}
    with pytest.raises(InputError, match="the predicate only= chooses none"):
        select_parameters(held, roles(model), (), lambda name, parameter: False)
    with pytest.raises(UserCodeError, match="predicate only= raised ZeroDivisionError"):
        select_parameters(held, roles(model), (), lambda name, parameter: 1 // 0)


def test_a_surface_of_the_parameters_a_predicate_chose(tmp_path: Path) -> None:
    to, x = tmp_path / "s.h5", (-1, 1, 3)

    def convolutions(name: str, parameter: nn.Parameter) -> bool:
        return parameter.dim() == 4

    surface = landscape.surface(images(), x=x, y=x, only=convolutions, to=to, **QUIET)
    assert surface.attributes["only"] == landscape.read(to).attributes["only"] == "conv.weight, mix.weight"
    globbed = landscape.surface(images(), x=x, y=x, only="[cm]*.weight", **QUIET)
    assert np.array_equal(surface.values["train_loss"], globbed.values["train_loss"])
    assert landscape.surface(images(), x=x, y=x, only=convolutions, to=to, **QUIET).runs[-1]["points"] == 0
    with pytest.raises(InputError, match="another only"):
        landscape.surface(images(), x=x, y=x, only=lambda name, parameter: name == "conv.weight", to=to, **QUIET)


def test_thousands_of_names_fit_a_file_and_differ_by_a_digest() -> None:
    names = [f"layers.{i}.weight" for i in range(5000)]
    first, second = (described_choice((), lambda *_: True, chosen)["only"] for chosen in (names, [*names[:-1], "another"]))
    assert first != second
    assert len(first) < 60_000
