"""What is wrong with a loss, in words: examples it has no number for, weights it does not see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from landscape.evaluate import Sample
from landscape.reference import Values

__all__ = ["describe_blindness", "describe_lost"]


def describe_blindness(seen: Sequence[Values]) -> str:
    """Why the losses at several places are all the same, in a line; nothing where they are not.

    A loss of whole numbers, as the count of errors, may well be: there it is enough that the outputs differ.
    """
    if len(seen) < 2 or any(values.losses != seen[0].losses for values in seen[1:]):
        return ""
    what = "the loss does not depend on the weights that move"
    if not any(values.n_calls for values in seen):
        return f"{what}: it never calls the model it is given; write loss(model, batch) with that model, not with one from outside"
    if all(_equal(values.outputs, seen[0].outputs) for values in seen[1:]):
        return (
            f"{what}: the model gives the same outputs everywhere; are they used at all (a LoRA whose B is 0 is not), "
            "or is another model called?"
        )
    return "" if all(values.whole_numbers for values in seen) else f"{what}, though the outputs do; is it computed from them?"


def describe_lost(sample: Sample, lost: Sequence[int], n: int, per_example: bool) -> str:
    """Which examples of a sample have a loss that is no finite number, by their places in the split.

    Args:
        sample: the examples.
        lost: positions among the first n.
        n: how many were looked at.
        per_example: whether an example has a loss of its own, or its whole batch.
    """
    where = f"the loss of split {sample.split} is not finite"
    if not lost:
        return f"{where}: its weights add up to 0, or its sum is too large; look at the loss and its targets"
    first = lost[0] if sample.indices is None else int(sample.indices[lost[0]])
    whole = "" if per_example else " (those of a whole batch each)"
    return f"{where} for {len(lost)} of {n} examples{whole}, the first is number {first} (counted from 0); mend it or leave it out"


def _equal(first: Any, second: Any) -> bool:
    """Whether two outputs hold the same numbers."""
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return torch.equal(first, second)
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return first.keys() == second.keys() and all(_equal(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) == len(second) and all(map(_equal, first, second))
    try:
        return bool(first == second) or (hasattr(first, "__dict__") and _equal(vars(first), vars(second)))
    except Exception:  # whatever comparing the user's own objects raises: they are not known to be equal
        return False
