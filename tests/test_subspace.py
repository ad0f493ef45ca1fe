"""The subspace: points by hand, and projections against a least-squares solution over flat vectors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases import CATALOGUE

from landscape.core import weights
from landscape.core.directions import Direction, between, random_direction, roles
from landscape.core.subspace import Subspace


def flat(tensors: weights.Weights) -> np.ndarray:
    return np.concatenate([tensors[name].double().numpy().ravel() for name in sorted(tensors)])


def test_points_are_sums() -> None:
    origin = {"w": torch.tensor([1.0, 2.0]), "mean": torch.tensor([5.0]), "fixed": torch.tensor([7.0])}
    x = Direction({"w": torch.tensor([10.0, 0.0])}, {"mean": torch.tensor([1.0])})
    y = Direction({"w": torch.tensor([0.0, 100.0])})
    point = Subspace(origin, (x, y)).point((0.5, -1))
    assert {name: tensor.tolist() for name, tensor in point.items()} == {"w": [6.0, -98.0], "mean": [5.5], "fixed": [7.0]}
    assert origin["w"].tolist() == [1.0, 2.0]


@pytest.mark.parametrize("name", CATALOGUE)
def test_projection_finds_the_coordinates_back(name: str) -> None:
    model = CATALOGUE[name]().model.double()
    read, names = weights.read(model), weights.parameter_names(model)
    x, y = (random_direction(read, roles(model), names, 0, axis) for axis in "xy")
    space = Subspace(read, (x, y))
    coordinates, distance = space.project({n: space.point((0.3, -1.7))[n] for n in names})
    assert coordinates == pytest.approx((0.3, -1.7), rel=1e-12)
    assert distance < 1e-12 * x.norm


def test_projection_is_least_squares() -> None:
    model = CATALOGUE["images"]().model.double()
    read, names = weights.read(model), weights.parameter_names(model)
    other = {n: torch.sin(torch.arange(read[n].numel(), dtype=torch.float64)).reshape(read[n].shape) for n in names}
    moving = names[:4]  # the directions do not touch the rest, whose distance counts all the same
    x, y = (random_direction(read, roles(model), moving, 0, axis) for axis in "xy")
    columns = np.stack([flat({n: d.parameters.get(n, torch.zeros_like(read[n])) for n in names}) for d in (x, y)], axis=1)
    gap = flat({n: other[n] - read[n] for n in names})
    expected, residual = np.linalg.lstsq(columns, gap, rcond=None)[:2]
    coordinates, distance = Subspace(read, (x, y)).project(other)
    assert coordinates == pytest.approx(expected, rel=1e-10)
    assert distance == pytest.approx(float(np.sqrt(residual[0])), rel=1e-10)


def test_both_ends_of_a_line_are_the_models() -> None:
    first, second = CATALOGUE["images"]().model, CATALOGUE["images"]().model
    with torch.no_grad():
        for tensor in weights.read(second):
            dict(second.state_dict())[tensor].mul_(1.5).add_(0.25)
    start, end = weights.read(first), weights.read(second)
    line = Subspace(start, (between(start, end, first, weights.parameter_names(first)),))
    for name, tensor in line.point((0.0,)).items():
        assert torch.equal(tensor, start[name])
    for name, tensor in line.point((1.0,)).items():
        torch.testing.assert_close(tensor, end[name], rtol=3e-7, atol=3e-7)  # two roundings of float32
