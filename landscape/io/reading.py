"""Reading a surface file, also one that a sweep is writing right now; nothing in it is trusted."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from landscape.core.grid import axis_values, check_reach
from landscape.core.surface import BY_METRIC, Axis, Metric, Number, Point, Surface
from landscape.errors import InputError
from landscape.io.safe_hdf5 import (
    MAX_POINTS,
    MAX_TEXT,
    check_within,
    find,
    find_group,
    find_numbers,
    has,
    open_checked,
    read_attributes,
    sanitize,
    shortened,
)
from landscape.io.writing import ERRORS, FORMAT, FORMAT_VERSION

__all__ = ["read", "read_header"]

_MAX_NUMBERS = 10 * MAX_POINTS  # of all metrics together
_COUNTS = ("size", "used")
_OF_RUNS = (
    "seconds",
    "points",
    "points_per_second",
    "examples_per_second",
    "memory_peak",
    "left",
    "batch_size",
    "n_ranks",
    "threads",
)
_MAX_MODELS = 1000  # marked in the plane


def read(path: str | os.PathLike[str]) -> Surface:
    """Read a surface file, also one that a sweep is writing right now.

    Raises:
        InputError: when it is missing, damaged, of another kind, or of a newer format.
    """
    path = Path(path)
    with open_checked(path) as file:
        attributes = read_header(file, path)
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
            examples={name: _read_counts(examples, name, shape, path) for name in _names(examples, shape, path)},
            seconds=_read_array(file, "seconds", shape, path) if has(file, "seconds") else None,
            attributes={k: v for k, v in attributes.items() if k not in ("format", "format_version", "kind", "axes", "complete")},
            data={name: _read_data(data, name, path) for name in data or ()},
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


def read_header(file: h5py.File, path: Path) -> dict[str, Any]:
    """The attributes of a surface file's root.

    Raises:
        InputError: when it is of another kind or of a newer format.
    """
    attributes = read_attributes(file, path, ("cosine", "cosine_sd", "tolerance", "basin_level").__contains__)
    if attributes.get("format") != FORMAT:
        hint = "; read it with landscape import" if has(file, "xcoordinates") else ""
        raise InputError(f"{path}: an HDF5 file, but not a surface of this package{hint}")
    version = attributes.get("format_version")
    if not isinstance(version, int) or version < 1:
        raise InputError(f"{path}: format version {version} does not exist; was the file written by another program?")
    if version > FORMAT_VERSION:
        raise InputError(f"{path}: format version {version}, newer than the {FORMAT_VERSION} read here; upgrade torch-landscape")
    kind, axes = attributes.get("kind"), attributes.get("axes")
    if (kind, axes) not in (("line", ["x"]), ("line", ["x", "seed"]), ("surface", ["x", "y"])):
        raise InputError(f"{path}: kind {kind!r} with axes {axes!r} is not valid in this format")
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
        raise InputError(f'{path}: "{sanitize(place)}" has shape {dataset.shape}, the axes make {shape}')
    return np.asarray(dataset.astype(np.float64)[()])


def _read_counts(group: h5py.Group, name: str, shape: tuple[int, ...], path: Path) -> np.ndarray:
    """Whole numbers from 0 on."""
    counts = np.asarray(find_numbers(group, name, path, MAX_POINTS)[()])
    _read_array(group, name, shape, path)  # refuses another shape
    with np.errstate(invalid="ignore"):
        whole = counts.astype(np.int64)
    if not (np.array_equal(whole, counts) and (whole >= 0).all()):
        place = f"{group.name}/{name}".strip("/")
        raise InputError(f'{path}: "{sanitize(place)}" does not hold numbers of examples')
    return whole


def _read_data(group: h5py.Group, name: str, path: Path) -> dict[str, Any]:
    attributes = read_attributes(find(group, name, path), path, _COUNTS.__contains__)
    odd = next((count for count in _COUNTS if not 0 <= attributes.get(count, 0) < math.inf), None)
    if odd is not None:
        raise InputError(f'{path}: the attribute "{odd}" of "data/{sanitize(name)}" is {attributes[odd]}, no number of examples')
    return attributes


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
        if metrics[name].key != name:
            told = f"metric {shortened(metrics[name].name)} of split {shortened(metrics[name].split)}"
            raise InputError(f'{path}: "values/{shortened(name)}" says that it is {told}, which its name does not')
        arrays["values"][name] = array
        arrays["done"][name] = _read_array(marks, name, shape, path) != 0
    if not metrics:
        raise InputError(f"{path}: holds no values")
    for kind in ERRORS:
        odd = next((key for key in arrays[kind] if key not in metrics), None)
        if odd is not None:
            raise InputError(f'{path}: "values/{shortened(odd)}_{kind}" belongs to no metric')
    lonely = next(iter(arrays["low"].keys() ^ arrays["high"].keys()), None)
    if lonely is not None:
        raise InputError(f'{path}: "values/{shortened(lonely)}" has one end of an interval and not the other')
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
    spatial = [axis.name for axis in axes if axis.name != "seed"]
    for axis in spatial:
        if axis not in columns:
            raise InputError(f'{path}: no dataset "points/{axis}", the place of the models that "points/name" names')
        try:
            check_reach(columns[axis])
        except InputError as error:
            raise InputError(f'{path}: "points/{axis}": {error}') from None
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
    return [sanitize(bytes(name).decode("utf-8", errors="replace")) for name in dataset[()]]


def _read_group(file: h5py.File, name: str, path: Path, numbers: Callable[[str], bool]) -> dict[str, Any]:
    group = find_group(file, name, path)
    return {} if group is None else read_attributes(group, path, numbers)


def _is_number_of_run(name: str) -> bool:
    return name in _OF_RUNS or name.startswith("share_")


def _read_runs(file: h5py.File, path: Path) -> tuple[dict[str, Any], ...]:
    group = find_group(file, "runs", path)
    if group is None:
        return ()
    odd = next((name for name in group if not (name.isdecimal() and name.isascii())), None)
    if odd is not None:
        raise InputError(f'{path}: "runs/{odd}" does not bear the number of a run')
    return tuple(read_attributes(find(group, name, path), path, _is_number_of_run) for name in sorted(group, key=int))


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
