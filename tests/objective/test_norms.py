"""Running statistics, moved, frozen or recalibrated, against hand-written loops."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from cases import Images, images, integers, normal, seeded
from torch import Tensor, nn

from landscape import Problem, weights
from landscape.directions import between, moving, random_direction, roles
from landscape.objective import Engine, Objective, choose, measure_apart
from landscape.problem import Examples
from landscape.subspace import Subspace

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
def test_moved_statistics_go_along_the_line(place: float) -> None:
    problem, end = images(), images(1).model
    expected = own_loss(at(problem.model, end, place, with_statistics=True), problem)
    assert measured(problem, line(problem.model, end), "moved", place) == pytest.approx(expected, rel=ROUNDED)


@pytest.mark.parametrize("place", [0.0, 0.3, 1.0])
def test_frozen_statistics_stay_at_the_origins(place: float) -> None:
    problem, end = images(), images(1).model
    space = line(problem.model, end)
    frozen = Subspace(space.origin, tuple(type(d)(d.parameters) for d in space.directions))
    expected = own_loss(at(problem.model, end, place, with_statistics=False), problem)
    assert measured(problem, frozen, "frozen", place) == pytest.approx(expected, rel=ROUNDED)


def calibrated(model: nn.Module, inputs: Tensor) -> nn.Module:
    """The plain mean over batches of 256 of what batch norm sees, everything else in eval mode: dropout must not act."""
    seen: list[tuple[Tensor, Tensor]] = []
    layer = model.bn

    def see(module: nn.Module, arguments: tuple[Tensor], output: Tensor) -> None:
        channels = arguments[0].transpose(0, 1).flatten(1)
        seen.append((channels.mean(1), channels.var(1, unbiased=True)))

    hook = layer.register_forward_hook(see)
    layer.train()
    with torch.no_grad():
        for start in range(0, len(inputs), 256):
            model(inputs[start : start + 256].double())
    hook.remove()
    layer.eval()
    with torch.no_grad():
        layer.running_mean.copy_(torch.stack([mean for mean, _ in seen]).mean(0))
        layer.running_var.copy_(torch.stack([var for _, var in seen]).mean(0))
    return model


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(), by_example], ids=["criterion", "function"])
@pytest.mark.parametrize("place", [0.0, 0.7])
def test_recalibrated_statistics_are_the_mean_over_batches(place: float, loss: Any) -> None:
    model = images().model
    problem = Problem(model, loss, {"train": images().data["train"]})
    read, found = weights.read(model), roles(model)
    direction = random_direction(read, found, moving(read, found, ("bias", "norm")))
    space = Subspace(read, (direction,))
    by_hand = copy.deepcopy(model).double().eval()
    by_hand.load_state_dict(
        {**by_hand.state_dict(), **{n: read[n].double() + place * d.double() for n, d in direction.parameters.items()}}
    )
    expected = own_loss(calibrated(by_hand, CALIBRATION[0]), problem)
    calibration = Examples.read("calibration", CALIBRATION)
    # float64 throughout; 600 examples summed in another order.
    assert measured(problem, space, "recalibrated", place, calibration) == pytest.approx(expected, rel=1e-11)
    if place == 0:
        samples = [choose(problem.examples("train"), None, 0, False)]
        apart = measure_apart(problem, read, samples, CPU, torch.float64, calibration)
        assert apart["train_loss"] == pytest.approx(expected, rel=1e-11)
    assert expected != pytest.approx(own_loss(copy.deepcopy(model).double().eval(), problem), rel=1e-3)


def test_recalibration_uses_the_first_2048_examples() -> None:
    problem = images()
    space = line(problem.model, images(1).model)
    frozen = Subspace(space.origin, tuple(type(d)(d.parameters) for d in space.directions))
    inputs = normal(2200, 2, 6, 6, seed=8)
    less, more = (Examples.read("c", (inputs[:n], integers(3, n))) for n in (2048, 2200))
    other = Examples.read("c", (torch.cat([inputs[:2000], 5 * inputs[2000:]]), integers(3, 2200)))
    values = [measured(problem, frozen, "recalibrated", 0.5, c) for c in (less, more, other)]
    assert values[0] == values[1]
    assert values[2] != values[0]


def test_a_last_batch_of_one_example_has_no_variance_and_is_left_out() -> None:
    model = seeded(lambda: nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)))
    inputs, targets = normal(257, 3), integers(2, 257)
    problem = Problem(model, nn.CrossEntropyLoss(), {"train": (inputs, targets)})
    read, found = weights.read(model), roles(model)
    space = Subspace(read, (random_direction(read, found, moving(read, found, ("bias", "norm"))),))
    values = [measured(problem, space, "recalibrated", 0.5, Examples.read("c", (inputs[:n], targets[:n]))) for n in (256, 257)]
    assert values[0] == values[1]


def test_counters_and_the_users_statistics_never_move() -> None:
    problem = images()
    model = problem.model.train()
    before = copy.deepcopy(model.state_dict())
    space = line(model, seeded(Images, 1))
    for bn in ("moved", "recalibrated"):
        measured(problem, space, bn, 0.5, Examples.read("c", CALIBRATION))
    assert int(before["bn.num_batches_tracked"]) == 3
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(module.training for module in model.modules())
