"""MNIST and Fashion-MNIST from their idx files (the format: LeCun, Cortes and Burges, "The MNIST database")."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import torch

from landscape.errors import InputError
from landscape.zoo.data.files import Published, fetch, find, identify, read_bytes, read_content, require_folder
from landscape.zoo.data.splits import Splits

__all__ = ["COLLECTIONS", "idx_images"]

_SIZES = {"train": 60_000, "t10k": 10_000}  # images in each file
_SIDE = 28
_LONGEST = 64 * 2**20  # bytes; the largest of the files has 47 million
_N_CLASSES = 10
_IMAGES, _LABELS = 0x0803, 0x0801  # the first four bytes: unsigned bytes, three axes or one
_HOMES = {"mnist": "https://ossci-datasets.s3.amazonaws.com/mnist/", "fashion": "https://github.com/zalandoresearch/fashion-mnist"}
_ADDRESSES = {"mnist": _HOMES["mnist"], "fashion": f"{_HOMES['fashion']}/raw/master/data/fashion/"}
_TITLES = {"mnist": "MNIST", "fashion": "Fashion-MNIST"}
# SHA-256 of the files as published, packed by gzip
_DIGESTS = {
    "mnist": {
        "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
    "fashion": {
        "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
}
# SHA-256 of the unpacked files of MNIST, known also where only somebody's unpacked copy is left
_UNPACKED = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
COLLECTIONS = tuple(_DIGESTS)


def idx_images(collection: str, data_dir: str | os.PathLike[str] | None, download: bool = False) -> Splits:
    """MNIST or Fashion-MNIST: images uint8 `(n, 1, 28, 28)`, labels int64 `(n,)`, in original order.

    Args:
        collection: "mnist" or "fashion".
        data_dir: a folder with the four files, packed (.gz, then their SHA-256 has to be the published one) or unpacked; or the folder
            around one named `mnist` or `fashion`.
        download: fetch the files that are missing, into the folder so named.

    Raises:
        InputError: when files are missing, truncated, swapped, or not what they should be.
    """
    title, home = _TITLES[collection], _HOMES[collection]
    folder = require_folder(data_dir, title, home)
    inner = folder / collection
    if download and not (folder / "train-images-idx3-ubyte.gz").exists():
        fetch([Published(name, digest, _ADDRESSES[collection] + name) for name, digest in _DIGESTS[collection].items()], inner)
    found: Splits = {}
    for split, part in (("train", "train"), ("test", "t10k")):
        images = _read(collection, [folder, inner], f"{part}-images-idx3-ubyte", _IMAGES, (_SIZES[part], _SIDE, _SIDE))
        labels = _read(collection, [folder, inner], f"{part}-labels-idx1-ubyte", _LABELS, (_SIZES[part],))
        if int(labels.max()) >= _N_CLASSES:
            raise InputError(f"{folder}: {part}-labels-idx1-ubyte has the label {labels.max()}, {title} has 0 to {_N_CLASSES - 1}")
        found[split] = torch.from_numpy(images.copy()).unsqueeze(1), torch.from_numpy(labels.astype(np.int64))
    return found


def _read(collection: str, folders: list[Path], name: str, magic: int, shape: tuple[int, ...]) -> np.ndarray:
    title, home = _TITLES[collection], _HOMES[collection]
    path = find(folders, [f"{name}.gz", name], title, home)
    content = read_content(path, _LONGEST)
    kind = int.from_bytes(content[:4], "big")
    if kind in (_IMAGES, _LABELS) and kind != magic:
        raise InputError(
            f"{path}: holds {'labels' if kind == _LABELS else 'images'}; two files were swapped, give each its name again"
        )
    if kind != magic:
        raise InputError(f"{path}: no idx file of {'images' if magic == _IMAGES else 'labels'}; fetch it again from {home}")
    start = 4 + 4 * len(shape)
    sizes = tuple(int(size) for size in np.frombuffer(content[4:start], ">u4"))
    if sizes != shape:
        raise InputError(f"{path}: says it holds {sizes}, that of {title} {shape}; fetch it again from {home}")
    if len(content) != start + int(np.prod(shape)):
        raise InputError(
            f"{path}: truncated or changed, {len(content):,} bytes of {start + int(np.prod(shape)):,}; fetch it again from {home}"
        )
    _identify(collection, path, content, home)
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _identify(collection: str, path: Path, content: bytes, home: str) -> None:
    if path.suffix == ".gz":
        identify(path, read_bytes(path), path.name, _DIGESTS[collection], home)
    elif collection == "mnist":
        identify(path, content, path.name, _UNPACKED, home)
    elif hashlib.sha256(content).hexdigest() in _UNPACKED.values():
        raise InputError(f"{path}: is MNIST's file of that name, not Fashion-MNIST's; fetch it from {home}")
