"""Putting parts of one surface together, which processes computed that knew nothing of each other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np

from landscape.atomic import check_target
from landscape.core.agreement import agree
from landscape.core.surface import BY_METRIC, Surface
from landscape.errors import InputError
from landscape.measures import measure
from landscape.measures.values import nan_counts
from landscape.progress import Progress
from landscape.sweep.resume import check_same, describe_changes, positions, with_intervals

__all__ = ["merge"]

_AGREEMENT = 1e-5  # of a value that two files hold, relative: other machines round otherwise, other code or data is further off

_ADVICE = "merge files of one subject"

Path = str | os.PathLike[str]


def merge(
    files: Sequence[Path], to: Path | None = None, *, overwrite: bool = False, basin_level: float | None = None, quiet: bool = False
) -> Surface:
    """Put surface files of one subject together: parts made with `part="i/n"`, or whatever several runs left.

    Kind, axes, directions, weights, data and settings have to agree as for resuming a run; axes may be contained in those of the
    largest file. What several files hold has to agree to 1e-5 and is taken from the first; what none holds is left missing.

    Args:
        files: the parts, in any order.
        to: the file to write; None keeps the surface in memory.
        overwrite: replace a file that is there.
        basin_level: how far above the origin's loss the basin reaches, in nats; as in the files by default.
        quiet: say nothing.

    Returns:
        The surface with the runs of all parts; incomplete where parts are missing.

    Raises:
        InputError: when a file cannot be read, or two do not fit together; nothing is written then.
    """
    from landscape import io  # here, so that surfaces in memory need no h5py

    if not files:
        raise InputError("no input files given: name the parts to merge")
    with Progress(quiet) as progress, ExitStack() as held:
        if to is not None:  # before the parts are read, for one of them may be what is replaced
            held.enter_context(io.lock_for_writing(check_target(to, overwrite), progress.note))
        parts = [(os.fspath(file), io.read(file)) for file in files]
        parts.sort(key=lambda part: -part[1].grid.n_points)  # stable: the first of the largest gives the axes
        fractions = {key for _, part in parts for key in part.low}
        parts = [(name, with_intervals(part, fractions)) for name, part in parts]
        merged = _Merged(*parts[0])
        for name, part in parts[1:]:
            merged.add(name, part)
            if (
                part.runs
                and parts[0][1].runs
                and (
                    changes := describe_changes(
                        part.runs[-1], parts[0][1].runs[-1], f"{name} was made otherwise than {parts[0][0]}:"
                    )
                )
            ):
                progress.note(changes)
        surface = merged.surface()
        if basin_level is not None:
            surface = replace(surface, attributes={**surface.attributes, "basin_level": float(basin_level)})
        surface = replace(surface, numbers=measure(surface))
        if to is not None:
            directions = next((found for name, _ in parts if (found := io.read_directions(name))), None)
            io.write(surface, to, directions)
        n_left = int((~np.logical_and.reduce(list(surface.done.values()))).sum())
        if n_left:
            progress.note(f"{n_left} of {surface.grid.n_points} points are in none of the {len(parts)} files")
    return surface


class _Merged:
    """What the files so far hold together, over the axes of the first."""

    def __init__(self, name: str, first: Surface) -> None:
        self._first, self._names = first, [name]
        self._metrics, self._data = dict(first.metrics), dict(first.data)
        self._data_from = dict.fromkeys(first.data, name)
        self._arrays: dict[str, dict[str, np.ndarray]] = {
            kind: {key: np.array(array) for key, array in getattr(first, kind).items()} for kind in (*BY_METRIC, "examples")
        }
        self._seconds = np.array(first.seconds) if first.seconds is not None else np.zeros(first.shape)
        self._source = {key: np.zeros(first.shape, dtype=np.int64) for key in first.metrics}  # which file a value is from
        self._runs, self._checks, self._points = list(first.runs), dict(first.checks), list(first.points)

    def add(self, name: str, part: Surface) -> None:
        """Take in another file.

        Raises:
            InputError: when it does not fit.
        """
        check_same(part, self._first, name, f"than {self._names[0]}", _ADVICE)
        for split in self._data_from.keys() - self._first.data.keys():  # the first file knows nothing of them
            with_it = replace(self._first, data={split: self._data[split]})
            check_same(part, with_it, name, f"than {self._data_from[split]}", _ADVICE)
        where = np.ix_(*self._positions(part, name))
        self._names.append(name)
        new = np.zeros(part.shape, dtype=bool)
        new_of = {split: np.zeros(part.shape, dtype=bool) for split in part.examples}
        for key, metric in part.metrics.items():
            self._prepare(key, part)
            taken = self._take(key, part, where)
            new |= taken
            if metric.split in new_of:
                new_of[metric.split] |= taken
        for split, mask in new_of.items():
            counts = self._arrays["examples"].setdefault(split, np.zeros(self._first.shape, dtype=np.int64))
            counts[where] = np.where(mask, part.examples[split], counts[where])
        if part.seconds is not None:
            self._seconds[where] = np.where(new, part.seconds, self._seconds[where])
        self._data = {**part.data, **self._data}
        self._data_from = {**dict.fromkeys(part.data, name), **self._data_from}
        self._runs += [run for run in part.runs if str(run) not in {str(other) for other in self._runs}]
        self._take_checks(part)
        known = {point.name for point in self._points}
        self._points = [
            replace(point, values={**next((o.values for o in part.points if o.name == point.name), {}), **point.values})
            for point in self._points
        ] + [point for point in part.points if point.name not in known]

    def surface(self) -> Surface:
        """The surface of all files; its numbers are still those of the first."""
        arrays: dict[str, Any] = dict(self._arrays)
        surface = replace(
            self._first, metrics=self._metrics, seconds=self._seconds, data=self._data, points=tuple(self._points),
            runs=tuple(self._runs), **arrays,
        )  # fmt: skip
        checks = {name: value for name, value in self._checks.items() if not name.startswith("nan_count")}
        return replace(surface, checks={**checks, **nan_counts(surface)})

    def _positions(self, part: Surface, name: str) -> list[np.ndarray]:
        """Where a part's coordinates lie on the first file's axes."""
        found = []
        for axis, whole in zip(part.axes, self._first.axes, strict=True):
            try:
                found += positions(replace(part, axes=(axis,)), replace(self._first, axes=(whole,)), name)
            except InputError:
                raise InputError(
                    f"{name}: its {axis.name} axis ({axis.text}) is not contained in that of {self._names[0]} "
                    f"({whole.text}), the largest file; merge files of one grid, or add one whose axes contain all others"
                ) from None
        return found

    def _prepare(self, key: str, part: Surface) -> None:
        """Room for a metric that no file had so far."""
        if key in self._metrics:
            return
        shape = self._first.shape
        self._metrics[key] = part.metrics[key]
        self._source[key] = np.zeros(shape, dtype=np.int64)
        for kind in ("values", "done"):
            self._arrays[kind][key] = np.full(shape, BY_METRIC[kind])

    def _take(self, key: str, part: Surface, where: tuple[np.ndarray, ...]) -> np.ndarray:
        """Take over the values of a metric that were missing; where they were, as a mask over the part."""
        values, done = self._arrays["values"][key][where], np.asarray(self._arrays["done"][key][where], dtype=bool)
        theirs, measured = part.values[key], np.asarray(part.done[key], dtype=bool)
        both = np.argwhere(done & measured & ~agree(values, theirs, _AGREEMENT * np.maximum(np.abs(values), np.abs(theirs))))
        if both.size:
            index = tuple(int(i) for i in both[0])
            place = ", ".join(f"{axis.name} = {c:g}" for axis, c in zip(part.axes, part.grid.coordinates(index), strict=True))
            other = self._names[int(self._source[key][where][index])]
            raise InputError(
                f"{self._names[-1]}: {key} at {place} is {theirs[index]:.9g}, in {other} {values[index]:.9g}; parts of one surface agree "
                f"to {_AGREEMENT:g}, so they were made by other code, data or precision: measure one of them again"
            )
        new = measured & ~done
        for kind, missing in BY_METRIC.items():
            theirs = getattr(part, kind).get(key)
            if theirs is not None or key in self._arrays[kind]:
                array = self._arrays[kind].setdefault(key, np.full(self._first.shape, missing))
                array[where] = np.where(new, missing if theirs is None else theirs, array[where])
        self._source[key][where] = np.where(new, len(self._names) - 1, self._source[key][where])
        return np.asarray(new)

    def _take_checks(self, part: Surface) -> None:
        """A check passed when it did for every part; of the audit the worst is kept."""
        for name, value in part.checks.items():
            before = self._checks.get(name, value)
            if name == "passed":
                value = min(before, value)
            elif name.startswith("audit_") or name == "repeat_difference":
                value = max(before, value)
            else:
                value = before
            self._checks[name] = value
