"""Ranks as executors, under MPI's own mpiexec: every item once, words with all ranks, and whatever ends a job."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from jobs import LIGHT, end, finish, needs_mpi, processes, ranks, run, said, start, wait_for

pytestmark = needs_mpi

# --- the task ---

# Several tasks one after the other; what rank 0 was given, and what every rank did, is printed as JSON at the end.
TASKS = f"""
{LIGHT}
import json
chance = random.Random(rank)

def shared(n, seconds=0.0, wait=0.0, result=lambda item: item * item, **more):
    taken = []
    def compute(item):
        time.sleep(chance.random() * wait)
        return result(item)
    items = list(range(n)) if rank == 0 else []
    (share,) = executor.run_task(Task(items, compute, lambda item, result: taken.append((item, result)), seconds=seconds, **more))
    return taken, [vars(other) for other in executor.gather(share)]

found = {{
    "none": shared(0),
    "one": shared(1),
    "short": shared(3000),
    "told": shared(500, seconds=1e-3, wait=2e-3),
    "uneven": shared(40, wait=0.05 * (rank + 1)),
}}
taken, shares = shared(24, result=lambda item: bytes([item]) * 1_000_000)
assert all(result == bytes([item]) * 1_000_000 for item, result in taken)
found["large"] = [(item, 0) for item, _ in taken], shares
if rank == 0:
    print(json.dumps(found))
"""


@pytest.mark.parametrize(
    "n_ranks",
    [pytest.param(1, marks=pytest.mark.slow), 3, pytest.param(5, marks=pytest.mark.slow), pytest.param(8, marks=pytest.mark.slow)],
)
def test_every_item_is_done_once_and_accounted_for(tmp_path: Path, n_ranks: int) -> None:
    code, out, err = run(n_ranks, TASKS, tmp_path)
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    for name, n_items in {"none": 0, "one": 1, "short": 3000, "told": 500, "uneven": 40, "large": 24}.items():
        taken, shares = found[name]
        square = 0 if name == "large" else 1
        assert sorted(taken) == [[item, item * item * square] for item in range(n_items)]
        assert len(shares) == n_ranks
        assert sum(share["n_items"] for share in shares) == n_items
        for share in shares:
            assert (share["busy"] > 0) == (share["n_items"] > 0)
            assert share.pop("account") is None
            assert min(share.values()) >= 0
    if n_ranks <= 5:  # among more ranks than that, 40 short items may be gone before the last one has asked
        assert all(share["n_items"] for share in found["uneven"][1])


LATE = f"""
{LIGHT}
done, taken = [], []

def late():  # rank 1 has time for one item, and so has rank 2; the others have all they want
    return rank in (1, 2) and len(done) >= 1

def compute(item):
    time.sleep(0.01)
    done.append(item)
    return rank

(share,) = executor.run_task(Task(list(range(200)), compute, lambda item, result: taken.append((item, result)), out_of_time=late, seconds=0.01))
if rank == 0:
    assert sorted(item for item, _ in taken) == list(range(200)), sorted(taken)
    assert sum(result == 1 for _, result in taken) == 1
assert rank not in (1, 2) or share.n_items == 1

done, taken = [], []
executor.run_task(Task(list(range(50)), compute, lambda item, result: taken.append(item), out_of_time=lambda: len(done) >= 3))
assert executor.on_root(lambda: len(taken)) == 3 * executor.n_ranks
executor.run_task(Task(list(range(50)), compute, lambda item, result: taken.append(item), out_of_time=lambda: True))
assert executor.on_root(lambda: len(taken)) == 3 * executor.n_ranks
"""


def test_ranks_without_time_leave_their_items_to_the_others(tmp_path: Path) -> None:
    assert run(4, LATE, tmp_path) == (0, "", "")


# Rank 0 sits on several short items until the others have done all the rest and are idle, and then has no time for them.
HANDED_BACK = f"""
{LIGHT}
from landscape.parallel import coordinator
taken, mine, looks = [], [], []

class Watched(coordinator.Schedule):
    def hand_out(self, rank, ahead=True):
        items = super().hand_out(rank, ahead)
        mine.extend(items if rank == 0 else [])
        return items

coordinator.Schedule = Watched

def late():  # rank 0 has time for its first item alone
    looks.append(1)
    return rank == 0 and len(looks) > 1

def compute(item):
    while rank == 0 and len(taken) < 80 - len(mine):
        time.sleep(0.01)
    return item

executor.run_task(Task(list(range(80)), compute, lambda item, result: taken.append(item), out_of_time=late, seconds=1e-3))
if rank == 0:
    assert len(mine) > 1
    assert sorted(taken) == list(range(80))
"""


def test_what_rank_0_gives_back_when_all_others_are_idle_is_done_by_them(tmp_path: Path) -> None:
    assert run(2, HANDED_BACK, tmp_path) == (0, "", "")


TENDING = f"""
{LIGHT}
tended = []
began = time.monotonic()
def compute(item):
    if rank == 0:
        while time.monotonic() < began + 3.5:
            pass
    return item
executor.run_task(Task([1, 2], compute, lambda item, result: None, heartbeat=lambda: tended.append(time.monotonic() - began)))
assert rank or len(tended) >= 2, tended
"""


def test_somebody_tends_while_rank_0_is_deep_in_an_item(tmp_path: Path) -> None:
    assert run(2, TENDING, tmp_path) == (0, "", "")


# --- words with all ranks ---

WORDS = f"""
{LIGHT}
import pickle, socket
host = socket.gethostname()

def failing(on, error):
    def function():
        if rank in on:
            raise error
        return rank
    return function

def meets(ask, *words, kind=Exception):
    try:
        ask()
    except kind as error:
        for word in words:
            assert word in str(error), (word, str(error))
        return error
    raise AssertionError("nothing was raised")

assert executor.gather(rank * 2) == [0, 2, 4]
assert executor.on_all_ranks(lambda: rank) == rank
assert executor.on_root(lambda: ("root", rank)) == ("root", 0)
assert executor.load_or_receive(lambda: rank) == rank

meets(lambda: executor.on_all_ranks(failing([1], InputError("no such axis"))), f"rank 1 on {{host}}: no such axis", kind=InputError)
assert str(meets(lambda: executor.on_all_ranks(failing([0, 2], InputError("no such axis"))))) == "no such axis"
error = meets(lambda: executor.on_all_ranks(failing([2], ZeroDivisionError("by nothing"))), f"rank 2 on {{host}}: ZeroDivisionError: by nothing")
assert "in function" in str(error.__cause__), "the traceback of the rank that met it"
error = meets(lambda: executor.on_all_ranks(failing([1], SystemExit(3))), f"rank 1 on {{host}}: SystemExit: 3")
assert len(str(error).splitlines()) == 1
meets(lambda: executor.on_all_ranks(failing([1], KeyboardInterrupt())), kind=KeyboardInterrupt)
meets(lambda: executor.on_root(failing([0], InputError("in the file"))), "in the file", kind=InputError)
assert executor.on_root(failing([1], InputError("not asked"))) == 0

# what only rank 0 can read
def read(error):
    if rank:
        raise error
    return {{"weights": list(range(1000))}}
for error in (FileNotFoundError("a.pt"), PermissionError("a.pt"), MissingFileError("a.pt: no such checkpoint")):
    assert executor.load_or_receive(lambda: read(error)) == {{"weights": list(range(1000))}}
def wrapped():
    try:
        return read(FileNotFoundError("a.pt"))
    except OSError as error:
        raise InputError("the data are not there") from error
assert executor.load_or_receive(wrapped) == {{"weights": list(range(1000))}}
meets(lambda: executor.load_or_receive(lambda: read(ValueError("damaged"))), "damaged")
meets(lambda: executor.load_or_receive(failing([0], FileNotFoundError("a.pt"))), "a.pt")
meets(lambda: executor.load_or_receive(failing([0, 1, 2], MissingFileError("a.pt: no such checkpoint"))), "a.pt: no such checkpoint", kind=InputError)

def unpicklable():
    if rank:
        raise MissingFileError("a.pt: no such checkpoint")
    return lambda: None
error = meets(lambda: executor.load_or_receive(unpicklable), f"rank 1 on {{host}}: a.pt: no such checkpoint", kind=InputError)
assert len(str(error).splitlines()) == 1

assert executor.gather(executor.cores()) == [executor.cores()] * 3
assert abs(3 * executor.cores() - len(os.sched_getaffinity(0))) < 1e-9
assert (executor.local_rank, executor.n_local_ranks, executor.n_ranks, executor.is_root) == (rank, 3, 3, rank == 0)
"""


def test_all_ranks_hear_the_same_and_meet_the_same_error(tmp_path: Path) -> None:
    assert run(3, WORDS, tmp_path) == (0, "", "")


PINNED = f"""
import os
cores = sorted(os.sched_getaffinity(0))
number = int(os.environ["PMI_RANK"])
if os.environ["HOW"] == "apart":
    os.sched_setaffinity(0, {{cores[number]}})
elif number:  # the first has the machine, the second one core of it
    os.sched_setaffinity(0, {{cores[1]}})
{LIGHT}
wanted = 1.0 if os.environ["HOW"] == "apart" else 0.5 if rank else len(cores) - 0.5
assert executor.cores() == wanted, executor.cores()
"""


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="one core")
@pytest.mark.parametrize("how", ["apart", "overlapping"])
def test_cores_are_shared_among_the_ranks_that_may_use_them(tmp_path: Path, how: str) -> None:
    assert run(2, PINNED, tmp_path, HOW=how) == (0, "", "")


# --- the end of a job ---

# Items take a tenth of a second; what rank 0 takes in stands in a file, as it would in a sweep.
SOME = f"""
{LIGHT}
from landscape.parallel import coordinator
items = list(range(1000))
def take(item, result):
    with open("taken", "a") as file:
        file.write(f"{{item}}\\n")
def sleep(item):
    time.sleep(0.1)
def go(compute=sleep, take=take, **more):
    try:
        executor.run_task(Task(items, compute, take, **more))
    except BaseException as error:
        executor.fail(error)
        raise
    print("done", rank, flush=True)
"""


def taken(folder: Path) -> list[int]:
    path = folder / "taken"
    return [int(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.parametrize("rank", [1, pytest.param(0, marks=pytest.mark.slow)])
def test_a_rank_that_raises_ends_the_job_with_its_traceback(tmp_path: Path, rank: int) -> None:
    program = f"""
{SOME}
def compute(item):
    if rank == {rank} and item > 10:
        raise ZeroDivisionError("no such luck")
    time.sleep(0.1)
go(compute)
"""
    code, out, err = run(3, program, tmp_path)
    assert code not in (0, 130)
    assert out == ""
    assert "in compute" in err
    assert "ZeroDivisionError: no such luck" in err
    assert err.count("ZeroDivisionError: no such luck") <= 2  # in the traceback, and in the line of the house
    assert ("landscape: rank 1 on" in err) == (rank == 1)
    assert len(taken(tmp_path)) > 2


@pytest.mark.parametrize("rank", [1, pytest.param(0, marks=pytest.mark.slow)])
def test_what_a_rank_had_of_a_hand_out_when_it_failed_is_taken_in(tmp_path: Path, rank: int) -> None:
    """Items are told to be short, so that a hand-out is of many; the rank fails in the middle of its first one."""
    program = f"""
{SOME}
mine = []
def compute(item):
    if rank != {rank}:
        time.sleep(1)  # so that the others have nothing yet
    elif len(mine) == 9:
        raise ZeroDivisionError("no such luck")
    mine.append(item)
go(compute, seconds=1e-3)
"""
    code, _, _ = run(2, program, tmp_path)
    assert code == 1
    assert len(taken(tmp_path)) in (9, 10)  # the other one may have finished an item


# What no signal and no error interrupts: one call that computes and lets go of the interpreter's lock, as torch's do.
DEEP = "import hashlib; hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)"


def test_a_rank_that_raises_ends_the_job_while_rank_0_is_deep_in_an_item(tmp_path: Path) -> None:
    program = f"""
{SOME}
def compute(item):
    if rank == 0:
        {DEEP}
    if item > 5:
        raise ZeroDivisionError("no such luck")
def rescue(error):
    open("rescued", "w").write(str(error))
    return error
go(compute, on_abort=rescue)
"""
    began = time.monotonic()
    code, _, err = run(2, program, tmp_path)
    assert time.monotonic() - began < 30  # _GRACE is 3 s, and a job starts within some; a hang would take for ever
    assert code not in (0, 130)
    assert re.fullmatch(r"landscape: rank 1 on \S+: ZeroDivisionError: no such luck", said(err)[-1])
    assert "in compute" in err, err
    assert (tmp_path / "rescued").exists()


def test_what_cannot_be_taken_in_ends_the_job_even_while_rank_0_is_deep_in_an_item(tmp_path: Path) -> None:
    program = f"""
{SOME}
def full(item, result):
    raise RunError("the disk is full")
def compute(item):
    if rank == 0:
        {DEEP}
go(compute, full, on_abort=lambda error: full(0, 0))
"""
    code, _, err = run(2, program, tmp_path)
    assert code not in (0, 130)
    assert said(err) == ["landscape: the disk is full"]


def test_what_cannot_be_taken_in_ends_the_job(tmp_path: Path) -> None:
    program = f"""
{SOME}
def full(item, result):
    if item > 5:
        raise RunError("the disk is full")
go(take=full)
"""
    code, out, err = run(3, program, tmp_path)
    assert code not in (0, 130)
    assert (out, said(err)) == ("", ["landscape: the disk is full"])


def test_a_silent_rank_is_given_up_by_name(tmp_path: Path) -> None:
    program = f"""
{SOME}
coordinator._SILENCE = 2.0
def compute(item):
    time.sleep(1000 if rank == 2 and item > 10 else 0.05)
go(compute)
"""
    code, _, err = run(3, program, tmp_path)
    assert code not in (0, 130)
    (line,) = said(err)
    assert re.fullmatch(
        r"landscape: rank 2 on \S+ has been silent for [23] s, where no points? took longer than 0\.\S+ s; .*", line
    ), line
    assert os.uname().nodename in line
    assert len(taken(tmp_path)) > 10


def test_a_slow_item_is_no_silence_where_others_were_as_slow(tmp_path: Path) -> None:
    """Patience is twenty times the slowest: here of 0.2 s, so that 2 s of silence are not enough."""
    program = f"""
{SOME}
coordinator._SILENCE = 0.1
items = list(range(12))
def compute(item):
    time.sleep(2.0 if item == 10 else 0.2)
go(compute)
"""
    code, out, err = run(2, program, tmp_path)
    assert (code, err) == (0, "")
    assert len(taken(tmp_path)) == 12
    assert out.count("done") == 2


@pytest.mark.slow
def test_a_job_that_was_stopped_for_a_while_goes_on(tmp_path: Path) -> None:
    """As a laptop's lid, or a scheduler that suspends jobs; the silence of all is nobody's."""
    program = f"""
{SOME}
coordinator._SILENCE, coordinator._PAUSED, coordinator._SLOWER = 2.0, 1.5, 0.0  # an item that was stopped counts as slow
items = list(range(60))
go()
"""
    job = start(2, program, tmp_path)
    wait_for(lambda: len(taken(tmp_path)) > 5, job, "the first items")
    root, other = ranks(job)
    os.kill(other, signal.SIGSTOP)
    time.sleep(0.3)  # what the other one sent has arrived; whatever it does next, rank 0 will have to wait for
    os.kill(root, signal.SIGSTOP)
    before = len(taken(tmp_path))
    time.sleep(4)
    assert len(taken(tmp_path)) == before
    os.kill(root, signal.SIGCONT)
    time.sleep(0.3)
    os.kill(other, signal.SIGCONT)
    code, out, err = finish(job)
    assert (code, err) == (0, "")
    assert sorted(taken(tmp_path)) == list(range(60))
    assert out.count("done") == 2


@pytest.mark.parametrize("victim", [1, pytest.param(0, marks=pytest.mark.slow)])
def test_a_killed_rank_ends_the_job(tmp_path: Path, victim: int) -> None:
    job = start(3, f"{SOME}\nprint(rank, os.getpid(), flush=True)\ngo()", tmp_path)
    wait_for(lambda: len(taken(tmp_path)) > 5, job, "the first items")
    os.kill(ranks(job)[victim], signal.SIGKILL)
    code, _, _ = finish(job)
    assert code != 0
    assert not processes(job)
    end(job)
    assert len(taken(tmp_path)) < 1000


@needs_mpi
@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no /dev/shm")
def test_an_ended_job_leaves_no_shared_memory(tmp_path: Path) -> None:
    program = f"""
{LIGHT}
task = Task(list(range(9)), lambda item: 1 // (item - 5), lambda *pair: None)
try:
    executor.run_task(task)
except BaseException as error:
    executor.fail(error)
"""
    before = set(Path("/dev/shm").glob("mpich_shm_*"))
    code, _, err = run(3, program, tmp_path)
    assert code == 1
    assert "ZeroDivisionError" in err
    left = set(Path("/dev/shm").glob("mpich_shm_*")) - before
    end = time.monotonic() + 30
    while any(path.exists() for path in left):  # of other jobs too, if some run beside this one; theirs go when they end
        assert time.monotonic() < end, left
        time.sleep(0.1)
