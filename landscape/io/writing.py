"""Writing a surface file (HDF5, format version 1): complete, under a temporary name, then renamed into place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from landscape.atomic import replacing
from landscape.core.surface import Axis, Surface
from landscape.io.image import blank_image, drop, put_array, put_attributes, put_group, put_scale, storable
from landscape.io.safe_hdf5 import has

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

_OF_DRAWS = {"sha256": object, "norm": np.float64}
_OF_AXES = ("label", "source", "seed", "normalize", "from", "to", "norm", "sha256")


def write(
    surface: Surface,
    path: str | os.PathLike[str],
    directions: Mapping[str, Arrays] | None = None,
    keep: str | os.PathLike[str] | None = None,
) -> Path:
    """Write a surface, finished or not, under a temporary name, then rename it into place.

    Args:
        surface: what to write.
        path: the file; one that exists is replaced, and its mode kept.
        directions: axis name → parameter name → array, stored as /direction_x and /direction_y.
        keep: a file of the same surface, as a rule the one that is replaced: whatever it holds besides stays as it is, groups,
            datasets, attributes, links and directions that this surface says nothing of.

    Raises:
        InputError: when the folder is missing or not writable, or the disk is full.
    """
    path = Path(path)
    content = _encode(surface, directions or {}, keep)
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return path


def _encode(surface: Surface, directions: Mapping[str, Arrays], keep: str | os.PathLike[str] | None) -> bytes:
    with blank_image(keep) as file:
        _put_header(file, surface)
        scales = [_put_axis(file, axis) for axis in surface.axes]
        if surface.axes[-1].name == "seed":
            _put_draws(file, surface.axes[0], scales[1])
        values, done = put_group(file, "values"), put_group(file, "done")
        for key, metric in surface.metrics.items():
            attributes = {"split": metric.split, "metric": metric.name, "unit": metric.unit}
            put_attributes(put_array(values, key, surface.values[key], scales), attributes)
            put_array(done, key, surface.done[key].astype(np.uint8), scales)
            for kind, description in ERRORS.items():
                name = f"{key}_{kind}"
                if key in getattr(surface, kind):
                    array = put_array(values, name, getattr(surface, kind)[key], scales)
                    put_attributes(array, {**attributes, "description": description})
                elif name not in surface.metrics:  # what an earlier run could tell and this one cannot
                    drop(values, name)
            if key in surface.effective:
                array = put_array(put_group(file, "effective"), key, surface.effective[key], scales)
                put_attributes(array, {"description": "how many examples carry the spread, (Σs)²/Σs² with s = (x − mean)²"})
            elif has(file, "effective"):
                drop(put_group(file, "effective"), key)
        for split, counts in surface.examples.items():
            put_array(put_group(file, "examples"), split, counts.astype(np.int64), scales)
        if surface.seconds is not None:
            put_attributes(put_array(file, "seconds", surface.seconds, scales), {"unit": "s"})
        _put_points(file, surface)
        for axis, arrays in directions.items():
            for name, array in arrays.items():
                *folders, last = name.split("/")  # which a module's name may hold
                put_array(put_group(file, f"direction_{axis}", *folders), last, np.asarray(array), ())
        file.flush()
        return bytes(file.id.get_file_image())


def _put_header(file: h5py.File, surface: Surface) -> None:
    header = {
        **surface.attributes,
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "kind": surface.kind,
        "axes": [axis.name for axis in surface.axes],
        "complete": int(surface.complete),
    }
    put_attributes(file, header)
    for split, attributes in surface.data.items():
        put_attributes(put_group(file, "data", split), attributes)
    checks, numbers = put_group(file, "checks"), put_group(file, "numbers")
    put_attributes(checks, surface.checks, owned=list(checks.attrs))
    told: dict[str, Any] = {}
    for name, number in surface.numbers.items():
        told |= {
            name: number.value,
            f"{name}_unit": number.unit,
            f"{name}_bound": number.bound or None,
            f"{name}_withheld": number.withheld or None,
            f"{name}_note": number.note or None,
        }
    before = [name.removesuffix("_unit") for name in numbers.attrs if name.endswith("_unit")]
    put_attributes(numbers, told, owned=[name + part for name in before for part in ("", "_unit", "_bound", "_withheld")])
    if {*put_group(file, "runs")} - {str(k) for k in range(len(surface.runs))}:
        drop(file, "runs")  # their numbers had gaps
    for k, run in enumerate(surface.runs):
        put_attributes(put_group(file, "runs", str(k)), run)


def _put_axis(file: h5py.File, axis: Axis) -> tuple[h5py.Dataset, bool]:
    values = axis.values.astype(np.int64) if axis.name == "seed" else axis.values
    scale, new = put_scale(file, axis.name, values)
    single = {name: value for name, value in axis.attributes.items() if name not in _OF_DRAWS or np.ndim(value) == 0}
    put_attributes(scale, single, owned=_OF_AXES)
    return scale, new


def _put_draws(file: h5py.File, axis: Axis, seeds: tuple[h5py.Dataset, bool]) -> None:
    """What is known of each draw of a line, in arrays: an attribute holds 64 KiB, the digests of a thousand draws."""
    draws = put_group(file, "draws")
    for name, kind in _OF_DRAWS.items():
        values = axis.attributes.get(name)
        if values is not None and np.shape(values) == seeds[0].shape:
            put_array(draws, name, np.array(values, dtype=kind), [seeds])
        else:
            drop(draws, name)


def _put_points(file: h5py.File, surface: Surface) -> None:
    """The models in the plane, over a dimension of their own, so that their x and y are not taken for the grid's."""
    points = put_group(file, "points")
    columns: dict[str, Any] = {}
    if surface.points:
        columns["name"] = np.array([storable(point.name) for point in surface.points], dtype=object)
        for i, axis in enumerate(surface.axes[: 1 if surface.kind == "line" else 2]):
            columns[axis.name] = np.array([point.coordinates[i] for point in surface.points], dtype=np.float64)
        for key in surface.points[0].values:
            columns[key] = np.array([point.values.get(key, np.nan) for point in surface.points], dtype=np.float64)
    for name in [name for name in points if name not in (*columns, "point")]:
        drop(points, name)
    if not columns:
        return drop(points, "point")
    scale = put_scale(points, "point", np.arange(len(surface.points)))
    for name, column in columns.items():
        put_array(points, name, column, [scale])
