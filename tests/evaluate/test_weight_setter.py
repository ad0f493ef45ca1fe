"""Setting a model to the points of a subspace."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from landscape.core import weights
from landscape.core.directions import Direction, between
from landscape.core.subspace import Subspace
from landscape.evaluate.weight_setter import WeightSetter


def pair() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    first = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3))
    second = copy.deepcopy(first)
    for parameter in second.parameters():
        parameter.data.add_(torch.randn_like(parameter))
    second[1].running_var.fill_(1e-5)  # beside a variance of 1 in the other model: a difference in float32 loses it
    second[1].running_mean.normal_()
    return first, second


def test_the_end_of_a_line_has_the_other_models_statistics_to_the_last_bit() -> None:
    first, second = pair()
    start, end = weights.read(first), weights.read(second)
    direction = between(start, end, first, weights.parameter_names(first))
    private = copy.deepcopy(first)
    move = WeightSetter(private, Subspace(start, (direction,)))
    move((1.0,))
    assert private[1].running_var.equal(second[1].running_var)
    assert private[1].running_mean.equal(second[1].running_mean)
    for name, parameter in private.named_parameters():  # (1 - a) A + a B at a = 1, each operation rounding by half a unit at most
        bound = 2**-23 * (start[name].abs() + end[name].abs() + (end[name] - start[name]).abs())
        assert ((parameter - end[name]).abs() <= bound).all()
    move((0.0,))
    assert all(tensor.equal(start[name]) for name, tensor in weights.read(private).items())


def test_a_point_does_not_depend_on_the_points_before_it() -> None:
    first, second = pair()
    start = weights.read(first)
    direction = between(start, weights.read(second), first, weights.parameter_names(first))
    once, twice = copy.deepcopy(first), copy.deepcopy(first)
    WeightSetter(once, Subspace(start, (direction,)))((0.3,))
    move = WeightSetter(twice, Subspace(start, (direction,)))
    for coordinate in (1e6, -2.0, 0.3):
        move((coordinate,))
    assert all(tensor.equal(weights.read(once)[name]) for name, tensor in weights.read(twice).items())


@pytest.mark.parametrize("by_tensor", [False, True])
def test_several_places_at_once_are_those_places(monkeypatch: pytest.MonkeyPatch, by_tensor: bool) -> None:
    first, second = pair()
    start = weights.read(first)
    towards = between(start, weights.read(second), first, weights.parameter_names(first))
    aside = Direction({name: torch.randn_like(start[name]) for name in towards.parameters})
    if by_tensor:
        monkeypatch.setattr("landscape.evaluate.weight_setter._LARGE", 0)  # as with weights too large for a second copy
    move = WeightSetter(first, Subspace(start, (towards, aside)))
    places = [(0.3, 0.0), (0.0, 0.0), (-2.0, 0.5)]
    found = move.several(places)
    for k, place in enumerate(places):
        move(place)
        # One sum rounds its products, the other may not: the last bits of numbers of a size of some 10.
        assert all(
            torch.allclose(found[name][k], tensor, rtol=1e-6, atol=1e-6)
            for name, tensor in weights.read(first).items()
            if name in found
        )
    assert set(found) == {*towards.parameters, *towards.buffers}


TYPES = (torch.float32, torch.float64, torch.complex64, torch.complex128, torch.float16, torch.bfloat16)


def mixed() -> nn.Module:
    """A parameter of each type twice, in turns, one of them with its axes the other way round, and one that stays."""
    model = nn.ParameterDict({f"{dtype}"[6:] + "1": nn.Parameter(torch.randn(3, 2).to(dtype)) for dtype in TYPES})
    model |= {f"{dtype}"[6:] + "2": nn.Parameter(torch.randn(3, 2).to(dtype).t()) for dtype in TYPES}
    model["fixed"] = nn.Parameter(torch.randn(2))
    model["count"] = nn.Parameter(torch.arange(3), requires_grad=False)
    return model


@pytest.mark.parametrize("way", ["flat", "by tensor", "offloaded"])
def test_every_type_is_moved_in_its_own(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    torch.manual_seed(0)
    model = mixed()
    if way == "by tensor":
        monkeypatch.setattr("landscape.evaluate.weight_setter._LARGE", 0)
    start = weights.read(model)
    names = [name for name in start if name not in ("fixed", "count")]
    parts = [{name: torch.randn(start[name].shape, dtype=weights.to_double(start[name]).dtype) for name in names} for _ in "xy"]
    directions = [
        {name: part.to(torch.promote_types(start[name].dtype, torch.float32)) for name, part in one.items()} for one in parts
    ]
    del directions[1]["float641"]  # a direction may lack some
    move = WeightSetter(model, Subspace(start, tuple(map(Direction, directions))), offload=way == "offloaded")
    places = [(0.3, -0.7), (0.0, 0.0), (-2.0, 0.5), (1e-4, 0.0)]
    found = move.several(places)
    assert set(found) == set(names)
    for k, place in enumerate(places):
        move(place)
        for name, tensor in model.items():
            assert tensor.dtype == start[name].dtype
            if name not in names:
                assert tensor.equal(start[name])
                continue
            exact = weights.to_double(start[name]) + sum(
                a * weights.to_double(one[name].to(tensor.dtype if tensor.itemsize > 2 else one[name].dtype))
                for a, one in zip(place, directions, strict=True)
                if name in one
            )
            # Half types are rounded once, to the nearest; the others three times, at numbers of 10 at most.
            if tensor.dtype in (torch.float16, torch.bfloat16):
                assert tensor.equal(exact.to(tensor.dtype))
            else:
                torch.testing.assert_close(weights.to_double(tensor), exact, rtol=0, atol=30 * torch.finfo(tensor.dtype).eps)
            torch.testing.assert_close(found[name][k], tensor.detach(), rtol=0, atol=30 * torch.finfo(tensor.dtype).eps)
