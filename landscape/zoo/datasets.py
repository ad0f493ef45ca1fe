"""The data sets and the loss of images by the names that other rooms know them by."""

from __future__ import annotations

from landscape.zoo.data import Splits, cifar10, digits, shift_and_mirror
from landscape.zoo.losses import NormalizedCrossEntropy

__all__ = ["NormalizedCrossEntropy", "Splits", "cifar10", "digits", "shift_and_mirror"]
