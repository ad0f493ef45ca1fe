"""What machine a measurement was made on, and with which versions."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import torch

from landscape.sweep.version import package_version, source_commit

__all__ = ["environment_of"]


def environment_of(device: torch.device) -> dict[str, Any]:
    """The machine and the versions, and how busy it was before."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {
        "processor": _processor(),
        "cores": cores,
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan"),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "package_version": package_version(),
        "commit": source_commit(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
