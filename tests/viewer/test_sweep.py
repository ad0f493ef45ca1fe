"""The page beside a sweep as a person starts it: two browsers follow it, the sweep is killed and started again, the end is the file's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from viewer.conftest import Viewer

import landscape

# After 60 evaluations the loss waits for a file, so that the sweep is in its middle for as long as the test looks.
HELD = """
import time
from pathlib import Path
import torch, landscape

calls = 0

def loss(model, batch):
    global calls
    calls += 1
    while calls > 60 and not Path("go").exists():
        time.sleep(0.01)
    time.sleep(0.005)
    inputs, targets = batch
    return (model(inputs).squeeze(1) - targets) ** 2

def problem():
    inputs = torch.arange(12.0).reshape(6, 2) / 12
    return landscape.Problem(torch.nn.Linear(2, 1), loss, {"train": (inputs, inputs.sum(1))})
"""
MAIN = "import sys; from landscape.cli import main; sys.exit(main())"
SURFACE = "surface held:problem net.pt --x -1:1:9 --y -1:1:9 --ignore none --engine eager --quiet -o held.h5"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Start a command of landscape in the test's folder; whatever still runs in the end is killed."""
    (tmp_path / "held.py").write_text(HELD)
    torch.manual_seed(0)
    torch.save(torch.nn.Linear(2, 1).state_dict(), tmp_path / "net.pt")
    started = []
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}

    def run(words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", MAIN, *words.split()]
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def until_there(path: Path, process: subprocess.Popen[str]) -> None:
    while not path.exists():
        assert process.poll() is None
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue


def test_two_browsers_follow_a_sweep_that_is_killed_and_started_again(
    start: Callable[[str], subprocess.Popen[str]], browser: Any, tmp_path: Path
) -> None:
    path = tmp_path / "held.h5"
    sweep = start(SURFACE)
    until_there(path, sweep)
    server = start("view held.h5 --live")
    assert server.stdout is not None
    address = server.stdout.readline().strip()
    contexts = [browser.new_context(viewport={"width": 640, "height": 400}) for _ in range(2)]
    viewers = [Viewer(context.new_page()) for context in contexts]
    progress = "document.getElementById('live').textContent"
    try:
        for viewer in viewers:
            viewer.tab.goto(address)
            viewer.settled()
            viewer.until(progress, lambda text: " of 81 points" in text and not text.startswith("0 "))
        sweep.kill()
        sweep.wait()
        viewers[0].choose("Log")  # what was measured stays, and can be looked at
        assert any(value is not None for row in viewers[0].each("map", "gd.data[0].z")[0] for value in row)
        assert 0 < landscape.read(path).done["train_loss"].sum() < 81
        (tmp_path / "go").touch()
        again = start(SURFACE)
        for viewer in viewers:
            viewer.until(progress, lambda text: text == "Complete: 81 points.")
            viewer.settled()
        assert again.wait() == 0
        measured = landscape.read(path)
        assert viewers[1].each("map", "gd.data[0].z") == [measured.values["train_loss"].T.tolist()]
        assert viewers[1].each("map", "gd.data[7].x") == [[]]
        said = viewers[1].tab.locator("#about").inner_text()
        assert "basin radius" in said  # the final numbers, which a sweep writes at its end
    finally:
        for context in contexts:
            context.close()
