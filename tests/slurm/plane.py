"""The plane that every test of this folder measures: a small problem in a folder, the words for it, what one process finds."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from cluster import PATIENCE, search_path

import landscape
from landscape.core.surface import Surface

TESTS = Path(__file__).resolve().parents[1]
MPIEXEC = Path(sys.executable).with_name("mpiexec")
OPTIONS = "--x -1:1:9 --y -1:0.5:7 --device cpu"
needs_mpi = pytest.mark.skipif(
    not MPIEXEC.exists(), reason=f"no mpiexec beside {sys.executable}; pip install 'torch-landscape[mpi]'"
)

# Leaves an empty file for each process that made the problem, and a letter in `calls` for each point begun.
PROBLEM = """
import os
import time

import small_problems
from landscape import Problem
from torch.nn.functional import cross_entropy


def loss(model, batch):
    with open("calls", "a") as calls:
        calls.write(".")
    time.sleep(float(os.environ.get("SECONDS_A_POINT", "0")))
    return cross_entropy(model(batch[0]), batch[1], reduction="none")


def make():
    where = [os.environ.get(name, "none") for name in ("SLURMD_NODENAME", "SLURM_ARRAY_TASK_ID", "PMI_RANK", "SLURM_GPUS_ON_NODE")]
    open("-".join(["ran", *where]), "w").close()
    return Problem(small_problems.make_net(), loss, {"train": small_problems.make_data()})
"""


def variables(**more: str) -> dict[str, str]:
    """The environment for the plane: what is imported, and the variables at the top of a recipe."""
    return {
        "PYTHONPATH": os.pathsep.join([str(TESTS / "misuse"), str(TESTS.parent)]), "OMP_NUM_THREADS": "1",
        "PROBLEM": "mine:make", "CHECKPOINT": "a.pt", "OUTPUT": "out.h5", "OPTIONS": OPTIONS, **more,
    }  # fmt: skip


def small_problems() -> ModuleType:
    """The problems of tests/misuse, where jobs find them too."""
    sys.path.insert(0, str(TESTS / "misuse"))
    try:
        return importlib.import_module("small_problems")
    finally:
        sys.path.remove(str(TESTS / "misuse"))


def prepare(folder: Path) -> Path:
    """Put the problem and a checkpoint into a folder."""
    (folder / "mine.py").write_text(PROBLEM)
    torch.save(small_problems().make_net(1).state_dict(), folder / "a.pt")
    return folder


def measure(folder: Path) -> Surface:
    """What one process measures, in a folder of its own."""
    prepare(folder)
    words = f"landscape surface mine:make a.pt {OPTIONS} --threads 1 -o out.h5 --quiet".split()
    subprocess.run(words, cwd=folder, env={**os.environ, **variables(), "PATH": search_path()}, check=True, timeout=PATIENCE)
    return landscape.read(folder / "out.h5")


def assert_equal(found: Surface, expected: Surface) -> None:
    """That a surface is complete and has the same bits."""
    assert found.complete
    assert set(found.values) == set(expected.values)
    for key, values in expected.values.items():
        assert np.array_equal(found.values[key], values), key
        for name, errors in expected.errors(key).items():
            assert np.array_equal(found.errors(key)[name], errors), name
    assert found.checks["passed"] == 1


def assert_begun(folder: Path, expected: Surface, at_least: int = 1) -> None:
    """That a file is there, valid, and holds some of the points but not all."""
    surface = landscape.read(folder / "out.h5")
    done = surface.done["train_loss"]
    assert at_least <= done.sum() < surface.grid.n_points
    assert np.array_equal(surface.values["train_loss"][done], expected.values["train_loss"][done])
    assert sorted(path.name for path in folder.glob("*out.h5*")) == ["out.h5"]


def n_begun(folder: Path) -> int:
    """The points begun so far, those of the checks among them."""
    calls = folder / "calls"
    return calls.stat().st_size if calls.exists() else 0
