"""The directions that a surface file holds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from landscape.errors import InputError
from landscape.io.reading import read_header
from landscape.io.safe_hdf5 import MAX_WEIGHTS, find, find_group, find_numbers, open_checked, sanitize

__all__ = ["read_directions"]

_MAX_GROUPS = 300  # within a direction


def read_directions(path: str | os.PathLike[str]) -> dict[str, dict[str, np.ndarray]]:
    """The directions stored in a surface file, axis name → parameter name → array; empty when there are none.

    Raises:
        InputError: when the file cannot be read.
    """
    path = Path(path)
    with open_checked(path) as file:
        read_header(file, path)
        groups = {axis: find_group(file, f"direction_{axis}", path) for axis in ("x", "y")}
        found = {axis: dict(_weights(group, path)) for axis, group in groups.items() if group is not None}
        n_weights = sum(dataset.size for datasets in found.values() for dataset in datasets.values())
        if n_weights > MAX_WEIGHTS:
            raise InputError(f"{path}: {n_weights} numbers in the directions, more than the {MAX_WEIGHTS} that are read")
        return {axis: {name: dataset[()] for name, dataset in datasets.items()} for axis, datasets in found.items()}


def _weights(direction: h5py.Group, path: Path) -> Iterator[tuple[str, h5py.Dataset]]:
    """The arrays of a direction by parameter name; those of a name with a slash lie in groups."""
    left, n_groups = [("", direction)], 0
    while left:
        place, group = left.pop()
        n_groups += 1
        if n_groups > _MAX_GROUPS:  # or one that holds itself
            raise InputError(f'{path}: "{sanitize(str(direction.name))}" holds more than {_MAX_GROUPS} groups, which are not read')
        for name in group:
            if isinstance(find(group, name, path), h5py.Group):
                left.append((f"{place}{name}/", find_group(group, name, path)))
            else:
                yield place + name, find_numbers(group, name, path, MAX_WEIGHTS, "fiuc")
