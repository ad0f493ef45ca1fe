"""What several tests of the zoo need: one thread, and the real data where there are any."""

from __future__ import annotations

import lzma
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def shared() -> Path:
    folder = Path(os.environ.get("LANDSCAPE_SHARED") or CHECKOUT.parent / "shared")
    if not (folder / "data" / "cifar10").is_dir():
        pytest.skip(f"no real data at {folder}; LANDSCAPE_SHARED may name the folder that holds data/cifar10")
    return folder


@pytest.fixture
def cifar10_sample(shared: Path):
    """`(split, n) -> images (n, 3, 32, 32) uint8, labels`: the first n images, decoded from the lossless packs."""

    def sample(split: str, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        packs = shared / "data" / "cifar10"
        with lzma.open(packs / f"cifar10_{split}_0.xz") as stream:
            planes = _undo_prediction(np.frombuffer(stream.read(n * 3072), np.uint8).reshape(n, 3, 32, 32))
        green = planes[:, 0]
        images = np.stack([(planes[:, 1] - 128 + green) & 255, green, (planes[:, 2] - 128 + green) & 255], axis=1)
        with lzma.open(packs / f"cifar10_{split}_labels.xz") as stream:
            labels = np.frombuffer(stream.read(n), np.uint8)
        return torch.from_numpy(images.astype(np.uint8)), torch.from_numpy(labels.astype(np.int64))

    return sample


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
