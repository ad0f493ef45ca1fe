"""Setting a model to the points of a subspace."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from landscape import weights
from landscape.directions import Direction, between
from landscape.objective.mover import Mover
from landscape.subspace import Subspace


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
    move = Mover(private, Subspace(start, (direction,)))
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
    Mover(once, Subspace(start, (direction,)))((0.3,))
    move = Mover(twice, Subspace(start, (direction,)))
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
        monkeypatch.setattr("landscape.objective.mover._LARGE", 0)  # as with weights too large for a second copy
    move = Mover(first, Subspace(start, (towards, aside)))
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
