"""Several points in one pass: the model's function mapped over sets of weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from landscape.problem.data import Batch
from landscape.problem.losses import PerExample, Sums

__all__ = ["Batched"]


class Batched:
    """The loss of one batch at several points at once, by torch.func.vmap over the weights that move.

    Each point's numbers are those of a pass of its own, to rounding; small networks on a GPU, which wait for the launching of their
    operations, take hardly longer for many points than for one.
    """

    def __init__(self, model: nn.Module, loss: PerExample) -> None:
        self._inner = _Whole(model, loss)
        self._mapped = torch.func.vmap(self._sums, in_dims=(0, None, None))

    def __call__(self, weights: Mapping[str, Tensor], batch: Batch, size: int) -> Sums:
        """Sums and weights by metric, each `(n_points, n)`, at the points whose moved weights `(n_points, *shape)` are given."""
        found: dict[str, tuple[Tensor, ...]] = self._mapped({f"model.{name}": w for name, w in weights.items()}, batch, size)
        return {name: (parts[0], parts[1] if len(parts) > 1 else None) for name, parts in found.items()}

    def _sums(self, weights: dict[str, Tensor], batch: Batch, size: int) -> dict[str, tuple[Tensor, ...]]:
        results = torch.func.functional_call(self._inner, weights, (batch, size))
        return {name: tuple(part for part in pair if part is not None) for name, pair in results.items()}


class _Whole(nn.Module):
    """Model and loss as one module, so that its weights can be replaced wherever the loss uses them."""

    def __init__(self, model: nn.Module, loss: PerExample) -> None:
        super().__init__()
        self.model = model
        self.loss = loss

    def forward(self, batch: Batch, size: int) -> Any:
        return self.loss(self.model, batch, size)
