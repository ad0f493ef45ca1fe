"""The words that options take, for the command line to know them without loading what they choose between."""

from __future__ import annotations

__all__ = ["CHECKS", "IGNORABLE", "MODES", "NORMALIZATIONS", "POLICIES", "PRECISIONS"]

NORMALIZATIONS = ("filter", "layer", "weight", "model", "unit-filter", "unit-layer", "none")  # of random directions
IGNORABLE = ("bias", "norm")  # parameters that stay fixed
POLICIES = ("interpolated", "frozen", "recalibrated")  # of running statistics
PRECISIONS = ("fp32", "tf32", "bf16", "fp64")
MODES = ("eager", "compiled", "batched")  # of the engine
CHECKS = ("raise", "warn")  # what a failed self-check does
