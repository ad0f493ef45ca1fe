"""The interval of a fraction: of examples that are right or wrong."""

from __future__ import annotations

import math

__all__ = ["wilson"]

_NORMAL_95 = 1.959963984540054  # the 97.5 % quantile of the normal distribution


def wilson(share: float, n: float, population: int, drawn: int | None = None) -> tuple[float, float]:
    """The 95 % interval of a fraction that is `share` among n of a population's examples drawn at random (Wilson 1927).

    The true fraction P is in it where (share − P)² ≤ z² P (1 − P) / m with m = n (N − 1) / (N − n), the variance of a share drawn
    without replacement, and z = 1.96; so it has a width at 0 and 1 too, and none where all examples were used.

    Args:
        share: from 0 to 1; NaN and others have no interval.
        n: how many examples the share is as good as.
        population: N.
        drawn: how many were drawn, where that is not n.

    >>> [round(end, 4) for end in wilson(1.0, 500, 50_000)]
    [0.9925, 1.0]
    """
    drawn = int(n) if drawn is None else drawn
    if not 0 <= share <= 1:
        return math.nan, math.nan
    if drawn >= population:
        return share, share
    m = n * (population - 1) / (population - drawn)
    factor = _NORMAL_95**2 / m
    middle, half = share + factor / 2, math.sqrt(factor * (share * (1 - share) + factor / 4))
    return max(0.0, (middle - half) / (1 + factor)), min(1.0, (middle + half) / (1 + factor))
