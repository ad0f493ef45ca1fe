"""The surface in memory: what it says of itself."""

from __future__ import annotations

import math

import numpy as np
import pytest

from landscape.core.surface import Axis, Metric, Number, Point, Surface
from landscape.errors import InputError


def plane(**changes: object) -> Surface:
    """The tilted plane 100 x + y over 3 × 2 points."""
    x, y = np.array([-1.0, 0.0, 2.0]), np.array([0.0, 3.0])
    values = 100 * x[:, None] + y[None, :]
    fields = {
        "kind": "surface",
        "axes": (Axis("x", x, {"label": "δ", "norm": 2.0}), Axis("y", y)),
        "metrics": {"test_loss": Metric("test", "loss", "nat"), "train_accuracy": Metric("train", "accuracy", "fraction")},
        "values": {"test_loss": values, "train_accuracy": values / 1000},
        "done": {"test_loss": np.ones((3, 2), bool), "train_accuracy": np.ones((3, 2), bool)},
    }
    return Surface(**{**fields, **changes})


def test_shape_and_axes() -> None:
    surface = plane()
    assert surface.shape == (3, 2)
    assert surface.x.tolist() == [-1, 0, 2]
    assert surface.y.tolist() == [0, 3]
    assert surface.n_draws == 1
    assert (surface.axes[0].label, surface.axes[0].norm) == ("δ", 2.0)
    assert surface.axes[1].label == "y"
    assert [axis.text for axis in surface.axes] == ["-1:2:3", "0:3:2"]
    assert Axis("x", np.array([0.25])).text == "0.25:0.25:1"
    assert math.isnan(surface.axes[1].norm)


def test_a_line_has_no_y_axis_and_may_have_draws() -> None:
    line = plane(kind="line", axes=(Axis("x", np.arange(3.0)), Axis("seed", np.array([4.0, 5.0]))))
    assert line.n_draws == 2
    with pytest.raises(InputError, match="no y axis"):
        _ = line.y


def test_complete_when_every_metric_is_measured_everywhere() -> None:
    surface = plane()
    assert surface.complete
    surface.done["train_accuracy"][1, 1] = False
    assert not surface.complete


def test_the_default_metric_is_the_training_loss_then_any_loss() -> None:
    assert plane().metric().key == "test_loss"
    assert plane(metrics={"a": Metric("test", "loss", ""), "train_loss": Metric("train", "loss", "")}).metric().key == "train_loss"
    assert plane(metrics={"train_accuracy": Metric("train", "accuracy", "fraction")}).metric().key == "train_accuracy"
    with pytest.raises(InputError, match='did you mean "test_loss"'):
        plane().metric("tets_loss")


def test_the_origin_is_the_models_own_value_where_it_is_known() -> None:
    assert plane().origin("test_loss") == 0
    marked = plane(points=(Point("end", (1.0, 0.0), {"test_loss": 8.0}), Point("model", (0.0, 0.0), {"test_loss": 7.0})))
    assert marked.origin("test_loss") == 7
    assert marked.origin("train_accuracy") == 0
    aside = plane(axes=(Axis("x", np.array([1.0, 2.0, 3.0])), Axis("y", np.array([0.0, 3.0]))))
    assert math.isnan(aside.origin("test_loss"))


def square(n: int, done: np.ndarray) -> Surface:
    """A plane of n × n points over [-1, 1]², each value, error and count its own."""
    axis, number = np.linspace(-1, 1, n), np.arange(n * n).reshape(n, n)
    key = "test_loss"
    return plane(
        axes=(Axis("x", axis, {"norm": 2.0}), Axis("y", axis)),
        metrics={key: Metric("test", "loss", "nat")},
        values={key: np.where(done, number / 7, np.nan)},
        done={key: done},
        stderr={key: number / 1000},
        examples={"test": number},
        seconds=number / 10,
    )


@pytest.mark.parametrize(
    ("n_done", "shape"),
    [
        (9, (3, 3)),
        (10, (3, 3)),
        (22, (3, 3)),
        (24, (5, 3)),
        (25, (5, 5)),
        (80, (9, 5)),
        (81, (9, 9)),
        (288, (17, 9)),
        (289, (17, 17)),
    ],
)
def test_the_complete_part_of_a_run_that_ended_early_is_the_finest_grid_it_finished(n_done: int, shape: tuple[int, int]) -> None:
    done = np.zeros((17, 17), bool)
    for index in list(square(17, done).grid.indices())[:n_done]:
        done[index] = True
    surface = square(17, done)
    part = surface.complete_part("test_loss")
    assert part is not None
    assert part.complete
    assert [axis.values.tolist() for axis in part.axes] == [np.linspace(-1, 1, n).tolist() for n in shape]
    whole = np.arange(17 * 17).reshape(17, 17)[:: 16 // (shape[0] - 1), :: 16 // (shape[1] - 1)]
    assert np.array_equal(part.values["test_loss"], whole / 7)
    assert np.array_equal(part.stderr["test_loss"], whole / 1000)
    assert np.array_equal(part.examples["test"], whole)
    assert part.seconds is not None
    assert np.array_equal(part.seconds, whole / 10)
    assert part.axes[0].norm == 2.0
    assert (part is surface) == (n_done == 289)
    assert surface.shape == (17, 17)


def test_before_its_ends_and_origin_are_measured_a_surface_has_no_complete_part() -> None:
    done = np.zeros((17, 17), bool)
    assert square(17, done).complete_part("test_loss") is None
    done[0:9] = True  # measured in another order: all of one half, so that no grid of the whole is complete
    assert square(17, done).complete_part("test_loss") is None


def test_the_complete_part_may_be_finer_along_one_axis_and_keeps_a_coarser_grid_made_finer() -> None:
    done = np.zeros((17, 17), bool)
    done[:, ::8] = True
    part = square(17, done).complete_part("test_loss")
    assert part is not None
    assert part.shape == (17, 3)
    fine = np.zeros((101, 101), bool)
    fine[::2, ::2] = True  # was 51 × 51
    part = square(101, fine).complete_part("test_loss")
    assert part is not None
    assert part.shape == (51, 51)


def test_a_line_keeps_all_its_draws() -> None:
    x, seeds = np.linspace(-1, 1, 9), np.arange(4.0)
    done = np.zeros((9, 4), bool)
    done[::4], done[:, 1] = True, True
    line = plane(
        kind="line", axes=(Axis("x", x), Axis("seed", seeds)), values={"test_loss": np.ones((9, 4))}, done={"test_loss": done}
    )
    part = line.complete_part("test_loss")
    assert part is not None
    assert (part.shape, part.n_draws) == ((3, 4), 4)
    done[8, 3] = False
    assert line.complete_part("test_loss") is None


def test_a_number_shows_its_bound_and_unit() -> None:
    assert str(Number(0.5, "nat", "≥")) == "≥ 0.5 nat"


def test_show_prints_the_title_and_the_values(capsys: pytest.CaptureFixture[str]) -> None:
    plane(attributes={"problem": "tilted"}).show()
    text = capsys.readouterr().out
    assert "tilted: a plane of 3 × 2 points, complete" in text
    assert "-100 to 203 nat" in text
