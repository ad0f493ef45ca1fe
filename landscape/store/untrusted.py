"""Reading HDF5 files of unknown origin: every size is checked first, and no link or external storage is followed."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from landscape.errors import InputError

__all__ = ["MAX_ENTRIES", "MAX_POINTS", "MAX_TEXT", "MAX_WEIGHTS", "clean", "find", "find_numbers", "opened", "read_attributes"]

MAX_POINTS = 10_000_000  # of a surface
MAX_WEIGHTS = 1_000_000_000  # numbers in a set of directions
MAX_ENTRIES = 100_000  # in one group
MAX_TEXT = 65_536


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file open for reading; whatever HDF5 stumbles over in it becomes one line.

    Raises:
        InputError: when the file is missing, no HDF5, truncated or damaged.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file")
    if not path.is_file():  # a folder, or a pipe that would block
        raise InputError(f"{path}: not a file; name an HDF5 file")
    try:
        # Without locking: a reader must neither wait for a running sweep nor make it fail.
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except InputError:
        raise
    except PermissionError:
        raise InputError(f"{path}: no permission to read it") from None
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, OverflowError, MemoryError, UnicodeError) as error:
        if isinstance(error, OSError) and error.errno == errno.EACCES:
            raise InputError(f"{path}: no permission to read it") from None
        raise InputError(f"{path}: not HDF5, truncated or damaged ({clean(str(error))[:160]})") from None


def clean(text: str) -> str:
    """Text of unknown origin as one printable line."""
    return "".join(character if character.isprintable() else "?" for character in text[:MAX_TEXT])


def find(group: h5py.Group, name: str, path: Path) -> h5py.Dataset | h5py.Group:
    """What is stored under `name` in this very file.

    Raises:
        InputError: when there is nothing, or a link that might lead out of the file.
    """
    link = group.get(name, getlink=True)
    if link is None:
        raise InputError(f'{path}: no dataset "{_place(group, name)}"')
    if not isinstance(link, h5py.HardLink):
        raise InputError(f'{path}: "{_place(group, name)}" is a link, possibly out of the file, and is not followed')
    return group[name]


def find_numbers(group: h5py.Group, name: str, path: Path, limit: int) -> h5py.Dataset:
    """The dataset `name`, unread, once it is known to hold at most `limit` plain numbers within the file.

    Raises:
        InputError: when it does not.
    """
    dataset, place = find(group, name, path), _place(group, name)
    if not isinstance(dataset, h5py.Dataset):
        raise InputError(f'{path}: "{place}" is not an array')
    if dataset.dtype.kind not in "fiu" or dataset.dtype.itemsize > 8 or dataset.shape is None:
        raise InputError(f'{path}: "{place}" does not hold plain numbers but {clean(str(dataset.dtype))}')
    if dataset.is_virtual or dataset.external:
        raise InputError(f'{path}: "{place}" keeps its numbers in other files, and they are not read')
    if dataset.size > limit:
        raise InputError(f'{path}: "{place}" has {dataset.size} numbers, more than the {limit} that are read')
    return dataset


def read_attributes(item: h5py.Group | h5py.Dataset) -> dict[str, Any]:
    """The attributes of a group or dataset that are texts, numbers or short lists of texts; others are left out."""
    result: dict[str, Any] = {}
    for name in item.attrs:
        kind = item.attrs.get_id(name)
        n_entries = int(np.prod(kind.shape)) if kind.shape else 1
        if n_entries > 1000 or name in ("CLASS", "NAME", "REFERENCE_LIST", "DIMENSION_LIST"):
            continue
        value = item.attrs[name]
        if isinstance(value, bytes):
            value = value.decode("utf-8", errors="replace")
        if isinstance(value, str):
            result[name] = clean(value)
        elif isinstance(value, np.generic) and value.dtype.kind in "fiub":
            result[name] = value.item()
        elif isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind == "O":
            result[name] = [clean(str(text)) for text in value]
    return result


def _place(group: h5py.Group, name: str) -> str:
    return clean(f"{(group.name or '').strip('/')}/{name}".lstrip("/"))
