"""The noise of a value where all points used the same examples, and of what is computed from values."""

from __future__ import annotations

import numpy as np

from landscape.measures.values import measured
from landscape.surface import Surface

__all__ = ["SIGNIFICANT", "UNIT_ROUNDOFF", "noise_of", "rounding_noise", "steps"]

UNIT_ROUNDOFF = {"fp64": 2.0**-53, "fp32": 2.0**-24, "tf32": 2.0**-11, "bf16": 2.0**-8}

SIGNIFICANT = 3.0  # how many of its own noise a quantity has to exceed before its sign is believed


def rounding_noise(surface: Surface, key: str) -> np.ndarray:
    """σ of each value, in the metric's unit, shape of the values: σ(L) = max(u·|L|, r).

    Where every point used the same examples, the error of sampling them is nearly common to all points: it shifts the surface as a
    whole and cancels in differences. What differs from point to point is the rounding of the arithmetic, with u the unit
    roundoff of the precision the points were computed in. Roundings of single examples largely average out in their
    mean, so u·|L| is generous. r is what the same point gave when it was measured twice (the check `repeat_difference`);
    it counts where the arithmetic is not deterministic.

    It travels linearly: of Σ c_i L_i it is √(Σ (c_i σ_i)²), for a difference √(σ_i² + σ_j²). Surfaces without a stored precision
    are taken for fp32. A value that is not finite has noise NaN.
    """
    return noise_of(surface, measured(surface, key)[0])


def noise_of(surface: Surface, values: np.ndarray) -> np.ndarray:
    """The σ of `rounding_noise` for these values, were they measured like the surface's own; any shape."""
    roundoff = UNIT_ROUNDOFF.get(str(surface.attributes.get("precision", "fp32")), UNIT_ROUNDOFF["fp32"])
    repeat = abs(float(surface.checks.get("repeat_difference", 0.0)))
    noise = np.fmax(roundoff * np.abs(values), repeat)  # fmax: a repeated point that was NaN says nothing
    return np.where(np.isfinite(values), noise, np.nan)


def steps(values: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Signs of the consecutive differences along the first axis, `(n-1, ...)`: 0 where within 3 of their noise or not finite.

    >>> steps(np.array([0.0, 1.0, 1.1, 0.0, np.nan]), np.full(5, 0.1)).tolist()
    [1, 0, -1, 0]
    """
    finite = np.where(np.isfinite(values), values, np.nan)
    difference = np.diff(finite, axis=0)
    beyond = np.abs(difference) > SIGNIFICANT * np.hypot(noise[1:], noise[:-1])
    return np.where(beyond, np.sign(np.where(beyond, difference, 0.0)), 0.0).astype(np.int64)
