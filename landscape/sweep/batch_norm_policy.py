"""What running statistics do in a subspace: as asked, or as fits its directions; and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from landscape.core.directions import Direction
from landscape.core.subspace import Subspace
from landscape.core.weights import Weights
from landscape.errors import InputError
from landscape.evaluate import STATISTICS, Variances, recalibrated_layers, statistics_layers
from landscape.problem import Problem

__all__ = ["Policy", "settle_policy"]


@dataclass(frozen=True, eq=False)
class Policy:
    """What running statistics do, the directions as they move them, and what the file says of it.

    Attributes of the file: `bn_layers`, how many layers keep running statistics; `bn_reason`, why another policy than usual, and where
    it has no values; `bn_ends` = "origin" where the models at the other ends would need other running statistics than the origin's.
    """

    bn: str
    directions: list[Direction]
    attributes: Mapping[str, Any] = field(default_factory=dict)


def settle_policy(
    problem: Problem, asked: str | None, origin: Weights, directions: Sequence[Direction], axes: Mapping[str, np.ndarray]
) -> Policy:
    """What running statistics do in a subspace.

    Between checkpoints they go along the line as long as no running variance turns negative over the axes, and are recalibrated
    otherwise; along random directions they are frozen; along directions from a file they go as far as those hold them.

    Args:
        problem: model and data.
        asked: the policy asked for; None for what fits.
        origin: θ*, parameters and buffers.
        directions: with what they hold of running statistics.
        axes: name → coordinates.

    Raises:
        InputError: for `interpolated` along directions without running statistics, and `recalibrated` without a split `train`.
    """
    between = all(direction.attributes.get("source") == "difference" for direction in directions)
    held = any(direction.buffers for direction in directions)
    bn = asked or ("interpolated" if between or held else "frozen")
    if bn == "interpolated" and not (between or held):
        raise InputError(
            "--bn interpolated needs a direction that holds running statistics; random directions do not: use frozen or recalibrated"
        )
    reasons = []
    if bn == "interpolated" and between and asked is None and (negative := _negative(origin, directions, axes)):
        bn = "recalibrated"
        reasons.append(f"interpolated, a running variance would be negative: {negative}")
    layers = statistics_layers(problem.model)
    if bn == "recalibrated" and layers and "train" not in problem.splits:
        raise InputError(
            f"{''.join(f'{reason}; ' for reason in reasons)}--bn recalibrated estimates on training examples, and there is no data split "
            f'"train" (but {", ".join(problem.splits)}); name it so, or use another --bn'
        )
    settled = [replace(direction, buffers=_moved(direction.buffers, bn, problem)) for direction in directions]
    attributes: dict[str, Any] = {"bn_layers": len(layers)}
    if bn == "frozen" and between and any(bool(part.any()) for direction in directions for part in direction.buffers.values()):
        attributes["bn_ends"] = "origin"
        reasons.append("running statistics stay at the origin's, so that the other end is not the other model")
    if bn == "recalibrated":
        reasons += _what_stays(problem, layers, between or held)
    if negative := _negative(origin, settled, axes):
        reasons.append(f"where a running variance is negative the points are NaN: {negative}")
    if reasons:
        attributes["bn_reason"] = "; ".join(reasons)
    return Policy(bn, settled, attributes)


def _negative(origin: Weights, directions: Sequence[Direction], axes: Mapping[str, np.ndarray]) -> str:
    return Variances(Subspace(origin, tuple(directions))).describe_negative(axes)


def _moved(buffers: Weights, bn: str, problem: Problem) -> Weights:
    """The buffers of a direction that a policy moves: recalibration makes statistics of its own, and moves whatever else differs."""
    if bn == "interpolated" or not buffers:
        return buffers
    if bn == "frozen":
        return {}
    estimated = {f"{layer}.{name}".strip(".") for layer in recalibrated_layers(problem.model) for name in STATISTICS}
    return {name: part for name, part in buffers.items() if name not in estimated and bool(part.any())}


def _what_stays(problem: Problem, layers: Sequence[str], along: bool) -> list[str]:
    """What a recalibration leaves alone, in words."""
    if not layers:
        return ["the model keeps no running statistics, so that nothing is recalibrated"]
    left = [layer for layer in layers if layer not in recalibrated_layers(problem.model)]
    if not left:
        return []
    more = f" and {len(left) - 1} more keep" if len(left) > 1 else " keeps"
    where = "which go along the line" if along else "which stay the origin's"
    return [f"{left[0] or 'the model'}{more} statistics of another kind, {where}"]
