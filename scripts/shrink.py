"""Make the files of results/ smaller: surfaces with compressed arrays, every value and attribute as it was, and pictures of 256 colours.

    .venv/bin/python scripts/shrink.py results

A surface is read as before, and may be resumed; a file that would not become smaller stays as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from landscape.atomic import replacing

OF_SCALES = ("CLASS", "NAME", "REFERENCE_LIST", "DIMENSION_LIST")  # HDF5 writes them itself where axes are attached
SMALL = 512  # bytes; compressing fewer gains nothing
LEAST_GAIN = 0.9
COLOURS = 256


def shrunk_surface(content: bytes) -> bytes:
    """The same HDF5 file with the compact groups of HDF5 1.10, and arrays shuffled and compressed."""
    with (
        h5py.File(BytesIO(content), "r") as old,
        h5py.File("shrunk", "w", driver="core", backing_store=False, libver=("v110", "v110")) as new,
    ):
        _copy_attributes(old, new)
        arrays = dict(_items(old))
        for name, item in arrays.items():
            if isinstance(item, h5py.Group):
                _copy_attributes(item, _make_group(new, name))
                continue
            packed = (
                {"chunks": item.shape, "compression": 9, "shuffle": True} if item.nbytes > SMALL and item.dtype.kind != "O" else {}
            )
            plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plan.set_attr_phase_change(1024, 0)
            made = new.create_dataset(name, data=item[()], dtype=item.dtype, dcpl=plan, **packed)
            _copy_attributes(item, made)
            if item.is_scale:
                made.make_scale(item.attrs["NAME"])
        for name, item in arrays.items():
            for i, dimension in enumerate(item.dims if isinstance(item, h5py.Dataset) and not item.is_scale else ()):
                for scale in dimension.values():
                    new[name].dims[i].attach_scale(new[scale.name])
        new.flush()
        return bytes(new.id.get_file_image())


def shrunk_picture(content: bytes) -> bytes:
    """The same PNG in a palette of its own, dithered, so that shades stay smooth; one that is transparent stays."""
    picture = Image.open(BytesIO(content))
    if picture.mode == "P" or (picture.mode == "RGBA" and picture.getextrema()[3] != (255, 255)):
        return content
    solid = picture.convert("RGB")
    chosen = solid.quantize(COLOURS, Image.Quantize.MEDIANCUT, kmeans=2, dither=Image.Dither.NONE)
    small = solid.quantize(palette=chosen)
    palette, corner = small.getpalette(), small.getpixel((0, 0))
    palette[3 * corner : 3 * corner + 3] = solid.getpixel((0, 0))  # the background keeps its very colour
    small.putpalette(palette)
    made = BytesIO()
    small.save(made, "PNG", optimize=True, dpi=picture.info.get("dpi", (72, 72)))
    return made.getvalue()


def shrink(path: Path) -> None:
    """Write a file smaller, if it can be."""
    before = path.read_bytes()
    after = shrunk_surface(before) if path.suffix == ".h5" else shrunk_picture(before)
    if len(after) <= LEAST_GAIN * len(before):
        with replacing(path) as temporary:
            temporary.write_bytes(after)


def _items(file: h5py.File) -> Iterator[tuple[str, h5py.Group | h5py.Dataset]]:
    names: list[str] = []
    file.visit(names.append)
    return ((name, file[name]) for name in names)


def _make_group(file: h5py.File, name: str) -> h5py.Group:
    parent, _, last = name.rpartition("/")
    plan = h5py.h5p.create(h5py.h5p.GROUP_CREATE)
    plan.set_link_creation_order(0)
    plan.set_attr_phase_change(1024, 0)
    return h5py.Group(h5py.h5g.create((file[parent] if parent else file).id, last.encode(), gcpl=plan))


def _copy_attributes(old: h5py.Group | h5py.Dataset, new: h5py.Group | h5py.Dataset) -> None:
    for name in old.attrs:
        if name not in OF_SCALES:
            source = old.attrs.get_id(name)
            target = h5py.h5a.create(new.id, name.encode(), source.get_type(), source.get_space())
            if source.get_space().get_simple_extent_type() != h5py.h5s.NULL:
                value = np.empty(source.shape, dtype=source.dtype)
                source.read(value)
                target.write(value)


if __name__ == "__main__":
    for folder in sys.argv[1:]:
        for path in sorted(Path(folder).rglob("*")):
            if path.suffix in (".h5", ".png"):
                shrink(path)
