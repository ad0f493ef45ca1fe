"""The noise of values and of what is computed from them: rounding, and the sampling of examples."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from landscape.core.surface import Surface
from landscape.measures.values import measured

__all__ = [
    "ORIGIN",
    "SIGNIFICANT",
    "UNIT_ROUNDOFF",
    "Noise",
    "Paired",
    "Rounding",
    "Unknown",
    "noise_of",
    "noise_without_losses",
    "rounding_noise",
]

UNIT_ROUNDOFF = {"fp64": 2.0**-53, "fp32": 2.0**-24, "tf32": 2.0**-11, "bf16": 2.0**-8}

SIGNIFICANT = 3.0  # how many of its own noise a quantity has to exceed before its sign is believed
ORIGIN = -1  # stands for the model at the origin among the numbers of nodes

_MOST_AT_ONCE = 2**22  # losses of examples that are looked at together


class Noise(Protocol):
    """How far values may be off together: the standard deviation of every linear combination of them."""

    @property
    def withheld(self) -> str:
        """Why it is not known; empty where it is."""

    def compared(self, values: np.ndarray, origin: float) -> tuple[np.ndarray, float]:
        """What to compare instead of a surface's values and the origin's: means over examples that all of them share."""

    def of(self, coefficients: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        """The standard deviation of Σ_k c_k L_k over the last axis of coefficients and nodes `(..., k)`; NaN where a value is not finite.

        Nodes are numbers in grid order, x first; `ORIGIN` is the model at the origin, evaluated independently.
        """


class Rounding:
    """Values rounded each for itself, over the same examples: of Σ c_k L_k it is √(Σ (c_k σ_k)²), σ as in `rounding_noise`."""

    withheld = ""

    def __init__(self, surface: Surface, key: str) -> None:
        self._sigma = noise_of(surface, np.append(measured(surface, key)[0].ravel(), surface.origin(key)))

    def compared(self, values: np.ndarray, origin: float) -> tuple[np.ndarray, float]:
        """See `Noise.compared`: they are those already."""
        return values, origin

    def of(self, coefficients: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        """See `Noise.of`."""
        return np.asarray(np.sqrt(((coefficients * self._sigma[nodes]) ** 2).sum(axis=-1)))


class Paired:
    """Values over one random sample of examples, the same at every node, and rounded.

    The error of Σ c_k L_k is that of the mean of Σ c_k l_ik over the examples i: its variance is the variance of this combination
    over the examples times (1 − n/N)/n, for n of N examples. What they have in common cancels. What they have not does not: errors of
    sampling are all but equal at neighbours of a fine grid, and all but independent across a plane.

    Args:
        surface: a line of one draw, or a plane.
        key: its values.
        losses: `(n_rows, m)` the losses l_ik of the same m examples in each row; for ratios Σs/Σw linear to first order, l_ik =
            R_k + (s_ik − R_k w_ik)/w̄_k. They are some of the n at random, or all.
        rows: `(n_nodes + 1,)` the row of each node in grid order, and of the model at the origin.
        factor: 1/n − 1/N, where n of N examples are what is compared.
        replaced: whether the means of these losses are compared, because the surface's values are means over different examples.
    """

    withheld = ""

    def __init__(
        self, surface: Surface, key: str, losses: np.ndarray, rows: np.ndarray, factor: float, replaced: bool = False
    ) -> None:
        self._rounding = Rounding(surface, key)
        self._losses, self._rows, self._factor, self._replaced = losses, rows, factor, replaced

    @property
    def n_examples(self) -> int:
        """How many examples the errors are estimated from."""
        return int(self._losses.shape[1])

    def compared(self, values: np.ndarray, origin: float) -> tuple[np.ndarray, float]:
        """See `Noise.compared`."""
        if not self._replaced:
            return values, origin
        means = np.array([self._losses[row].mean(dtype=np.float64) for row in self._rows])
        return np.where(np.isnan(values), np.nan, means[:-1].reshape(values.shape)), float(means[-1])

    def of(self, coefficients: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        """See `Noise.of`."""
        rounding = self._rounding.of(coefficients, nodes)
        shape, n_terms = rounding.shape, nodes.shape[-1]
        flat, chosen = np.broadcast_to(coefficients, nodes.shape).reshape(-1, n_terms), self._rows[nodes].reshape(-1, n_terms)
        variance = np.empty(len(flat))
        step = max(1, _MOST_AT_ONCE // (n_terms * self._losses.shape[1]))
        for start in range(0, len(flat), step):
            part = slice(start, start + step)
            combined = np.einsum("qk,qkm->qm", flat[part], self._losses[chosen[part]], dtype=np.float64)
            with np.errstate(invalid="ignore"):  # ∞ - ∞ where an example's loss is infinite
                variance[part] = combined.var(axis=1, ddof=1)
        return np.asarray(np.hypot(rounding, np.sqrt(self._factor * variance).reshape(shape)))


class Unknown:
    """Values that may be off together in ways that are not known, for this reason."""

    def __init__(self, reason: str) -> None:
        self.withheld = reason

    def compared(self, values: np.ndarray, origin: float) -> tuple[np.ndarray, float]:
        """See `Noise.compared`."""
        return values, origin

    def of(self, coefficients: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        """See `Noise.of`: NaN."""
        return np.full(nodes.shape[:-1], np.nan)


def noise_without_losses(surface: Surface, key: str) -> Noise:
    """What is known of the noise of a surface's values without the losses of single examples, which only the run that measured had.

    Where all examples of the split were used the values are exact on it but for rounding. Sampling examples makes errors that
    surfaces do not tell of: neither are they common to all points, nor independent.
    """
    metric = surface.metric(key)
    data, counts = surface.data.get(metric.split, {}), surface.examples.get(metric.split)
    if surface.attributes.get("source") == "imported":
        return Unknown("the file it was imported from does not say which examples the values are of")
    lost = np.isnan(surface.values[key])  # where the pass ended at a NaN
    used = np.unique(counts[(counts > 0) & ~lost]) if counts is not None else np.zeros(0)
    told = data.get("size", 0)
    size = int(told) if isinstance(told, int | float) and math.isfinite(told) else 0
    if str(data.get("order", "")).startswith("first:"):
        return Unknown("the first examples are no random sample, so that nothing is known of the others")
    if used.size and size and used.min() < size:
        number = f"{used[0]:,}" if used.size == 1 else f"{used[0]:,} to {used[-1]:,}"
        return Unknown(f"from {number} of {size:,} examples; telling it takes their single losses, which only the run had")
    if used.size > 1:
        return Unknown("points used different examples")
    return Rounding(surface, key)


def rounding_noise(surface: Surface, key: str) -> np.ndarray:
    """σ of each value, in the metric's unit, shape of the values: σ(L) = max(u·|L|, r).

    u is the unit roundoff of the precision the points were computed in. Roundings of single examples largely average out in their
    mean, so u·|L| is generous. r is what the same point gave when it was measured twice (the check `repeat_difference`);
    it counts where the arithmetic is not deterministic.

    Surfaces without a stored precision are taken for fp32. A value that is not finite has noise NaN.
    """
    return noise_of(surface, measured(surface, key)[0])


def noise_of(surface: Surface, values: np.ndarray) -> np.ndarray:
    """The σ of `rounding_noise` for these values, were they measured like the surface's own; any shape."""
    roundoff = UNIT_ROUNDOFF.get(str(surface.attributes.get("precision", "fp32")), UNIT_ROUNDOFF["fp32"])
    repeat = abs(float(surface.checks.get("repeat_difference", 0.0)))
    noise = np.fmax(roundoff * np.abs(values), repeat)  # fmax: a repeated point that was NaN says nothing
    return np.where(np.isfinite(values), noise, np.nan)
