"""Recipes: how a problem is trained."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

__all__ = ["OPTIMIZERS", "Recipe"]

OPTIMIZERS = ("sgd", "adam", "adamw")


@dataclass(frozen=True)
class Recipe:
    """How a problem is trained over `epochs` passes through the training examples.

    Attributes:
        epochs: passes through the training examples.
        learning_rate: at the start, for the mean loss over a batch.
        milestones: shares of the epochs after which the learning rate is multiplied by `factor`; without any it follows half a
            cosine to 0.
        augmented: whether examples are changed at random while training.
        momentum: of SGD, after Nesterov.
        weight_decay: added to the gradient; by adamw taken off the weights.
        batch_size: examples in a step; of streams of text, all are in each.
        largest_gradient: the norm gradients are clipped at.
        optimizer: one of `OPTIMIZERS`.
        factor: see `milestones`.
        falling: after the last milestone the learning rate is multiplied by `factor` at each epoch.
        unroll: tokens of each stream in a step, the state being carried to the next step; 0 where examples are no streams.
    """

    epochs: int
    learning_rate: float = 0.1
    milestones: tuple[float, ...] = ()
    augmented: bool = False
    momentum: float = 0.9
    weight_decay: float = 5e-4
    batch_size: int = 128
    largest_gradient: float = 5.0
    optimizer: str = "sgd"
    factor: float = 0.1
    falling: bool = False
    unroll: int = 0

    def rate(self, epoch: int) -> float:
        """The learning rate during an epoch, counted from 1.

        >>> [round(Recipe(4, 0.1, milestones=(0.5, 0.75)).rate(epoch), 4) for epoch in (1, 2, 3, 4)]
        [0.1, 0.1, 0.01, 0.001]
        >>> [Recipe(5, 8.0, milestones=(0.4,), factor=0.5, falling=True).rate(epoch) for epoch in (1, 2, 3, 4, 5)]
        [8.0, 8.0, 4.0, 2.0, 1.0]
        """
        share = (epoch - 1) / self.epochs
        if not self.milestones:
            return self.learning_rate * (1 + math.cos(math.pi * share)) / 2
        n_passed = sum(share >= milestone for milestone in self.milestones)
        if self.falling and n_passed == len(self.milestones):
            n_passed += epoch - 1 - math.ceil(self.milestones[-1] * self.epochs)
        return float(self.learning_rate * self.factor**n_passed)

    def make_optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """The optimizer over some parameters, at its first learning rate."""
        if self.optimizer == "sgd":
            return torch.optim.SGD(
                parameters,
                lr=self.learning_rate,
                momentum=self.momentum,
                nesterov=self.momentum > 0,
                weight_decay=self.weight_decay,
            )
        kind = torch.optim.Adam if self.optimizer == "adam" else torch.optim.AdamW
        return kind(parameters, lr=self.learning_rate, weight_decay=self.weight_decay)

    def describe(self) -> str:
        """The recipe in a line.

        >>> Recipe(300, milestones=(0.5,), augmented=True).describe()
        'sgd, rate 0.1 × 0.1 after 0.5 of 300 epochs, batches of 128, weight decay 0.0005, momentum 0.9, augmented'
        """
        if self.milestones:
            shares = ", ".join(f"{milestone:.2g}" for milestone in self.milestones)
            each = " and at each epoch from there" if self.falling else ""
            rate = f"rate {self.learning_rate:g} × {self.factor:.3g} after {shares} of {self.epochs} epochs{each}"
        else:
            rate = f"rate {self.learning_rate:g} along half a cosine over {self.epochs} epochs"
        size = f"{self.unroll} tokens of each stream a step" if self.unroll else f"batches of {self.batch_size}"
        more = [f"weight decay {self.weight_decay:g}"] if self.weight_decay else []
        more += [f"momentum {self.momentum:g}"] if self.optimizer == "sgd" and self.momentum else []
        more += ["augmented"] if self.augmented else []
        return ", ".join([self.optimizer, rate, size, *more])
