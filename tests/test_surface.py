"""The surface in memory: what it says of itself."""

from __future__ import annotations

import math

import numpy as np
import pytest

from landscape.errors import InputError
from landscape.surface import Axis, Metric, Number, Point, Surface


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


def test_same_examples() -> None:
    counts = np.full((3, 2), 50)
    assert plane(examples={"test": counts}).same_examples("test")
    assert plane(examples={"test": counts * [[1, 0], [1, 1], [1, 1]]}).same_examples("test")  # one point is not measured yet
    assert not plane(examples={"test": counts * [[1, 2], [1, 1], [1, 1]]}).same_examples("test")
    assert not plane(examples={"test": counts}, attributes={"tolerance": 0.05}).same_examples("test")


def test_a_number_shows_its_bound_and_unit() -> None:
    assert str(Number(0.5, "nat", "≥")) == "≥ 0.5 nat"


def test_show_prints_the_title_and_the_values(capsys: pytest.CaptureFixture[str]) -> None:
    plane(attributes={"problem": "tilted"}).show()
    text = capsys.readouterr().out
    assert "tilted: a plane of 3 × 2 points, complete" in text
    assert "-100 to 203 nat" in text
