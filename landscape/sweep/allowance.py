"""How far two right evaluations of one loss may be apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

__all__ = ["UNIT_ROUNDOFF", "allowed_relative", "mean_deviation"]

UNIT_ROUNDOFF = {torch.float64: 2.0**-53, torch.float32: 2.0**-24, torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8}
_SAFETY = 4.0
_OTHER = 32  # operations besides the products: norms, activations, the loss itself, each a rounding or two by output
_DEVIATIONS = 4.0


def allowed_relative(weights: Mapping[str, Tensor], types: Sequence[torch.dtype]) -> float:
    """The largest relative difference of two losses that rounding explains, from the precision and the depth of summation.

    An output of a layer is a sum of K products, K its fan-in. Each of the K additions rounds by a relative u/2 on average, with a sign
    as good as random, so that the sum is off by about √K·u (Higham and Mary 2019, SIAM J. Sci. Comput. 41(5)). Layers round
    independently of each other, so their squares add up: √(Σ K_l)·u over a network. Two evaluations in another order differ by
    √2 times as much, and 4 times that is what is allowed: 4·√2·√(32 + Σ K_l)·u, K_l being a weight's entries for each output. That the
    roundings of different examples average out in their mean is left as a margin, because those of the weights do not.

    A network may magnify rounding, near a minimum above all, where the loss is the small difference of large outputs. How much one
    does is measured then (`mean_deviation`).

    Args:
        weights: parameters by name.
        types: those computed in; the coarsest counts.

    >>> f"{allowed_relative({'weight': torch.zeros(10, 64)}, [torch.float32]):.1e}"
    '3.3e-06'
    """
    depth = sum(tensor.numel() / len(tensor) for tensor in weights.values() if tensor.dim() > 1 and len(tensor))
    return _SAFETY * math.sqrt(2 * (_OTHER + depth)) * max(UNIT_ROUNDOFF.get(kind, 2.0**-24) for kind in types)


def mean_deviation(batches: Sequence[tuple[float, float]], exact: Sequence[tuple[float, float]]) -> float:
    """How far rounding moves a loss, from batches of the same examples evaluated in the type computed in and in float64.

    Σ_b |L_b − L_b*| / Σ_b w_b with the sums and weights of batch b. No cancellation between batches makes it small by accident, and four
    times as much is allowed.
    """
    weight = math.fsum(w for _, w in exact)
    moved = math.fsum(abs(a - b) for (a, _), (b, _) in zip(batches, exact, strict=True))
    return _DEVIATIONS * moved / weight if weight and math.isfinite(moved) else 0.0
