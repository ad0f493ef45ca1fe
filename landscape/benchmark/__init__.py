"""The benchmark: points per second against the baselines, and against what arithmetic allows."""

from __future__ import annotations

from landscape.benchmark.bench import run
from landscape.benchmark.memory import measure as measure_memory
from landscape.benchmark.report import Report
from landscape.benchmark.scaling import Scaling, scale

__all__ = ["Report", "Scaling", "measure_memory", "run", "scale"]
