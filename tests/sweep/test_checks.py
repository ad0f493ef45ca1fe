"""The self-check: it passes where the engine is right, and fails where something is wrong."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from cases import CATALOGUE, coordinates, images, normal, perceptron, regression, seeded
from torch import Tensor, nn

import landscape
from landscape import Problem, Surface
from landscape.objective import Objective


def plane(problem: Problem, **options: Any) -> Surface:
    return landscape.surface(problem, **{"x": (-1, 1, 2), "y": (-1, 1, 2), "quiet": True, **options})


@pytest.mark.parametrize("precision", ["fp32", "fp64", "bf16"])
@pytest.mark.parametrize("name", CATALOGUE)
def test_it_passes_for_every_kind_of_problem(name: str, precision: str) -> None:
    if name == "tokens" and precision == "bf16":
        pytest.skip("autocast on the CPU leaves LSTMs in float32 or refuses them, by torch's version")
    surface = plane(CATALOGUE[name](), precision=precision)
    assert surface.checks["passed"] == 1
    assert surface.checks["repeat_difference"] == 0
    assert surface.checks["nan_count"] == 0


def test_the_origin_is_measured_though_the_grid_has_no_such_node() -> None:
    problem = perceptron(torch.float64)
    inputs, targets = problem.data["train"]
    surface = plane(problem)
    own = F.cross_entropy(problem.model(inputs), targets).item()
    assert 0.0 not in surface.x
    assert surface.checks["origin_train_loss"] == pytest.approx(own, rel=1e-12)
    assert surface.checks["origin_train_loss_apart"] == pytest.approx(own, rel=1e-12)
    assert surface.origin("train_loss") == surface.points[0].values["train_loss"]
    assert surface.points[0].coordinates == (0.0, 0.0)


def test_both_ends_of_a_line_are_checked() -> None:
    surface = landscape.line(images(), None, images(1).model, x=(0, 1, 3), quiet=True)
    assert surface.checks["passed"] == 1
    assert {point.name: point.coordinates for point in surface.points} == {"model": (0.0,), "end": (1.0,)}
    for node, point in ((0, surface.points[0]), (2, surface.points[1])):
        assert surface.values["train_loss"][node] == pytest.approx(point.values["train_loss"], rel=1e-5)
    assert "end_train_loss_difference" in surface.checks


@pytest.mark.parametrize("share", [0.5, 0.05, 3e-4])
@pytest.mark.parametrize("kept", ["bias", "only"])
def test_a_model_slightly_out_of_the_plane_is_not_marked_as_lying_in_it(share: float, kept: str) -> None:
    """Its bias stays behind, so that the model itself is a small share of its distance away from where the grid has its node."""
    problem = regression()
    start = {name: tensor.detach().clone() for name, tensor in problem.model.state_dict().items()}
    ends = []
    for seed in (1, 2):
        step = {name: normal(*tensor.shape, seed=seed, dtype=torch.float64) for name, tensor in start.items()}
        length = float(step["weight"].norm() / step["bias"].norm())
        ends.append({name: start[name] + step[name] * (share * length if name == "bias" else 1.0) for name in start})
    ends[0]["bias"] = start["bias"].clone()  # the second model lies in the plane, the third does not
    options: dict[str, Any] = {"ignore": "bias"} if kept == "bias" else {"only": "weight"}
    surface = landscape.surface(problem, start, *ends, x=(0, 1, 2), y=(0, 1, 2), quiet=True, **options)
    assert [point.coordinates for point in surface.points] == [(0.0, 0.0), (1.0, 0.0)]
    line = landscape.line(problem, start, ends[1], x=(0, 1, 2), quiet=True, **options)
    assert [point.coordinates for point in line.points] == [(0.0,)]


def test_a_model_with_other_frozen_statistics_is_marked_not_compared() -> None:
    surface = landscape.line(images(), None, images(1).model, x=(0, 1, 3), bn="frozen", quiet=True)
    assert surface.checks["passed"] == 1
    assert "statistics" in surface.checks["end_compared"]
    assert "end_train_loss" not in surface.checks


def test_a_wrong_engine_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    measure = Objective.measure

    def wrong(self: Objective, place: Any, tolerance: float = 0.0) -> Any:
        return measure(self, tuple(c + 0.01 for c in place), tolerance)

    monkeypatch.setattr(Objective, "measure", wrong)
    surface = plane(perceptron(), quiet=False)
    assert surface.checks["passed"] == 0
    assert "self-check failed: at origin the surface has train_loss" in capsys.readouterr().err


def test_a_loss_that_draws_random_numbers_fails() -> None:
    def noisy(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return torch.rand(len(batch[0])) + 0 * model(batch[0]).sum(1)

    surface = plane(Problem(regression().model.float(), noisy, {"train": (normal(9, 3), normal(9, 2))}))
    assert surface.checks["passed"] == 0
    assert surface.checks["repeat_difference"] > 0


def test_batch_norm_on_batches_fails_for_the_values_depend_on_them() -> None:
    model = seeded(lambda: nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4, track_running_stats=False), nn.Linear(4, 2)))
    problem = Problem(model, nn.MSELoss(), {"train": (normal(150, 3), normal(150, 2))})
    assert plane(problem, batch_size=40).checks["passed"] == 0


def test_losses_of_whole_batches_are_checked_with_the_same_batches() -> None:
    def largest(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return (model(batch[0]) - batch[1]).square().max()

    data = {"train": (normal(50, 3), normal(50, 2))}
    surface = plane(Problem(seeded(lambda: nn.Linear(3, 2)), largest, data, per_example=False), batch_size=8)
    assert surface.checks["passed"] == 1
    assert np.isnan(surface.stderr["train_loss"]).all()
    assert surface.runs[0]["batch_size"] == 8


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.0, -7.5])
def test_losses_of_any_value_agree_with_themselves(value: float) -> None:
    problem, _ = coordinates(lambda a, b: value)
    surface = plane(problem, ignore="none", normalize="none")
    assert surface.checks["passed"] == 1
    assert surface.checks["nan_count"] == (0 if math.isfinite(value) else 4)
    assert surface.checks.get("nan_count_train_loss", 0) == (0 if math.isfinite(value) else 4)


@pytest.mark.parametrize("loss", [math.inf, -math.inf])
def test_a_finite_value_does_not_agree_with_an_infinite_loss(loss: float, monkeypatch: pytest.MonkeyPatch) -> None:
    measure = Objective.measure

    def finite(self: Objective, place: Any, tolerance: float = 0.0) -> Any:
        found = measure(self, place, tolerance)
        return replace(found, estimates={key: replace(estimate, value=1.0) for key, estimate in found.estimates.items()})

    monkeypatch.setattr(Objective, "measure", finite)
    problem, _ = coordinates(lambda a, b: loss, torch.float32)
    assert plane(problem, ignore="none", normalize="none").checks["passed"] == 0


def test_a_recalibrated_origin_is_checked_too() -> None:
    assert plane(images(), bn="recalibrated").checks["passed"] == 1
    assert landscape.line(images(), None, images(1).model, x=(0, 1, 2), bn="recalibrated", quiet=True).checks["passed"] == 1


def test_splits_whose_names_begin_alike_are_kept_apart() -> None:
    problem = regression()
    clean = tuple(part[:7] for part in problem.data["train"])
    both = Problem(problem.model, nn.MSELoss(), {"train": problem.data["train"], "train_clean": clean})
    surface = plane(both, split=["train", "train_clean"])
    assert surface.metrics["train_clean_loss"].split == "train_clean"
    assert surface.metrics["train_clean_loss"].name == "loss"
    assert (surface.examples["train"] == 29).all()
    assert (surface.examples["train_clean"] == 7).all()


@pytest.mark.parametrize(("in_fp64", "passed"), [(1 + 1e-5, 1), (1 + 2.9e-5, 0)])
def test_a_network_that_magnifies_rounding_may_differ_by_so_much(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], in_fp64: float, passed: int
) -> None:
    def apart(problem: Problem, weights: Any, samples: Any, device: Any, dtype: torch.dtype, *others: Any) -> dict[str, float]:
        return {"train_loss": 1 + 3e-5 if dtype == torch.float32 else in_fp64}

    monkeypatch.setattr("landscape.sweep.checks.measure_apart", apart)
    problem = Problem(
        seeded(lambda: nn.Linear(2, 1)),
        lambda model, batch: torch.ones(len(batch)) + 0 * model(batch)[:, 0],
        {"train": normal(9, 2)},
    )
    checks = plane(problem, quiet=False).checks  # 3e-5 apart; the model's own rounding is 2e-5, then 1e-6
    assert checks["passed"] == passed
    assert checks["origin_train_loss_fp64"] == in_fp64
    assert ("self-check failed" in capsys.readouterr().err) != bool(passed)
