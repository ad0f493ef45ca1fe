"""Writing files so that a name never bears a half-written one."""

from __future__ import annotations

import errno
import os
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
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name a file in it")
    if path.exists() and not overwrite:
        raise InputError(f"{path}: exists already; choose another name or say --overwrite")
    if not path.parent.is_dir():
        raise InputError(f"{path}: the folder {path.parent} does not exist; create it first")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{path}: the folder {path.parent} is not writable; choose another")
    return path


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary name in the same folder, renamed to `path` at the end; whatever fails leaves `path` as it was.

    Raises:
        InputError: when the disk is full or the folder cannot be written.
    """
    path = check_target(path)
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        temporary.chmod(0o666 & ~_umask())
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if error.errno == errno.ENOSPC or "No space left" in str(error) or "errno = 28" in str(error):
            raise InputError(f"{path}: the disk is full; free some space or choose another folder") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise InputError(f"{path}: the folder {path.parent} is not writable; choose another") from error
        raise
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
