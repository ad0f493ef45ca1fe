"""Losses by example, in nats: of images, of text, of pixels; each with its accuracy, and what else its kind is measured by."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["NormalizedCrossEntropy", "PixelCrossEntropy", "StreamCrossEntropy", "TokenCrossEntropy"]


class _Normalization:
    """Images of bytes to numbers of mean 0 and deviation 1 by channel, in a model's type, on the device, batch by batch."""

    def __init__(self, mean: tuple[float, ...], standard_deviation: tuple[float, ...]) -> None:
        self.mean = mean
        self.standard_deviation = standard_deviation
        self._constants: dict[tuple[torch.device, torch.dtype], tuple[Tensor, Tensor]] = {}

    def __reduce__(self) -> tuple[type[_Normalization], tuple[tuple[float, ...], tuple[float, ...]]]:
        return type(self), (self.mean, self.standard_deviation)  # copies do not carry a device's constants along

    def normalize(self, images: Tensor, model: nn.Module) -> Tensor:
        """Images `(n, channels, height, width)` as the model takes them."""
        dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
        working = torch.promote_types(dtype, torch.float32)
        key = (images.device, working)
        if key not in self._constants:  # made once: a copy to the GPU for each batch would make it wait
            mean, deviation = (
                torch.tensor(values, device=images.device, dtype=working).view(1, -1, 1, 1)
                for values in (self.mean, self.standard_deviation)
            )
            self._constants[key] = mean, deviation
        mean, deviation = self._constants[key]
        return ((images.to(working) - mean) / deviation).to(dtype)


class NormalizedCrossEntropy(_Normalization):
    """Cross-entropy in nats and accuracy by example of images kept as bytes, normalized on the device batch by batch.

    Args:
        mean: of each channel, in pixel values 0 to 255.
        standard_deviation: likewise.
    """

    units: ClassVar = {"loss": "nat"}

    def __call__(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Images `(n, channels, height, width)` and labels `(n,)` to `loss` and `accuracy` (0 or 1), each `(n,)`."""
        images, labels = batch
        exact = _exact(model(self.normalize(images, model)))
        losses = F.cross_entropy(exact, labels, reduction="none")
        return {"loss": losses, "accuracy": (exact.argmax(dim=1) == labels).to(losses.dtype)}


class PixelCrossEntropy(_Normalization):
    """Cross-entropy by pixel of images kept as bytes; the example is an image, and each metric a pair (sums, weights) by image.

    `accuracy` is the share of pixels named right, `iou` the intersection of the pixels of class 1 and those named so over their union:
    sums of both over all images are divided.

    Args:
        mean: of each channel, in pixel values 0 to 255.
        standard_deviation: likewise.
    """

    units: ClassVar = {"loss": "nat", "iou": "fraction"}

    def __call__(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
        """Images `(n, channels, height, width)` and classes `(n, height, width)` to (sums, weights) by image, each `(n,)`."""
        images, targets = batch
        exact = _exact(model(self.normalize(images, model)))
        losses = F.cross_entropy(exact, targets.long(), reduction="none")
        named, meant = exact.argmax(dim=1) == 1, targets == 1
        right = named == meant if exact.shape[1] == 2 else exact.argmax(dim=1) == targets
        n_pixels = torch.full_like(losses[:, 0, 0], targets[0].numel(), dtype=torch.float64)
        return {
            "loss": (_sum(losses), n_pixels),
            "accuracy": (_sum(right), n_pixels),
            "iou": (_sum(named & meant), _sum(named | meant)),
        }


class TokenCrossEntropy:
    """Cross-entropy by token of a model that sees a block of text at once; the example is a block.

    Its exponential is the perplexity. `accuracy` is the share of tokens that the model thought the likeliest.
    """

    units: ClassVar = {"loss": "nat"}
    perplexity: ClassVar = True

    def __call__(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
        """Tokens `(n, length)` and those after them, likewise, to (sums, weights) by block, each `(n,)`."""
        inputs, targets = batch
        losses, right = _by_token(model(inputs), targets)
        weights = torch.full_like(losses[:, 0], targets.shape[1], dtype=torch.float64)
        return {"loss": (_sum(losses), weights), "accuracy": (_sum(right), weights)}


class StreamCrossEntropy:
    """Cross-entropy by token of a recurrent model that reads a text from its beginning to its end; the example is a stream.

    The state is carried along, so that the value does not depend on `chunk`. Its exponential is the perplexity.

    Args:
        chunk: how many tokens of each stream are computed at once.
    """

    units: ClassVar = {"loss": "nat"}
    perplexity: ClassVar = True

    def __init__(self, chunk: int = 64) -> None:
        self.chunk = chunk

    def __call__(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
        """Tokens `(n, length)` and those after them, likewise, to (sums, weights) by stream, each `(n,)`."""
        inputs, targets = batch
        state: object = None
        sums = torch.zeros(len(inputs), dtype=torch.float64, device=inputs.device)
        n_right = torch.zeros_like(sums)
        for piece, wanted in zip(torch.split(inputs, self.chunk, 1), torch.split(targets, self.chunk, 1), strict=True):
            losses, right, state = self.advance(model, piece, wanted, state)
            sums, n_right = sums + _sum(losses), n_right + _sum(right)
        weights = torch.full_like(sums, targets.shape[1])
        return {"loss": (sums, weights), "accuracy": (n_right, weights)}

    @staticmethod
    def advance(model: nn.Module, inputs: Tensor, targets: Tensor, state: object) -> tuple[Tensor, Tensor, object]:
        """Losses and whether the likeliest token was right, each `(n, length)`, of one piece, and the state after it."""
        logits, after = model(inputs, state)
        return (*_by_token(logits, targets), after)


def _by_token(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    exact = _exact(logits)
    losses = F.cross_entropy(exact.flatten(0, 1), targets.flatten(), reduction="none").view(targets.shape)
    return losses, exact.argmax(dim=2) == targets


def _exact(logits: Tensor) -> Tensor:
    """A loss in bfloat16 would keep three digits."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def _sum(values: Tensor) -> Tensor:
    return values.flatten(1).double().sum(dim=1)
