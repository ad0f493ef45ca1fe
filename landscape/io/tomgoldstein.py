"""Reading the surface and direction files of tomgoldstein/loss-landscape, the original of Li et al. 2018.

These files come from anywhere, so nothing in them is trusted: `reading` checks every size and follows nothing out of them.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from landscape.core.grid import axis_values
from landscape.core.surface import Axis, Metric, Surface
from landscape.errors import InputError
from landscape.io.safe_hdf5 import MAX_ENTRIES, MAX_POINTS, MAX_WEIGHTS, find, find_numbers, has, open_checked, sanitize

__all__ = ["Directions", "read_directions", "read_surface"]

_MAX_TEXT = 4096  # an HDF5 attribute, which these texts become, holds 64 KiB
_MAX_METRICS = 32
_MISSING = -1.0  # what the original fills its arrays with before it measures
_METRIC = re.compile(r"(train|test|val|valid|validation)_([A-Za-z0-9_]{1,64})")
_PREFERRED = ("train_loss", "train_acc", "test_loss", "test_acc")


@dataclass(frozen=True, eq=False)
class Directions:
    """The arrays of a direction file, one for each parameter (or each entry of the state dict), in its order."""

    x: list[np.ndarray]
    y: list[np.ndarray] | None  # None where the file holds one direction


def read_surface(path: str | os.PathLike[str], directions: str | os.PathLike[str] | None = None) -> Surface:
    """The surface of a file of tomgoldstein/loss-landscape, in our order: `(nx,)`, or `(nx, ny)` indexed [x, y].

    The original indexes its planes [y, x] and they are transposed here; accuracies become fractions; -1 is "not measured";
    NaN is a measured NaN. Arrays that fit no metric of the grid are named in the attribute `left_out`.

    Args:
        path: the surface file.
        directions: the direction file it was made with; gives each axis its `norm` (‖δ‖₂ over all floating-point entries,
            in float64), and a plane the `cosine` of its two directions.

    Raises:
        InputError: when a file cannot be read, lacks a dataset, or holds a plane that is not square: the original scrambles
            those, because it allocates `(nx, ny)` and fills it in the order of an `(ny, nx)` mesh.
    """
    path = Path(path)
    with open_checked(path) as file:
        if not has(file, "xcoordinates"):
            raise InputError(f'{path}: no dataset "xcoordinates"; {_hint(file)}')
        names = ["xcoordinates"] + (["ycoordinates"] if has(file, "ycoordinates") else [])
        axes = tuple(_read_axis(file, name, path) for name in names)
        shape = tuple(len(axis.values) for axis in axes)
        _check_shape(shape, path)
        surface = _read_values(file, axes, path)
    return surface if directions is None else _with_directions(surface, read_directions(directions), Path(directions))


def read_directions(path: str | os.PathLike[str]) -> Directions:
    """The directions of a file of tomgoldstein/loss-landscape, groups `xdirection` and `ydirection`, in numeric order.

    Arrays keep their shape and type (in native byte order); counters of a state dict are among them.

    Raises:
        InputError: when the file cannot be read, lacks `xdirection`, skips a number, or holds values that are not finite.
    """
    path = Path(path)
    with open_checked(path) as file:
        if not has(file, "xdirection"):
            raise InputError(f'{path}: no group "xdirection"; is it a direction file of tomgoldstein/loss-landscape?')
        found = [_list_datasets(file, name, path) for name in ("xdirection", "ydirection") if has(file, name)]
        n_weights = sum(dataset.size for datasets in found for dataset in datasets)
        if n_weights > MAX_WEIGHTS:
            raise InputError(f"{path}: {n_weights} numbers in the directions, more than the {MAX_WEIGHTS} that are read")
        arrays = [[_read_direction(dataset, path) for dataset in datasets] for datasets in found]
    return Directions(arrays[0], arrays[1] if len(arrays) == 2 else None)


def _hint(file: h5py.File) -> str:
    if "format" in file.attrs and has(file, "values"):
        return "it is a file of this package already and needs no import"
    if has(file, "xdirection"):
        return "it holds directions: import the surface file and name this one with --directions"
    return "is it a surface file of tomgoldstein/loss-landscape?"


def _read_axis(file: h5py.File, name: str, path: Path) -> Axis:
    coordinates = find_numbers(file, name, path, MAX_POINTS)
    try:
        values = axis_values(coordinates.astype(np.float64)[()])
    except InputError as error:
        raise InputError(f'{path}: "{name}": {error}') from None
    return Axis(name[0], values, {"label": name[0], "source": "file"})


def _check_shape(shape: Sequence[int], path: Path) -> None:
    if math.prod(shape) > MAX_POINTS:
        raise InputError(f"{path}: a grid of {math.prod(shape)} points, more than the {MAX_POINTS} that are read")
    if len(shape) == 2 and shape[0] != shape[1]:
        raise InputError(
            f"{path}: a plane of {shape[0]} by {shape[1]} points cannot be imported: tomgoldstein/loss-landscape scrambles"
            " the cells of every plane that is not square; measure it again"
        )


def _read_values(file: h5py.File, axes: tuple[Axis, ...], path: Path) -> Surface:
    shape = tuple(len(axis.values) for axis in axes)
    if len(file) > MAX_ENTRIES:
        raise InputError(f"{path}: {len(file)} entries, more than the {MAX_ENTRIES} that are read")
    names = sorted(file, key=lambda name: (_PREFERRED.index(name) if name in _PREFERRED else len(_PREFERRED), name))
    metrics: dict[str, Metric] = {}
    values: dict[str, np.ndarray] = {}
    done: dict[str, np.ndarray] = {}
    left_out: list[str] = []
    for name in names:
        if name in ("xcoordinates", "ycoordinates", "dir_file"):
            continue
        metric = _name_metric(name) if len(metrics) < _MAX_METRICS else None
        if metric is None or metric.key in metrics or (name not in _PREFERRED and not _fits(file, name, shape, path)):
            left_out.append(sanitize(name))
            continue
        raw = find_numbers(file, name, path, MAX_POINTS)
        if raw.shape != shape:
            raise InputError(f'{path}: "{name}" has shape {raw.shape}, the coordinates make a grid of {shape}')
        array = raw.astype(np.float64)[()].T  # [y, x] there, [x, y] here
        metrics[metric.key], done[metric.key] = metric, array != _MISSING
        percent = 100.0 if metric.name == "accuracy" else 1.0
        values[metric.key] = np.where(done[metric.key], array / percent, np.nan)
    if not metrics:
        raise InputError(f'{path}: no dataset "train_loss" and no other metric of the grid')
    attributes: dict[str, Any] = {"source": "imported", "dir_file": _read_text(file, "dir_file", path)}
    if left_out:
        attributes["left_out"] = ", ".join(left_out)[:_MAX_TEXT]
    return Surface("line" if len(shape) == 1 else "surface", axes, metrics, values, done, attributes=attributes)


def _name_metric(name: str) -> Metric | None:
    """The metric a dataset's name stands for; None for what is not `<split>_<metric>`, such as min_eig."""
    match = _METRIC.fullmatch(name)
    if match is None:
        return None
    split, metric = match.groups()
    if metric in ("acc", "accuracy"):
        return Metric(split, "accuracy", "fraction")
    return Metric(split, metric, "")  # the file does not say which loss it was


def _fits(file: h5py.File, name: str, shape: tuple[int, ...], path: Path) -> bool:
    try:
        return bool(find_numbers(file, name, path, MAX_POINTS).shape == shape)
    except InputError:
        return False


def _read_text(file: h5py.File, name: str, path: Path) -> str:
    """A text of the file, or "" where there is none; it is a remark, so its absence is no error."""
    try:
        dataset = find(file, name, path)
    except InputError:
        return ""
    if not isinstance(dataset, h5py.Dataset) or dataset.shape != () or h5py.check_string_dtype(dataset.dtype) is None:
        return ""
    if dataset.is_virtual or dataset.external or dataset.dtype.itemsize > _MAX_TEXT:
        return ""
    content = dataset[()]
    return sanitize(bytes(content)[:_MAX_TEXT].decode("utf-8", errors="replace"))


def _list_datasets(file: h5py.File, name: str, path: Path) -> list[h5py.Dataset]:
    group = find(file, name, path)
    if not isinstance(group, h5py.Group):
        raise InputError(f'{path}: "{name}" is not a group of arrays')
    if not 0 < len(group) <= MAX_ENTRIES:
        raise InputError(f'{path}: "{name}" holds {len(group)} arrays; one to {MAX_ENTRIES} are read')
    return [find_numbers(group, str(index), path, MAX_WEIGHTS) for index in range(len(group))]


def _read_direction(dataset: h5py.Dataset, path: Path) -> np.ndarray:
    array = np.asarray(dataset[()])
    if not np.isfinite(array).all():
        raise InputError(f'{path}: "{sanitize(dataset.name.strip("/"))}" holds nan or inf; a direction needs finite numbers')
    return array.astype(array.dtype.newbyteorder("="), copy=False)  # torch takes native byte order only


def _with_directions(surface: Surface, directions: Directions, path: Path) -> Surface:
    """The surface with what its directions tell: their norms and, of a plane, their cosine."""
    pair = [directions.x]
    if len(surface.axes) == 2:
        if directions.y is None:
            raise InputError(f'{path}: no group "ydirection", but the surface is a plane')
        if [array.shape for array in directions.x] != [array.shape for array in directions.y]:
            raise InputError(f'{path}: "xdirection" and "ydirection" belong to different networks: their shapes differ')
        pair.append(directions.y)
    norms = [math.sqrt(_dot(direction, direction)) for direction in pair]
    if 0.0 in norms:
        raise InputError(f'{path}: "{"xy"[norms.index(0.0)]}direction" is zero altogether; a direction has to lead somewhere')
    axes = tuple(
        replace(axis, attributes={**axis.attributes, "norm": norm}) for axis, norm in zip(surface.axes, norms, strict=True)
    )
    attributes = dict(surface.attributes)
    if len(pair) == 2:
        attributes["cosine"] = _dot(*pair) / (norms[0] * norms[1])
    return replace(surface, axes=axes, attributes=attributes)


def _dot(first: list[np.ndarray], second: list[np.ndarray]) -> float:
    """The inner product in float64; whole numbers are counters, no weights, and stay out of it."""
    pairs = zip(first, second, strict=True)
    return math.fsum(
        float(np.dot(a.ravel().astype(np.float64), b.ravel().astype(np.float64))) for a, b in pairs if a.dtype.kind == "f"
    )
