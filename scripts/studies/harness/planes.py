"""What studies tell of a plane around a network: its basin and its ruggedness, in the words of their tables."""

from __future__ import annotations

import math

from landscape.core.surface import Number, Surface

__all__ = ["AREA", "CONVEX", "MINIMA", "SHARE", "TURNING", "plane_numbers", "told"]

SHARE = "share of the plane within 1 nat (%)"
AREA = "basin area within 1 nat (direction units²)"
CONVEX = "convex share of the plane (%)"
TURNING = "turning points per row or column"
MINIMA = "strict minima"


def plane_numbers(surface: Surface) -> dict[str, float]:
    """Share and area of the basin, convexity, turning points and minima of the training loss of a plane, each by its words.

    As the run that measured it found, which had the losses of single examples. NaN where a surface does not have the number. Turning
    points and minima are comparable between equal grids alone.
    """
    found = surface.numbers
    return {
        SHARE: 100 * told(found.get("basin_share")),
        AREA: math.pi * told(found.get("basin_radius")) ** 2,
        CONVEX: 100 * told(found.get("convexity")),
        TURNING: told(found.get("turning_points")),
        MINIMA: told(found.get("minima")),
    }


def told(number: Number | None) -> float:
    """What a table may say of a number: its value; NaN where there is none, where it is withheld, and where it is only a bound."""
    return number.value if number is not None and not number.bound else math.nan
