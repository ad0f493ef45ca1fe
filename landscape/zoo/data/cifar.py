"""CIFAR-10 from the files a user has: the Python version, the binary version, or arrays."""

from __future__ import annotations

import hashlib
import os
import pickle
import tarfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from landscape.atomic import replacing
from landscape.errors import InputError
from landscape.zoo.data.files import Published, fetch, read_bytes, require_folder
from landscape.zoo.data.splits import Splits

__all__ = ["cifar10"]

_N_CLASSES = 10
_N_BATCH = 10_000  # images in each file of CIFAR-10
_IMAGE = (3, 32, 32)
_N_PIXELS = 3 * 32 * 32
_LARGEST_BATCH_FILE = 32 * 2**20  # bytes; the published files have 31.1 million
_HOME = "https://www.cs.toronto.edu/~kriz/cifar.html"
_ARCHIVE = Published(  # the binary version: nothing in it has to be unpickled
    "cifar-10-binary.tar.gz",
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
)
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


def cifar10(data_dir: str | os.PathLike[str] | None, download: bool = False) -> Splits:
    """CIFAR-10 as its files have it: images uint8 `(n, 3, 32, 32)`, stored channels last, labels int64 `(n,)`, in original order.

    Args:
        data_dir: a folder with the Python version (`data_batch_1` …, unpickled only if their MD5 is the published one), the binary
            version (`data_batch_1.bin` …), or arrays (`train_images.npy` `(n, 32, 32, 3)` uint8, `train_labels.npy` `(n,)`,
            `test_images.npy`, `test_labels.npy`); or the folder around `cifar-10-batches-py` or `cifar-10-batches-bin`.
        download: where the folder has none of them, fetch the binary version into it.

    Raises:
        InputError: when files are missing, truncated, or not what they should be.
    """
    readers: Mapping[str, Callable[[Path], Splits]] = {
        "data_batch_1": _read_pickles,
        "data_batch_1.bin": _read_binaries,
        "train_images.npy": _read_arrays,
    }
    folder = require_folder(data_dir, "CIFAR-10", _HOME)
    places = (folder, folder / "cifar-10-batches-py", folder / "cifar-10-batches-bin")
    if download and not any((place / first).exists() for place in places for first in readers):
        _download(folder)
    for place in places:
        for first, read in readers.items():
            if (place / first).exists():
                return read(place)
    looked_for = f"{', '.join(readers)}, there and in cifar-10-batches-py and cifar-10-batches-bin"
    raise InputError(f"no CIFAR-10 in {folder}: looked for {looked_for}; it is available from {_HOME}")


def _download(folder: Path) -> None:
    """The published archive, and of what is in it the files of the data set alone, each at a name of our choosing."""
    fetch([_ARCHIVE], folder)
    target = folder / "cifar-10-batches-bin"
    target.mkdir(exist_ok=True)
    try:
        with tarfile.open(folder / _ARCHIVE.name) as archive:
            for name in reversed([f"{name}.bin" for name in _CHECKSUMS]):  # the one looked for comes last
                member = archive.extractfile(f"cifar-10-batches-bin/{name}")
                if member is None:
                    raise KeyError(name)
                with replacing(target / name) as temporary:
                    temporary.write_bytes(member.read(_LARGEST_BATCH_FILE + 1))
    except (tarfile.TarError, KeyError, EOFError, zlib.error) as error:
        raise InputError(
            f"{folder / _ARCHIVE.name}: damaged, or not the published archive; delete it and download again"
        ) from error


def _read_pickles(folder: Path) -> Splits:
    def read(name: str) -> tuple[np.ndarray, np.ndarray]:
        content = read_bytes(folder / name, _LARGEST_BATCH_FILE)
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != _CHECKSUMS[name]:
            raise InputError(
                f"{folder / name}: not the published file (its MD5 differs), so it is not unpickled; fetch it again from {_HOME}"
            )
        batch: dict[bytes, Any] = pickle.loads(content, encoding="bytes")  # these very bytes were checked
        return np.asarray(batch[b"data"]), np.asarray(batch[b"labels"])

    return {"train": _join(folder, _TRAIN_BATCHES, read), "test": _join(folder, ("test_batch",), read)}


def _read_binaries(folder: Path) -> Splits:
    def read(name: str) -> tuple[np.ndarray, np.ndarray]:
        content = np.frombuffer(read_bytes(folder / name, _LARGEST_BATCH_FILE), np.uint8)
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
        raise InputError(f"{path}: missing, and CIFAR-10 is not complete without it; it is available from {_HOME}")
