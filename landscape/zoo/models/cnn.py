"""A small convolutional network whose every choice of the textbooks is a setting."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from landscape.zoo.models.layers import activation, initialize, n_units

__all__ = ["PADDINGS", "POOLINGS", "ConvolutionalNetwork", "Pooling"]

POOLINGS = ("max", "average", "min", "none")
PADDINGS = ("same", "valid")

_KERNEL = 3


class Pooling(nn.Module):
    """The largest, smallest or mean value of each 2x2 window; a map of one row or column stays as it is.

    >>> import torch
    >>> [float(Pooling(kind)(torch.arange(4.0).view(1, 1, 2, 2))) for kind in ("max", "average", "min")]
    [3.0, 1.5, 0.0]
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, maps: Tensor) -> Tensor:
        """`(n, channels, height, width)` to half the height and width, rounded down."""
        if self.kind == "none" or min(maps.shape[2:]) < 2:
            return maps
        if self.kind == "average":
            return F.avg_pool2d(maps, 2)
        return F.max_pool2d(maps, 2) if self.kind == "max" else -F.max_pool2d(-maps, 2)


class ConvolutionalNetwork(nn.Module):
    """Layers of 3x3 convolution, activation and 2x2 pooling, a mean over what is left of the image, a linear layer.

    Args:
        n_layers: convolutions; each doubles the channels of the one before.
        width: channels of the first.
        padding: "same" keeps the image's size (at stride 1), "valid" uses whole windows only.
        stride: of the convolutions.
        pooling: one of `POOLINGS`.
        units: the activation, one of `layers.ACTIVATIONS`.
        init: one of `layers.INITIALIZATIONS`.
        n_channels: of the images.
        n_classes: outputs.

    The images may have any size at which every window finds a place.
    """

    def __init__(
        self,
        n_layers: int = 2,
        width: int = 16,
        padding: str = "same",
        stride: int = 1,
        pooling: str = "max",
        units: str = "relu",
        init: str = "he",
        n_channels: int = 1,
        n_classes: int = 10,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(n_layers):
            n_inputs, n_outputs = n_channels if i == 0 else width * 2 ** (i - 1), width * 2**i
            around = _KERNEL // 2 if padding == "same" else 0
            layers += [nn.Conv2d(n_inputs, n_units(units, n_outputs), _KERNEL, stride, around), activation(units), Pooling(pooling)]
        self.features = nn.Sequential(*layers)
        self.linear = nn.Linear(width * 2 ** (n_layers - 1), n_classes)
        initialize(self, init)

    def forward(self, images: Tensor) -> Tensor:
        """Images `(n, n_channels, height, width)` to logits `(n, n_classes)`."""
        logits: Tensor = self.linear(self.features(images).mean(dim=(2, 3)))
        return logits
