from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import rgb_to_hsv
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from landscape.core.surface import Point, Surface
from landscape.errors import InputError
from landscape.plotting import relief
from landscape.plotting.relief import align_heights

# What other tests of this process left to the collector is no warning of a figure.
pytestmark = pytest.mark.filterwarnings("error", "ignore::pytest.PytestUnraisableExceptionWarning")
Plane = Callable[..., Surface]
GREY = 0.85  # of what is cut off


def panels_of(figure: Figure) -> list[Any]:
    return [axes for axes in figure.axes if axes.name == "3d"]


class Kept(Poly3DCollection):
    """A collection that keeps what it was given: matplotlib offers no way back to the faces, and hands out their colours by depth."""

    def __init__(self, verts: Any, **looks: Any) -> None:
        super().__init__(verts, **looks)
        self.given = verts
        self.faces = [np.ma.compress_rows(np.ma.asarray(face)) for face in verts]  # without what is behind the last corner
        self.colours = np.array(looks["facecolors"])


@pytest.fixture(autouse=True)
def _keep_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["landscape.plotting.relief"], "Poly3DCollection", Kept)


def collection(axes: Any, name: str) -> Kept | None:
    return next((artist for artist in axes.collections if artist.get_gid() == name), None)


def polygons(axes: Any, name: str = "relief") -> list[np.ndarray]:
    found = collection(axes, name)
    return found.faces if found is not None else []


def draw(figure: Figure) -> None:
    figure.savefig(io.BytesIO(), format="png", dpi=40)


def test_every_value_of_a_tilted_plane_is_at_its_place(tilted: Surface) -> None:
    corners = {tuple(vertex) for polygon in polygons(panels_of(relief(tilted))[0]) for vertex in polygon}
    for x in (0.0, 1.0, 2.0):
        for y in (0.0, 5.0):
            assert (x, y, 100 * x + y) in corners
    for x, y, z in corners:  # where steep faces are parted the new corners lie on the plane too
        assert z == pytest.approx(100 * x + y, abs=1e-10)


def test_heights_are_logarithms_on_a_log_scale(plane: Plane) -> None:
    axes = panels_of(relief(plane([0, 1, 2], [0, 1], lambda x, y: 10.0 ** (x + y)), log=True))[0]
    for x, y, z in np.concatenate(polygons(axes)):
        assert z == pytest.approx(x + y, abs=1e-12)
    texts = axes.zaxis.get_major_formatter().format_ticks(axes.get_zticks())
    assert texts[-1].endswith(" nats")  # the unit, once
    assert [float(text.removesuffix(" nats")) for text in texts] == pytest.approx(10.0 ** axes.get_zticks())


def test_heights_are_written_as_on_the_colour_bar(plane: Plane) -> None:
    figure = relief(plane([0, 1, 2, 3], [0, 1], lambda x, y: 10.0 ** (3 * x - 1)), log=True)
    draw(figure)
    bar = next(axes for axes in figure.axes if axes.get_label() == "<colorbar>")
    written = {text.get_text() for text in bar.get_yticklabels()}
    heights = [text.get_text().removesuffix(" nats") for text in panels_of(figure)[0].get_zticklabels()]
    assert len(heights) >= 3
    assert written >= set(heights)
    assert written >= {"10000", "1e6"}
    assert [float(text) for text in heights] == pytest.approx(10.0 ** panels_of(figure)[0].get_zticks())


@pytest.mark.parametrize("style", ["paper", "slides", "notebook"])
def test_heights_stand_beside_the_box(plane: Plane, style: str) -> None:
    """The axis of heights is an edge of the box to the left or the right, by the camera: no label reaches back over it."""
    figure = relief(plane([0, 1], [0, 1], lambda x, y: 10.0 ** (5 * x - 0.5)), log=True, style=style)
    figure.draw_without_rendering()
    axes = panels_of(figure)[0]
    for azimuth in (-58.0, 32.0, 122.0, -148.0, 0.0, -90.0):  # each quarter of a turn, and between two
        if azimuth != axes.azim:
            axes.view_init(33, azimuth)
            align_heights(axes)
            figure.draw_without_rendering()
        ticks = axes.zaxis.get_major_ticks()
        assert [tick.label1.get_text() for tick in ticks] == ["1", "10", "100", "1000", "10000 nats"]
        for tick in ticks:
            edge = float(axes.transData.transform(tick.tick1line.get_xydata())[:, 0].mean())  # the tick lies across its axis
            extent = tick.label1.get_window_extent()
            assert extent.x0 > edge or extent.x1 < edge, (azimuth, tick.label1)


def faces_with_colours(axes: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    found = collection(axes, "relief")
    assert found is not None
    return list(zip(found.faces, found.colours, strict=True))


def test_matplotlib_is_given_no_memory_to_fill(plane: Plane) -> None:
    """Of faces with 3, 4 and 5 corners it made an array with whatever lay behind the last one, and warned now and then of an overflow."""
    surface = plane([0, 1, 2, 3], [0, 1, 2], lambda x, y: 10 * x + 3 * y)
    found = collection(panels_of(relief(surface, clip=14.0))[0], "relief")
    assert found is not None
    assert {len(face) for face in found.faces} == {3, 4, 5}
    given = found.given
    assert given.shape == (len(found.faces), 5, 3)
    for face, padded in zip(found.faces, given.data, strict=True):
        assert np.array_equal(padded[: len(face)], face)
        assert (padded[len(face) :] == face[-1]).all()


def test_what_is_above_the_clip_is_a_flat_grey_top_cut_along_the_contour(plane: Plane) -> None:
    axes = panels_of(relief(plane([0, 1, 2, 3], [0, 1], lambda x, y: 10 * x), clip=14.0))[0]
    tops = [polygon for polygon, colour in faces_with_colours(axes) if np.allclose(colour, GREY)]
    slopes = [polygon for polygon, colour in faces_with_colours(axes) if not np.allclose(colour, GREY)]
    assert all((polygon[:, 2] == 14.0).all() for polygon in tops)
    assert min(polygon[:, 0].min() for polygon in tops) == pytest.approx(1.4)
    for polygon in slopes:
        assert polygon[:, 2] == pytest.approx(10 * polygon[:, 0])
        assert polygon[:, 2].max() <= 14.0

    def area(several: list[np.ndarray]) -> float:
        total = 0.0
        for p in several:
            total += abs(np.sum(p[:, 0] * np.roll(p[:, 1], -1) - np.roll(p[:, 0], -1) * p[:, 1])) / 2
        return total

    assert area(tops) == pytest.approx(1.6)
    assert area(slopes) == pytest.approx(1.4)


def test_no_clip_cuts_nothing(plane: Plane) -> None:
    axes = panels_of(relief(plane([0, 1, 2], [0, 1], lambda x, y: np.where(x == 2, 1e35, 1.0))))[0]
    assert max(polygon[:, 2].max() for polygon in polygons(axes)) == 1e35
    assert not any(np.allclose(colour, GREY) for _, colour in faces_with_colours(axes))


def test_the_colour_is_the_values_and_light_only_darkens_it(plane: Plane) -> None:
    x = np.linspace(-1, 1, 11)
    axes = panels_of(relief(plane(x, x, lambda x, y: x * x + 2 * y * y)))[0]
    darker = []
    for polygon, colour in faces_with_colours(axes):
        pure = np.array(matplotlib.colormaps["viridis"](polygon[:, 2].mean() / 3.0)[:3])
        assert rgb_to_hsv(colour)[:2] == pytest.approx(rgb_to_hsv(pure)[:2], abs=1e-6)
        darker.append(rgb_to_hsv(colour)[2] / rgb_to_hsv(pure)[2])
    assert 0.5 - 1e-9 <= min(darker) < 0.9 < max(darker) <= 1 + 1e-9


def test_cells_without_a_value_are_holes_with_a_marked_shadow(plane: Plane) -> None:
    loss = np.add.outer(np.arange(6.0), np.arange(5.0)) + 1
    loss[0, 0], loss[4, 3], loss[4, 0] = np.nan, np.nan, -1.0
    done = np.ones(loss.shape, bool)
    done[0, 0] = False  # a corner: no coarser grid of the whole is complete either
    figure = relief(plane(np.arange(6.0), np.arange(5.0), loss, done=done, points=()), log=True)
    axes = panels_of(figure)[0]
    for i, j, name in ((0, 0, "not_measured"), (4, 3, "not_finite"), (4, 0, "not_positive")):
        for polygon in polygons(axes):  # no face covers a cell at the hole
            inside = (abs(polygon[:, 0].mean() - i) < 1) & (abs(polygon[:, 1].mean() - j) < 1)
            assert not inside
        shadow = np.concatenate(polygons(axes, name))
        assert (abs(shadow[:, 0] - i) <= 1).all()
        assert (abs(shadow[:, 1] - j) <= 1).all()
        assert (shadow[:, 2] == axes.get_zlim()[0]).all()
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["not measured", "NaN or infinite", "≤ 0, no logarithm"]
    draw(figure)


def test_an_unfinished_plane_is_a_relief_at_the_resolution_it_has(plane: Plane) -> None:
    x = np.linspace(-1, 1, 9)
    done = np.zeros((9, 9), bool)
    done[::2, ::2] = done[1, 1] = True
    figure = relief(plane(x, x, lambda x, y: 1 + x * x + y * y, done=done))
    axes = panels_of(figure)[0]
    whole = panels_of(relief(plane(x[::2], x[::2], lambda x, y: 1 + x * x + y * y)))[0]
    assert [polygon.tolist() for polygon in polygons(axes)] == [polygon.tolist() for polygon in polygons(whole)]
    assert axes.get_title() == "a plane\n5 × 5 of 9 × 9 points measured so far"
    assert "1 further measured point is not drawn" in figure.get_supxlabel()
    assert not figure.legends
    draw(figure)


def test_a_title_of_two_lines_stays_in_the_picture(plane: Plane) -> None:
    x, done = np.linspace(-1, 1, 9), np.zeros((9, 9), bool)
    done[::2, ::2] = True
    for n_panels in (1, 2):
        figure = relief([plane(x, x, lambda x, y: 1 + x * x + y * y, done=done)] * n_panels)
        draw(figure)
        for axes in panels_of(figure):
            assert axes.get_title().count("\n") == 1
            assert axes.title.get_window_extent().y1 <= figure.bbox.y1


def test_panels_share_heights_colours_and_camera(plane: Plane) -> None:
    x = np.linspace(-1, 1, 5)
    figure = relief([plane(x, x, lambda x, y, k=k: k * (1 + x * x + y * y), name=f"net {k}") for k in (1, 4)], clip=6.0)
    one, other = panels_of(figure)
    assert one.get_zlim() == other.get_zlim()
    assert one.get_zlim()[1] == 6.0
    assert (one.elev, one.azim) == (other.elev, other.azim)
    assert len([axes for axes in figure.axes if axes.get_label() == "<colorbar>"]) == 1

    def colour_at(axes: Any, height: float) -> np.ndarray:
        polygon, colour = min(faces_with_colours(axes), key=lambda face: abs(face[0][:, 2].mean() - height))
        return np.array([*rgb_to_hsv(colour)[:2], polygon[:, 2].mean()])

    hue_of = matplotlib.colormaps["viridis"]
    for axes in (one, other):
        hue, saturation, height = colour_at(axes, 2.5)
        expected = rgb_to_hsv(hue_of((height - 1.0) / 5.0)[:3])[:2]
        assert [hue, saturation] == pytest.approx(expected, abs=1e-6)
    draw(figure)


def test_a_pin_stands_on_the_models_own_value(plane: Plane) -> None:
    points = (Point("trained", (0.5, 0.5), {"train_loss": 1.25}), Point("nameless value", (0.0, 1.0), {}))
    axes = panels_of(relief(plane([0, 1], [0, 1], lambda x, y: 1 + x + y, points=points)))[0]
    assert [text.get_text() for text in axes.texts] == ["trained"]
    pin = next(line for line in axes.lines if line.get_gid() == "model")
    assert [list(values) for values in pin.get_data_3d()] == [[0.5, 0.5], [0.5, 0.5], [1.25, 3.0]]


# Seen once in some runs, and not again in 600 drawings: a division in matplotlib's own projection.
@pytest.mark.filterwarnings("ignore::RuntimeWarning:mpl_toolkits.mplot3d.proj3d")
@pytest.mark.parametrize(("log", "clip"), [(False, 3.0), (True, None)])
@pytest.mark.parametrize(
    "loss",
    [np.full((3, 4), 2.5), np.full((3, 4), np.nan), np.full((3, 4), np.inf), np.full((3, 4), -2.0), np.zeros((3, 4)),
     np.where(np.eye(3, 4) > 0, 1e35, 2.0), np.where(np.eye(3, 4) > 0, 1e299, 2.0), 10.0 ** -np.arange(12.0).reshape(3, 4)],
    ids=["constant", "nan", "inf", "negative", "zero", "cliffs", "higher cliffs", "tiny"],
)  # fmt: skip
def test_whatever_was_measured_is_drawn_without_a_warning(plane: Plane, loss: np.ndarray, log: bool, clip: float | None) -> None:
    draw(relief([plane([-1.0, 0.5, 4.0], [3.0, 2.0, 0.0, -0.1], loss)], log=log, clip=clip))


def test_descending_axes_give_the_same_faces(plane: Plane) -> None:
    x, y = 0.05 * np.arange(24) + 0.001 * np.arange(24) ** 2, np.linspace(-1, 1, 30)

    def faces(x: np.ndarray, y: np.ndarray) -> dict[Any, np.ndarray]:
        """What every face is, rounded where a sum in another order may differ: its corners in any order, and its colour."""
        axes = panels_of(relief(plane(x, y, lambda x, y: x + y)))[0]
        assert axes.get_xlim() == (0.0, x.max())
        return {frozenset(map(tuple, polygon.round(9).tolist())): colour for polygon, colour in faces_with_colours(axes)}

    first = faces(x, y)
    assert len(first) == 23 * 29 * 16  # nowhere steep: each cell in 4 × 4 faces
    for other in (faces(x[::-1], y), faces(x[::-1], y[::-1])):
        assert other.keys() == first.keys()
        assert all(np.allclose(other[face], first[face], atol=1e-6) for face in first)


def test_an_axis_of_one_point_makes_no_relief(plane: Plane) -> None:
    with pytest.raises(InputError, match="a plane has an axis of one point, which makes no relief; draw it as heatmap"):
        relief(plane([0.0], [0.0, 1.0], lambda x, y: x + y))
