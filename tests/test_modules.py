"""Modules: copies that share nothing, and effective weights against what torch's own removal leaves and what autograd shows."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from cases import integers, normal, seeded
from layers import STORED, old_weight_norm, pruned, stored
from torch import Tensor, nn
from torch.ao.pruning.sparsifier.utils import FakeSparsity
from torch.nn.utils import parametrizations, parametrize, prune

import landscape
from landscape import Problem
from landscape.core import weights
from landscape.core.modules import copy_module, effective, effective_name, pruned_entries, stored_in_parts
from landscape.errors import InputError

LAYERS: dict[str, tuple[Callable[[], nn.Module], str, Callable[[nn.Module], Tensor]]] = {
    "Linear": (lambda: nn.Linear(4, 3), "weight", lambda layer: layer(normal(5, 4))),
    "Conv2d": (lambda: nn.Conv2d(2, 3, 2), "weight", lambda layer: layer(normal(5, 2, 4, 4))),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(2, 4, 2, groups=2), "weight", lambda layer: layer(normal(5, 2, 4, 4))),
    "Embedding": (lambda: nn.Embedding(6, 3), "weight", lambda layer: layer(torch.arange(6))),
    "LSTM": (lambda: nn.LSTM(3, 4), "weight_hh_l0", lambda layer: layer(normal(5, 2, 3))[0]),
}
CASES = [(name, way) for name in LAYERS for way in STORED]


def made(name: str, way: str) -> nn.Module:
    make, tensor, forward = LAYERS[name]
    layer = seeded(lambda: stored(make(), way, tensor))  # spectral norms draw where they begin
    forward(layer)  # in train mode: spectral norms take a step, hooks keep a tensor with its graph
    return layer.eval()


def removed(layer: nn.Module, way: str, tensor: str) -> nn.Module:
    """The layer itself after torch's own removal."""
    if way == "weight norm, hook":
        return nn.utils.remove_weight_norm(layer, tensor)
    if way == "spectral norm, hook":
        return nn.utils.remove_spectral_norm(layer, tensor)
    return prune.remove(layer, tensor) if way == "pruned" else parametrize.remove_parametrizations(layer, tensor)


def state(layer: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in layer.state_dict().items()}


# --- copies ---


@pytest.mark.parametrize(("name", "way"), CASES)
def test_a_copy_computes_the_same_and_shares_nothing(name: str, way: str) -> None:
    forward, layer = LAYERS[name][2], made(name, way)
    expected, before = forward(layer), state(layer)
    private = copy_module(layer)
    assert torch.equal(forward(private), expected)
    with torch.no_grad():
        for tensor in (*private.parameters(), *private.buffers()):
            tensor.mul_(2)
    removed(private, way, LAYERS[name][1])
    assert torch.equal(forward(layer), expected)
    assert all(tensor.equal(before[part]) for part, tensor in state(layer).items())


class Remembering(nn.Module):
    """Keeps what it computed, as models with hooks of one's own do."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.kept: dict[str, Any] = {"all": []}

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.layer(inputs)
        self.last, self.itself = outputs, self.kept
        self.kept["all"].append((outputs, self.kept))
        self.register_buffer("mean", outputs.mean(), persistent=False)
        return outputs


def test_a_model_that_remembers_activations_is_copied() -> None:
    model = seeded(Remembering)
    expected = model(normal(2, 3))
    with pytest.raises(RuntimeError, match="graph leaves"):
        copy.deepcopy(model)
    private = copy_module(nn.DataParallel(model))
    assert torch.equal(private.last, expected)
    assert private.kept["all"][0][0] is private.last
    assert private.last is not model.last
    assert private.last.is_leaf
    assert torch.equal(private(normal(2, 3)), expected)


def test_tied_weights_stay_tied_in_a_copy() -> None:
    model = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])
    model[1].weight = model[0].weight
    private = copy_module(model)
    assert private[1].weight is private[0].weight
    assert private[0].weight is not model[0].weight


class Single(nn.Linear):
    """A layer of which there is to be one only: it answers copy.deepcopy with itself, as shared encoders do to save memory."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Single:
        return self


class SingleNorm(nn.BatchNorm1d):
    def __deepcopy__(self, memo: dict[int, Any]) -> SingleNorm:
        return self


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: nn.Sequential(nn.Linear(3, 3), Single(3, 3)), "1.weight"),
        (lambda: Single(3, 3), "weight"),
        (lambda: nn.Sequential(nn.Linear(3, 3), SingleNorm(3, affine=False)), "1.running_mean"),
        (lambda: nn.Sequential(nn.Linear(3, 3), Single(3, 3).requires_grad_(False)), "1.weight"),
    ],
)
def test_a_part_that_is_not_copied_is_refused_and_nothing_of_the_users_changes(make: Callable[[], nn.Module], named: str) -> None:
    model = make()
    before = copy_of_state(model)
    problem = Problem(model, nn.CrossEntropyLoss(), {"train": (normal(9, 3), integers(3, 9))})
    with pytest.raises(InputError, match=rf"cannot be copied: copy.deepcopy leaves {named} where it is"):
        landscape.line(problem, x=(-1, 1, 3), quiet=True)
    assert copy_of_state(model) == before


def copy_of_state(model: nn.Module) -> list[Any]:
    state = [(name, tensor.tolist()) for name, tensor in model.state_dict().items()]
    return [state, [p.requires_grad for p in model.parameters()], [m.training for m in model.modules()]]


def test_tensors_without_memory_share_none() -> None:
    with torch.device("meta"):
        meta = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    assert [name for name, _ in copy_module(meta).named_parameters()] == [name for name, _ in meta.named_parameters()]
    empty = nn.Linear(3, 3)
    empty.none = nn.Parameter(torch.zeros(0, 3))
    copy_module(empty)


# --- effective weights ---


@pytest.mark.parametrize(("name", "way"), CASES)
def test_effective_weights_are_those_torch_itself_leaves(name: str, way: str) -> None:
    tensor, forward = LAYERS[name][1:]
    layer = made(name, way)
    expected, before = forward(layer), state(layer)
    plain = effective(layer)
    assert torch.equal(forward(plain), expected)
    assert torch.equal(forward(layer), expected)
    assert all(part.equal(before[name]) for name, part in state(layer).items())
    twin = removed(made(name, way), way, tensor)
    assert weights.read(plain).keys() == weights.read(twin).keys()
    assert all(part.equal(weights.read(twin)[name]) for name, part in weights.read(plain).items())
    assert type(plain) is type(twin) is type(LAYERS[name][0]())
    assert {n: p.requires_grad for n, p in plain.named_parameters()} == dict.fromkeys(weights.parameter_names(plain), True)
    assert stored_in_parts(plain) == {}
    plain.load_state_dict(plain.state_dict())  # no hook of the old form is left


@pytest.mark.parametrize("way", STORED)
def test_a_weight_is_trainable_where_a_part_is(way: str) -> None:
    layer = made("Linear", way)
    for name in STORED[way][1][1:]:
        layer.get_parameter(name).requires_grad_(False)
    layer.bias.requires_grad_(False)
    assert effective(layer).weight.requires_grad
    assert not effective(layer).bias.requires_grad
    layer.requires_grad_(False)
    assert not effective(layer).weight.requires_grad


def test_weights_are_loaded_before_they_are_computed() -> None:
    model = nn.Sequential(*(made("Linear", way) for way in STORED))
    names = {name: tensor * 1.5 + 0.25 for name, tensor in weights.read(model).items() if not name.endswith(("_mask", "_u", "_v"))}
    twin = copy_module(model)
    twin.load_state_dict({**twin.state_dict(), **names})
    found, expected = effective(model, names), effective(twin)
    assert all(tensor.equal(weights.read(expected)[name]) for name, tensor in weights.read(found).items())
    assert not found[0].weight.equal(effective(model)[0].weight)


def test_modes_and_everything_else_stay() -> None:
    model = nn.Sequential(made("Linear", "spectral norm"), nn.BatchNorm1d(3), nn.Dropout()).eval()
    model[0].parametrizations.weight.original.data = normal(3, 4, seed=1)  # so that a step of the power iteration leads elsewhere
    weight = model[0].weight.detach()
    model[0].train()
    before, found = state(model), effective(model)
    assert [layer.training for layer in found.modules()] == [False, True, False, False]
    assert torch.equal(found[0].weight, weight)  # as in eval mode
    assert all(tensor.equal(before[name]) for name, tensor in state(model).items())


class Doubled(nn.Module):
    def forward(self, original: Tensor) -> Tensor:
        return 2 * original


class Rank(nn.Module):
    """A weight plus a product of two of its own parameters, as LoRA by parametrization has it."""

    def __init__(self) -> None:
        super().__init__()
        self.lora = nn.Parameter(torch.ones(3, 1))

    def forward(self, original: Tensor) -> Tensor:
        return original + self.lora * 0.5


def weight_norm_pruned() -> nn.Module:
    return pruned(old_weight_norm(nn.Linear(4, 3)), "weight_v")


def chain() -> nn.Module:
    layer = parametrizations.orthogonal(nn.Linear(4, 3))
    return parametrize.register_parametrization(layer, "weight", Doubled())


def low_rank() -> nn.Module:
    layer = parametrize.register_parametrization(nn.Linear(4, 3), "weight", Rank())
    layer.parametrizations.weight.original.requires_grad_(False)
    return layer


def parametrized_then_pruned() -> nn.Module:
    return parametrize.register_parametrization(pruned(nn.Linear(4, 3)), "weight_orig", Doubled())


def pruned_inside() -> nn.Module:
    layer = parametrize.register_parametrization(nn.Linear(4, 3), "weight", Doubled())
    pruned(layer.parametrizations.weight, "original")
    return layer


def sparse() -> nn.Module:
    mask = torch.tensor([[1.0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 1, 1]])
    return parametrize.register_parametrization(nn.Linear(4, 3), "weight", FakeSparsity(mask))


def rows_pruned() -> nn.Module:
    return prune.ln_structured(pruned(nn.Linear(4, 3)), "weight", 1, n=2, dim=0)


COMBINED = {
    weight_norm_pruned: ("pruning", "weight norm"),
    chain: ("Doubled", "orthogonal"),
    low_rank: ("Rank",),
    parametrized_then_pruned: ("Doubled", "pruning"),
    pruned_inside: ("Doubled", "pruning"),
    sparse: ("pruning",),
    rows_pruned: ("pruning",),
}


@pytest.mark.parametrize("make", COMBINED)
def test_combinations_compute_the_same(make: Callable[[], nn.Module]) -> None:
    layer = seeded(make).eval()
    layer(normal(5, 4))
    expected, plain = layer(normal(5, 4)), effective(layer)
    assert torch.equal(plain(normal(5, 4)), expected)
    assert sorted(weights.parameter_names(plain)) == ["bias", "weight"]
    assert plain.weight.requires_grad
    assert sorted(stored_in_parts(layer)["weight"]) == sorted(COMBINED[make])
    modules = dict(layer.named_modules())
    parts = {effective_name(modules, name) for name, _ in layer.named_parameters() if "lora" not in name}
    assert parts == {"weight", "bias"}


def test_a_tied_weight_keeps_its_value_where_it_is_not_pruned() -> None:
    model = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])
    model[1].weight = model[0].weight
    pruned(model[0])
    found = effective(model)
    assert (found[0].weight == 0).sum() == 4  # 40 % of 9, rounded
    assert found[1].weight.equal(model[1].weight)


def test_a_buffer_stays_a_buffer() -> None:
    layer = nn.Linear(2, 2)
    layer.register_buffer("scale", torch.ones(2))
    parametrize.register_parametrization(layer, "scale", Doubled())
    found = effective(layer)
    assert found.scale.tolist() == [2, 2]
    assert [name for name, _ in found.named_buffers()] == ["scale"]


# --- pruned entries: those that stay zero whatever is stored ---


def always_zero(layer: nn.Module) -> Tensor:
    """The entries of the effective weight that stay zero when all that is stored changes."""
    zero = effective(layer).weight == 0
    for seed in range(5):
        stirred = {name: tensor + normal(*tensor.shape, seed=seed) for name, tensor in weights.read(layer).items()
                   if not name.endswith("mask")}  # fmt: skip
        zero &= effective(layer, stirred).weight == 0
    return zero


@pytest.mark.parametrize("make", [weight_norm_pruned, parametrized_then_pruned, pruned_inside, sparse, rows_pruned])
def test_pruned_entries_are_those_that_stay_zero(make: Callable[[], nn.Module]) -> None:
    layer = seeded(make)
    found = pruned_entries(layer, weights.read(effective(layer)))
    assert found.keys() == {"weight"}
    assert found["weight"].equal(always_zero(layer))
    assert found["weight"].any()
    assert not found["weight"].all()


def test_a_zero_that_no_mask_holds_is_not_pruned() -> None:
    layer = seeded(lambda: nn.Linear(4, 3))
    with torch.no_grad():
        layer.weight[0] = 0
    assert pruned_entries(layer, weights.read(layer)) == {}
    dense = prune.identity(layer, "weight")
    assert not pruned_entries(dense, weights.read(effective(dense)))["weight"].any()
    masked = seeded(chain)  # an orthogonal matrix of what is pruned has no zeros
    pruned(masked.parametrizations.weight, "original")
    assert not pruned_entries(masked, weights.read(effective(masked)))["weight"].any()
