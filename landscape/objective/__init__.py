"""The objective: metrics at coordinates of a subspace, measured over a problem's data."""

from __future__ import annotations

from landscape.objective.allocator import free_bytes, out_of_memory, peak_bytes
from landscape.objective.calibration import Calibration, agree, calibrate
from landscape.objective.conversion import main_type
from landscape.objective.engine import MODES, PRECISIONS, Engine
from landscape.objective.norms import (
    POLICIES,
    STATISTICS,
    calibration_spans,
    describe_calibration,
    recalibrated_layers,
    statistics_layers,
)
from landscape.objective.objective import Measurement, Objective
from landscape.objective.private import has_images, trains_otherwise
from landscape.objective.sample import Sample, choose
from landscape.objective.statistics import SMALLEST_LOOK, Estimate, wilson
from landscape.objective.variances import Variances

__all__ = [
    "MODES",
    "POLICIES",
    "PRECISIONS",
    "SMALLEST_LOOK",
    "STATISTICS",
    "Calibration",
    "Engine",
    "Estimate",
    "Measurement",
    "Objective",
    "Sample",
    "Variances",
    "agree",
    "calibrate",
    "calibration_spans",
    "choose",
    "describe_calibration",
    "free_bytes",
    "has_images",
    "main_type",
    "out_of_memory",
    "peak_bytes",
    "recalibrated_layers",
    "statistics_layers",
    "trains_otherwise",
    "wilson",
]
