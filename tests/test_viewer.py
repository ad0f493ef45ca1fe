"""The interactive page: what is embedded is exact, hostile texts stay texts, and in a browser it draws what was measured."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from landscape.errors import InputError
from landscape.plotting.viewer import page, write_page
from landscape.surface import Axis, Metric, Number, Point, Surface

HOSTILE = "</script><script>window.pwned=1</script></script ><!--<script>"
MARKUP = "<b>x</b><a href='#'>&amp;</a>"  # Plotly's labels know some HTML
HOSTILE_NAME = "\"><img src=x onerror='window.pwned=2'><b>it's</b>\u2028&lt;"


def metrics_of(values: dict[str, np.ndarray]) -> dict[str, Metric]:
    units = {"loss": "nats", "accuracy": ""}
    return {key: Metric(*key.split("_", 1), units.get(key.split("_", 1)[1], "")) for key in values}


def plane(x: Any, y: Any, problem: str = "plane", **values: np.ndarray) -> Surface:
    """A plane over `x` and `y`; each keyword is a metric's key with its `(nx, ny)` values, all of them measured."""
    arrays = {key: np.asarray(value, dtype=np.float64) for key, value in values.items()}
    return Surface(
        kind="surface",
        axes=(Axis("x", np.asarray(x, dtype=np.float64)), Axis("y", np.asarray(y, dtype=np.float64))),
        metrics=metrics_of(arrays),
        values=arrays,
        done={key: np.ones(value.shape, dtype=bool) for key, value in arrays.items()},
        attributes={"problem": problem},
    )


def line(x: Any, loss: Any, problem: str = "line") -> Surface:
    """A line over `x`: losses `(nx,)`, or `(nx, n_draws)` for several draws."""
    loss = np.asarray(loss, dtype=np.float64)
    axes = (Axis("x", np.asarray(x, dtype=np.float64), {"label": "from A to B"}),)
    if loss.ndim == 2:
        axes += (Axis("seed", np.arange(loss.shape[1], dtype=np.float64)),)
    values = {"train_loss": loss}
    return Surface(
        "line", axes, metrics_of(values), values, {"train_loss": np.ones(loss.shape, bool)}, attributes={"problem": problem}
    )


def changed(surface: Surface, **fields: Any) -> Surface:
    return Surface(**{**surface.__dict__, **fields})


def tilted(problem: str = "tilted", slope: float = 100.0) -> Surface:
    """The plane 100·x + y on a 3×2 grid: exact at every node, and no two nodes alike."""
    x, y = np.array([1.0, 2.0, 3.0]), np.array([10.0, 20.0])
    loss = slope * x[:, None] + y[None, :]
    return plane(x, y, problem, train_loss=loss, train_accuracy=loss / 1000)


class Parts(HTMLParser):
    """The elements of a page as a parser sees them, and the text of each script."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self.feed(document)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.lasttag == "script" and self.scripts and self.cdata_elem == "script":
            self.scripts[-1] += data
        else:
            self.text += data


def embedded(surfaces: list[Surface], **options: Any) -> dict[str, Any]:
    """The numbers inside the page, parsed back as a strict reader would: NaN and Infinity are no JSON."""

    def refuse(token: str) -> None:
        raise AssertionError(f"{token} is no JSON")

    return json.loads(Parts(page(surfaces, **options)).scripts[0], parse_constant=refuse)


def test_tilted_plane_is_embedded_exactly() -> None:
    held = embedded([tilted()])["planes"][0]
    assert held["grids"] == {"train": {"x": [1, 2, 3], "y": [10, 20]}}
    assert held["values"]["train_loss"] == [[110, 210, 310], [120, 220, 320]]  # rows of y, as Plotly has it


def test_numbers_keep_every_bit() -> None:
    rng = np.random.default_rng(0)
    loss = np.ldexp(rng.normal(size=(7, 5)), rng.integers(-300, 300, (7, 5)))
    held = embedded([plane(np.arange(7), np.arange(5), train_loss=loss)])["planes"][0]["values"]["train_loss"]
    assert np.array_equal(np.array(held).T, loss)


def test_holes_are_null_and_counted() -> None:
    loss = np.array([[1.0, np.nan, np.inf], [-np.inf, 0.0, 7.0]])
    surface = plane([0, 1], [0, 1, 2], train_loss=loss)
    surface = changed(surface, done={"train_loss": np.array([[True, True, True], [True, True, False]])})
    held = embedded([surface])["planes"][0]
    assert held["values"]["train_loss"] == [[1, None], [None, 0], [None, None]]
    assert held["holes"]["train_loss"] == {"unmeasured": 1, "nan": 1, "infinite": 2}


def unfinished() -> Surface:
    """A plane of 17 × 17 points: training measured at 100 of them, coarse to fine, the test split at the corners and the origin."""
    x = np.linspace(-1, 1, 17)
    loss = 1 + np.arange(17.0)[:, None] + 100 * np.arange(17.0)[None, :]
    surface = plane(x, x, "unfinished", train_loss=loss, train_accuracy=loss / 2000, test_loss=loss + 0.5)
    visited = list(surface.grid.indices())
    done = {key: np.zeros((17, 17), bool) for key in surface.metrics}
    for key, mask in done.items():
        mask[tuple(np.transpose(visited[: 9 if key == "test_loss" else 100]))] = True
    values = {key: np.where(mask, surface.values[key], np.nan) for key, mask in done.items()}
    return changed(surface, values=values, done=done)


def test_an_unfinished_plane_is_embedded_at_the_resolution_it_has() -> None:
    surface = unfinished()
    data = embedded([surface])
    held = data["planes"][0]
    assert [metric["split"] for metric in data["metrics"]] == ["train", "train", "test"]
    for key, step in (("train_loss", 2), ("train_accuracy", 2), ("test_loss", 8)):
        grid = held["grids"][key.split("_")[0]]
        assert grid["x"] == grid["y"] == surface.x[::step].tolist()
        assert np.array_equal(np.array(held["values"][key]).T, surface.values[key][::step, ::step])
        assert held["holes"][key]["unmeasured"] == 0
    assert held["notes"]["train_loss"] == [
        "9 × 9 of 17 × 17 points measured so far.",
        "19 further measured points are not drawn.",
    ]
    assert held["notes"]["test_loss"] == ["3 × 3 of 17 × 17 points measured so far."]


def test_an_unfinished_line_is_embedded_at_the_resolution_it_has() -> None:
    x, done = np.linspace(-1, 1, 9), np.zeros((9, 3), bool)
    done[::4], done[2, 1] = True, True
    draws = changed(line(x, np.arange(27.0).reshape(9, 3)), done={"train_loss": done})
    held = embedded([draws])["lines"][0]
    assert held["grids"]["train"]["x"] == [-1, 0, 1]
    assert held["values"]["train_loss"] == [[0, 12, 24], [1, 13, 25], [2, 14, 26]]
    assert held["quartiles"]["train_loss"][1] == [1, 13, 25]
    assert held["notes"]["train_loss"] == ["3 of 9 points measured so far.", "1 further measured point is not drawn."]


def test_the_page_says_how_far_values_may_be_from_the_exact_ones() -> None:
    loss = np.array([[1.0, 4.0], [2.0, 8.0]])
    surface = changed(
        plane([0, 1], [0, 1], train_loss=loss),
        attributes={"tolerance": 0.02, "precision": "bf16"},
        stderr={"train_loss": np.full((2, 2), 0.01)},
        examples={"train": np.array([[256, 512], [512, 1000]])},
        data={"train": {"size": 1000, "used": 1000}},
        checks={"audit_points": 4, "audit_relative": 0.0004},
    )
    held = embedded([surface, tilted()])["planes"]
    assert held[0]["notes"]["train_loss"] == [
        "Each point measured until its loss had a standard error of 2\u00a0%, on 256 to 1,000 of 1,000 train examples.",
        "Largest standard error: 1\u00a0% of the value.",  # 0.01 of 1
        "Computed in bf16; at 4 points computed in fp32 too, values are at most 0.04\u00a0% apart.",
    ]
    assert held[1]["notes"]["train_loss"] == []


def test_metrics_are_those_all_surfaces_hold() -> None:
    one = plane([0, 1], [0, 1], test_loss=np.ones((2, 2)), train_loss=np.ones((2, 2)), train_accuracy=np.ones((2, 2)))
    other = plane([0, 1], [0, 1], train_loss=np.ones((2, 2)), test_loss=np.ones((2, 2)))
    held = embedded([one, other])
    assert [metric["key"] for metric in held["metrics"]] == ["test_loss", "train_loss"]
    assert held["metric"] == "train_loss"
    with pytest.raises(InputError, match=r"no metric in common.*A: train_loss; B: train_accuracy"):
        page([line([0, 1], [1, 2]), plane([0, 1], [0, 1], train_accuracy=np.ones((2, 2)))], names=["A", "B"])


def test_names() -> None:
    surfaces = [tilted("net"), tilted("net")]
    assert [held["name"] for held in embedded(surfaces)["planes"]] == ["net", "net (2)"]
    assert [held["name"] for held in embedded(surfaces, names=["a", "b"])["planes"]] == ["a", "b"]
    with pytest.raises(InputError, match="1 names for 2 surfaces"):
        page(surfaces, names=["a"])
    with pytest.raises(InputError, match="at least one surface"):
        page([])


def test_quartiles_of_draws() -> None:
    draws = [[3.0, 1.0, 2.0, 9.0], [5.0, 5.0, 7.0, 6.0], [1.0, float("nan"), 2.0, 3.0], [4.0, 1.0, 2.0, 8.0]]
    surface = line([0, 1, 2, 3], draws)
    done = np.ones((4, 4), dtype=bool)
    done[3, 3] = False  # not measured yet: the quartiles are those of the others
    held = embedded([changed(surface, done={"train_loss": done})])["lines"][0]
    wanted = [statistics.quantiles(row, n=4, method="inclusive") for row in (draws[0], draws[1], draws[3][:3])]
    got = held["quartiles"]["train_loss"]
    for quartile in range(3):
        assert [got[quartile][i] for i in (0, 1, 3)] == pytest.approx([row[quartile] for row in wanted], rel=1e-15)
        assert got[quartile][2] is None  # a NaN has no rank
    assert held["values"]["train_loss"][3] == [9, 6, 3, None]
    assert held["draws"] == ["0", "1", "2", "3"]


def hostile() -> Surface:
    surface = tilted(HOSTILE)
    return changed(
        surface,
        axes=(Axis("x", surface.x, {"label": HOSTILE_NAME}), Axis("y", surface.y, {HOSTILE_NAME: HOSTILE, "label": "\ud800"})),
        points=(Point(HOSTILE_NAME, (2.0, 10.0), {"train_loss": 210.0}), Point(MARKUP, (1.0, 20.0), {"train_loss": 120.0})),
        numbers={HOSTILE: Number(1.0, HOSTILE_NAME)},
        checks={HOSTILE_NAME: HOSTILE},
        runs=({"command": HOSTILE, HOSTILE: HOSTILE_NAME},),
    )


def test_hostile_texts_make_no_elements() -> None:
    parts = Parts(page([hostile()]))
    kinds = [tag for tag, _ in parts.elements]
    assert kinds.count("script") == 3
    assert "img" not in kinds
    assert "b" not in kinds
    assert not any(name.startswith("on") for _, attributes in parts.elements for name in attributes)
    assert HOSTILE in parts.text  # still shown, as text


def test_policy_lets_only_the_pages_own_scripts_run_and_nothing_leave() -> None:
    parts = Parts(page([tilted()]))
    policy = next(
        a["content"] or "" for tag, a in parts.elements if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    directives = {part.split()[0]: part.split()[1:] for part in policy.split(";")}
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in parts.scripts[1:]]
    assert directives["script-src"] == hashes
    assert directives["default-src"] == directives["connect-src"] == ["'none'"]
    assert directives["img-src"] == ["data:", "blob:"]
    links = [a.get(name) for _, a in parts.elements for name in ("src", "href", "action") if a.get(name)]
    assert links == ["data:,"]


def test_panel_tells_how_it_was_made() -> None:
    surface = changed(
        tilted("digits"),
        stderr={"train_loss": np.array([[0.5, 0.25], [0.125, np.nan], [0.25, 0.25]])},
        examples={"train": np.full((3, 2), 1000)},
        data={"train": {"size": 50_000, "sha256": "abc"}},
        attributes={"problem": "digits", "tolerance": 0.01},
        done={"train_loss": np.array([[True, True], [True, False], [True, True]]), "train_accuracy": np.ones((3, 2), bool)},
        numbers={"basin_radius": Number(0.25, "direction units", "≥")},
        checks={"origin": True},
        runs=({"command": "landscape surface digits net.pt", "host": "node-7"},),
    )
    text = Parts(page([surface])).text
    for wanted in (
        "basin radius≥ 0.25 direction units",
        "train examples1,000 of 50,000",
        "standard error, train lossmedian 0.25, at most 0.5 nats",
        "tolerance0.01",
        "1 of 6 points (16.7\u00a0%)",
        "originyes",
        "landscape surface digits net.pt",
        "hostnode-7",
    ):
        assert wanted in text


def test_write_page_replaces_whole_files_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_page([tilted()], tmp_path / "page.html")
    assert path.read_text(encoding="utf-8") == page([tilted()])
    assert [entry.name for entry in tmp_path.iterdir()] == ["page.html"]

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    before = path.read_bytes()
    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(InputError, match=r"page\.html.*Permission denied"):
        write_page([tilted("other")], path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.parametrize(
    ("name", "said"), [("missing/page.html", "does not exist"), ("page.png", r"\.html"), ("folder.html", "is a folder")]
)
def test_write_page_refuses(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(InputError, match=said) as caught:
        write_page([tilted()], tmp_path / name)
    assert "\n" not in str(caught.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder.html"]


def test_plotly_is_imported_only_when_a_page_is_made() -> None:
    code = "import sys, landscape.plotting.viewer; sys.exit('plotly' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# In a browser. Nothing waits on time: `settled` and `until` ask again until the page has come to rest, or fail after a minute.


@dataclass
class Viewer:
    """A page opened in a browser without a network, with everything it asked for and complained about."""

    tab: Any
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def until(self, expression: str, accepts: Callable[[Any], bool]) -> Any:
        limit = time.monotonic() + 60
        while True:
            value = self.tab.evaluate(expression)
            if accepts(value):
                return value
            assert time.monotonic() < limit, f"{expression} stays {value!r}"
            self.tab.wait_for_timeout(20)

    def settled(self) -> None:
        self.until("document.querySelector('main').ariaBusy", lambda busy: busy == "false")

    def choose(self, text: str) -> None:
        """Click on a control by its words, as a reader does."""
        self.tab.locator(".controls label", has_text=re.compile(f"^{text}$")).click()
        self.settled()

    def clip(self, text: str) -> None:
        self.tab.locator("#clip").click()
        self.tab.locator("#clip").fill(text)
        self.tab.keyboard.press("Enter")
        self.settled()

    def planes(self, expression: str) -> list[Any]:
        """`expression` of each plane's graph `gd`."""
        return list(self.tab.evaluate(f"[...document.querySelectorAll('.plane')].map((gd) => {expression})"))

    def notes(self) -> list[str]:
        return list(self.tab.evaluate("[...document.querySelectorAll('article .note')].map((note) => note.innerText)"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium on this machine")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Viewer]]:
    """Open surfaces in a page; afterwards it must have asked for nothing but itself and complained about nothing."""
    opened: list[Viewer] = []
    contexts: list[Any] = []

    def open_page(*surfaces: Surface, names: list[str] | None = None) -> Viewer:
        context = browser.new_context(viewport={"width": 700, "height": 500}, offline=True)
        contexts.append(context)
        viewer = Viewer(context.new_page())
        opened.append(viewer)
        context.on("request", lambda request: viewer.asked.append(request.url))
        viewer.tab.on("console", lambda message: viewer.complaints.append(message.text) if message.type == "error" else None)
        viewer.tab.on("pageerror", lambda error: viewer.complaints.append(str(error)))
        viewer.tab.goto(write_page(list(surfaces), tmp_path / "page.html", names).as_uri())
        viewer.settled()
        return viewer

    yield open_page
    for viewer in opened:
        assert viewer.complaints == []
        assert [url for url in viewer.asked if not url.startswith(("data:", "blob:"))] == [(tmp_path / "page.html").as_uri()]
    for context in contexts:
        context.close()


def test_controls_change_what_is_drawn(show: Callable[..., Viewer]) -> None:
    viewer = show(tilted(), tilted("steep", 1000.0))
    exact = [[110, 210, 310], [120, 220, 320]]
    steep = [[1010, 2010, 3010], [1020, 2020, 3020]]
    assert viewer.planes("gd.data[0].z") == [exact, steep]
    assert viewer.planes("gd.data[0].x") == [[1, 2, 3]] * 2
    assert viewer.planes("gd.data[0].y") == [[10, 20]] * 2
    assert viewer.planes("gd.data[0].hovertext[1][2]")[0].startswith(
        "<b>train loss 320</b> nats<br>train accuracy 0.32<br>x 3<br>y 20"
    )
    ranges = viewer.planes("gd.layout.scene.zaxis.range")
    assert ranges[0] == ranges[1]  # shared from the start
    assert ranges[0][0] < 110
    assert ranges[0][1] > 3020
    # One colour scale too: the value 1010 of one surface is coloured for its place between 110 and 3020.
    assert viewer.planes("gd.data[0].surfacecolor[0][0]") == pytest.approx([0, 900 / 2910], rel=1e-12)
    assert coloured(viewer) > 0.05

    viewer.choose("Each its own")
    assert viewer.planes("gd.data[0].surfacecolor[0][0]") == [0, 0]
    assert viewer.planes("gd.layout.scene.zaxis.range[1] < 400") == [True, False]
    viewer.choose("Shared")

    viewer.choose("Log")
    assert viewer.planes("gd.layout.scene.zaxis.type") == ["log", "log"]
    assert viewer.planes("gd.data[0].z") == [exact, steep]  # the axis bends, not the numbers
    assert viewer.planes("gd.data[0].surfacecolor[1][2]") == pytest.approx([np.log(320 / 110) / np.log(3020 / 110), 1], rel=1e-12)

    viewer.choose("train accuracy")
    assert viewer.planes("gd.data[0].z")[0] == [[0.11, 0.21, 0.31], [0.12, 0.22, 0.32]]
    assert viewer.planes("gd.layout.scene.zaxis.type") == ["linear", "linear"]  # each metric keeps its own choice

    viewer.choose("train loss")
    viewer.clip("300")
    assert viewer.planes("gd.data[0].z") == [[[110, 210, 300], [120, 220, 300]], [[300] * 3] * 2]
    assert "train loss 320<" in viewer.planes("gd.data[0].hovertext[1][2]")[0]  # what was measured, not what is drawn
    assert viewer.notes()[0].startswith("Drawn flat: 2 values above 300")
    viewer.clip("")
    assert viewer.planes("gd.data[0].z") == [exact, steep]
    assert viewer.notes() == ["", ""]


def coloured(viewer: Viewer) -> float:
    """The share of the first plane's pixels that are neither white nor grey: something is really drawn there."""
    image = pytest.importorskip("PIL.Image")
    shot = image.open(io.BytesIO(viewer.tab.locator(".plane").first.screenshot())).convert("RGB")
    pixels = np.asarray(shot, dtype=int)
    return float((pixels.max(axis=-1) - pixels.min(axis=-1) > 40).mean())


EYES = "[...document.querySelectorAll('.plane')].map((gd) => gd.layout.scene.camera.eye)"


def together(eyes: list[dict[str, float]]) -> bool:
    """Whether all eyes are in one place: a turn goes through matrices, 1e-9 is far above their rounding and far below a pixel."""
    return all(abs(eye[c] - eyes[0][c]) < 1e-9 for eye in eyes for c in "xyz")


def test_cameras_are_linked(show: Callable[..., Viewer]) -> None:
    viewer = show(tilted(), tilted("b"), tilted("c"))
    start = viewer.tab.evaluate(EYES)
    assert together(start)

    viewer.tab.evaluate("Plotly.relayout(document.querySelectorAll('.plane')[1], {'scene.camera.eye': {x: 0.5, y: 2, z: 1.5}})")
    moved = viewer.until(EYES, lambda eyes: together(eyes) and abs(eyes[0]["y"] - 2) < 1e-9)
    assert moved[2] == pytest.approx({"x": 0.5, "y": 2, "z": 1.5}, abs=1e-9)

    heard = (
        "document.querySelectorAll('.plane').forEach((gd) => gd.on('plotly_relayout', () => { gd.heard = (gd.heard ?? 0) + 1; }))"
    )
    viewer.tab.evaluate(heard)
    box = viewer.tab.locator(".plane").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    viewer.tab.mouse.move(x, y)
    viewer.tab.mouse.down()
    for step in range(1, 6):
        viewer.tab.mouse.move(x + 12 * step, y + 4 * step)
    viewer.tab.mouse.up()
    viewer.until(EYES, lambda eyes: together(eyes) and abs(eyes[0]["x"] - 0.5) > 0.1)
    assert viewer.planes("gd.heard")[0] == 1  # the dragged one heard only the end of its own drag: no echo came back

    viewer.tab.mouse.wheel(0, -150)
    nearer = viewer.until(EYES, lambda eyes: together(eyes) and np.linalg.norm([*eyes[1].values()]) < 0.95 * np.sqrt(6.5))
    viewer.choose("Log")
    assert viewer.tab.evaluate(EYES)[1] == pytest.approx(nearer[1], abs=1e-9)  # a redrawing keeps the view
    viewer.tab.get_by_role("button", name="Reset").click()
    viewer.until(EYES, lambda eyes: together(eyes) and abs(eyes[2]["y"] - start[2]["y"]) < 1e-9)


def test_hostile_texts_run_nothing(show: Callable[..., Viewer]) -> None:
    viewer = show(
        hostile(),
        changed(line([0, 1], [200, 300]), points=(Point(HOSTILE_NAME, (0.0,), {"train_loss": 200.0}),)),
        names=[HOSTILE, HOSTILE_NAME],
    )
    box = viewer.tab.locator(".plane").bounding_box()
    viewer.tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    viewer.choose("Log")
    assert viewer.tab.evaluate("window.pwned") is None
    assert viewer.tab.locator("img").count() == 0
    assert viewer.tab.locator("main b").count() == 0
    assert viewer.tab.locator("h2").first.inner_text() == HOSTILE
    assert MARKUP[:27] in viewer.planes("gd.textContent")[0]  # the label of a model, to the letter
    assert viewer.planes("gd.querySelectorAll('svg a').length") == [0]


def test_holes_stay_holes(show: Callable[..., Viewer]) -> None:
    loss = np.arange(25.0).reshape(5, 5)
    loss[0, 1], loss[0, 2], loss[1, 0] = np.nan, np.inf, -3
    done = np.ones((5, 5), dtype=bool)
    done[3, :] = done[4, ::2] = False  # two corners among them, so that no coarser grid of the whole is complete
    holed = changed(plane(range(5), range(5), train_loss=loss), done={"train_loss": done})
    row = plane([0], range(4), "row", train_loss=[[1, 2, 3, 4]])
    nothing = plane([0, 1], [0, 1], "nothing", train_loss=np.full((2, 2), np.nan))
    huge = plane([1, 0], [0, 1], "huge", train_loss=[[1e300, 1], [2, 3]])
    viewer = show(holed, row, nothing, huge)
    wanted = np.where(done & np.isfinite(loss), loss, np.nan).T
    assert viewer.planes("gd.data[0].z")[0] == [[None if np.isnan(value) else value for value in values] for values in wanted]
    # Measured points that touch no cell with four measured corners are dots, not nothing.
    dots = set(zip(*(viewer.planes(f"gd.data[1].{axis}")[0] for axis in "xyz"), strict=True))
    assert {(4, 1, 21), (4, 3, 23)} <= dots
    assert viewer.planes("gd.data[1].z")[1] == [1, 2, 3, 4]
    assert viewer.planes("gd.data[0].z")[2] == [[None, None], [None, None]]
    notes = viewer.notes()
    assert notes[0] == "Left empty: 8 points not measured yet; 1 value NaN; 1 value infinite."
    assert notes[1] == ""
    assert notes[2] == "Left empty: 4 values NaN."
    assert notes[3].startswith("Drawn flat: 1 value above 1e+30")  # single precision ends below
    assert "train loss 1e+300<" in viewer.planes("gd.data[0].hovertext[0][0]")[3]

    viewer.choose("Log")
    assert viewer.planes("gd.data[0].z[0].slice(0, 3)")[0] == [None, None, 10]  # 0 and -3 have no logarithm
    assert "2 values ≤ 0" in viewer.notes()[0]
    assert viewer.planes("gd.data[0].z[0][0]")[3] == 1e300
    boxes = viewer.tab.evaluate("[...document.querySelectorAll('article')].map((a) => a.getBoundingClientRect().toJSON())")
    assert [(box["left"] > 300, box["top"] > boxes[0]["bottom"] - 1) for box in boxes] == [
        (False, False),
        (True, False),
        (False, True),
        (True, True),
    ]  # four surfaces: two by two


def test_an_unfinished_plane_is_drawn_at_the_resolution_it_has(show: Callable[..., Viewer]) -> None:
    surface = unfinished()
    viewer = show(surface)
    assert viewer.planes("gd.data[0].x") == [surface.x[::2].tolist()]
    assert viewer.planes("gd.data[0].z") == [surface.values["train_loss"][::2, ::2].T.tolist()]
    assert viewer.notes() == ["9 × 9 of 17 × 17 points measured so far. 19 further measured points are not drawn."]
    assert viewer.planes("gd.data[0].hovertext[1][2]")[0].endswith("<br>train accuracy 0.1025<br>x -0.5<br>y -0.75")
    viewer.choose("test loss")
    assert viewer.planes("gd.data[0].x") == [[-1, 0, 1]]
    assert viewer.planes("gd.data[0].z") == [surface.values["test_loss"][::8, ::8].T.tolist()]


def test_lines_share_one_drawing(show: Callable[..., Viewer]) -> None:
    x = np.array([0.0, 0.5, 1.0])
    draws = np.array([[3.0, 1.0, 2.0, 9.0], [5.0, 5.0, 7.0, 6.0], [1e-4, 2e-4, 3e-4, 4e-4]])
    single = changed(line(x, [2.0, 0.125, 0.1]), points=(Point("end", (1.0,), {"train_loss": 0.1}),))
    single = changed(single, stderr={"train_loss": np.array([0.5, 0.25, 0.125])}, examples={"train": np.full(3, 1000)})
    viewer = show(single, line(x, draws, "draws"))
    assert viewer.tab.locator(".plot").count() == 1
    curves = viewer.tab.evaluate("document.querySelector('.lines').data.map(({ x, y, hovertext }) => ({ x, y, hovertext }))")
    one, _, mark, band, every, middle, _ = curves
    assert (one["x"], one["y"]) == ([0, 0.5, 1], [2, 0.125, 0.1])
    assert one["hovertext"][1] == "line<br><b>train loss 0.125</b> nats<br>standard error 0.25<br>1,000 examples<br>x 0.5"
    assert (mark["x"], mark["y"]) == ([1], [0.1])
    low, median, high = np.array([statistics.quantiles(row, n=4, method="inclusive") for row in draws]).T
    assert middle["y"] == pytest.approx(median, rel=1e-15)
    assert band["y"][:-1] == pytest.approx([*low, *high[::-1], low[0]], rel=1e-15)
    assert every["y"][:4] == [3, 5, 1e-4, None]
    layout = "document.querySelector('.lines').layout"
    assert viewer.tab.evaluate(f"{layout}.yaxis.type") == "log"  # 9 / 1e-4 > 1000, and nothing at or below 0
    assert viewer.tab.evaluate(f"{layout}.xaxis.title.text") == "from A to B"
    before = viewer.tab.evaluate(f"{layout}.font.color")
    viewer.tab.emulate_media(color_scheme="dark")
    viewer.until(f"{layout}.font.color", lambda colour: colour != before)
    viewer.settled()
