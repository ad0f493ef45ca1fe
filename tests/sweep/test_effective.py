"""Random directions move effective weights: equal functions have equal surfaces; what is pruned stays; stored weights elsewhere."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import N_EXAMPLES, integers, normal, seeded
from layers import STORED, old_weight_norm, pruned, stored
from torch import Tensor, nn
from torch.ao.pruning.sparsifier.utils import FakeSparsity
from torch.nn.functional import cross_entropy
from torch.nn.utils import parametrizations, parametrize, prune

import landscape
from landscape import Problem
from landscape.core import weights
from landscape.core.directions import normals, roles
from landscape.errors import InputError
from landscape.sweep.options import Options
from landscape.sweep.plan import plan_line

QUIET: dict[str, Any] = {"quiet": True, "x": (-1, 1, 5), "y": (-1, 1, 5)}
WAYS = [way for way in STORED if way != "pruned"]


def plain() -> nn.Sequential:
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))
    with torch.no_grad():
        model[0].weight *= torch.linspace(0.2, 3, 6)[:, None]  # filters of different lengths
    return model


def reparametrized(way: str) -> tuple[nn.Module, nn.Module]:
    """A perceptron whose layers store their weights in another way, and one with the same function and plain weights."""
    model = seeded(lambda: nn.Sequential(*(stored(m, way) if isinstance(m, nn.Linear) else m for m in plain()))).eval()
    twin = plain()
    with torch.no_grad():
        for k in (0, 2):
            model[k](normal(1, model[k].in_features))  # hooks compute the weight when they are called
            twin[k].weight.copy_(model[k].weight)
            twin[k].bias.copy_(model[k].bias)
    return model, twin


def problem(model: nn.Module) -> Problem:
    data = {"train": (normal(N_EXAMPLES, 4), integers(3, N_EXAMPLES))}
    return Problem(model, nn.CrossEntropyLoss(), data, name="perceptron")


@pytest.mark.parametrize("way", WAYS)
def test_equal_functions_have_equal_surfaces(way: str) -> None:
    model, twin = reparametrized(way)
    found, expected = (landscape.surface(problem(m), seed=2, **QUIET) for m in (model, twin))
    # The effective weights are equal to the last bit, so that only the order of float32 sums may differ.
    assert found.values["train_loss"] == pytest.approx(expected.values["train_loss"], rel=1e-5)
    assert found.axes[0].norm == pytest.approx(expected.axes[0].norm, rel=1e-6)
    assert found.attributes["cosine_sd"] == pytest.approx(expected.attributes["cosine_sd"], rel=1e-6)
    assert found.checks["passed"] == 1


@pytest.mark.parametrize("way", WAYS)
def test_equal_functions_have_basins_of_one_radius(way: str) -> None:
    model, twin = reparametrized(way)
    inputs = normal(N_EXAMPLES, 4)
    data = {"train": (inputs, twin(inputs).detach())}  # so that the loss is 0 at the origin
    options: dict[str, Any] = {"x": (-1, 1, 13), "y": (-1, 1, 13), "quiet": True}
    heights = landscape.surface(Problem(twin, nn.MSELoss(), data), **options).values["train_loss"]
    options["basin_level"] = 0.9 * min(heights[edge].min() for edge in (0, -1, (slice(None), 0), (slice(None), -1)))
    radius, other = (landscape.surface(Problem(m, nn.MSELoss(), data), **options).numbers["basin_radius"] for m in (model, twin))
    assert (radius.bound, other.bound) == ("", "")
    assert radius.value == pytest.approx(other.value, rel=1e-5)


def conv(way: str) -> nn.Module:
    layer = nn.ConvTranspose1d(4, 4, 3, groups=2, bias=False)
    return layer if way == "plain" else stored(layer, way)


def summed(model: nn.Module, batch: Tensor) -> Tensor:
    return model(batch).square().sum(dim=(1, 2))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("normalize", ["filter", "layer"])
def test_transposed_convolutions_by_explicit_loops(way: str, normalize: str) -> None:
    layer = seeded(lambda: conv(way)).eval()
    inputs = normal(N_EXAMPLES, 4, 5)
    layer(inputs)
    theta = layer.weight.detach().double()
    delta = normals(0, "x", "weight", theta.shape)
    filters = [(slice(2 * g, 2 * g + 2), k) for g in range(2) for k in range(2)] if normalize == "filter" else [...]
    for block in filters:
        delta[block] *= theta[block].norm() / delta[block].norm()
    expected = [nn.functional.conv_transpose1d(inputs.double(), theta + a * delta, groups=2).square().sum(dim=(1, 2)).mean()
                for a in (-1, 0, 1)]  # fmt: skip
    found = landscape.line(Problem(layer, summed, {"train": inputs}), x=(-1, 1, 3), normalize=normalize, quiet=True)
    assert found.values["train_loss"] == pytest.approx(np.array(expected), rel=5e-6)  # sums of some 100 float32 terms


def structured(layer: nn.Module) -> nn.Module:
    return prune.ln_structured(pruned(layer), "weight", 2, n=2, dim=0)


class Masked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mask", torch.tensor([0.0, 1, 1, 1]))

    def forward(self, original: Tensor) -> Tensor:
        return original * self.mask


def columns(layer: nn.Module) -> nn.Module:
    return parametrize.register_parametrization(layer, "weight", Masked())


@pytest.mark.parametrize("prune_it", [pruned, structured, columns])
@pytest.mark.parametrize("normalize", ["filter", "layer", "model", "unit-filter", "weight", "none"])
def test_pruned_entries_stay_zero(prune_it: Callable[[nn.Module], nn.Module], normalize: str) -> None:
    model = nn.Sequential(seeded(lambda: prune_it(nn.Linear(4, 6))), nn.Tanh(), seeded(lambda: nn.Linear(6, 3)))
    inputs, targets = normal(N_EXAMPLES, 4).double(), integers(3, N_EXAMPLES)
    theta = {name: model.get_submodule(name).weight.detach().double() for name in ("0", "2")}
    delta = {name: normals(0, "x", f"{name}.weight", theta[name].shape) for name in theta}
    delta["0"][theta["0"] == 0] = 0
    if normalize == "model":
        whole = [sum(float(t.square().sum()) for t in part.values()) ** 0.5 for part in (theta, delta)]
        delta = {name: part * whole[0] / whole[1] for name, part in delta.items()}
    for name, part in delta.items():
        if normalize == "weight":
            part *= theta[name]
        for row, own in zip(*((part, theta[name]) if "filter" in normalize else ((part,), (theta[name],))), strict=True):
            if normalize in ("filter", "layer", "unit-filter") and row.any():
                row *= (1 if normalize.startswith("unit") else own.norm()) / row.norm()
    hidden = torch.tanh(inputs @ (theta["0"] + delta["0"]).T + model[0].bias.double())
    expected = cross_entropy(hidden @ (theta["2"] + delta["2"]).T + model[2].bias.double(), targets)
    found = landscape.line(problem(model), x=(0, 1, 2), normalize=normalize, quiet=True)
    assert found.values["train_loss"][1] == pytest.approx(expected.item(), rel=2e-6)


@pytest.mark.parametrize("prune_it", [pruned, structured, lambda layer: prune.random_unstructured(layer, "weight", 0.5)])
def test_what_is_pruned_is_what_the_checkpoint_at_the_origin_says(prune_it: Callable[[nn.Module], nn.Module]) -> None:
    """Two trainings prune other entries of one architecture; the mask is part of the checkpoint."""
    model, start = (seeded(lambda: nn.Sequential(prune_it(nn.Linear(4, 6)), nn.Linear(6, 3)), seed) for seed in (0, 1))
    assert not torch.equal(model[0].weight_mask, start[0].weight_mask)
    plan = plan_line(problem(model), start.state_dict(), None, None, None, Options())
    assert torch.equal(plan.subspace.directions[0].parameters["0.weight"] != 0, start[0].weight_mask != 0)


def tied(store: Callable[[nn.Module], nn.Module]) -> nn.Module:
    """Two layers with one parameter, of which one computes another weight from it."""
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
    model[2].weight = model[0].weight
    store(model[0])
    return model


UNUSUAL = {
    "weight norm of what is pruned": lambda: pruned(old_weight_norm(nn.Linear(4, 3)), "weight_v"),
    "sparse": lambda: parametrize.register_parametrization(
        nn.Linear(4, 3), "weight", FakeSparsity(torch.tensor([[1.0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 1, 1]]))
    ),
    "tied, pruned": lambda: tied(pruned),
    "tied, spectral norm": lambda: tied(parametrizations.spectral_norm),
    "tied, spectral norm, hook": lambda: tied(nn.utils.spectral_norm),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_models_pass_the_check_and_the_origin_is_the_users_own_loss(name: str) -> None:
    model = seeded(UNUSUAL[name]).eval()
    inputs, targets = normal(N_EXAMPLES, 4), integers(3, N_EXAMPLES)
    found = landscape.line(problem(model), model.state_dict(), x=(-1, 1, 3), quiet=True)
    assert found.checks["passed"] == 1
    assert found.values["train_loss"][1] == pytest.approx(cross_entropy(model(inputs), targets).item(), rel=2e-6)


# --- what a plan says ---


def test_the_plan_holds_both_models() -> None:
    model, twin = reparametrized("weight norm")
    given = problem(model)
    plan = plan_line(given, None, None, None, None, Options())
    assert (plan.effective, plan.original, plan.problem.data) == (True, given, given.data)
    assert set(plan.subspace.directions[0].parameters) == {"0.weight", "2.weight"}
    assert plan.subspace.origin.keys() == weights.read(twin).keys()
    assert plan.models[0].stored.keys() == weights.read(model).keys()
    assert plan.attributes["weights_sha256"] == weights.digest(weights.read(model))
    assert plan.attributes["effective_weights"] == "0.weight (weight norm), 2.weight (weight norm)"
    assert "leaves_constraint" not in plan.attributes
    simple = plan_line(problem(twin), None, None, None, None, Options())
    assert (simple.effective, simple.problem is simple.original) == (False, True)
    assert "effective_weights" not in simple.attributes


def test_what_leaves_its_constraint_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    model = nn.Sequential(parametrizations.orthogonal(nn.Linear(4, 3)), parametrizations.weight_norm(nn.Linear(3, 3)))
    surface = landscape.line(problem(model), x=(0, 1, 2), quiet=True)
    assert surface.attributes["effective_weights"] == "0.weight (orthogonal), 1.weight (weight norm)"
    assert surface.attributes["leaves_constraint"] == "0.weight"
    surface.show()
    text = capsys.readouterr().out
    assert "0.weight (orthogonal), 1.weight (weight norm)" in text
    assert "holds at the origin alone for 0.weight\n" in text


def test_a_glob_that_names_parts_says_what_to_name() -> None:
    model, _ = reparametrized("weight norm")
    for only in ("*original1", "0.parametrizations.*"):
        with pytest.raises(InputError, match=r"a part of a weight; .* 0\.weight: name that"):
            landscape.line(problem(model), only=only, quiet=True)
    assert landscape.line(problem(model), only="0.weight", x=(0, 1, 2), quiet=True).complete


def test_frozen_parts_stay_fixed() -> None:
    model, _ = reparametrized("weight norm")
    model[0].parametrizations.requires_grad_(False)
    plan = plan_line(problem(model), None, None, None, None, Options())
    assert set(plan.subspace.directions[0].parameters) == {"2.weight"}


@pytest.mark.parametrize("way", STORED)
def test_the_users_model_is_left_as_it_is(way: str) -> None:
    model, _ = reparametrized(way)
    model.train()
    names, before = weights.parameter_names(model), weights.digest(weights.read(model))
    expected = copy.deepcopy(model.state_dict())
    landscape.surface(problem(model), x=(-1, 1, 3), y=(-1, 1, 3), quiet=True)
    assert (weights.parameter_names(model), weights.digest(weights.read(model))) == (names, before)
    assert all(tensor.equal(expected[name]) for name, tensor in model.state_dict().items())
    assert model.training
    model(normal(2, 4)).sum().backward()
    assert model.get_parameter("0." + STORED[way][1][0]).grad is not None


# --- files ---


def test_checkpoints_directions_and_resuming(tmp_path: Path) -> None:
    model, twin = reparametrized("weight norm, hook")
    other = copy.deepcopy(model.state_dict())
    other["0.weight_g"] *= 2
    torch.save(other, tmp_path / "other.pt")
    with torch.no_grad():
        twin[0].weight *= 2
    options: dict[str, Any] = {"x": (-1, 1, 5), "quiet": True}
    first = landscape.line(problem(model), tmp_path / "other.pt", to=tmp_path / "a.h5", save_directions=True, **options)
    expected = landscape.line(problem(twin), **options)
    assert first.values["train_loss"] == pytest.approx(expected.values["train_loss"], rel=1e-5)
    again = landscape.line(problem(model), tmp_path / "other.pt", directions=tmp_path / "a.h5", **options)
    assert np.array_equal(again.values["train_loss"], first.values["train_loss"])
    assert again.attributes["effective_weights"] == first.attributes["effective_weights"]
    assert landscape.line(problem(model), tmp_path / "other.pt", to=tmp_path / "a.h5", **options).runs[-1]["points"] == 0
    with pytest.raises(InputError, match=r"another model \(weights\)"):
        landscape.line(problem(model), to=tmp_path / "a.h5", **options)


def test_lines_between_checkpoints_move_what_is_stored(tmp_path: Path) -> None:
    model, _ = reparametrized("weight norm")
    end = copy.deepcopy(model.state_dict())
    for name in end:
        end[name] += normal(*end[name].shape, seed=3)
    found = landscape.line(problem(model), None, end, x=(0, 1, 3), to=tmp_path / "a.h5", save_directions=True, quiet=True)
    assert "effective_weights" not in found.attributes
    for a, value in zip((0, 0.5, 1), found.values["train_loss"], strict=True):
        twin = parametrized(model)
        twin.load_state_dict({name: (1 - a) * tensor + a * end[name] for name, tensor in model.state_dict().items()})
        expected = cross_entropy(twin(normal(N_EXAMPLES, 4)), integers(3, N_EXAMPLES))
        assert value == pytest.approx(expected.item(), rel=2e-6)
    again = landscape.line(problem(model), directions=tmp_path / "a.h5", x=(0, 1, 3), quiet=True)
    assert "effective_weights" not in again.attributes
    assert np.array_equal(again.values["train_loss"], found.values["train_loss"])


def parametrized(model: nn.Module) -> nn.Module:
    twin = nn.Sequential(*(parametrizations.weight_norm(m) if isinstance(m, nn.Linear) else m for m in plain()))
    assert roles(twin).keys() == roles(model).keys()
    return twin


# --- what is copied besides the model ---


class Distilled(nn.Module):
    """A loss that holds a teacher, whose weight is computed; its own reduction, as a criterion's, or none."""

    def __init__(self, reduction: str | None) -> None:
        super().__init__()
        self.teacher = seeded(lambda: old_weight_norm(nn.Linear(4, 3)))
        if reduction is not None:
            self.reduction = reduction

    def forward(self, first: Any, second: Any) -> Tensor:
        if isinstance(first, nn.Module):  # as a loss function: model, batch
            first, second = first(second[0]), second[0]
        return (first - self.teacher(second)).square().mean(dim=1)


@pytest.mark.parametrize("reduction", ["mean", None])
def test_losses_that_hold_computed_weights_are_copied(reduction: str | None) -> None:
    inputs, loss = normal(N_EXAMPLES, 4), Distilled(reduction)
    model = seeded(lambda: nn.Linear(4, 3))
    found = landscape.line(Problem(model, loss, {"train": (inputs, inputs)}), x=(0, 1, 2), quiet=True)
    expected = (model(inputs) - loss.teacher(inputs)).square().mean()
    assert found.values["train_loss"][0] == pytest.approx(expected.item(), rel=2e-6)


@pytest.mark.parametrize("bn", ["frozen", "recalibrated"])
def test_pruned_norms_are_copied(bn: str) -> None:
    model = seeded(lambda: nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 3)))
    pruned(model[1])
    found = landscape.line(problem(model), x=(0, 1, 2), bn=bn, quiet=True)
    assert found.checks["passed"] == 1
    assert found.attributes["effective_weights"] == "1.weight (pruning)"
    end = {name: tensor + 0.1 for name, tensor in model.state_dict().items()}
    assert landscape.line(problem(model), None, end, x=(0, 1, 2), bn=bn, quiet=True).checks["passed"] == 1
