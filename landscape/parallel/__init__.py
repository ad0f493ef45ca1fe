"""Executors: who computes the points. One process, the ranks of an MPI job, or a pool of processes that the user made.

A pool's processes wait for what this process hands out (see `pool`). Of an MPI job rank 0 hands items out as ranks ask for more, and
computes itself. While it is inside a point, somebody has to answer the others:

- It could answer between its own points: free of cost, but every other rank then waits up to a whole point of rank 0.
- The others could help themselves from a counter in rank 0's memory (one-sided MPI). Under MPICH that counter stands still while
  rank 0 computes, under Open MPI it does not: a design that is good under one of two MPIs is none.
- A thread on rank 0 can answer, and fights the computing thread for the interpreter. Its answers take some milliseconds.

The third it is, with its delay hidden: a rank is handed its next items before it has finished those it has (see `Schedule`). The
thread is also what writes the file and watches over the ranks, which has to go on while rank 0 computes in any case. What each of
the three costs is measured by scripts/benchmarks, and its results tell.
"""

from landscape.parallel.executor import Call, Executor, SerialExecutor, Share, Steps, Task, exhausted, usable_cores
from landscape.parallel.launch import detect_executor, detect_rank
from landscape.parallel.mpi import MPIExecutor
from landscape.parallel.pool import PoolExecutor
from landscape.parallel.remote_errors import without_tracebacks
from landscape.parallel.schedule import Schedule

__all__ = [
    "Call",
    "Executor",
    "MPIExecutor",
    "PoolExecutor",
    "Schedule",
    "SerialExecutor",
    "Share",
    "Steps",
    "Task",
    "detect_executor",
    "detect_rank",
    "exhausted",
    "usable_cores",
    "without_tracebacks",
]
