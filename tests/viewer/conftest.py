"""A real browser without a network, and the page in it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from landscape.core.surface import Surface
from landscape.viewer import write_page

# WebGL in software, wherever the tests run.
_FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


@dataclass
class Viewer:
    """A page opened in a browser, with everything it asked for and complained about.

    Nothing waits on time: `settled` and `until` ask again until the page has come to rest, or fail after a minute.
    """

    tab: Any
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    files: set[str] = field(default_factory=set)  # the addresses of all that it consists of

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
        """Click on one of the choices side by side, by its word, as a reader does."""
        self.tab.locator(".choice label", has_text=text).click()
        self.settled()

    def select(self, name: str, value: str) -> None:
        self.tab.locator(f"#{name}").select_option(value)
        self.settled()

    def press(self, key: str, on: str | None = None) -> None:
        if on:
            self.tab.locator(on).first.focus()
        self.tab.keyboard.press(key)
        self.settled()

    def clip(self, text: str) -> None:
        self.tab.locator("#clip").fill(text)
        self.tab.keyboard.press("Enter")
        self.settled()

    def each(self, kind: str, expression: str) -> list[Any]:
        """`expression` of each graph `gd` of a kind: plane, map, section, lines."""
        return list(self.tab.evaluate(f"[...document.querySelectorAll('.{kind}')].map((gd) => {expression})"))

    def notes(self) -> list[str]:
        return list(self.tab.evaluate("[...document.querySelectorAll('article .note')].map((note) => note.textContent)"))

    def words(self) -> str:
        """What the address says after #, once it does."""
        self.tab.wait_for_timeout(300)
        return str(self.tab.evaluate("location.hash.slice(1)"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium on this machine")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=chromium, args=_FLAGS)
        yield started
        started.close()


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Viewer]]:
    """Open surfaces in a page; afterwards it must have asked for nothing but itself and complained about nothing."""
    opened: list[Viewer] = []
    contexts: list[Any] = []

    def open_page(
        *surfaces: Surface, names: list[str] | None = None, words: str = "", shared_script: bool = False, **options: Any
    ) -> Viewer:
        context = browser.new_context(**{"viewport": {"width": 700, "height": 500}, "offline": True, **options})
        contexts.append(context)
        viewer = Viewer(context.new_page())
        opened.append(viewer)
        context.on("request", lambda request: viewer.asked.append(request.url.partition("#")[0]))
        viewer.tab.on("console", lambda message: viewer.complaints.append(message.text) if message.type == "error" else None)
        viewer.tab.on("pageerror", lambda error: viewer.complaints.append(str(error)))
        path = write_page(list(surfaces), tmp_path / "page.html", names, shared_script=shared_script)
        viewer.files = {file.as_uri() for file in (path, *tmp_path.glob("plotly-*.js"))}
        viewer.tab.goto(path.as_uri() + words)
        viewer.settled()
        return viewer

    yield open_page
    for viewer in opened:
        assert viewer.complaints == []
        assert {url for url in viewer.asked if not url.startswith(("data:", "blob:"))} == viewer.files
    for context in contexts:
        context.close()
