"""Axes and grids: exact coordinates, the order of visits, and what is refused."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landscape.core.grid import Grid, axis_values, coarse_to_fine, coarser_axes, parse_axis
from landscape.errors import InputError


@given(st.floats(-10, 10), st.floats(-10, 10), st.integers(2, 60))
def test_axes_are_evenly_spaced_from_end_to_end(start: float, stop: float, n: int) -> None:
    if abs(stop - start) < 1e-3:
        return
    values = axis_values((start, stop, n))
    scale = max(abs(start), abs(stop))
    assert len(values) == n
    # The point nearest to zero may be set to it: by 1e-12 of the ends at most.
    assert np.abs(values - np.array([start + (stop - start) * i / (n - 1) for i in range(n)])).max() <= 2e-12 * scale
    assert (np.sign(np.diff(values)) == np.sign(stop - start)).all()


@pytest.mark.parametrize("n", [3, 5, 11, 21, 51, 101, 201, 401, 1001])
@pytest.mark.parametrize("end", [1.0, 0.1, 0.3, 1 / 3, 7e-5])
def test_the_origin_is_hit_exactly(n: int, end: float) -> None:
    assert axis_values((-end, end, n))[n // 2] == 0
    assert axis_values((end, -end, n))[n // 2] == 0


@pytest.mark.parametrize("axis", [(-0.1, 0.2, 4), (-0.7, 0.35, 10), (1.4, -0.7, 4), (-1e-9, 2e-9, 31)])
def test_the_origin_is_hit_exactly_where_even_spacing_misses_it_by_a_rounding(axis: tuple[float, float, int]) -> None:
    start, stop, n = axis
    missed = np.linspace(start, stop, n)
    node = int(np.argmin(np.abs(missed)))
    assert missed[node] != 0  # else this axis would show nothing
    expected = missed.copy()
    expected[node] = 0.0
    assert axis_values(axis).tolist() == expected.tolist()  # and no other node is moved


def test_both_models_of_the_default_line_are_nodes() -> None:
    values = axis_values((-0.5, 1.5, 401))
    assert 0.0 in values
    assert 1.0 in values


def test_descending_touching_and_one_point_axes() -> None:
    assert axis_values((1, -1, 3)).tolist() == [1, 0, -1]
    assert axis_values((0, 1, 3)).tolist() == [0, 0.5, 1]
    assert axis_values((0.25, 0.25, 1)).tolist() == [0.25]
    assert axis_values("-2:-1:2").tolist() == [-2, -1]
    assert axis_values(np.array([3, 2.5, -1])).tolist() == [3, 2.5, -1]


def test_an_array_is_copied() -> None:
    mine = np.array([0.0, 1.0])
    axis_values(mine)[0] = 5
    assert mine[0] == 0


@pytest.mark.parametrize("text", ["-1:1", "a:1:3", "-1:1:3:4", "", "0:1:2.5", "1:2:x", "::"])
def test_malformed_axes_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="start:stop:n"):
        parse_axis(text)


@pytest.mark.parametrize(
    ("axis", "words"),
    [
        ("nan:1:3", "finite"),
        ("0:inf:3", "finite"),
        ((0, 1, 0), "at least one point"),
        ((0, 1, -2), "at least one point"),
        ((0, 1, 1), "one point cannot span"),
        ((1, 1, 3), "ascend or descend"),
        ((0, 1, 2.5), "whole n"),
        ((0, 1), "whole n"),
        (np.zeros((2, 2)), "1-D"),
        (np.array([]), "at least one point"),
        (np.array([0, np.nan]), "finite"),
        (np.array([0.0, 1.0, 1.0]), "ascend or descend"),
        (np.array([0.0, 1.0, 0.5]), "ascend or descend"),
    ],
)
def test_impossible_axes_are_refused(axis: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        axis_values(axis)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("axis", "words"),
    [
        ("0:1e-320:5", "steps of an axis are at least 1e-150"),
        ("-1e-322:1e-322:41", "steps of an axis"),
        ("1e-320:0:4", "steps of an axis"),
        ((0, 1e-149, 20), "steps of an axis"),
        (np.array([0.0, 5e-324, 1.0]), "steps of an axis"),
        (np.array([1.0, 1e-160, 0.0]), "steps of an axis"),
        ("-1e308:1e308:5", "from -1e.150 to 1e.150, not to -1e.308"),
        ("0:1.7e308:3", "not to 1.7e.308"),
        ((1e200, 1e200, 1), "not to 1e.200"),
        (np.array([-1e308, 0, 1e308]), "not to -1e.308"),
        (np.array([-1.7e308, 1.7e308]), "not to -1.7e.308"),
    ],
)
def test_axes_whose_areas_are_no_numbers_are_refused_without_a_warning(axis: Any, words: str) -> None:
    """A cell's area and a basin's are products of two steps: beyond ±1e150, or closer than its inverse, they overflow or vanish."""
    with pytest.raises(InputError, match=words):
        axis_values(axis)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "axis", ["-1e150:1e150:3", "0:2e-150:3", "5e-324:5e-324:1", (1e-12, -1e-12, 7), np.array([-1e150, 0.0, 1e-150, 1e150])]
)
def test_the_widest_and_the_narrowest_axes(axis: Any) -> None:
    values = axis_values(axis)
    assert np.isfinite(np.outer(values, values)).all()
    steps = np.abs(np.diff(values))
    assert (np.outer(steps, steps) > 0).all()


def test_coordinates_are_indexed_x_first() -> None:
    grid = Grid((np.array([0.0, 1.0, 2.0]), np.array([10.0, 20.0])))
    assert (grid.shape, grid.n_points) == ((3, 2), 6)
    assert [grid.coordinates(i) for i in itertools.product(range(3), range(2))] == [
        (0, 10), (0, 20), (1, 10), (1, 20), (2, 10), (2, 20),
    ]  # fmt: skip


@given(st.lists(st.integers(1, 12), min_size=1, max_size=2), st.floats(-2, 2))
def test_every_point_is_visited_once(shape: list[int], shift: float) -> None:
    grid = Grid(tuple(np.arange(n) + shift for n in shape))
    assert sorted(grid.indices()) == list(itertools.product(*(range(n) for n in shape)))


def test_the_origin_and_the_corners_come_first() -> None:
    axis = np.linspace(-1, 1, 9)
    order = list(Grid((axis, axis)).indices())
    assert set(order[:9]) == set(itertools.product((0, 4, 8), repeat=2))
    assert set(order[:25]) == set(itertools.product((0, 2, 4, 6, 8), repeat=2))


@given(st.integers(1, 200), st.floats(-300, 300))
def test_each_level_is_a_coarser_axis(n: int, shift: float) -> None:
    level = coarse_to_fine(np.arange(n) - shift)
    assert level[0] == level[-1] == 0
    assert (level >= 0).all()
    assert level.max() <= np.ceil(np.log2(max(n, 2)))
    for depth in range(level.max()):  # a gap of any level is at most about half of the widest before it
        wide, fine = np.diff(np.flatnonzero(level <= depth)).max(), np.diff(np.flatnonzero(level <= depth + 1)).max()
        assert fine <= (wide + 1) // 2


@given(st.integers(1, 200), st.floats(-300, 300))
def test_the_axes_within_an_axis_keep_its_ends_and_its_point_nearest_to_zero(n: int, shift: float) -> None:
    axis = np.arange(n) - shift
    found = [indices.tolist() for indices in coarser_axes(axis)]
    assert list(range(n)) in found
    assert len({tuple(indices) for indices in found}) == len(found)
    for indices in found:
        assert indices == sorted(set(indices))
        assert {0, n - 1, int(np.abs(axis).argmin())} <= set(indices)


@pytest.mark.parametrize(("coarse", "fine"), [(51, 101), (26, 51), (13, 25), (7, 31)])
def test_an_axis_made_finer_holds_the_coarser_one(coarse: int, fine: int) -> None:
    axis = np.linspace(0, 1, fine)
    assert any(np.allclose(axis[indices], np.linspace(0, 1, coarse)) for indices in coarser_axes(axis) if len(indices) == coarse)


def test_an_axis_whose_origin_is_off_the_middle_was_made_finer() -> None:
    axis = np.linspace(-0.5, 1.5, 9)  # of five points, its origin the second one
    assert [0, 2, 4, 6, 8] in [indices.tolist() for indices in coarser_axes(axis)]


def test_a_list_is_neither_a_tuple_nor_coordinates() -> None:
    with pytest.raises(InputError, match="ndarray"):
        axis_values([0, 1, 2])  # type: ignore[arg-type]  # (start, stop, n), or three coordinates?
