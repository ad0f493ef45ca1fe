"""How a process was started, and what the executor of one process does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jobs import PATIENCE, environment, needs_mpi

from landscape.errors import InputError
from landscape.parallel import Executor, MPIExecutor, PoolExecutor, SerialExecutor, Task, detect_executor, exhausted


def test_without_a_launcher_it_is_serial_and_mpi_is_not_imported() -> None:
    for plain in ({}, {"PMI_SIZE": "1"}, {"OMPI_COMM_WORLD_SIZE": "1"}, {"SLURM_STEP_NUM_TASKS": "x"}):
        assert isinstance(detect_executor(plain), SerialExecutor)
    code = "import sys; from landscape.cli import main; main(['--version']); print('mpi4py' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True).stdout.endswith(
        "False\n"
    )


def test_the_ranks_of_a_pool_are_no_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mpi4py.futures._core", SimpleNamespace(SharedPool=object()))
    assert isinstance(detect_executor({"PMI_SIZE": "4"}), SerialExecutor)


def test_serial_maps_in_order_until_told_to_stop() -> None:
    answers = iter([False, False, True])
    taken: list[tuple[int, int]] = []
    (share,) = SerialExecutor().run_task(
        Task([1, 2, 3, 4], lambda item: item * 10, lambda *pair: taken.append(pair), out_of_time=lambda: next(answers))
    )
    assert taken == [(1, 10), (2, 20)]
    assert share.n_items == 2
    serial = SerialExecutor()
    assert (serial.rank, serial.n_ranks, serial.is_root, serial.gather(3), serial.on_root(lambda: 4), serial.on_all_ranks(lambda: 5)) == (
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
            detect_executor({variable: "4"})


@needs_mpi
@pytest.mark.slow  # tests/misuse has it with another launcher
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


def test_every_executor_offers_the_same() -> None:
    wanted = {name for name in vars(Executor) if not name.startswith("_")} - {"rank", "n_ranks"}
    functions: list[Callable[..., Any]] = [SerialExecutor, MPIExecutor, PoolExecutor]
    for kind in functions:
        assert wanted <= set(dir(kind)) | {"local_rank", "n_local_ranks", "is_root"}


def test_serial_counts_its_time_and_lets_errors_through() -> None:
    def compute(item: int) -> int:
        if item == 3:
            raise ValueError("no such luck")
        return item

    taken: list[int] = []
    with pytest.raises(ValueError, match="no such luck"):
        SerialExecutor().run_task(Task([1, 2, 3, 4], compute, lambda item, _: taken.append(item)))
    assert taken == [1, 2]  # what came before is recorded, nothing comes after

    def full(item: int, result: int) -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        SerialExecutor().run_task(Task([1, 2], lambda item: item, full))
    (share,) = SerialExecutor().run_task(Task([], compute, lambda item, _: taken.append(item)))
    assert (share.n_items, share.busy, share.waiting, share.idle) == (0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("heartbeat", "expected"), [(-1.0, ["1", "take", "beat", "2", "take", "beat"]), (1e9, ["1", "take", "2", "take"])]
)
def test_what_is_behind_a_slow_item_is_on_disk_before_the_next(
    monkeypatch: pytest.MonkeyPatch, heartbeat: float, expected: list[str]
) -> None:
    monkeypatch.setattr("landscape.parallel.executor.HEARTBEAT", heartbeat)
    did: list[str] = []
    compute, take = (lambda item: did.append(str(item))), (lambda *_: did.append("take"))
    SerialExecutor().run_task(Task([1, 2], compute, take, heartbeat=lambda: did.append("beat")))
    assert did == expected


def test_what_interrupts_between_two_steps_ends_them_as_within_one() -> None:
    ended: list[str] = []

    def steps() -> Any:
        try:
            yield 1
        except KeyboardInterrupt:
            ended.append("saved")
            raise KeyboardInterrupt("2 of 3 points") from None

    class Interrupting:
        def __init__(self) -> None:
            self._steps = steps()
            self.throw = self._steps.throw

        def __next__(self) -> Any:
            next(self._steps)
            raise KeyboardInterrupt

    between: Any = Interrupting()
    with pytest.raises(KeyboardInterrupt, match="2 of 3 points"):
        exhausted(between)
    assert ended == ["saved"]
