"""Recording into a surface file while a sweep runs."""

from __future__ import annotations

import errno
import itertools
import os
import stat
import tempfile
import time
import weakref
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np

from landscape.core.surface import Surface
from landscape.errors import InputError, RunError
from landscape.io.lock import let_go, shared
from landscape.io.safe_hdf5 import sanitize
from landscape.io.writing import Arrays, write

__all__ = ["DisplacedError", "FileWriter"]

_FLUSH_SECONDS = 1.0  # at most so long apart, and as often as costs a fiftieth of the time
_FLUSH_SHARE = 50
_NUMBERS_A_WRITE = 4096  # numbers read and written at once in the time that one takes alone

Pending = list[tuple[str, tuple[int, ...], float]]


class DisplacedError(RunError):
    """A file can no longer be recorded into: it is gone, another is in its place, or the disk takes nothing more."""


class FileWriter:
    """A surface file that one sweep records into; only datasets that exist already are written, so a kill costs seconds at most.

    Values reach the disk before their done marks do: a point marked done was measured.

    Raises:
        InputError: when it cannot be written, or a program with HDF5's own locks is writing it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._place = Path(os.path.realpath(path))  # a link may lead elsewhere one day
        self._ended = weakref.finalize(self, let_go, shared(self._place))  # what HDF5's own locks would do, but readers are welcome
        try:
            self._file = h5py.File(self._place, "r+", locking=False)
            self._file.flush()
            self._seen = os.stat(self._place)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written ({sanitize(str(error))[:160]})") from error
        self._values: Pending = []
        self._marks: Pending = []
        self._flushed = time.monotonic()
        self._interval = 0.0

    def record(
        self, points: Iterable[tuple[tuple[int, ...], Iterable[tuple[str, float]]]], seconds_between: float | None = None
    ) -> None:
        """Take what was measured at some grid indices, as (dataset name, number) each; one flush later writes them together."""
        for index, numbers in points:
            for name, value in numbers:
                (self._marks if name.startswith("done/") else self._values).append((name, index, value))
        if time.monotonic() - self._flushed >= (self._interval if seconds_between is None else seconds_between):
            self.flush()

    def flush(self) -> None:
        """Bring what was recorded to the disk: the values first, then the marks that they are there.

        Raises:
            DisplacedError: when that cannot be; `moved` goes on elsewhere.
        """
        if not self._values and not self._marks:
            return
        began = time.monotonic()
        self._check_place()
        try:
            for pending in (self._values, self._marks):
                self._write(pending)
                self._file.flush()
                pending.clear()
        except OSError as error:
            raise DisplacedError(f"{self.path}: cannot be written any more ({_reason(error)})") from error
        self._flushed = time.monotonic()
        self._interval = min(_FLUSH_SECONDS, _FLUSH_SHARE * (self._flushed - began))

    def _check_place(self) -> None:
        """Whether the file is still where it was; its size never changes while it is recorded into."""
        try:
            now = os.stat(self._place)
        except OSError:
            raise DisplacedError(f"{self.path}: was removed by another program while this run wrote it") from None
        if not os.path.samestat(now, self._seen) or now.st_size != self._seen.st_size:
            raise DisplacedError(f"{self.path}: was replaced by another program while this run wrote it")

    def _write(self, pending: Pending) -> None:
        """Write numbers into their datasets: one by one, or where that takes longer, with the whole dataset read and written once."""
        by_name: dict[str, Pending] = {}
        for entry in pending:
            by_name.setdefault(entry[0], []).append(entry)
        for name, entries in by_name.items():
            dataset = self._file[name]
            target = dataset[...] if len(entries) * _NUMBERS_A_WRITE >= dataset.size else dataset
            for _, index, value in entries:
                target[index] = value
            if target is not dataset:
                dataset[...] = target

    def finish(self, surface: Surface, directions: Mapping[str, Arrays] | None) -> None:
        """Replace the file by its final form, checks and numbers included, in one step.

        Raises:
            DisplacedError: when the file is gone, or the disk takes nothing more.
            RunError: when the values are in it, but there is no room for its final form.
        """
        self.flush()
        self._check_place()
        if not self._holds(surface):
            raise DisplacedError(f"{self.path}: was written over by another program while this run wrote it")
        self.close()
        try:
            write(surface, self._place, directions, keep=self._place)
        except InputError as error:
            reason = _reason(error.__cause__) if isinstance(error.__cause__, OSError) else str(error).partition(": ")[2]
            raise RunError(
                f"{self.path}: every value is in it, but its last checks and numbers could not be written ({reason}); "
                "run the same command again when they can"
            ) from error

    def _holds(self, surface: Surface) -> bool:
        """Whether the bytes on the disk are the values that were recorded, whoever wrote them last."""
        with open(self._place, "rb") as raw:
            for key, values in surface.values.items():
                offset = self._file[f"values/{key}"].id.get_offset()
                if offset is None:
                    continue
                raw.seek(offset)
                found = np.frombuffer(raw.read(values.nbytes), dtype=np.float64)
                if not np.array_equal(found, values.ravel(), equal_nan=True):
                    return False
        return True

    def moved(self, surface: Surface, directions: Mapping[str, Arrays] | None) -> FileWriter:
        """A recorder into a new file with all that was measured, beside the one that is lost to us.

        Raises:
            OSError: when there is room nowhere.
        """
        self._abandon()
        places = (self._place.parent, Path.cwd(), Path(tempfile.gettempdir()))
        for n, folder in enumerate(places):
            try:
                place = _new_file(folder, self._place, stat.S_IMODE(self._seen.st_mode))
                try:
                    return FileWriter(write(surface, place, directions))
                except BaseException:
                    place.unlink()
                    raise
            except (InputError, OSError) as error:
                if n == len(places) - 1:
                    raise OSError(str(error)) from error
        raise OSError("no place to write to")

    def _abandon(self) -> None:
        """Close without another byte: HDF5 writes once more as it closes a file, and what lies there now may be somebody's."""
        with suppress(OSError, RuntimeError, ValueError):
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, self._file.id.get_vfd_handle())
            os.close(nowhere)
            self._file.close()
        self._ended()

    def close(self) -> None:
        """Flush and close; calling it twice is harmless."""
        if self._file:
            self.flush()
            self._file.close()
        self._ended()


def _new_file(folder: Path, like: Path, mode: int) -> Path:
    """An empty file in a folder under a name that nobody has."""
    for n in itertools.count(1):
        path = folder / f"{like.stem[:60]}.rescued-{n}{like.suffix[:10]}"
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
            return path
    raise OSError("no name is free")


def _reason(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error):
        return "the disk is full"
    return sanitize(error.strerror or str(error))[:160]
