"""The zoo's data: embedded, read from the files a user has, or downloaded with their checksums verified."""

from __future__ import annotations

from landscape.zoo.data.augmentation import shift_and_mirror, turn_and_mirror
from landscape.zoo.data.cells import cells
from landscape.zoo.data.cifar import cifar10
from landscape.zoo.data.digits import digits
from landscape.zoo.data.idx import idx_images
from landscape.zoo.data.membranes import membranes
from landscape.zoo.data.moons import moons
from landscape.zoo.data.splits import Splits
from landscape.zoo.data.text import Corpus, penn_treebank, python_topics

__all__ = [
    "Corpus",
    "Splits",
    "cells",
    "cifar10",
    "digits",
    "idx_images",
    "membranes",
    "moons",
    "penn_treebank",
    "python_topics",
    "shift_and_mirror",
    "turn_and_mirror",
]
