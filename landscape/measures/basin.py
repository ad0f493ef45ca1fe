"""The basin around the origin: how far, and over how much of the grid, the loss stays within a level of the origin's."""

from __future__ import annotations

import math

import numpy as np

from landscape.errors import InputError
from landscape.measures.values import measured
from landscape.surface import Number, Surface

__all__ = ["basin_radius", "basin_radius_weights", "basin_share", "sublevel_fraction"]

# Stands for an infinite value. Linear between a finite value and a huge one, the part within the level shrinks to nothing, as it
# does in the limit; yet no difference or product of two such values overflows.
HUGE = 1e150


def basin_radius(surface: Surface, level: float = 1.0, key: str | None = None) -> Number | None:
    """How far the basin reaches, in direction units: √(A/π) for a plane, half the interval's length for a line.

    A is the area of the connected component around the origin of {L(x, y) ≤ L(0, 0) + level}. L is linear between nodes: each cell
    is four triangles that meet in its centre, whose value is the mean of the corners, so x and y count alike; areas are exact
    for this function. Its components are those of the nodes and centres within the level, joined by the triangles' edges,
    because a linear function on a triangle has its minimum at a corner. L(0, 0) is the model's own loss where it is known.

    The number is a lower bound ("≥") when the component touches the grid's edge or a node not measured yet. A node measured as
    NaN or +inf lies outside. There is no number for a one-point axis, a grid that does not contain the origin, an origin without
    a finite loss or one around which nothing was measured yet, and a grid so coarse that interpolation puts the origin outside.

    Args:
        surface: a line of one draw `(nx,)`, or a plane `(nx, ny)`.
        level: the height above the origin, in the metric's unit (nats for cross-entropy).
        key: which values; the training loss without one.

    Raises:
        InputError: when the level is not a positive number.
    """
    key = surface.metric(key).key
    threshold = _threshold(surface, level, key)
    values, done = measured(surface, key)
    if threshold is None or not all(len(axis.values) > 1 and axis.values.min() <= 0 <= axis.values.max() for axis in surface.axes):
        return None
    axes, heights, done = _ascending(surface, values, done)
    found = (_interval if surface.kind == "line" else _component)(axes, heights, done, threshold)
    if found is None:
        return None
    size, open_ended = found
    if open_ended and size == 0:
        return None  # "≥ 0" is no news
    radius = size / 2 if surface.kind == "line" else math.sqrt(size / math.pi)
    return Number(radius, "direction", "≥" if open_ended else "")


def basin_radius_weights(surface: Surface, radius: Number | None) -> Number | None:
    """A basin radius in weight units: times ‖δ‖ for a line, times √(‖δ‖·‖η‖·sin) of the angle between for a plane.

    None where a norm is not known; directions whose cosine is not known are taken for orthogonal, which random ones nearly are.
    """
    norms = [axis.norm for axis in surface.axes]
    cosine = float(surface.attributes.get("cosine", 0.0)) if surface.kind == "surface" else 0.0
    if radius is None or not all(math.isfinite(number) for number in (*norms, cosine)):
        return None
    area = math.prod(norms) * math.sqrt(max(0.0, 1 - cosine**2))  # of one unit square of the plane; of a line, its length
    return Number(radius.value * area ** (1 / len(norms)), "weight", radius.bound)


def basin_share(surface: Surface, level: float = 1.0, key: str | None = None) -> Number | None:
    """The fraction of the grid's area (or a line's length) within the level, connected to the origin or not.

    |{L ≤ L(0, 0) + level}| / |grid|, with L linear between nodes as in `basin_radius`; unlike there the origin may lie outside the
    grid if its loss is known. "≥" while nodes are not measured yet, which count as outside.

    Raises:
        InputError: when the level is not a positive number.
    """
    key = surface.metric(key).key
    threshold = _threshold(surface, level, key)
    values, done = measured(surface, key)
    if threshold is None or any(len(axis.values) < 2 for axis in surface.axes):
        return None
    axes, heights, done = _ascending(surface, values, done)
    if surface.kind == "line":
        sizes = np.diff(axes[0])
        corners = np.stack([heights[:-1], heights[1:]], axis=1)
    else:
        vertex_heights, triangles, sizes = _triangulate(axes, heights)
        corners = vertex_heights[triangles]
    inside = float(sublevel_fraction(corners, threshold) @ sizes)
    return Number(inside / float(sizes.sum()), "fraction of the grid", "" if done.all() else "≥")


def sublevel_fraction(corners: np.ndarray, threshold: float) -> np.ndarray:
    """The part of each segment `(n, 2)` or triangle `(n, 3)` where the linear function with these corner values is ≤ threshold.

    For a triangle with values a ≤ b ≤ d and threshold c: (c-a)²/((b-a)(d-a)) up to b, 1 - (d-c)²/((d-a)(d-b)) from there on.

    >>> sublevel_fraction(np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 1.0]]), 0.5).tolist()
    [0.75, 0.25]
    """
    c = threshold
    ordered = np.sort(corners, axis=1)
    low, high = ordered[:, 0], ordered[:, -1]
    with np.errstate(divide="ignore", invalid="ignore"):  # branches not taken may divide by zero
        if corners.shape[1] == 2:
            return _limit(np.select([c < low, c < high], [0.0, (c - low) / (high - low)], 1.0))
        middle = ordered[:, 1]
        growing = (c - low) / (middle - low) * ((c - low) / (high - low))
        shrinking = 1 - (high - c) / (high - low) * ((high - c) / (high - middle))
    return _limit(np.select([c < low, c < middle, c < high], [0.0, growing, shrinking], 1.0))


def _limit(fraction: np.ndarray) -> np.ndarray:
    """What is left of a fraction where `HUGE` goes to infinity."""
    return np.where(fraction < 1e-100, 0.0, fraction)


def _threshold(surface: Surface, level: float, key: str) -> float | None:
    """L(0) + level; None where the origin has no finite loss (or one beyond what `HUGE` can stand above)."""
    if not (math.isfinite(level) and level > 0):
        raise InputError(f"a basin's level is a positive height above the origin's loss, not {level:g}; write for example 1.0")
    origin = surface.origin(key)
    return origin + level if abs(origin) < HUGE else None


def _ascending(surface: Surface, values: np.ndarray, done: np.ndarray) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Axes, heights and done mask with every axis ascending; what is not a number stands infinitely high."""
    flips = tuple(slice(None, None, 1 if axis.values[-1] >= axis.values[0] else -1) for axis in surface.axes)
    axes = [axis.values[flip] for axis, flip in zip(surface.axes, flips, strict=True)]
    heights = np.where(np.isnan(values), HUGE, np.clip(values, -HUGE, HUGE))
    return axes, heights[flips], done[flips]


def _interval(axes: list[np.ndarray], heights: np.ndarray, done: np.ndarray, threshold: float) -> tuple[float, bool] | None:
    """Length of the interval around 0 within the threshold, and whether it ends where the measured nodes do."""
    (x,) = axes
    middle = float(np.interp(0.0, x, heights))
    if middle > threshold:
        return None
    length, open_ended = 0.0, False
    for side, order in ((x > 0, slice(None)), (x < 0, slice(None, None, -1))):
        distance = np.abs(np.append(0.0, x[side][order]))
        height = np.append(middle, heights[side][order])
        outside = np.flatnonzero(height > threshold)
        if outside.size == 0:
            length, open_ended = length + float(distance[-1]), True
            continue
        k = int(outside[0])
        part = float(sublevel_fraction(height[None, k - 1 : k + 1], threshold)[0])
        length += float(distance[k - 1] + part * (distance[k] - distance[k - 1]))
        open_ended |= not done[side][order][k - 1]
    return length, open_ended


def _triangulate(axes: list[np.ndarray], heights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Four triangles a cell: heights of nodes, then centres `(v,)`; of the triangles the vertices `(t, 3)` and areas `(t,)`."""
    node = np.arange(heights.size).reshape(heights.shape)
    a, b, c, d = node[:-1, :-1].ravel(), node[1:, :-1].ravel(), node[1:, 1:].ravel(), node[:-1, 1:].ravel()
    flat = heights.ravel()
    centres = ((flat[a] + flat[c]) + (flat[b] + flat[d])) / 4  # in this order rounding does not tell x from y
    centre = heights.size + np.arange(a.size)
    triangles = np.concatenate([np.stack([p, q, centre], axis=1) for p, q in ((a, b), (b, c), (c, d), (d, a))])
    areas = np.tile(np.outer(np.diff(axes[0]), np.diff(axes[1])).ravel() / 4, 4)
    return np.append(flat, centres), triangles, areas


def _component(axes: list[np.ndarray], heights: np.ndarray, done: np.ndarray, threshold: float) -> tuple[float, bool] | None:
    """Area of the component around the origin within the threshold, and whether it touches the edge or an unmeasured node."""
    vertex_heights, triangles, areas = _triangulate(axes, heights)
    home, height = _triangle_of_origin(axes, vertex_heights, triangles)
    if height > threshold:
        return None
    inside = vertex_heights <= threshold
    # Pairs (0, 1) and (0, 2) of all triangles are all sides and all spokes, since each corner of a cell comes first once.
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [0, 2]]])
    labels = _connect(inside.size, edges[inside[edges].all(axis=1)])
    member = inside & (labels == labels[home[np.argmax(inside[home])]])
    own = member[triangles].any(axis=1)  # the vertices inside of one triangle are all of one component
    area = float(sublevel_fraction(vertex_heights[triangles[own]], threshold) @ areas[own])
    unknown = np.lib.stride_tricks.sliding_window_view(np.pad(~done, 1, constant_values=True), (3, 3)).any(axis=(2, 3))
    return area, bool((member[: heights.size].reshape(heights.shape) & unknown).any())


def _triangle_of_origin(axes: list[np.ndarray], vertex_heights: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, float]:
    """The triangle (its three vertices) that holds the origin, and the height there."""
    cell, place = [], []
    for axis in axes:
        i = min(int(np.searchsorted(axis, 0.0, side="right")) - 1, len(axis) - 2)
        cell.append(i)
        place.append(2 * (0.0 - axis[i]) / (axis[i + 1] - axis[i]) - 1)  # -1 to 1 across the cell
    x, y = place
    n_cells = len(triangles) // 4
    side = (1 if x > 0 else 3) if abs(x) >= abs(y) else (2 if y > 0 else 0)
    home = triangles[side * n_cells + cell[0] * (len(axes[1]) - 1) + cell[1]]
    out = max(abs(x), abs(y))  # 0 at the centre, 1 on the side
    along = 0.0 if out == 0 else (x, y, -x, -y)[side] / out  # -1 to 1 from the side's first corner to its second
    first, second, centre = (float(height) for height in vertex_heights[home])
    on_side = first * (1 - along) / 2 + second * (1 + along) / 2
    return home, centre * (1 - out) + on_side * out


def _connect(n_vertices: int, edges: np.ndarray) -> np.ndarray:
    """A label for each vertex `(n_vertices,)`, equal for those that edges `(e, 2)` connect: the lowest vertex of the component.

    Every root hooks onto the lowest root next to it and trees are flattened, until nothing changes (Shiloach and Vishkin 1982):
    a handful of rounds, each over whole arrays.
    """
    labels = np.arange(n_vertices)
    while True:
        ends = labels[edges]
        low = ends.min(axis=1)
        if (ends == low[:, None]).all():
            return labels
        np.minimum.at(labels, ends.ravel(), np.repeat(low, 2))
        while not np.array_equal(flat := labels[labels], labels):
            labels = flat
