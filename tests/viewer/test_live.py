"""A page that follows a file while it is written: what it is told, whom it answers, and that the writer does not notice."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from viewer.conftest import Viewer
from viewer.surfaces import HOSTILE, changed, plane, unpacked

import landscape
from landscape import io
from landscape.core.surface import Surface
from landscape.errors import InputError
from landscape.viewer import LiveReader


def growing(n_done: int) -> Surface:
    """A plane of 5 × 5 points, 100·x + y, of which the first `n_done` are measured, coarse to fine."""
    x, y = np.linspace(-1, 1, 5), np.linspace(0, 4, 5)
    loss = 100 * x[:, None] + y[None, :]
    surface = plane(x, y, "growing", train_loss=loss)
    done = np.zeros((5, 5), dtype=bool)
    for index in list(surface.grid.indices())[:n_done]:
        done[index] = True
    return changed(surface, values={"train_loss": np.where(done, loss, np.nan)}, done={"train_loss": done})


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_follower_tells_what_is_new_coarse_first_and_how_long_it_will_take() -> None:
    clock, state = Clock(), {"n": 9, "torn": False}

    def read() -> list[Surface]:
        if state["torn"]:
            raise InputError("in the middle of something")
        return [growing(int(state["n"]))]

    follower = LiveReader(read, clock=clock)
    first = follower.news(0)
    assert first is not None
    held = unpacked(first["data"])["planes"][0]
    assert held["grids"]["train"]["x"] == [-1, 0, 1]  # the coarse part, which is complete
    assert held["values"]["train_loss"] == [[-100, 0, 100], [-98, 2, 98 + 4], [-96, 4, 104]] or held["grids"]["train"]["y"] != [
        0,
        2,
        4,
    ]
    assert first["progress"] == "9 of 25 points (36\u00a0%)"
    assert follower.news(1) is None
    state["n"], clock.now = 17, 0.5
    assert follower.news(1) is None  # not looked at again within a second
    state["torn"], clock.now = True, 2.0
    assert follower.news(1) is None  # a reading that fails changes nothing
    state["torn"], clock.now = False, 4.0
    second = follower.news(1)
    assert second is not None
    assert second["progress"] == "17 of 25 points (68\u00a0%), about 4 s left"  # 8 points in 4 s, 8 to come
    assert not second["complete"]
    state["n"], clock.now = 25, 9.0
    third = follower.news(2)
    assert third is not None
    assert third["complete"]
    assert third["progress"] == "Complete: 25 points."
    assert unpacked(third["data"])["planes"][0]["values"]["train_loss"] == growing(25).values["train_loss"].T.tolist()


def test_a_follower_says_when_nothing_has_come_for_a_while() -> None:
    clock, state = Clock(), {"n": 9}
    follower = LiveReader(lambda: [growing(state["n"])], clock=clock)
    state["n"], clock.now = 12, 10.0
    assert (follower.news(1) or {})["resting"] is False
    clock.now = 59.0
    assert follower.news(2) is None  # the longest pause was 10 s; five times that have not passed
    clock.now = 61.0
    said = follower.news(2)
    assert said == {
        "version": 2,
        "progress": "12 of 25 points (48\u00a0%); no new point for 51 s: the sweep is slow, or has stopped",
        "complete": False,
        "resting": True,
    }
    state["n"], clock.now = 13, 70.0
    assert (follower.news(2) or {})["resting"] is False
    state["n"], clock.now = 25, 80.0
    follower.look()
    clock.now = 1e6
    assert (follower.news(3) or {})["progress"] == "Complete: 25 points."
    assert follower.news(4) is None


@pytest.fixture
def serve() -> Iterator[Callable[..., tuple[subprocess.Popen[str], int]]]:
    """Start `landscape view --live` and return the process and its port."""
    started = []

    def start(*files: Path) -> tuple[subprocess.Popen[str], int]:
        main = "import sys; from landscape.cli import main; sys.exit(main())"
        command = [sys.executable, "-c", main, "view", *map(str, files), "--live"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        address = process.stdout.readline()
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/\n", address)
        assert found, (address, process.stderr and process.stderr.read() if process.poll() is not None else "")
        return process, int(found[1])

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ask(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def test_the_server_answers_this_machine_with_the_page_and_its_news_alone_whatever_becomes_of_the_file(
    serve: Callable[..., tuple[subprocess.Popen[str], int]], tmp_path: Path
) -> None:
    surface = growing(25)
    io.write(changed(surface, attributes={"problem": HOSTILE}), tmp_path / "hostile.h5")
    process, port = serve(tmp_path / "hostile.h5")
    status, body = ask(port, "/")
    assert status == 200
    assert b"connect-src 'self'" in body
    assert ask(port, "/", Host="evil.example")[0] == 403  # a name of another site that points here
    assert ask(port, "/", Host=f"127.0.0.1:{port + 1}")[0] == 403
    for other in ("/etc/passwd", "/../hostile.h5", "/hostile.h5", "/news/.."):
        assert ask(port, other)[0] == 404
    assert ask(port, "/", "POST")[0] == 501
    status, body = ask(port, "/news?since=0")
    assert status == 200
    assert json.loads(body)["complete"]
    assert "<script" not in json.loads(body)["about"]
    assert ask(port, f"/news?since={json.loads(body)['version']}")[0] == 204
    assert ask(port, "/news?since=no")[0] == 200
    (tmp_path / "hostile.h5").write_bytes(b"torn")  # what a killed writer at its worst leaves
    assert ask(port, "/news?since=0")[0] == 200
    os.unlink(tmp_path / "hostile.h5")
    assert ask(port, "/")[0] == 200
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""


def record(recorder: io.FileWriter, surface: Surface, indices: list[tuple[int, ...]], flush: bool = True) -> None:
    for index in indices:
        value = float(surface.values["train_loss"][index])
        recorder.record([(index, [("values/train_loss", value), ("done/train_loss", 1)])], seconds_between=1e9)
    if flush:
        recorder.flush()


def test_the_page_follows_a_file_to_its_end_and_the_writer_never_notices(
    serve: Callable[..., tuple[subprocess.Popen[str], int]], browser: Any, tmp_path: Path
) -> None:
    whole, path = growing(25), tmp_path / "growing.h5"
    order = list(whole.grid.indices())
    io.write(growing(0), path)
    recorder = io.FileWriter(path)
    record(recorder, whole, order[:9])
    process, port = serve(path)
    context = browser.new_context(viewport={"width": 700, "height": 500})
    viewer = Viewer(context.new_page())
    try:
        viewer.tab.on("pageerror", lambda error: viewer.complaints.append(str(error)))
        viewer.tab.goto(f"http://127.0.0.1:{port}/")
        viewer.settled()
        viewer.until("document.getElementById('live').textContent", lambda text: text.startswith("9 of 25 points"))
        part = growing(9).complete_part("train_loss")
        assert part is not None
        coarse = [axis.values.tolist() for axis in part.axes]
        assert viewer.each("map", "[gd.data[0].x, gd.data[0].y]") == [coarse]
        record(recorder, whole, order[9:20])
        viewer.until("document.getElementById('live').textContent", lambda text: text.startswith("20 of 25 points"))
        viewer.settled()
        kept = growing(20).complete_part("train_loss")
        beyond = viewer.each("map", "gd.data[7].x.map((x, k) => [x, gd.data[7].y[k], gd.data[7].marker.color[k]])")[0]
        assert kept is not None
        assert len(beyond) == 20 - kept.grid.n_points > 0
        assert all(value == 100 * x + y for x, y, value in beyond)
        record(recorder, whole, order[20:])
        recorder.close()
        viewer.until("document.getElementById('live').textContent", lambda text: text == "Complete: 25 points.")
        viewer.settled()
        assert viewer.each("map", "gd.data[0].z") == [whole.values["train_loss"].T.tolist()]
        assert viewer.complaints == []
    finally:
        context.close()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 0
    assert np.array_equal(landscape.read(path).values["train_loss"], whole.values["train_loss"])


def test_killing_the_server_harms_no_writer(serve: Callable[..., tuple[subprocess.Popen[str], int]], tmp_path: Path) -> None:
    whole, path = growing(25), tmp_path / "growing.h5"
    order = list(whole.grid.indices())
    io.write(growing(0), path)
    recorder = io.FileWriter(path)
    record(recorder, whole, order[:9])
    process, port = serve(path)
    assert ask(port, "/news?since=0")[0] == 200
    process.kill()
    process.wait()
    record(recorder, whole, order[9:12])
    recorder.close()
    assert landscape.read(path).done["train_loss"].sum() == 12


def test_options_that_make_no_sense_together(command: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "growing.h5"
    io.write(growing(25), path)
    for words in (["--live", "-o", "x.html"], ["--live", "--cdn"], ["--port", "80"], ["--live", "--port", "70000"]):
        outcome = command("view", path, *words)
        assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert command("view", path, "--cdn", "-o", tmp_path / "small.html").code == 0
    assert (tmp_path / "small.html").stat().st_size < 120_000
