"""Roles: one filter is one output, however a layer stores its weight, and as the user says where nobody knows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from cases import N_EXAMPLES, normal, seeded
from layers import STORED, Conv1D, Experts, pruned, stored
from torch import Tensor, nn

import landscape
from landscape import Problem
from landscape.core.directions import Role, normals, roles
from landscape.errors import InputError

# What makes one output, as index expressions on the weight, by hand.
LAYERS: dict[str, tuple[Callable[[], nn.Module], list[Any]]] = {
    "Linear": (lambda: nn.Linear(4, 3), [0, 1, 2]),
    "Conv1D": (lambda: Conv1D(3, 4), [(slice(None), k) for k in range(3)]),
    "Conv1D, square": (lambda: Conv1D(4, 4), [(slice(None), k) for k in range(4)]),
    "Conv2d": (lambda: nn.Conv2d(4, 2, 3), [0, 1]),
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(4, 2, 3), [(slice(None), k) for k in range(2)]),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(4, 2, 3), [(slice(None), k) for k in range(2)]),
    "ConvTranspose2d grouped": (
        lambda: nn.ConvTranspose2d(4, 6, 3, groups=2),
        [(slice(2 * g, 2 * g + 2), k) for g in range(2) for k in range(3)],
    ),
}


def rows(tensor: Tensor, filters: list[Any]) -> set[frozenset[int]]:
    """The entries of each filter, as numbers of the flat tensor."""
    places = torch.arange(tensor.numel()).reshape(tensor.shape)
    return {frozenset(places[index].flatten().tolist()) for index in filters}


def found(role: Role, tensor: Tensor) -> set[frozenset[int]]:
    return {frozenset(row.tolist()) for row in role.filters(torch.arange(tensor.numel()).reshape(tensor.shape))}


@pytest.mark.parametrize("way", STORED)
@pytest.mark.parametrize("name", LAYERS)
def test_a_part_of_a_weight_is_filtered_as_the_weight(name: str, way: str) -> None:
    make, filters = LAYERS[name]
    plain = seeded(make)
    assert found(roles(plain)["weight"], plain.weight) == rows(plain.weight, filters)
    layer = stored(plain, way)
    parameters, model_roles = dict(layer.named_parameters()), roles(layer)
    for part in STORED[way][1]:
        assert not model_roles[part].bias
        if parameters[part].shape == plain.weight.shape:
            assert found(model_roles[part], parameters[part]) == rows(plain.weight, filters)
        tensor = torch.arange(parameters[part].numel()).reshape(parameters[part].shape)
        assert model_roles[part].from_filter_rows(model_roles[part].filters(tensor), tensor.shape).equal(tensor)


@pytest.mark.parametrize("way", [way for way in STORED if way != "spectral norm, hook"])
def test_parts_of_biases_and_norms_are_biases_and_norms(way: str) -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm((3, 2)))
    STORED[way][0](model[0], "bias") if way == "pruned" or way == "own" else None
    STORED[way][0](model[1])
    model_roles = roles(model)
    assert {name for name, role in model_roles.items() if role.bias} == {n for n in model_roles if "bias" in n}
    assert {name for name, role in model_roles.items() if role.norm} == {n for n in model_roles if n.startswith("1.")}


def test_a_pruned_part_of_a_parametrization_belongs_to_the_layer() -> None:
    layer = stored(seeded(LAYERS["ConvTranspose2d"][0]), "weight norm")
    pruned(layer.parametrizations.weight, "original1")
    parameters = dict(layer.named_parameters())
    name = "parametrizations.weight.original1_orig"
    assert found(roles(layer)[name], parameters[name]) == rows(parameters[name], LAYERS["ConvTranspose2d"][1])


@pytest.mark.parametrize("cell", [lambda: nn.LSTM(3, 4, proj_size=2), lambda: nn.GRU(3, 4), lambda: nn.RNN(3, 4)])
def test_recurrent_layers_have_a_filter_for_each_row(cell: Callable[[], nn.Module]) -> None:
    layer = cell()
    for name, tensor in layer.named_parameters():
        if tensor.dim() == 2:
            assert found(roles(layer)[name], tensor) == rows(tensor, list(range(len(tensor))))


def test_one_dimension_is_one_filter() -> None:
    layer = nn.Linear(3, 4)
    assert found(roles(layer)["bias"], layer.bias) == {frozenset(range(4))}
    model = nn.Module()
    model.scale = nn.Parameter(torch.tensor(2.0))
    assert roles(model)["scale"].filters(model.scale).shape == (1, 1)


# --- as the user says ---


@pytest.mark.parametrize(
    ("axes", "filters"),
    [
        ((0, 2), [(e, slice(None), k) for e in range(2) for k in range(4)]),
        ((0, 1), [(e, k) for e in range(2) for k in range(3)]),
        ((2,), [(..., k) for k in range(4)]),
        ((-1, 0), [(e, slice(None), k) for e in range(2) for k in range(4)]),
        ((), [...]),
    ],
)
def test_stacked_experts_are_filtered_along_the_axes_asked_for(axes: tuple[int, ...], filters: list[Any]) -> None:
    model = nn.ModuleList([seeded(lambda: Experts(2, 3, 4))])
    tensor = model[0].up
    role = roles(model, {"*.up": axes})["0.up"]
    assert found(role, tensor) == rows(tensor, filters)
    assert role.from_filter_rows(role.filters(tensor), tensor.shape).equal(tensor)
    assert not role.by_default


def test_the_first_glob_that_fits_counts_and_a_part_goes_by_its_weights_name() -> None:
    model = nn.Sequential(nn.Linear(2, 2), stored(nn.Linear(2, 2), "weight norm"))
    found = roles(model, {"1.weight": (1,), "?.*": (0, 1)})
    assert found["1.parametrizations.weight.original1"].axes == (1,)
    assert found["0.weight"].axes == (0, 1)
    assert found["0.bias"].axes == ()  # it has no axis 1


def test_wrong_filters_are_refused() -> None:
    model = nn.Linear(2, 2)
    for filters, words in (
        ({"weigth": (0,)}, '"weigth" .* did you mean "weight"'),
        ({"weight": (2,)}, '"weight" has the axes 2 for filters'),
        ({"weight": (0,), "weig*": (1,)}, r'"weig\*"'),  # never its turn
    ):
        with pytest.raises(InputError, match=words):
            roles(model, filters)
    for wrong in ("1", 1.5, (0, "1"), None):
        with pytest.raises(InputError, match=r'"weight" has .*; give an axis such as 1'):
            Problem(model, nn.MSELoss(), {"train": (normal(2, 2), normal(2, 2))}, filters={"weight": wrong})


def test_only_stacks_of_unknown_classes_are_a_guess() -> None:
    model = nn.ModuleList([make() for make, _ in LAYERS.values()])
    model.extend([Experts(2, 3, 4), nn.Bilinear(2, 3, 4), nn.MultiheadAttention(4, 2, add_bias_kv=True), nn.LayerNorm((2, 2, 2))])
    assert [name for name, role in roles(model).items() if role.by_default] == [f"{len(LAYERS)}.up"]


# --- in a run ---


def experts(**options: Any) -> Problem:
    def loss(model: nn.Module, batch: Tensor) -> Tensor:
        return model(batch).square().sum(dim=(1, 2))

    return Problem(seeded(lambda: Experts(2, 3, 4)), loss, {"train": normal(N_EXAMPLES, 3)}, **options)


def run(problem: Problem, to: Path | None = None, **options: Any) -> landscape.Surface:
    return landscape.line(problem, x=(0, 1, 2), to=to, quiet=True, **options)


@pytest.mark.parametrize(
    ("filters", "blocks"),
    [(None, [0, 1]), ({"up": (0, 2)}, [(e, slice(None), k) for e in range(2) for k in range(4)]), ({"*": 1}, [(slice(None), k) for k in range(3)])],
)  # fmt: skip
def test_a_run_normalizes_by_the_filters_asked_for(filters: Any, blocks: list[Any]) -> None:
    problem = experts(filters=filters)
    theta = problem.model.up.detach().double()
    delta = normals(0, "x", "up", theta.shape)
    for block in blocks:
        delta[block] *= theta[block].square().sum().sqrt() / delta[block].square().sum().sqrt()
    inputs = normal(N_EXAMPLES, 3).double()
    expected = torch.einsum("bi,eio->beo", inputs, theta + delta).square().sum(dim=(1, 2)).mean()
    # float32: a few roundings of 6e-8 in each of three sums of some ten terms.
    assert run(problem).values["train_loss"][1] == pytest.approx(float(expected), rel=2e-6)


def test_what_was_asked_or_guessed_is_stored_shown_and_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = run(experts(), tmp_path / "plain.h5")
    asked = run(experts(filters={"up": (0, 2)}), tmp_path / "asked.h5")
    assert (plain.attributes["filters_by_default"], "filters" in plain.attributes) == ("up", False)
    assert (asked.attributes["filters"], "filters_by_default" in asked.attributes) == ("up: 0, 2", False)
    plain.show()
    assert "along the first axis, which is a guess: up" in capsys.readouterr().out
    assert run(experts(filters={"up": (0, 2)}), tmp_path / "asked.h5").runs[-1]["points"] == 0
    with pytest.raises(InputError, match=r"another filters \(up: 0, 2, now up: 0, 1\)"):
        run(experts(filters={"up": (0, 1)}), tmp_path / "asked.h5")
    assert "filters_by_default" not in run(experts(), normalize="layer").attributes
