"""The residual networks of CIFAR-10, with and without shortcuts, with and without batch norm."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from landscape.errors import InputError

__all__ = ["ResidualBlock", "ResidualNetwork", "check_depth"]

_DEEPEST = 1202  # the deepest network of He et al. 2016; beyond it a typing error is likelier than a wish


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch norm; with a shortcut, relu(F(x) + x), without, relu(F(x)).

    Where the shape changes the shortcut is a strided 1x1 convolution with batch norm (option B of He et al. 2016).
    Without batch norm the convolutions have biases.
    """

    def __init__(self, n_inputs: int, n_outputs: int, stride: int, shortcut: bool, batch_norm: bool = True) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_inputs, n_outputs, kernel_size=3, stride=stride, padding=1, bias=not batch_norm)
        self.bn1 = _norm(n_outputs, batch_norm)
        self.conv2 = nn.Conv2d(n_outputs, n_outputs, kernel_size=3, padding=1, bias=not batch_norm)
        self.bn2 = _norm(n_outputs, batch_norm)
        self.shortcut: nn.Module | None = None
        if shortcut and (stride != 1 or n_inputs != n_outputs):
            projection = nn.Conv2d(n_inputs, n_outputs, kernel_size=1, stride=stride, bias=not batch_norm)
            self.shortcut = nn.Sequential(projection, _norm(n_outputs, batch_norm))
        elif shortcut:
            self.shortcut = nn.Identity()

    def forward(self, inputs: Tensor) -> Tensor:
        """`(n, n_inputs, height, width)` to `(n, n_outputs, height / stride, width / stride)`."""
        outputs: Tensor = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(inputs)))))
        if self.shortcut is not None:
            outputs = outputs + self.shortcut(inputs)
        return F.relu(outputs)


class ResidualNetwork(nn.Module):
    """The residual network for small images, with or without its shortcuts (He et al. 2016, sec. 4.2; Li et al. 2018, sec. 5).

    A 3x3 convolution, three stages of (depth - 2) / 6 blocks with `width`, 2 `width` and 4 `width` channels at full, half and
    quarter resolution, a mean over all pixels, a linear layer; so images of any size fit. Parameters are named as in the
    checkpoints of Li et al. Weights start as in their code: convolutions normal with variance 2 / fan-in, batch norm at
    one and zero, the linear layer normal with standard deviation 0.001 and no bias, hence equal odds for all classes.
    A wide network of theirs, k times as wide, has `width` 16 k. Without batch norm the convolutions have biases, from 0.

    >>> sum(parameter.numel() for parameter in ResidualNetwork(depth=56).parameters())
    855770

    Raises:
        InputError: for a depth that is not 6 n + 2.
    """

    def __init__(
        self,
        depth: int = 56,
        width: int = 16,
        shortcuts: bool = True,
        n_channels: int = 3,
        n_classes: int = 10,
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        check_depth(depth)
        n_blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(n_channels, width, kernel_size=3, padding=1, bias=not batch_norm)
        self.bn1 = _norm(width, batch_norm)
        self.layer1 = _stage(width, width, 1, n_blocks, shortcuts, batch_norm)
        self.layer2 = _stage(width, 2 * width, 2, n_blocks, shortcuts, batch_norm)
        self.layer3 = _stage(2 * width, 4 * width, 2, n_blocks, shortcuts, batch_norm)
        self.linear = nn.Linear(4 * width, n_classes)
        self._initialize()

    def _initialize(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_in")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.linear.weight, std=1e-3)
        nn.init.zeros_(self.linear.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Images `(n, n_channels, height, width)` to logits `(n, n_classes)`."""
        features = F.relu(self.bn1(self.conv1(images)))
        features = self.layer3(self.layer2(self.layer1(features)))
        logits: Tensor = self.linear(features.mean(dim=(2, 3)))
        return logits


def check_depth(depth: int) -> None:
    """Refuse a depth that no residual network for small images has.

    Raises:
        InputError: for a depth that is not 6 n + 2.
    """
    if not 8 <= depth <= _DEEPEST or (depth - 2) % 6:
        raise InputError(f"there is no residual network of depth {depth}; take 6 n + 2 from 8 to {_DEEPEST}, for instance 20 or 56")


def _stage(n_inputs: int, n_outputs: int, stride: int, n_blocks: int, shortcuts: bool, batch_norm: bool) -> nn.Sequential:
    """The first block changes shape and resolution, the others keep them."""
    first = ResidualBlock(n_inputs, n_outputs, stride, shortcuts, batch_norm)
    rest = (ResidualBlock(n_outputs, n_outputs, 1, shortcuts, batch_norm) for _ in range(n_blocks - 1))
    return nn.Sequential(first, *rest)


def _norm(n_channels: int, batch_norm: bool) -> nn.Module:
    return nn.BatchNorm2d(n_channels) if batch_norm else nn.Identity()
