"""Comparing two surfaces, point by point."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from landscape.core.surface import Surface

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True)
class Comparison:
    """What differs between two surfaces: `reasons` in words, and the largest differences by metric."""

    reasons: list[str] = field(default_factory=list)
    absolute: dict[str, float] = field(default_factory=dict)  # metric -> max |a − b| over points both have finite
    relative: dict[str, float] = field(default_factory=dict)  # metric -> max |a − b| / max(|a|, |b|)

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.reasons


def compare(first: Surface, second: Surface, tolerance: float = 0.0) -> Comparison:
    """Compare axes, metrics and every value of two surfaces.

    Values agree when |a − b| ≤ tolerance · max(|a|, |b|), when both are NaN, or the same infinity; a point measured in one only
    is a difference.
    """
    result = Comparison()
    if first.kind != second.kind or [axis.name for axis in first.axes] != [axis.name for axis in second.axes]:
        result.reasons.append(f"one is a {first.kind}, the other a {second.kind}")
        return result
    for a, b in zip(first.axes, second.axes, strict=True):
        if a.values.shape != b.values.shape or not np.allclose(
            a.values, b.values, rtol=0, atol=1e-12 * float(np.abs(a.values).max() or 1)
        ):
            result.reasons.append(f"their {a.name} axes differ ({a.text} and {b.text})")
    if result.reasons:
        return result
    for key in sorted({*first.metrics, *second.metrics}):
        if key not in first.metrics or key not in second.metrics:
            result.reasons.append(f"only one has {key}")
        else:
            _compare_values(result, key, first, second, tolerance)
    return result


def _compare_values(result: Comparison, key: str, first: Surface, second: Surface, tolerance: float) -> None:
    a, b, both = first.values[key], second.values[key], first.done[key] & second.done[key]
    lonely = int((first.done[key] != second.done[key]).sum())
    if lonely:
        result.reasons.append(f"{lonely} points of {key} are measured in one only")
    finite = both & np.isfinite(a) & np.isfinite(b)
    odd = int((both & ~finite & ~((np.isnan(a) & np.isnan(b)) | (a == b))).sum())
    if odd:
        result.reasons.append(f"{odd} points of {key} are finite in one only")
    gap = np.abs(a[finite] - b[finite])
    size = np.maximum(np.abs(a[finite]), np.abs(b[finite]))
    share = np.divide(gap, size, out=np.zeros_like(gap), where=size > 0)
    result.absolute[key] = float(gap.max(initial=0.0))
    result.relative[key] = float(share.max(initial=0.0))
    if result.relative[key] > tolerance:
        n = int((share > tolerance).sum())
        result.reasons.append(
            f"{n} values of {key} differ by more than {tolerance:g}, at most by {result.relative[key]:.3g} (relative)"
        )
