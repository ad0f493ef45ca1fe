"""Reading HDF5 files of unknown origin: every size is checked first, and no link or external storage is followed."""

from __future__ import annotations

import errno
import math
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from landscape.errors import InputError, MissingFileError

__all__ = [
    "MAX_ENTRIES",
    "MAX_POINTS",
    "MAX_TEXT",
    "MAX_WEIGHTS",
    "check_within",
    "find",
    "find_group",
    "find_numbers",
    "has",
    "open_checked",
    "read_attributes",
    "sanitize",
    "shortened",
]

MAX_POINTS = 10_000_000  # of a surface
MAX_WEIGHTS = 1_000_000_000  # numbers in a set of directions
MAX_ENTRIES = 100_000  # in one group
MAX_TEXT = 65_536


_LONGEST_NAME = 300
_WHY_NOT: dict[int | None, str] = {
    errno.ENAMETOOLONG: "the name is too long to be a file's",
    errno.ELOOP: "a link that goes round in a loop",
    errno.EACCES: "no permission to read it",
    errno.EPERM: "no permission to read it",
}


def _none(name: str) -> bool:
    return False


@contextmanager
def open_checked(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file open for reading; whatever HDF5 stumbles over in it becomes one line.

    Raises:
        InputError: when the file is missing, no HDF5, truncated or damaged.
    """
    name = shortened(path)
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        leads = f"; it is a link to {os.readlink(path)}, which is not there" if os.path.islink(path) else ""
        raise MissingFileError(f"{name}: no such file{leads}") from None
    except (OSError, ValueError) as error:
        why = _WHY_NOT.get(getattr(error, "errno", None), "is no name of a file")
        raise InputError(f"{name}: {why}") from None
    if not stat.S_ISREG(mode):  # a folder, or a pipe that would block
        raise InputError(f"{name}: not a file; name an HDF5 file")
    try:
        # Without locking: a reader must neither wait for a running sweep nor make it fail.
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except InputError as error:
        text = str(error)
        if len(text) > 2 * _LONGEST_NAME:  # it tells what somebody wrote into the file
            raise InputError(f"{text[:_LONGEST_NAME]}…{text[-100:]}") from None
        raise
    except PermissionError:
        raise InputError(f"{name}: no permission to read it") from None
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, OverflowError, MemoryError, UnicodeError) as error:
        if isinstance(error, OSError) and error.errno == errno.EACCES:
            raise InputError(f"{name}: no permission to read it") from None
        raise InputError(f"{name}: not HDF5, truncated or damaged ({sanitize(str(error))[:160]})") from None


def shortened(name: Path | str) -> str:
    """A name as messages tell it: whole, unless it is longer than anybody reads."""
    text = str(name)
    return text if len(text) <= _LONGEST_NAME else f"{text[:100]}…{text[-50:]}"


def sanitize(text: str) -> str:
    """Text of unknown origin as one printable line."""
    return "".join(character if character.isprintable() else "?" for character in text[:MAX_TEXT])


def has(group: h5py.Group, name: str) -> bool:
    """Whether there is a link of that name; `name in group` would already open the file that a link points to."""
    return bool(group.id.links.exists(name.encode()))


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


def find_group(group: h5py.Group, name: str, path: Path) -> h5py.Group | None:
    """The group `name` with names that can be shown, or None where there is none.

    Raises:
        InputError: when it is something else, or its entries are too many or hide control characters in their names.
    """
    if not has(group, name):
        return None
    found, place = find(group, name, path), _place(group, name)
    if not isinstance(found, h5py.Group):
        raise InputError(f'{path}: "{place}" is not a group')
    if len(found) > MAX_ENTRIES:
        raise InputError(f'{path}: "{place}" has {len(found)} entries, more than the {MAX_ENTRIES} that are read')
    odd = next((entry for entry in found if not entry.isprintable()), None)
    if odd is not None:
        raise InputError(f'{path}: "{place}" has an entry with control characters in its name, {sanitize(odd)!r}')
    return found


def find_numbers(group: h5py.Group, name: str, path: Path, limit: int, kinds: str = "fiu") -> h5py.Dataset:
    """The dataset `name`, unread, once it is known to hold at most `limit` plain numbers within the file.

    Args:
        group: where it is.
        name: its name there.
        path: the file, for messages.
        limit: how many numbers are read at most.
        kinds: numpy's letters for the kinds of numbers allowed; "c" is complex.

    Raises:
        InputError: when it does not.
    """
    dataset, place = find(group, name, path), _place(group, name)
    if not isinstance(dataset, h5py.Dataset):
        raise InputError(f'{path}: "{place}" is not an array')
    if (
        dataset.dtype.kind not in kinds
        or dataset.dtype.itemsize > (16 if dataset.dtype.kind == "c" else 8)
        or dataset.shape is None
    ):
        raise InputError(f'{path}: "{place}" does not hold plain numbers but {sanitize(str(dataset.dtype))}')
    check_within(dataset, place, path)
    if dataset.size > limit:
        raise InputError(f'{path}: "{place}" has {dataset.size} numbers, more than the {limit} that are read')
    if dataset.chunks is not None and math.prod(dataset.chunks) > max(limit, MAX_POINTS):  # one is unpacked as a whole
        raise InputError(f'{path}: "{place}" is packed in chunks of {math.prod(dataset.chunks)} numbers, which are not read')
    return dataset


def check_within(dataset: h5py.Dataset, place: str, path: Path) -> None:
    """Refuse a dataset whose content lies in other files.

    Raises:
        InputError: when it does.
    """
    if dataset.is_virtual or dataset.external:
        raise InputError(f'{path}: "{place}" keeps its numbers in other files, and they are not read')


def read_attributes(item: h5py.Group | h5py.Dataset, path: Path, numbers: Callable[[str], bool] = _none) -> dict[str, Any]:
    """The attributes of a group or dataset that are texts, numbers or short lists of either; others are left out.

    Args:
        item: what bears them.
        path: the file, for messages.
        numbers: says by name which have to be numbers.

    Raises:
        InputError: when one of those is not.
    """
    result: dict[str, Any] = {}
    for raw in item.attrs:
        kind, name = item.attrs.get_id(raw), sanitize(raw)
        n_entries = int(np.prod(kind.shape)) if kind.shape else 1
        if n_entries > 1000 or name in ("CLASS", "NAME", "REFERENCE_LIST", "DIMENSION_LIST"):
            continue
        value = item.attrs[raw]
        if isinstance(value, bytes):
            value = value.decode("utf-8", errors="replace")
        if isinstance(value, str):
            result[name] = sanitize(value)
        elif isinstance(value, np.generic) and value.dtype.kind in "fiub":
            result[name] = _plain(value).item()
        elif isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "fiu":
            result[name] = _plain(value).tolist()
        elif isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind == "O":
            result[name] = [sanitize(str(text)) for text in value]
        if name in result and numbers(name) and not isinstance(result[name], int | float):
            place = f' of "{(item.name or "").strip("/")}"' if item.name != "/" else ""
            raise InputError(f'{path}: the attribute "{name}"{sanitize(place)} is not a number')
    return result


def _plain(value: Any) -> Any:
    """Numbers that Python has: of more than 64 bits it has none."""
    return value.astype(np.float64) if value.dtype.itemsize > 8 else value


def _place(group: h5py.Group, name: str) -> str:
    return sanitize(f"{(group.name or '').strip('/')}/{name}".lstrip("/"))
