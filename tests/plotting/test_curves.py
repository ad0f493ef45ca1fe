from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from landscape.core.surface import Point, Surface
from landscape.errors import InputError
from landscape.plotting import curve

# What other tests of this process left to the collector is no warning of a figure.
pytestmark = pytest.mark.filterwarnings("error", "ignore::pytest.PytestUnraisableExceptionWarning")
Line = Callable[..., Surface]
X = np.linspace(-0.5, 1.5, 9)


def artists(axes: Any, name: str) -> list[Any]:
    return [artist for artist in axes.get_children() if artist.get_gid() == name]


def drawn_lines(axes: Any) -> list[Line2D]:
    return artists(axes, "curve")


def band(axes: Any, number: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The lower and upper edge of a band at each x, read back from its polygon."""
    polygon = artists(axes, "band")[number]
    vertices = np.concatenate([path.vertices for path in polygon.get_paths()])
    places = np.unique(vertices[:, 0])
    return (
        np.array([vertices[vertices[:, 0] == x, 1].min() for x in places]),
        np.array([vertices[vertices[:, 0] == x, 1].max() for x in places]),
    )


def draw(figure: Figure) -> None:
    figure.savefig(io.BytesIO(), format="png", dpi=50)


def words(figure: Figure) -> str:
    return "\n".join([figure.get_supxlabel(), *(text.get_text() for legend in figure.legends for text in legend.get_texts())])


def test_loss_stands_above_accuracy_with_train_and_test_in_each(line: Line) -> None:
    values = {"train_loss": X**2, "test_loss": X**2 + 1, "train_accuracy": 1 / (1 + X**2), "test_accuracy": 0.9 / (1 + X**2)}
    figure = curve(line(X, **values))
    above, below = figure.axes
    assert (above.get_ylabel(), below.get_ylabel()) == ("loss (nats)", "accuracy (fraction)")
    for axes, keys in ((above, ("train_loss", "test_loss")), (below, ("train_accuracy", "test_accuracy"))):
        for one, key in zip(drawn_lines(axes), keys, strict=True):
            assert np.array_equal(one.get_xdata(), X)
            assert np.array_equal(one.get_ydata(), values[key])
    assert len({one.get_linestyle() for one in drawn_lines(above)}) == 2  # told apart without colour
    assert below.get_ylim() == (-0.02, 1.02)
    assert below.get_xlabel() == "x: start to end (unit ‖δ‖\u00a0=\u00a031.2)"
    draw(figure)


def test_one_metric_alone_when_it_is_named(line: Line) -> None:
    (axes,) = curve(line(X, train_loss=X**2, test_loss=X**2 + 1, train_accuracy=X), metric="test_loss").axes
    (one,) = drawn_lines(axes)
    assert np.array_equal(one.get_ydata(), X**2 + 1)
    assert axes.get_ylabel() == "test loss (nats)"


def test_draws_are_their_median_and_quartiles(line: Line) -> None:
    draws = X[:, None] ** 2 + np.array([[5.0, 0.0, 1.0, 9.0, 2.0]])  # sorted 0 1 2 5 9: quartiles 1 and 5 by any definition
    figure = curve(line(X, train_loss=draws))
    (one,) = drawn_lines(figure.axes[0])
    assert one.get_ydata() == pytest.approx(X**2 + 2, rel=1e-15)
    low, high = band(figure.axes[0])
    assert low == pytest.approx(X**2 + 1, rel=1e-15)
    assert high == pytest.approx(X**2 + 5, rel=1e-15)
    assert "quartiles around the median of 5 draws" in words(figure)


def test_draws_in_progress_count_where_they_are_measured(line: Line) -> None:
    draws = np.tile([1.0, 2.0, 30.0], (9, 1))
    done = np.ones((9, 3), bool)
    done[2:5, 2] = False  # two of three
    done[6] = False  # none
    draws[0, 1] = np.nan  # a draw without a rank: no median
    figure = curve(line(X, train_loss=np.where(done, draws, np.nan), done=done))
    (one,) = drawn_lines(figure.axes[0])
    expected = [np.nan, 2.0, 1.5, 1.5, 1.5, 2.0, np.nan, 2.0, 2.0]
    assert np.array_equal(one.get_ydata(), expected, equal_nan=True)
    assert artists(figure.axes[0], "not_finite")[0].get_xdata().tolist() == [X[0]]
    assert artists(figure.axes[0], "not_measured")[0].get_xdata().tolist() == [X[6]]
    assert "incomplete: 77 % measured" in words(figure)  # 21 of 27


def test_a_single_line_has_a_band_of_one_standard_error(line: Line) -> None:
    figure = curve(line(X, train_loss=X**2 + 1, stderr={"train_loss": 0.1 + 0 * X}))
    low, high = band(figure.axes[0])
    assert low == pytest.approx(X**2 + 0.9)
    assert high == pytest.approx(X**2 + 1.1)
    assert "± 1 standard error" in words(figure)
    assert "standard error up to 10\u00a0% of the value (train loss)" in words(figure)  # 0.1 of 1
    assert not artists(curve(line(X, train_loss=X**2, stderr={"train_loss": 0 * X})).axes[0], "band")


def test_a_fraction_has_a_band_of_its_interval(line: Line) -> None:
    accuracy = np.where(X > 0, 1.0, 0.9)
    ends = {"low": {"train_accuracy": accuracy - 0.05}, "high": {"train_accuracy": np.minimum(accuracy + 0.02, 1.0)}}
    figure = curve(line(X, train_accuracy=accuracy, **ends))
    low, high = band(figure.axes[0])
    assert low == pytest.approx(accuracy - 0.05)
    assert high == pytest.approx(np.minimum(accuracy + 0.02, 1.0))
    assert "95 % interval" in words(figure)
    assert "widest 95\u00a0% interval 0.85 to 0.92 (train accuracy)" in words(figure)


def test_an_unfinished_line_joins_the_points_of_its_resolution(line: Line) -> None:
    done = np.zeros(9, bool)
    done[::2] = done[1] = True
    loss, accuracy = X**2 + 1, 1 - X**2 / 2
    figure = curve(line(X, train_loss=loss, train_accuracy=accuracy, done=done))
    for axes, values in zip(figure.axes, (loss, accuracy), strict=True):
        (one,) = drawn_lines(axes)
        assert one.get_xdata().tolist() == X[::2].tolist()
        assert one.get_ydata().tolist() == values[::2].tolist()
        assert not artists(axes, "not_measured")
    assert drawn_lines(figure.axes[0])[0].get_color() == drawn_lines(figure.axes[1])[0].get_color()
    assert "5 of 9 points measured so far" in words(figure)
    assert "1 further measured point is not drawn" in words(figure)


def holed() -> np.ndarray:
    values = X**2 + 1
    values[2], values[4], values[5], values[7] = np.nan, np.inf, -1.0, 1e35
    return values


def test_a_curve_breaks_where_there_is_no_value_and_the_edge_says_why(line: Line) -> None:
    done = np.ones(9, bool)
    done[0] = False
    figure = curve(line(X, train_loss=holed(), done=done), log=True, clip=10.0)
    axes = figure.axes[0]
    y = drawn_lines(axes)[0].get_ydata()
    assert np.flatnonzero(np.isnan(y)).tolist() == [0, 2, 4, 5]
    assert y[7] == 1e35
    assert axes.get_ylim()[1] == 10.0
    for name, index in (("not_measured", 0), ("not_finite", [2, 4]), ("not_positive", 5), ("clipped", 7)):
        (marks,) = artists(axes, name)
        assert marks.get_xdata().tolist() == np.atleast_1d(X[index]).tolist()
    assert len({artists(axes, name)[0].get_marker() for name in ("not_measured", "not_finite", "not_positive", "clipped")}) == 4
    for phrase in (
        "2 of 9 points NaN or infinite",
        "1 of 9 points ≤ 0, no logarithm",
        "1 of 9 points above 10, cut off, up to 1e+35",
    ):
        assert phrase in words(figure)
    draw(figure)


def test_a_point_between_gaps_is_still_seen(line: Line) -> None:
    x = np.linspace(0, 1, 101)
    values = np.full(101, np.nan)
    values[[3, 50, 51]] = 1.0
    (one,) = drawn_lines(curve(line(x, train_loss=values)).axes[0])
    assert one.get_marker() == "o"
    assert one.get_markevery() == [3]


def test_several_lines_share_the_axes_and_are_named(line: Line) -> None:
    figure = curve([line(X, "one", train_loss=X**2), line(X * 2, "two", train_loss=X**2 + 7)], names=["first", "second"])
    one, two = drawn_lines(figure.axes[0])
    assert np.array_equal(two.get_xdata(), X * 2)
    assert one.get_color() != two.get_color()
    assert "first" in words(figure)
    assert "second" in words(figure)


def test_log_and_clip_are_for_the_loss_not_for_the_accuracy(line: Line) -> None:
    above, below = curve(line(X, train_loss=X**2 + 1, train_accuracy=0 * X + 0.9), log=True, clip=2.0).axes
    assert above.get_yscale() == "log"
    assert below.get_yscale() == "linear"
    assert above.get_ylim()[1] == 2.0
    assert np.array_equal(drawn_lines(below)[0].get_ydata(), 0 * X + 0.9)


def test_models_stand_where_they_lie_with_their_own_values(line: Line) -> None:
    points = (Point("start", (0.0,), {"train_loss": 0.25}), Point("end", (1.0,), {"train_loss": 1.5}), Point("far", (7.0,), {}))
    axes = curve(line(X, train_loss=X**2, points=points)).axes[0]
    assert {text.get_text(): text.xy[0] for text in axes.texts} == {"start": 0.0, "end": 1.0}
    assert artists(axes, "model")[0].get_xydata().tolist() == [[0.0, 0.25], [1.0, 1.5]]
    assert [one.get_xdata()[0] for one in artists(axes, "place")] == [0.0, 1.0]


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize(
    "loss",
    [np.full(9, 2.0), np.full(9, np.nan), np.full(9, -np.inf), np.full(9, -3.0), np.zeros(9), holed(), np.where(X > 1, 1e35, 1e-12)],
    ids=["constant", "nan", "inf", "negative", "zero", "holed", "cliff"],
)  # fmt: skip
def test_whatever_was_measured_is_drawn_without_a_warning(line: Line, loss: np.ndarray, log: bool) -> None:
    errors = {"train_loss": np.abs(np.where(np.isfinite(loss), loss, np.nan)) * 2}  # bands reach below zero
    draw(curve(line(X[::-1], train_loss=loss, stderr=errors), log=log))
    draw(curve(line(X, train_loss=np.stack([loss, loss[::-1], 2 * loss], axis=1)), log=log, clip=5.0))


def test_a_line_of_one_point_is_a_dot(line: Line) -> None:
    figure = curve(line([0.0], train_loss=[3.0]))
    assert drawn_lines(figure.axes[0])[0].get_marker() == "o"
    draw(figure)


def test_planes_have_no_curve(line: Line, tilted: Surface) -> None:
    with pytest.raises(InputError, match=r"a plane is a plane, this figure shows lines; draw it as contour"):
        curve(tilted)
    with pytest.raises(InputError, match=r"one figure shows lines or planes, not both: a line is a line, a plane is a plane"):
        curve([line(X, train_loss=X), tilted])


def test_a_missing_metric_is_named(line: Line) -> None:
    with pytest.raises(InputError, match=r'b: no metric "test_loss": did you mean "train_loss"'):
        curve([line(X, "a", train_loss=X, test_loss=X), line(X, "b", train_loss=X)], metric="test_loss")
