"""A grid as simplices on which the loss is linear: the segments of a line, four triangles in each cell of a plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Mesh", "mesh_of", "sublevel_fraction"]


@dataclass(frozen=True, eq=False)
class Mesh:
    """Vertices and simplices over ascending axes.

    The vertices of a line are its nodes; of a plane first its nodes, then the centres of its cells, whose height is the mean of the
    four corners, so that x and y count alike.
    """

    axes: tuple[np.ndarray, ...]
    heights: np.ndarray  # (n_vertices,); the first are those of the nodes, in grid order
    simplices: np.ndarray  # (n_simplices, 2 or 3) vertices: segments, or triangles
    sizes: np.ndarray  # (n_simplices,) their lengths or areas

    @property
    def shape(self) -> tuple[int, ...]:
        """How many nodes lie along each axis."""
        return tuple(len(axis) for axis in self.axes)

    def at_nodes(self, values: np.ndarray) -> np.ndarray:
        """What belongs to the nodes, among values by vertex, in the shape of the grid."""
        return values[: int(np.prod(self.shape))].reshape(self.shape)

    def components(self, threshold: float) -> tuple[np.ndarray, np.ndarray]:
        """Which vertices lie within a threshold, and a label for each, equal for those that are connected within it, `(n_vertices,)`.

        The components of {L ≤ threshold} are those of the vertices within it, joined by the simplices' edges, because a linear
        function on a simplex has its minimum at a corner.
        """
        inside = self.heights <= threshold
        # Of triangles the pairs (0, 1) and (0, 2) are all sides and all spokes, since each corner of a cell comes first once.
        pairs = [[0, 1]] if self.simplices.shape[1] == 2 else [[0, 1], [0, 2]]
        edges = np.concatenate([self.simplices[:, pair] for pair in pairs])
        return inside, _connect(inside.size, edges[inside[edges].all(axis=1)])

    def component_of_origin(self, threshold: float) -> np.ndarray:
        """The vertices within a threshold that are connected with the origin, `(n_vertices,)`; none where its simplex has none."""
        inside, labels = self.components(threshold)
        home = self.simplex_of_origin()
        return np.asarray(inside & (labels == labels[home[np.argmax(inside[home])]]))

    def size_within(self, threshold: float, member: np.ndarray | None = None) -> float:
        """The length or area where the loss is within a threshold; of those simplices alone that touch a vertex of `member`."""
        chosen = np.ones(len(self.simplices), dtype=bool) if member is None else member[self.simplices].any(axis=1)
        return float(sublevel_fraction(self.heights[self.simplices[chosen]], threshold) @ self.sizes[chosen])

    def simplex_of_origin(self) -> np.ndarray:
        """The vertices of the simplex that holds the origin, which has to lie within the axes."""
        cell, place = [], []
        for axis in self.axes:
            i = min(int(np.searchsorted(axis, 0.0, side="right")) - 1, len(axis) - 2)
            cell.append(i)
            place.append(2 * (0.0 - axis[i]) / (axis[i + 1] - axis[i]) - 1)  # -1 to 1 across the cell
        if len(cell) == 1:
            return np.asarray(self.simplices[cell[0]])
        x, y = place
        side = (1 if x > 0 else 3) if abs(x) >= abs(y) else (2 if y > 0 else 0)
        n_cells = len(self.simplices) // 4
        return np.asarray(self.simplices[side * n_cells + cell[0] * (len(self.axes[1]) - 1) + cell[1]])


def mesh_of(axes: Sequence[np.ndarray], heights: np.ndarray) -> Mesh:
    """The mesh over ascending axes of at least two nodes each, with these heights `(nx,)` or `(nx, ny)`."""
    if len(axes) == 1:
        ends = np.arange(len(heights))
        return Mesh(tuple(axes), heights, np.stack([ends[:-1], ends[1:]], axis=1), np.diff(axes[0]))
    node = np.arange(heights.size).reshape(heights.shape)
    a, b, c, d = node[:-1, :-1].ravel(), node[1:, :-1].ravel(), node[1:, 1:].ravel(), node[:-1, 1:].ravel()
    flat = heights.ravel()
    centres = ((flat[a] + flat[c]) + (flat[b] + flat[d])) / 4  # in this order rounding does not tell x from y
    centre = heights.size + np.arange(a.size)
    triangles = np.concatenate([np.stack([p, q, centre], axis=1) for p, q in ((a, b), (b, c), (c, d), (d, a))])
    areas = np.tile(np.outer(np.diff(axes[0]), np.diff(axes[1])).ravel() / 4, 4)
    return Mesh(tuple(axes), np.append(flat, centres), triangles, areas)


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
    """What is left of a fraction where a huge height, which stands for an infinite one, goes to infinity."""
    return np.where(fraction < 1e-100, 0.0, fraction)


def _connect(n_vertices: int, edges: np.ndarray) -> np.ndarray:
    """A label for each vertex `(n_vertices,)`, equal for those that edges `(e, 2)` connect: the lowest vertex of the component.

    Every root hooks onto the lowest root next to it and trees are flattened, until nothing changes (Shiloach and Vishkin 1982):
    a handful of rounds, each over whole arrays.
    """
    labels: np.ndarray = np.arange(n_vertices)
    while True:
        ends = labels[edges]
        low = ends.min(axis=1)
        if (ends == low[:, None]).all():
            return labels
        np.minimum.at(labels, ends.ravel(), np.repeat(low, 2))
        while not np.array_equal(flat := labels[labels], labels):
            labels = flat
