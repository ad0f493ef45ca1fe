"""A surface as a mesh for ParaView: a sheet of quads, or polylines, whose height is the loss."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from landscape.core.surface import Surface
from landscape.errors import InputError

__all__ = ["Mesh", "build_mesh", "encode_vtp"]


@dataclass(frozen=True, eq=False)
class Mesh:
    """The nodes of a grid that have a height, x fastest, and the cells between them."""

    drawn: np.ndarray  # (nx,) or (nx, ny) bool: which nodes of the grid are points of the mesh
    points: np.ndarray  # (n_points, 3) float64: x, y (0 for a line), height
    quads: np.ndarray  # (n_quads, 4) int64, counter-clockwise seen from above
    lines: tuple[np.ndarray, ...]  # each (2 or more,) int64, along the axis
    lonely: np.ndarray  # (n_lonely,) int64: points that no cell touches

    def pick(self, array: np.ndarray) -> np.ndarray:
        """The entries of a grid's array that belong to the points, `(n_points,)`."""
        return _pick(array, self.drawn)


def build_mesh(surface: Surface, clip: float | None = None, log: bool = False) -> Mesh:
    """The mesh of the default loss: every node that is measured and finite, and the cells all of whose corners are.

    Args:
        surface: a line, several draws of one, or a plane.
        clip: heights above it are drawn at it; infinite ones are still left out.
        log: the height is the decimal logarithm, as figures draw it; nodes at or below zero have none and are left out.

    Raises:
        InputError: when no node has a height, or `clip` is no height.
    """
    if clip is not None and not (np.isfinite(clip) and (clip > 0 or not log)):
        raise InputError(f"clip {clip} is not a height to cut at; give a finite number, above 0 with log")
    key = surface.metric().key
    values = surface.values[key]
    drawn = surface.done[key].astype(bool) & np.isfinite(values)
    if log:
        drawn &= values > 0
    if not drawn.any():
        raise InputError(f'"{key}" has no finite value{" above zero" if log else ""}, so there is no mesh; export .csv or .npz')
    height = np.where(drawn, values, 1.0)
    height = height if clip is None else np.minimum(height, clip)
    height = np.log10(height) if log else height
    place = np.meshgrid(*(axis.values for axis in surface.axes), indexing="ij")
    depth = place[1] if surface.kind == "surface" else np.zeros(drawn.shape)  # the draws of a line share one axis
    points = np.stack([_pick(array, drawn) for array in (place[0], depth, height)], axis=1)
    quads, lines = _connect(surface, drawn)
    return Mesh(drawn, points, quads, lines, np.setdiff1d(np.arange(len(points)), np.concatenate([quads.ravel(), *lines])))


def encode_vtp(surface: Surface, clip: float | None, log: bool, description: Mapping[str, Any]) -> bytes:
    """The mesh as a VTK XML PolyData file, with every metric as point data and `description` as a JSON text in its field data.

    Raises:
        InputError: when there is no mesh or no vtk package.
    """
    mesh = build_mesh(surface, clip, log)
    core, arrays = _import_vtk("vtkCommonCore"), _import_vtk("util.numpy_support")
    points = core.vtkPoints()
    points.SetData(arrays.numpy_to_vtk(np.ascontiguousarray(mesh.points), deep=True))
    data = _import_vtk("vtkCommonDataModel").vtkPolyData()
    data.SetPoints(points)
    data.SetVerts(_encode_cells(np.ones_like(mesh.lonely), mesh.lonely))
    data.SetLines(_encode_cells(np.array([len(line) for line in mesh.lines]), np.concatenate([mesh.lonely[:0], *mesh.lines])))
    data.SetPolys(_encode_cells(np.full(len(mesh.quads), 4), mesh.quads.ravel()))
    for name, array in _list_arrays(surface).items():
        encoded = arrays.numpy_to_vtk(np.ascontiguousarray(mesh.pick(array)), deep=True)
        encoded.SetName(name)
        data.GetPointData().AddArray(encoded)
    data.GetPointData().SetActiveScalars(surface.metric().key)
    provenance = core.vtkStringArray()
    provenance.SetName("landscape")
    provenance.InsertNextValue(json.dumps(description))
    data.GetFieldData().AddArray(provenance)
    writer = _import_vtk("vtkIOXML").vtkXMLPolyDataWriter()
    writer.SetInputData(data)
    writer.SetWriteToOutputString(True)  # our own code writes the file, so that a full disk is one clear line
    writer.Write()
    return str(writer.GetOutputString()).encode("utf-8")


def _import_vtk(module: str) -> Any:
    """A part of the vtk package, which is an extra and slow to import, so it waits until a mesh is written."""
    try:
        return importlib.import_module(f"vtkmodules.{module}")
    except ImportError:
        raise InputError(".vtp is written by the vtk package, which is missing: pip install 'torch-landscape[vtk]'") from None


def _pick(array: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Entries where `drawn`, x fastest as VTK orders structured points."""
    picked: np.ndarray = array.ravel(order="F")[drawn.ravel(order="F")]
    return picked


def _connect(surface: Surface, drawn: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """The quads of a plane or the polylines of a line, as indices of the points."""
    index = (np.cumsum(drawn.ravel(order="F")) - 1).reshape(drawn.shape, order="F")
    index[~drawn] = -1
    if surface.kind == "surface":
        return _list_quads(index, surface), ()
    draws = index.reshape(len(index), -1).T
    return np.empty((0, 4), dtype=np.int64), tuple(run for draw in draws for run in _list_runs(draw))


def _list_quads(index: np.ndarray, surface: Surface) -> np.ndarray:
    corners = np.stack([index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]], axis=-1).reshape(-1, 4)
    corners = corners[(corners >= 0).all(axis=1)].astype(np.int64)
    descends = [bool(axis[-1] < axis[0]) for axis in (surface.x, surface.y)]
    return corners[:, ::-1] if descends[0] != descends[1] else corners  # one descending axis would turn the sheet over


def _list_runs(draw: np.ndarray) -> Iterator[np.ndarray]:
    """The unbroken stretches of a line, `(2 or more,)` point indices each; -1 breaks it."""
    present = np.flatnonzero(draw >= 0)
    for run in np.split(present, np.flatnonzero(np.diff(present) > 1) + 1):
        if len(run) > 1:
            yield draw[run].astype(np.int64)


def _list_arrays(surface: Surface) -> dict[str, np.ndarray]:
    """The arrays that become point data: every metric, its standard error or interval, and the draw a point of a line belongs to."""
    arrays: dict[str, np.ndarray] = {}
    for key in surface.metrics:
        arrays[key] = surface.values[key]
        arrays |= surface.errors(key)
    if surface.kind == "line" and len(surface.axes) == 2:
        arrays["seed"] = np.broadcast_to(surface.axes[1].values, surface.shape)
    return arrays


def _encode_cells(lengths: np.ndarray, connectivity: np.ndarray) -> Any:
    """VTK's form of cells: how many points each has, and their indices one cell after the other."""
    encode = _import_vtk("util.numpy_support").numpy_to_vtkIdTypeArray
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    cells = _import_vtk("vtkCommonDataModel").vtkCellArray()
    cells.SetData(encode(offsets, deep=True), encode(connectivity.astype(np.int64), deep=True))
    return cells
