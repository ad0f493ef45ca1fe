from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_hex
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch

from landscape.core.grid import Grid
from landscape.core.surface import Point, Surface
from landscape.errors import InputError
from landscape.plotting import contour, filled, heatmap

# What other tests of this process left to the collector is no warning of a figure.
pytestmark = pytest.mark.filterwarnings("error", "ignore::pytest.PytestUnraisableExceptionWarning")
Plane = Callable[..., Surface]
SEEN_FROM_ABOVE = [contour, filled, heatmap]


def panels_of(figure: Figure) -> list[Any]:
    return [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]


def only(axes: Any, kind: type) -> Any:
    found = [artist for artist in axes.get_children() if isinstance(artist, kind)]
    assert len(found) == 1
    return found[0]


def marked(axes: Any, name: str, x: float, y: float) -> bool:
    return any(
        patch.get_gid() == name and patch.get_path().contains_point((x, y))
        for patch in axes.patches
        if isinstance(patch, PathPatch)
    )


def draw(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=50)
    return buffer.getvalue()


def texts(figure: Figure) -> str:
    words = [figure.get_supxlabel(), *(axes.get_title() for axes in figure.axes)]
    words += [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    return "\n".join(words)


def test_the_heatmap_holds_every_value_at_its_place(tilted: Surface) -> None:
    mesh = only(panels_of(heatmap(tilted))[0], QuadMesh)
    corners, values = mesh.get_coordinates(), mesh.get_array()
    assert values.shape == (2, 3)
    for row in range(2):
        for column in range(3):
            (left, bottom), (right, top) = corners[row, column], corners[row + 1, column + 1]
            x, y = (left + right) / 2, (bottom + top) / 2  # on even axes the point is the middle of its cell
            assert values[row, column] == 100 * x + y
    assert values[0].tolist() == [0.0, 100.0, 200.0]
    assert values[1].tolist() == [5.0, 105.0, 205.0]


@pytest.mark.parametrize("draw_lines", [contour, filled])
def test_contours_of_a_tilted_plane_are_where_it_has_their_level(tilted: Surface, draw_lines: Callable[..., Figure]) -> None:
    sets = [artist for artist in panels_of(draw_lines(tilted))[0].get_children() if isinstance(artist, ContourSet)]
    lines = next(one for one in sets if not one.filled)
    assert len(lines.levels) >= 5
    for level, segments in zip(lines.levels, lines.allsegs, strict=True):
        assert segments
        for x, y in np.concatenate(segments):
            # A plane is linear between its points, so the contour is exact but for roundings of sums near 200.
            assert 100 * x + y == pytest.approx(level, abs=1e-10)


def test_filled_bands_hold_the_points_of_their_values(tilted: Surface) -> None:
    bands = next(a for a in panels_of(filled(tilted))[0].get_children() if isinstance(a, ContourSet) and a.filled)
    assert bands.levels[0] == 0.0
    assert bands.levels[-1] == 205.0
    for x, y in [(0.3, 1.0), (1.2, 4.0), (1.7, 2.0), (0.9, 0.5)]:
        (holding,) = (k for k, path in enumerate(bands.get_paths()) if path.vertices.size and path.contains_point((x, y)))
        assert bands.levels[holding] <= 100 * x + y <= bands.levels[holding + 1]


@pytest.mark.parametrize("draw_it", SEEN_FROM_ABOVE)
def test_descending_axes_give_the_same_picture(plane: Plane, draw_it: Callable[..., Figure]) -> None:
    x, y = np.array([0.0, 1.0, 4.0]), np.array([-1.0, 0.0, 2.0, 3.0])

    def loss(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return 10 * x + y * y

    there, back = (draw_it(plane(*axes, loss)) for axes in ((x, y), (x[::-1], y[::-1])))
    for one, other in zip(panels_of(there), panels_of(back), strict=True):
        assert one.get_xlim() == other.get_xlim()
        assert one.get_ylim() == other.get_ylim()
    if draw_it is heatmap:
        one, other = (only(panels_of(figure)[0], QuadMesh) for figure in (there, back))
        assert np.array_equal(one.get_array(), other.get_array()[::-1, ::-1])
        assert np.array_equal(one.get_coordinates(), other.get_coordinates()[::-1, ::-1])


def holed(plane: Plane) -> Surface:
    """A 7 × 6 plane with one point of each kind: not measured (a corner), NaN, infinite, negative, and above any clip."""
    x, y = np.arange(7.0), np.arange(6.0)
    loss = np.add.outer(x, y) + 1.0
    loss[0, 0], loss[3, 4], loss[5, 1], loss[1, 4], loss[5, 4] = np.nan, np.nan, np.inf, -2.0, 1e35
    done = np.ones(loss.shape, bool)
    done[0, 0] = False  # no coarser grid of the whole is complete either
    return plane(x, y, loss, done=done, points=())


@pytest.mark.parametrize("draw_it", SEEN_FROM_ABOVE)
def test_each_hole_bears_its_own_mark_and_no_colour(plane: Plane, draw_it: Callable[..., Figure]) -> None:
    figure = draw_it(holed(plane), log=True, clip=20.0)
    axes = panels_of(figure)[0]
    where = {"not_measured": [(0, 0)], "not_finite": [(3, 4), (5, 1)], "not_positive": [(1, 4)], "clipped": [(5, 4)]}
    for name, places in where.items():
        for other, theirs in where.items():
            for x, y in theirs:
                assert marked(axes, name, x + 0.01, y + 0.02) == (name == other), (name, x, y)
        assert places
        assert not marked(axes, name, 3.0, 2.0)
    if draw_it is heatmap:
        mask = np.ma.getmaskarray(only(axes, QuadMesh).get_array())
        assert sorted(zip(*np.nonzero(mask.T), strict=True)) == [(0, 0), (1, 4), (3, 4), (5, 1)]
    else:
        drawn = [path for a in axes.get_children() if isinstance(a, ContourSet) and a.filled for path in a.get_paths()]
        for i, j in [(0, 0), (3, 4), (5, 1), (1, 4)]:  # nothing is drawn in the four cells around a hole
            assert not any(
                path.contains_point((i + dx, j + dy)) for path in drawn for dx in (-0.8, -0.3, 0.3, 0.8) for dy in (-0.8, 0.8)
            )
    hatches = {patch.get_gid(): (patch.get_hatch(), to_hex(patch.get_edgecolor())) for patch in axes.patches}
    assert len(set(hatches.values())) == 4
    words = texts(figure)
    for phrase in (
        "not measured",
        "NaN or infinite",
        "≤ 0, no logarithm",
        "above 20, cut off",
        "incomplete: 97 % measured",
        "up to 1e+35",
    ):
        assert phrase in words
    draw(figure)


def unfinished(plane: Plane, n_done: int, n: int = 17, **rest: Any) -> Surface:
    """The first `n_done` points of a run over n × n points; the last of them, which no coarser grid holds, is far off the scale."""
    axis = np.linspace(-1, 1, n)
    loss = 1 + np.add.outer(axis**2, 2 * axis**2)
    done = np.zeros((n, n), bool)
    for index in itertools.islice(Grid((axis, axis)).indices(), n_done):
        done[index] = True
    loss[index] = 1e6
    return plane(axis, axis, np.where(done, loss, np.nan), done=done, **rest)


@pytest.mark.parametrize("draw_it", [contour, filled])
def test_an_unfinished_plane_is_drawn_at_the_resolution_it_has(plane: Plane, draw_it: Callable[..., Figure]) -> None:
    figure, coarse = (
        draw_it(unfinished(plane, 100)),
        draw_it(plane(*[np.linspace(-1, 1, 9)] * 2, lambda x, y: 1 + x * x + 2 * y * y)),
    )
    drawn, expected = ([a for a in panels_of(one)[0].get_children() if isinstance(a, ContourSet)] for one in (figure, coarse))
    assert len(drawn) == len(expected) > 0
    for one, other in zip(drawn, expected, strict=True):
        assert one.levels.tolist() == other.levels.tolist()
        if draw_it is filled:  # the lines of `contour` are open where their labels stand
            assert [path.vertices.tolist() for path in one.get_paths()] == [path.vertices.tolist() for path in other.get_paths()]
    assert not panels_of(figure)[0].patches
    words = texts(figure)
    assert "a plane\n9 × 9 of 17 × 17 points measured so far" in words
    assert "19 further measured points are not drawn" in words  # 100 - 81
    draw(figure)


def test_the_heatmap_of_an_unfinished_plane_has_every_measured_point(plane: Plane) -> None:
    surface = unfinished(plane, 100)
    figure = heatmap(surface)
    mask = np.ma.getmaskarray(only(panels_of(figure)[0], QuadMesh).get_array()).T
    assert np.array_equal(~mask, surface.done["train_loss"])
    assert "incomplete: 34 % measured" in texts(figure)
    assert "not drawn" not in texts(figure)


def test_each_plane_has_its_own_resolution(plane: Plane) -> None:
    several = [unfinished(plane, 81, name="early"), unfinished(plane, 289, name="late")]
    assert [axes.get_title() for axes in panels_of(filled(several, clip=10.0))] == [
        "early\n9 × 9 of 17 × 17 points measured so far",
        "late",
    ]


@pytest.mark.parametrize("draw_it", [contour, filled])
def test_what_is_cut_off_starts_where_the_contour_of_the_clip_runs(plane: Plane, draw_it: Callable[..., Figure]) -> None:
    axes = panels_of(draw_it(plane([0, 1, 2, 3], [0, 1], lambda x, y: 10 * x), clip=14.0))[0]
    assert not marked(axes, "clipped", 1.39, 0.5)
    assert marked(axes, "clipped", 1.41, 0.5)
    assert marked(axes, "clipped", 2.9, 0.5)
    for one in axes.get_children():
        if isinstance(one, ContourSet):
            assert one.levels.max() <= 14.0


def test_contours_on_a_log_scale_are_straight_in_the_logarithm(plane: Plane) -> None:
    axes = panels_of(contour(plane([0, 1, 2], [0, 1], lambda x, y: 10.0 ** (2 * x)), log=True))[0]
    lines = only(axes, ContourSet)
    for height, segments in zip(lines.levels, lines.allsegs, strict=True):
        assert 2 * np.concatenate(segments)[:, 0] == pytest.approx(height, abs=1e-12)
    assert {text.get_text() for text in lines.labelTexts} <= {"3", "10", "30", "100", "300", "1000", "3000"}


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("draw_it", SEEN_FROM_ABOVE)
def test_panels_share_one_norm_and_one_colour_bar(plane: Plane, draw_it: Callable[..., Figure], log: bool) -> None:
    x = np.linspace(-1, 1, 5)
    several = [plane(x, x, lambda x, y, k=k: k * (1 + x * x + y * y), name=f"net {k}") for k in (1, 3, 10)]
    figure = draw_it(several, log=log)
    artists = [
        a
        for axes in panels_of(figure)
        for a in axes.get_children()
        if isinstance(a, QuadMesh | ContourSet) and a.cmap.name == "viridis"
    ]
    limits = {(type(a.norm), a.norm.vmin, a.norm.vmax) for a in artists if not (draw_it is filled and not a.filled)}
    assert len(limits) == 1
    expected = (np.log10([1, 30]) if log and draw_it is not heatmap else np.array([1.0, 30.0])).tolist()
    assert list(next(iter(limits))[1:]) == pytest.approx(expected)
    bars = [axes for axes in figure.axes if axes.get_label() == "<colorbar>"]
    assert len(bars) == 1
    assert bars[0].get_ylim() == pytest.approx((1.0, 30.0))
    assert [axes.get_title() for axes in panels_of(figure)] == ["net 1", "net 3", "net 10"]


def test_rows_of_panels_do_not_run_into_each_other(plane: Plane) -> None:
    x = np.linspace(-1, 1, 5)
    done = np.ones((5, 5), bool)
    done[0] = False
    figure = heatmap([plane(x, x, lambda x, y: x * x + y * y, done=done, name=name) for name in "abcd"])
    draw(figure)
    boxes = [axes.get_tightbbox() for axes in panels_of(figure)]
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])


@pytest.mark.parametrize(("log", "clip"), [(False, None), (True, 3.0)])
@pytest.mark.parametrize(
    "loss",
    [np.full((3, 4), 2.5), np.full((3, 4), np.nan), np.full((3, 4), np.inf), np.full((3, 4), -2.0), np.zeros((3, 4)),
     np.where(np.eye(3, 4) > 0, 1e35, 2.0), np.where(np.eye(3, 4) > 0, -1e35, 2.0), 10.0 ** -np.arange(12.0).reshape(3, 4)],
    ids=["constant", "nan", "inf", "negative", "zero", "cliffs", "pits", "tiny"],
)  # fmt: skip
@pytest.mark.parametrize("draw_it", SEEN_FROM_ABOVE)
def test_whatever_was_measured_is_drawn_without_a_warning(
    plane: Plane, draw_it: Callable[..., Figure], loss: np.ndarray, clip: float | None, log: bool
) -> None:
    assert draw(draw_it(plane([-1.0, 0.5, 4.0], [3.0, 2.0, 0.0, -0.1], loss), log=log, clip=clip)).startswith(b"\x89PNG")


@pytest.mark.parametrize(("x", "y"), [([0.0], [0.0, 1.0]), ([0.0, 1.0], [0.0]), ([2.0], [0.0])])
def test_an_axis_of_one_point_has_cells_but_no_contours(plane: Plane, x: list[float], y: list[float]) -> None:
    surface = plane(x, y, lambda x, y: 1 + x + y)
    figure = heatmap(surface)
    assert only(panels_of(figure)[0], QuadMesh).get_array().T.tolist() == surface.values["train_loss"].tolist()
    draw(figure)
    for draw_it in (contour, filled):
        with pytest.raises(InputError, match="axis of one point, which has no contours; draw it as heatmap"):
            draw_it(surface)


@pytest.mark.parametrize("draw_it", SEEN_FROM_ABOVE)
def test_nothing_measured_yet_is_all_marked(plane: Plane, draw_it: Callable[..., Figure]) -> None:
    nothing = np.full((3, 3), np.nan)
    figure = draw_it(plane([0, 1, 2], [0, 1, 2], nothing, done=np.zeros((3, 3), bool)))
    assert all(marked(panels_of(figure)[0], "not_measured", x, y) for x in (0.1, 1.0, 1.9) for y in (0.1, 1.2, 1.9))
    assert "incomplete: 0 % measured" in texts(figure)
    draw(figure)


def test_models_are_marked_by_name_where_they_lie(plane: Plane) -> None:
    points = (Point("A", (0.0, 0.0), {}), Point("B", (1.0, 0.25), {}), Point("far", (9.0, 0.0), {}))
    figure = heatmap(plane([0, 1, 2], [0, 0.5, 1], lambda x, y: x + y, points=points))
    axes = panels_of(figure)[0]
    assert {text.get_text(): text.xy for text in axes.texts} == {"A": (0.0, 0.0), "B": (1.0, 0.25)}
    assert [tuple(line.get_xydata()[0]) for line in axes.lines if line.get_gid() == "model"] == [(0.0, 0.0), (1.0, 0.25)]
    assert "far at (9, 0) lies outside" in texts(figure)


def test_axes_say_what_they_are(tilted: Surface) -> None:
    axes = panels_of(filled(tilted))[0]
    assert axes.get_xlabel().replace("\n", " ") == "x: random direction, seed 0, filter-normalized (unit ‖δ‖\u00a0=\u00a012.3)"
    assert axes.get_ylabel().startswith("y: ")
    assert axes.get_ylabel().endswith("11.9)")


def test_the_values_of_the_surface_stay_as_they_were(plane: Plane) -> None:
    surface = holed(plane)
    before = surface.values["train_loss"].copy()
    for draw_it in SEEN_FROM_ABOVE:
        draw_it(surface, log=True, clip=3.0)
    assert np.array_equal(surface.values["train_loss"], before, equal_nan=True)
