"""The presets: what a paper, a slide and a notebook ask of a figure, read from its artists and from the bytes of its files."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from landscape.core.surface import Point, Surface
from landscape.errors import InputError
from landscape.plotting import contour, curve, figure, filled, heatmap, relief, save

# What other tests of this process left to the collector is no warning of a figure.
pytestmark = pytest.mark.filterwarnings("error", "ignore::pytest.PytestUnraisableExceptionWarning")
Make = Callable[..., Surface]
X = np.linspace(-1, 1, 9)
PLANES = [contour, filled, heatmap, relief]


def bowl(plane: Make, **rest: object) -> Surface:
    points = (Point("net", (0.0, 0.0), {"train_loss": 1.0}),)
    return plane(X, X, lambda x, y: 1 + x * x + 2 * y * y, points=points, **rest)


def parabola(line: Make) -> Surface:
    return line(X, "a line", train_loss=1 + X**2, stderr={"train_loss": 0.1 + 0 * X})


def sizes(drawn: Figure) -> set[float]:
    """The sizes of all letters that are seen, in points."""
    drawn.draw_without_rendering()
    return {text.get_fontsize() for text in drawn.findobj(Text) if text.get_visible() and text.get_text().strip()}


def words(drawn: Figure) -> str:
    return "\n".join(text.get_text() for text in drawn.findobj(Text))


@pytest.mark.parametrize("draw_it", PLANES)
def test_a_papers_figure_is_a_column_wide_in_eight_points_without_titles(plane: Make, draw_it: Callable[..., Figure]) -> None:
    one, two = (draw_it([bowl(plane, name=name) for name in names], style="paper", clip=3.0) for names in (["a"], ["a", "b"]))
    assert one.get_figwidth() == 3.3
    assert two.get_figwidth() == 6.8  # both columns
    assert sizes(one) <= {6.5, 7, 8}
    assert [axes.get_title() for axes in one.axes] == [""] * len(one.axes)
    assert "(a)" not in words(one)
    assert "(a) a" in words(two)  # several panels have to be told apart
    assert "(b) b" in words(two)
    assert one.get_supxlabel() == ""
    assert "filter-normalized (unit ‖δ‖\u00a0=\u00a012.3)" in one.caption  # what is not in the figure


def test_a_papers_curve_is_a_column_wide(line: Make) -> None:
    drawn = curve([parabola(line)] * 3, style="paper")
    assert drawn.get_figwidth() == 3.3
    assert sizes(drawn) <= {6.5, 7, 8}


@pytest.mark.parametrize(
    ("draw_it", "style", "numbers"),
    [(relief, "paper", (1, 2, 3)), (relief, "notebook", (1, 2)), (filled, "paper", (1, 3)), (heatmap, "notebook", (1, 2)), (contour, "paper", (2,)),
     (heatmap, "slides", (2,))],
)  # fmt: skip
def test_nothing_leaves_the_sheet_nor_is_it_half_empty(
    plane: Make, draw_it: Callable[..., Figure], style: str, numbers: tuple[int, ...]
) -> None:
    for n_panels in numbers:
        x = np.linspace(-1, 1, 51)  # as fine as a real one: a heatmap's labels hang on how wide a cell is
        several = [plane(x, x, lambda x, y: 1 + x * x + 2 * y * y, name=f"net {k}") for k in range(n_panels)]
        for k, surface in enumerate(several):  # directions of different lengths: each panel has its own labels
            axes = tuple(replace(axis, attributes={**axis.attributes, "norm": 12.3 + k}) for axis in surface.axes)
            several[k] = replace(surface, axes=axes)
        drawn = draw_it(several, style=style, clip=None if draw_it is heatmap else 3.0)
        drawn.draw_without_rendering()
        drawn.draw_without_rendering()  # a layout of squares may grow at its second pass, which is the one that is saved
        used = drawn.get_tightbbox()
        width, height = drawn.get_size_inches()
        assert min(used.x0, used.y0) >= 0
        assert used.x1 <= width
        assert used.y1 <= height
        assert used.height > (0.7 if style == "slides" else 0.85) * height


@pytest.mark.parametrize(
    ("draw_it", "n_panels"),
    [(relief, 1), pytest.param(relief, 2, marks=pytest.mark.slow), pytest.param(contour, 1, marks=pytest.mark.slow), (filled, 2),
     pytest.param(heatmap, 1, marks=pytest.mark.slow), (curve, 1)],
)  # fmt: skip
def test_a_slide_is_16_to_9_in_18_points(
    plane: Make, line: Make, draw_it: Callable[..., Figure], n_panels: int, tmp_path: Path
) -> None:
    surface = parabola(line) if draw_it is curve else bowl(plane)
    drawn = draw_it([surface] * n_panels, style="slides", clip=2.5)
    assert 9 * drawn.get_figwidth() == pytest.approx(16 * drawn.get_figheight())
    assert sizes(drawn) <= {14, 16, 18}
    if n_panels == 1:
        with Image.open(save(drawn, tmp_path / "slide.png")) as picture:
            assert picture.size == (1920, 1080)


def test_a_notebooks_figure_says_everything_itself(plane: Make) -> None:
    drawn = filled(bowl(plane, name="net", data={"train": {"size": 600, "used": 60, "order": "first"}}))
    assert drawn.axes[0].get_title() == "net"
    assert "60 of 600 train examples" in drawn.get_supxlabel()
    assert "60 of 600 train examples" in drawn.caption


@pytest.mark.parametrize("style", ["paper", "notebook"])
@pytest.mark.parametrize("draw_it", PLANES)
def test_every_axis_and_the_bar_have_their_unit(plane: Make, draw_it: Callable[..., Figure], style: str) -> None:
    drawn = draw_it(bowl(plane), style=style)
    axes, bar = drawn.axes[0], drawn.axes[-1]
    assert bar.get_ylabel() == "train loss (nats)"
    for label in (axes.get_xlabel(), axes.get_ylabel()):
        assert "(unit ‖δ‖" in label.replace("\n", " ")
    if draw_it is relief:
        assert axes.zaxis.get_major_formatter().format_ticks(axes.get_zticks())[-1].endswith(" nats")


def test_panels_with_the_same_axes_are_labelled_at_the_sheets_edges_only(plane: Make) -> None:
    panels = filled([bowl(plane, name=name) for name in "abc"], style="paper").axes[:3]
    assert [bool(axes.get_ylabel()) for axes in panels] == [True, False, False]
    assert [bool(axes.get_xlabel()) for axes in panels] == [True, True, True]
    four = filled([bowl(plane, name=name) for name in "abcd"], style="paper").axes[:4]
    assert [bool(axes.get_xlabel()) for axes in four] == [False, False, True, True]
    other = plane(X * 2, X, lambda x, y: 1 + x * x + y * y)
    panels = filled([bowl(plane), other], style="paper").axes[:2]
    assert [bool(axes.get_xlabel()) for axes in panels] == [True, True]
    three = filled([bowl(plane), other, bowl(plane), bowl(plane), other], style="paper").axes[:5]  # 2 rows of 3, one place free
    assert all(axes.get_xlabel() for axes in three)


def test_an_unfinished_plane_says_so_in_every_style(plane: Make) -> None:
    done = np.zeros((9, 9), bool)
    done[::2, ::2] = True
    for style in ("paper", "slides"):
        for draw_it in (filled, relief):
            assert "5 × 5 of 9 × 9 points measured so far" in words(draw_it(bowl(plane, done=done), style=style))


def test_unknown_styles_and_options_are_refused_in_one_line(plane: Make, line: Make) -> None:
    with pytest.raises(InputError, match='unknown style "papers": did you mean "paper"'):
        filled(bowl(plane), style="papers")
    with pytest.raises(InputError, match="camera is for relief; this figure is a filled"):
        figure(bowl(plane), camera=(30.0, 0.0))
    with pytest.raises(InputError, match="inset is for curve; this figure is a heatmap"):
        figure(bowl(plane), "heatmap", inset=False)
    with pytest.raises(InputError, match="offset is for contour, filled, heatmap, relief; this figure is a curve"):
        figure(parabola(line), offset=0.1)
    with pytest.raises(InputError, match="elevation of 0 to 90"):
        relief(bowl(plane), camera=(-20.0, 0.0))


def streams(pdf: bytes) -> bytes:
    """A PDF with its compressed streams unpacked: fonts may be described within them."""
    packed = [match.group(1) for match in re.finditer(rb"stream\r?\n(.*?)\r?\nendstream", pdf, flags=re.DOTALL)]
    unpacked = []
    for stream in packed:
        try:
            unpacked.append(zlib.decompress(stream))
        except zlib.error:
            unpacked.append(stream)
    return pdf + b"\n".join(unpacked)


@pytest.mark.parametrize("draw_it", [contour, relief, curve])
def test_a_pdf_has_its_fonts_within_as_outlines(plane: Make, line: Make, draw_it: Callable[..., Figure], tmp_path: Path) -> None:
    surface = parabola(line) if draw_it is curve else bowl(plane, name="φ ‖δ‖")  # letters beyond Latin too
    content = streams(save(draw_it([surface] * 2, style="paper"), tmp_path / "figure.pdf").read_bytes())
    assert b"/FontFile2" in content  # TrueType outlines
    assert b"/Type3" not in content.replace(b" ", b"")  # which journals refuse
    fonts = re.findall(rb"/Subtype\s*/(Type0|Type1|TrueType|Type3)\b", content)
    assert set(fonts) == {b"Type0"}
    assert b"CreationDate" not in content


@pytest.mark.parametrize("draw_it", [*PLANES, curve])
def test_an_svg_parses_and_needs_no_font(plane: Make, line: Make, draw_it: Callable[..., Figure], tmp_path: Path) -> None:
    surface = parabola(line) if draw_it is curve else bowl(plane)
    root = ElementTree.parse(save(draw_it(surface, style="paper"), tmp_path / "figure.svg")).getroot()
    tags = [element.tag.rpartition("}")[2] for element in root.iter()]
    assert root.get("width") == f"{3.3 * 72:.6g}pt"
    assert "text" not in tags
    assert "date" not in tags
    n_images = tags.count("image")
    assert n_images == {relief: 2, heatmap: 2, curve: 0}.get(draw_it, 1)  # type: ignore[call-overload]  # the colour bar, and a dense mesh
    if draw_it is relief:
        assert tags.count("path") < 1000  # of the 8 × 8 × 16 faces none is an outline


@pytest.mark.parametrize(
    ("draw_it", "suffix"),  # each kind and each format once; other pairs have nothing of their own
    [(relief, ".pdf"), (contour, ".svg"), (curve, ".png")],
)
def test_equal_figures_are_equal_files(
    plane: Make, line: Make, draw_it: Callable[..., Figure], suffix: str, tmp_path: Path
) -> None:
    surface = parabola(line) if draw_it is curve else bowl(plane)
    one, other = (save(draw_it(surface, style="paper"), tmp_path / f"{number}{suffix}").read_bytes() for number in (1, 2))
    assert one == other


def test_the_file_bears_the_caption(plane: Make, tmp_path: Path) -> None:
    drawn = filled(bowl(plane, name="my net"), style="paper")
    assert drawn.caption.startswith("my net; x: random direction")
    with Image.open(save(drawn, tmp_path / "a.png")) as picture:
        assert picture.info["Description"] == drawn.caption
    assert drawn.caption in ElementTree.parse(save(drawn, tmp_path / "a.svg")).getroot().itertext()
    assert "my net".encode("utf-16-be") in (tmp_path / "a.pdf").read_bytes() if save(drawn, tmp_path / "a.pdf") else False


NASTY = "net\x00\x1b]<script>&amp;$\\frac{$ \ud800" + "\N{RIGHT-TO-LEFT OVERRIDE}x"


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
@pytest.mark.parametrize("draw_it", [contour, relief])
def test_a_name_from_a_strangers_file_is_text_and_nothing_else(
    plane: Make, draw_it: Callable[..., Figure], suffix: str, tmp_path: Path
) -> None:
    points = (Point(NASTY, (0.0, 0.0), {"train_loss": 1.0}),)
    surface = plane(X, X, lambda x, y: 1 + x * x + y * y, name=NASTY, points=points)
    path = save(draw_it([surface, surface], style="notebook" if draw_it is relief else "paper"), tmp_path / f"figure{suffix}")
    assert path.stat().st_size > 1000
    if suffix == ".svg":
        ElementTree.parse(path)
