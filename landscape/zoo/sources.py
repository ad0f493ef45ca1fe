"""The data sets as problems use them: what they hold, how they are read, which loss goes with them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from landscape.zoo.data import (
    Corpus,
    Splits,
    cells,
    cifar10,
    digits,
    idx_images,
    membranes,
    moons,
    penn_treebank,
    python_topics,
    shift_and_mirror,
    turn_and_mirror,
)
from landscape.zoo.losses import NormalizedCrossEntropy, PixelCrossEntropy, StreamCrossEntropy, TokenCrossEntropy
from landscape.zoo.settings import Number, Spec, WholeNumber

__all__ = ["SOURCES", "Augmentation", "Loss", "Place", "Source"]

Place = str | os.PathLike[str] | None
Loss = nn.Module | NormalizedCrossEntropy | PixelCrossEntropy | StreamCrossEntropy | TokenCrossEntropy
Augmentation = Callable[[Tensor, Tensor, Any], tuple[Tensor, Tensor]]

_CIFAR10_PIXELS = ((125.3, 123.0, 113.9), (63.0, 62.1, 66.7))  # mean and standard deviation, as in the code of Li et al. 2018
_TREEBANK_WORDS = 10_000


@dataclass(frozen=True)
class Source:
    """A data set.

    Attributes:
        title: what it is, in words.
        kind: "points", "images", "text" or "masks": which networks take it.
        read: from the folder its files are in, with its settings; `download` fetches what is missing.
        loss: makes the loss; for text by the network, a recurrent one reading streams.
        measures: the loss and the metrics, in words.
        shape: of one input, channels first; of text nothing.
        n_classes: kinds of targets; of text see `words`.
        spec: its settings.
        needs_files: whether it wants --data-dir.
        augment: how its training examples may be changed.
        large: whether its networks are large enough that bfloat16 saves time on a GPU; their losses are taken in float32.
        evaluation_batch: examples at once outside training.
    """

    title: str
    kind: str
    read: Callable[[dict[str, Any], Place, bool], Splits]
    loss: Callable[[dict[str, Any]], Loss]
    measures: str
    shape: tuple[int, ...] = ()
    n_classes: int = 10
    spec: Spec = field(default_factory=dict)
    needs_files: bool = True
    augment: Augmentation | None = None
    large: bool = True
    evaluation_batch: int = 500

    @property
    def n_inputs(self) -> int:
        """Numbers in one input."""
        product = 1
        for size in self.shape:
            product *= size
        return product


def _cut(corpus: Corpus, values: dict[str, Any]) -> Splits:
    """Streams for a recurrent network, blocks for one with a context."""
    return corpus.streams(values["streams"], values["length"]) if "streams" in values else corpus.blocks(values["context"])


def _first(splits: Splits, n: int) -> Splits:
    """The first n training examples, for machines that have not the time for all; the other splits whole."""
    inputs, targets = splits["train"]
    return {**splits, "train": (inputs[:n], targets[:n])}


def _centres(splits: Splits, side: int) -> Splits:
    """The middle of each image and mask."""

    def middle(tensor: Tensor) -> Tensor:
        top, left = ((size - side) // 2 if size > side else 0 for size in tensor.shape[-2:])
        return tensor[..., top : top + side, left : left + side].contiguous()

    return {split: (middle(images), middle(masks)) for split, (images, masks) in splits.items()}


def _text_loss(values: dict[str, Any]) -> Loss:
    return StreamCrossEntropy() if "streams" in values else TokenCrossEntropy()


def _shifted(images: Tensor, labels: Tensor, generator: Any) -> tuple[Tensor, Tensor]:
    return shift_and_mirror(images, generator), labels


_CLASSES = "cross-entropy (nat); accuracy"
_PIXELS = "cross-entropy by pixel (nat); accuracy by pixel, intersection over union of the membranes (iou)"
_TOKENS = "cross-entropy by token (nat), whose exponential is the perplexity; accuracy"

SOURCES: dict[str, Source] = {
    "moons": Source(
        "two half-moons in the plane",
        "points",
        lambda values, place, download: moons(values["noise"]),
        lambda values: nn.CrossEntropyLoss(),
        _CLASSES,
        (2,),
        2,
        {"noise": Number(0.15, 0.0, 2.0)},
        needs_files=False,
        large=False,
    ),
    "digits": Source(
        "8x8 digits",
        "images",
        lambda values, place, download: digits(),
        lambda values: nn.CrossEntropyLoss(),
        _CLASSES,
        (1, 8, 8),
        needs_files=False,
        large=False,
    ),
    "mnist": Source(
        "MNIST",
        "images",
        lambda values, place, download: _first(idx_images("mnist", place, download), values["examples"]),
        lambda values: NormalizedCrossEntropy((33.3184,), (78.5675,)),  # 0.1307 and 0.3081 of 255, the usual constants
        _CLASSES,
        (1, 28, 28),
        spec={"examples": WholeNumber(60_000, 1, 60_000)},
    ),
    "fashion": Source(
        "Fashion-MNIST",
        "images",
        lambda values, place, download: _first(idx_images("fashion", place, download), values["examples"]),
        lambda values: NormalizedCrossEntropy((72.94,), (90.02,)),
        _CLASSES,
        (1, 28, 28),
        spec={"examples": WholeNumber(60_000, 1, 60_000)},
    ),
    "cifar10": Source(
        "CIFAR-10",
        "images",
        lambda values, place, download: _first(cifar10(place, download), values["examples"]),
        lambda values: NormalizedCrossEntropy(*_CIFAR10_PIXELS),
        _CLASSES,
        (3, 32, 32),
        spec={"examples": WholeNumber(50_000, 1, 50_000)},
        augment=_shifted,
    ),
    "ptb": Source(
        "Penn Treebank",
        "text",
        lambda values, place, download: _cut(penn_treebank(place, download), values),
        _text_loss,
        _TOKENS,
        n_classes=_TREEBANK_WORDS,
        evaluation_batch=64,
    ),
    "text": Source(
        "the documentation topics that Python ships",
        "text",
        lambda values, place, download: _cut(python_topics(values["vocabulary"]), values),
        _text_loss,
        _TOKENS,
        spec={"vocabulary": WholeNumber(2000, 10, 100_000)},
        needs_files=False,
        evaluation_batch=64,
    ),
    "cells": Source(
        "drawn cells and their membranes",
        "masks",
        lambda values, place, download: cells(values["side"], values["examples"]),
        lambda values: PixelCrossEntropy((144.0,), (50.0,)),
        _PIXELS,
        (1, 64, 64),
        2,
        {"side": WholeNumber(64, 16, 256), "examples": WholeNumber(64, 1, 1024)},
        needs_files=False,
        augment=turn_and_mirror,
        large=False,
        evaluation_batch=16,
    ),
    "membranes": Source(
        "ISBI 2012 membranes",
        "masks",
        lambda values, place, download: _centres(membranes(place), values["side"]),
        lambda values: PixelCrossEntropy((126.0,), (44.0,)),
        _PIXELS,
        (1, 512, 512),
        2,
        {"side": WholeNumber(512, 16, 512)},
        augment=turn_and_mirror,
        evaluation_batch=2,
    ),
}
