from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from landscape.core.surface import Point, Surface
from landscape.plotting import curve

# What other tests of this process left to the collector is no warning of a figure.
pytestmark = pytest.mark.filterwarnings("error", "ignore::pytest.PytestUnraisableExceptionWarning")
Line = Callable[..., Surface]
X = np.linspace(-1, 1, 101)
WELL = 10 * X**4 + 0.02 * np.cos(9 * X)  # flat in the middle, but for waves that only an inset shows


def inset_of(figure: Figure) -> Any:
    (axes, *_) = figure.axes
    assert len(axes.child_axes) <= 1
    return axes.child_axes[0] if axes.child_axes else None


def test_a_flat_minimum_is_shown_larger(line: Line) -> None:
    points = (Point("net", (0.0,), {"train_loss": 0.02}),)
    figure = curve(line(X, train_loss=WELL, stderr={"train_loss": 0.001 + 0 * X}, points=points))
    axes, inset = figure.axes[0], inset_of(figure)
    (drawn,) = [one for one in inset.lines if one.get_gid() == "curve"]
    assert np.array_equal(drawn.get_xdata(), X)
    assert np.array_equal(drawn.get_ydata(), WELL)
    assert [one.get_xydata().tolist() for one in inset.lines if one.get_gid() == "model"] == [[[0.0, 0.02]]]
    assert any(artist.get_gid() == "band" for artist in inset.collections)
    left, right = inset.get_xlim()
    low, high = inset.get_ylim()
    assert -0.55 < left < -0.3
    assert 0.3 < right < 0.55
    bottom, top = axes.get_ylim()
    assert low < WELL.min()
    assert WELL[(left < X) & (right > X)].max() <= high < 0.1 * top
    assert 0.36 * (top - bottom) / (high - low) >= 4  # the inset is 0.36 of the panel high


def test_a_model_outside_the_inset_costs_the_sheet_no_room(line: Line) -> None:
    """A mark far beyond the inset's axes is not drawn, so that the layout makes no room for it."""
    x = np.linspace(0, 1, 41)
    loss = 18 * x**3 + 0.02 * np.cos(9 * x)
    widths = []
    for ends in ((0.0,), (0.0, 1.0)):
        points = tuple(Point(f"model {end}", (end,), {"train_loss": 0.02}) for end in ends)
        figure = curve(replace(line(x, train_loss=loss), points=points))
        assert inset_of(figure) is not None
        figure.draw_without_rendering()
        widths.append(figure.axes[0].get_position().width)
    assert widths[1] == pytest.approx(widths[0], abs=0.02)


def test_no_curve_runs_through_an_inset(line: Line) -> None:
    figure = curve([line(X, "a", train_loss=WELL), line(X, "b", train_loss=WELL + 3 * np.abs(np.sin(6 * X)))], style="paper")
    axes, inset = figure.axes[0], inset_of(figure)
    figure.draw_without_rendering()
    box = inset.get_window_extent()
    for one in (one for one in axes.lines if one.get_gid() == "curve"):
        dense = np.linspace(0, 100, 4001)
        points = axes.transData.transform(np.stack([np.interp(dense, np.arange(101), part) for part in one.get_data()], axis=1))
        assert not any(box.contains(*point) for point in points)


@pytest.mark.parametrize(
    ("loss", "why"),
    [
        (X + 1, "a straight slope looks the same at every size"),
        (np.abs(X), "so does a kink"),
        (1 + 0.05 * np.sin(5 * X), "nothing is flat"),
        (np.where(X > 0.95, 10.0, 0.1 * X**2), "nearly everything is: it is the panel itself"),
        (np.full(101, np.nan), "there is nothing"),
        (np.full(101, 2.0), "all is the same"),
        (10 * (np.arange(101) % 2) + WELL, "there is no room"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_there_is_none_where_it_does_not_help(line: Line, loss: np.ndarray, why: str) -> None:
    assert inset_of(curve(line(X, train_loss=loss))) is None, why


def test_there_is_none_on_a_log_axis_nor_where_it_is_not_wanted(line: Line) -> None:
    surface = line(X, train_loss=WELL + 0.1)
    assert inset_of(curve(surface)) is not None
    assert inset_of(curve(surface, log=True)) is None
    assert inset_of(curve(surface, inset=False)) is None


def test_a_clip_and_gaps_and_a_descending_axis_change_nothing(line: Line) -> None:
    loss = np.where(np.abs(X) > 0.9, 1e35, WELL)
    loss[[3, 97]] = np.nan
    there, back = (inset_of(curve(line(X[::step], train_loss=loss[::step]), clip=6.0)) for step in (1, -1))
    assert there.get_xlim() == pytest.approx(back.get_xlim())
    assert there.get_ylim() == pytest.approx(back.get_ylim())
