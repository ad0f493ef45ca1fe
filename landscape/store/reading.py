"""Reading a surface file, also one that a sweep is writing right now; nothing in it is trusted."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from landscape.errors import InputError
from landscape.store.untrusted import MAX_ENTRIES, MAX_POINTS, MAX_WEIGHTS, clean, find, find_numbers, opened, read_attributes
from landscape.store.writing import FORMAT, FORMAT_VERSION
from landscape.surface import Axis, Metric, Number, Point, Surface

__all__ = ["read", "read_directions"]


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
