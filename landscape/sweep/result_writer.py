"""The surface being measured: in memory always, and in its file where there is one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from landscape.core.surface import Surface
from landscape.errors import RunError
from landscape.evaluate import Measurement
from landscape.measures.values import nan_counts
from landscape.sweep.paired_errors import PairedErrors

if TYPE_CHECKING:
    from landscape.io import FileWriter

__all__ = ["ResultWriter"]


class ResultWriter:
    """Takes measurements in, and ends with a surface that has its numbers and checks. Several threads may use it.

    Args:
        surface: as it stands before the first measurement; its arrays are filled in place.
        path: its file, written complete here and recorded into from then on; None keeps it in memory.
        directions: to be stored in the file, axis name → parameter name → array.
        paired: keeps what errors of differences take, and measures the surface at the end.
        resumed: whether the file is there and gone on with, so that what others put into it stays.

    Raises:
        InputError: when the file cannot be written.
    """

    def __init__(
        self,
        surface: Surface,
        path: Path | None,
        directions: Mapping[str, Mapping[str, np.ndarray]] | None,
        paired: PairedErrors,
        resumed: bool = False,
    ) -> None:
        self.surface = surface
        self._arrays = _arrays(surface)
        self._lock = threading.RLock()
        self._directions = directions
        self._paired = paired
        self._n_points = 0
        self._started = time.perf_counter()
        self._file: FileWriter | None = None
        self._displaced = ""  # why the file that was asked for is no longer written
        if path is not None:
            from landscape import io  # here, so that surfaces in memory need no h5py

            io.check_untouched(path)
            io.write(surface, path, directions, keep=path if resumed else None)
            self._file = io.FileWriter(path)

    def add(self, measured: Iterable[tuple[tuple[int, ...], Measurement]]) -> None:
        """Take in what the grid points of a block gave, together or not at all; a value stored by an earlier run stays what it was."""
        with self._lock:
            measured = list(measured)
            entries = [(index, self._numbers(index, measurement)) for index, measurement in measured]
            for index, measurement in measured:
                self._paired.add(index, measurement)
            for index, numbers in entries:
                for name, number in numbers:
                    self._arrays[name][index] = number
                self._n_points += any(name.startswith("done/") for name, _ in numbers)
            if self._file is not None:
                self._store(lambda file: file.record(entries))

    def _numbers(self, index: tuple[int, ...], measurement: Measurement) -> list[tuple[str, float]]:
        known = any(mask[index] for mask in self.surface.done.values())  # by an earlier run, whose seconds stay
        numbers: list[tuple[str, float]] = [] if known else [("seconds", measurement.seconds)]
        for key, estimate in measurement.estimates.items():
            if self.surface.done[key][index]:
                continue
            found = {
                f"values/{key}": estimate.value,
                f"values/{key}_stderr": estimate.stderr,
                f"values/{key}_low": estimate.low,
                f"values/{key}_high": estimate.high,
                f"effective/{key}": estimate.effective,
                f"examples/{self.surface.metrics[key].split}": estimate.n_examples,
                f"done/{key}": 1,
            }
            numbers += [(name, number) for name, number in found.items() if name in self._arrays]
        return numbers

    def flush(self) -> None:
        """Bring what was taken in to the disk now."""
        with self._lock:
            if self._file is not None:
                self._store(lambda file: file.flush())

    def finish(self, run: Mapping[str, Any], checks: Mapping[str, Any], interrupted: bool = False) -> Surface:
        """The surface in its final form, numbers and checks included; the file is replaced by it in one step.

        Args:
            run: what else the run says of itself.
            checks: what else was checked.
            interrupted: whether there is no time for errors of differences.

        Raises:
            RunError: when the file cannot be written any more.
        """
        with self._lock:
            return self._finish(run, checks, interrupted)

    def _finish(self, run: Mapping[str, Any], checks: Mapping[str, Any], interrupted: bool) -> Surface:
        run = {**self.surface.runs[-1], "seconds": time.perf_counter() - self._started, "points": self._n_points, **run}
        checks = {**self.surface.checks, **nan_counts(self.surface), **checks}
        surface = replace(self.surface, checks=checks, runs=(*self.surface.runs[:-1], run))
        self.surface = self._paired.complete(surface, interrupted)
        if self._file is not None:
            self._store(lambda file: file.finish(self.surface, self._directions))
            self._file.close()
            if self._displaced:
                raise RunError(f"{self._displaced}; all that was measured is in {self._file.path}")
        return self.surface

    def _store(self, deed: Callable[[FileWriter], None]) -> None:
        """Do something to the file; where it is lost to us, go on in one beside it, which holds all that was measured."""
        from landscape import io

        if self._file is None:
            return
        try:
            deed(self._file)
        except io.DisplacedError as error:
            try:
                self._file = self._file.moved(self.surface, self._directions)
            except OSError as other:
                raise RunError(
                    f"{error}, nor any file beside it ({other}); run the same command again when there is room"
                ) from other
            self._displaced = self._displaced or str(error)


def _arrays(surface: Surface) -> dict[str, np.ndarray]:
    """The surface's arrays by their names in the file."""
    arrays = {f"values/{key}": array for key, array in surface.values.items()}
    for kind in ("stderr", "low", "high"):
        arrays |= {f"values/{key}_{kind}": array for key, array in getattr(surface, kind).items()}
    for kind in ("effective", "done"):
        arrays |= {f"{kind}/{key}": array for key, array in getattr(surface, kind).items()}
    arrays |= {f"examples/{split}": array for split, array in surface.examples.items()}
    if surface.seconds is not None:
        arrays["seconds"] = surface.seconds
    return arrays
