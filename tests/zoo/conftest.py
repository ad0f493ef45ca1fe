"""What several tests of the zoo need: the real data where there are any."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from packs import SHARED, cifar10
from torch import Tensor


@pytest.fixture
def shared() -> Path:
    if not (SHARED / "data" / "cifar10").is_dir():
        pytest.skip(f"no real data at {SHARED}; LANDSCAPE_SHARED may name the folder that holds data/cifar10")
    return SHARED


@pytest.fixture
def cifar10_sample(shared: Path) -> Callable[[str, int], tuple[Tensor, Tensor]]:
    """`(split, n) -> images (n, 3, 32, 32) uint8, labels`: the first n images of a split."""
    return cifar10
