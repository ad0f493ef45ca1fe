"""Two half-moons in the plane: a lesson that trains in seconds."""

from __future__ import annotations

import numpy as np
import torch

from landscape.zoo.data.splits import Splits

__all__ = ["moons"]

_SIZES = {"train": 400, "test": 400}


def moons(noise: float = 0.15) -> Splits:
    """Points on two interleaved half-circles of radius 1, with Gaussian noise: inputs float32 `(n, 2)`, labels int64 `(n,)`.

    Always the same points: 400 of them `train`, 400 `test`, the two classes in turns.

    Args:
        noise: its standard deviation; near 0.3 the moons begin to touch.
    """
    found: Splits = {}
    for key, (split, n) in enumerate(_SIZES.items()):
        generator = np.random.Generator(np.random.Philox(key=key))
        labels = np.arange(n) % 2
        angles = np.pi * generator.random(n)
        upper = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        lower = np.stack([1 - np.cos(angles), 0.5 - np.sin(angles)], axis=1)
        places = np.where(labels[:, None] == 0, upper, lower) + noise * generator.standard_normal((n, 2))
        found[split] = torch.from_numpy(places.astype(np.float32)), torch.from_numpy(labels)
    return found
