"""Jobs of several ranks in processes of their own: how they are started, waited for, and what they may leave behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from landscape import io
from landscape.errors import InputError

MPIEXEC = Path(sys.executable).with_name("mpiexec")
TESTS = Path(__file__).resolve().parent.parent
PATIENCE = 90  # seconds until a job counts as hanging; nothing here takes more than some
needs_mpi = pytest.mark.skipif(
    not MPIEXEC.exists(), reason=f"no mpiexec beside {sys.executable}; pip install 'torch-landscape[mpi]'"
)
QUIET = {"quiet": True, "threads": 1, "device": "cpu"}
_MARK = "LANDSCAPE_TEST_JOB"

# Executors alone, without the shop window and so without torch, whose import takes longer than all they do here.
LIGHT = f"""
import os, random, signal, sys, time, types

window = types.ModuleType("landscape")
window.__path__ = [{str(TESTS.parent / "landscape")!r}]
sys.modules["landscape"] = window
from landscape.errors import InputError, MissingFileError, RunError
from landscape.parallel import Task, detect_executor

executor = detect_executor()
rank = executor.rank
"""


def environment(**extra: str) -> dict[str, str]:
    """This process's environment without any launcher's word in it; what lies in tests/ can be imported."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PMI_", "OMPI_", "SLURM_"))}
    return {**clean, "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)]), "OMP_NUM_THREADS": "1", **extra}


def start(n_ranks: int | None, program: str, folder: Path, *words: str, **extra: str) -> subprocess.Popen[str]:
    """A job of so many ranks that each run a program, in a process group of its own; None is one process without MPI."""
    (folder / "program.py").write_text(textwrap.dedent(program))
    launcher = [] if n_ranks is None else [str(MPIEXEC), "-n", str(n_ranks)]
    job = subprocess.Popen(
        [*launcher, sys.executable, "program.py", *words],
        cwd=folder, env=environment(**{_MARK: (mark := uuid.uuid4().hex)}, PYTHONDONTWRITEBYTECODE="1", **extra),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # what runs in the background is deaf to it
    )  # fmt: skip
    _marks[job.pid] = mark
    return job


_marks: dict[int, str] = {}


def finish(job: subprocess.Popen[str], patience: float = PATIENCE) -> tuple[int, str, str]:
    """Wait for a job and look for what it left behind; one that hangs is ended, and fails the test."""
    try:
        out, err = job.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        end(job)
        out, err = job.communicate()
        pytest.fail(f"the job was not over after {patience} s: {err}")
    remaining = processes(job)
    until = time.monotonic() + 5  # a killed launcher's ranks notice its end by themselves
    while remaining and time.monotonic() < until:
        time.sleep(0.05)
        remaining = processes(job)
    end(job)
    assert not remaining, f"processes left behind: {remaining}; {err}"
    return job.returncode, out, err


def run(n_ranks: int | None, program: str, folder: Path, *words: str, **extra: str) -> tuple[int, str, str]:
    """A job from start to end: exit code, standard output, standard error."""
    return finish(start(n_ranks, program, folder, *words, **extra))


def processes(job: subprocess.Popen[str]) -> dict[int, str]:
    """What runs of a job, by the mark in its environment: process → its name; zombies, whose environment is gone, by their parent."""
    found: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{_MARK}={_marks[job.pid]}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found[int(folder.name)] = (folder / "comm").read_text().strip()
        except OSError:  # it has ended just now, or is another user's
            continue
    return found


def ranks(job: subprocess.Popen[str]) -> list[int]:
    """The processes of a job that run Python, in the order of their start, which is that of the ranks."""
    return sorted(pid for pid, name in processes(job).items() if name.startswith("python"))


def end(job: subprocess.Popen[str]) -> None:
    """Kill whatever is left of a job."""
    for pid in processes(job):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def wait_for(condition: Callable[[], object], job: subprocess.Popen[str], what: str) -> None:
    """Wait for something that happens while a job runs."""
    until = time.monotonic() + PATIENCE
    while not condition():
        if job.poll() is not None:
            pytest.fail(f"the job ended before {what}: {job.communicate()[1]}")
        if time.monotonic() > until:
            end(job)
            pytest.fail(f"waited too long for {what}: {job.communicate()[1]}")
        time.sleep(0.02)


def said(err: str) -> list[str]:
    """The lines of standard error that are ours; MPICH adds one of its own when a rank ends the job."""
    return [line for line in err.splitlines() if not line.startswith("Abort(")]


def n_done(path: Path) -> int:
    """How many points of a file are measured."""
    try:
        return int(io.read(path).done["train_loss"].sum())
    except InputError:  # not there yet, or in the very moment it is flushed
        return 0


def check_tidy(folder: Path, *files: str) -> None:
    """Whether a job left these surface files, whole and unlocked, and no temporary ones beside them.

    A process that was killed, or left from the middle of a point, leaves the name of its lock, which is nobody's and goes here.
    """
    assert sorted(path.name for path in folder.iterdir() if path.suffix == ".h5") == sorted(files)
    for name in files:
        check_unlocked(folder / name)
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".") or path.name.endswith((".part", ".tmp"))]
    for name in files:
        io.read(folder / name)


def check_unlocked(path: Path) -> None:
    """Whether nobody has a file open or locked; a process that was killed takes a moment to let go of it."""
    until = time.monotonic() + 10
    while True:
        try:
            h5py.File(path, "r+").close()
            io.check_free(path)
            return
        except (OSError, InputError):
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


# A sweep on every rank, with the command line at hand. `now` holds the indices that are being measured, so that what a loss does
# can depend on where it is; `deep` is one long call into torch, which neither a signal nor an error interrupts.
SWEEP = """
import os, random, sys, time
import torch
import cases
import landscape
from landscape.cli.main import main
from landscape.io import FileWriter
from landscape.sweep import point_worker

rank = int(os.environ.get("PMI_RANK", "0"))
now = []
block, record = point_worker.PointWorker.block, FileWriter.record

def marked(self, indices, *more):
    now[:] = indices
    try:
        return block(self, indices, *more)
    finally:
        now.clear()

point_worker.PointWorker.block = marked
FileWriter.record = lambda self, points: record(self, points, 0.005)  # so that a test need not wait for the disk

def deep():
    open(f"deep{rank}", "w").close()
    torch.linalg.matrix_power(torch.eye(3000), 2**60)
    open(f"out{rank}", "w").close()

def make():  # the loss is a sum of the two weights, and does what the program's `act` does
    def loss(a, b):
        if now:
            act()
        return a + b
    return cases.coordinates(loss)[0]

def line(*words, n=41):
    return main(["line", "__main__:make", "a.pt", "--x", f"-1:1:{n}", "--normalize", "none", "--ignore", "none",
                 "--threads", "1", "--engine", "eager", "-o", "l.h5", *words])
"""
