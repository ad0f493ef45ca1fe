"""What studies tell of a plane around a network: its basin and its ruggedness, in the words of their tables."""

from __future__ import annotations

import math

from landscape.measures import measure
from landscape.surface import Surface

__all__ = ["AREA", "CONVEX", "MINIMA", "SHARE", "TURNING", "plane_numbers"]

SHARE = "share of the plane within 1 nat (%)"
AREA = "basin area within 1 nat (direction units²)"
CONVEX = "convex share of the plane (%)"
TURNING = "turning points per row or column"
MINIMA = "strict minima"


def plane_numbers(surface: Surface) -> dict[str, float]:
    """Share and area of the basin, convexity, turning points and minima of the training loss of a plane, each by its words.

    NaN where a surface does not have the number. Turning points and minima are comparable between equal grids alone.
    """
    found = {name: number.value for name, number in measure(surface).items()}
    return {
        SHARE: 100 * found.get("basin_share", math.nan),
        AREA: math.pi * found.get("basin_radius", math.nan) ** 2,
        CONVEX: 100 * found.get("convexity", math.nan),
        TURNING: found.get("turning_points", math.nan),
        MINIMA: found.get("minima", math.nan),
    }
