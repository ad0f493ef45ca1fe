"""The surface file (HDF5, format version 1): written complete, read without trust, and recorded into while a sweep runs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from landscape.atomic import replacing
from landscape.errors import InputError, RunError
from landscape.store import goldstein
from landscape.store.reading import MAX_ENTRIES, MAX_POINTS, MAX_WEIGHTS, clean, find, find_numbers, opened, read_attributes
from landscape.surface import Axis, Metric, Number, Point, Surface

__all__ = ["FORMAT", "FORMAT_VERSION", "Recorder", "adopt", "any_directions", "read", "read_directions", "write"]

FORMAT = "landscape-surface"
FORMAT_VERSION = 1
_FLUSH_SECONDS = 1.0

Arrays = Mapping[str, np.ndarray]


def write(surface: Surface, path: str | os.PathLike[str], directions: Mapping[str, Arrays] | None = None) -> Path:
    """Write a surface, finished or not, under a temporary name, then rename it into place.

    Args:
        surface: what to write.
        path: the file; one that exists is replaced.
        directions: axis name → parameter name → array, stored as /direction_x and /direction_y.

    Raises:
        InputError: when the folder is missing or not writable, or the disk is full.
    """
    path = Path(path)
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        _write_header(file, surface)
        scales = [_write_scale(file, axis) for axis in surface.axes]
        for key, metric in surface.metrics.items():
            attributes = {"split": metric.split, "metric": metric.name, "unit": metric.unit}
            _write_array(file, f"values/{key}", surface.values[key], scales, attributes)
            _write_array(file, f"done/{key}", surface.done[key].astype(np.uint8), scales)
            if key in surface.stderr:
                stderr = {**attributes, "description": "standard error of the mean"}
                _write_array(file, f"values/{key}_stderr", surface.stderr[key], scales, stderr)
        for split, counts in surface.examples.items():
            _write_array(file, f"examples/{split}", counts.astype(np.int64), scales)
        if surface.seconds is not None:
            _write_array(file, "seconds", surface.seconds, scales, {"unit": "s"})
        _write_points(file, surface)
        for axis, arrays in (directions or {}).items():
            for name, array in arrays.items():
                file.create_dataset(f"direction_{axis}/{name}", data=array)
    return path


def _write_header(file: h5py.File, surface: Surface) -> None:
    header = {
        **surface.attributes,
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "kind": surface.kind,
        "axes": [axis.name for axis in surface.axes],
        "complete": int(surface.complete),
    }
    _write_attributes(file, header)
    for split, attributes in surface.data.items():
        _write_attributes(file.require_group(f"data/{split}"), attributes)
    _write_attributes(file.require_group("checks"), surface.checks)
    numbers = file.require_group("numbers")
    for name, number in surface.numbers.items():
        parts = {name: number.value, f"{name}_unit": number.unit, f"{name}_bound": number.bound or None}
        _write_attributes(numbers, parts)
    for k, run in enumerate(surface.runs):
        _write_attributes(file.require_group(f"runs/{k}"), run)


def _write_attributes(item: h5py.Group | h5py.Dataset, attributes: Mapping[str, Any]) -> None:
    for name, value in attributes.items():
        if value is None:
            continue
        item.attrs[name] = int(value) if isinstance(value, bool | np.bool_) else value


def _write_scale(file: h5py.File, axis: Axis) -> h5py.Dataset:
    values = axis.values.astype(np.int64) if axis.name == "seed" else axis.values
    scale = file.create_dataset(axis.name, data=values)
    scale.make_scale(axis.name)
    _write_attributes(scale, axis.attributes)
    return scale


def _write_array(
    file: h5py.File, name: str, values: np.ndarray, scales: Sequence[h5py.Dataset], attributes: Mapping[str, Any] | None = None
) -> None:
    dataset = file.create_dataset(name, data=values)
    for dimension, scale in zip(dataset.dims, scales, strict=True):
        dimension.attach_scale(scale)
    _write_attributes(dataset, attributes or {})


def _write_points(file: h5py.File, surface: Surface) -> None:
    """The models in the plane, over a dimension of their own, so that their x and y are not taken for the grid's."""
    points = file.create_group("points")
    if not surface.points:
        return
    columns: dict[str, Any] = {"name": [point.name for point in surface.points]}
    for i, axis in enumerate(surface.axes[: 1 if surface.kind == "line" else 2]):
        columns[axis.name] = np.array([point.coordinates[i] for point in surface.points], dtype=np.float64)
    for key in surface.points[0].values:
        columns[key] = np.array([point.values.get(key, np.nan) for point in surface.points], dtype=np.float64)
    scale = points.create_dataset("point", data=np.arange(len(surface.points)))
    scale.make_scale("point")
    for name, column in columns.items():
        dataset = points.create_dataset(name, data=column)
        dataset.dims[0].attach_scale(scale)


def read(path: str | os.PathLike[str]) -> Surface:
    """Read a surface file, also one that a sweep is writing right now.

    Raises:
        InputError: when it is missing, damaged, of another kind, or of a newer format.
    """
    path = Path(path)
    with opened(path) as file:
        attributes = _read_header(file, path)
        axes = tuple(_read_axis(file, name, path) for name in attributes["axes"])
        shape = tuple(len(axis.values) for axis in axes)
        metrics, values, stderr, done = _read_values(file, shape, path)
        examples = {
            name: _read_array(file, f"examples/{name}", shape, path).astype(np.int64) for name in _names(file, "examples", path)
        }
        return Surface(
            kind=str(attributes["kind"]),
            axes=axes,
            metrics=metrics,
            values=values,
            done=done,
            stderr=stderr,
            examples=examples,
            seconds=_read_array(file, "seconds", shape, path) if "seconds" in file else None,
            attributes={k: v for k, v in attributes.items() if k not in ("format", "format_version", "kind", "axes", "complete")},
            data={name: read_attributes(find(find(file, "data", path), name, path)) for name in _names(file, "data", path)},
            points=_read_points(file, axes, path),
            checks=read_attributes(file["checks"]) if "checks" in file else {},
            numbers=_read_numbers(read_attributes(file["numbers"])) if "numbers" in file else {},
            runs=tuple(read_attributes(file[f"runs/{k}"]) for k in sorted(_names(file, "runs", path), key=int)),
        )


def _read_header(file: h5py.File, path: Path) -> dict[str, Any]:
    attributes = read_attributes(file)
    if attributes.get("format") != FORMAT:
        hint = "; read it with landscape import" if "xcoordinates" in file else ""
        raise InputError(f"{path}: an HDF5 file, but not a surface of this package{hint}")
    version = attributes.get("format_version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise InputError(f"{path}: format version {version}, newer than the {FORMAT_VERSION} read here; upgrade torch-landscape")
    kind, axes = attributes.get("kind"), attributes.get("axes")
    if (kind, axes) not in (("line", ["x"]), ("line", ["x", "seed"]), ("surface", ["x", "y"])):
        raise InputError(f"{path}: kind {kind!r} with axes {axes!r} is none of this format")
    return attributes


def _read_axis(file: h5py.File, name: str, path: Path) -> Axis:
    dataset = find_numbers(file, name, path, MAX_POINTS)
    if dataset.ndim != 1 or dataset.size == 0:
        raise InputError(f'{path}: "{name}" has shape {dataset.shape}, an axis has one dimension')
    return Axis(name, dataset.astype(np.float64)[()], read_attributes(dataset))


def _names(file: h5py.File, group: str, path: Path) -> list[str]:
    if group not in file:
        return []
    found = find(file, group, path)
    if not isinstance(found, h5py.Group) or len(found) > MAX_ENTRIES:
        raise InputError(f'{path}: "{group}" is not a group of arrays')
    return list(found)


def _read_array(file: h5py.File, name: str, shape: tuple[int, ...], path: Path) -> np.ndarray:
    group, _, leaf = name.rpartition("/")
    dataset = find_numbers(find(file, group, path) if group else file, leaf, path, MAX_POINTS)
    if dataset.shape != shape:
        raise InputError(f'{path}: "{clean(name)}" has shape {dataset.shape}, the axes make {shape}')
    return np.asarray(dataset.astype(np.float64)[()])


def _read_values(
    file: h5py.File, shape: tuple[int, ...], path: Path
) -> tuple[dict[str, Metric], dict[str, np.ndarray], dict[str, np.ndarray], dict[str, np.ndarray]]:
    metrics: dict[str, Metric] = {}
    values, stderr, done = {}, {}, {}
    names = _names(file, "values", path)
    for name in sorted(names, key=lambda key: (not key.endswith("_loss"), not key.startswith("train_"), key)):
        attributes = read_attributes(find(file["values"], name, path))
        array = _read_array(file, f"values/{name}", shape, path)
        if name.endswith("_stderr") and name.removesuffix("_stderr") in names:
            stderr[name.removesuffix("_stderr")] = array
            continue
        split, _, metric = name.partition("_")
        metrics[name] = Metric(
            str(attributes.get("split", split)), str(attributes.get("metric", metric)), str(attributes.get("unit", ""))
        )
        values[name] = array
        done[name] = _read_array(file, f"done/{name}", shape, path) != 0
    if not metrics:
        raise InputError(f"{path}: holds no values")
    return metrics, values, stderr, done


def _read_points(file: h5py.File, axes: tuple[Axis, ...], path: Path) -> tuple[Point, ...]:
    if "points" not in file or "name" not in file["points"]:
        return ()
    group = find(file, "points", path)
    names = find(group, "name", path)
    if names.shape is None or len(names.shape) != 1 or names.size > MAX_ENTRIES:
        raise InputError(f'{path}: "points/name" is not a list of names')
    columns = {
        name: find_numbers(group, name, path, MAX_ENTRIES).astype(np.float64)[()] for name in group if name not in ("name", "point")
    }
    spatial = [axis.name for axis in axes if axis.name in columns]
    return tuple(
        Point(
            clean(name.decode("utf-8", errors="replace") if isinstance(name, bytes) else str(name)),
            tuple(float(columns[axis][k]) for axis in spatial),
            {key: float(column[k]) for key, column in columns.items() if key not in ("x", "y")},
        )
        for k, name in enumerate(names[()])
    )


def _read_numbers(attributes: Mapping[str, Any]) -> dict[str, Number]:
    return {
        name: Number(float(value), str(attributes[f"{name}_unit"]), str(attributes.get(f"{name}_bound", "")))
        for name, value in attributes.items()
        if f"{name}_unit" in attributes
    }


def read_directions(path: str | os.PathLike[str]) -> dict[str, dict[str, np.ndarray]]:
    """The directions stored in a surface file, axis name → parameter name → array; empty when there are none.

    Raises:
        InputError: when the file cannot be read.
    """
    path = Path(path)
    with opened(path) as file:
        _read_header(file, path)
        return {
            axis: {
                name: find_numbers(file[f"direction_{axis}"], name, path, MAX_WEIGHTS)[()]
                for name in _names(file, f"direction_{axis}", path)
            }
            for axis in ("x", "y")
            if f"direction_{axis}" in file
        }


def any_directions(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The directions in a file of ours (by parameter name) or of tomgoldstein/loss-landscape (in order), by axis name.

    Raises:
        InputError: when the file is neither.
    """
    path = Path(path)
    with opened(path) as file:
        ours = "format" in file.attrs
    if ours:
        return dict(read_directions(path))
    found = goldstein.read_directions(path)
    return {"x": found.x} if found.y is None else {"x": found.x, "y": found.y}


def adopt(
    source: str | os.PathLike[str], path: str | os.PathLike[str], directions: str | os.PathLike[str] | None, command: str
) -> Path:
    """Write a surface of tomgoldstein/loss-landscape as a file of ours; where it comes from is kept.

    Raises:
        InputError: when it cannot be read, or the file not be written.
    """
    surface = goldstein.read_surface(source, directions)
    surface = replace(surface, attributes={"problem": Path(source).stem, **surface.attributes}, runs=({"command": command},))
    return write(surface, path)


class Recorder:
    """A surface file that one sweep records into; only datasets that exist already are written, so a kill costs seconds at most.

    Values reach the disk before their done marks do: a point marked done was measured.

    Raises:
        InputError: when another process is writing the file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        try:
            self._file = h5py.File(self.path, "r+")
        except OSError as error:
            if isinstance(error, BlockingIOError) or "lock" in str(error):
                raise InputError(
                    f"{self.path}: another process is writing it; wait for it to end, or choose another name"
                ) from error
            raise InputError(f"{self.path}: cannot be written ({clean(str(error))[:160]})") from error
        self._inode = os.stat(self.path).st_ino
        self._pending: list[tuple[str, tuple[int, ...], float]] = []
        self._flushed = time.monotonic()

    def record(self, index: tuple[int, ...], arrays: Iterable[tuple[str, float]], seconds_between: float = _FLUSH_SECONDS) -> None:
        """Write what was measured at one grid index, as (dataset name, number); done marks wait for the next flush."""
        for name, value in arrays:
            if name.startswith("done/"):
                self._pending.append((name, index, value))
            else:
                self._file[name][index] = value
        if time.monotonic() - self._flushed >= seconds_between:
            self.flush()

    def flush(self) -> None:
        """Bring what was recorded to the disk: the values first, then the marks that they are there.

        Raises:
            RunError: when the disk is full.
        """
        try:
            self._file.flush()
            for name, index, value in self._pending:
                self._file[name][index] = value
            self._pending.clear()
            self._file.flush()
        except OSError as error:
            raise RunError(
                f"{self.path}: cannot be written any more ({clean(str(error))[:160]}); free some space and run again"
            ) from error
        self._flushed = time.monotonic()

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
        write(surface, self.path, directions)

    def close(self) -> None:
        """Flush and close; calling it twice is harmless."""
        if self._file:
            self.flush()
            self._file.close()
