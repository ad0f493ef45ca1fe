"""All numbers of a surface at once."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from landscape.core.surface import Number, Surface
from landscape.measures.basin import basin_radius, basin_radius_weights, basin_share
from landscape.measures.curvature import convexity
from landscape.measures.extrema import minima, minimum
from landscape.measures.interpolation import alpha_half, bump
from landscape.measures.noise import Noise, noise_without_losses
from landscape.measures.turning import turning_points, turning_points_between
from landscape.measures.values import draws

__all__ = ["measure"]


def measure(
    surface: Surface, basin_level: float | None = None, key: str | None = None, noise: Sequence[Noise] | None = None
) -> dict[str, Number]:
    """Every number that is defined for this surface, by its name, each with its unit.

    Of a line of several draws each draw is measured by itself, and a number is the median over the draws; numbers that some
    draw does not have are left out. Partial surfaces give what their measured points tell.

    Numbers that count signs (turning points, minima, convexity, whether there is a lower place than the origin) need to know how far
    neighbouring values may be off together. For a random sample of the examples that takes the losses of single examples, which only
    the run itself has: it stores what it found with the surface, and of a surface that was read these numbers are withheld here.

    Args:
        surface: a line, several draws of a line, or a plane; finished or not.
        basin_level: how far above the origin's loss the basin reaches, in the metric's unit; the surface's own by default.
        key: the values to measure, `<split>_<metric>`, lower is better; the training loss without one.
        noise: of the values of each draw; without it, what is known from the surface alone.

    Raises:
        InputError: when the surface has no such metric, or the level is not a positive number.
    """
    key, parts = surface.metric(key).key, draws(surface)
    known = [noise_without_losses(draw, key) for draw in parts] if noise is None else noise
    with np.errstate(all="ignore"):  # losses of 1e300 and of 1e-310 are legitimate: what overflows is infinite, and no number
        single = [_measure_draw(draw, basin_level, key, own) for draw, own in zip(parts, known, strict=True)]
        names = [name for name in single[0] if all(name in numbers for numbers in single)]
        return {name: _median([numbers[name] for numbers in single]) for name in names}


def _measure_draw(surface: Surface, basin_level: float | None, key: str, noise: Noise) -> dict[str, Number]:
    radius = basin_radius(surface, basin_level, key)
    numbers = {
        "basin_radius": radius,
        "basin_radius_weights": basin_radius_weights(surface, radius),
        "basin_share": basin_share(surface, basin_level, key),
        "bump": bump(surface, key),
        "alpha_half": alpha_half(surface, key),
        "turning_points_between": turning_points_between(surface, key, noise),
        "convexity": convexity(surface, key, noise),
        "turning_points": turning_points(surface, key, noise),
        "minima": minima(surface, key, noise),
        **minimum(surface, key, noise),
    }
    return {name: number for name, number in numbers.items() if number is not None}


def _median(numbers: list[Number]) -> Number:
    """The median of numbers each of which may lie anywhere between its bounds; itself a bound, or withheld, where those matter."""
    if len(numbers) == 1:
        return numbers[0]
    low, high = (float(np.median([ends[side] for ends in map(_ends, numbers)])) for side in (0, 1))
    unit = numbers[0].unit
    if low == high:
        return Number(low, unit)
    withheld = [number.withheld for number in numbers if number.withheld]
    if withheld:
        return Number(math.nan, unit, withheld=f"of {len(withheld)} of {len(numbers)} draws: {withheld[0]}")
    if math.isinf(high):
        return Number(low, unit, "≥")
    return Number(high, unit, "<", note=next(number.note for number in numbers if number.bound == "<"))


def _ends(number: Number) -> tuple[float, float]:
    """The least and the largest that a number may be: bounds are of lengths and counts, which are not negative."""
    if number.withheld:
        return -math.inf, math.inf
    return {"": (number.value, number.value), "≥": (number.value, math.inf), "<": (0.0, number.value)}[number.bound]
