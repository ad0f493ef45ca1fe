"""How this process was started: alone, or as a rank of an MPI job."""

from __future__ import annotations

import functools
import os
import sys
import warnings
from collections.abc import Mapping

from landscape.errors import InputError, in_a_line
from landscape.parallel.executor import Executor, SerialExecutor
from landscape.parallel.mpi import MPIExecutor

__all__ = ["detect_executor", "detect_rank"]

# What a launcher tells its processes: the variable that holds the number of ranks, and the launcher's name.
_LAUNCHERS = {
    "OMPI_COMM_WORLD_SIZE": "Open MPI's mpirun",
    "PMI_SIZE": "MPICH's mpiexec",
    "MV2_COMM_WORLD_SIZE": "MVAPICH's mpirun",
    "SLURM_STEP_NUM_TASKS": "srun",
}
_RANKS = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "MV2_COMM_WORLD_RANK", "SLURM_PROCID")


def detect_executor(environment: Mapping[str, str] | None = None) -> Executor:
    """The executor for how this process was started: `MPIExecutor` under mpirun or srun with several ranks, else `SerialExecutor`.

    Under `python -m mpi4py.futures` it is one process. Outside a launcher MPI is never imported.

    Raises:
        InputError: when the launcher started several ranks but MPI is missing or sees only one.
    """
    environment = os.environ if environment is None else environment
    variable = next((name for name in _LAUNCHERS if _number(environment, name) > 1), None)
    shared = getattr(sys.modules.get("mpi4py.futures._core"), "SharedPool", None)  # then all ranks but this one serve that pool
    if variable is None or shared is not None:
        return SerialExecutor()
    launcher, n_ranks = _LAUNCHERS[variable], _number(environment, variable)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of a launcher that does not fit; we say so ourselves, below
            from mpi4py import MPI
    except Exception as error:
        raise InputError(
            f"{launcher} started {n_ranks} ranks, but MPI cannot be used ({in_a_line(error)}); "
            "pip install 'torch-landscape[mpi]', or build mpi4py for the MPI of this launcher"
        ) from error
    if MPI.COMM_WORLD.Get_size() == 1:
        library = MPI.Get_library_version().splitlines()[0].strip().strip("\0")
        fix = "start with the mpiexec of that MPI, or rebuild mpi4py for the launcher's"
        if launcher == "srun":  # it serves any MPI, in the dialect it is told to
            fix = f"try srun --mpi={'pmix' if 'Open MPI' in library else 'pmi2'}, or start with the mpiexec of that MPI"
        raise InputError(
            f"{launcher} started {n_ranks} ranks, but MPI sees one: mpi4py uses {library}, which does not understand the launcher; {fix}"
        )
    return _world()


def detect_rank(environment: Mapping[str, str] | None = None) -> int | None:
    """The rank a launcher gave this process, before or without MPI; None outside a launcher."""
    environment = os.environ if environment is None else environment
    return next((number for name in _RANKS if (number := _number(environment, name)) >= 0), None)


def _number(environment: Mapping[str, str], name: str) -> int:
    """A whole number in the environment; -1 where there is none."""
    try:
        return int(environment[name])  # unlike what str.isdigit takes for digits, such as ²
    except (KeyError, ValueError):
        return -1


@functools.cache
def _world() -> MPIExecutor:
    from mpi4py import MPI

    return MPIExecutor(MPI.COMM_WORLD)
