"""The objective: metrics at coordinates of a subspace, measured over a problem's data."""

from __future__ import annotations

from landscape.objective.allocator import free_bytes, out_of_memory, peak_bytes
from landscape.objective.apart import measure_apart
from landscape.objective.calibration import Calibration, agree, calibrate
from landscape.objective.engine import MODES, PRECISIONS, Engine
from landscape.objective.norms import CALIBRATION_BATCH, CALIBRATION_EXAMPLES, POLICIES
from landscape.objective.objective import Measurement, Objective
from landscape.objective.private import trains_otherwise
from landscape.objective.sample import Sample, choose
from landscape.objective.statistics import Estimate

__all__ = [
    "CALIBRATION_BATCH",
    "CALIBRATION_EXAMPLES",
    "MODES",
    "POLICIES",
    "PRECISIONS",
    "Calibration",
    "Engine",
    "Estimate",
    "Measurement",
    "Objective",
    "Sample",
    "agree",
    "calibrate",
    "choose",
    "free_bytes",
    "measure_apart",
    "out_of_memory",
    "peak_bytes",
    "trains_otherwise",
]
