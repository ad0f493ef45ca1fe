"""One writer at a time: who is refused, who is not, and what is left of the lock in every case."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import landscape
from landscape import io
from landscape.core.surface import Axis, Metric, Surface
from landscape.errors import InputError
from landscape.io import lock

QUIET = {"quiet": True, "threads": 1, "device": "cpu"}


def plane(to: Path | None, function: Callable[..., float] = lambda a, b: 100 * a + b, **options: Any) -> Surface:
    return landscape.surface(landscape.LambdaObjective(function), x=(0, 3, 4), y=(0, 2, 3), to=to, **{**QUIET, **options})


def blank(n: int) -> Surface:
    values = np.full(n, np.nan)
    return Surface(
        "line", (Axis("x", np.arange(float(n))),), {"train_loss": Metric("train", "loss", "")},
        {"train_loss": values}, {"train_loss": np.zeros(n, bool)},
    )  # fmt: skip


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def child() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a program that needs no torch, with its first line awaited; it ends when its standard input does."""
    started: list[subprocess.Popen[str]] = []

    def start(program: str, *words: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", program, *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline()
        return process

    yield start
    for process in started:
        process.communicate()


@pytest.fixture
def holder() -> Iterator[Callable[..., int]]:
    """Starts a process that holds the lock of a file, forked from this one to save the imports; killed at the end."""
    if not hasattr(os, "fork"):
        pytest.skip("forks")
    started: dict[int, int] = {}

    def start(path: Path | str, forks: bool = False) -> int:
        (hear, say), (over, end) = os.pipe(), os.pipe()
        process = os.fork()
        if process == 0:
            os.close(end)  # so that all below end with the test at the latest
            try:
                with io.lock_for_writing(path):
                    if forks and os.fork() == 0:
                        os.read(over, 1)
                        os._exit(0)
                    os.write(say, b"held")
                    os.read(over, 1)
            finally:
                os._exit(0)
        started[process] = end
        os.close(say)
        os.close(over)
        assert os.read(hear, 4) == b"held"
        os.close(hear)
        return process

    yield start
    for process, end in started.items():
        kill(process)
        os.close(end)


def kill(process: int) -> None:
    with suppress(ProcessLookupError, ChildProcessError):
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)


# --- a second writer ---


def refused(name: str, path: Path) -> None:
    """One of the ways to write a surface file, begun while somebody else writes it."""
    if name == "sweep":
        plane(path, overwrite=path.exists() and not h5py.is_hdf5(path))
    elif name == "line":
        landscape.line(landscape.LambdaObjective(lambda a: a), x=(0, 1, 3), to=path, **QUIET)
    elif name == "merge":
        landscape.merge([path.with_name("part.h5")], path, overwrite=True, quiet=True)
    else:
        io.import_surface(path.with_name("theirs.h5"), path, None, "", lambda surface: {})


@pytest.mark.parametrize("way", ["sweep", "line", "merge", "import"])
def test_a_second_writer_is_refused_before_anything_is_read(tmp_path: Path, holder: Any, way: str) -> None:
    process = holder(tmp_path / "s.h5")
    (tmp_path / "s.h5").write_bytes(b"no HDF5 at all: who reads this before the lock says so")
    with pytest.raises(InputError, match="is writing it; wait for it to end, or choose another name") as raised:
        refused(way, tmp_path / "s.h5")  # where a part or theirs is missing, nothing noticed yet
    assert f"another process ({process} on {socket.gethostname()}, since 2" in str(raised.value)
    assert (tmp_path / "s.h5").read_bytes().startswith(b"no HDF5")


@pytest.mark.parametrize("words", ["line FACTORY a.pt -o s.h5", "surface FACTORY a.pt -o s.h5 --overwrite"])
def test_the_command_refuses_before_it_builds_a_model(
    tmp_path: Path, holder: Any, command: Any, factory: Any, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    holder("s.h5")
    built = factory("raise AssertionError('built all the same')")
    outcome = command(*words.replace("FACTORY", built).split())
    assert outcome.code == 2
    assert len(outcome.err.splitlines()) == 1
    assert "s.h5: another process (" in outcome.err


def test_two_in_one_process_are_told_so(tmp_path: Path) -> None:
    said: list[str] = []

    def meanwhile(a: float, b: float) -> float:
        if (a, b) == (3, 2):
            try:
                plane(tmp_path / "s.h5")
            except InputError as error:
                said.append(str(error))
        return 100 * a + b

    surface = plane(tmp_path / "s.h5", meanwhile)
    assert said
    assert "this very process (since " in said[0]
    assert surface.complete  # and nobody wrote a stale merge over it
    assert landscape.read(tmp_path / "s.h5").complete
    assert names(tmp_path) == ["s.h5"]


def test_a_link_and_its_file_have_one_lock(tmp_path: Path, holder: Any) -> None:
    (tmp_path / "far").mkdir()
    plane(tmp_path / "far" / "s.h5")
    (tmp_path / "near.h5").symlink_to(Path("far") / "s.h5")
    holder(tmp_path / "near.h5")
    with pytest.raises(InputError, match="another process"):
        plane(tmp_path / "far" / "s.h5")


def test_a_program_with_the_file_open_for_writing_is_noticed(tmp_path: Path, child: Any) -> None:
    """HDF5's own locks: a sweep of version 0.1.0, or anybody's h5py."""
    plane(tmp_path / "s.h5")
    child("import h5py, sys; file = h5py.File(sys.argv[1], 'r+'); print('open', flush=True); sys.stdin.read()", tmp_path / "s.h5")
    for way in (lambda: plane(tmp_path / "s.h5"), lambda: io.FileWriter(tmp_path / "s.h5")):
        with pytest.raises(InputError, match="another process has it open for writing"):
            way()
    assert names(tmp_path) == ["s.h5"]


# --- what is left of a lock ---


@pytest.mark.parametrize("error", [None, ValueError("no"), KeyboardInterrupt(), SystemExit(3)])
def test_nothing_is_left_of_it_however_the_run_ends(tmp_path: Path, error: BaseException | None) -> None:
    seen: list[list[str]] = []

    def fragile(a: float, b: float) -> float:
        if (a, b) == (3, 2):
            seen.append(names(tmp_path))
            if error is not None:
                raise error
        return 100 * a + b

    with nullcontext() if error is None else pytest.raises(BaseException):  # noqa: PT011  # which one is others' business
        plane(tmp_path / "s.h5", fragile)
    assert ".s.h5.lock" in seen[0]
    assert names(tmp_path) in (["s.h5"], [])
    with io.lock_for_writing(tmp_path / "s.h5"):
        pass


@pytest.mark.parametrize("name", ["s.h5", "x" * 252 + ".h5", "π" * 120 + ".h5"], ids=["short", "long", "greek"])
def test_a_killed_process_blocks_nobody(tmp_path: Path, holder: Any, name: str) -> None:
    process = holder(tmp_path / name)
    left = names(tmp_path)
    assert len(left) == 1
    kill(process)
    assert names(tmp_path) == left
    plane(tmp_path / name)
    assert names(tmp_path) == [name]


def test_a_forked_child_does_not_outlive_its_parent_with_the_lock(tmp_path: Path, holder: Any) -> None:
    """A data loader's worker goes on for a while after its parent was killed."""
    kill(holder(tmp_path / "s.h5", forks=True))
    with io.lock_for_writing(tmp_path / "s.h5"):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_child_that_leaves_takes_nothing_away(tmp_path: Path) -> None:
    with io.lock_for_writing(tmp_path / "s.h5"):
        worker = os.fork()
        if worker == 0:
            try:
                with pytest.raises(RuntimeError), io.lock_for_writing(tmp_path / "another.h5"):
                    raise RuntimeError
            finally:
                os._exit(0)
        os.waitpid(worker, 0)
        assert names(tmp_path) == [".s.h5.lock"]
        with pytest.raises(InputError, match="this very process"):
            io.check_free(tmp_path / "s.h5")


def test_a_lock_removed_while_one_waits_for_it_is_taken_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between opening and locking, the last holder unlinks the file: what we locked then is no longer anybody's lock."""
    pytest.importorskip("fcntl")
    flock, first = lock.fcntl.flock, iter([True])

    def slow(descriptor: int, how: int) -> None:
        if next(first, False):
            os.unlink(tmp_path / ".s.h5.lock")
        flock(descriptor, how)

    monkeypatch.setattr(lock.fcntl, "flock", slow)
    with io.lock_for_writing(tmp_path / "s.h5"):
        assert names(tmp_path) == [".s.h5.lock"]
        with pytest.raises(InputError, match="this very process"):
            io.check_free(tmp_path / "s.h5")
    assert names(tmp_path) == []


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, None])
def test_a_file_system_without_locks_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int | None
) -> None:
    def without(descriptor: int, how: int) -> None:
        raise OSError(number, "no locks here")

    if number is None:  # Windows
        monkeypatch.setattr(lock, "fcntl", None)
    else:
        monkeypatch.setattr(lock.fcntl, "flock", without)
    capsys.readouterr()
    assert plane(tmp_path / "s.h5", quiet=False).complete
    said = [text for text in capsys.readouterr().err.splitlines() if "lock" in text]
    assert len(said) == 1
    assert "no other process" in said[0]
    assert names(tmp_path) == ["s.h5"]


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_something_else_in_the_place_of_the_lock_is_one_line(tmp_path: Path, kind: str) -> None:
    (tmp_path / "precious").write_text("mine")
    if kind == "link":
        (tmp_path / ".s.h5.lock").symlink_to("precious")
    else:
        (tmp_path / ".s.h5.lock").mkdir()
    with pytest.raises(InputError, match=r"its lock file .*\.s\.h5\.lock cannot be opened .*; remove it"):
        plane(tmp_path / "s.h5")
    assert (tmp_path / "precious").read_text() == "mine"


def test_what_another_wrote_into_a_lock_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / ".s.h5.lock").write_bytes(b"process \x1b[31m on \xff since " + b"x" * 100_000)
    with open(tmp_path / ".s.h5.lock") as other:
        lock.fcntl.flock(other, lock.fcntl.LOCK_EX)
        with pytest.raises(InputError) as raised:
            plane(tmp_path / "s.h5")
    assert "s.h5: another process is writing it; wait" in str(raised.value)


# --- readers ---

READER = """
import sys, h5py
opened = 0
print("ready", flush=True)
for line in sys.stdin:
    with h5py.File(sys.argv[1]) as file:
        done = file["done/train_loss"][()] != 0
        values = file["values/train_loss"][()]
    print(*[int(k) for k in done], *values, flush=True)
"""


def test_plain_h5py_reads_while_a_sweep_writes(tmp_path: Path, child: Any) -> None:
    """With HDF5's default locks, in another process; what it sees as done has its value."""
    path, n = io.write(blank(40), tmp_path / "s.h5"), 40
    recorder = io.FileWriter(path)
    reader = child(READER, path)
    for k in range(n):
        recorder.record([((k,), [("values/train_loss", k + 0.5), ("done/train_loss", 1)])], seconds_between=0)
        reader.stdin.write("read\n")
        reader.stdin.flush()
        seen = np.array([float(word) for word in reader.stdout.readline().split()])
        assert len(seen) == 2 * n, "h5py was refused"
        assert seen[:n].tolist() == [1.0] * (k + 1) + [0.0] * (n - k - 1)
        assert seen[n:][: k + 1].tolist() == [i + 0.5 for i in range(k + 1)]
    recorder.close()


def test_a_plain_reader_is_not_in_the_way_of_a_sweep(tmp_path: Path, child: Any) -> None:
    plane(tmp_path / "s.h5", time_limit=0)
    child("import h5py, sys; file = h5py.File(sys.argv[1]); print('open', flush=True); sys.stdin.read()", tmp_path / "s.h5")
    assert plane(tmp_path / "s.h5").complete


def test_a_plain_writer_is_kept_out_while_a_sweep_writes(tmp_path: Path) -> None:
    path = io.write(blank(3), tmp_path / "s.h5")
    recorder = io.FileWriter(path)
    code = "import h5py, sys; h5py.File(sys.argv[1], 'r+')"
    said = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert said.returncode == 1
    assert "unable to lock" in said.stderr
    recorder.close()
    assert subprocess.run([sys.executable, "-c", code, path], check=False).returncode == 0
