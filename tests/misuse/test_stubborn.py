"""Signals that the user's code swallows, and those that say that a terminal is gone."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import landscape
import landscape_command
from landscape.cli import main
from landscape.parallel import signals

LINE = "line small_problems:stubborn a.pt --x -1:1:401 -o out.h5 --quiet"


class Child:
    """The command in a fork of this process, which has everything loaded; its output goes to files."""

    def __init__(self, words: str | None, before: Callable[[], object] = lambda: None) -> None:
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid:
            return
        code = 99
        try:
            sys.stdout, sys.stderr = open("out.txt", "w"), open("err.txt", "w")  # noqa: SIM115  # for as long as the process lives
            before()
            code = landscape_command.main() if words is None else main(words.split())
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
        finally:
            os._exit(code)

    def wait(self) -> int:
        """The exit code; one that would live on is killed, and fails the test."""
        end = time.monotonic() + 120  # for a machine that is busy; it takes a second
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        pytest.fail("it did not end")


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("how", "number"),
    [("again", signal.SIGTERM), ("for ever", signal.SIGINT), ("for ever", signal.SIGTERM), ("again", signal.SIGHUP)],
)
def test_a_signal_that_the_loss_swallows_ends_the_run(here, one_line, monkeypatch, how, number):
    monkeypatch.setenv("STUBBORN", how)
    monkeypatch.setattr(signals, "_PATIENCE", 0.5)
    child = Child(LINE, lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    until(Path("stubborn").exists)
    os.kill(child.pid, number)
    assert child.wait() == 130
    surface = landscape.read("out.h5")
    n = int(surface.done["train_loss"].sum())
    assert 2 < n < 401
    word = f"{n} of 401 points are in out.h5; run the same command again to resume"
    one_line(Path("err.txt").read_text(), f"landscape: interrupted: {word}")
    assert {path.name for path in here.glob("*out.h5*")} <= {"out.h5", ".out.h5.lock"}  # a lock that is nobody's any more
    if how == "again":
        assert surface.numbers  # it came to its end by itself, with the file in its final form


def test_a_signal_that_the_factory_swallows_ends_the_command(here, one_line, monkeypatch):
    monkeypatch.setattr(signals, "_MORE_PATIENCE", 0.2)
    child = Child("line small_problems:stubborn_factory a.pt -o out.h5")
    until(Path("stubborn").exists)
    os.kill(child.pid, signal.SIGTERM)
    assert child.wait() == 130
    one_line(Path("err.txt").read_text(), "landscape: interrupted")


def test_what_nohup_started_goes_on_without_its_terminal(here, monkeypatch):
    monkeypatch.setenv("STUBBORN", "again")
    child = Child(LINE.replace("401", "31"), lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    until(Path("stubborn").exists)
    os.kill(child.pid, signal.SIGHUP)
    assert child.wait() == 0
    assert landscape.read("out.h5").complete


def test_who_ends_a_process_that_was_forked_off_does_not_mean_us(here, monkeypatch):
    monkeypatch.setattr(signals, "_MORE_PATIENCE", 0.1)
    monkeypatch.setattr(signals, "_PATIENCE", 0.1)
    child = Child("line small_problems:helped a.pt --x -1:1:3 -o out.h5 --quiet")
    assert child.wait() == 0
    assert Path("err.txt").read_text() == ""
