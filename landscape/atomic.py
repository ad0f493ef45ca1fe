"""Writing files so that a name never bears a half-written one."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from landscape.errors import InputError

__all__ = ["check_target", "made_folder", "replacing"]


def check_target(path: str | os.PathLike[str], overwrite: bool = True, suffixes: Sequence[str] = ()) -> Path:
    """Refuse before any work what could not be written at the end, and return the path.

    A link to a file stands for that file.

    Raises:
        InputError: when the path names no file, is a folder, a link that leads nowhere, or exists (unless `overwrite`), its folder is
            missing or not writable, or its extension is none of `suffixes`.
    """
    path = _named(path)
    if suffixes and path.suffix.lower() not in suffixes:
        raise InputError(f'{path}: unknown extension "{path.suffix}"; it has to be one of {", ".join(suffixes)}')
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise InputError(f"{_shortened(path)}: the name is too long; choose another name") from None
        if why := _missing_goal(path):
            raise InputError(f"{path}: {why}; remove it, or choose another name") from None
        mode = None
    if mode is not None:
        _check_taken(path, mode, overwrite)
    folder = Path(os.path.realpath(path)).parent if path.is_symlink() else path.parent
    if not os.path.isdir(folder):
        what = "is not a folder" if os.path.lexists(folder) else "does not exist; create it first"
        raise InputError(f"{path}: the folder {path.parent} {what}")
    if not os.access(folder, os.W_OK):
        raise InputError(f"{path}: the folder {folder} is not writable; choose another")
    return path


def made_folder(path: str | os.PathLike[str]) -> Path:
    """A folder to write several files into, made where it is missing.

    Raises:
        InputError: when the path names nothing, is a file or a link that leads nowhere, or cannot be made or written.
    """
    if not os.fspath(path):
        raise InputError('the name of the folder to write is empty (""); name a folder, for example with --out')
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        why = _missing_goal(folder) or ("it is a file" if os.path.exists(folder) else getattr(error, "strerror", None) or error)
        raise InputError(f"{_shortened(folder)}: cannot be created ({why}); choose another --out") from error
    if not os.access(folder, os.W_OK):
        raise InputError(f"{folder}: is not writable; choose another --out")
    return folder


def _missing_goal(path: Path) -> str:
    """Why a link leads to nothing, in words; empty for what is no such link."""
    if not os.path.islink(path) or os.path.exists(path):
        return ""
    try:
        os.stat(path)
    except OSError as error:
        if error.errno == errno.ELOOP:
            return "it is a link that goes round in a loop"
    return f"it is a link to {os.readlink(path)}, which is not there"


def _named(path: str | os.PathLike[str]) -> Path:
    """A path that names a file, whatever is there."""
    try:
        text = os.fsdecode(path)
    except TypeError:
        raise InputError(f"{path!r} is not a path; give a string or a Path") from None
    if not text:
        raise InputError('the name of the file to write is empty (""); name a file')
    if "\0" in text:
        raise InputError(f"{text!r}: a file name cannot contain a zero byte; choose another name")
    if os.path.basename(text) in ("", os.curdir, os.pardir):
        what = "is a folder" if os.path.isdir(text) else "names a folder"
        raise InputError(f"{text}: {what}; name a file in it")
    return Path(text)


def _shortened(path: Path) -> str:
    """A name that is too long, short enough to be read."""
    return str(path) if len(str(path)) <= 300 else f"{str(path)[:150]}…{str(path)[-20:]}"


def _check_taken(path: Path, mode: int, overwrite: bool) -> None:
    if stat.S_ISDIR(mode):
        raise InputError(f"{path}: is a folder; name a file in it")
    if not stat.S_ISREG(mode):  # renaming over a device would replace it
        raise InputError(f"{path}: is not a file but a device or pipe; choose another name")
    if not overwrite:
        raise InputError(f"{path}: already exists; choose another name or pass --overwrite")
    if not os.access(path, os.W_OK):
        raise InputError(f"{path}: is read-only; choose another name")


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary name in the same folder, renamed to `path` at the end; whatever fails leaves `path` as it was.

    A link to a file stays, and the file it leads to is replaced. The mode of the file replaced is kept, and as far as the system
    lets us its owner and extended attributes.

    Raises:
        InputError: when the disk is full or the folder cannot be written.
    """
    path = check_target(path)
    target = Path(os.path.realpath(path))
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name[:40]}.", suffix=".part", dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        _dress(temporary, target)
        yield temporary
        os.replace(temporary, target)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(f"{path}: the disk is full; free some space or choose another folder") from error
        raise InputError(f"{path}: cannot be written ({error.strerror or error}); choose another folder") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _dress(temporary: Path, target: Path) -> None:
    """Give a new file the owner, mode and extended attributes of the one it will replace, or the mode of any new file."""
    if not target.exists():
        temporary.chmod(0o666 & ~_umask())
        return
    before, own = target.stat(), temporary.stat()
    if (before.st_uid, before.st_gid) != (own.st_uid, own.st_gid):
        with suppress(OSError):
            os.chown(temporary, -1, before.st_gid)  # a member of the group may do that much
            os.chown(temporary, before.st_uid, -1)
    with suppress(OSError):
        shutil.copystat(target, temporary)  # access lists among them
    temporary.chmod(stat.S_IMODE(before.st_mode) & 0o777)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
