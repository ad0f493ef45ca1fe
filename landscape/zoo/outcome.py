"""What came out of a training: figures in evaluation mode, and whether the network trained at all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from landscape.problem import Examples, PerExample

__all__ = ["Training", "find_failure", "measure", "perplexity"]

_LARGEST_EXPONENT = 700.0  # beyond it exp overflows


@dataclass(frozen=True)
class Training:
    """A finished training: where its files are and how well the network does in evaluation mode.

    Losses are means over a split in nats, accuracies fractions in [0, 1]. `failure` says in a line why the network
    did not train, None if it did: then nothing about its surface says anything about trained networks. `metrics` has what is
    measured beyond loss and accuracy of train and test, as `test_perplexity` or `test_iou`.
    """

    problem: str
    seed: int
    epochs: int
    start: Path
    end: Path
    history: Path
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    seconds: float
    failure: str | None
    metrics: Mapping[str, float] = field(default_factory=dict)


@torch.no_grad()
def measure(model: nn.Module, loss: PerExample, examples: Examples, batch_size: int) -> dict[str, float]:
    """Each metric over a split, Σ sums / Σ weights, in evaluation mode, which the model is left in."""
    model.eval()
    totals: dict[str, list[float]] = {}
    for first in range(0, examples.size, batch_size):
        last = min(first + batch_size, examples.size)
        for metric, (sums, weights) in loss(model, examples.batch(first, last), last - first).items():
            total = totals.setdefault(metric, [0.0, 0.0])
            total[0] += float(sums.double().sum())
            total[1] += last - first if weights is None else float(weights.double().sum())
    return {metric: sums / weights if weights else math.nan for metric, (sums, weights) in totals.items()}


def perplexity(loss: float) -> float:
    """The exponential of a loss by token in nats: among how many equally likely tokens the model seems to choose.

    >>> round(perplexity(4.745), 1)
    115.0
    """
    return math.exp(min(loss, _LARGEST_EXPONENT))


def find_failure(loss: float, accuracy: float, labels: Tensor) -> str | None:
    """Why a network did not train, or None: its loss is not finite, or it is no better than always naming the commonest class.

    No better: within three standard errors, √(p (1 - p) / n), of that class's share p of the `labels` `(n,)`.
    """
    if not math.isfinite(loss):
        return f"did not train: the loss is {loss}"
    chance = float(torch.bincount(labels).max()) / len(labels)
    if accuracy <= chance + 3 * math.sqrt(chance * (1 - chance) / len(labels)):
        return f"did not train: the accuracy {accuracy:.1%} on its training examples is chance ({chance:.1%})"
    return None
