"""Writing a surface file (HDF5, format version 1): complete, under a temporary name, then renamed into place."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from landscape.atomic import replacing
from landscape.surface import Axis, Surface

__all__ = ["ERRORS", "FORMAT", "FORMAT_VERSION", "Arrays", "write"]

FORMAT = "landscape-surface"
FORMAT_VERSION = 1

# What stands beside the values of a metric, by the end of its name.
ERRORS = {
    "stderr": "standard error of the mean",
    "low": "lower end of the 95 % interval (Wilson, finite population)",
    "high": "upper end of the 95 % interval (Wilson, finite population)",
}

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
    content = _encode(surface, directions or {})
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return path


def _encode(surface: Surface, directions: Mapping[str, Arrays]) -> bytes:
    """The file's bytes, made in memory: HDF5 that meets a full disk may bring the whole process down."""
    with h5py.File("surface", "w", driver="core", backing_store=False) as file:
        _write_header(file, surface)
        scales = [_write_scale(file, axis) for axis in surface.axes]
        for key, metric in surface.metrics.items():
            attributes = {"split": metric.split, "metric": metric.name, "unit": metric.unit}
            _write_array(file, f"values/{key}", surface.values[key], scales, attributes)
            _write_array(file, f"done/{key}", surface.done[key].astype(np.uint8), scales)
            for kind, description in ERRORS.items():
                if key in getattr(surface, kind):
                    described = {**attributes, "description": description}
                    _write_array(file, f"values/{key}_{kind}", getattr(surface, kind)[key], scales, described)
            if key in surface.effective:
                described = {"description": "how many examples carry the spread, (Σs)²/Σs² with s = (x − mean)²"}
                _write_array(file, f"effective/{key}", surface.effective[key], scales, described)
        for split, counts in surface.examples.items():
            _write_array(file, f"examples/{split}", counts.astype(np.int64), scales)
        if surface.seconds is not None:
            _write_array(file, "seconds", surface.seconds, scales, {"unit": "s"})
        _write_points(file, surface)
        for axis, arrays in directions.items():
            for name, array in arrays.items():
                file.create_dataset(f"direction_{axis}/{name}", data=array)
        file.flush()
        return bytes(file.id.get_file_image())


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
        parts = {
            name: number.value,
            f"{name}_unit": number.unit,
            f"{name}_bound": number.bound or None,
            f"{name}_withheld": number.withheld or None,
            f"{name}_note": number.note or None,
        }
        _write_attributes(numbers, parts)
    for k, run in enumerate(surface.runs):
        _write_attributes(file.require_group(f"runs/{k}"), run)


def _write_attributes(item: h5py.Group | h5py.Dataset, attributes: Mapping[str, Any]) -> None:
    for name, value in attributes.items():
        if isinstance(value, str):
            item.attrs[name] = _storable(value)
        elif value is not None:
            item.attrs[name] = int(value) if isinstance(value, bool | np.bool_) else value


def _storable(text: str) -> str:
    """Text that HDF5 takes: a file name on the command line may hold bytes that are no UTF-8, and they are written as escapes."""
    return text.encode("utf-8", errors="backslashreplace").decode("utf-8")


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
    columns: dict[str, Any] = {"name": [_storable(point.name) for point in surface.points]}
    for i, axis in enumerate(surface.axes[: 1 if surface.kind == "line" else 2]):
        columns[axis.name] = np.array([point.coordinates[i] for point in surface.points], dtype=np.float64)
    for key in surface.points[0].values:
        columns[key] = np.array([point.values.get(key, np.nan) for point in surface.points], dtype=np.float64)
    scale = points.create_dataset("point", data=np.arange(len(surface.points)))
    scale.make_scale("point")
    for name, column in columns.items():
        dataset = points.create_dataset(name, data=column)
        dataset.dims[0].attach_scale(scale)
