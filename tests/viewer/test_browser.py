"""The page in a browser: what it draws, read from its drawings' data after a control was used, by mouse and by keyboard."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from viewer.conftest import Viewer
from viewer.surfaces import HOSTILE, HOSTILE_NAME, MARKUP, changed, hostile, line, plane, tilted, unfinished

from landscape.core.surface import Point

EXACT = [[110, 210, 310], [120, 220, 320]]
STEEP = [[1010, 2010, 3010], [1020, 2020, 3020]]
Show = Callable[..., Viewer]


def test_a_tilted_plane_is_drawn_exactly_and_controls_change_what_is_drawn(show: Show) -> None:
    viewer = show(tilted(), tilted("steep", 1000.0))
    assert viewer.each("plane", "gd.data[0].z") == viewer.each("map", "gd.data[0].z") == [EXACT, STEEP]
    assert viewer.each("plane", "gd.data[0].x") == viewer.each("map", "gd.data[0].x") == [[1, 2, 3]] * 2
    assert viewer.each("plane", "gd.data[0].y") == viewer.each("map", "gd.data[0].y") == [[10, 20]] * 2
    said = "<b>train loss 320</b> nats<br>train accuracy 0.32<br>x 3<br>y 20"
    assert viewer.each("plane", "gd.data[0].hovertext[1][2]")[0] == viewer.each("map", "gd.data[0].hovertext[1][2]")[0] == said
    assert viewer.each("plane", "gd.layout.scene.zaxis.range[1] > 3020") == [True, True]  # shared from the start
    # One colour scale too: the value 1010 of one surface is coloured for its place between 110 and 3020.
    assert viewer.each("plane", "gd.data[0].surfacecolor[0][0]") == pytest.approx([0, 900 / 2910], rel=1e-12)
    assert viewer.each("map", "[gd.data[0].zmin, gd.data[0].zmax]") == [[110, 3020]] * 2

    viewer.choose("Own")
    assert viewer.each("plane", "gd.data[0].surfacecolor[0][0]") == [0, 0]
    assert viewer.each("map", "gd.data[0].zmax") == [320, 3020]
    assert viewer.each("plane", "gd.layout.scene.zaxis.range[1] < 400") == [True, False]
    viewer.choose("Shared")

    viewer.choose("Log")
    assert np.allclose(viewer.each("plane", "gd.data[0].z"), np.log10([EXACT, STEEP]), rtol=1e-15)  # one rounding of a logarithm
    assert np.allclose(viewer.each("map", "gd.data[0].z"), np.log10([EXACT, STEEP]), rtol=1e-15)
    assert "<b>train loss 320<" in viewer.each("plane", "gd.data[0].hovertext[1][2]")[0]

    viewer.select("metric", "train_error")
    assert viewer.each("plane", "gd.data[0].z")[0] == [[1 - 0.11, 1 - 0.21, 1 - 0.31], [1 - 0.12, 1 - 0.22, 1 - 0.32]]
    viewer.select("metric", "train_loss")
    assert viewer.words() == "values=log"  # each metric keeps its own choice
    viewer.choose("Linear")
    viewer.clip("300")
    assert viewer.each("plane", "gd.data[0].z") == [[[110, 210, 300], [120, 220, 300]], [[300] * 3] * 2]
    assert viewer.each("plane", "gd.data[0].surfacecolor[1][2]") == [1, 1]  # the grey at the end
    assert "train loss 320<" in viewer.each("plane", "gd.data[0].hovertext[1][2]")[0]  # what was measured, not what is drawn
    assert viewer.notes()[0].startswith("Drawn flat: 2 values above 300")
    viewer.clip("")
    assert viewer.each("plane", "gd.data[0].z") == [EXACT, STEEP]
    assert viewer.notes() == ["", ""]


def test_a_page_draws_with_the_script_beside_it_and_says_when_that_is_gone(show: Show, tmp_path: Path) -> None:
    viewer = show(tilted(), shared_script=True)  # the fixture sees that it asks for itself and for the script
    (script,) = tmp_path.glob("plotly-*.js")
    assert viewer.each("plane", "gd.data[0].z") == [EXACT]
    script.unlink()
    viewer.tab.reload()
    viewer.settled()
    assert viewer.tab.locator("#said").text_content() == f"This page could not be drawn: {script.name} is missing."
    viewer.complaints.clear()


def test_every_control_has_a_key(show: Show) -> None:
    viewer = show(tilted(), tilted("steep", 1000.0))
    viewer.press("l")
    viewer.press("c")
    viewer.press("s")
    for _ in range(4):
        viewer.press("[")
    words = viewer.words()
    assert words.startswith("values=log&clip=")
    assert words.endswith("&colours=cividis&scale=own")
    assert viewer.each("map", "gd.data[0].colorscale[0][1]") == ["#00224e"] * 2  # cividis begins there
    viewer.press("ArrowRight", "#levels")
    viewer.press("ArrowLeft", "#height")
    assert viewer.each("plane", "gd.layout.scene.aspectratio.z") == pytest.approx([0.72 * 0.9] * 2)
    assert "levels=15&height=0.9" in viewer.words()
    viewer.press("m", "main .map")
    assert viewer.tab.evaluate("document.getElementById('metric').value") == "train_accuracy"
    viewer.press("r")
    viewer.until("location.hash", lambda words: words == "")
    assert viewer.each("plane", "gd.data[0].z") == [EXACT, STEEP]
    viewer.press("?")
    assert viewer.tab.locator("#keys").get_attribute("open") is not None
    viewer.press("Escape")
    assert viewer.tab.locator("#keys").get_attribute("open") is None


def bowl(problem: str = "bowl", n: int = 7) -> Any:
    x, y = np.linspace(-3, 3, n), np.linspace(-2, 2, n - 2)
    loss = x[:, None] ** 2 / 2 + y[None, :] ** 2
    surface = plane(x, y, problem, train_loss=loss)
    return changed(
        surface,
        stderr={"train_loss": np.full(loss.shape, 0.25)},
        examples={"train": np.full(loss.shape, 500)},
        points=(Point("origin", (0.0, 0.0), {"train_loss": 0.0}),),
    )


def test_the_point_follows_pointer_and_keys_and_its_cross_sections_are_the_files_rows(show: Show) -> None:
    surface = bowl()
    viewer = show(surface)
    loss = surface.values["train_loss"]
    viewer.press("ArrowRight", ".map")
    viewer.press("ArrowUp")
    viewer.press("ArrowUp")
    i, j = 4, 4
    assert viewer.tab.locator("#place").inner_text() == "Through x 1, y 2"
    curves = viewer.each("section", "gd.data.filter((t) => t.mode === 'lines' && !t.fill).map(({ x, y }) => ({ x, y }))")
    assert curves[0] == [{"x": surface.x.tolist(), "y": loss[:, j].tolist()}]
    assert curves[1] == [{"x": surface.y.tolist(), "y": loss[i, :].tolist()}]
    band = viewer.each("section", "gd.data[0].y")[0]
    assert band[: len(surface.x)] == (loss[:, j] - 0.25).tolist()
    row = viewer.tab.locator("#readout tr").nth(1).inner_text().split("\t")
    assert row == ["bowl", "4.5", "0.25", "500"]
    cross = viewer.until("document.querySelector('.plane').data[3].y", lambda y: y[0] == 2)
    assert cross == [2] * 7 + [None] + surface.y.tolist()

    box = viewer.tab.locator(".map .nsewdrag").bounding_box()
    step = box["width"] / 6
    viewer.tab.mouse.move(box["x"] + 1.1 * step, box["y"] + box["height"] / 2, steps=3)
    viewer.until("document.getElementById('place').textContent", lambda text: text == "Through x −2, y 0")
    viewer.tab.mouse.down()
    viewer.tab.mouse.up()
    viewer.until("document.getElementById('hold').ariaPressed", lambda pressed: pressed == "true")
    viewer.tab.mouse.move(box["x"] + 4 * step, box["y"] + box["height"] / 2, steps=3)
    assert viewer.tab.locator("#place").inner_text() == "Through x −2, y 0"  # held
    assert viewer.words() == "at=-2,0"


def test_the_marks_are_the_models_the_minimum_and_the_basins_edge(show: Show) -> None:
    viewer = show(bowl(n=41))
    assert viewer.each("map", "[gd.data[6].x, gd.data[6].y, gd.layout.annotations[0].text]") == [[[0], [0], "origin"]]
    assert viewer.each("map", "[gd.data[5].x, gd.data[5].y]") == [[[0], [0]]]
    (edge,) = viewer.each(
        "map", "gd.data[4].x.map((x, k) => x === null ? null : x * x / 2 + gd.data[4].y[k] ** 2).filter((v) => v !== null)"
    )
    # Where x²/2 + y² = 1, but for what a straight line between nodes 0.15 and 0.105 apart is off: below h²/8·f″ + its cross part < 0.01.
    assert np.abs(np.array(edge) - 1).max() < 0.01
    assert viewer.each("plane", "gd.data[4].z.filter((z) => z !== null).every((z) => z > 1 && z < 1.1)") == [True]


EYES = "[...document.querySelectorAll('.plane')].map((gd) => gd.layout.scene.camera.eye)"


def together(eyes: list[dict[str, float]]) -> bool:
    """Whether all eyes are in one place: a turn goes through matrices, 1e-9 is far above their rounding and far below a pixel."""
    return all(abs(eye[c] - eyes[0][c]) < 1e-9 for eye in eyes for c in "xyz")


def test_cameras_are_linked_and_their_view_can_be_sent(show: Show) -> None:
    viewer = show(tilted(), tilted("b"))
    start = viewer.tab.evaluate(EYES)
    assert together(start)
    box = viewer.tab.locator(".plane").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    frames = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    viewer.tab.mouse.move(x - 9, y)
    viewer.tab.mouse.move(x, y)
    viewer.tab.evaluate(frames)  # Plotly has to have seen where the pointer is, or it takes the first step of the drag for a leap
    viewer.tab.mouse.down()
    viewer.tab.evaluate(frames)
    for step in range(1, 6):
        viewer.tab.mouse.move(x + 6 * step, y)  # level: near the pole a turn sideways moves the eye hardly at all
    during = viewer.until(EYES, lambda eyes: together(eyes) and abs(eyes[1]["x"] - start[1]["x"]) > 0.1)  # while dragging
    viewer.tab.mouse.up()
    viewer.tab.mouse.move(box["x"] + 60, y)  # beside the names, which take no wheel
    for _ in range(20):  # with frames as slow as software's, Plotly does not see every turn of the wheel
        viewer.tab.mouse.wheel(0, -150)
        viewer.tab.wait_for_timeout(500)
        if np.linalg.norm([*viewer.tab.evaluate(EYES)[1].values()]) < 0.95 * np.linalg.norm([*during[0].values()]):
            break
    viewer.tab.wait_for_timeout(2500)  # the camera runs out
    nearer = viewer.tab.evaluate(EYES)
    assert together(nearer)
    assert np.linalg.norm([*nearer[1].values()]) < 0.95 * np.linalg.norm([*during[0].values()])
    viewer.choose("Log")
    assert viewer.tab.evaluate(EYES)[1] == pytest.approx(nearer[1], abs=1e-9)  # a redrawing keeps the view
    words = viewer.words()
    assert "eye=" in words
    other = show(tilted(), tilted("b"), words=f"#{words}")
    assert other.tab.evaluate(EYES)[0] == pytest.approx(nearer[0], rel=1e-5)  # six digits in the address
    other.press("ArrowRight", ".plane")
    turned = other.until(EYES, lambda eyes: together(eyes) and abs(eyes[0]["x"] - nearer[0]["x"]) > 0.01)
    assert np.linalg.norm([*turned[0].values()]) == pytest.approx(np.linalg.norm([*nearer[0].values()]), rel=1e-5)
    other.tab.get_by_role("button", name="Reset").click()
    other.until(EYES, lambda eyes: together(eyes) and abs(eyes[1]["y"] - start[1]["y"]) < 1e-9)


def test_colours_on_the_screen_are_those_of_the_values(show: Show) -> None:
    image = pytest.importorskip("PIL.Image")
    viewer = show(tilted(), viewport={"width": 700, "height": 1100})
    viewer.tab.evaluate("document.querySelector('.overlay').style.display = 'none'")
    graph = viewer.tab.locator(".map .nsewdrag")
    graph.scroll_into_view_if_needed()
    shot = np.asarray(image.open(io.BytesIO(viewer.tab.locator(".frame").screenshot())).convert("RGB"), dtype=float)
    frame, box = viewer.tab.locator(".frame").bounding_box(), graph.bounding_box()
    left, top = box["x"] - frame["x"], box["y"] - frame["y"]
    viridis = {110: (68, 1, 84), 120: (71, 13, 96), 320: (253, 231, 37)}  # matplotlib's, at 0, 1/21 and 1 of the range
    for (across, up), wanted in {(0, 0): viridis[110], (0, 1): viridis[120], (1, 1): viridis[320]}.items():
        x, y = left + 3 + across * (box["width"] - 6), top + 3 + (1 - up) * (box["height"] - 6)
        # Three pixels inside the corner the plane is up to 3 % farther on, and the colour up to 12 of 255.
        assert np.abs(shot[round(y), round(x)] - wanted).max() < 16, (across, up)


def test_hostile_texts_run_nothing(show: Show) -> None:
    viewer = show(
        hostile(),
        changed(line([0, 1], [200, 300]), points=(Point(HOSTILE_NAME, (0.0,), {"train_loss": 200.0}),)),
        names=[HOSTILE, HOSTILE_NAME],
    )
    viewer.press("ArrowUp", ".map")
    viewer.choose("Log")
    assert viewer.tab.evaluate("window.pwned") is None
    assert viewer.tab.locator("img").count() == 0
    assert viewer.tab.locator("main b").count() == 0
    assert viewer.tab.locator("h2").first.inner_text() == HOSTILE
    assert MARKUP[:27] in viewer.each("plane", "gd.textContent")[0]  # the label of a model, to the letter
    assert viewer.each("map", "gd.querySelectorAll('svg a').length") == [0]


def test_holes_stay_holes(show: Show) -> None:
    loss = np.arange(25.0).reshape(5, 5)
    loss[0, 1], loss[0, 2], loss[1, 0] = np.nan, np.inf, -3
    done = np.ones((5, 5), dtype=bool)
    done[3, :] = done[4, ::2] = False  # two corners among them, so that no coarser grid of the whole is complete
    holed = changed(plane(range(5), range(5), train_loss=loss), done={"train_loss": done})
    row = plane([0], range(4), "row", train_loss=[[1, 2, 3, 4]])
    nothing = plane([0], [0], "nothing", train_loss=[[np.nan]])
    huge = plane([1, 0], [0, 1], "huge", train_loss=[[1e35, 1], [2, 3]])
    viewer = show(holed, row, nothing, huge)
    wanted = np.where(done & np.isfinite(loss), loss, np.nan).T
    rows = [[None if np.isnan(value) else value for value in values] for values in wanted]
    assert viewer.each("plane", "gd.data[0].z")[0] == viewer.each("map", "gd.data[0].z")[0] == rows
    # Measured points that touch no cell with four measured corners are dots, not nothing.
    dots = set(zip(*(viewer.each("plane", f"gd.data[1].{axis}")[0] for axis in "xyz"), strict=True))
    assert {(4, 1, 21), (4, 3, 23)} <= dots
    assert viewer.each("plane", "gd.data[1].z")[1] == [1, 2, 3, 4]
    assert viewer.each("plane", "gd.data[0].z")[2] == [[None]]
    notes = viewer.notes()
    assert notes[0] == "Left empty: 8 points not measured yet; 1 value NaN; 1 value infinite."
    assert notes[1] == ""
    assert notes[2] == "Left empty: 1 value NaN."
    assert notes[3].startswith("Drawn flat: 1 value above 1e+30")  # single precision ends below
    assert "train loss 1e+35<" in viewer.each("plane", "gd.data[0].hovertext[0][0]")[3]
    viewer.choose("Log")
    assert viewer.each("plane", "gd.data[0].z[0].slice(0, 3)")[0] == [None, None, 1]  # 0 and -3 have no logarithm
    assert "2 values ≤ 0" in viewer.notes()[0]
    assert viewer.each("plane", "gd.data[0].z[0][0]")[3] == 35


def test_an_unfinished_plane_is_drawn_at_the_resolution_it_has(show: Show) -> None:
    surface = unfinished()
    viewer = show(surface)
    assert viewer.each("plane", "gd.data[0].x") == viewer.each("map", "gd.data[0].x") == [surface.x[::2].tolist()]
    viewer.choose("Linear")
    assert viewer.each("plane", "gd.data[0].z") == [surface.values["train_loss"][::2, ::2].T.tolist()]
    assert viewer.notes() == ["9 × 9 of 17 × 17 points measured so far. 19 further measured points are drawn as dots."]
    x, y, height = viewer.each("plane", "[gd.data[6].x, gd.data[6].y, gd.data[6].z]")[0]  # what lies beyond that resolution
    assert viewer.each("map", "[gd.data[7].x, gd.data[7].y, gd.data[7].marker.color]")[0] == [x, y, height]
    assert height == [1 + 8 * (at + 1) + 100 * 8 * (up + 1) for at, up in zip(x, y, strict=True)]
    assert len(height) == 19
    viewer.select("metric", "test_loss")
    viewer.choose("Linear")
    assert viewer.each("map", "gd.data[0].z") == [surface.values["test_loss"][::8, ::8].T.tolist()]


def test_lines_share_one_drawing_with_bands(show: Show) -> None:
    x = np.array([0.0, 0.5, 1.0])
    draws = np.array([[3.0, 1.0, 2.0, 9.0], [5.0, 5.0, 7.0, 6.0], [1e-4, 2e-4, 3e-4, 4e-4]])
    single = changed(line(x, [2.0, 0.125, 0.1]), points=(Point("end", (1.0,), {"train_loss": 0.1}),))
    single = changed(single, stderr={"train_loss": np.array([0.5, 0.0625, 0.05])}, examples={"train": np.full(3, 1000)})
    viewer = show(single, line(x, draws, "draws"))
    assert viewer.tab.locator(".plot").count() == 1
    band, one, _, mark, quartiles, every, middle, _ = viewer.each("lines", "gd.data")[0]
    assert band["y"][:6] == [1.5, 0.0625, 0.05, 0.15000000000000002, 0.1875, 2.5]  # one standard error below, and back above
    assert (one["x"], one["y"]) == ([0, 0.5, 1], [2, 0.125, 0.1])
    assert one["hovertext"][1] == "line<br><b>train loss 0.125</b> nats<br>standard error 0.0625<br>1,000 examples<br>x 0.5"
    assert (mark["x"], mark["y"]) == ([1], [0.1])
    low, median, high = np.quantile(draws, [0.25, 0.5, 0.75], axis=1)
    assert middle["y"] == pytest.approx(median, rel=1e-15)
    assert quartiles["y"][:-1] == pytest.approx([*low, *high[::-1], low[0]], rel=1e-15)
    assert every["y"][:4] == [3, 5, 1e-4, None]
    layout = "document.querySelector('.lines').layout"
    assert viewer.tab.evaluate(f"{layout}.yaxis.type") == "log"  # 9 / 1e-4 > 1000, and nothing at or below 0
    assert viewer.tab.evaluate(f"{layout}.xaxis.title.text") == "from A to B"
    before = viewer.tab.evaluate(f"{layout}.font.color")
    viewer.tab.emulate_media(color_scheme="dark")
    viewer.until(f"{layout}.font.color", lambda colour: colour != before)
    viewer.settled()


def test_a_fraction_has_its_interval_in_bands_table_and_readout(show: Show, tmp_path: Path) -> None:
    accuracy = np.full((3, 3), 0.875)
    ends = {"low": {"train_accuracy": accuracy - 0.25}, "high": {"train_accuracy": accuracy + 0.0625}}
    surface = changed(plane([0, 1, 2], [0, 1, 2], train_loss=accuracy + 1, train_accuracy=accuracy), **ends)
    viewer = show(surface)
    viewer.select("metric", "train_accuracy")
    band = viewer.until("document.querySelector('.section').data[0].y", lambda y: y[0] == 0.625)
    assert band[:6] == [0.625] * 3 + [0.9375] * 3
    row = viewer.tab.locator("#readout tr").nth(1).inner_text().split("\t")
    assert row[:4] == ["plane", "0.875", "0.625", "0.9375"]
    _, text = taken(viewer, "table", tmp_path)
    row = next(csv.DictReader(io.StringIO(text.decode())))
    assert (row["train_accuracy"], row["standard_error"], row["low"], row["high"]) == ("0.875", "", "0.625", "0.9375")
    viewer.select("metric", "train_error")  # the other way round
    band = viewer.until("document.querySelector('.section').data[0].y", lambda y: y[0] == 0.0625)
    assert band[:6] == [0.0625] * 3 + [0.375] * 3


def taken(viewer: Viewer, what: str, folder: Path) -> tuple[str, bytes]:
    viewer.tab.locator("#take summary").click()
    with viewer.tab.expect_download() as download:
        viewer.tab.locator(f"[data-take={what}]").click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path.name, path.read_bytes()


def test_what_is_taken_away(show: Show, tmp_path: Path) -> None:
    viewer = show(bowl(), tilted("=tilted"))
    name, text = taken(viewer, "table", tmp_path)
    assert name == "bowl-_tilted-train_loss.csv"
    rows = list(csv.DictReader(io.StringIO(text.decode())))
    assert len(rows) == 7 * 5 + 3 * 2
    assert rows[1] == {
        "surface": "bowl",
        "x": "-2",
        "y": "-2",
        "train_loss": "6",
        "standard_error": "0.25",
        "low": "",
        "high": "",
        "examples": "500",
    }
    assert rows[-1]["surface"] == "'=tilted"  # no formula to a spreadsheet
    assert rows[-1]["train_loss"] == "320"
    for what in ("maps", "sections"):
        name, text = taken(viewer, what, tmp_path)
        root = ElementTree.fromstring(text)
        assert name.endswith(f"-{what}.svg")
        assert len(root.findall("{http://www.w3.org/2000/svg}svg")) == 2
    name, picture = taken(viewer, "reliefs", tmp_path)
    image = pytest.importorskip("PIL.Image").open(io.BytesIO(picture))
    sizes = viewer.each("plane", "[gd.clientWidth, gd.clientHeight]")
    assert image.size == (2 * sum(width for width, _ in sizes), 2 * sizes[0][1] + 52)


def test_a_phone_held_upright_shows_all_without_scrolling_sideways(show: Show) -> None:
    viewer = show(bowl(), tilted(), viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    assert viewer.tab.evaluate("document.documentElement.scrollWidth") == 390
    widths = viewer.each("plot", "gd.getBoundingClientRect().width")
    assert len(widths) == 6
    assert min(widths) > 300
