"""The user's own reduction of a batch: what the criterion or the loss function says of it, as a sum and what it is a mean over."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Sums", "by_criterion", "by_function"]

Part = tuple[float, float, bool]  # Σ, Σ of weights, whether all are whole numbers


class Sums:
    """Sums over batches in float64, by metric; `losses` are the loss's sums and weights by batch."""

    def __init__(self) -> None:
        self.whole_numbers = True
        self._parts: dict[str, tuple[list[float], list[float]]] = {}
        self.losses: list[tuple[float, float]] = []

    def add(self, batch: Mapping[str, Part]) -> None:
        """Add a batch, metric by metric."""
        for metric, (total, weight, whole) in batch.items():
            above, below = self._parts.setdefault(metric, ([], []))
            above.append(total)
            below.append(weight)
            if metric == "loss":
                self.losses.append((total, weight))
                self.whole_numbers &= whole

    def means(self) -> dict[str, float]:
        """Σ / Σ of weights by metric; NaN where the weights add up to nothing."""
        found = {}
        for metric, (above, below) in self._parts.items():
            weight = math.fsum(below)
            total = math.fsum(above) if all(map(math.isfinite, above)) else sum(above)
            found[metric] = total / weight if weight else math.nan
        return found


def by_criterion(model: nn.Module, criterion: nn.Module, batch: Any, size: int) -> dict[str, Part]:
    """A torch.nn criterion as the user reduces it: its own mean times what it is a mean over, or its own sum."""
    inputs, targets = batch
    outputs = model(**inputs) if isinstance(inputs, Mapping) else model(inputs) if isinstance(inputs, Tensor) else model(*inputs)
    reduction, weight = criterion.reduction, float(size)
    classes = isinstance(criterion, nn.CrossEntropyLoss | nn.NLLLoss) and not targets.is_floating_point()
    counted = targets != criterion.ignore_index if classes else None
    if reduction == "none":
        criterion = copy.copy(criterion)
        criterion.reduction = "mean"  # type: ignore[assignment]  # a plain text in every criterion
    losses = criterion(outputs, targets).double()
    value = float(losses.sum() if reduction == "sum" else losses.mean())  # of criteria that do not reduce themselves, too
    if reduction in ("sum", "batchmean"):
        total = value if reduction == "sum" else value * size
    else:
        if counted is not None:
            shares = torch.ones_like(targets, dtype=torch.float64)
            if criterion.weight is not None:
                class_weights: Any = criterion.weight
                shares = class_weights.double()[torch.where(counted, targets, 0)]
            weight = float((shares * counted).sum())
        total = value * weight if weight else 0.0
    found = {"loss": (total, weight, total == round(total) if math.isfinite(total) else False)}
    if counted is not None:
        right = (outputs.argmax(dim=1) == targets) & counted
        found["accuracy"] = (float(right.sum()), float(counted.sum()), False)
    return found


def by_function(value: Any, size: int) -> Part:
    """What a loss function returned for one metric: losses `(n,)`, a scalar for the whole batch, or a pair with their weights."""
    sums, weights = value if isinstance(value, tuple) else (value, None)
    sums = sums.detach()
    whole = not sums.is_complex() and bool((sums.double() == sums.double().round()).all())
    total = float(sums.double().sum())
    if weights is not None:
        return total, float(weights.detach().double().sum()), whole
    return (total, float(size), whole) if sums.dim() else (total * size, float(size), whole)
