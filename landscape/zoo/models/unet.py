"""Networks from images to images: encoder-decoders with and without skips, and a fully convolutional net."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape.zoo.models.layers import initialize

__all__ = ["EncoderDecoder", "FullyConvolutional"]


def _pair(n_inputs: int, n_outputs: int) -> nn.Sequential:
    """Two 3x3 convolutions with batch norm and ReLU that keep the size."""
    layers: list[nn.Module] = []
    for width in (n_inputs, n_outputs):
        layers += [nn.Conv2d(width, n_outputs, 3, padding=1, bias=False), nn.BatchNorm2d(n_outputs), nn.ReLU()]
    return nn.Sequential(*layers)


class EncoderDecoder(nn.Module):
    """Down by 2x2 max pooling `n_levels` times, up again by nearest neighbours; with skips a U-Net (Ronneberger et al. 2015).

    Unlike theirs convolutions keep the size and have batch norm, so that the output has the input's size, whatever it is (from
    2^n_levels on). Without skips the decoder has the encoder's coarsest maps alone; its convolutions are as wide.

    Args:
        width: channels at full size; each level below has twice as many.
        n_levels: poolings.
        skips: whether each level of the decoder sees the encoder's maps of its size.
        n_channels: of the images.
        n_classes: kinds of pixels.
    """

    def __init__(self, width: int = 16, n_levels: int = 3, skips: bool = True, n_channels: int = 1, n_classes: int = 2) -> None:
        super().__init__()
        self.skips = skips
        widths = [width * 2**level for level in range(n_levels + 1)]
        self.down = nn.ModuleList(_pair(n, m) for n, m in zip([n_channels, *widths], widths, strict=False))
        below_and_here = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList(_pair(below + (here if skips else 0), here) for below, here in below_and_here)
        self.last = nn.Conv2d(width, n_classes, 1)
        initialize(self, "he")

    def forward(self, images: Tensor) -> Tensor:
        """Images `(n, n_channels, height, width)` to logits `(n, n_classes, height, width)`."""
        seen: list[Tensor] = []
        maps = images
        for level, encode in enumerate(self.down):
            maps = encode(maps if level == 0 else F.max_pool2d(maps, 2))
            seen.append(maps)
        for decode, skip in zip(self.up, seen[-2::-1], strict=True):
            maps = F.interpolate(maps, size=skip.shape[2:], mode="nearest")
            maps = decode(torch.cat([maps, skip], dim=1) if self.skips else maps)
        logits: Tensor = self.last(maps)
        return logits


class FullyConvolutional(nn.Module):
    """Convolutions at strides 1, 2, 2, a 1x1 classifier, and bilinear interpolation back to the image's size (Long et al. 2015)."""

    def __init__(self, width: int = 16, n_channels: int = 1, n_classes: int = 2) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        n_inputs = n_channels
        for n_outputs, stride in ((width, 1), (2 * width, 2), (4 * width, 2), (4 * width, 1)):
            layers += [nn.Conv2d(n_inputs, n_outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(n_outputs), nn.ReLU()]
            n_inputs = n_outputs
        self.features = nn.Sequential(*layers)
        self.last = nn.Conv2d(n_inputs, n_classes, 1)
        initialize(self, "he")

    def forward(self, images: Tensor) -> Tensor:
        """Images `(n, n_channels, height, width)` of any size to logits `(n, n_classes, height, width)`."""
        coarse = self.last(self.features(images))
        return F.interpolate(coarse, size=images.shape[2:], mode="bilinear", align_corners=False)
