"""How exact the values of a metric are: what their errors say, and at how many points those are in doubt."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from landscape.core.surface import UNSURE_BELOW, Surface

__all__ = ["Exactness", "describe_audit", "describe_errors", "exactness"]

_SMALLEST = 256  # examples after which a point with a tolerance may stop where its audit found nothing


@dataclass(frozen=True)
class Exactness:
    """What is known of the errors of some values of one metric.

    Attributes:
        n_points: how many values there are.
        n_exact: of how many the error is 0, as all examples of the split were used.
        n_unsure: how many have an error that too few examples carry, fewer than `UNSURE_BELOW` effective ones, or that show none.
        relative: the largest standard error as a share of its value, where that is not 0; NaN where none is known.
        interval: the widest 95 % interval of a fraction, (low, high); None where there is none.
    """

    n_points: int
    n_exact: int
    n_unsure: int
    relative: float
    interval: tuple[float, float] | None

    @property
    def exact(self) -> bool:
        """Whether all values are exact on their split."""
        return self.n_points == self.n_exact > 0


def exactness(surface: Surface, key: str, shown: np.ndarray | None = None) -> Exactness:
    """What is known of the errors of a metric's values, at the points `shown`; by default all that are measured and finite."""
    values, shape = surface.values[key], surface.values[key].shape
    known = np.asarray(surface.done[key], dtype=bool) & np.isfinite(values)
    known = known if shown is None else known & shown
    split = surface.metrics[key].split
    counts, reach = np.asarray(surface.examples.get(split, np.zeros(shape))), _reach(surface, split)
    whole = known & (counts >= reach) if reach else np.zeros(shape, dtype=bool)
    nothing = np.full(shape, np.nan)
    stderr, effective = surface.stderr.get(key, nothing), surface.effective.get(key, nothing)
    low, high = surface.low.get(key, nothing), surface.high.get(key, nothing)
    with np.errstate(over="ignore"):  # of a value next to nothing
        shares = np.divide(stderr, np.abs(values), out=nothing.copy(), where=known & (stderr > 0) & (values != 0))
    widths = np.where(known & (high > low), high - low, np.nan)
    widest = np.unravel_index(np.nanargmax(widths), shape) if np.isfinite(widths).any() else None
    # An error of 0 where examples are left out is none: version 0.1.0 wrote it where a sample showed no spread.
    unsure = (effective < UNSURE_BELOW) | ((stderr == 0) & (counts > 0))
    return Exactness(
        n_points=int(known.sum()),
        n_exact=int((whole & ((stderr == 0) | (low == high))).sum()),
        n_unsure=int((known & ~whole & unsure).sum()),
        relative=float(np.nanmax(shares)) if np.isfinite(shares).any() else np.nan,
        interval=None if widest is None else (float(low[widest]), float(high[widest])),
    )


def describe_errors(surface: Surface, key: str, shown: np.ndarray | None = None) -> str:
    """The same in words: "standard error up to 3.1 % of the value, unsure at 12 of 625 points"; empty where nothing is known."""
    found, split = exactness(surface, key, shown), surface.metrics[key].split
    first = _first(surface, split)
    if found.exact:
        reduced_precision = surface.attributes.get("precision") in ("tf32", "bf16")
        where = f"the first {first:,} examples" if first else "this split"
        return f"all examples of {where} used" if reduced_precision else f"exact on {where}"
    if first and not _reach(surface, split):
        return f"no standard error, as the first {first:,} are no random sample" if found.n_points else ""
    parts = []
    if found.interval is not None:
        parts.append(f"widest 95\u00a0% interval {found.interval[0]:.4g} to {found.interval[1]:.4g}")
    elif np.isfinite(found.relative):
        parts.append(f"standard error up to {100 * found.relative:.2g}\u00a0% of the value")
    if found.n_unsure:
        parts.append(f"unsure at {found.n_unsure:,} of {found.n_points:,} points")
    if parts and first:
        parts.append(f"all of it within the first {first:,} examples")
    return ", ".join(parts)


def describe_audit(surface: Surface, split: str, one_by_one: bool = False) -> str:
    """What the self-audit of a tolerance found for a split; empty where there was none, or it was not ended.

    Args:
        surface: whose checks say so.
        split: of the data.
        one_by_one: tell every z, and that they are correlated; else only the largest.
    """
    told = {name: surface.checks.get(f"tolerance_audit_{split}_{name}") for name in ("z", "first_look", "settled")}
    scores, first = told["z"], told["first_look"]
    if not isinstance(scores, list) or not scores or not told["settled"]:
        return ""
    z = np.array([score if isinstance(score, int | float) else np.nan for score in scores], dtype=np.float64)
    points = f"{len(z)} point{'s' if len(z) > 1 else ''} carried to all {split} examples"
    begun = f"; every point was given {first:,} examples at least" if isinstance(first, int) and first > _SMALLEST else ""
    if not one_by_one:
        return f"{points}: values at most {np.abs(z).max():.2g} standard errors off{begun}"
    each = ", ".join(f"{score:.2f}" for score in z)
    return f"{points}, (value − truth)/error = {each}; these are correlated, as all points see the same examples first{begun}"


def _first(surface: Surface, split: str) -> int:
    """N where the examples are the first N of a split, else 0."""
    found = re.match(r"first:(\d{1,15})(?!\d)", str(surface.data.get(split, {}).get("order", "")))
    return int(found[1]) if found else 0


def _reach(surface: Surface, split: str) -> int:
    """How many examples the errors speak of: a random sample's are of the whole split, the first N speak of no others; 0: of none."""
    data = surface.data.get(split, {})
    if first := _first(surface, split):
        return first if "shuffled" in str(data["order"]) else 0
    size = data.get("size", 0)
    return int(size) if isinstance(size, int | float) and math.isfinite(size) else 0
