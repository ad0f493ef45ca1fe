"""What a reader must know before trusting a picture: sentences about a surface's values that figures and the page share."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from landscape.core.surface import Surface

__all__ = [
    "describe_examples",
    "describe_left_out",
    "describe_policies",
    "describe_precision",
    "describe_resolution",
    "is_approximate",
]

_LOSSY = ("tf32", "bf16")


def is_approximate(surface: Surface) -> bool:
    """Whether its values were to be near the exact ones only: made with a tolerance, or in a lossy precision."""
    return _tolerance(surface) > 0 or _precision(surface) in _LOSSY


def describe_examples(surface: Surface, split: str) -> str:
    """How many examples each point was measured on; empty where an exact surface used the whole split."""
    data = surface.data.get(split, {})
    size, used = int(data.get("size", 0)), int(data.get("used", 0))
    of = f"of {size:,} {split} examples" if size else f"{split} examples"
    if is_approximate(surface):
        counts = np.asarray(surface.examples.get(split, []))
        counts = counts[counts > 0]
        spread = "as many as that takes" if counts.size == 0 else f"{counts.min():,}"
        spread += f" to {counts.max():,}" if counts.size and counts.min() < counts.max() else ""
        if _tolerance(surface) <= 0:
            return f"measured on {spread} {of}"
        short = counts.size and 0 < used < size and counts.max() >= used
        end = f" or the {used:,} chosen examples ended" if short else ""
        return f"each point measured until its loss had a standard error of {_percent(_tolerance(surface))}{end}, on {spread} {of}"
    order = str(data.get("order", ""))
    return f"measured on {used:,} {of}{f' ({order})' if order else ''}" if 0 < used < size else ""


def describe_policies(surfaces: Sequence[Surface], names: Sequence[str]) -> str:
    """What running statistics do in surfaces shown together where that differs; empty where it is the same, or there are none.

    >>> frozen, other = (Surface("line", (), {}, {}, {}, attributes={"bn": bn}) for bn in ("frozen", "recalibrated"))
    >>> describe_policies([frozen, other, frozen], ["a", "b", "c"])
    'running statistics, where there are any, differ, compare with care: frozen in a, c; recalibrated in b'

    Files of 0.1.0 do not say whether their models keep any, which is why the words leave it open there.
    """
    policies: dict[str, list[str]] = {}
    known = True
    for surface, name in zip(surfaces, names, strict=True):
        bn, layers = surface.attributes.get("bn"), surface.attributes.get("bn_layers")
        known &= not bn or layers is not None
        if bn and layers != 0 and name not in policies.setdefault(str(bn), []):
            policies[str(bn)].append(name)
    told = "; ".join(bn if holders == [bn] else f"{bn} in {', '.join(holders)}" for bn, holders in policies.items())
    return (
        f"running statistics{'' if known else ', where there are any,'} differ, compare with care: {told}"
        if len(policies) > 1
        else ""
    )


def describe_precision(surface: Surface) -> str:
    """In which lossy precision a surface was computed, and how far from fp32 its audit found it; empty for an exact one."""
    precision, n_points = _precision(surface), int(surface.checks.get("audit_points", 0) or 0)
    if precision not in _LOSSY:
        return ""
    if n_points == 0:
        return f"computed in {precision}, not audited"
    apart = _percent(float(surface.checks.get("audit_relative", math.nan)))
    return f"computed in {precision}; at {n_points:,} points computed in fp32 too, values are at most {apart} apart"


def describe_resolution(whole: Surface, part: Surface) -> str:
    """Which share of the points a picture of the complete part shows; empty when that is all.

    >>> from landscape.core.surface import Axis
    >>> line = Surface("line", (Axis("x", np.linspace(0, 1, 5)),), {}, {}, {})
    >>> describe_resolution(line, Surface("line", (Axis("x", np.linspace(0, 1, 3)),), {}, {}, {}))
    '3 of 5 points measured so far'
    """
    if part.shape == whole.shape:
        return ""
    return f"{_size(part)} of {_size(whole)} points measured so far"


def describe_left_out(whole: Surface, part: Surface, key: str) -> str:
    """How many measured points lie beyond the complete part that a picture shows; empty when none do."""
    further = int(np.count_nonzero(whole.done[key])) - int(np.count_nonzero(part.done[key]))
    return f"{further:,} further measured {'point is' if further == 1 else 'points are'} not drawn" if further else ""


def _size(surface: Surface) -> str:
    shape: Sequence[int] = surface.shape if surface.kind == "surface" else surface.shape[:1]
    return " × ".join(f"{n:,}" for n in shape)


def _percent(share: float) -> str:
    return f"{100 * share:.2g}\u00a0%"


def _tolerance(surface: Surface) -> float:
    return float(surface.attributes.get("tolerance", 0.0) or 0.0)


def _precision(surface: Surface) -> str:
    return str(surface.attributes.get("precision", ""))
