"""Pools of other libraries, each for real: mpi4py.futures under mpiexec, and Dask with processes of its own."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from cases import images
from jobs import MPIEXEC, PATIENCE, environment, needs_mpi

import landscape

needs_dask = pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="distributed is not installed")
AXES = {"x": (-1, 1, 7), "y": (-1, 1, 5)}

# The model is one of the script's own, which the others cannot import. The pool is made by `pooled`; a first run stops where its
# time is over, the second goes on, and a third is serial.
PROGRAM = f"""
import sys
import numpy as np
import cases
import landscape
from torch import nn

class Own(cases.Images):
    pass

def made():
    problem = cases.images()
    own = Own()
    own.load_state_dict(problem.model.state_dict())
    return landscape.Problem(own, nn.CrossEntropyLoss(), problem.data)

def measured(pool, **more):
    return landscape.surface(made(), x={AXES["x"]}, y={AXES["y"]}, threads=1, device="cpu", executor=pool, **more)

def check(pool, n_workers):
    assert measured(pool, to="s.h5", time_limit=0, quiet=True).runs[-1]["points"] == 0
    surface = measured(pool, to="s.h5")
    assert surface.complete
    assert surface.runs[-1]["points"] == 35
    assert surface.runs[-1]["n_ranks"] == n_workers, surface.runs[-1]
    assert surface.checks["passed"] == 1
    serial = measured(None, quiet=True)
    assert np.array_equal(surface.values["train_loss"], serial.values["train_loss"])
    assert surface.numbers == serial.numbers
"""

MPI = """
if __name__ == "__main__":
    from mpi4py.futures import MPIPoolExecutor
    with MPIPoolExecutor() as pool:
        check(pool, 2)
"""

DASK = """
if __name__ == "__main__":
    import os
    from distributed import Client, LocalCluster
    with LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None) as cluster, Client(cluster) as client:
        check(client, 2)
        os.remove("s.h5")
        check(client.get_executor(), 2)
"""


def run(folder: Path, program: str, *launcher: str) -> None:
    (folder / "program.py").write_text(textwrap.dedent(PROGRAM + program))
    done = subprocess.run(
        [*launcher, "program.py"], cwd=folder, env=environment(), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    serial = landscape.surface(images(), **AXES, quiet=True, threads=1, device="cpu")
    found = landscape.read(folder / "s.h5")
    assert np.array_equal(found.values["train_loss"], serial.values["train_loss"])


@needs_mpi
@pytest.mark.slow
def test_ranks_as_a_pool(tmp_path: Path) -> None:
    run(tmp_path, MPI, str(MPIEXEC), "-n", "3", sys.executable, "-m", "mpi4py.futures")


@needs_dask
@pytest.mark.slow
def test_dask_and_its_executor(tmp_path: Path) -> None:
    run(tmp_path, DASK, sys.executable)
