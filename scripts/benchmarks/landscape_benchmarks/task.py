"""The task: what a plain loop computes for each batch, written as somebody would write it for this problem alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape.problem import Problem
from landscape.problem.data import Batch, Examples, map_tensors
from landscape.zoo.losses import NormalizedCrossEntropy

__all__ = ["Task", "size_of"]


class Task:
    """Inputs in, sums of losses and hits out.

    Plain classification is computed by cross-entropy and argmax, with no detour over losses by example; any other problem by its
    own loss. Images kept as bytes are normalized when the data are read, as in everybody's loader.
    """

    def __init__(self, problem: Problem, examples: Examples) -> None:
        loss = problem.loss
        function = getattr(loss, "function", None)
        self._loss = loss
        self._normalization = function if isinstance(function, NormalizedCrossEntropy) else None
        self.plain = self._normalization is not None or _is_plain(
            loss.criterion, loss.reduction if loss.criterion else "", examples
        )

    def transform(self, example: Batch) -> Batch:
        """One example as a loader's worker makes it: a tensor of its own, images from bytes to normalized numbers.

        An image comes as an array `(height, width, channels)` of bytes and leaves as torchvision's ToTensor and Normalize would
        have it, by the same operations.
        """
        if self._normalization is None:
            return map_tensors(lambda t: t.to(torch.float32 if t.is_floating_point() else t.dtype, copy=True), example)
        image, label = example
        pixels = torch.from_numpy(image).permute(2, 0, 1).contiguous().to(torch.float32).div(255)
        mean = torch.as_tensor([value / 255 for value in self._normalization.mean]).view(-1, 1, 1)
        deviation = torch.as_tensor([value / 255 for value in self._normalization.standard_deviation]).view(-1, 1, 1)
        return pixels.clone().sub_(mean).div_(deviation), label

    def example(self, tensors: Batch, index: int) -> Batch:
        """One example as it is stored: where images are bytes, an array as an image library gives it."""
        if self._normalization is None:
            return map_tensors(lambda tensor: tensor[index], tensors)
        image = tensors[0][index].permute(1, 2, 0).numpy()
        return np.ascontiguousarray(image), tensors[1][index]

    def resident(self, examples: Examples, device: torch.device, channels_last: bool = False) -> Batch:
        """All examples on the device at once, normalized, in single precision."""

        def ready(tensor: Tensor) -> Tensor:
            moved = tensor.to(device, torch.float32 if tensor.is_floating_point() else tensor.dtype)
            return moved.contiguous(memory_format=torch.channels_last) if channels_last and moved.dim() == 4 else moved.contiguous()

        tensors = examples.tensors
        if self._normalization is not None:
            mean, deviation = (
                torch.tensor(values).view(1, -1, 1, 1)
                for values in (self._normalization.mean, self._normalization.standard_deviation)
            )
            tensors = ((tensors[0].to(torch.float32) - mean) / deviation, tensors[1])
        return map_tensors(ready, tensors)

    def sums(self, model: nn.Module, batch: Batch, size: int) -> tuple[Tensor, Tensor | int, Tensor | None]:
        """Over the `size` examples of a batch: the sum of the losses, what to divide it by, and the number of hits."""
        if self.plain:
            inputs, targets = batch
            outputs = model(inputs)
            return F.cross_entropy(outputs, targets, reduction="sum"), size, (outputs.argmax(dim=1) == targets).sum()
        losses, weights = self._loss(model, batch, size)["loss"]
        return losses.sum(), size if weights is None else weights.sum(), None


def size_of(batch: Batch) -> int:
    """How many examples a batch has."""
    return Examples("", batch).size


def _is_plain(criterion: nn.Module | None, reduction: str, examples: Examples) -> bool:
    """Whether a criterion is cross-entropy and nothing more, over one class for each example."""
    if (
        type(criterion) is not nn.CrossEntropyLoss
        or reduction != "mean"
        or criterion.weight is not None
        or criterion.label_smoothing
    ):
        return False
    tensors: Any = examples.tensors
    if not (isinstance(tensors, tuple) and len(tensors) == 2 and all(isinstance(part, Tensor) for part in tensors)):
        return False
    targets = tensors[1]
    return targets.dim() == 1 and not targets.is_floating_point() and bool((targets != criterion.ignore_index).all())
