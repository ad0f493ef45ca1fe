"""A direction in weight space: between two models, or from a file; its angle to another, and the part orthogonal to it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from landscape.core.weights import Weights, add, buffer_names, difference, digest, dot, is_movable, norm, to_double, unwrap
from landscape.errors import InputError

__all__ = ["Direction", "between", "check_finite", "cosine", "from_arrays", "orthogonalize"]


@dataclass(frozen=True, eq=False)
class Direction:
    """A direction in weight space: differences of parameters, and of running statistics where those move too."""

    parameters: Weights
    buffers: Weights = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)  # label, source, seed, normalize, from, to

    @property
    def norm(self) -> float:
        """The length ‖δ‖₂ over the parameters."""
        return norm(self.parameters)

    @property
    def sha256(self) -> str:
        """The digest of all it moves."""
        return digest({**self.parameters, **self.buffers})

    def to_attributes(self) -> dict[str, Any]:
        """The attributes with the direction's own length and digest, as an axis stores them."""
        return {**self.attributes, "norm": self.norm, "sha256": self.sha256}

    def checked(self) -> Direction:
        """The direction itself.

        Raises:
            InputError: when it is zero altogether or not finite.
        """
        label = str(self.attributes.get("label", ""))
        check_finite({**self.parameters, **self.buffers}, label)
        length = self.norm
        if length == 0:
            raise InputError(
                f"the direction {label!r} is zero in every parameter; are the checkpoints the same, or the weights all zero?"
            )
        if not math.isfinite(length):
            raise InputError(f"the direction {label!r} is too long to be measured in double precision; are its numbers weights?")
        return self


def check_finite(tensors: Mapping[str, Tensor], place: str) -> None:
    """Refuse weights that hold NaN or infinity.

    Args:
        tensors: by name.
        place: whose they are, for the message.

    Raises:
        InputError: naming the first tensor that does, and in how many of its values.
    """
    for name, tensor in tensors.items():
        n = int((~torch.isfinite(tensor)).sum())
        if n:
            what = "1 value that is not finite" if n == 1 else f"{n} values that are not finite"
            raise InputError(f"{place}: {name} holds {what}; if the training diverged, take an earlier checkpoint")


def between(
    start: Mapping[str, Tensor],
    end: Mapping[str, Tensor],
    module: nn.Module,
    names: Iterable[str],
    labels: tuple[str, str] = ("start", "end"),
) -> Direction:
    """The straight direction from one model's weights to another's, running statistics included (Goodfellow et al. 2015).

    Raises:
        InputError: when the two do not differ, or hold values that are not finite and not in both.
    """
    attributes = {
        "label": f"{labels[0]} to {labels[1]}",
        "source": "difference",
        "normalize": "none",
        "from": labels[0],
        "to": labels[1],
    }
    names, statistics = list(names), {}
    for weights, label in zip((start, end), labels, strict=True):
        check_finite({name: weights[name] for name in names}, label)
    for name in buffer_names(module):
        if start[name].layout != torch.strided:  # the adjacency of a graph and the like, no statistic
            continue
        before, after = to_double(start[name]), to_double(end[name])  # exact, where they are small
        statistics[name] = torch.where(before == after, 0.0, after - before)  # equal ones may be infinite, as masks are
        for own, label in ((start[name], labels[0]), (end[name], labels[1])):
            check_finite({name: torch.where(before == after, 0.0, to_double(own))}, label)
    return Direction(difference(end, start, names), statistics, attributes).checked()


def from_arrays(
    arrays: Sequence[np.ndarray] | Mapping[str, np.ndarray], weights: Mapping[str, Tensor], module: nn.Module, label: str
) -> Direction:
    """A direction from arrays by parameter name, or in the order of `parameters()` or of `state_dict()`, counters included.

    Raises:
        InputError: when number, names or shapes do not fit the model (the first difference is named).
    """
    inner = unwrap(module)
    if isinstance(arrays, Mapping):
        named = dict(arrays)
    else:
        orders = ([name for name, _ in inner.named_parameters()], list(inner.state_dict()))
        order = next((names for names in orders if len(names) == len(arrays)), None)
        if order is None:
            raise InputError(
                f"{label}: holds {len(arrays)} arrays, the model has {len(orders[0])} parameters and {len(orders[1])} entries of state; "
                "is it the direction of another model?"
            )
        named = dict(zip(order, arrays, strict=True))
    parts: Weights = {}
    for name, array in named.items():
        if name.endswith("num_batches_tracked"):
            continue
        if name not in weights:
            raise InputError(f"{label}: has {name}, which the model lacks; is it the direction of another model?")
        target = weights[name]
        array = np.asarray(array, dtype=np.complex128 if np.iscomplexobj(array) else np.float64)
        if array.shape != tuple(target.shape) and not (array.size == target.numel() == 1):
            raise InputError(f"{label}: {name} has shape {array.shape}, the model wants {tuple(target.shape)}")
        if np.iscomplexobj(array) and not target.is_complex():
            raise InputError(f"{label}: {name} holds complex numbers, the model's are real; is it the direction of another model?")
        parts[name] = torch.from_numpy(array).reshape(target.shape)
    parameters = {name for name, _ in inner.named_parameters()}
    attributes = {"label": label, "source": "file", "normalize": "none"}
    moved = {
        name: part.to(torch.promote_types(weights[name].dtype, torch.float32)) for name, part in parts.items() if name in parameters
    }
    buffers = {name: part for name, part in parts.items() if name not in parameters and is_movable(weights[name])}
    return Direction(moved, buffers, attributes).checked()


def cosine(first: Direction, second: Direction) -> float:
    """The cosine of the angle between two directions, over their parameters."""
    return dot(first.parameters, second.parameters) / (first.norm * second.norm)


def orthogonalize(direction: Direction, against: Direction) -> tuple[Direction, float]:
    """The part of a direction orthogonal to another, and the coefficient p of what was taken away: d − p · against.

    Raises:
        InputError: when nothing is left, that is when the two are parallel.
    """
    share = dot(direction.parameters, against.parameters) / against.norm**2
    rest = replace(
        direction,
        parameters=add(direction.parameters, against.parameters, -share),
        buffers=add(direction.buffers, against.buffers, -share),
        attributes={**direction.attributes, "orthogonalized": 1},
    )
    if rest.norm <= 1e-6 * direction.norm:
        raise InputError("the two directions are parallel and span no plane; are two of the checkpoints the same?")
    return rest.checked(), share
