"""Running statistics, interpolated or frozen, against hand-written loops."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from cases import Images, images, integers, normal, seeded
from torch import Tensor, nn

from landscape import Problem
from landscape.core import weights
from landscape.core.directions import between
from landscape.core.subspace import Subspace
from landscape.evaluate import Engine, Objective, choose
from landscape.problem import Examples

CPU = torch.device("cpu")
N_CALIBRATION = 600  # two batches of 256, and a ragged one of 88


def by_example(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return F.cross_entropy(model(batch[0]), batch[1], reduction="none")


CALIBRATION = (3 * normal(N_CALIBRATION, 2, 6, 6, seed=8) - 1, integers(3, N_CALIBRATION, seed=8))


def line(start: nn.Module, end: nn.Module) -> Subspace:
    first, second = weights.read(start), weights.read(end)
    return Subspace(first, (between(first, second, start, weights.parameter_names(start)),))


def measured(problem: Problem, space: Subspace, bn: str, place: float, calibration: Examples | None = None) -> float:
    engine = Engine(CPU, "fp64", 7, bn)
    samples = [choose(problem.examples("train"), None, 0, False)]
    return Objective(problem, space, samples, engine, calibration)((place,)).estimates["train_loss"].value


def at(start: nn.Module, end: nn.Module, place: float, with_statistics: bool) -> nn.Module:
    """The model at a place of a line, put together by hand in float64."""
    model = copy.deepcopy(start).double().eval()
    mine, theirs = start.state_dict(), end.state_dict()
    parameters = {name for name, _ in start.named_parameters()}
    state = {}
    for name, tensor in mine.items():
        moves = name in parameters or (with_statistics and tensor.is_floating_point())
        state[name] = (1 - place) * tensor.double() + place * theirs[name].double() if moves else tensor
    model.load_state_dict(state)
    return model


def own_loss(model: nn.Module, problem: Problem) -> float:
    inputs, targets = problem.data["train"]
    with torch.no_grad():
        return float(F.cross_entropy(model(inputs.double()), targets))


# The direction is a difference rounded to float32 once: 6e-8 of each weight, a few times that in the loss.
ROUNDED = 1e-6


@pytest.mark.parametrize("place", [0.0, 0.3, 1.0, 1.5])
def test_interpolated_statistics_go_along_the_line(place: float) -> None:
    problem, end = images(), images(1).model
    expected = own_loss(at(problem.model, end, place, with_statistics=True), problem)
    assert measured(problem, line(problem.model, end), "interpolated", place) == pytest.approx(expected, rel=ROUNDED)


@pytest.mark.parametrize("place", [0.0, 0.3, 1.0])
def test_frozen_statistics_stay_at_the_origins(place: float) -> None:
    problem, end = images(), images(1).model
    space = line(problem.model, end)
    frozen = Subspace(space.origin, tuple(type(d)(d.parameters) for d in space.directions))
    expected = own_loss(at(problem.model, end, place, with_statistics=False), problem)
    assert measured(problem, frozen, "frozen", place) == pytest.approx(expected, rel=ROUNDED)


def test_counters_and_the_users_statistics_never_move() -> None:
    problem = images()
    model = problem.model.train()
    before = copy.deepcopy(model.state_dict())
    space = line(model, seeded(Images, 1))
    for bn in ("interpolated", "recalibrated"):
        measured(problem, space, bn, 0.5, Examples.read("c", CALIBRATION))
    assert int(before["bn.num_batches_tracked"]) == 3
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(module.training for module in model.modules())
