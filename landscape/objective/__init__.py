"""The objective: metrics at coordinates of a subspace, measured over a problem's data."""

from __future__ import annotations

from landscape.objective.apart import measure_apart
from landscape.objective.engine import PRECISIONS, Engine, Measurement, Objective
from landscape.objective.norms import CALIBRATION_BATCH, CALIBRATION_EXAMPLES, POLICIES
from landscape.objective.sample import Sample, choose
from landscape.objective.statistics import Estimate

__all__ = [
    "CALIBRATION_BATCH",
    "CALIBRATION_EXAMPLES",
    "POLICIES",
    "PRECISIONS",
    "Engine",
    "Estimate",
    "Measurement",
    "Objective",
    "Sample",
    "choose",
    "measure_apart",
]
