from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.contour import ContourSet

from landscape.core.surface import Point, Surface
from landscape.plotting import contour

# What other tests of this process left to the collector is no warning of a figure.
pytestmark = pytest.mark.filterwarnings("error", "ignore::pytest.PytestUnraisableExceptionWarning")
Plane = Callable[..., Surface]
X = np.linspace(-1, 1, 41)
SURFACES = {
    "bowl": lambda x, y: 0.01 + x * x + 3 * y * y,
    "needle": lambda x, y: 0.001 + 100 * (x * x + y * y) ** 2,
    "waves": lambda x, y: 2.5 + x + np.sin(7 * x) * np.cos(6 * y),
    "cliff": lambda x, y: np.exp(9 * x) + y * y,
}


def lines_of(axes: Any) -> ContourSet:
    (found,) = [artist for artist in axes.get_children() if isinstance(artist, ContourSet)]
    return found


def corners(text: Any) -> np.ndarray:
    """The four corners of a label's own letters, turned as they are, in pixels."""
    turn, place = np.radians(text.get_rotation()), text.get_transform().transform(text.get_position())
    text.set_rotation(0)
    flat = text.get_window_extent()
    text.set_rotation(np.degrees(turn))
    half = np.array([flat.width, flat.height]) / 2 * 0.9  # the extent has some air of its own
    across, up = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    return np.array([place + a * half[0] * across + b * half[1] * up for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))])


def apart(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two convex shapes do not meet: some side of one of them parts them."""
    for shape in (one, other):
        for k in range(len(shape)):
            edge = shape[k] - shape[k - 1]
            normal = np.array([-edge[1], edge[0]])
            if (one @ normal).max() < (other @ normal).min() or (other @ normal).max() < (one @ normal).min():
                return True
    return False


@pytest.mark.parametrize(
    ("name", "log", "style"),
    [("bowl", False, "notebook"), ("bowl", True, "paper"), ("needle", True, "slides"), ("waves", False, "paper"),
     ("waves", True, "slides"), ("cliff", True, "notebook")],
)  # fmt: skip
def test_labels_meet_neither_each_other_nor_names_nor_other_lines(plane: Plane, name: str, log: bool, style: str) -> None:
    points = (Point("the trained net", (0.0, 0.0), {}),)
    figure = contour(plane(X, X, SURFACES[name], points=points), log=log, style=style)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    lines = lines_of(axes)
    labels = lines.labelTexts
    if name == "bowl":
        assert len(labels) >= 3
    shapes = [corners(label) for label in labels]
    names = [text.get_window_extent().corners()[[0, 1, 3, 2]] for text in axes.texts if text.get_text() == "the trained net"]
    assert len(names) == 1
    for i, shape in enumerate(shapes):
        assert all(apart(shape, other) for other in [*shapes[:i], *names])
        assert all(axes.bbox.contains(*corner) for corner in shape)
        own = float(labels[i].get_text())
        for level, segments in zip(lines.levels, lines.allsegs, strict=True):
            if not np.isclose(10.0**level if log else level, own, rtol=1e-3):
                for segment in segments:
                    pixels = axes.transData.transform(segment)
                    assert all(apart(shape, pixels[k : k + 2]) for k in range(len(pixels) - 1)), (own, level)


def test_a_label_stands_on_its_own_line(plane: Plane) -> None:
    axes = contour(plane(X, X, SURFACES["bowl"]), style="paper").axes[0]
    for text in lines_of(axes).labelTexts:
        x, y = text.get_position()
        # Between points the drawn line is a chord of the true one: on a cell of 0.05 it lies within 3 · 0.05² / 4 of it.
        assert SURFACES["bowl"](x, y) == pytest.approx(float(text.get_text()), abs=0.01)
