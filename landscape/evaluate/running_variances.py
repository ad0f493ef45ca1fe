"""Running variances in a subspace: where they are variances, and where a line leads to negative ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from landscape.core.subspace import Subspace

__all__ = ["Variances"]

_NAME = "running_var"
# Of the numbers added up: float64 adds three to 4e-16, and a model whose own variance is exactly 0 lies on the safe side.
_ROUNDING = 1e-12


class Variances:
    """The running variances v = v_0 + Σ c_k d_k of a subspace whose directions hold them, entry by entry in float64.

    Between models v is linear, and outside of the models it may turn negative, where nothing is normalized by it any more. What
    counts is the variance itself: torch computes with v + eps, so that it still finds numbers in the strip -eps < v < 0, but they are no
    normalization by a variance. A variance of exactly 0, of a channel that never varied, is a model's own and fine.
    """

    def __init__(self, subspace: Subspace) -> None:
        held = {name for direction in subspace.directions for name in direction.buffers}
        self._names = [name for name in subspace.origin if name in held and name.rpartition(".")[2] == _NAME]
        origins = [subspace.origin[name].detach().cpu().double().numpy().ravel() for name in self._names]
        self._owner = np.repeat(np.arange(len(origins)), [len(origin) for origin in origins])
        self._origin = np.concatenate([*origins, np.zeros(0)])
        self._slopes = np.zeros((len(self._origin), len(subspace.directions)))
        for k, direction in enumerate(subspace.directions):
            for i, name in enumerate(self._names):
                if name in direction.buffers:
                    self._slopes[self._owner == i, k] = direction.buffers[name].detach().cpu().double().numpy().ravel()

    def negative_at(self, coordinates: Sequence[float]) -> list[str]:
        """The buffers that hold a negative variance at some coordinates, `(n_directions,)`."""
        negative = self._at(coordinates) < 0
        return [self._names[i] for i in np.unique(self._owner[negative])]

    def describe_negative(self, axes: Mapping[str, np.ndarray]) -> str:
        """Where within a rectangle of axes running variances are negative, by layer and valid interval; empty where none is.

        Over a rectangle a linear function is least at a corner, so that the corners tell; a line has two.

        Args:
            axes: name → coordinates, one for each direction.
        """
        if not self._names:
            return ""
        extents = [(float(values.min()), float(values.max())) for values in axes.values()]
        corners = [tuple(extent[(corner >> k) & 1] for k, extent in enumerate(extents)) for corner in range(2 ** len(extents))]
        least, corner = min((float(self._at(corner).min(initial=0.0)), corner) for corner in corners)
        if least >= 0:
            return ""
        told = [self._along(k, axis, [other for other in axes if other != axis]) for k, axis in enumerate(axes)]
        layer = _layer(self._names[self._owner[self._at(corner).argmin()]])
        place = f"at {', '.join(axes)} = {', '.join(f'{c:g}' for c in corner)} that of {layer} is {least:.3g}"
        return "; ".join([*filter(None, told), *([place] if len(axes) > 1 or not any(told) else [])])

    def interval(self, k: int) -> tuple[float, float]:
        """From where to where along direction k, from the origin, no variance is negative: infinite where none ever is."""
        (low, _), (high, _) = self._bounds(k)
        return low, high

    def _at(self, coordinates: Sequence[float]) -> np.ndarray:
        """Every entry at some coordinates, rounding errors around 0 taken for 0."""
        moves = self._slopes * np.asarray(coordinates, dtype=np.float64)
        values = self._origin + moves.sum(axis=1)
        rounding = _ROUNDING * (np.abs(self._origin) + np.abs(moves).sum(axis=1))
        return np.where(np.abs(values) <= rounding, 0.0, values)

    def _bounds(self, k: int) -> list[tuple[float, str]]:
        """The least and the greatest coordinate along direction k, each with the buffer that sets it."""
        slopes, found = self._slopes[:, k], []
        for sign in (1, -1):  # rising entries are negative below -v_0 / d, falling ones above
            entries = np.flatnonzero(sign * slopes > 0)
            roots = sign * -self._origin[entries] / slopes[entries] + 0.0
            last = int(roots.argmax()) if entries.size else -1
            name = self._names[self._owner[entries[last]]] if entries.size else ""
            found.append((sign * float(roots[last]) if entries.size else -sign * math.inf, name))
        return found

    def _along(self, k: int, axis: str, others: Sequence[str]) -> str:
        """The interval along one axis in words, the others at 0; empty where it has no end."""
        (low, below), (high, above) = self._bounds(k)
        if not below and not above:
            return ""
        where = f" at {' = '.join([*others, '0'])}" if others else ""
        if low > high:
            return f"valid for {axis} nowhere (set by {_layer(below)} and {_layer(above)}){where}"
        start = f"from {_inward(low, math.ceil)} (set by {_layer(below)})" if below else ""
        stop = f"{'to' if below else 'up to'} {_inward(high, math.floor)} (set by {_layer(above)})" if above else ""
        return f"valid for {axis} {' '.join(filter(None, [start, stop]))}{where}"


def _layer(buffer: str) -> str:
    return buffer.rpartition(".")[0] or "the model"


def _inward(bound: float, rounded: Callable[[float], int]) -> str:
    """A bound to four decimals, or four digits where it is small, rounded to the side on which the variances are fine."""
    if bound == 0:
        return "0"
    scale = 10.0 ** max(4, 3 - math.floor(math.log10(abs(bound))))
    return f"{rounded(bound * scale) / scale + 0.0:.10g}"
