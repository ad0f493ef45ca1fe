"""Plans: which directions, around which models, with what running statistics, and what does not go together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import CORNERS, Images, coordinates, images, normal, seeded
from torch import nn

import landscape
from landscape import Problem, io
from landscape.core import weights
from landscape.core.directions import normals
from landscape.errors import InputError
from landscape.sweep.options import Options
from landscape.sweep.plan import Plan, plan_line, plan_surface


def line(problem: Problem, start: Any = None, end: Any = None, x: Any = None, seeds: Any = None, **geometry: Any) -> Plan:
    return plan_line(problem, start, end, x, seeds, Options(**geometry))


def plane(problem: Problem, *models: Any, x: Any = None, y: Any = None, orthogonal: bool = False, **geometry: Any) -> Plan:
    start, end_x, end_y = (*models, None, None, None)[:3]
    return plan_surface(problem, start, end_x, end_y, x, y, orthogonal, Options(**geometry))


def test_default_axes() -> None:
    problem, end = images(), images(1).model
    assert line(problem, None, end).grid.axes[0] == pytest.approx(np.linspace(-0.5, 1.5, 401))
    assert line(problem).grid.axes[0].tolist() == pytest.approx(np.linspace(-1, 1, 51))
    assert plane(problem).grid.shape == (51, 51)
    through = plane(problem, None, end, images(2).model)
    assert through.grid.shape == (51, 51)
    assert (through.grid.axes[0][0], through.grid.axes[0][-1]) == (-0.5, 1.5)


def test_defaults_around_one_model() -> None:
    plan = plane(images())
    assert (plan.kind, plan.bn, plan.attributes["ignore"], plan.attributes["only"]) == ("surface", "frozen", "bias,norm", "")
    assert set(plan.subspace.directions[0].parameters) == {"conv.weight", "mix.weight", "head.weight"}
    assert [axis.attributes["source"] for axis in plan.axes] == ["random", "random"]
    assert plan.axes[0].attributes["normalize"] == "filter"
    assert abs(plan.attributes["cosine"]) < 5 * plan.attributes["cosine_sd"]


def test_defaults_between_two_models() -> None:
    plan = line(images(), None, images(1).model)
    assert (plan.bn, plan.attributes["ignore"]) == ("interpolated", "none")
    assert set(plan.subspace.directions[0].parameters) == set(weights.parameter_names(images().model))
    assert set(plan.subspace.directions[0].buffers) == {"bn.running_mean", "bn.running_var"}
    assert plan.axes[0].attributes["from"] == "model"
    assert not line(images(), None, images(1).model, bn="frozen").subspace.directions[0].buffers


def test_a_line_is_the_first_row_of_the_plane() -> None:
    assert line(images(), seed=5).subspace.directions[0].sha256 == plane(images(), seed=5).subspace.directions[0].sha256


def test_three_models_lie_at_the_corners() -> None:
    problem, models = images(), [images(seed).model for seed in (0, 1, 2)]
    plan = plane(problem, *models)
    for model, corner in zip(models, ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)), strict=True):
        for name, tensor in plan.subspace.point(corner).items():
            torch.testing.assert_close(tensor, weights.read(model)[name], rtol=1e-6, atol=1e-6)


def test_orthogonalized_planes_keep_the_third_models_true_place() -> None:
    problem, _ = coordinates(lambda a, b: a + 10 * b)
    third = {"weight": torch.tensor([0.5, 2.0]).double()}
    surface = landscape.surface(problem, *CORNERS[:2], third, x=(0, 1, 3), y=(0, 1, 2), orthogonalize=True, quiet=True)
    # δ = (1, 0), η = (0.5, 2); its part orthogonal to δ is (0, 2), and C = 0.5 δ + 1 η'.
    assert [point.coordinates for point in surface.points] == [(0, 0), (1, 0), (0.5, 1)]
    assert surface.points[2].values["train_loss"] == 20.5
    assert np.array_equal(surface.values["train_loss"], [[0, 20], [0.5, 20.5], [1, 21]])
    assert surface.attributes["cosine"] == 0
    assert surface.checks["passed"] == 1


def test_a_model_outside_the_plane_is_not_marked_in_it() -> None:
    surface = landscape.line(images(), None, images(1).model, x=(0, 1, 2), only="conv*", quiet=True)
    assert [point.name for point in surface.points] == ["model"]


def test_directions_come_back_from_a_file(tmp_path: Path) -> None:
    problem, options = images(), {"x": (-1, 1, 3), "y": (-1, 1, 3), "quiet": True}
    first = landscape.surface(problem, seed=3, to=tmp_path / "d.h5", save_directions=True, **options)
    again = landscape.surface(problem, directions=tmp_path / "d.h5", **options)
    assert np.array_equal(first.values["train_loss"], again.values["train_loss"])
    assert again.axes[0].attributes["source"] == "file"
    assert again.attributes["cosine"] == first.attributes["cosine"]
    along = landscape.line(problem, directions=tmp_path / "d.h5", x=(-1, 1, 3), quiet=True)
    assert np.array_equal(along.values["train_loss"], first.values["train_loss"][:, 1])
    assert set(io.read_directions(tmp_path / "d.h5")["x"]) == {"conv.weight", "mix.weight", "head.weight"}


def test_directions_with_running_statistics_come_back_too(tmp_path: Path) -> None:
    problem, end = images(), images(1).model
    first = landscape.line(problem, None, end, x=(0, 1, 3), to=tmp_path / "d.h5", save_directions=True, quiet=True)
    again = landscape.line(problem, directions=tmp_path / "d.h5", x=(0, 1, 3), quiet=True)
    assert again.attributes["bn"] == "interpolated"
    assert np.array_equal(first.values["train_loss"], again.values["train_loss"])
    frozen = landscape.line(problem, directions=tmp_path / "d.h5", x=(0, 1, 3), bn="frozen", quiet=True)
    assert not np.array_equal(first.values["train_loss"], frozen.values["train_loss"])


def test_only_moves_frozen_parameters_that_are_named() -> None:
    problem = images()
    problem.model.requires_grad_(False)
    plan = plane(problem, only="head.*", ignore="none")
    assert set(plan.subspace.directions[0].parameters) == {"head.weight", "head.bias"}
    assert plan.attributes["only"] == "head.*"


SAME = seeded(Images)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: plane(images(), None, images(1).model), "one checkpoint .* or three"),
        (lambda: plane(images(), None, images(1).model, images(1).model), "parallel"),
        (lambda: plane(images(), None, images(1).model, images(1).model, orthogonal=True), "parallel"),
        (lambda: line(images(), None, images().model), "zero in every parameter"),
        (lambda: line(images(), bn="interpolated"), "random directions do not"),
        (lambda: line(images(), None, images(1).model, normalize="filter"), "keep their length"),
        (lambda: line(images(), None, images(1).model, seeds=[1, 2]), "several seeds draw random directions"),
        (lambda: line(images(), None, images(1).model, directions="d.h5"), "cannot be used with several checkpoints"),
        (lambda: line(images(), directions="d.h5", normalize="layer"), "used as they are"),
        (lambda: line(images(), directions="d.h5", ignore="none"), "used as they are"),
        (lambda: line(images(), directions="nowhere.h5"), "no such file"),
        (lambda: line(images(), ignore="biases"), 'did you mean "bias"'),
        (lambda: line(images(), x=(0, 0, 5)), "ascend or descend"),
    ],
)
def test_what_does_not_go_together_is_refused(make: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        make()


def test_one_direction_spans_no_plane(tmp_path: Path) -> None:
    landscape.line(images(), x=(0, 1, 2), to=tmp_path / "d.h5", save_directions=True, quiet=True)
    with pytest.raises(InputError, match="holds no y direction"):
        plane(images(), directions=tmp_path / "d.h5")
    landscape.line(images(), x=(0, 1, 2), to=tmp_path / "e.h5", quiet=True)
    with pytest.raises(InputError, match="--save-directions"):
        line(images(), directions=tmp_path / "e.h5")


def test_a_perceptron_has_no_statistics_to_move() -> None:
    problem = Problem(nn.Linear(3, 2), nn.MSELoss(), {"train": (normal(5, 3), normal(5, 2))})
    assert not line(problem, None, seeded(lambda: nn.Linear(3, 2), 4)).subspace.directions[0].buffers


def test_filters_of_one_number_span_no_plane_and_that_is_said() -> None:
    problem = Problem(nn.Linear(1, 2), nn.MSELoss(), {"train": (torch.ones(3, 1), torch.ones(3, 2))})
    seed = next(s for s in range(20) if _signs(problem, s))
    with pytest.raises(InputError, match=r"every filter is a single number.*--normalize layer"):
        plan_surface(problem, None, None, None, (-1, 1, 3), (-1, 1, 3), False, Options(seed=seed))
    assert plan_surface(problem, None, None, None, (-1, 1, 3), (-1, 1, 3), False, Options(normalize="layer")).kind == "surface"


def _signs(problem: Problem, seed: int) -> bool:
    """Whether the two directions of a seed have the same signs in both numbers, or opposite ones."""
    x, y = (torch.sign(normals(seed, axis, "weight", (2, 1))) for axis in "xy")
    return bool(x.equal(y) or x.equal(-y))
