"""One writer at a time: a lock file beside the surface file, which the kernel lets go of however its process ends."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from landscape.errors import InputError
from landscape.io.safe_hdf5 import sanitize

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]

__all__ = ["check_free", "check_untouched", "let_go", "lock_for_writing", "shared"]

_LONGEST_NAME = 200  # bytes of a file's name that its lock file repeats; a folder takes 255
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
_FULL = (errno.ENOSPC, errno.EDQUOT)
_HOLDER = re.compile(r"process (\d+) on (\S+) since (\S+ \S+)")
_held: set[int] = set()  # descriptors of the lock files of this process
_looks: dict[Path, tuple[int, ...] | None] = {}  # how the files this process keeps looked when it began


def _forget() -> None:
    """A forked child, such as a data loader's worker, shares our locks until it closes them: it must not outlive us with them."""
    while _held:
        with suppress(OSError):
            os.close(_held.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@contextmanager
def lock_for_writing(path: str | os.PathLike[str], note: Callable[[str], None] = lambda text: None) -> Iterator[None]:
    """Keep a surface file to this process: nobody else of this package writes it inside, and readers are not in the way.

    The lock is flock's on `.<name>.lock` in the file's folder, which says who holds it. It ends with its process, so that what a
    killed one leaves there blocks nobody.

    Args:
        path: the surface file, there or not; a link stands for what it leads to.
        note: is told in one line where the file system does not lock.

    Raises:
        InputError: when another process is writing the file, or no lock file can be made.
    """
    target = Path(os.path.realpath(path))
    descriptor = _acquired(path, target, note)
    owner = os.getpid()
    try:
        let_go(shared(path))  # a program that has the file itself open for writing
        _looks[target] = _look(target)
        yield
    finally:
        _looks.pop(target, None)
        if descriptor is not None and os.getpid() == owner:
            with suppress(OSError):
                os.unlink(_lock_file(target))  # first: nobody else can hold this name's lock while we do
            _held.discard(descriptor)
            os.close(descriptor)


def check_free(path: str | os.PathLike[str]) -> None:
    """Refuse a file that another process is writing, before any work is done; `writing` is what keeps it.

    Raises:
        InputError: when another process is writing it.
    """
    if os.path.lexists(_lock_file(Path(os.path.realpath(path)))):
        with lock_for_writing(path):
            pass


def check_untouched(path: str | os.PathLike[str]) -> None:
    """Refuse a file that others changed, made or removed since this process keeps it, before it is written for the first time.

    Raises:
        InputError: when they did.
    """
    target = Path(os.path.realpath(path))
    if target in _looks and _look(target) != _looks[target]:
        raise InputError(f"{path}: was changed by another program since this run began; nothing was written, run it again")


def _look(target: Path) -> tuple[int, ...] | None:
    """What changes when a file is replaced or written; None where there is none."""
    try:
        now = os.stat(target)
    except OSError:
        return None
    return now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns


def shared(path: str | os.PathLike[str]) -> int | None:
    """A descriptor of a file that keeps programs with HDF5's own locks from opening it for writing, but not for reading.

    None where there is no file, or no locks. Closing it ends the hold.

    Raises:
        InputError: when such a program has it open for writing.
    """
    if fcntl is None:
        return None
    descriptor = None
    try:
        descriptor = os.open(path, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        let_go(descriptor)
        raise InputError(f"{path}: another process has it open for writing; wait for it to end, or choose another name") from None
    except OSError:
        let_go(descriptor)
        return None
    return descriptor


def _lock_file(target: Path) -> Path:
    name = os.fsencode(target.name)
    if len(name) > _LONGEST_NAME:
        name = name[:_LONGEST_NAME] + hashlib.sha256(name).hexdigest()[:12].encode()
    return target.with_name(os.fsdecode(b"." + name + b".lock"))


def _acquired(path: str | os.PathLike[str], target: Path, note: Callable[[str], None]) -> int | None:
    """The descriptor of the lock file, locked; None where the file system does not lock."""
    lock = _lock_file(target)
    while True:
        descriptor = _opened(path, lock)
        try:
            if fcntl is None:
                raise OSError(errno.ENOSYS, "no locks")
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(descriptor)
            os.close(descriptor)
            raise InputError(f"{path}: {holder} is writing it; wait for it to end, or choose another name") from None
        except OSError as error:
            os.close(descriptor)
            if error.errno not in _NO_LOCKS:
                raise InputError(f"{path}: its lock file {lock} cannot be locked ({error.strerror}); remove it") from error
            with suppress(OSError):
                lock.unlink()
            note(f"{path}: this file system does not lock files; make sure that no other process writes this one")
            return None
        if _is_at(descriptor, lock):
            break
        os.close(descriptor)  # its last holder removed it while we waited for it
    _held.add(descriptor)
    with suppress(OSError):  # only words: on a full disk there are none
        since = datetime.now().astimezone().isoformat(" ", "seconds")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()} since {since}\n".encode(), 0)
    return descriptor


def _opened(path: str | os.PathLike[str], lock: Path) -> int:
    safe = getattr(os, "O_NOFOLLOW", 0)  # a link in its place leads to nothing that is ours to write
    try:
        try:
            return os.open(lock, os.O_RDWR | os.O_CREAT | safe, 0o666)
        except PermissionError:  # made by somebody else; it can be locked all the same
            return os.open(lock, os.O_RDONLY | safe)
    except OSError as error:
        if error.errno in _FULL:
            raise InputError(f"{path}: the disk is full; free some space or choose another folder") from error
        if lock.is_symlink() or lock.exists():
            raise InputError(f"{path}: its lock file {lock} cannot be opened ({error.strerror}); remove it") from error
        raise InputError(f"{path}: cannot be written ({error.strerror or error}); choose another folder") from error


def _holder(descriptor: int) -> str:
    """Who holds a lock, by what he wrote into it."""
    try:
        found = _HOLDER.match(sanitize(os.pread(descriptor, 400, 0).decode("utf-8", errors="replace").strip()))
    except OSError:
        found = None
    if found is None:
        return "another process"
    pid, host, since = found.groups()
    if (pid, host) == (str(os.getpid()), socket.gethostname()):
        return f"this very process (since {since})"
    return f"another process ({pid} on {host}, since {since})"


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether a name still leads to the file that a descriptor stands for."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def let_go(descriptor: int | None) -> None:
    """Close a descriptor, where there is one."""
    if descriptor is not None:
        os.close(descriptor)
