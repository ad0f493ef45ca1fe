"""Launchers whose MPI is missing, or is another one than ours."""

from __future__ import annotations

import os
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest

from landscape.parallel import SerialExecutor, detect_executor

LINE = "line small_problems:net a.pt --x -1:1:3 -o out.h5"
VARIABLES = {
    "PMI_SIZE": "MPICH's mpiexec",
    "OMPI_COMM_WORLD_SIZE": "Open MPI's mpirun",
    "SLURM_STEP_NUM_TASKS": "srun",
}


@pytest.mark.parametrize("variable", VARIABLES)
def test_launcher_without_mpi(refuse, monkeypatch, variable):
    monkeypatch.setenv(variable, "3")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    refuse(LINE, VARIABLES[variable], "3 ranks", "pip install", "torch-landscape[mpi]")


@pytest.mark.parametrize("variable", VARIABLES)
def test_launcher_of_another_mpi(refuse, monkeypatch, variable):
    world = SimpleNamespace(Get_size=lambda: 1)
    fake = ModuleType("mpi4py")
    fake.MPI = SimpleNamespace(COMM_WORLD=world, Get_library_version=lambda: "Strange MPI 1.0\nand more\0")
    monkeypatch.setitem(sys.modules, "mpi4py", fake)
    monkeypatch.setenv(variable, "2")
    refuse(LINE, VARIABLES[variable], "2 ranks", "sees one", "Strange MPI 1.0", "mpiexec of that MPI")


def test_only_the_first_rank_complains(run, monkeypatch):
    monkeypatch.setenv("PMI_SIZE", "3")
    monkeypatch.setenv("PMI_RANK", "2")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    outcome = run(LINE)
    assert (outcome.code, outcome.out, outcome.err) == (2, "", "")


@pytest.mark.parametrize("text", ["²", "two", "", " ", "-3", "1.5", "0x2", "9" * 5000])
@pytest.mark.parametrize("variable", ["PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS", "PMI_RANK", "SLURM_PROCID"])
def test_what_is_no_number_in_the_environment_is_none(here, run, monkeypatch, variable, text):
    monkeypatch.setenv(variable, text)
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    assert run("show plane.h5").code == 0
    assert run("show gone.h5").err.startswith("landscape: gone.h5")  # said by this process, as it is no rank
    assert type(detect_executor()) is SerialExecutor


def test_one_rank_needs_no_mpi(run, monkeypatch):
    monkeypatch.setenv("PMI_SIZE", "1")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    assert run(LINE).code == 0


def test_a_real_mpi_that_sees_one_rank(here, one_line):
    """The environment of Open MPI's mpirun, which the MPICH of the wheel does not listen to."""
    probe = [sys.executable, "-c", "from mpi4py import MPI; print(MPI.Get_library_version())"]
    found = subprocess.run(probe, capture_output=True, text=True, timeout=120)
    if found.returncode or "MPICH" not in found.stdout:
        pytest.skip("no MPICH here")
    words = [sys.executable, "-c", "import sys; from landscape.cli import main; sys.exit(main())", *LINE.split()]
    more = {
        "OMPI_COMM_WORLD_SIZE": "2",
        "OMPI_COMM_WORLD_RANK": "0",
        "PYTHONPATH": os.pathsep.join(sys.path),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **more}, timeout=120)
    assert (done.returncode, done.stdout) == (2, "")
    one_line(done.stderr, "Open MPI's mpirun", "2 ranks", "MPICH")
    assert not (here / "out.h5").exists()
