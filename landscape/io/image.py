"""A surface file as it will be, made in memory: new, or what an older one holds, of which only what is ours is written anew."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import h5py
import numpy as np

from landscape.io.safe_hdf5 import has

__all__ = ["blank_image", "drop", "put_array", "put_attributes", "put_group", "put_scale", "storable"]

_OF_SCALES = ("CLASS", "NAME", "REFERENCE_LIST", "DIMENSION_LIST")  # what HDF5 itself notes on axes and on arrays over them
_LONGEST_TEXT = 60_000  # bytes; an attribute takes 64 KiB with its name


def blank_image(keep: str | os.PathLike[str] | None) -> h5py.File:
    """A file in memory, empty or with all that the file `keep` holds; closing it writes nothing.

    It is made in memory because HDF5 that meets a full disk may bring the whole process down.
    """
    if keep is None:
        return h5py.File("surface", "w", driver="core", backing_store=False)
    return h5py.File(keep, "r+", driver="core", backing_store=False, locking=False)


def drop(group: h5py.Group, name: str) -> None:
    """Take a name away, where it is; a link goes, and what it leads to stays."""
    if has(group, name):
        del group[name]


def put_group(file: h5py.Group, *names: str) -> h5py.Group:
    """The group at a path of names within this very file, made where there is none or something else stands in its place."""
    group = file
    for name in names:
        if has(group, name) and not (_is_within(group, name) and isinstance(group[name], h5py.Group)):
            del group[name]
        group = group.require_group(name)
    return group


def put_attributes(item: h5py.Group | h5py.Dataset, attributes: Mapping[str, Any], owned: Collection[str] = ()) -> None:
    """Write attributes, None for none; of those `owned` the ones that are not given now are taken away, all others stay."""
    for name in owned:
        if name in item.attrs and attributes.get(name) is None:
            del item.attrs[name]
    for name, value in attributes.items():
        if isinstance(value, str):
            item.attrs[name] = storable(value)
        elif value is not None:
            item.attrs[name] = int(value) if isinstance(value, bool | np.bool_) else value


def storable(text: str) -> str:
    """Text that HDF5 takes as an attribute.

    A file name on the command line may hold bytes that are no UTF-8, which are written as escapes; what is too long is cut.
    """
    content = text.encode("utf-8", errors="backslashreplace").replace(b"\0", b"?")
    return (
        content.decode("utf-8") if len(content) <= _LONGEST_TEXT else content[:_LONGEST_TEXT].decode("utf-8", errors="ignore") + "…"
    )


def put_scale(file: h5py.Group, name: str, values: np.ndarray) -> tuple[h5py.Dataset, bool]:
    """An axis, and whether it is a new one; what was attached to an older one of another length no longer is."""
    old = _fitting(file, name, values)
    if old is not None:
        old[...] = values
        return old, False
    if has(file, name) and _is_within(file, name):
        _detach(file[name])
    scale = _made(file, name, values)
    scale.make_scale(name)
    return scale, True


def put_array(group: h5py.Group, name: str, values: np.ndarray, scales: Sequence[tuple[h5py.Dataset, bool]]) -> h5py.Dataset:
    """An array over some axes: into the older one where that fits, so that whatever others noted on it stays."""
    old = None if any(new for _, new in scales) else _fitting(group, name, values)
    if old is not None:
        old[...] = values
        return old
    dataset = _made(group, name, values)
    for dimension, (scale, _) in zip(dataset.dims, scales, strict=False):  # directions are over none
        dimension.attach_scale(scale)
    return dataset


def _is_within(group: h5py.Group, name: str) -> bool:
    return isinstance(group.get(name, getlink=True), h5py.HardLink)


def _fitting(group: h5py.Group, name: str, values: np.ndarray) -> h5py.Dataset | None:
    """The dataset that can hold some values as it is: of this shape and type, in one piece, within this file.

    One piece, because a sweep then writes single numbers into it, and a kill must not find HDF5 moving packed ones about.
    """
    if not (has(group, name) and _is_within(group, name)):
        return None
    old = group[name]
    if not isinstance(old, h5py.Dataset) or old.shape != values.shape or old.is_virtual or old.external or old.chunks is not None:
        return None
    texts = h5py.check_string_dtype(old.dtype)
    if values.dtype.kind == "O":
        return old if texts is not None and texts.length is None and texts.encoding == "utf-8" else None
    return old if old.dtype == values.dtype else None


def _made(group: h5py.Group, name: str, values: np.ndarray) -> h5py.Dataset:
    """A new dataset in the place of whatever is there, with the attributes that others gave that."""
    old = group[name] if has(group, name) and _is_within(group, name) else None
    drop(group, name)  # `old` stays open, and with it its attributes
    texts = h5py.string_dtype() if values.dtype.kind == "O" else None
    dataset = group.create_dataset(name, data=values, dtype=texts)
    for attribute in () if old is None else list(old.attrs):
        if attribute not in _OF_SCALES:
            _copy_attribute(old, dataset, attribute)
    return dataset


def _copy_attribute(old: h5py.Group | h5py.Dataset, new: h5py.Dataset, name: str) -> None:
    """Copy an attribute as it is, its type and shape included."""
    source = old.attrs.get_id(name)
    target = h5py.h5a.create(new.id, name.encode(), source.get_type(), source.get_space())
    if source.get_space().get_simple_extent_type() != h5py.h5s.NULL:
        content = np.empty(source.shape, dtype=source.dtype)
        source.read(content)
        target.write(content)


def _detach(scale: h5py.Dataset | h5py.Group) -> None:
    """Free the arrays over an axis from it before it goes, others' arrays among them, so that no reference leads to nothing."""
    if not isinstance(scale, h5py.Dataset) or not scale.is_scale or "REFERENCE_LIST" not in scale.attrs:
        return
    for reference, _ in scale.attrs["REFERENCE_LIST"]:
        dataset = scale.file[reference] if reference else None
        for dimension in dataset.dims if isinstance(dataset, h5py.Dataset) else ():
            if any(other == scale for other in dimension.values()):
                dimension.detach_scale(scale)
