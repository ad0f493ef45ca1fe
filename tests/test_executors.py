"""Executors: one process or the ranks of an MPI job, with MPI's own mpiexec; the same bits for any number of ranks."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from cases import images

import landscape
from landscape import store
from landscape.errors import InputError
from landscape.executors import Serial, Task, launched

MPIEXEC = Path(sys.executable).with_name("mpiexec")
TESTS = str(Path(__file__).parent)
PATIENCE = 60  # seconds until a job counts as hanging; nothing here takes more than some
needs_mpi = pytest.mark.skipif(
    not MPIEXEC.exists(), reason=f"no mpiexec beside {sys.executable}; pip install 'torch-landscape[mpi]'"
)
QUIET = {"quiet": True, "threads": 1, "device": "cpu"}


def environment(**extra: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PMI_", "OMPI_", "SLURM_"))}
    return {**clean, "PYTHONPATH": os.pathsep.join([TESTS, str(Path(TESTS).parent)]), "OMP_NUM_THREADS": "1", **extra}


def start(n_ranks: int, program: str, folder: Path) -> subprocess.Popen[str]:
    """A job of so many ranks that each run a program, in a process group of its own."""
    (folder / "program.py").write_text(textwrap.dedent(program))
    return subprocess.Popen(
        [str(MPIEXEC), "-n", str(n_ranks), sys.executable, "program.py"],
        cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def finish(job: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for a job; one that hangs is ended, and fails the test."""
    try:
        out, err = job.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(job.pid, signal.SIGKILL)
        out, err = job.communicate()
        pytest.fail(f"the job hung: {err}")
    return job.returncode, out, err


# --- one process ---


def test_without_a_launcher_it_is_serial_and_mpi_is_not_imported() -> None:
    for plain in ({}, {"PMI_SIZE": "1"}, {"OMPI_COMM_WORLD_SIZE": "1"}, {"SLURM_STEP_NUM_TASKS": "x"}):
        assert isinstance(launched(plain), Serial)
    code = "import sys; from landscape.cli import main; main(['--version']); print('mpi4py' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True).stdout.endswith(
        "False\n"
    )


def test_serial_maps_in_order_until_told_to_stop() -> None:
    answers = iter([False, False, True])
    taken: list[tuple[int, int]] = []
    share = Serial().share_out(
        Task([1, 2, 3, 4], lambda item: item * 10, lambda *pair: taken.append(pair), late=lambda: next(answers))
    )
    assert taken == [(1, 10), (2, 20)]
    assert share.n_items == 2
    serial = Serial()
    assert (serial.rank, serial.n_ranks, serial.is_root, serial.gather(3), serial.at_root(lambda: 4), serial.together(lambda: 5)) == (
        0, 1, True, [3], 4, 5,
    )  # fmt: skip


def test_a_launcher_without_mpi_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mpi4py", None)  # importing it raises ImportError
    for variable, launcher in (
        ("PMI_SIZE", "MPICH"), ("OMPI_COMM_WORLD_SIZE", "Open MPI"), ("SLURM_STEP_NUM_TASKS", "srun"), ("MV2_COMM_WORLD_SIZE", "MVAPICH"),
    ):  # fmt: skip
        with pytest.raises(
            InputError, match=rf"{launcher}.* started 4 ranks, but MPI cannot be used .*pip install 'torch-landscape\[mpi\]'"
        ):
            launched({variable: "4"})


@needs_mpi
def test_a_launcher_whose_mpi_sees_one_rank_is_refused_with_library_and_fix(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import cases\nmake = cases.images\n")
    code = "import sys; from landscape.cli import main; sys.exit(main())"
    words = ["line", "mine:make", "a.pt", "--x", "0:1:2", "-o", "l.h5"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=tmp_path,
        env=environment(PMI_SIZE="4"),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 2
    (text,) = done.stderr.splitlines()
    for part in ("mpiexec started 4 ranks", "MPI sees one", "mpi4py uses MPICH", "rebuild mpi4py"):
        assert part in text
    assert os.listdir(tmp_path) in (["mine.py"], ["mine.py", "__pycache__"], ["__pycache__", "mine.py"])


# --- ranks ---

JOB = """
import sys
import torch
import landscape
from cases import images
from landscape.cli import main

n = sys.argv[1] if len(sys.argv) > 1 else ""
torch.save(images(1).model.state_dict(), f"a{__import__('os').environ.get('PMI_RANK', '')}.pt")
model = f"a{__import__('os').environ.get('PMI_RANK', '')}.pt"
codes = [
    main(["surface", "mine:make", model, "--x", "-1:1:5", "--y", "-1:0.5:3", "--threads", "1", "--batch-size", "8", "-o", "plane.h5", "--quiet"]),
    main(["surface", "mine:make", model, "--x", "0:1:2", "--y", "1:1:1", "--threads", "1", "-o", "few.h5", "--quiet"]),
    main(["line", "mine:make", model, "--x", "-1:1:3", "--seeds", "1..3", "--threads", "1", "-o", "draws.h5", "--quiet"]),
    main(["line", "mine:make", model, "--x", "-1:1:9", "--threads", "1", "--time-limit", "0", "-o", "none.h5", "--quiet"]),
    main(["line", "mine:make", model, "--x", "-1:1:9", "--threads", "1", "--bn", "recalibrated", "-o", "none.h5", "--overwrite", "--quiet"]),
    main(["line", "mine:make", model, "--x", "nan:1:9", "-o", "wrong.h5"]),
]
memory = landscape.line(images(), x=(-1, 1, 4), threads=1, quiet=True)
assert memory.complete
assert codes == [0, 0, 0, 3, 0, 2], codes
"""
FILES = ("plane", "few", "draws", "none")


def run_job(n_ranks: int, folder: Path) -> str:
    folder.mkdir()
    (folder / "mine.py").write_text("import cases\nmake = cases.images\n")
    code, out, err = finish(start(n_ranks, JOB, folder))
    assert code == 0, err
    assert out == ""
    assert not (folder / "wrong.h5").exists()
    return err


@needs_mpi
@pytest.mark.parametrize(
    "n_ranks",
    [pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow), 3, pytest.param(5, marks=pytest.mark.slow)],
)
def test_any_number_of_ranks_gives_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], n_ranks: int
) -> None:
    err = run_job(n_ranks, tmp_path / "ranks")
    assert err.count("landscape:") == 1  # the one about nan, from the root alone
    (tmp_path / "serial").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "ranks"))  # a problem's name is part of no digest, but of the file
    monkeypatch.chdir(tmp_path / "serial")
    exec(JOB, {"__name__": "job"})
    for name in FILES:
        ours, theirs = (landscape.read(tmp_path / folder / f"{name}.h5") for folder in ("serial", "ranks"))
        assert theirs.complete
        assert theirs.runs[-1]["n_ranks"] == n_ranks
        assert theirs.runs[-1]["points"] == theirs.grid.n_points
        for key in ours.metrics:
            assert np.array_equal(ours.values[key], theirs.values[key])
            assert np.array_equal(ours.stderr[key], theirs.stderr[key])
        assert np.array_equal(ours.examples["train"], theirs.examples["train"])
        assert theirs.checks["passed"] == 1


def ends(tmp_path: Path, n_ranks: int, program: str, *words: str) -> str:
    code, _, err = finish(start(n_ranks, program, tmp_path))
    assert code != 0
    for word in words:
        assert word in err
    return err


RAISES = """
import os
import torch
import landscape
from cases import coordinates

def loss(a, b):
    if (a, b) in {places!r} and os.environ["PMI_RANK"] == "{rank}":
        raise {error}
    return a + b

landscape.line(coordinates(loss)[0], x=(0, 8, 9), normalize="none", ignore="none", seed=0, to="l.h5", quiet=True, threads=1, bn="frozen")
"""


def raising(rank: int, error: str, everywhere: bool = True) -> str:
    program = RAISES.replace("(a, b) in {places!r}", "abs(a) > 1e-9" if everywhere else "True")
    return program.replace("{rank}", str(rank)).replace("{error}", error)


@needs_mpi
def test_an_exception_in_one_rank_ends_the_job(tmp_path: Path) -> None:
    err = ends(
        tmp_path,
        2,
        raising(1, "ValueError('no such luck')"),
        "rank 1 on",
        "at x = ",
        "ValueError: no such luck",
        "Traceback",
        "in loss",
    )
    assert "on: rank 0" not in err
    store.read(tmp_path / "l.h5")  # valid, whatever it holds


@needs_mpi
@pytest.mark.slow
@pytest.mark.parametrize(
    ("rank", "error", "everywhere"),
    [
        (0, "ValueError('no such luck')", True),
        (0, "ValueError('no such luck')", False),  # in the self-check already
        (1, "KeyboardInterrupt()", True),
        (0, "KeyboardInterrupt()", True),
        (0, "KeyboardInterrupt()", False),
        (1, "SystemExit(3)", True),
        (0, "MemoryError('no such luck')", True),
    ],
)
def test_whatever_is_raised_wherever_ends_the_job(tmp_path: Path, rank: int, error: str, everywhere: bool) -> None:
    ends(tmp_path, 2, raising(rank, error, everywhere))


FACTORY = """
import os
import sys
from landscape.cli import main

with open(f"mine{os.environ['PMI_RANK']}.py", "w") as file:
    file.write("import os\\nimport cases\\ndef make():\\n    if os.environ['PMI_RANK'] == '1':\\n        raise OSError('no data here')\\n    return cases.images()\\n")
import torch, cases
torch.save(cases.images().model.state_dict(), f"a{os.environ['PMI_RANK']}.pt")
sys.exit(main(["line", f"mine{os.environ['PMI_RANK']}:make", f"a{os.environ['PMI_RANK']}.pt", "--x", "-1:1:5", "-o", "l.h5", "--quiet"]))
"""


@needs_mpi
@pytest.mark.slow
def test_a_factory_that_fails_on_one_rank_ends_the_job(tmp_path: Path) -> None:
    ends(tmp_path, 2, FACTORY)


OTHER = """
import os
import landscape
from cases import images

landscape.line(images(int(os.environ["PMI_RANK"])), x=(-1, 1, 3), threads=1, quiet=True, to="l.h5")
"""


@needs_mpi
@pytest.mark.slow
def test_ranks_with_other_models_are_refused(tmp_path: Path) -> None:
    ends(tmp_path, 2, OTHER, "rank 1 on", "has another weights than rank 0")
    assert not (tmp_path / "l.h5").exists()


FULL_DISK = """
import landscape
from cases import images
from landscape.errors import RunError
from landscape.store import Recorder

def full(*arguments):
    raise RunError("the disk is full")

Recorder.record = Recorder.finish = full
landscape.line(images(), x=(-1, 1, 9), threads=1, quiet=True, to="l.h5")
"""


@needs_mpi
@pytest.mark.slow
def test_a_file_that_can_be_written_no_more_ends_the_job(tmp_path: Path) -> None:
    ends(tmp_path, 2, FULL_DISK)


SWEEP = """
import landscape
from cases import images
from landscape.store import Recorder

record = Recorder.record
Recorder.record = lambda self, points: record(self, points, 0.005)
landscape.surface(images(), x=(-1, 1, 31), y=(-0.7, 1, 19), batch_size=8, to="s.h5", quiet=True, threads=1)
"""


@needs_mpi
@pytest.mark.slow
@pytest.mark.parametrize("victim", ["a rank", "the job"])
def test_killed_at_random_moments_and_resumed_gives_the_same_bits(tmp_path: Path, victim: str) -> None:
    whole = landscape.surface(images(), x=(-1, 1, 31), y=(-0.7, 1, 19), batch_size=8, **QUIET).values["train_loss"]
    moments, path, counts = random.Random(2), tmp_path / "s.h5", [0]
    for n_ranks in (2, 3, 2):
        job = start(n_ranks, SWEEP, tmp_path)
        while job.poll() is None and not (path.exists() and n_done(path) > counts[-1]):
            time.sleep(0.05)
        time.sleep(moments.uniform(0, 0.2))
        if victim == "the job":
            os.killpg(job.pid, signal.SIGKILL)
        else:
            for child in children(job.pid)[:1]:
                os.kill(child, signal.SIGKILL)
        finish(job)
        counts.append(n_done(path))
    assert counts == sorted(counts)
    surface = landscape.surface(images(), x=(-1, 1, 31), y=(-0.7, 1, 19), batch_size=8, to=path, **QUIET)
    assert surface.complete
    assert len({run["n_ranks"] for run in surface.runs}) > 1
    with h5py.File(path) as file:
        assert np.array_equal(file["values/train_loss"][()], whole)


def n_done(path: Path) -> int:
    try:
        return int(store.read(path).done["train_loss"].sum())
    except InputError:  # in the very moment it is flushed
        return 0


def children(parent: int) -> list[int]:
    """The python processes below one, found by Linux's /proc."""
    below: dict[int, list[int]] = {}
    names: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name, _, rest = (folder / "stat").read_text().partition("(")[2].rpartition(")")
            below.setdefault(int(rest.split()[1]), []).append(int(folder.name))
            names[int(folder.name)] = name
        except (OSError, ValueError):
            continue
    found, open_ = [], [parent]
    while open_:
        child = open_.pop()
        found += [pid for pid in below.get(child, []) if "python" in names[pid]]
        open_ += below.get(child, [])
    return found


def test_every_executor_offers_the_same(tmp_path: Path) -> None:
    from landscape.executors import Executor, Ranks

    wanted = {name for name in vars(Executor) if not name.startswith("_")} - {"rank", "n_ranks"}
    functions: list[Callable[..., Any]] = [Serial, Ranks]
    for kind in functions:
        assert wanted <= set(dir(kind)) | {"local_rank", "n_local_ranks", "is_root"}
