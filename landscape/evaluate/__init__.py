"""The fast engine: metrics at coordinates of a subspace, measured over a problem's data.

Belongs here: setting weights, feeding examples, summing metrics and their errors, batch-norm statistics. Does not: which points are
measured and who measures them (`sweep`, `parallel`), nor anything that the self-check trusts (`reference`).
"""

from __future__ import annotations

from landscape.evaluate.batch_norm import (
    STATISTICS,
    calibration_spans,
    describe_calibration,
    recalibrated_layers,
    statistics_layers,
)
from landscape.evaluate.engine import Engine
from landscape.evaluate.memory import free_bytes, out_of_memory, peak_bytes
from landscape.evaluate.model_copy import has_images, trains_otherwise
from landscape.evaluate.objective import Measurement, Objective
from landscape.evaluate.precision import main_type
from landscape.evaluate.running_variances import Variances
from landscape.evaluate.sample import Sample, choose
from landscape.evaluate.statistics import SMALLEST_LOOK, Estimate

__all__ = [
    "SMALLEST_LOOK",
    "STATISTICS",
    "Engine",
    "Estimate",
    "Measurement",
    "Objective",
    "Sample",
    "Variances",
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
]
