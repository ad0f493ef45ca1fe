"""Sweeps that are ended from inside or outside: the user hears why, the file holds what was measured, nothing else is left."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from cases import coordinates, perceptron
from jobs import PATIENCE, QUIET, SWEEP, check_tidy, end, finish, n_done, needs_mpi, ranks, run, said, start, wait_for

import landscape
from landscape import Surface
from landscape.core.surface import BY_METRIC
from landscape.sweep.blocks import blocks_of

SOON = 0.05  # seconds a block takes in jobs that somebody has to catch while they run


@pytest.fixture
def here(tmp_path: Path) -> Path:
    torch.save(coordinates(lambda a, b: 0.0)[0].model.state_dict(), tmp_path / "a.pt")
    return tmp_path


def check_partial(folder: Path, name: str = "l.h5", whole: int = 41) -> Surface:
    """A file that is valid and incomplete, whose values are right where it says so."""
    check_tidy(folder, name)
    surface = landscape.read(folder / name)
    done = surface.done["train_loss"]
    assert 0 < done.sum() < whole
    assert np.array_equal(np.isfinite(surface.values["train_loss"]), done)
    return surface


def go_on(folder: Path) -> Surface:
    """The rest of the line, in this process and with a loss that does nothing else."""
    options = {"normalize": "none", "ignore": "none", "to": folder / "l.h5", "seed": 0, **QUIET}
    surface = landscape.line(coordinates(lambda a, b: a + b)[0], folder / "a.pt", x=(-1, 1, 41), **options)
    assert surface.complete
    return surface


# --- a rank that raises ---

RAISES = f"""
{SWEEP}
looks = []
def act():
    looks.append(now[0])
    time.sleep({SOON})
    if rank == 0 and len(looks) == 4:
        deep()
    if rank == 1 and os.path.exists("deep0") and len(looks) > 4:
        raise ZeroDivisionError("no such luck")
sys.exit(line("--quiet", *sys.argv[1:]))
"""


@needs_mpi
@pytest.mark.parametrize("words", [[], pytest.param(["--debug"], marks=pytest.mark.slow)])
def test_a_rank_that_raises_ends_the_sweep_while_rank_0_is_deep_in_a_point(here: Path, words: list[str]) -> None:
    code, out, err = run(2, RAISES, here, *words)
    assert (here / "deep0").exists()
    assert not (here / "out0").exists()  # the job ended while rank 0 was inside that call
    assert code == 1
    assert out == ""
    assert ("in act" in err) == bool(words)  # the traceback of rank 1
    before = check_partial(here)
    done = before.done["train_loss"]
    assert done.sum() >= 3 + 4  # rank 0 had three points, and rank 1 four at least
    (line,) = [text for text in err.splitlines() if text.startswith("landscape:")]
    word = f"{done.sum()} of 41 points are in l.h5; run the same command again to resume"
    what = "the model or loss raised ZeroDivisionError: no such luck"
    assert re.fullmatch(rf"landscape: rank 1 on \S+: at x = -?\S+: {what}; {word}", line)
    assert "interrupted" not in err
    after = go_on(here)
    assert np.array_equal(after.values["train_loss"][done], before.values["train_loss"][done])


@needs_mpi
@pytest.mark.slow
@pytest.mark.parametrize("n_ranks", [None, 2])
@pytest.mark.parametrize(
    "error", ["ValueError('no such luck')", "SystemExit(3)", "MemoryError('no such luck')", "KeyboardInterrupt()"]
)
def test_whatever_is_raised_on_rank_0_ends_the_sweep(here: Path, error: str, n_ranks: int | None) -> None:
    program = f"""
{SWEEP}
def act():
    if rank == 0 and n_looks() > 3:
        raise {error}
    time.sleep({SOON})
looks = []
def n_looks():
    looks.append(1)
    return len(looks)
sys.exit(line("--quiet"))
"""
    code, out, err = run(n_ranks, program, here)
    assert code == (130 if "Keyboard" in error else 1)
    assert out == ""
    assert err.count("landscape:") == 1
    assert ("no such luck" in err) == ("ValueError" in error)
    assert "Traceback" not in err
    assert ("memory ran out" in err) == ("Memory" in error)
    check_partial(here)


@needs_mpi
@pytest.mark.slow
@pytest.mark.parametrize("error", ["SystemExit(3)", "KeyboardInterrupt()"])
def test_whatever_is_raised_on_rank_1_ends_the_sweep(here: Path, error: str) -> None:
    program = f"""
{SWEEP}
def act():
    time.sleep({SOON})
    if rank == 1 and os.path.exists("l.h5"):
        time.sleep(0.5)
        raise {error}
sys.exit(line("--quiet"))
"""
    code, out, err = run(2, program, here)
    assert code == (130 if "Keyboard" in error else 1)
    assert out == ""
    assert err.count("landscape:") == 1
    check_partial(here)


ALWAYS = f"""
{SWEEP}
usual = make
def make():
    problem = usual()
    def broken(model, batch):
        raise LookupError("no such experiment")
    return problem if rank == 0 else landscape.Problem(problem.model, broken, problem.data, name="coordinates")
sys.exit(line("--quiet", *sys.argv[1:]))
"""


@needs_mpi
@pytest.mark.parametrize("words", [[], pytest.param(["--debug"], marks=pytest.mark.slow)])
def test_a_rank_that_raises_before_the_first_point_is_one_line_too(here: Path, words: list[str]) -> None:
    code, out, err = run(2, ALWAYS, here, *words)
    assert (code, out) == (1, "")
    line = f"rank 1 on {os.uname().nodename}: the model or loss raised LookupError: no such experiment"
    assert f"landscape: {line}" in said(err) or words
    assert line in err
    assert len(said(err)) == 1 or words
    assert ("in broken" in err) == bool(words)
    check_tidy(here)


# --- ended from outside ---

STUBBORN = f"""
{SWEEP}
def act():
    time.sleep({SOON})
    while os.path.exists("l.h5") and os.path.exists("stubborn please"):
        open(f"deep{{rank}}", "w").close()
        try:
            time.sleep(0.05)
        except BaseException:
            pass
sys.exit(line("--quiet"))
"""


@needs_mpi
@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_signal_that_every_rank_swallows_ends_the_sweep(here: Path, number: signal.Signals) -> None:
    job = start(2, STUBBORN, here)
    wait_for(lambda: n_done(here / "l.h5") > 2, job, "the first points")
    (here / "stubborn please").touch()
    wait_for(lambda: (here / "deep0").exists() and (here / "deep1").exists(), job, "the swallowing loss")
    job.send_signal(number)
    code, _, err = finish(job)
    assert code == 130
    n = int(check_partial(here).done["train_loss"].sum())
    assert said(err) == [f"landscape: interrupted: {n} of 41 points are in l.h5; run the same command again to resume"]


DEEP = f"""
{SWEEP}
def act():
    time.sleep({SOON})
    if rank == 0 and os.path.exists("deep please"):
        deep()
sys.exit(line("--quiet"))
"""


def ended(folder: Path, n_ranks: int | None, number: signal.Signals, whom: str) -> tuple[int, str]:
    """A sweep whose first process is deep in a point when a signal comes, to the launcher or to all of the terminal's processes."""
    job = start(n_ranks, DEEP, folder)
    wait_for(lambda: n_done(folder / "l.h5") > 2, job, "the first points")
    (folder / "deep please").touch()
    wait_for((folder / "deep0").exists, job, "the long computation")
    time.sleep(0.5)
    before = n_done(folder / "l.h5")
    if whom == "all":
        os.killpg(job.pid, number)
    else:
        job.send_signal(number)
    code, out, err = finish(job)
    assert not [text for text in out.splitlines() if not text.startswith("[mpiexec@")]  # MPICH's own word about Ctrl-C
    assert not (folder / "out0").exists()  # it was over before that call was
    (line,) = [text for text in err.splitlines() if text.startswith("landscape: ")]
    surface = check_partial(folder)
    n = int(surface.done["train_loss"].sum())
    assert n >= before
    assert line == f"landscape: interrupted: {n} of 41 points are in l.h5; run the same command again to resume"
    return code, err


@needs_mpi
@pytest.mark.parametrize(
    ("n_ranks", "number", "whom"),
    [
        (2, signal.SIGTERM, "launcher"),
        pytest.param(2, signal.SIGINT, "all", marks=pytest.mark.slow),
        pytest.param(2, signal.SIGINT, "launcher", marks=pytest.mark.slow),
        pytest.param(2, signal.SIGTERM, "all", marks=pytest.mark.slow),
        pytest.param(None, signal.SIGTERM, "launcher", marks=pytest.mark.slow),
        pytest.param(None, signal.SIGINT, "all", marks=pytest.mark.slow),
    ],
)
def test_a_signal_is_heard_during_a_long_point(here: Path, n_ranks: int | None, number: signal.Signals, whom: str) -> None:
    code, err = ended(here, n_ranks, number, whom)
    assert "Traceback" not in err
    if n_ranks is None or whom == "launcher":
        assert code == 130
    go_on(here)


@needs_mpi
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_between_points_ends_gently(here: Path, number: signal.Signals) -> None:
    job = start(2, DEEP, here)
    wait_for(lambda: n_done(here / "l.h5") > 2, job, "the first points")
    job.send_signal(number)
    code, _, err = finish(job)
    assert code == 130
    surface = check_partial(here)
    n = surface.done["train_loss"].sum()
    assert f"landscape: interrupted: {n} of 41 points are in l.h5; run the same command again to resume" in said(err)
    assert "Traceback" not in err
    assert surface.numbers  # the file is in its final form
    assert surface.runs[-1]["points"] == n
    go_on(here)


@needs_mpi
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_one_rank_still_makes_the_problem(here: Path, number: signal.Signals) -> None:
    program = f"""
{SWEEP}
usual = make
def make():
    open(f"made{{rank}}", "w").close()
    time.sleep(600 if rank == 0 else 0)
    return usual()
sys.exit(line("--quiet"))
"""
    job = start(2, program, here)
    wait_for(lambda: (here / "made0").exists() and (here / "made1").exists(), job, "the factories")
    time.sleep(1)
    job.send_signal(number)
    code, _, err = finish(job)
    assert code == 130
    assert "Traceback" not in err
    check_tidy(here)


# --- killed and resumed ---

KILLED = f"""
{SWEEP}
def slowed(self, indices, *more, usual=point_worker.PointWorker.block):
    time.sleep({SOON})
    return usual(self, indices, *more)
point_worker.PointWorker.block = slowed
landscape.surface(cases.perceptron(), x=(-1, 1, 31), y=(-0.7, 1, 19), engine="batched", to="s.h5", quiet=True, threads=1,
                  time_limit=float(sys.argv[1]))
"""
PLANE = {"x": (-1, 1, 31), "y": (-0.7, 1, 19), "engine": "batched"}


@needs_mpi
@pytest.mark.parametrize("n_rounds", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_random_moments_and_resumed_gives_the_same_bits(tmp_path: Path, n_rounds: int) -> None:
    """In batches of 16 points; a kill may lose what was not flushed yet, never half of a block, and never what was on disk."""
    whole = landscape.surface(perceptron(), **PLANE, **QUIET)
    blocks = blocks_of([], whole.grid.indices(), 16)
    chance, path, count, n_killed = random.Random(n_rounds), tmp_path / "s.h5", 0, 0
    for k in range(n_rounds):
        victim = ("a rank", "the job", "rank 0", "time limit")[k % 4]
        job = start(chance.choice((2, 2, 3)) if n_rounds > 3 else 2, KILLED, tmp_path, "4" if victim == "time limit" else "1000")
        until = time.monotonic() + PATIENCE
        while job.poll() is None and n_done(path) <= count and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 0.5))
        killed = victim != "time limit" and job.poll() is None
        seen = n_done(path)
        if killed and victim == "the job":
            end(job)
        elif killed and (found := ranks(job)):
            os.kill(found[0] if victim == "rank 0" else chance.choice(found[1:]), signal.SIGKILL)
        code, _, _ = finish(job)
        n_killed += killed and code != 0
        check_tidy(tmp_path, "s.h5")
        surface = landscape.read(path)
        done = surface.done["train_loss"]
        assert done.sum() >= max(count, seen)
        assert np.array_equal(surface.values["train_loss"][done], whole.values["train_loss"][done])
        assert {len({bool(done[index]) for index in block}) for block in blocks} == {1}
        count = int(done.sum())
        if surface.complete:
            path.unlink()
            count = 0
    assert n_killed >= n_rounds // 2
    surface = landscape.surface(perceptron(), **PLANE, to=path, **QUIET)
    assert surface.complete
    for kind in (*BY_METRIC, "examples"):
        for key, array in getattr(whole, kind).items():
            assert np.array_equal(getattr(surface, kind)[key], array)


# --- out of time ---

LIMITED = f"""
{SWEEP}
def act():
    time.sleep(0.3)
first = line("--time-limit", "4", n=81)
if rank == 0:
    import shutil
    shutil.copy("l.h5", "first.h5")
second = line("--quiet", n=81) if len(sys.argv) > 1 else 0
assert (first, second) == (3, 0), (first, second)
"""


@needs_mpi
@pytest.mark.slow
def test_a_time_limit_says_what_is_left_and_the_next_run_completes(here: Path) -> None:
    code, _, err = run(2, LIMITED, here)
    assert code == 0, err
    surface = landscape.read(here / "first.h5")
    n = int(surface.done["train_loss"].sum())
    assert 0 < n < 81
    assert surface.runs[-1]["left"] == 81 - n
    (note,) = [line for line in err.splitlines() if line.startswith("stopped at the time limit")]
    found = re.fullmatch(
        rf"stopped at the time limit: {n} of 81 points are in l\.h5; run the same command again to resume; {81 - n} are left, about (\d+(?:\.\d+)?) s more",
        note,
    )
    assert found, note
    # Two ranks, 0.3 s or a little more a point: a sleep is never shorter.
    assert 0.3 * (81 - n) / 2 * 0.99 <= float(found[1])


# --- ranks that differ ---

DIFFERS = f"""
{SWEEP}
usual = make
def make():
    problem = usual()
    if rank == 1 and sys.argv[1] == "weights":
        problem.model.weight.data += 1
    if rank == 1 and sys.argv[1] == "data":
        problem = landscape.Problem(problem.model, cases.Follow(lambda a, b: a + b), {{"train": torch.ones(5, 1)}}, name="coordinates")
    return problem
def act():
    open("measured", "w").close()
if rank == 1 and sys.argv[1] == "package version":
    from landscape.sweep import checks
    checks.package_version = lambda: "0.0.1"
if sys.argv[1] == "weights":
    torch.save(make().model.state_dict(), f"a{{rank}}.pt")
    os.chdir("."), sys.exit(main(["line", "__main__:make", f"a{{rank}}.pt", "--x", "0:1:9", "--threads", "1", "--ignore", "none",
                                  "--normalize", "none", "-o", "l.h5", "--quiet"]))
sys.exit(line("--quiet"))
"""


@needs_mpi
@pytest.mark.parametrize(
    "what", ["weights", pytest.param("data", marks=pytest.mark.slow), pytest.param("package version", marks=pytest.mark.slow)]
)
def test_ranks_that_differ_stop_before_the_first_point(here: Path, what: str) -> None:
    code, out, err = run(2, DIFFERS, here, what)
    host = os.uname().nodename
    assert out == ""
    assert f"rank 1 on {host} has other {what} than rank 0 on {host}" in err
    assert "Traceback" not in err
    assert code == 2
    assert not (here / "measured").exists()
    check_tidy(here)


# --- files that only rank 0 has ---

ALONE = f"""
{SWEEP}
top = os.getcwd()
os.mkdir(f"rank{{rank}}")
os.chdir(f"rank{{rank}}")
problem = cases.perceptron()
if rank == 0:
    torch.save(problem.model.state_dict(), "p.pt")

def make():
    if rank:
        open("data.npz")
    return problem

def unsendable():
    if rank:
        open("data.npz")
    return landscape.Problem(problem.model, lambda model, batch: model(batch[0])[:, 0], {{"train": torch.zeros(5, 4)}})

words = ["p.pt", "--x", "-1:1:9", "--threads", "1", "--quiet", "-o"]
assert main(["line", "__main__:make", *words, f"{{top}}/l.h5"]) == 0
sys.exit(main(["line", "__main__:unsendable", *words, f"{{top}}/never.h5"]))
"""


@needs_mpi
def test_a_checkpoint_and_data_that_only_rank_0_has_are_sent(tmp_path: Path) -> None:
    code, out, err = run(2, ALONE, tmp_path)
    assert (code, out) == (2, "")
    (line,) = said(err)
    assert line.startswith(f"landscape: rank 1 on {os.uname().nodename}: "), line
    assert "data.npz" in line
    check_tidy(tmp_path, "l.h5")
    ours, theirs = landscape.line(perceptron(), x=(-1, 1, 9), **QUIET), landscape.read(tmp_path / "l.h5")
    for key in ours.metrics:
        assert np.array_equal(ours.values[key], theirs.values[key])
