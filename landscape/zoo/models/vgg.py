"""VGG-9 for CIFAR-10, with and without batch norm."""

from __future__ import annotations

from torch import Tensor, nn

from landscape.zoo.models.layers import initialize

__all__ = ["VGG9"]

_STAGES = ((1, 1), (2, 2), (4, 4, 4))  # channels of each convolution, in multiples of the width; a 2x2 pooling after each stage


class VGG9(nn.Module):
    """The first seven convolutions of VGG-16 and two linear layers (Li et al. 2018, section 3.1, footnote).

    With batch norm after each convolution and the first linear layer, or without any. Images are square, any size from 8.

    >>> sum(parameter.numel() for parameter in VGG9().parameters())
    2789706
    """

    def __init__(self, width: int = 64, batch_norm: bool = True, size: int = 32, n_channels: int = 3, n_classes: int = 10) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        n_inputs = n_channels
        for stage in _STAGES:
            for multiple in stage:
                n_outputs = width * multiple
                layers.append(nn.Conv2d(n_inputs, n_outputs, 3, padding=1))
                layers += [nn.BatchNorm2d(n_outputs)] if batch_norm else []
                layers.append(nn.ReLU())
                n_inputs = n_outputs
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
            size = (size + 1) // 2
        self.features = nn.Sequential(*layers)
        norm: list[nn.Module] = [nn.BatchNorm1d(n_inputs)] if batch_norm else []
        self.fc = nn.Sequential(nn.Linear(n_inputs * size * size, n_inputs), *norm, nn.ReLU())
        self.classifier = nn.Linear(n_inputs, n_classes)
        initialize(self, "he")

    def forward(self, images: Tensor) -> Tensor:
        """Images `(n, n_channels, size, size)` to logits `(n, n_classes)`."""
        logits: Tensor = self.classifier(self.fc(self.features(images).flatten(1)))
        return logits
