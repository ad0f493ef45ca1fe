"""Wide residual networks with norms before convolutions (Zagoruyko and Komodakis 2016)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from landscape.errors import InputError
from landscape.zoo.models.layers import initialize

__all__ = ["WideResidualNetwork", "check_wide_depth"]

_FIRST = 16  # channels of the first convolution


class _Block(nn.Module):
    """x + F(x), F: norm, ReLU, convolution, twice; where the shape changes, a 1x1 convolution of relu(norm(x)) instead of x."""

    def __init__(self, n_inputs: int, n_outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(n_inputs)
        self.conv1 = nn.Conv2d(n_inputs, n_outputs, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_outputs)
        self.conv2 = nn.Conv2d(n_outputs, n_outputs, 3, 1, 1, bias=False)
        changes = stride != 1 or n_inputs != n_outputs
        self.shortcut = nn.Conv2d(n_inputs, n_outputs, 1, stride, bias=False) if changes else None

    def forward(self, inputs: Tensor) -> Tensor:
        """`(n, n_inputs, height, width)` to `(n, n_outputs, height / stride, width / stride)`."""
        active = F.relu(self.bn1(inputs))
        change: Tensor = self.conv2(F.relu(self.bn2(self.conv1(active))))
        return change + (inputs if self.shortcut is None else self.shortcut(active))


class WideResidualNetwork(nn.Module):
    """WRN-depth-k for images of any size: stages of (depth - 4) / 6 blocks with 16 k, 32 k and 64 k channels.

    >>> sum(parameter.numel() for parameter in WideResidualNetwork(depth=16, k=4).parameters())  # the paper's table 4: 2.7 M
    2748890

    Raises:
        InputError: for a depth that is not 6 n + 4.
    """

    def __init__(self, depth: int = 28, k: int = 10, n_channels: int = 3, n_classes: int = 10) -> None:
        super().__init__()
        check_wide_depth(depth)
        n_blocks, widths = (depth - 4) // 6, (_FIRST * k, 2 * _FIRST * k, 4 * _FIRST * k)
        self.conv1 = nn.Conv2d(n_channels, _FIRST, 3, padding=1, bias=False)
        blocks: list[nn.Module] = []
        n_inputs = _FIRST
        for stage, width in enumerate(widths):
            for i in range(n_blocks):
                blocks.append(_Block(n_inputs, width, 2 if stage > 0 and i == 0 else 1))
                n_inputs = width
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.BatchNorm2d(n_inputs)
        self.linear = nn.Linear(n_inputs, n_classes)
        initialize(self, "he")

    def forward(self, images: Tensor) -> Tensor:
        """Images `(n, n_channels, height, width)` to logits `(n, n_classes)`."""
        features = F.relu(self.norm(self.blocks(self.conv1(images))))
        logits: Tensor = self.linear(features.mean(dim=(2, 3)))
        return logits


def check_wide_depth(depth: int) -> None:
    """Refuse a depth that no wide residual network has.

    Raises:
        InputError: for a depth that is not 6 n + 4.
    """
    if not 10 <= depth <= 1204 or (depth - 4) % 6:
        raise InputError(f"there is no wide residual network of depth {depth}; take 6 n + 4 from 10, for instance 16 or 28")
