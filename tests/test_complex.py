"""Complex parameters stay complex: against loops in complex128, and against the same model of real pairs."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import N_EXAMPLES, integers, normal, seeded
from torch import Tensor, nn

import landscape
from landscape import Problem
from landscape.core import weights
from landscape.core.directions import (
    between,
    cosine,
    from_arrays,
    normals,
    offload_to_host,
    random_direction,
    roles,
    select_parameters,
)
from landscape.core.subspace import Subspace
from landscape.errors import InputError

# --- models, each as a function of its parameters, which the loops below call in double precision ---

Parameters = dict[str, Tensor]
Function = Callable[[Parameters, Tensor], Tensor]


class Model(nn.Module):
    """Some parameters and a function of them."""

    def __init__(self, function: Function, **shapes: tuple[torch.dtype, tuple[int, ...]]) -> None:
        super().__init__()
        self.function = function
        for name, (dtype, shape) in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.randn(shape, dtype=dtype)))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.function(dict(self.named_parameters()), inputs)


def linear(p: Parameters, inputs: Tensor) -> Tensor:
    """A complex linear layer, of whose outputs the moduli are taken."""
    return (inputs.to(p["w"].dtype) @ p["w"].T + p["b"]).abs() @ p["head"].T


def fourier(p: Parameters, inputs: Tensor) -> Tensor:
    """A Fourier neural operator's layer: complex weights `(n_in, n_out, n_modes)` on the lowest modes, beside a linear path."""
    signal = inputs[:, :, None] * p["lift"]
    modes = torch.fft.rfft(signal)
    mixed = torch.einsum("bim,iom->bom", modes[:, :, : p["w"].shape[2]], p["w"])
    straight = torch.einsum("bix,io->box", signal, p["head"])
    return (torch.fft.irfft(mixed, n=signal.shape[2]) + straight).tanh().mean(dim=2)


def filtered(p: Parameters, inputs: Tensor) -> Tensor:
    """GFNet's global filter: a product with a complex weight in the frequencies of an image."""
    images = inputs.reshape(-1, 2, 2)[:, None] * p["lift"]
    return torch.fft.irfft2(torch.fft.rfft2(images) * p["w"], s=(2, 2)).flatten(1) @ p["head"].T


C, R, D = torch.complex64, torch.float32, torch.float64
MODELS: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: Model(linear, w=(C, (5, 4)), b=(C, (5,)), head=(R, (3, 5))),
    "fourier": lambda: Model(fourier, w=(C, (4, 3, 2)), lift=(R, (4, 6)), head=(R, (4, 3))),
    "filtered": lambda: Model(filtered, w=(C, (3, 2, 2)), lift=(R, (3, 1, 1)), head=(R, (3, 12))),
}
BLOCKS: dict[str, dict[str, list[Any]]] = {  # filters that are no rows, by hand
    "fourier": {"w": [(slice(None), k) for k in range(3)]},
    "linear": {},
    "filtered": {},
}


def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return nn.functional.mse_loss(model(batch[0]), batch[1], reduction="none").mean(dim=1)


def data() -> tuple[Tensor, Tensor]:
    return normal(N_EXAMPLES, 4), normal(N_EXAMPLES, 3, seed=1)


def problem(name: str, seed: int = 0, **options: Any) -> Problem:
    filters = {"w": 1} if name == "fourier" else None
    return Problem(seeded(MODELS[name], seed), loss, {"train": data()}, filters=filters, **options)


def value(name: str, parameters: Parameters) -> float:
    """The loss by a plain loop in double precision."""
    inputs, targets = (part.double() for part in data())
    function = seeded(MODELS[name]).function
    parameters = {n: p.to(torch.complex128 if p.is_complex() else D) for n, p in parameters.items()}
    return float(((function(parameters, inputs) - targets) ** 2).mean())


def drawn(name: str, model: nn.Module, seed: int, axis: str, normalize: str) -> Parameters:
    """A direction by explicit loops: standard normal real and imaginary parts, lengths by moduli."""
    found = {}
    for key, parameter in model.named_parameters():
        theta = parameter.detach().to(torch.complex128 if parameter.is_complex() else D)
        pairs = normals(seed, axis, key, (*theta.shape, 2)) if theta.is_complex() else normals(seed, axis, key, theta.shape)
        delta = torch.complex(pairs[..., 0], pairs[..., 1]) if theta.is_complex() else pairs
        blocks = BLOCKS[name].get(key, list(range(len(theta))) if theta.dim() > 1 else [...])
        for block in blocks if "filter" in normalize else [...]:
            length, own = (float((part[block].abs() ** 2).sum()) ** 0.5 for part in (delta, theta))
            if normalize != "none":
                delta[block] *= (1.0 if normalize.startswith("unit") else own) / length
        found[key] = delta
    return found


EXACT = 5e-6  # relative: some 50 operations in float32, each rounding by 6e-8


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("normalize", ["filter", "layer", "unit-filter", "none"])
def test_random_planes_by_explicit_loops(name: str, normalize: str) -> None:
    given = problem(name)
    theta = {n: p.detach() for n, p in given.model.named_parameters()}
    x, y = (drawn(name, given.model, 3, axis, normalize) for axis in "xy")
    options: dict[str, Any] = {"ignore": "none", "x": (-1, 1, 2), "y": (0, 0.5, 2), "seed": 3, "quiet": True}
    found = landscape.surface(given, normalize=normalize, **options)
    expected = [[value(name, {n: t + a * x[n] + b * y[n] for n, t in theta.items()}) for b in (0, 0.5)] for a in (-1, 1)]
    assert found.values["train_loss"] == pytest.approx(np.array(expected), rel=EXACT)
    assert found.checks["passed"] == 1


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("engine", [{"precision": "fp64"}, {"offload": True}, {"engine": "batched"}, {"batch_size": 7}], ids=str)
def test_every_way_of_computing(name: str, engine: dict[str, Any]) -> None:
    given, end = problem(name), seeded(MODELS[name], 1)
    pairs = [(p.detach(), q.detach()) for p, q in zip(given.model.parameters(), end.parameters(), strict=True)]
    names = weights.parameter_names(end)
    expected = [value(name, {n: (1 - a) * p + a * q for n, (p, q) in zip(names, pairs, strict=True)}) for a in (0, 0.25, 1)]
    found = landscape.line(given, None, end, x=np.array([0, 0.25, 1]), quiet=True, **engine)
    # In double precision the direction alone is rounded, to float32, where it is formed: half a unit of 1.2e-7 of each entry.
    assert found.values["train_loss"] == pytest.approx(expected, rel=2e-6 if "precision" in engine else EXACT)
    assert [point.values["train_loss"] for point in found.points] == pytest.approx([expected[0], expected[2]], rel=EXACT)


def of_pairs(name: str) -> nn.Module:
    """The same model with each complex parameter stored as real pairs `(*shape, 2)` under its name, as GFNet does."""
    model = seeded(MODELS[name])
    whole = model.function
    model.function = lambda p, inputs: whole({n: torch.view_as_complex(t) if n in ("w", "b") and t.shape[-1] == 2 else t
                                              for n, t in p.items()}, inputs)  # fmt: skip
    for key, parameter in list(model.named_parameters()):
        if parameter.is_complex():
            model.register_parameter(key, nn.Parameter(torch.view_as_real(parameter.detach())))
    return model


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("normalize", ["filter", "unit-layer", "model"])
def test_complex_weights_move_as_the_real_pairs_that_they_are(name: str, normalize: str) -> None:
    given = problem(name)
    twin = Problem(of_pairs(name), loss, given.data, filters=given.filters)
    options: dict[str, Any] = {"x": (-1, 1, 3), "y": (-1, 1, 3), "normalize": normalize, "quiet": True, "only": "[wlh]*"}
    found, expected = (landscape.surface(one, **options) for one in (given, twin))
    assert found.values["train_loss"] == pytest.approx(expected.values["train_loss"], rel=EXACT)
    for one, other in zip(found.axes, expected.axes, strict=True):
        assert one.norm == pytest.approx(other.norm, rel=1e-6)
    for attribute in ("cosine", "cosine_sd"):
        assert found.attributes[attribute] == pytest.approx(expected.attributes[attribute], rel=1e-6)


def test_lengths_and_angles_are_those_of_real_pairs() -> None:
    first, second = normal(6, dtype=C), normal(6, seed=1, dtype=C)
    real = float((torch.view_as_real(first).double() * torch.view_as_real(second).double()).sum())
    assert weights.dot({"w": first}, {"w": second}) == pytest.approx(real, rel=1e-14)
    assert weights.norm({"w": first, "v": torch.ones(2)}) == pytest.approx(
        math.sqrt(float((first.abs().double() ** 2).sum()) + 2), rel=1e-7
    )
    assert weights.dot({"w": first}, {"w": 1j * first}) == pytest.approx(0, abs=1e-14)
    assert weights.difference({"w": second}, {"w": first}, ["w"])["w"].equal(second - first)
    assert weights.add({"w": first}, {"w": second}, 0.5)["w"].equal(first + 0.5 * second)


@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
def test_digests_tell_imaginary_parts_apart() -> None:
    first = torch.tensor([1 + 2j, 3 - 1j])
    assert weights.digest({"w": first}) != weights.digest({"w": first.conj()})
    assert weights.digest({"w": first.conj().conj()}) == weights.digest({"w": first})
    assert weights.digest({"w": first.conj()}) == weights.digest({"w": first.conj().resolve_conj()})
    assert weights.digest({"w": first.to(torch.complex128)}) != weights.digest({"w": first})
    assert len(weights.digest({"w": first.to(torch.complex32)})) == 64


def test_projection_finds_coordinates_back() -> None:
    model = seeded(MODELS["linear"])
    read = {name: weights.to_double(tensor) for name, tensor in weights.read(model).items()}
    space = Subspace(read, tuple(random_direction(read, roles(model), list(read), 0, axis) for axis in "xy"))
    coordinates, distance = space.project(space.point((0.3, -1.7)))
    assert coordinates == pytest.approx((0.3, -1.7), rel=1e-12)
    assert distance < 1e-12 * weights.norm(read)
    assert {name: tensor.dtype for name, tensor in space.point((1, 1)).items()} == {name: t.dtype for name, t in read.items()}


def test_between_moves_complex_buffers_too() -> None:
    model = nn.Module()
    model.w = nn.Parameter(torch.zeros(2))
    model.register_buffer("mean", torch.tensor([1 + 1j]))
    start = weights.read(model)
    found = between(start, {"w": torch.ones(2), "mean": torch.tensor([2 - 1j])}, model, ["w"])
    assert found.buffers["mean"].tolist() == [1 - 2j]


def test_directions_come_back_from_a_file(tmp_path: Path) -> None:
    given = problem("linear")
    options: dict[str, Any] = {"x": (-1, 1, 3), "quiet": True}
    first = landscape.line(given, to=tmp_path / "d.h5", save_directions=True, **options)
    again = landscape.line(given, directions=tmp_path / "d.h5", **options)
    assert np.array_equal(first.values["train_loss"], again.values["train_loss"])
    assert again.axes[0].attributes["sha256"] == first.axes[0].attributes["sha256"]


def test_arrays_are_of_the_models_kind() -> None:
    model = seeded(MODELS["linear"])
    read = weights.read(model)
    wide = from_arrays({"w": np.full((5, 4), 1 + 1j), "head": np.ones((3, 5))}, read, model, "d")
    assert (wide.parameters["w"].dtype, wide.parameters["head"].dtype) == (C, R)
    assert wide.norm == pytest.approx(math.sqrt(5 * 4 * 2 + 15))
    assert from_arrays({"w": np.ones((5, 4))}, read, model, "d").parameters["w"].dtype == C
    with pytest.raises(InputError, match="head holds complex numbers, the model's are real"):
        from_arrays({"head": np.full((3, 5), 1j)}, read, model, "d")


def test_off_device_keeps_complex_numbers() -> None:
    read, model = weights.read(seeded(MODELS["linear"])), seeded(MODELS["linear"])
    direction = random_direction(read, roles(model), select_parameters(read, roles(model), ()))
    assert offload_to_host(direction, torch.device("cpu")).sha256 == direction.sha256


def test_filters_of_equal_length_have_unit_complex_numbers() -> None:
    read, model = weights.read(seeded(MODELS["linear"])), seeded(MODELS["linear"])
    x, y = (random_direction(read, roles(model), ["w"], seed, normalize="unit-filter") for seed in (0, 1))
    assert x.norm == pytest.approx(math.sqrt(5), rel=1e-6)
    assert abs(cosine(x, y)) < 1
    # 10^5 complex numbers: real and imaginary parts have variance 1 each and no correlation, to 5 sd of √(2/n) and √(1/n).
    parts = torch.view_as_real(random_direction({"w": torch.ones(100_000, dtype=C)}, {"w": roles(model)["b"]}, ["w"],
                               normalize="none").parameters["w"]).double()  # fmt: skip
    assert parts.var(dim=0).tolist() == pytest.approx([1, 1], abs=5 * math.sqrt(2e-5))
    assert abs(float((parts[:, 0] * parts[:, 1]).mean())) < 5 * math.sqrt(1e-5)


# --- a loss is real ---


def test_a_complex_loss_is_refused() -> None:
    inputs = normal(N_EXAMPLES, 4)
    given = problem("linear")
    for function in (
        lambda model, batch: (batch[0].to(C) @ model.w.T).sum(dim=1),
        lambda model, batch: (torch.ones(len(batch[0])), torch.ones(len(batch[0]), dtype=C)),
        lambda model, batch: {"loss": model(batch[0]).sum(dim=1), "phase": torch.ones(len(batch[0]), dtype=C)},
    ):
        with pytest.raises(InputError, match="complex numbers; a loss is real"):
            landscape.line(Problem(given.model, function, given.data), x=(0, 1, 2), quiet=True)
    model = Model(lambda p, x: x.to(C) @ p["w"].T, w=(C, (3, 4)))
    complex_targets = Problem(model, Squared(), {"train": (inputs, normal(N_EXAMPLES, 3, dtype=C))})
    with pytest.raises(InputError, match="criterion Squared returned losses in complex numbers"):
        landscape.line(complex_targets, x=(0, 1, 2), quiet=True)


class Squared(nn.Module):
    reduction = "mean"

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - targets) ** 2


def test_classes_by_moduli() -> None:
    """A criterion with class targets, whose outputs' width is looked up with the user's own inputs."""
    model = seeded(lambda: Model(lambda p, x: (x.to(p["w"].dtype) @ p["w"].T).abs(), w=(C, (3, 4))))
    inputs, targets = normal(N_EXAMPLES, 4), integers(3, N_EXAMPLES)
    found = landscape.line(Problem(model, nn.CrossEntropyLoss(), {"train": (inputs, targets)}), x=(0, 1, 2), quiet=True)
    theta, delta = model.w.detach().to(torch.complex128), drawn("linear", model, 0, "x", "filter")["w"]
    for a, loss in enumerate(found.values["train_loss"]):
        outputs = (inputs.to(torch.complex128) @ (theta + a * delta).T).abs()
        assert loss == pytest.approx(float(nn.functional.cross_entropy(outputs, targets)), rel=EXACT)
