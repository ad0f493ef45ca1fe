"""Passes through the training examples: the loss of each step, of a batch drawn at random or of the next piece of all streams."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from landscape.problem import Examples, PerExample
from landscape.problem.data import map_tensors
from landscape.zoo.losses import StreamCrossEntropy
from landscape.zoo.recipes import Recipe
from landscape.zoo.sources import Augmentation

__all__ = ["EpochIterator", "Step"]

Step = tuple[Tensor, float]  # the mean loss with its graph, and its weight: examples, tokens or pixels


@dataclass(frozen=True)
class EpochIterator:
    """What all passes of a training have in common; calling it makes one.

    Attributes:
        model: in training mode.
        loss: by example.
        examples: of the training split, on the device.
        recipe: says how many examples, or how many tokens of each stream, make a step.
        generator: of order and augmentation, on the CPU: every device sees the same.
        augment: how examples are changed; None for not at all.
        autocast: makes the context the loss is computed in.
    """

    model: nn.Module
    loss: PerExample
    examples: Examples
    recipe: Recipe
    generator: torch.Generator
    augment: Augmentation | None = None
    autocast: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext

    @property
    def n_steps(self) -> int:
        """How many steps a pass has."""
        if self.recipe.unroll:
            return -(-int(self.examples.tensors[0].shape[1]) // self.recipe.unroll)
        return -(-self.examples.size // self.recipe.batch_size)

    def __call__(self) -> Iterator[Step]:
        """The steps of a pass; the weights may be changed between them."""
        return self._streams() if self.recipe.unroll else self._shuffled()

    def _shuffled(self) -> Iterator[Step]:
        order = torch.randperm(self.examples.size, generator=self.generator)
        for piece in torch.split(order, self.recipe.batch_size):
            chosen = piece.to(self._device)
            batch = map_tensors(operator.itemgetter(chosen), self.examples.tensors)
            if self.recipe.augmented and self.augment is not None:
                batch = self.augment(batch[0], batch[1], self.generator)
            with self.autocast():
                sums, weights = self.loss(self.model, batch, len(piece))["loss"]
                loss = sums.sum() / (len(piece) if weights is None else weights.sum())
            yield loss, len(piece) if weights is None else float(weights.sum())

    def _streams(self) -> Iterator[Step]:
        """All streams side by side from their beginning to their end; the state goes along, gradients end with the piece."""
        state: object = None
        inputs, targets = self.examples.tensors
        unroll = self.recipe.unroll
        for piece, wanted in zip(torch.split(inputs, unroll, 1), torch.split(targets, unroll, 1), strict=True):
            with self.autocast():
                losses, _, after = StreamCrossEntropy.advance(self.model, piece, wanted, state)
            yield losses.mean(), losses.numel()
            state = map_tensors(torch.Tensor.detach, after)

    @property
    def _device(self) -> torch.device:
        device: torch.device = self.examples.tensors[0].device
        return device
