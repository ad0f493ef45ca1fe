"""Setting a model to the points of a subspace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from landscape.subspace import Subspace

__all__ = ["Mover"]


class Mover:
    """Sets a private model to θ* + Σ c_k δ_k, on its device and in its type and memory layout.

    Running statistics are few but divide what passes through them, so that a rounding at a small variance counts: they are moved in
    float64 and cast once, and the end of a line between two models has the second one's statistics to the last bit.

    Args:
        model: the engine's own copy; every parameter and buffer of the origin is copied into it here.
        subspace: origin and directions.
    """

    def __init__(self, model: nn.Module, subspace: Subspace) -> None:
        named = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        with torch.no_grad():
            for name, tensor in subspace.origin.items():
                named[name].copy_(tensor)
        moved = {name for direction in subspace.directions for name in direction.parameters}
        names = [name for name in subspace.origin if name in moved]
        self._targets = [named[name] for name in names]
        self._origin = [_like(named[name], subspace.origin[name]) for name in names]
        self._directions = [_rows(names, d.parameters, named) for d in subspace.directions]
        statistics = {name for direction in subspace.directions for name in direction.buffers}
        self._statistics = [
            (
                named[name],
                _wide(named[name], subspace.origin[name]),
                [_wide(named[name], d.buffers.get(name, torch.zeros_like(named[name]))) for d in subspace.directions],
            )
            for name in subspace.origin
            if name in statistics
        ]

    @torch.no_grad()
    def __call__(self, coordinates: Sequence[float]) -> None:
        """Move the model to some coordinates, `(n_directions,)`."""
        torch._foreach_copy_(self._targets, self._origin)
        for coordinate, (targets, parts) in zip(coordinates, self._directions, strict=True):
            if coordinate != 0:
                torch._foreach_add_(targets, parts, alpha=float(coordinate))
        for target, origin, parts in self._statistics:
            value = origin.clone()
            for coordinate, part in zip(coordinates, parts, strict=True):
                value.add_(part, alpha=float(coordinate))
            target.copy_(value)


def _rows(names: Sequence[str], parts: Mapping[str, Tensor], named: Mapping[str, Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """What one direction moves, and by what; a direction may leave parameters alone that another moves."""
    held = [name for name in names if name in parts]
    return [named[name] for name in held], [_like(named[name], parts[name]) for name in held]


def _like(target: Tensor, source: Tensor) -> Tensor:
    """A copy of `source` on the target's device, in its type and memory layout, so that updates are plain sweeps."""
    return torch.empty_like(target).copy_(source).detach()


def _wide(target: Tensor, source: Tensor) -> Tensor:
    return source.detach().to(target.device, torch.float64, copy=True)
