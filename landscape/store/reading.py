"""Reading a surface file, also one that a sweep is writing right now; nothing in it is trusted."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from landscape.errors import InputError
from landscape.grid import axis_values
from landscape.store.untrusted import (
    MAX_POINTS,
    MAX_TEXT,
    MAX_WEIGHTS,
    check_within,
    clean,
    find,
    find_group,
    find_numbers,
    has,
    opened,
    read_attributes,
)
from landscape.store.writing import ERRORS, FORMAT, FORMAT_VERSION
from landscape.surface import BY_METRIC, Axis, Metric, Number, Point, Surface

__all__ = ["read", "read_directions"]

_MAX_NUMBERS = 10 * MAX_POINTS  # of all metrics together
_COUNTS = ("size", "used")
_MAX_GROUPS = 300  # within a direction
_MAX_MODELS = 1000  # marked in the plane


def read(path: str | os.PathLike[str]) -> Surface:
    """Read a surface file, also one that a sweep is writing right now.

    Raises:
        InputError: when it is missing, damaged, of another kind, or of a newer format.
    """
    path = Path(path)
    with opened(path) as file:
        attributes = _read_header(file, path)
        if attributes.get("bn") == "moved":  # the word of version 0.1.0
            attributes["bn"] = "interpolated"
        axes = tuple(_read_axis(file, name, path) for name in attributes["axes"])
        if axes[-1].name == "seed":
            axes = (_with_draws(axes[0], file, axes[1].values.shape, path), axes[1])
        shape = tuple(len(axis.values) for axis in axes)
        metrics, arrays = _read_values(file, shape, path)
        examples, data = find_group(file, "examples", path), find_group(file, "data", path)
        return Surface(
            kind=str(attributes["kind"]),
            axes=axes,
            metrics=metrics,
            **arrays,
            examples={name: _read_array(examples, name, shape, path).astype(np.int64) for name in _names(examples, shape, path)},
            seconds=_read_array(file, "seconds", shape, path) if has(file, "seconds") else None,
            attributes={k: v for k, v in attributes.items() if k not in ("format", "format_version", "kind", "axes", "complete")},
            data={name: read_attributes(find(data, name, path), path, _COUNTS.__contains__) for name in data or ()},
            points=_read_points(file, axes, path),
            checks=_read_group(file, "checks", path, _is_one_number),
            numbers=_read_numbers(
                _read_group(file, "numbers", path, lambda name: not name.endswith(("_unit", "_bound", "_withheld", "_note")))
            ),
            runs=_read_runs(file, path),
        )


def _is_one_number(name: str) -> bool:
    """Whether a check has to be one: texts say what failed, and lists what a tolerance's audit found point by point."""
    return name != "failure" and not name.endswith("_compared") and not name.startswith("tolerance_audit_")


def _read_header(file: h5py.File, path: Path) -> dict[str, Any]:
    attributes = read_attributes(file, path, ("cosine", "cosine_sd", "tolerance", "basin_level").__contains__)
    if attributes.get("format") != FORMAT:
        hint = "; read it with landscape import" if has(file, "xcoordinates") else ""
        raise InputError(f"{path}: an HDF5 file, but not a surface of this package{hint}")
    version = attributes.get("format_version")
    if not isinstance(version, int) or version < 1:
        raise InputError(f"{path}: format version {version} is none; was the file written by another program?")
    if version > FORMAT_VERSION:
        raise InputError(f"{path}: format version {version}, newer than the {FORMAT_VERSION} read here; upgrade torch-landscape")
    kind, axes = attributes.get("kind"), attributes.get("axes")
    if (kind, axes) not in (("line", ["x"]), ("line", ["x", "seed"]), ("surface", ["x", "y"])):
        raise InputError(f"{path}: kind {kind!r} with axes {axes!r} is none of this format")
    level = attributes.get("basin_level", 1.0)
    if not (math.isfinite(level) and level > 0):
        raise InputError(f"{path}: the basin level {level:g} is no height above the origin's loss")
    return attributes


def _read_axis(file: h5py.File, name: str, path: Path) -> Axis:
    dataset = find_numbers(file, name, path, MAX_POINTS)
    if dataset.ndim != 1 or dataset.size == 0:
        raise InputError(f'{path}: "{name}" has shape {dataset.shape}, an axis has one dimension')
    values = dataset.astype(np.float64)[()]
    try:
        axis_values(np.sort(values) if name == "seed" else values)  # draws come in any order
    except InputError as error:
        raise InputError(f'{path}: "{name}": {error}') from None
    return Axis(name, values, read_attributes(dataset, path, ("norm", "seed").__contains__))


def _with_draws(axis: Axis, file: h5py.File, shape: tuple[int, ...], path: Path) -> Axis:
    """The axis with the digest and the length of each draw's direction; files of 0.1.0 hold digests as an attribute, and one length."""
    draws = find_group(file, "draws", path)
    found: dict[str, Any] = {}
    if draws is not None and has(draws, "norm"):
        found["norm"] = _read_array(draws, "norm", shape, path).tolist()
    if draws is not None and has(draws, "sha256"):
        found["sha256"] = _read_texts(find(draws, "sha256", path), "draws/sha256", path, MAX_POINTS)
        if len(found["sha256"]) != shape[0]:
            raise InputError(f'{path}: "draws/sha256" names {len(found["sha256"])} draws, the axis has {shape[0]}')
    return replace(axis, attributes={**axis.attributes, **found})


def _names(group: h5py.Group | None, shape: tuple[int, ...], path: Path) -> list[str]:
    """The names of a group's arrays, once it is known that all of them have room in memory."""
    if group is None:
        return []
    if len(group) * math.prod(shape) > _MAX_NUMBERS:
        place = str(group.name).strip("/")
        raise InputError(
            f'{path}: "{place}" has {len(group)} arrays of {shape} numbers, more than the {_MAX_NUMBERS} that are read'
        )
    return list(group)


def _read_array(group: h5py.Group, name: str, shape: tuple[int, ...], path: Path) -> np.ndarray:
    dataset = find_numbers(group, name, path, MAX_POINTS)
    if dataset.shape != shape:
        place = f"{group.name}/{name}".strip("/")
        raise InputError(f'{path}: "{clean(place)}" has shape {dataset.shape}, the axes make {shape}')
    return np.asarray(dataset.astype(np.float64)[()])


def _read_values(file: h5py.File, shape: tuple[int, ...], path: Path) -> tuple[dict[str, Metric], dict[str, dict[str, np.ndarray]]]:
    """The metrics, and by kind the arrays that there are for each."""
    metrics: dict[str, Metric] = {}
    arrays: dict[str, dict[str, np.ndarray]] = {kind: {} for kind in BY_METRIC}
    group, marks = find_group(file, "values", path), find_group(file, "done", path)
    names = _names(group, shape, path)
    if marks is None and names:
        raise InputError(f'{path}: no group "done", which says what is measured')
    for name in sorted(names, key=lambda key: (not key.endswith("_loss"), not key.startswith("train_"), key)):
        array = _read_array(group, name, shape, path)
        attributes = read_attributes(find(group, name, path), path)
        key, _, kind = name.rpartition("_")
        own_metric = f"{attributes.get('split')}_{attributes.get('metric')}" == name  # one whose own name ends so
        if kind in ERRORS and key in names and not own_metric:
            arrays[kind][key] = array
            continue
        split, _, metric = name.partition("_")
        metrics[name] = Metric(
            str(attributes.get("split", split)), str(attributes.get("metric", metric)), str(attributes.get("unit", ""))
        )
        arrays["values"][name] = array
        arrays["done"][name] = _read_array(marks, name, shape, path) != 0
    if not metrics:
        raise InputError(f"{path}: holds no values")
    effective = find_group(file, "effective", path)
    arrays["effective"] = {
        key: _read_array(effective, key, shape, path) for key in _names(effective, shape, path) if key in metrics
    }
    return metrics, arrays


def _read_points(file: h5py.File, axes: tuple[Axis, ...], path: Path) -> tuple[Point, ...]:
    group = find_group(file, "points", path)
    if group is None or not has(group, "name"):
        return ()
    names = _read_texts(find(group, "name", path), "points/name", path, _MAX_MODELS)
    if len(group) > _MAX_MODELS:
        raise InputError(f'{path}: "points" has {len(group)} entries, more than the {_MAX_MODELS} that are read')
    shape = (len(names),)
    columns = {name: _read_array(group, name, shape, path) for name in group if name not in ("name", "point")}
    spatial = [axis.name for axis in axes if axis.name in columns]
    return tuple(
        Point(
            name,
            tuple(float(columns[axis][k]) for axis in spatial),
            {key: float(column[k]) for key, column in columns.items() if key not in ("x", "y")},
        )
        for k, name in enumerate(names)
    )


def _read_texts(dataset: h5py.Dataset | h5py.Group, place: str, path: Path, limit: int) -> list[str]:
    """The texts of a one-dimensional dataset."""
    if not isinstance(dataset, h5py.Dataset) or h5py.check_string_dtype(dataset.dtype) is None or dataset.ndim != 1:
        raise InputError(f'{path}: "{place}" is not a list of names')
    check_within(dataset, place, path)
    if dataset.size > limit or dataset.dtype.itemsize > MAX_TEXT or math.prod(dataset.chunks or ()) > MAX_POINTS:
        raise InputError(f'{path}: "{place}" has {dataset.size} names of {dataset.dtype.itemsize} bytes, more than are read')
    return [clean(bytes(name).decode("utf-8", errors="replace")) for name in dataset[()]]


def _read_group(file: h5py.File, name: str, path: Path, numbers: Callable[[str], bool]) -> dict[str, Any]:
    group = find_group(file, name, path)
    return {} if group is None else read_attributes(group, path, numbers)


def _read_runs(file: h5py.File, path: Path) -> tuple[dict[str, Any], ...]:
    group = find_group(file, "runs", path)
    if group is None:
        return ()
    odd = next((name for name in group if not (name.isdecimal() and name.isascii())), None)
    if odd is not None:
        raise InputError(f'{path}: "runs/{odd}" does not bear the number of a run')
    return tuple(read_attributes(find(group, name, path), path, ("seconds",).__contains__) for name in sorted(group, key=int))


def _read_numbers(attributes: Mapping[str, Any]) -> dict[str, Number]:
    return {
        name: Number(
            float(value),
            str(attributes[f"{name}_unit"]),
            str(attributes.get(f"{name}_bound", "")),
            str(attributes.get(f"{name}_withheld", "")),
            str(attributes.get(f"{name}_note", "")),
        )
        for name, value in attributes.items()
        if f"{name}_unit" in attributes
    }


def _weights(direction: h5py.Group, path: Path) -> Iterator[tuple[str, h5py.Dataset]]:
    """The arrays of a direction by parameter name; those of a name with a slash lie in groups."""
    left, n_groups = [("", direction)], 0
    while left:
        place, group = left.pop()
        n_groups += 1
        if n_groups > _MAX_GROUPS:  # or one that holds itself
            raise InputError(f'{path}: "{clean(str(direction.name))}" holds more than {_MAX_GROUPS} groups, which are not read')
        for name in group:
            if isinstance(find(group, name, path), h5py.Group):
                left.append((f"{place}{name}/", find_group(group, name, path)))
            else:
                yield place + name, find_numbers(group, name, path, MAX_WEIGHTS, "fiuc")


def read_directions(path: str | os.PathLike[str]) -> dict[str, dict[str, np.ndarray]]:
    """The directions stored in a surface file, axis name → parameter name → array; empty when there are none.

    Raises:
        InputError: when the file cannot be read.
    """
    path = Path(path)
    with opened(path) as file:
        _read_header(file, path)
        groups = {axis: find_group(file, f"direction_{axis}", path) for axis in ("x", "y")}
        found = {axis: dict(_weights(group, path)) for axis, group in groups.items() if group is not None}
        n_weights = sum(dataset.size for datasets in found.values() for dataset in datasets.values())
        if n_weights > MAX_WEIGHTS:
            raise InputError(f"{path}: {n_weights} numbers in the directions, more than the {MAX_WEIGHTS} that are read")
        return {axis: {name: dataset[()] for name, dataset in datasets.items()} for axis, datasets in found.items()}
