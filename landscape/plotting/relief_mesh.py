"""The geometry of a relief: faces between its points, cut flat at the scale's end, and how much sun each gets. Numbers only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from landscape.plotting.scale import Scale

__all__ = ["HEIGHT", "ReliefMesh", "hidden", "relief_mesh_of"]

HEIGHT = 0.7  # of the box, its base being 1 × 1: enough to see a basin, not so much that it looks like a well
_N_BANDS = 32  # colours on a cliff
_N_ACROSS = 150  # faces on each side of a relief, about; more are not seen, fewer show their edges


@dataclass(frozen=True, eq=False)
class ReliefMesh:
    """The faces of one relief: polygons in the coordinates of the axes, and what is known of each."""

    polygons: list[np.ndarray]  # (3 to 5, 3) each: x, y, height
    cut: np.ndarray  # (n_faces,) bool: part of the flat top of a cut
    light: np.ndarray  # (n_faces,) from 0, turned away from the sun, to 1

    def corners(self) -> np.ma.MaskedArray:
        """All polygons in one array `(n_faces, most, 3)`, masked behind the last corner of those with fewer, which stands there too.

        Of a ragged list matplotlib (3.11) makes such an array itself, on whatever lies in the memory it is given, and computes with
        that: now and then it warns of an overflow.
        """
        most = max(map(len, self.polygons))
        numbers = np.minimum(np.arange(most), np.array([[len(polygon) - 1] for polygon in self.polygons]))  # (n_faces, most)
        starts = np.cumsum([0, *map(len, self.polygons[:-1])])
        filled = np.concatenate(self.polygons)[starts[:, None] + numbers]
        behind = np.arange(most) > numbers
        return np.ma.MaskedArray(filled, np.broadcast_to(behind[..., None], filled.shape))


def relief_mesh_of(x: np.ndarray, y: np.ndarray, values: np.ndarray, scale: Scale, sun: np.ndarray) -> ReliefMesh:
    """The faces between the points of a plane `(nx, ny)`, of which NaN are holes.

    Each cell with four values is bilinear between them, in as many faces as a smooth look needs; where it is steep or cut, these are
    parted along level lines: one colour stands for one height on a cliff, and the cut runs where the contour runs. The light is
    that of a surface which is smooth at the points, so that the grid does not show; the heights are those measured.

    Args:
        x: the first axis, `(nx,)`.
        y: the second axis, `(ny,)`.
        values: on the metric's own scale; NaN where there is none.
        scale: the heights, and where they end.
        sun: the direction towards the light, `(3,)`, of length 1, in the box.
    """
    heights = scale.height(values)
    low, high = scale.span
    n_parts = int(np.clip(round(_N_ACROSS / max(heights.shape)), 1, 4))
    whole = ~np.isnan(heights[:-1, :-1] + heights[1:, :-1] + heights[:-1, 1:] + heights[1:, 1:])
    quads = np.stack(
        [_subdivided(np.broadcast_to(axis, heights.shape), whole, n_parts) for axis in (x[:, None], y[None, :], heights)], axis=-1
    )
    light = _light(x, y, np.minimum(heights, high + (high - low) / 2), (high - low) / HEIGHT, whole, n_parts, sun)
    levels = np.linspace(low, high, _N_BANDS + 1)
    lowest, highest = quads[..., 2].min(axis=1), quads[..., 2].max(axis=1)
    plain = (highest <= scale.top) & (highest - lowest <= 2 * (levels[1] - levels[0]))
    above = (lowest >= scale.top) & ~plain
    quads[above, :, 2] = scale.top
    polygons, cut, lights = list(quads[plain | above]), list(above[plain | above]), list(light[plain | above])
    for quad, its_light in zip(quads[~(plain | above)], light[~(plain | above)], strict=True):
        for corners in ([0, 1, 2], [0, 2, 3]):
            for polygon, is_cut in _slabs(quad[corners], levels, scale.top):
                polygons.append(polygon)
                cut.append(is_cut)
                lights.append(its_light)
    return ReliefMesh(polygons, np.array(cut, dtype=bool), np.array(lights, dtype=np.float64))


def hidden(
    x: np.ndarray, y: np.ndarray, heights: np.ndarray, places: np.ndarray, view: tuple[float, float], span: tuple[float, float]
) -> np.ndarray:
    """Which places `(n, 3)` a relief `(nx, ny)` hides from an eye far off at an elevation and azimuth `view`, in degrees.

    `span` are the lower and upper end of the box; NaN of the relief hide nothing.
    """
    elevation, azimuth = np.radians(view)
    size = np.array([np.ptp(x), np.ptp(y), (span[1] - span[0]) / HEIGHT])
    to_eye = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]) * size
    ways = places[:, None, :] + np.linspace(0.01, 1.6, 320)[None, :, None] * to_eye  # (n, steps, 3), beyond the box's diagonal
    order_x, order_y = np.argsort(x), np.argsort(y)
    i = np.interp(ways[..., 0], x[order_x], np.arange(len(x)), left=np.nan, right=np.nan)
    j = np.interp(ways[..., 1], y[order_y], np.arange(len(y)), left=np.nan, right=np.nan)
    inside = ~np.isnan(i + j)
    i, j = np.where(inside, i, 0.0), np.where(inside, j, 0.0)
    i0, j0 = np.minimum(i.astype(int), len(x) - 2), np.minimum(j.astype(int), len(y) - 2)
    u, v, relief = i - i0, j - j0, heights[np.ix_(order_x, order_y)]
    ground = (relief[i0, j0] * (1 - u) + relief[i0 + 1, j0] * u) * (1 - v) + (
        relief[i0, j0 + 1] * (1 - u) + relief[i0 + 1, j0 + 1] * u
    ) * v
    with np.errstate(invalid="ignore"):
        covered: np.ndarray = (inside & (ground > ways[..., 2])).any(axis=1)
    return covered


def _subdivided(corners: np.ndarray, whole: np.ndarray, n_parts: int) -> np.ndarray:
    """Of each whole cell its `n_parts` × `n_parts` faces' corners, `(n_faces, 4)`, bilinear between the cell's own `(nx, ny)`."""
    share = np.linspace(0, 1, n_parts + 1)
    u, v = share[:, None], share[None, :]
    at = [part[whole][:, None, None] for part in (corners[:-1, :-1], corners[1:, :-1], corners[:-1, 1:], corners[1:, 1:])]
    fine = (at[0] * (1 - u) + at[1] * u) * (1 - v) + (at[2] * (1 - u) + at[3] * u) * v
    return np.stack([fine[:, :-1, :-1], fine[:, 1:, :-1], fine[:, 1:, 1:], fine[:, :-1, 1:]], axis=-1).reshape(-1, 4)


def _light(
    x: np.ndarray, y: np.ndarray, heights: np.ndarray, unit: float, whole: np.ndarray, n_parts: int, sun: np.ndarray
) -> np.ndarray:
    """How much sun each face gets, by slopes that are averaged at the points and bilinear between them."""
    slopes = []
    for axis, places in ((0, x), (1, y)):
        steps = np.diff(heights / unit, axis=axis) / np.diff(places / np.ptp(places)).reshape((-1, 1) if axis == 0 else (1, -1))
        before, after = (np.insert(steps, end, np.nan, axis=axis) for end in (0, steps.shape[axis]))
        n_known = (~np.isnan(before)).astype(int) + ~np.isnan(after)
        at_points = (np.nan_to_num(before) + np.nan_to_num(after)) / np.maximum(n_known, 1)
        slopes.append(_subdivided(at_points, whole, n_parts).mean(axis=1))
    facing = (sun[2] - sun[0] * slopes[0] - sun[1] * slopes[1]) / np.sqrt(1 + slopes[0] ** 2 + slopes[1] ** 2)
    lit: np.ndarray = np.clip(1.15 * facing, 0.0, 1.0)  # the level gets most of what there is, so that colours stay clear
    return lit


def _slabs(triangle: np.ndarray, levels: np.ndarray, top: float) -> Iterator[tuple[np.ndarray, bool]]:
    """A triangle parted along `levels`, and whether a part is what lay above `top`, pressed flat onto it."""
    rest, lowest, highest = triangle, triangle[:, 2].min(), triangle[:, 2].max()
    for level in levels[1:-1][(levels[1:-1] > lowest) & (levels[1:-1] < min(highest, top))]:
        yield _part(rest, level, below=True), False
        rest = _part(rest, level, below=False)
    if highest <= top:
        yield rest, False
        return
    if lowest < top:
        yield _part(rest, top, below=True), False
        rest = _part(rest, top, below=False)
    yield np.column_stack([rest[:, :2], np.full(len(rest), top)]), True


def _part(polygon: np.ndarray, level: float, below: bool) -> np.ndarray:
    """What of a convex polygon lies on one side of a height `level` (Sutherland and Hodgman 1974)."""
    outside = polygon[:, 2] - level if below else level - polygon[:, 2]
    kept: list[np.ndarray] = []
    for k in range(len(polygon)):
        start, end = polygon[k - 1], polygon[k]
        if min(outside[k - 1], outside[k]) < 0 < max(outside[k - 1], outside[k]):
            crossing = start + (end - start) * ((level - start[2]) / (end[2] - start[2]))
            crossing[2] = level  # not a rounding beside it
            kept.append(crossing)
        if outside[k] <= 0:
            kept.append(end)
    return np.array(kept)
