"""Runs that are ended from outside, in processes of their own: Ctrl-C, a scheduler's SIGTERM, a pager that is closed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import landscape
from landscape.errors import InputError

LINE = "line small_problems:slow a.pt --x -1:1:401 -o out.h5"
START = [sys.executable, "-c", "import sys; from landscape.cli import main; sys.exit(main())"]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1", **more}


def n_done(path: Path) -> int:
    try:
        return int(landscape.read(path).done["train_loss"].sum())
    except InputError:  # not there yet
        return 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_leaves_a_file_to_go_on_with(here, run, one_line, number):
    with subprocess.Popen(
        [*START, *LINE.split(), "--quiet"],
        stderr=subprocess.PIPE,
        text=True,
        env=environment(SECONDS_A_BATCH="0.1"),
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.default_int_handler
        ),  # what runs in the background inherits deafness to it
    ) as process:
        while n_done(Path("out.h5")) < 3:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        process.send_signal(number)
        said = process.stderr.read()
    assert process.returncode == 130
    one_line(said, "interrupted", "of 401 points", "out.h5", "again to resume")
    assert sorted(path.name for path in here.glob("*out.h5*")) == ["out.h5"]
    before = landscape.read("out.h5")
    done = before.done["train_loss"]
    assert 3 <= done.sum() < 401
    assert f"{done.sum()} of 401 points" in said
    assert not before.complete
    assert run(LINE).code == 0
    after = landscape.read("out.h5")
    assert after.complete
    assert np.array_equal(after.values["train_loss"][done], before.values["train_loss"][done])


def test_interrupt_before_the_first_point_leaves_nothing(here, run, monkeypatch, one_line, everything):
    from landscape.sweep import loop

    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(loop.SelfCheck, "before", interrupt)
    before = everything(here)
    outcome = run("line small_problems:net a.pt --x -1:1:3 -o out.h5")
    assert outcome.code == 130
    one_line(outcome.err, "interrupted")
    assert everything(here) == before


def test_the_process_that_called_us_keeps_its_own_handlers(run):
    mine = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        run("show plane.h5")
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, mine)


def test_the_command_works_outside_the_main_thread(run):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(run, "show plane.h5").result().code == 0


@pytest.mark.parametrize("words", ["show plane.h5", "show plane.h5 --json"])
def test_reader_that_has_left(here, words):
    """As `landscape show plane.h5 | head -0`: no complaint, neither by us nor by Python on its way out."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*START, *words.split()], stdout=write, stderr=subprocess.PIPE, text=True, env=environment(), timeout=120)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


def test_output_that_cannot_be_written(here, one_line):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with open("/dev/full", "w") as full:
        words = [*START, "show", "plane.h5"]
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, env=environment(), timeout=120)
    assert done.returncode == 1
    one_line(done.stderr, "standard output", "disk is full")


def test_terminal_that_knows_few_letters(here):
    words = [*START, "show", "plane.h5"]
    done = subprocess.run(words, capture_output=True, env=environment(PYTHONIOENCODING="ascii"), timeout=120)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"a plane of 3 \\xd7 3 points" in done.stdout
