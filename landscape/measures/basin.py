"""The basin around the origin: how far, and over how much of the grid, the loss stays within a level of the origin's."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from landscape.core.surface import Number, Surface
from landscape.errors import InputError
from landscape.measures.mesh import Mesh, mesh_of
from landscape.measures.resolution import cells_touched, finer_grid, near, resolved_part
from landscape.measures.values import measured

__all__ = ["basin_radius", "basin_radius_weights", "basin_share"]

# Stands for an infinite value. Linear between a finite value and a huge one, the part within the level shrinks to nothing, as it
# does in the limit; yet no difference or product of two such values overflows.
HUGE = 1e150

_LOOSE_SHARE = 0.1  # of the share's area, that basins too narrow for the grid may cover


@dataclass(frozen=True, eq=False)
class _Terrain:
    """A surface prepared: its mesh, which nodes are measured, the origin's loss and the height of the basin's edge."""

    mesh: Mesh
    done: np.ndarray
    origin: float
    threshold: float
    level: str  # in words

    @property
    def nodes(self) -> np.ndarray:
        """The heights of the nodes."""
        return self.mesh.at_nodes(self.mesh.heights)


def basin_radius(surface: Surface, basin_level: float | None = None, key: str | None = None) -> Number | None:
    """How far the basin reaches, in direction units: √(A/π) for a plane, half the interval's length for a line.

    A is the area of the connected component around the origin of {L(x, y) ≤ L(0, 0) + basin_level}. L is linear between nodes: each cell
    is four triangles that meet in its centre, whose value is the mean of the corners, so x and y count alike; areas are exact
    for this function. L(0, 0) is the model's own loss where it is known. Against the loss itself the radius of an ellipse is at
    most 8 % too small, of an interval 6 % (see `resolution`).

    The number is a lower bound ("≥") when the component touches the grid's edge or a node not measured yet. A node measured as
    NaN or +inf lies outside. Where the component holds no node together with all its neighbours, linear interpolation says nothing
    about its size. Then the number is an upper bound ("<"): what the radius would be if all cells that touch its nodes were in it,
    which at a lone origin on an even grid are four, √(4·hx·hy/π), of a line h; and its note says which finer grid to ask for.
    It is withheld, with the same advice, where not even that bound holds: at the grid's edge; where other nodes lie within the level
    that may belong to the same valley; and in a plane where the origin is no node and no corner of its cell lies within.

    There is no number for a one-point axis, a grid that does not contain the origin, an origin without a finite loss, and one around
    which too little is measured yet.

    Args:
        surface: a line of one draw `(nx,)`, or a plane `(nx, ny)`.
        basin_level: the height above the origin, in the metric's unit (nats for cross-entropy); the surface's own by default.
        key: which values; the training loss without one.

    Raises:
        InputError: when the level is not a positive number.
    """
    land = _terrain(surface, basin_level, key)
    if land is None or not all(axis.values.min() <= 0 <= axis.values.max() for axis in surface.axes):
        return None
    member = land.mesh.component_of_origin(land.threshold)
    nodes = land.mesh.at_nodes(member)
    cornered = np.zeros(len(member), dtype=bool)
    cornered[land.mesh.simplex_of_origin()] = True
    growing = bool((near(~land.done) & (nodes if nodes.any() else land.mesh.at_nodes(cornered))).any())
    at_edge = bool(_edge(nodes.shape)[nodes].any())
    if resolved_part(nodes).any():
        size = land.mesh.size_within(land.threshold, member)
        return Number(_radius(size, surface.kind), "direction", "≥" if growing or at_edge else "")
    if growing:
        return None
    return _unresolved(land, surface.kind, nodes, at_edge)


def basin_radius_weights(surface: Surface, radius: Number | None) -> Number | None:
    """A basin radius in weight units: times ‖δ‖ for a line, times √(‖δ‖·‖η‖·sin) of the angle between for a plane.

    None where a norm is not known; directions whose cosine is not known are taken for orthogonal, which random ones nearly are.
    """
    norms = [axis.norm for axis in surface.axes]
    cosine = float(surface.attributes.get("cosine", 0.0)) if surface.kind == "surface" else 0.0
    if radius is None or not all(math.isfinite(number) for number in (*norms, cosine)):
        return None
    area = math.prod(norms) * math.sqrt(max(0.0, 1 - cosine**2))  # of one unit square of the plane; of a line, its length
    return Number(radius.value * area ** (1 / len(norms)), "weight", radius.bound, radius.withheld, radius.note)


def basin_share(surface: Surface, basin_level: float | None = None, key: str | None = None) -> Number | None:
    """The fraction of the grid's area (or a line's length) within the level, connected to the origin or not.

    |{L ≤ L(0, 0) + basin_level}| / |grid|, with L linear between nodes as in `basin_radius`; unlike there the origin may lie outside the
    grid if its loss is known. "≥" while nodes are not measured yet, which count as outside. Withheld where basins that are too narrow
    for the grid, whose interpolated areas say nothing, touch cells of more than a tenth of the area found.

    Raises:
        InputError: when the level is not a positive number.
    """
    land = _terrain(surface, basin_level, key)
    if land is None:
        return None
    inside, labels = land.mesh.components(land.threshold)
    whole, within = float(land.mesh.sizes.sum()), land.mesh.size_within(land.threshold)
    nodes, label = land.mesh.at_nodes(inside), land.mesh.at_nodes(labels)
    loose = nodes & ~np.isin(label, label[resolved_part(nodes)])
    if land.done.all() and cells_touched(land.mesh.axes, loose) > _LOOSE_SHARE * within:
        advice = finer_grid(land.mesh.axes, land.nodes, nodes, land.threshold, land.origin)
        reason = f"what lies within {land.level} of the origin is narrower than a cell; ask for {advice}"
        return Number(math.nan, "fraction of the grid", withheld=reason)
    return Number(within / whole, "fraction of the grid", "" if land.done.all() else "≥")


def _terrain(surface: Surface, basin_level: float | None, key: str | None) -> _Terrain | None:
    """The surface with every axis ascending; None for a one-point axis, and where the origin has no finite loss."""
    level = surface.basin_level if basin_level is None else basin_level
    if not (math.isfinite(level) and level > 0):
        raise InputError(f"a basin's level is a positive height above the origin's loss, not {level:g}; write for example 1.0")
    metric = surface.metric(key)
    values, done = measured(surface, metric.key)
    origin = surface.origin(metric.key)
    if not abs(origin) < HUGE or any(len(axis.values) < 2 for axis in surface.axes):  # NaN is not below either
        return None
    flips = tuple(slice(None, None, 1 if axis.values[-1] >= axis.values[0] else -1) for axis in surface.axes)
    axes = [axis.values[flip] for axis, flip in zip(surface.axes, flips, strict=True)]
    heights = np.where(np.isnan(values), HUGE, np.clip(values, -HUGE, HUGE))  # what is no number stands infinitely high
    words = f"{level:g} {metric.unit}".rstrip()
    return _Terrain(mesh_of(axes, heights[flips]), done[flips], origin, origin + level, words)


def _radius(size: float, kind: str) -> float:
    return size / 2 if kind == "line" else math.sqrt(size / math.pi)


def _edge(shape: tuple[int, ...]) -> np.ndarray:
    """The nodes on the edge of a grid."""
    return np.pad(np.zeros([n - 2 for n in shape], dtype=bool), 1, constant_values=True)


def _unresolved(land: _Terrain, kind: str, nodes: np.ndarray, at_edge: bool) -> Number:
    """What can be said of a basin that holds no node together with its neighbours: a bound, or why there is none.

    Args:
        land: the surface.
        kind: "line" or "surface".
        nodes: those in the basin.
        at_edge: whether one of its nodes is on the grid's edge.
    """
    advice = f"ask for {finer_grid(land.mesh.axes, land.nodes, nodes, land.threshold, land.origin)}"
    few = "no neighbour" if nodes.sum() <= 1 else "too few neighbours"
    what = f"{few} of the origin {'is' if nodes.sum() <= 1 else 'are'} within {land.level}"
    if not nodes.any():  # the origin lies between nodes
        if kind == "surface":
            return Number(math.nan, "direction", withheld=f"{what}; {advice}")
        between = land.mesh.axes[0][land.mesh.simplex_of_origin()]
        return Number(float(np.ptp(between)) / 2, "direction", "<", note=f"{what}; {advice}")
    if at_edge:
        return Number(math.nan, "direction", withheld=f"{what}, and the grid ends there; {advice}")
    if kind == "surface" and ((land.nodes <= land.threshold) & ~nodes).any():
        return Number(math.nan, "direction", withheld=f"{what}, while farther nodes are, as along a narrow valley; {advice}")
    return Number(_radius(cells_touched(land.mesh.axes, nodes), kind), "direction", "<", note=f"{what}; {advice}")
