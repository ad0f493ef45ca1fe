"""The real data where there are any: CIFAR-10 from its lossless packs, in the folder that LANDSCAPE_SHARED names or beside the checkout."""

from __future__ import annotations

import lzma
import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

SHARED = Path(os.environ.get("LANDSCAPE_SHARED") or Path(__file__).resolve().parents[2] / "shared")


def cifar10(split: str, n: int) -> tuple[Tensor, Tensor]:
    """The first n images `(n, 3, 32, 32)` uint8 of a split and their labels `(n,)`; a pack holds g beside r - g and b - g."""
    packs = SHARED / "data" / "cifar10"
    with lzma.open(packs / f"cifar10_{split}_0.xz") as stream:
        planes = _undo_prediction(np.frombuffer(stream.read(n * 3072), np.uint8).reshape(n, 3, 32, 32))
    with lzma.open(packs / f"cifar10_{split}_labels.xz") as stream:
        labels = np.frombuffer(stream.read(n), np.uint8)
    green = planes[:, 0]
    images = np.stack([(planes[:, 1] - 128 + green) & 255, green, (planes[:, 2] - 128 + green) & 255], axis=1)
    return torch.from_numpy(images.astype(np.uint8)), torch.from_numpy(labels.astype(np.int64))


def _undo_prediction(residuals: np.ndarray) -> np.ndarray:
    """Planes from their residuals: LOCO-I's median edge detector predicts each pixel from west, north and north-west."""
    planes = residuals.astype(np.int16)
    for y in range(32):
        for x in range(32):
            west = planes[:, :, y, x - 1] if x else planes[:, :, y - 1, x] * (y > 0)
            north = planes[:, :, y - 1, x] if y else west
            corner = planes[:, :, y - 1, x - 1] if x and y else north
            low, high = np.minimum(west, north), np.maximum(west, north)
            predicted = np.where(corner >= high, low, np.where(corner <= low, high, west + north - corner))
            planes[:, :, y, x] = (planes[:, :, y, x] + predicted) & 255
    return planes
