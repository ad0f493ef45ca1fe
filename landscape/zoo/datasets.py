"""Data sets: scikit-learn's digits, which need no files, and CIFAR-10 from the files a user has."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape.errors import InputError

__all__ = ["NormalizedCrossEntropy", "Splits", "cifar10", "digits", "shift_and_mirror"]

Splits = dict[str, tuple[Tensor, Tensor]]  # split name -> images and labels

_N_DIGITS_TEST = 400
_N_CLASSES = 10
_N_BATCH = 10_000  # images in each file of CIFAR-10
_IMAGE = (3, 32, 32)
_N_PIXELS = 3 * 32 * 32
_SHIFT = 4  # pixels an augmented image moves at most
_LARGEST_BATCH_FILE = 32 * 2**20  # bytes; the published files have 31.1 million
_HOME = "https://www.cs.toronto.edu/~kriz/cifar.html"
# MD5 of the published files, as torchvision.datasets.CIFAR10 checks them. What differs is not unpickled.
_CHECKSUMS = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
_TRAIN_BATCHES = tuple(name for name in _CHECKSUMS if name != "test_batch")


class NormalizedCrossEntropy:
    """Cross-entropy in nats and accuracy by example of images kept as bytes, normalized on the device batch by batch.

    Args:
        mean: of each channel, in pixel values 0 to 255.
        standard_deviation: likewise.
    """

    units: ClassVar = {"loss": "nat"}

    def __init__(self, mean: tuple[float, ...], standard_deviation: tuple[float, ...]) -> None:
        self.mean = mean
        self.standard_deviation = standard_deviation
        self._constants: dict[tuple[torch.device, torch.dtype], tuple[Tensor, Tensor]] = {}

    def __reduce__(self) -> tuple[type[NormalizedCrossEntropy], tuple[tuple[float, ...], tuple[float, ...]]]:
        return NormalizedCrossEntropy, (self.mean, self.standard_deviation)  # copies do not carry a device's constants along

    def __call__(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Images `(n, channels, height, width)` and labels `(n,)` to `loss` and `accuracy` (0 or 1), each `(n,)`."""
        images, labels = batch
        dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
        logits = model(self._normalize(images, dtype))
        exact = logits.to(torch.promote_types(logits.dtype, torch.float32))  # a loss in bfloat16 would keep three digits
        losses = F.cross_entropy(exact, labels, reduction="none")
        return {"loss": losses, "accuracy": (exact.argmax(dim=1) == labels).to(losses.dtype)}

    def _normalize(self, images: Tensor, dtype: torch.dtype) -> Tensor:
        working = torch.promote_types(dtype, torch.float32)
        key = (images.device, working)
        if key not in self._constants:  # made once: a copy to the GPU for each batch would make it wait
            mean, deviation = (
                torch.tensor(values, device=images.device, dtype=working).view(1, -1, 1, 1)
                for values in (self.mean, self.standard_deviation)
            )
            self._constants[key] = mean, deviation
        mean, deviation = self._constants[key]
        return ((images.to(working) - mean) / deviation).to(dtype)


def digits() -> Splits:
    """The 1,797 handwritten digits of scikit-learn: images float32 `(n, 1, 8, 8)` in [0, 1], labels int64 `(n,)`.

    A fixed permutation makes 1,397 of them `train` and 400 `test`.
    """
    from sklearn.datasets import load_digits  # takes a second; only who wants digits waits for it

    bunch = load_digits()
    order = np.random.RandomState(0).permutation(len(bunch.target))  # RandomState: numpy keeps its stream the same for ever
    images = torch.from_numpy(bunch.images[order].astype(np.float32) / 16).unsqueeze(1)
    labels = torch.from_numpy(bunch.target[order].astype(np.int64))
    return {
        "train": (images[:-_N_DIGITS_TEST], labels[:-_N_DIGITS_TEST]),
        "test": (images[-_N_DIGITS_TEST:], labels[-_N_DIGITS_TEST:]),
    }


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


def cifar10(data_dir: str | os.PathLike[str] | None) -> Splits:
    """CIFAR-10 as its files have it: images uint8 `(n, 3, 32, 32)`, stored channels last, labels int64 `(n,)`, in original order.

    Args:
        data_dir: a folder with the Python version (`data_batch_1` …, unpickled only if their MD5 is the published one), the binary
            version (`data_batch_1.bin` …), or arrays (`train_images.npy` `(n, 32, 32, 3)` uint8, `train_labels.npy` `(n,)`,
            `test_images.npy`, `test_labels.npy`); or the folder around `cifar-10-batches-py` or `cifar-10-batches-bin`.

    Raises:
        InputError: when files are missing, truncated, or not what they should be.
    """
    if data_dir is None:
        raise InputError(f"CIFAR-10 needs --data-dir, the folder with cifar-10-batches-py; it is to be had from {_HOME}")
    readers: Mapping[str, Callable[[Path], Splits]] = {
        "data_batch_1": _read_pickles,
        "data_batch_1.bin": _read_binaries,
        "train_images.npy": _read_arrays,
    }
    folder = Path(data_dir)
    for place in (folder, folder / "cifar-10-batches-py", folder / "cifar-10-batches-bin"):
        for first, read in readers.items():
            if (place / first).exists():
                return read(place)
    looked_for = f"{', '.join(readers)}, there and in cifar-10-batches-py and cifar-10-batches-bin"
    raise InputError(f"no CIFAR-10 in {folder}: looked for {looked_for}; it is to be had from {_HOME}")


def _read_pickles(folder: Path) -> Splits:
    def read(name: str) -> tuple[np.ndarray, np.ndarray]:
        content = _read_bytes(folder / name)
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != _CHECKSUMS[name]:
            raise InputError(
                f"{folder / name}: not the published file (its MD5 differs), so it is not unpickled; fetch it again from {_HOME}"
            )
        batch: dict[bytes, Any] = pickle.loads(content, encoding="bytes")  # these very bytes were checked
        return np.asarray(batch[b"data"]), np.asarray(batch[b"labels"])

    return {"train": _join(folder, _TRAIN_BATCHES, read), "test": _join(folder, ("test_batch",), read)}


def _read_binaries(folder: Path) -> Splits:
    def read(name: str) -> tuple[np.ndarray, np.ndarray]:
        content = np.frombuffer(_read_bytes(folder / name), np.uint8)
        if content.size != _N_BATCH * (1 + _N_PIXELS):
            raise InputError(
                f"{folder / name}: has {content.size:,} bytes, not {_N_BATCH * (1 + _N_PIXELS):,}; fetch it again from {_HOME}"
            )
        records = content.reshape(_N_BATCH, 1 + _N_PIXELS)  # the label, then the red, green and blue plane
        return records[:, 1:], records[:, 0]

    train = tuple(f"{name}.bin" for name in _TRAIN_BATCHES)
    return {"train": _join(folder, train, read), "test": _join(folder, ("test_batch.bin",), read)}


def _read_arrays(folder: Path) -> Splits:
    return {split: _read_split_arrays(folder, split) for split in ("train", "test")}


def _read_split_arrays(folder: Path, split: str) -> tuple[Tensor, Tensor]:
    images = _open_array(folder / f"{split}_images.npy")
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (32, 32, 3) or not len(images):
        raise InputError(f"{folder}/{split}_images.npy: holds {images.dtype} {images.shape}, expected uint8 (n, 32, 32, 3)")
    labels = _open_array(folder / f"{split}_labels.npy")
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        raise InputError(
            f"{folder}/{split}_labels.npy: holds {labels.dtype} {labels.shape}, expected whole numbers ({len(images)},)"
        )
    return _tensors(np.array(images, order="C"), np.array(labels), folder / f"{split}_labels.npy")


def _open_array(path: Path) -> np.memmap[Any, Any]:
    """Opened without reading: the header is judged first, and a file that lies about its size is refused."""
    _check_file(path)
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except (ValueError, OSError, EOFError, OverflowError) as error:
        raise InputError(f"{path}: not a plain .npy array, or truncated; write it again with numpy.save") from error


def _join(folder: Path, names: tuple[str, ...], read: Callable[[str], tuple[np.ndarray, np.ndarray]]) -> tuple[Tensor, Tensor]:
    for name in names:
        _check_file(folder / name)  # all of them, before the first is read
    images = np.empty((len(names) * _N_BATCH, 32, 32, 3), np.uint8)
    labels = np.empty(len(names) * _N_BATCH, np.int64)
    for i, name in enumerate(names):
        pixels, part = read(name)
        rows = slice(i * _N_BATCH, (i + 1) * _N_BATCH)
        images[rows] = pixels.reshape(_N_BATCH, *_IMAGE).transpose(0, 2, 3, 1)
        labels[rows] = part
    return _tensors(images, labels, folder)


def _tensors(images: np.ndarray, labels: np.ndarray, place: Path) -> tuple[Tensor, Tensor]:
    wrong = np.flatnonzero((labels < 0) | (labels >= _N_CLASSES))
    if wrong.size:
        raise InputError(
            f"{place}: image {wrong[0]} has the label {labels[wrong[0]]}, CIFAR-10 has 0 to {_N_CLASSES - 1}; fetch the files again"
        )
    return torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(labels.astype(np.int64))


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"{path}: missing, and CIFAR-10 is not complete without it; it is to be had from {_HOME}")


def _read_bytes(path: Path) -> bytes:
    """A file of CIFAR-10, never more of it than such a file has."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_BATCH_FILE + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    if len(content) > _LARGEST_BATCH_FILE:
        raise InputError(f"{path}: larger than any file of CIFAR-10; fetch it again from {_HOME}")
    return content
