"""Recording into a surface file while a sweep runs."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path

import h5py

from landscape.errors import InputError, RunError
from landscape.store.lock import let_go, shared
from landscape.store.untrusted import clean
from landscape.store.writing import Arrays, write
from landscape.surface import Surface

__all__ = ["Recorder"]

_FLUSH_SECONDS = 1.0  # at most so long apart, and as often as costs a fiftieth of the time
_FLUSH_SHARE = 50
_NUMBERS_A_WRITE = 4096  # numbers read and written at once in the time that one takes alone

Pending = list[tuple[str, tuple[int, ...], float]]


class Recorder:
    """A surface file that one sweep records into; only datasets that exist already are written, so a kill costs seconds at most.

    Values reach the disk before their done marks do: a point marked done was measured.

    Raises:
        InputError: when it cannot be written, or a program with HDF5's own locks is writing it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._ended = weakref.finalize(self, let_go, shared(self.path))  # what HDF5's own locks would do, but readers are welcome
        try:
            self._file = h5py.File(self.path, "r+", locking=False)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written ({clean(str(error))[:160]})") from error
        self._inode = os.stat(self.path).st_ino
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
            RunError: when the disk is full.
        """
        if not self._values and not self._marks:
            return
        began = time.monotonic()
        try:
            for pending in (self._values, self._marks):
                self._write(pending)
                self._file.flush()
                pending.clear()
        except OSError as error:
            raise RunError(
                f"{self.path}: cannot be written any more ({clean(str(error))[:160]}); free some space and run again"
            ) from error
        self._flushed = time.monotonic()
        self._interval = min(_FLUSH_SECONDS, _FLUSH_SHARE * (self._flushed - began))

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
            RunError: when another process replaced the file meanwhile.
        """
        self.close()
        if not self.path.exists() or os.stat(self.path).st_ino != self._inode:
            raise RunError(
                f"{self.path}: was replaced or removed by another process while this one computed; nothing more was written"
            )
        write(surface, self.path, directions, keep=self.path)

    def close(self) -> None:
        """Flush and close; calling it twice is harmless."""
        if self._file:
            self.flush()
            self._file.close()
        self._ended()
