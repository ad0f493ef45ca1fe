"""Memory: how much a device has left, the most that was used, and keeping the C library from giving it back too early."""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import sys
from functools import cache
from pathlib import Path

import torch

from landscape.errors import UserCodeError, in_a_line

__all__ = ["free_bytes", "keep_memory", "out_of_memory", "peak_bytes"]

# mallopt's numbers for M_TRIM_THRESHOLD, M_TOP_PAD and M_MMAP_THRESHOLD, and what they are set to
_GLIBC = ((-1, 2**31 - 1), (-2, 256 * 2**20), (-3, 32 * 2**20))


def keep_memory(device: torch.device) -> None:
    """On the CPU, let the C library keep what is freed for the next use instead of giving it back to the system each time.

    A forward pass frees and asks for the same tens of megabytes over and over; the page faults of getting them anew cost a third of
    its time. Only glibc is told so, once for the process, and not where the user's environment tells it otherwise (MALLOC_…).
    """
    if device.type == "cpu" and not any(name.startswith(("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")) for name in os.environ):
        _keep()


@cache
def _keep() -> None:
    if platform.libc_ver()[0] != "glibc":
        return
    library = ctypes.CDLL(None)
    for parameter, value in _GLIBC:
        library.mallopt(parameter, value)


def free_bytes(device: torch.device) -> float:
    """What is free on a device now, in bytes; without a way to know, without limit."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # torch's own, to be had again
        return float(torch.cuda.mem_get_info(device)[0] + unused)
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024 * next(float(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return float("inf")


def peak_bytes(device: torch.device) -> int:
    """The most memory this process used so far: on a GPU torch's own, else what lay in main memory."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def out_of_memory(error: BaseException) -> bool:
    """Whether an error, or its cause in the user's code, says that memory ran out, on a GPU or in torch's CPU allocator."""
    if isinstance(error, UserCodeError) and error.__cause__ is not None:
        return out_of_memory(error.__cause__)
    return isinstance(error, torch.cuda.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and "allocate" in in_a_line(error) and "memory" in in_a_line(error)
    )
