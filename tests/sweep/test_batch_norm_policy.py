"""What running statistics do by default and by name, what the file says of it, and what is not told under `frozen`."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from cases import integers, normal, perceptron, seeded
from torch import Tensor, nn

import landscape
from landscape import Problem, Surface
from landscape.errors import InputError
from landscape.measures import alpha_half, barrier, bump, climb, turning_points_between
from landscape.report import describe

QUIET = {"quiet": True, "device": "cpu", "threads": 1}
WIDE = (-0.5, 1.5, 9)


class Fixed(nn.Module):
    """A norm that torch knows nothing of, with statistics that never train."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(n))
        self.register_buffer("running_var", torch.ones(n))

    def forward(self, inputs: Tensor) -> Tensor:
        return (inputs - self.running_mean) / (self.running_var + 1e-5).sqrt()


def net(seed: int, variances: list[float], norm: Callable[[int], nn.Module] = nn.BatchNorm1d) -> nn.Module:
    model = seeded(lambda: nn.Sequential(nn.Linear(4, 3), norm(3), nn.Tanh(), nn.Linear(3, 3)), seed)
    model[1].running_mean.copy_(normal(3, seed=seed))
    model[1].running_var.copy_(torch.tensor(variances))
    return model


def problem_of(model: nn.Module, *splits: str, n: int = 40) -> Problem:
    data = {split: (normal(n, 4, seed=5), integers(3, n, seed=5)) for split in splits or ("train",)}
    return Problem(model, nn.CrossEntropyLoss(), data, name="net")


A, B, C = (net(0, [1.0, 0.5, 2.0]), net(1, [0.25, 1.5, 3.0]), net(2, [2.0, 0.25, 1.0]))  # between A and B from α = -0.5 to 4/3
NEAR = net(1, [1.25, 0.75, 2.5])  # from -2 on
REASON = "a running variance would be negative: valid for x from -0.5 (set by 1) to 1.3333 (set by 1)"


def line(start: nn.Module, end: nn.Module | None, x: Any = WIDE, **options: Any) -> Surface:
    return landscape.line(problem_of(start), None, end, x=x, **{**QUIET, **options})


def loss_of(model: nn.Module, recalibrated: bool = False) -> float:
    """The model's own loss over its 40 examples, in eval mode, with its own statistics or those of the examples."""
    model = copy.deepcopy(model).eval()
    inputs, targets = problem_of(model).data["train"]
    with torch.no_grad():
        hidden = model[0](inputs)
        if recalibrated:
            model[1].running_mean.copy_(hidden.mean(0))
            model[1].running_var.copy_(hidden.var(0))
        return float(F.cross_entropy(model(inputs), targets))


CLOSE = pytest.approx  # float32: some hundred operations of 6e-8
ROUNDED = 1e-5


def test_between_checkpoints_statistics_go_along_where_they_may() -> None:
    for end, x in ((NEAR, WIDE), (B, (0, 1, 5)), (B, (-0.5, 1.25, 8))):
        surface = line(A, end, x)
        assert surface.attributes["bn"] == "interpolated"
        assert surface.attributes["bn_layers"] == 1
        assert "bn_reason" not in surface.attributes
        assert np.isfinite(surface.values["train_loss"]).all()
        if {0.0, 1.0} <= set(surface.x):
            ends = [float(surface.values["train_loss"][surface.x == alpha][0]) for alpha in (0, 1)]
            assert ends == CLOSE([loss_of(A), loss_of(end)], rel=ROUNDED)


def test_where_they_may_not_they_are_recalibrated_and_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    surface = line(A, B, to=tmp_path / "s.h5", quiet=False)
    said = [text for text in capsys.readouterr().err.splitlines() if "batch norm" in text]
    assert len(said) == 1
    assert f"batch norm recalibrated: interpolated, {REASON}" in said[0]
    for held in (surface, landscape.read(tmp_path / "s.h5")):
        assert held.attributes["bn"] == "recalibrated"
        assert held.attributes["bn_reason"] == f"interpolated, {REASON}"
        assert f"recalibrated: interpolated, {REASON}" in describe(held)
    assert surface.attributes["bn_calibration"].startswith("first 2048")
    assert np.array_equal(surface.values["train_loss"], line(A, B, bn="recalibrated").values["train_loss"])
    ends = [float(surface.values["train_loss"][surface.x == alpha][0]) for alpha in (0, 1)]
    assert ends == CLOSE([loss_of(A, True), loss_of(B, True)], rel=ROUNDED)
    own = [loss_of(A, False), loss_of(B, False)]  # the models' own statistics are theirs
    assert [point.values["train_loss"] for point in surface.points] == CLOSE(own, rel=ROUNDED)
    assert barrier(surface).withheld == bump(surface).withheld == ""


def test_without_a_training_split_there_is_nothing_to_recalibrate_on() -> None:
    problem = problem_of(A, "valid", "test")
    with pytest.raises(InputError) as raised:
        landscape.line(problem, None, B, x=WIDE, split="test", **QUIET)
    assert "--bn" in str(raised.value)
    assert REASON in str(raised.value)
    assert "\n" not in str(raised.value)
    assert landscape.line(problem, None, B, x=(0, 1, 3), split="test", **QUIET).attributes["bn"] == "interpolated"
    with pytest.raises(InputError, match=r'--bn recalibrated .* no data split "train" \(but valid, test\)'):
        landscape.line(problem, None, B, x=(0, 1, 3), split="test", bn="recalibrated", **QUIET)


def test_asked_for_by_name_points_of_negative_variance_are_nan(tmp_path: Path) -> None:
    surface = line(A, B, bn="interpolated", to=tmp_path / "s.h5")
    assert np.array_equal(np.isnan(surface.values["train_loss"]), surface.x > 4 / 3)
    assert surface.attributes["bn"] == "interpolated"
    words = "where a running variance is negative the points are NaN: valid for x from -0.5 (set by 1) to 1.3333 (set by 1)"
    assert landscape.read(tmp_path / "s.h5").attributes["bn_reason"] == words
    assert words in describe(surface)
    assert float(surface.values["train_loss"][surface.x == 1][0]) == CLOSE(loss_of(B), rel=ROUNDED)


def test_a_plane_through_three_models_goes_by_its_corners() -> None:
    problem = problem_of(A)

    def plane(**options: Any) -> Surface:
        return landscape.surface(problem, None, B, C, **{**QUIET, **options})

    inside, outside = {"x": (0, 1, 3), "y": (0, 0.25, 2)}, {"x": (0, 1, 3), "y": (0, 1, 3)}
    assert plane(**inside).attributes["bn"] == "interpolated"
    surface = plane(**outside)  # at (1, 1) the third is 2 + 1 - 1, the first 1 - 0.75 + 1, the second 0.5 + 1 - 0.25
    assert surface.attributes["bn"] == "interpolated"
    wide = {"x": (0, 1.5, 4), "y": (-0.5, 1, 4)}  # at (1.5, -0.5) the first is 1 - 1.125 - 0.5
    assert plane(**wide).attributes["bn"] == "recalibrated"
    assert "at x, y = 1.5, -0.5 that of 1 is -0.625" in plane(**wide).attributes["bn_reason"]
    asked = plane(**wide, bn="interpolated")
    x, y = np.meshgrid(asked.x, asked.y, indexing="ij")
    wanted = [a + x * (b - a) + y * (c - a) for a, b, c in zip(*([1, 0.5, 2], [0.25, 1.5, 3], [2, 0.25, 1]), strict=True)]
    assert np.array_equal(np.isnan(asked.values["train_loss"]), np.min(wanted, axis=0) < 0)


def test_along_random_directions_they_are_frozen() -> None:
    surface = landscape.line(problem_of(A), x=(-1, 1, 3), **QUIET)
    assert (surface.attributes["bn"], surface.attributes["bn_layers"]) == ("frozen", 1)
    assert "bn_reason" not in surface.attributes
    with pytest.raises(InputError, match="--bn interpolated needs a direction that holds running statistics"):
        landscape.surface(problem_of(A), x=(-1, 1, 3), y=(-1, 1, 3), bn="interpolated", **QUIET)


def test_directions_from_a_file_take_along_what_they_hold(tmp_path: Path) -> None:
    first = line(A, B, bn="interpolated", to=tmp_path / "d.h5", save_directions=True)
    again = line(A, None, directions=tmp_path / "d.h5")
    assert again.attributes["bn"] == "interpolated"
    assert again.attributes["bn_reason"] == first.attributes["bn_reason"]
    assert np.array_equal(again.values["train_loss"], first.values["train_loss"], equal_nan=True)
    frozen = line(A, None, directions=tmp_path / "d.h5", bn="frozen")
    assert np.isfinite(frozen.values["train_loss"]).all()
    line(A, B, bn="recalibrated", to=tmp_path / "e.h5", save_directions=True)
    assert line(A, None, directions=tmp_path / "e.h5").attributes["bn"] == "frozen"
    with pytest.raises(InputError, match="--bn interpolated needs a direction"):
        line(A, None, directions=tmp_path / "e.h5", bn="interpolated")


MEASURES = (alpha_half, barrier, bump, climb, turning_points_between)


def test_nothing_is_told_of_two_models_when_the_line_does_not_end_at_the_other(tmp_path: Path) -> None:
    surface = line(A, B, (0, 1, 5), bn="frozen", to=tmp_path / "s.h5")
    words = "running statistics stay at the origin's, so the other end is not the other model"
    for measured in (surface, landscape.read(tmp_path / "s.h5")):
        for tell in MEASURES:
            number = tell(measured)
            assert number is not None
            assert (np.isnan(number.value), number.withheld) == (True, words)
        assert measured.numbers["bump"].withheld == words
    assert f"withheld: {words}" in describe(surface)
    assert surface.points[1].values["train_loss"] == CLOSE(loss_of(B), rel=ROUNDED)  # the models' own
    assert float(surface.values["train_loss"][-1]) != CLOSE(loss_of(B), rel=1e-2)


@pytest.mark.parametrize("bn", ["interpolated", "frozen", "recalibrated"])
def test_a_line_that_ends_at_the_other_model_is_told_of(bn: str) -> None:
    """Statistics that are equal, as after fine-tuning with batch norm frozen, and models that keep none."""
    tuned = copy.deepcopy(A)
    with torch.no_grad():
        for name, parameter in tuned.named_parameters():
            parameter += 0.5 * normal(*parameter.shape, seed=len(name))
    other = seeded(lambda: perceptron().model, 0)
    with torch.no_grad():
        other[0].weight += 1
    for surface in (line(A, tuned, (0, 1, 5), bn=bn), landscape.line(perceptron(), None, other, x=(0, 1, 5), bn=bn, **QUIET)):
        assert surface.attributes["bn"] == bn
        for tell in MEASURES:
            number = tell(surface)
            assert number is None or not number.withheld
        assert barrier(surface) is not None


def test_models_without_running_statistics_have_nothing_to_recalibrate(capsys: pytest.CaptureFixture[str]) -> None:
    problem = perceptron()
    single = Problem(problem.model, nn.CrossEntropyLoss(), {"train": tuple(part[:1] for part in problem.data["train"])})
    surface = landscape.line(single, x=(-1, 1, 3), bn="recalibrated", device="cpu", threads=1)
    words = "the model keeps no running statistics, so that nothing is recalibrated"
    assert words in capsys.readouterr().err
    assert surface.attributes["bn_reason"] == words
    assert surface.attributes["bn_layers"] == 0
    assert "bn_calibration" not in surface.attributes
    frozen = landscape.line(single, x=(-1, 1, 3), **QUIET)
    assert np.array_equal(surface.values["train_loss"], frozen.values["train_loss"])
    assert "frozen: the model keeps no running statistics" in describe(frozen)
    assert landscape.line(
        Problem(problem.model, nn.CrossEntropyLoss(), {"test": problem.data["test"]}), x=(-1, 1, 2), bn="recalibrated", **QUIET
    )


def test_statistics_that_cannot_be_recalibrated_go_along_the_line() -> None:
    """A norm of the user's own: its end is the other model under `recalibrated` too."""
    first, second = net(0, [1.0, 0.5, 2.0], Fixed), net(1, [0.25, 1.5, 3.0], Fixed)
    surface = line(first, second, (0, 1, 3), bn="recalibrated")
    assert surface.attributes["bn_reason"] == "1 keeps statistics of another kind, which go along the line"
    assert float(surface.values["train_loss"][-1]) == CLOSE(loss_of(second), rel=ROUNDED)
    assert surface.checks["passed"] == 1
    assert (
        line(first, second, bn="recalibrated")
        .attributes["bn_reason"]
        .endswith("the points are NaN: valid for x from -0.5 (set by 1) to 1.3333 (set by 1)")
    )


def test_files_of_version_0_1_0_say_moved(tmp_path: Path) -> None:
    path = tmp_path / "s.h5"
    line(A, B, (0, 1, 5), to=path, time_limit=0)
    with h5py.File(path, "r+") as file:
        file.attrs["bn"] = "moved"
    assert landscape.read(path).attributes["bn"] == "interpolated"
    assert line(A, B, (0, 1, 5), to=path).complete
    with h5py.File(path) as file:
        assert file.attrs["bn"] == "interpolated"


def test_frozen_lines_of_version_0_1_0_are_withheld_too(tmp_path: Path) -> None:
    """They have no word but that of the self-check: the other model was not compared."""
    path = tmp_path / "s.h5"
    line(A, B, (0, 1, 5), bn="frozen", to=path)
    with h5py.File(path, "r+") as file:
        for name in ("bn_ends", "bn_reason", "bn_layers"):
            del file.attrs[name]
        file["checks"].attrs["b.pt_compared"] = "no: running statistics stay at the origin's"
    assert barrier(landscape.read(path)).withheld


def test_a_range_that_asks_for_another_policy_does_not_go_on_with_a_file(tmp_path: Path) -> None:
    path = tmp_path / "s.h5"
    line(A, B, (0, 1, 3), to=path)
    with pytest.raises(InputError, match=r"another bn \(interpolated, now recalibrated\)"):
        line(A, B, (-0.5, 1.5, 5), to=path)
    assert np.isnan(line(A, B, (-0.5, 1.5, 5), bn="interpolated", to=path).values["train_loss"][-1])


class Kept(nn.BatchNorm1d):
    """The usual way to keep a norm from training for good."""

    def train(self, mode: bool = True) -> Kept:
        super().train(False)
        return self


class Twice(nn.Module):
    """One norm used twice."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(n)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.norm(torch.relu(self.norm(inputs)) - 3)


@pytest.mark.parametrize("norm", [nn.BatchNorm1d, Kept, Twice, Fixed])
def test_the_reference_recalibrates_as_the_engine_does(norm: Callable[[int], nn.Module]) -> None:
    def made(seed: int) -> nn.Module:
        return seeded(lambda: nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Tanh(), nn.Linear(3, 3), norm(3)), seed)

    models = [made(0), made(1)]
    for model in models:  # the statistics of both differ, and are not those of the data
        for name, buffer in model.named_buffers():
            if buffer.is_floating_point():
                buffer.copy_(1 + torch.rand(buffer.shape, generator=torch.Generator().manual_seed(len(name))))
    surface = landscape.line(problem_of(models[0], n=300), None, models[1], x=(-0.5, 1.5, 5), bn="recalibrated", **QUIET)
    assert surface.checks["passed"] == 1


def test_the_reference_has_no_number_either_where_a_variance_is_negative() -> None:
    """At the corner, 1.5, the variance is -5e-4, and torch would go on with -5e-4 + 1e-2."""
    first, second = net(0, [1.0, 1.0, 1e-3]), net(1, [1.0, 1.0, 0.0])
    first[1].eps = second[1].eps = 1e-2
    surface = line(first, second, (0, 1.5, 4), bn="interpolated")
    assert np.isnan(surface.values["train_loss"]).tolist() == [False, False, False, True]
    assert surface.checks["passed"] == 1
