"""Writing files so that a name never bears a half-written one."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from landscape.errors import InputError

__all__ = ["check_target", "replacing"]


def check_target(path: str | os.PathLike[str], overwrite: bool = True, suffixes: Sequence[str] = ()) -> Path:
    """Refuse before any work what could not be written at the end, and return the path.

    Raises:
        InputError: when the path is a folder or exists (unless `overwrite`), its folder is missing or not writable, or its
            extension is none of `suffixes`.
    """
    path = Path(path)
    if suffixes and path.suffix.lower() not in suffixes:
        raise InputError(f'{path}: unknown extension "{path.suffix}"; it has to be one of {", ".join(suffixes)}')
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise InputError(f"{path}: the name is too long; choose another name") from None
        mode = None
    if mode is not None:
        _check_taken(path, mode, overwrite)
    if not os.path.isdir(path.parent):
        what = "is not a folder" if os.path.lexists(path.parent) else "does not exist; create it first"
        raise InputError(f"{path}: the folder {path.parent} {what}")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{path}: the folder {path.parent} is not writable; choose another")
    return path


def _check_taken(path: Path, mode: int, overwrite: bool) -> None:
    if stat.S_ISDIR(mode):
        raise InputError(f"{path}: is a folder; name a file in it")
    if not stat.S_ISREG(mode):  # renaming over a device would replace it
        raise InputError(f"{path}: is not a file but a device or pipe; choose another name")
    if not overwrite:
        raise InputError(f"{path}: exists already; choose another name or say --overwrite")
    if not os.access(path, os.W_OK):
        raise InputError(f"{path}: is read-only; choose another name")


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary name in the same folder, renamed to `path` at the end; whatever fails leaves `path` as it was.

    Raises:
        InputError: when the disk is full or the folder cannot be written.
    """
    path = check_target(path)
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:40]}.", suffix=".part", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        temporary.chmod(0o666 & ~_umask())
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(f"{path}: the disk is full; free some space or choose another folder") from error
        raise InputError(f"{path}: cannot be written ({error.strerror or error}); choose another folder") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
