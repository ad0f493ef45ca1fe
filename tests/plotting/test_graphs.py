"""Graphs of plain numbers: what is drawn is what was given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from landscape import plotting
from landscape.errors import InputError
from landscape.plotting import Graph, Trace, graphs


def panel(*traces: Trace, **options: bool) -> Graph:
    return Graph("error by depth", "layers", "error", traces, **options)


def test_lines_hold_the_numbers_and_several_their_median_and_range() -> None:
    x = np.array([1.0, 2.0, 4.0])
    several = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 9.0], [3.0, 3.0, 6.0]])
    figure = graphs([panel(Trace("plain", x, several), Trace("residual", x, several[0]))])
    (axes,) = figure.axes
    median, single = (line for line in axes.lines if line.get_gid() == "trace")
    assert median.get_ydata().tolist() == [2.0, 3.0, 6.0]
    assert single.get_ydata().tolist() == [1.0, 2.0, 3.0]
    (area,) = (part for part in axes.collections if part.get_gid() == "range")
    corners = area.get_paths()[0].vertices
    assert {tuple(corner) for corner in corners.tolist()} >= {(1.0, 1.0), (1.0, 3.0), (4.0, 3.0), (4.0, 9.0)}
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["plain", "residual"]


def test_a_name_has_one_colour_in_all_panels() -> None:
    x = np.arange(3.0)
    figure = graphs([panel(Trace("a", x, x), Trace("b", x, x)), panel(Trace("b", x, x), Trace("c", x, x, dash=1))])
    left, right = figure.axes
    assert left.lines[1].get_color() == right.lines[0].get_color() != right.lines[1].get_color()
    assert right.lines[1].get_linestyle() != "-"
    assert len(figure.legends[0].get_texts()) == 3


def test_what_cannot_be_drawn_is_a_gap_and_counts_all_the_same(recwarn: pytest.WarningsRecorder) -> None:
    """Of 0, 0 and 3 the median is 0, which no logarithm shows; leaving the zeros out first would draw 3."""
    y = np.array([[0.0, 1.0, np.nan, 5.0], [0.0, np.inf, np.nan, 7.0], [3.0, 2.0, np.nan, 0.0]])
    figure = graphs([panel(Trace("a", np.arange(4.0), y), log=True), panel(Trace("a", np.arange(4.0), y))])
    on_log, linear = (np.asarray(axes.lines[0].get_ydata()) for axes in figure.axes)
    np.testing.assert_array_equal(on_log, [np.nan, 2.0, np.nan, 5.0])
    np.testing.assert_array_equal(linear, [0.0, 2.0, np.nan, 5.0])
    assert figure.axes[0].get_yscale() == "log"
    assert figure.axes[0].get_ylim()[0] > 0.1  # a low end of 0 stretches no axis
    figure.draw_without_rendering()
    assert not any("$" in label.get_text() for label in figure.axes[0].get_yticklabels())
    assert not recwarn.list


def test_whole_places_have_whole_ticks() -> None:
    figure = graphs([panel(Trace("a", np.arange(21.0), np.arange(21.0)))])
    assert np.equal(np.mod(figure.axes[0].get_xticks(), 1), 0).all()


def test_misuse_and_a_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to draw"):
        graphs([])
    with pytest.raises(InputError, match="a: 2 numbers at 3 places"):
        graphs([panel(Trace("a", np.arange(3.0), np.arange(2.0)))])
    figure = graphs([panel(Trace("a", np.arange(3.0), np.arange(3.0), dots=True))], style="paper")
    assert plotting.save(figure, tmp_path / "graph.png").stat().st_size > 1000
