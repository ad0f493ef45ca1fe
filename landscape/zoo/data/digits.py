"""The digits that scikit-learn brings: no files, no network."""

from __future__ import annotations

import numpy as np
import torch

from landscape.zoo.data.splits import Splits

__all__ = ["digits"]

_N_TEST = 400


def digits() -> Splits:
    """The 1,797 handwritten digits of scikit-learn: images float32 `(n, 1, 8, 8)` in [0, 1], labels int64 `(n,)`.

    A fixed permutation makes 1,397 of them `train` and 400 `test`.
    """
    from sklearn.datasets import load_digits  # takes a second; only who wants digits waits for it

    bunch = load_digits()
    order = np.random.RandomState(0).permutation(len(bunch.target))  # RandomState: numpy keeps its stream the same for ever
    images = torch.from_numpy(bunch.images[order].astype(np.float32) / 16).unsqueeze(1)
    labels = torch.from_numpy(bunch.target[order].astype(np.int64))
    return {"train": (images[:-_N_TEST], labels[:-_N_TEST]), "test": (images[-_N_TEST:], labels[-_N_TEST:])}
