"""DenseNet-BC for small images (Huang et al. 2017)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape.errors import InputError
from landscape.zoo.models.layers import initialize

__all__ = ["DenseNet", "check_dense_depth"]

_COMPRESSION = 0.5  # the C of DenseNet-BC: a transition keeps half of the channels
_BOTTLENECK = 4  # the B: 1x1 convolutions to 4 k channels


class _Layer(nn.Module):
    """Norm, ReLU, 1x1 convolution, norm, ReLU, 3x3 convolution: `growth` more channels beside those that came."""

    def __init__(self, n_inputs: int, growth: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(n_inputs)
        self.conv1 = nn.Conv2d(n_inputs, _BOTTLENECK * growth, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(_BOTTLENECK * growth)
        self.conv2 = nn.Conv2d(_BOTTLENECK * growth, growth, 3, padding=1, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """`(n, n_inputs, height, width)` to `(n, n_inputs + growth, height, width)`."""
        new = self.conv2(F.relu(self.bn2(self.conv1(F.relu(self.bn1(maps))))))
        return torch.cat([maps, new], dim=1)


class _Transition(nn.Module):
    """Norm, ReLU, a 1x1 convolution to half the channels, a mean over 2x2 pixels."""

    def __init__(self, n_inputs: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(n_inputs)
        self.conv = nn.Conv2d(n_inputs, int(n_inputs * _COMPRESSION), 1, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """`(n, n_inputs, height, width)` to `(n, n_inputs / 2, height / 2, width / 2)`."""
        return F.avg_pool2d(self.conv(F.relu(self.norm(maps))), 2)


class DenseNet(nn.Module):
    """DenseNet-BC: three dense blocks of (depth - 4) / 6 layers, each layer seeing all maps before it (Huang et al. 2017, sec. 3).

    The first convolution makes 2 k maps, k being `growth`. Images of any size from 4.

    >>> sum(parameter.numel() for parameter in DenseNet(depth=100, growth=12).parameters())  # the paper's table 2: 0.8 M
    769162

    Raises:
        InputError: for a depth that is not 6 n + 4.
    """

    def __init__(self, depth: int = 100, growth: int = 12, n_channels: int = 3, n_classes: int = 10) -> None:
        super().__init__()
        check_dense_depth(depth)
        width = 2 * growth
        layers: list[nn.Module] = []
        self.conv1 = nn.Conv2d(n_channels, width, 3, padding=1, bias=False)
        for block in range(3):
            for _ in range((depth - 4) // 6):
                layers.append(_Layer(width, growth))
                width += growth
            if block < 2:
                layers.append(_Transition(width))
                width = int(width * _COMPRESSION)
        self.layers = nn.Sequential(*layers)
        self.norm = nn.BatchNorm2d(width)
        self.linear = nn.Linear(width, n_classes)
        initialize(self, "he")

    def forward(self, images: Tensor) -> Tensor:
        """Images `(n, n_channels, height, width)` to logits `(n, n_classes)`."""
        features = F.relu(self.norm(self.layers(self.conv1(images))))
        logits: Tensor = self.linear(features.mean(dim=(2, 3)))
        return logits


def check_dense_depth(depth: int) -> None:
    """Refuse a depth that no DenseNet-BC of three blocks has.

    Raises:
        InputError: for a depth that is not 6 n + 4.
    """
    if not 10 <= depth <= 1204 or (depth - 4) % 6:
        raise InputError(f"there is no DenseNet-BC of depth {depth}; take 6 n + 4 from 10, for instance 40 or 100")
