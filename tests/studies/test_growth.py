"""Widened and deepened nets compute what their teachers do, at the teacher's weights and all over a plane around them."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import landscape
from harness import growth
from harness.growth import Growth, deepen, hidden_layers, widen
from landscape.core.directions import random_direction, roles
from landscape.core.weights import Weights, add, read
from landscape.errors import InputError
from landscape.zoo.models import VGG9, ConvolutionalNetwork, MultilayerPerceptron, ResidualPerceptron, SoftmaxRegression
from landscape.zoo.problems import problem
from landscape.zoo.training import train

Make = Callable[[], nn.Module]
NETS: dict[str, tuple[Make, int]] = {  # and the side of its images
    "mlp": (lambda: MultilayerPerceptron(n_hidden=3, width=12), 8),
    "mlp of one": (lambda: MultilayerPerceptron(n_hidden=1, width=5), 8),
    "cnn": (lambda: ConvolutionalNetwork(n_layers=3, width=4), 8),
    "cnn, strided": (lambda: ConvolutionalNetwork(n_layers=2, width=4, padding="valid", stride=2, pooling="average"), 19),
    "vgg": (lambda: VGG9(width=2, size=8, n_channels=1), 8),
    "vgg of many pixels": (lambda: VGG9(width=2, size=18, n_channels=1), 18),  # 3x3 of which are flattened
    "vgg without norm": (lambda: VGG9(width=2, batch_norm=False, size=8, n_channels=1), 8),
}
OTHER_UNITS: dict[str, Make] = {
    "sigmoid": lambda: MultilayerPerceptron(width=8, units="sigmoid"),
    "tanh": lambda: MultilayerPerceptron(width=8, units="tanh"),
    "maxout": lambda: MultilayerPerceptron(width=8, units="maxout"),
    "sigmoid cnn": lambda: ConvolutionalNetwork(width=4, units="sigmoid"),
    "maxout cnn": lambda: ConvolutionalNetwork(width=4, units="maxout"),
}


def drawn(make: Make) -> nn.Module:
    """A net in float64 no weight of which is special: biases are not 0, norms neither one nor zero."""
    torch.manual_seed(1)
    model = make().double()
    for name, tensor in model.state_dict().items():
        if name.endswith(("bias", "running_mean")):
            tensor.copy_(torch.randn_like(tensor) * 0.3)
        elif name.endswith("running_var") or (name.endswith("weight") and tensor.dim() == 1):
            tensor.copy_(torch.rand_like(tensor) + 0.5)
    return model.eval()


def images(side: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(40, 1, side, side, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)


def outputs(model: nn.Module, inputs: Tensor, weights: Weights | None = None) -> Tensor:
    with torch.no_grad():
        return torch.func.functional_call(model, weights or {}, (inputs,))


def doubled(model: nn.Module) -> Growth:
    return widen(model, {name: 2 * width for name, width in hidden_layers(model).items()})


def uneven(model: nn.Module) -> Growth:
    """Every other layer by half."""
    return widen(model, {name: width + (width + 1) // 2 for name, width in list(hidden_layers(model).items())[::2]}, seed=3)


def deeper_at_first(model: nn.Module) -> Growth:
    return deepen(model, next(iter(hidden_layers(model))))


def deeper_at_last(model: nn.Module) -> Growth:
    return deepen(model, list(hidden_layers(model))[-1])


GROW = [doubled, uneven, deeper_at_first, deeper_at_last]
# Sums of at most 200 terms are taken in another order: 200 roundings of 1.1e-16, through at most nine layers, which add up
# to 2e-13 of the largest output; five times that for terms that cancel.
EXACT = 1e-12


def gap(grow: Callable[[nn.Module], Growth], name: str) -> float:
    """The largest difference of outputs in float64, relative to the largest output."""
    make, side = NETS[name]
    model = drawn(make)
    expected = outputs(model, images(side))
    assert float(expected.std(dim=0).min()) > 1e-3  # outputs that are all alike would show nothing
    return float((outputs(grow(model).model, images(side)) - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("grow", GROW)
@pytest.mark.parametrize("name", NETS)
def test_the_student_computes_what_its_teacher_does(name: str, grow: Callable[[nn.Module], Growth]) -> None:
    assert gap(grow, name) <= EXACT


@pytest.mark.parametrize("name", ["mlp", "cnn", "vgg", "vgg of many pixels"])
def test_copies_whose_outgoing_weights_are_not_divided_are_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = growth._Move.__call__
    monkeypatch.setattr(growth._Move, "__call__", lambda move, tensor: whole(_with(move, counts=_ones(move.counts)), tensor))
    assert gap(doubled, name) > 1e-2


@pytest.mark.parametrize("name", ["vgg"])
def test_norms_and_biases_that_stay_behind_are_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new units get the first units' biases and statistics instead of their own."""
    whole = growth._Move.__call__

    def faulty(move: growth._Move, tensor: Tensor) -> Tensor:
        rows = move.rows if tensor.dim() > 1 or move.rows is None else torch.arange(len(move.rows)) % len(tensor)
        return whole(_with(move, rows=rows), tensor)

    monkeypatch.setattr(growth._Move, "__call__", faulty)
    assert gap(doubled, name) > 1e-2


def test_an_identity_behind_other_units_would_be_noticed() -> None:
    model = drawn(lambda: MultilayerPerceptron(width=8))
    model[2] = nn.Tanh()
    growth_of_relu = deepen(drawn(lambda: MultilayerPerceptron(width=8)), "1").model
    growth_of_relu[2] = nn.Tanh()
    assert float((outputs(growth_of_relu, images(8)) - outputs(model, images(8))).abs().max()) > 1e-2


def _with(move: growth._Move, **changes: Tensor | None) -> growth._Move:
    return dataclasses.replace(move, **changes)


def _ones(counts: Tensor | None) -> Tensor | None:
    return None if counts is None else torch.ones_like(counts)


@pytest.mark.parametrize("name", OTHER_UNITS)
def test_any_units_can_be_replicated(name: str) -> None:
    model = drawn(OTHER_UNITS[name])
    expected = outputs(model, images(8))
    student = doubled(model).model
    assert float((outputs(student, images(8)) - expected).abs().max()) <= EXACT * float(expected.abs().max())


@pytest.mark.parametrize("grow", GROW)
@pytest.mark.parametrize("name", NETS)
def test_a_plane_of_the_student_is_the_teachers(name: str, grow: Callable[[nn.Module], Growth]) -> None:
    """The linear map, running statistics and all, far from the trained weights too."""
    make, side = NETS[name]
    model = drawn(make)
    growth, origin = grow(model), read(model)
    generator = torch.Generator().manual_seed(5)
    first, second = (
        {key: torch.rand(tensor.shape, generator=generator, dtype=torch.float64) for key, tensor in origin.items()}
        for _ in range(2)
    )
    start, along_x, along_y = growth.weights(origin), growth.direction(first), growth.direction(second)
    for a, b in ((0.0, 0.0), (0.5, 0.2), (2.0, -0.1)):  # variances stay positive
        expected = outputs(model, images(side), add(add(origin, first, a), second, b))
        found = outputs(growth.model, images(side), add(add(start, along_x, a), along_y, b))
        assert float((found - expected).abs().max()) <= EXACT * float(expected.abs().max())
    moved = growth.weights(add(origin, first))
    assert all(torch.allclose(moved[key], tensor, rtol=1e-14) for key, tensor in add(start, along_x).items())


def test_a_direction_may_leave_parameters_out() -> None:
    model = drawn(NETS["mlp"][0])
    growth = deepen(model, "3")
    direction = {"5.weight": torch.ones(12, 12)}
    assert {name: tuple(tensor.shape) for name, tensor in growth.direction(direction).items()} == {"7.weight": (12, 12)}
    assert growth.direction(direction)["7.weight"].dtype == torch.float32


def test_what_is_replicated_is_drawn() -> None:
    model = drawn(lambda: MultilayerPerceptron(n_hidden=1, width=8))
    first, again, other = (widen(model, {"1": 20}, seed=seed).model for seed in (0, 0, 1))
    assert torch.equal(first[1].weight, again[1].weight)
    assert not torch.equal(first[1].weight, other[1].weight)
    assert torch.equal(first[1].weight[:8], model[1].weight)  # the units there were stay where they are
    assert {tuple(row.tolist()) for row in first[1].weight} == {tuple(row.tolist()) for row in model[1].weight}


def test_growth_can_be_repeated_and_the_teacher_stays_as_it_is() -> None:
    model = drawn(lambda: MultilayerPerceptron(n_hidden=1, width=8)).float().train()
    before = copy.deepcopy(model.state_dict())
    once = widen(model, {"1": 12})
    twice = deepen(once.model, "1")
    thrice = deepen(twice.model, "3")
    assert [name for name in read(thrice.model) if name.endswith("weight")] == ["1.weight", "3.weight", "5.weight", "7.weight"]
    composed = thrice.weights(twice.weights(once.weights(read(model))))
    assert all(torch.equal(tensor, composed[name]) for name, tensor in thrice.model.state_dict().items())
    assert thrice.model.training
    assert all(module.training for module in thrice.model.modules())
    assert thrice.model[1].out_features == 12
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    ("teacher", "student", "grow"),
    [
        ("digits-mlp-2x16", "digits-mlp-2x32", doubled),
        ("digits-mlp-2x16", "digits-mlp-3x16", deeper_at_last),
        ("digits-mlp-2x16", "digits-mlp-3x16", deeper_at_first),
        ("digits-cnn", "digits-cnn width=32", doubled),
        ("digits-vgg9", "digits-vgg9 width=16", doubled),
    ],
)
def test_students_fit_the_zoos_problems(teacher: str, student: str, grow: Callable[[nn.Module], Growth]) -> None:
    name, _, setting = student.partition(" ")
    model = problem(name, **{key: int(value) for key, value in [setting.split("=")] if setting}) if setting else problem(name)
    growth = grow(problem(teacher).model)
    missing = model.model.load_state_dict(growth.weights(read(problem(teacher).model)), strict=False)
    assert all(key.endswith("num_batches_tracked") for key in missing.missing_keys)
    assert missing.unexpected_keys == []
    model.model.load_state_dict(growth.model.state_dict())


@pytest.mark.parametrize("precision", ["fp32", "fp64"])
@pytest.mark.parametrize("name", ["digits-mlp-2x16", "digits-cnn"])
def test_the_sweep_shows_one_surface(tmp_path: Path, name: str, precision: str) -> None:
    """A trained teacher's random plane against its students' planes through three checkpoints."""
    trained = train(name, tmp_path / "teacher", epochs=10, settings={"width": 4} if name == "digits-cnn" else {})
    found = problem(name, **({"width": 4} if name == "digits-cnn" else {}))
    found.model.load_state_dict(torch.load(trained.end, weights_only=True)["state_dict"])
    origin = read(found.model)
    names = [key for key, tensor in origin.items() if tensor.dim() > 1]
    along = [random_direction(origin, roles(found.model), names, 0, axis).parameters for axis in "xy"]
    how = {"x": (-1, 1, 5), "y": (-1, 1, 5), "precision": precision, "examples": 200, "quiet": True, "threads": 1}
    expected = landscape.surface(found, seed=0, **how).values["train_loss"]
    assert expected.max() > 3 * expected[2, 2]  # a plane worth comparing
    for grow in (doubled, deeper_at_last):
        growth = grow(found.model)
        student = landscape.Problem(growth.model, nn.CrossEntropyLoss(), {"train": found.examples("train").tensors}, name="student")
        corners = [growth.weights(add(origin, direction)) for direction in along]
        shown = landscape.surface(student, growth.weights(origin), *corners, **how).values["train_loss"]
        # In fp32 the weights are rounded to 6e-8, which a few hundred of them in each of three layers take to 1e-6 of the outputs,
        # and an output's size is a loss's scale; so are the corners the directions are taken from, whatever the precision.
        assert float(np.abs(shown - expected).max()) <= 1e-5 * float(expected.max())


@pytest.mark.parametrize(
    ("work", "says"),
    [
        (
            lambda: widen(MultilayerPerceptron(), {"1": 32}),
            "32 units for layer 1 are fewer than the 64 it has; a net can only grow",
        ),
        (lambda: widen(MultilayerPerceptron(), {"2": 128}), 'the net has no hidden layer "2": one of: 1, 3, 5'),
        (lambda: widen(MultilayerPerceptron(), {"7": 128}), 'the net has no hidden layer "7": one of: 1, 3, 5'),  # the outputs
        (lambda: widen(MultilayerPerceptron(), {"1": 64.5}), "64.5 units for layer 1 are not a whole number"),
        (lambda: widen(MultilayerPerceptron(), {"1": True}), "True units for layer 1 are not a whole number"),
        (lambda: widen(MultilayerPerceptron(), {}, seed=-1), "the seed -1 is not a whole number from 0 to 2^63 - 1"),
        (lambda: deepen(MultilayerPerceptron(), "0"), 'the net has no hidden layer "0": one of: 1, 3, 5'),
        (lambda: deepen(ConvolutionalNetwork(), "feature.0"), 'did you mean "features.0"?'),
        (lambda: deepen(MultilayerPerceptron(units="sigmoid"), "1"), "the units of layer 1 are Sigmoid, through which"),
        (lambda: deepen(MultilayerPerceptron(units="maxout"), "1"), "the units of layer 1 are Maxout, through which"),
        (lambda: deepen(ConvolutionalNetwork(units="tanh"), "features.0"), "the units of layer features.0 are Tanh, through which"),
        (lambda: hidden_layers(SoftmaxRegression()), "a SoftmaxRegression cannot be widened or deepened; take one of: Multilayer"),
        (lambda: widen(ResidualPerceptron(), {}), "a ResidualPerceptron cannot be widened or deepened"),
        (lambda: widen(altered(nn.LayerNorm(64)), {}), "2 is a LayerNorm, for which there is no widening or deepening rule"),
        (lambda: deepen(altered(nn.Flatten()), "1"), "the units of layer 1 are none, through which"),
        (lambda: deepen(MultilayerPerceptron(), "1").weights({}), "the weights lack 1.weight, which the teacher has"),
        (
            lambda: deepen(MultilayerPerceptron(), "1").direction({"1.weights": torch.ones(1)}),
            'the teacher has no 1.weights: did you mean "1.weight"?',
        ),
        (
            lambda: widen(MultilayerPerceptron(), {"1": 70}).direction({"1.weight": torch.ones(70, 64)}),
            "1.weight has shape (70, 64), the teacher's (64, 64)",
        ),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(work: Callable[[], object], says: str) -> None:
    with pytest.raises(InputError) as caught:
        work()
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def altered(module: nn.Module) -> nn.Module:
    model = MultilayerPerceptron()
    model[2] = module
    return model
