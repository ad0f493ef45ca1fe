"""Augmentation: images changed at random while training, never while measuring."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["shift_and_mirror", "turn_and_mirror"]

_SHIFT = 4  # pixels an augmented image moves at most


def shift_and_mirror(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each image `(n, channels, height, width)` shifted by up to 4 pixels, black coming in, and mirrored with probability 1/2."""
    n, _, height, width = images.shape
    top, left = torch.randint(0, 2 * _SHIFT + 1, (2, n, 1), generator=generator)
    mirrored = torch.rand((n, 1), generator=generator) < 0.5
    rows = top + torch.arange(height)
    columns = left + torch.arange(width)
    columns = torch.where(mirrored, columns.flip(1), columns)
    padded = F.pad(images, (_SHIFT,) * 4)
    picked = padded[
        torch.arange(n, device=images.device)[:, None, None],
        :,
        rows.to(images.device)[:, :, None],
        columns.to(images.device)[:, None, :],
    ]
    return picked.permute(0, 3, 1, 2)  # the picked axes come first: (n, height, width, channels)


def turn_and_mirror(images: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images `(n, channels, side, side)` and their masks `(n, side, side)` turned by quarters and mirrored together, at random."""
    n = len(images)
    quarters = torch.randint(0, 4, (n,), generator=generator).tolist()
    mirrored = (torch.rand((n,), generator=generator) < 0.5).tolist()

    def changed(tensor: Tensor) -> Tensor:
        turned = (torch.rot90(one, k, (-2, -1)) for one, k in zip(tensor, quarters, strict=True))
        return torch.stack([one.flip(-1) if mirror else one for one, mirror in zip(turned, mirrored, strict=True)])

    return changed(images), changed(targets)
