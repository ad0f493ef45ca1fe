"""Whether two values agree, and how far apart they are. The one place for it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["agree", "apart"]


def agree(value: Any, other: Any, room: Any) -> Any:
    """Whether two values are equal, both NaN, or finite and no further apart than there is room; to infinity there is no end of room.

    Of arrays element by element.
    """
    with np.errstate(invalid="ignore"):
        near = np.isfinite(room) & (np.abs(np.subtract(value, other)) <= room)
    return np.equal(value, other) | (np.isnan(value) & np.isnan(other)) | near


def apart(value: float, other: float) -> float:
    """The relative difference of two values: 0 where equal or both no number, infinite where one alone is finite."""
    if value == other or (math.isnan(value) and math.isnan(other)):
        return 0.0
    gap = abs(value - other) / max(abs(value), abs(other), 1e-300)
    return gap if math.isfinite(gap) else math.inf
