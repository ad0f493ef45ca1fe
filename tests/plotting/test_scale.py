from __future__ import annotations

import numpy as np
import pytest

from landscape.errors import InputError
from landscape.plotting.scale import Scale, cell_edges, contour_levels, shared_scale, sort_values


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("clip", [None, 5.0])
def test_each_point_is_drawn_or_bears_exactly_one_mark(log: bool, clip: float | None) -> None:
    values = np.array([np.nan, np.nan, np.inf, -np.inf, 0.0, -0.0, -3.0, 1e-9, 5.0, 5.1, 1e35])
    done = np.array([False] + [True] * 10)
    layer = sort_values(values, done, log, clip)
    holes = np.stack([layer.not_measured, layer.not_finite, layer.not_positive])
    assert np.array_equal(holes.sum(axis=0), np.isnan(layer.values).astype(int))
    assert layer.not_measured.tolist() == [True] + [False] * 10
    assert layer.not_finite.tolist() == [False, True, True, True] + [False] * 7
    assert layer.not_positive.tolist() == [False] * 4 + [log] * 3 + [False] * 4
    assert layer.clipped.tolist() == [False] * 9 + [clip is not None] * 2
    kept = ~np.isnan(layer.values)
    assert np.array_equal(layer.values[kept], values[kept])  # as measured, clipped ones too


def test_a_value_where_nothing_was_measured_is_not_drawn() -> None:
    layer = sort_values(np.array([7.0]), np.array([False]), log=False, clip=1.0)
    assert layer.not_measured.all()
    assert np.isnan(layer.values).all()
    assert not layer.clipped.any()


def test_the_scale_holds_all_panels_and_ends_at_the_clip() -> None:
    drawn = [np.array([[1.0, np.nan]]), np.array([3.0, 40.0])]
    assert shared_scale(drawn) == Scale(1.0, 40.0)
    assert shared_scale(drawn, clip=10.0) == Scale(1.0, 10.0, clip=10.0)
    assert shared_scale(drawn, clip=50.0) == Scale(1.0, 40.0, clip=50.0)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("value", [2.5, 1e35, 1e-12])
def test_equal_values_get_room_on_both_sides(value: float, log: bool) -> None:
    scale = shared_scale([np.full(3, value)], log)
    assert scale.low < value < scale.high


def test_no_value_at_all_still_makes_a_scale() -> None:
    for log in (False, True):
        low, high = shared_scale([np.full(3, np.nan)], log).span
        assert np.isfinite([low, high]).all()
        assert low < high


@pytest.mark.parametrize(
    ("values", "log", "clip", "words"),
    [
        ([1.0, 2.0], False, 0.5, "leaves nothing to draw: the smallest value is 1"),
        ([1.0, 2.0], False, float("nan"), "clip nan"),
        ([1.0, 2.0], True, 0.0, "logarithmic"),
        ([0.0, 1e305], False, None, "more than a figure can scale"),
        ([1e-310, 1.0], True, None, "more than a figure can scale"),
    ],
)
def test_what_cannot_be_scaled_is_refused(values: list[float], log: bool, clip: float | None, words: str) -> None:
    with pytest.raises(InputError, match=words):
        shared_scale([np.array(values)], log, clip)


def test_huge_values_are_welcome_under_a_clip() -> None:
    assert shared_scale([np.array([0.0, 1e305])], clip=4.0).high == 4.0


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("ends", [(0.05, 2e6), (1.0, 1.1), (0.9, 11.0), (1e-16, 3.0), (0.05, 1.7e35), (1e10, 1e10 + 100.0)])
def test_levels_are_round_ascending_few_and_inside(ends: tuple[float, float], log: bool) -> None:
    levels = contour_levels(Scale(*ends, log=log))
    assert 3 <= len(levels) <= 24
    assert (np.diff(levels) > 0).all()
    assert ends[0] < levels[0]
    assert levels[-1] < ends[1]
    if log and ends[1] / ends[0] > 1e10:  # spread over the whole of a long scale, not crowded at its upper end
        steps = np.diff(np.log10(np.concatenate([[ends[0]], levels, [ends[1]]])))
        assert steps.max() <= np.log10(ends[1] / ends[0]) / 5


def test_linear_levels_may_be_negative() -> None:
    assert contour_levels(Scale(-2.0, 2.0), most=5).tolist() == [-1.0, 0.0, 1.0]


@pytest.mark.parametrize("axis", [[0.0, 1.0, 4.0], [4.0, 1.0, 0.0], [-2.0], [0.0, 1e-9]])
def test_each_point_lies_inside_its_own_cell(axis: list[float]) -> None:
    edges = cell_edges(np.array(axis))
    assert len(edges) == len(axis) + 1
    for point, one, other in zip(axis, edges, edges[1:], strict=False):
        assert min(one, other) < point < max(one, other)


def test_an_offset_makes_room_for_zero_and_is_undone_exactly_enough() -> None:
    values = np.array([0.0, 1e-6, 0.5, 30.0, -0.05])
    scale = shared_scale([values], log=True, clip=40.0, offset=0.1)
    assert scale.height(np.array(0.9)) == 0.0
    # 10^(log10 v) is v to some units in the last place of log10(v), which is below 2: 1e-15 relative of v + 0.1.
    assert scale.value(scale.height(values)) == pytest.approx(values, abs=1e-13)
    layer = sort_values(np.array([0.0, -0.05, -0.1, -2.0]), np.ones(4, bool), log=True, clip=None, offset=0.1)
    assert layer.not_positive.tolist() == [False, False, True, True]
    levels = contour_levels(Scale(0.0005, 700.0, log=True, offset=0.1))
    assert levels.tolist() == [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0]
    assert scale.words == "log(value + 0.1) scale"


@pytest.mark.parametrize(
    ("offset", "log", "words"),
    [(0.1, False, "is for a logarithmic scale"), (-1.0, True, "is not valid"), (np.nan, True, "is not valid")],
)
def test_an_offset_that_is_none_is_refused(offset: float, log: bool, words: str) -> None:
    with pytest.raises(InputError, match=words):
        shared_scale([np.array([1.0, 2.0])], log=log, offset=offset)


@pytest.mark.parametrize("values", [[0.0, 5e-324, 2e-323], [0.0, 1e-310], [3e-320, 3e-320]])
def test_values_too_small_to_tell_apart_are_a_flat_plane(values: list[float]) -> None:
    """Their differences have no power of ten of their own: 10^-324 is 0."""
    scale = shared_scale([np.array(values)], False, None)
    assert scale.low < min(values) <= max(values) < scale.high
    assert contour_levels(scale).size >= 6
