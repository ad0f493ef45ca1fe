"""Directions: filters against what really makes an output, normalization by explicit loops, golden random numbers."""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from cases import CATALOGUE, Attention, Images, Tagger, normal, seeded
from layers import Conv1D
from torch import Tensor, nn

from landscape.core import directions, weights
from landscape.core.choices import NORMALIZATIONS
from landscape.core.directions import (
    between,
    cosine,
    cosine_spread,
    from_arrays,
    normals,
    orthogonalize,
    random_direction,
    roles,
    select_parameters,
)
from landscape.errors import InputError

# --- the random numbers ---

GOLDEN = {
    (0, "x", "conv1.weight", (2, 3)): [
        [0.2963642638385503, 0.7894479740765683, -2.233270727130246],
        [0.25799000627099994, -1.3029165366662874, -0.6538969589011129],
    ],
    (0, "y", "conv1.weight", (2, 3)): [
        [0.6908309272879296, -0.8242253918571257, 0.06184325288709785],
        [-1.579071065966438, -0.4257123415829112, -0.8307773101840189],
    ],
    (7, "x", "layer.0.weight", (4,)): [-1.6603444325936658, -0.9534618835948767, -0.5045525276138106, 0.5817742517895669],
    (-1, "x", "w", (2,)): [1.9895858049846387, 0.2078540282676388],
}


@pytest.mark.parametrize(("key", "numbers"), GOLDEN.items())
def test_golden_numbers(key: tuple[int, str, str, tuple[int, ...]], numbers: Any) -> None:
    found = normals(*key)
    assert found.dtype == torch.float64
    assert found.tolist() == numbers


def test_numbers_are_philox_keyed_by_a_digest() -> None:
    key = int.from_bytes(hashlib.sha256(b"3/y/a.weight").digest()[:16], "little")
    expected = np.random.Generator(np.random.Philox(key=key)).standard_normal((5, 2))
    assert normals(3, "y", "a.weight", (5, 2)).tolist() == expected.tolist()


def test_numbers_are_standard_normal() -> None:
    # 10^6 numbers: the mean has sd 1e-3, the second moment 1.4e-3, the fourth (3) 9.8e-3; 5 sd each.
    numbers = normals(0, "x", "w", (1000, 1000)).numpy()
    assert abs(numbers.mean()) < 5e-3
    assert abs((numbers**2).mean() - 1) < 7e-3
    assert abs((numbers**4).mean() - 3) < 0.05


# --- what a filter is: the entries that one output depends on, asked of autograd ---


def outputs_of_linear(layer: nn.Module) -> Tensor:
    return layer(normal(2, layer.in_features, seed=9))


def outputs_of_convolution(layer: nn.Module) -> Tensor:
    size = [5] * (layer.weight.dim() - 2)
    return layer(normal(2, layer.in_channels, *size, seed=9))


LAYERS: dict[str, tuple[Callable[[], nn.Module], Callable[[nn.Module], Tensor]]] = {
    "Linear": (lambda: nn.Linear(4, 3), outputs_of_linear),
    "Conv1d": (lambda: nn.Conv1d(4, 6, 3), outputs_of_convolution),
    "Conv2d": (lambda: nn.Conv2d(4, 6, (3, 2)), outputs_of_convolution),
    "Conv3d": (lambda: nn.Conv3d(4, 6, 2), outputs_of_convolution),
    "Conv2d grouped": (lambda: nn.Conv2d(4, 6, 3, groups=2), outputs_of_convolution),
    "Conv2d depthwise": (lambda: nn.Conv2d(4, 4, 3, groups=4), outputs_of_convolution),
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(4, 6, 3), outputs_of_convolution),
    "ConvTranspose1d grouped": (lambda: nn.ConvTranspose1d(4, 6, 3, groups=2), outputs_of_convolution),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(4, 6, (3, 2)), outputs_of_convolution),
    "ConvTranspose2d grouped": (lambda: nn.ConvTranspose2d(4, 6, 2, groups=2), outputs_of_convolution),
    "ConvTranspose2d depthwise": (lambda: nn.ConvTranspose2d(4, 8, 2, groups=4), outputs_of_convolution),
    "ConvTranspose3d": (lambda: nn.ConvTranspose3d(4, 6, 2), outputs_of_convolution),
    "ConvTranspose3d grouped": (lambda: nn.ConvTranspose3d(6, 4, 2, groups=2), outputs_of_convolution),
    "Bilinear": (lambda: nn.Bilinear(2, 3, 4), lambda layer: layer(normal(2, 2, seed=9), normal(2, 3, seed=8))),
    "Conv1D": (lambda: Conv1D(3, 4), lambda layer: layer(normal(2, 4, seed=9))),
    "Conv1D square": (lambda: Conv1D(4, 4), lambda layer: layer(normal(2, 4, seed=9))),
}


def depends(layer: nn.Module, outputs: Tensor, channel: int) -> Tensor:
    """The entries of the layer's weight that output `channel` depends on, as a mask."""
    layer.zero_grad()
    outputs[:, channel].square().sum().backward(retain_graph=True)
    return layer.weight.grad != 0


@pytest.mark.parametrize("name", LAYERS)
def test_a_filter_is_what_one_output_depends_on(name: str) -> None:
    make, forward = LAYERS[name]
    layer = seeded(make)
    weight, role = layer.weight.detach(), roles(layer)["weight"]
    outputs = forward(layer)
    places = role.filters(torch.arange(weight.numel()).reshape(weight.shape))
    assert len(places) == outputs.shape[1]
    for channel, entries in enumerate(places):
        mask = depends(layer, outputs, channel).flatten()
        assert sorted(entries.tolist()) == mask.nonzero().flatten().tolist()


@pytest.mark.parametrize("name", LAYERS)
def test_filters_and_back(name: str) -> None:
    layer = seeded(LAYERS[name][0])
    weight, role = layer.weight.detach(), roles(layer)["weight"]
    assert torch.equal(role.from_filter_rows(role.filters(weight), weight.shape), weight)


# --- filter normalization by explicit loops (Li et al. 2018, sec. 4) ---


def filters(module: nn.Module, leaf: str, tensor: Tensor) -> Iterator[Any]:
    """The indices of each filter of one parameter."""
    if tensor.dim() <= 1:
        yield ...
    elif isinstance(module, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d) and leaf == "weight":
        n_in, n_out = tensor.shape[0] // module.groups, tensor.shape[1]
        for group in range(module.groups):
            for output in range(n_out):
                yield slice(group * n_in, (group + 1) * n_in), output
    elif isinstance(module, Conv1D):
        for output in range(module.nf):
            yield slice(None), output
    else:
        for output in range(tensor.shape[0]):
            yield output


def normalized(model: nn.Module, name: str, seed: int, axis: str, normalize: str) -> Tensor:
    """One parameter's part of the direction, filter by filter, in float64."""
    prefix, _, leaf = name.rpartition(".")
    theta = dict(model.named_parameters())[name].detach().double()
    delta = normals(seed, axis, name, theta.shape)
    if normalize == "weight":
        return delta * theta
    blocks = list(filters(dict(model.named_modules())[prefix], leaf, theta)) if "filter" in normalize else [...]
    for block in blocks:
        length = delta[block].square().sum().sqrt()
        target = 1.0 if normalize.startswith("unit") else float(theta[block].square().sum().sqrt())
        delta[block] = delta[block] / length * target
    return delta


class AllLayers(nn.Module):
    """One of each layer that holds weights."""

    def __init__(self) -> None:
        super().__init__()
        for name, (make, _) in LAYERS.items():
            self.add_module(name.replace(" ", "_"), make())
        self.tagger = Tagger()
        self.attention = Attention()
        self.images = Images()
        self.bilinear = nn.Bilinear(2, 3, 4)
        self.scale = nn.Parameter(torch.tensor(1.5))
        self.table = nn.Parameter(torch.ones(2, 3, 2))


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return seeded(AllLayers)


def drawn(
    model: nn.Module, seed: int = 0, axis: str = "x", normalize: str = "filter", ignore: tuple[str, ...] = ()
) -> directions.Direction:
    read, found = weights.read(model), roles(model)
    return random_direction(read, found, select_parameters(read, found, ignore), seed, axis, normalize)


@pytest.mark.parametrize("normalize", ["filter", "layer", "weight", "unit-filter", "unit-layer"])
@pytest.mark.parametrize(("seed", "axis"), [(0, "x"), (3, "y")])
def test_normalization_by_explicit_loops(model: nn.Module, normalize: str, seed: int, axis: str) -> None:
    direction = drawn(model, seed, axis, normalize)
    assert set(direction.parameters) == set(weights.parameter_names(model))
    for name, part in direction.parameters.items():
        # Both are float64 until they are cast once: float32's unit roundoff is 6e-8.
        torch.testing.assert_close(part.double(), normalized(model, name, seed, axis, normalize), rtol=1e-7, atol=0)


def test_a_recurrent_gate_and_a_token_have_rows_of_their_own(model: nn.Module) -> None:
    part, theta = drawn(model).parameters, weights.read(model)
    for name in (
        "tagger.lstm.weight_ih_l0",
        "tagger.gru.weight_hh_l0",
        "tagger.embedding.weight",
        "attention.attention.q_proj_weight",
    ):
        assert len(theta[name]) > 1
        torch.testing.assert_close(part[name].norm(dim=1), theta[name].norm(dim=1), rtol=1e-6, atol=0)


def test_one_norm_for_the_whole_model(model: nn.Module) -> None:
    read = weights.read(model)
    whole = math.sqrt(sum(float(read[name].double().square().sum()) for name in weights.parameter_names(model)))
    direction, plain = drawn(model, normalize="model"), drawn(model, normalize="none")
    assert direction.norm == pytest.approx(whole, rel=1e-7)
    assert cosine(direction, plain) == pytest.approx(1, rel=1e-7)
    for name, part in plain.parameters.items():
        assert torch.equal(part, normals(0, "x", name, part.shape).float())


def test_lengths_are_taken_in_float64() -> None:
    # Squares of 1e-25 underflow in float32, and those of 1e25 overflow.
    for scale in (1e-25, 1e25):
        layer = nn.Linear(3, 2, bias=False)
        nn.init.constant_(layer.weight, scale)
        part = drawn(layer).parameters["weight"].double()
        torch.testing.assert_close(part.norm(dim=1), torch.full((2,), scale * 3**0.5, dtype=torch.float64), rtol=1e-6, atol=0)


@pytest.mark.parametrize("normalize", ["filter", "layer", "weight", "model"])
def test_zero_filters_have_zero_directions(normalize: str) -> None:
    layer = seeded(lambda: nn.Linear(3, 4, bias=False))
    with torch.no_grad():
        layer.weight[1] = 0
    part = drawn(layer, normalize=normalize).parameters["weight"]
    assert part.isfinite().all()
    assert (part[1] == 0).all() == (normalize in ("filter", "weight"))
    assert (part[[0, 2, 3]] != 0).all()


def test_a_direction_that_is_zero_altogether_is_refused() -> None:
    layer = nn.Linear(3, 4)
    nn.init.zeros_(layer.weight)
    with pytest.raises(InputError, match="zero in every parameter"):
        drawn(layer, ignore=("bias",))
    read = weights.read(layer)
    with pytest.raises(InputError, match="zero in every parameter"):
        between(read, read, layer, ["weight"])


def test_unknown_normalizations_are_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match='did you mean "filter"'):
        drawn(nn.Linear(2, 2), normalize="filtre")


# --- the same seed, the same direction; another seed, another ---


def test_the_same_seed_gives_the_same_bits(model: nn.Module) -> None:
    first, second = drawn(model, 5), drawn(copy.deepcopy(model), 5)
    assert first.sha256 == second.sha256
    assert drawn(model, 6).sha256 != first.sha256
    assert drawn(model, 5, "y").sha256 != first.sha256


def test_wrappers_and_prefixes_do_not_matter() -> None:
    model = seeded(Images)
    plain = drawn(model)
    wrapped: list[nn.Module] = [nn.DataParallel(model), torch.compile(model), torch.optim.swa_utils.AveragedModel(model)]
    for wrapper in wrapped:
        found = drawn(wrapper).parameters
        assert {weights.strip_prefix(name) for name in found} == set(plain.parameters)
        for name, part in found.items():
            assert torch.equal(part, plain.parameters[weights.strip_prefix(name)])


def test_the_order_of_parameters_does_not_matter() -> None:
    forth = nn.Module()
    forth.a, forth.b = nn.Linear(2, 3), nn.Linear(3, 2)
    back = nn.Module()
    back.b, back.a = forth.b, forth.a
    assert weights.parameter_names(forth) != weights.parameter_names(back)
    assert drawn(forth).sha256 == drawn(back).sha256


def test_precision_does_not_matter_but_for_one_cast() -> None:
    model = seeded(Images)
    single, double = drawn(model).parameters, drawn(copy.deepcopy(model).double()).parameters
    for name, part in single.items():
        assert torch.equal(double[name].float(), part)


@pytest.mark.parametrize("normalize", NORMALIZATIONS)
def test_two_seeds_give_two_directions(model: nn.Module, normalize: str) -> None:
    read, found = weights.read(model), roles(model)
    names = select_parameters(read, found, ("bias", "norm"))
    spread = cosine_spread(read, found, names, normalize)
    draws = [random_direction(read, found, names, seed, axis, normalize) for seed in range(4) for axis in "xy"]
    cosines = [abs(cosine(a, b)) for i, a in enumerate(draws) for b in draws[:i]]
    assert 0 < max(cosines) < 5 * spread < 1
    assert cosine(draws[0], draws[0]) == pytest.approx(1, abs=1e-12)


def test_the_spread_of_cosines_is_the_formula_and_what_draws_show(model: nn.Module) -> None:
    read, found = weights.read(model), roles(model)
    names = select_parameters(read, found, ("bias", "norm"))
    fourth = square = 0.0
    for name in names:
        prefix, _, leaf = name.rpartition(".")
        for block in filters(dict(model.named_modules())[prefix], leaf, read[name]):
            length = float(read[name][block].double().square().sum())
            fourth += length**2 / read[name][block].numel()
            square += length
    assert cosine_spread(read, found, names, "filter") == pytest.approx(math.sqrt(fourth) / square, rel=1e-12)
    # 300 independent cosines: their standard deviation is known to 1/√600 = 4 %; 5 sd.
    pairs = [[random_direction(read, found, names, seed, axis) for axis in "xy"] for seed in range(300)]
    shown = np.std([cosine(a, b) for a, b in pairs])
    assert shown == pytest.approx(math.sqrt(fourth) / square, rel=0.2)


# --- what moves ---


def moved(model: nn.Module, ignore: tuple[str, ...], only: str | None = None) -> set[str]:
    return set(select_parameters(weights.read(model), roles(model), ignore, only))


def test_biases_norms_and_one_dimensional_parameters_stay_fixed() -> None:
    model = seeded(AllLayers)
    every = set(weights.parameter_names(model))
    matrices = {name for name in every if weights.read(model)[name].dim() > 1}
    assert moved(model, ()) == every
    assert moved(model, ("bias", "norm")) == matrices
    assert moved(model, ("norm",)) == matrices  # any other parameter of at most one dimension also stays fixed
    assert "scale" not in moved(model, ("bias",))


def test_norm_and_bias_are_told_by_module_and_name() -> None:
    class RMSNorm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2, 2))

    model = nn.Module()
    model.own = RMSNorm()
    model.group = nn.GroupNorm(1, 2)
    model.instance = nn.InstanceNorm1d(2, affine=True)
    model.attention = nn.MultiheadAttention(2, 1, add_bias_kv=True)
    model.linear = nn.Linear(2, 2)
    assert {name for name, role in roles(model).items() if role.norm} == {
        "own.weight", "group.weight", "group.bias", "instance.weight", "instance.bias",
    }  # fmt: skip
    assert moved(model, ("norm",)) == {
        "attention.in_proj_weight",
        "attention.out_proj.weight",
        "attention.bias_k",
        "attention.bias_v",
        "linear.weight",
    }
    assert moved(model, ("bias",)) == {"own.weight", "attention.in_proj_weight", "attention.out_proj.weight", "linear.weight"}


def test_frozen_parameters_stay_unless_named() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].weight.requires_grad_(False)
    assert moved(model, ()) == {"0.bias", "1.weight", "1.bias"}
    assert moved(model, ("bias", "norm"), "0.*") == {"0.weight"}
    assert moved(model, (), "?.weight") == {"0.weight", "1.weight"}


def test_when_nothing_moves_or_words_are_wrong_it_says_so() -> None:
    model = nn.Linear(2, 2)
    with pytest.raises(InputError, match=r'"head\.\*" names none'):
        moved(model, (), "head.*")
    with pytest.raises(InputError, match='did you mean "bias"'):
        moved(model, ("biases",))
    with pytest.raises(InputError, match="the model has none left to move"):
        moved(model.requires_grad_(False), ())


def test_a_tied_parameter_moves_once() -> None:
    assert "head.weight" not in moved(seeded(Tagger), ())
    assert "embedding.weight" in moved(seeded(Tagger), ())


# --- between checkpoints, from arrays, orthogonal ---


def test_between_is_the_difference_with_running_statistics() -> None:
    model = seeded(Images)
    start, end = weights.read(model), weights.read(seeded(Images, 1))
    start["bn.running_var"] += 1
    direction = between(start, end, model, ["conv.weight"], ("a.pt", "b.pt"))
    assert torch.equal(direction.parameters["conv.weight"], end["conv.weight"] - start["conv.weight"])
    assert set(direction.parameters) == {"conv.weight"}
    assert direction.buffers["bn.running_var"].tolist() == [-1.0] * 4
    assert (direction.attributes["from"], direction.attributes["to"]) == ("a.pt", "b.pt")


def test_arrays_by_name_or_by_either_order() -> None:
    model = seeded(Images)
    state = {name: np.random.default_rng(0).standard_normal(tensor.shape) for name, tensor in model.state_dict().items()}
    read = weights.read(model)
    parameters = [state[name] for name, _ in model.named_parameters()]
    by_name = from_arrays({name: state[name] for name, _ in model.named_parameters()}, read, model, "d")
    by_order = from_arrays(parameters, read, model, "d")
    everything = from_arrays(list(state.values()), read, model, "d")
    assert by_name.sha256 == by_order.sha256
    assert set(everything.buffers) == {"bn.running_mean", "bn.running_var"}
    assert not by_order.buffers
    for name, part in everything.parameters.items():
        assert torch.equal(part, torch.from_numpy(state[name]).float())
        assert torch.equal(part, by_order.parameters[name])


def test_arrays_that_do_not_fit_are_refused() -> None:
    model = nn.Linear(3, 2)
    read = weights.read(model)
    for arrays, words in (
        ([np.ones((2, 3))], "holds 1 arrays, the model has 2 parameters"),
        ({"weight": np.ones((3, 2))}, r"weight has shape \(3, 2\), the model wants \(2, 3\)"),
        ({"head": np.ones((3, 2))}, "has head, which the model lacks"),
        ({"weight": np.zeros((2, 3))}, "zero in every parameter"),
        ({"weight": np.full((2, 3), np.nan)}, "not finite"),
    ):
        with pytest.raises(InputError, match=words):
            from_arrays(arrays, read, model, "x direction")


@pytest.mark.parametrize("name", CATALOGUE)
def test_orthogonalized_directions_are_orthogonal(name: str) -> None:
    model = CATALOGUE[name]().model
    first, second = drawn(model, 0), drawn(model, 1)
    rest, share = orthogonalize(second, first)
    # Rounded to float32 once more after the subtraction: each entry is off by 6e-8 of itself at most.
    assert abs(cosine(rest, first)) < 1e-7
    for part in rest.parameters:
        torch.testing.assert_close(
            rest.parameters[part] + share * first.parameters[part], second.parameters[part], rtol=1e-5, atol=1e-6
        )


def test_parallel_directions_cannot_be_orthogonalized() -> None:
    first = drawn(nn.Linear(3, 2))
    with pytest.raises(InputError, match="parallel"):
        orthogonalize(first, first)
