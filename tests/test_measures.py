"""Measures against closed forms, and the basin's area against dense sampling of the same piecewise linear function."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from grids import LOSS, line, manhattan, plane, plane_of, transposed, value
from matplotlib.tri import LinearTriInterpolator, Triangulation
from scipy import ndimage

from landscape.core.grid import AxisLike, axis_values
from landscape.core.surface import Axis, Metric, Number, Point, Surface
from landscape.errors import InputError
from landscape.measures import (
    alpha_half,
    barrier,
    basin_radius,
    basin_share,
    bump,
    climb,
    convexity,
    draws,
    least_second_difference,
    measure,
    min_curvature,
    minima,
    minimum,
    rounding_noise,
    turning_points,
    turning_points_between,
)
from landscape.measures.curvature import second_difference, smaller_eigenvalue
from landscape.measures.mesh import Mesh, mesh_of

# --- basin of a plane ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [21, 51, 81])
@pytest.mark.parametrize("level", [1.0, 2.25])
def test_radius_of_a_paraboloid(n: int, level: float) -> None:
    # Triangles over a convex function lie above it: by at most (h/2)² on the triangle (its circumradius is h/2, and |x|² is
    # interpolated to R² minus the squared distance from the circumcentre) plus the centre's mean, which is h²/2 too high.
    h = 4 / (n - 1)
    surface = plane_of(lambda x, y: 0.3 + x**2 + y**2, (-2, 2, n), (-2, 2, n))
    number = basin_radius(surface, level)
    assert number is not None
    assert number.bound == ""
    assert math.sqrt(level - 0.75 * h**2) <= number.value <= math.sqrt(level)


def test_radius_of_a_cone() -> None:
    # The cone's Hessian at radius r is at most 1/r, half the paraboloid's at r ≥ 1/2: the surplus is at most 0.375 h²/r, slope 1.
    h = 0.05
    radius = value(basin_radius(plane_of(np.hypot, (-2, 2, 81), (-2, 2, 81))))
    assert 1 - 0.375 * h**2 / (1 - 2 * h) <= radius <= 1


def test_the_squares_area_is_exact_on_every_kind_of_grid() -> None:
    expected = math.sqrt(2 / math.pi)
    uneven = np.array([-3.0, -1.3, -0.2, 0.0, 0.4, 0.9, 2.0])
    for x, y in [
        ((-2, 2, 9), (-2, 2, 9)),
        ((-2, 2, 9), (-3, 3, 31)),  # not square
        ((2, -2, 9), (-3, 3, 31)),  # descending
        ((2, -2, 9), (3, -3, 13)),
        (uneven, (-2, 2, 9)),
        (uneven[::-1].copy(), -uneven),
    ]:
        surface = plane_of(manhattan, x, y)
        number = basin_radius(surface)
        assert number is not None
        assert (number.value, number.bound) == (pytest.approx(expected, rel=1e-13), "")
        spans = np.ptp(surface.x) * np.ptp(surface.y)
        assert value(basin_share(surface)) == pytest.approx(2 / spans, rel=1e-13)


def test_radius_in_spacing_other_than_one_and_in_weights() -> None:
    surface = plane_of(lambda x, y: np.abs(x) + np.abs(y) / 10, (-2, 2, 9), (-20, 20, 21))
    numbers = measure(surface)
    assert numbers["basin_radius"].value == pytest.approx(math.sqrt(20 / math.pi), rel=1e-13)
    assert numbers["basin_radius"].unit == "direction"
    assert numbers["basin_radius_weights"].value == pytest.approx(6 * math.sqrt(20 / math.pi), rel=1e-13)  # √(4·9)
    assert numbers["basin_radius_weights"].unit == "weight"


@pytest.mark.parametrize("cosine", [0.6, -0.6])
def test_the_radius_in_weights_knows_the_angle_between_the_directions(cosine: float) -> None:
    surface = plane_of(manhattan, (-2, 2, 9), (-2, 2, 9))
    area = 4 * 9 * math.sqrt(1 - 0.6**2)  # of the parallelogram that a unit square of coordinates is in weight space
    found = measure(replace(surface, attributes={"cosine": cosine}))["basin_radius_weights"]
    assert found.value == pytest.approx(math.sqrt(2 * area / math.pi), rel=1e-13)  # {manhattan ≤ 1} holds 2 such squares
    assert found.value == pytest.approx(measure(surface)["basin_radius_weights"].value * (1 - 0.6**2) ** 0.25, rel=1e-13)


def test_no_radius_in_weights_without_norms() -> None:
    surface = plane_of(manhattan, (-2, 2, 5), (-2, 2, 5))
    surface = replace(surface, axes=(surface.axes[0], Axis("y", surface.y)))
    assert "basin_radius_weights" not in measure(surface)
    assert "basin_radius" in measure(surface)


def test_only_the_origins_well_counts() -> None:
    def wells(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.minimum(manhattan(x, y), manhattan(x - 4, y) * 0.5)  # they meet at x = 4/3 at height 4/3

    surface = plane_of(wells, (-2, 7, 37), (-3, 3, 25))
    alone = plane_of(manhattan, (-2, 7, 37), (-3, 3, 25))
    # The kink between the wells lies a third above the level, more than the slope's ¼ of a cell: up to 1 both are exact.
    assert value(basin_radius(surface)) == pytest.approx(value(basin_radius(alone)), rel=1e-13)
    assert value(basin_share(surface)) == pytest.approx((2 + 8) / 54, rel=1e-13)
    assert value(basin_radius(surface, basin_level=1.5)) > value(basin_radius(alone, basin_level=1.5)) * 1.5


def component(values: np.ndarray, x: AxisLike, y: AxisLike, threshold: float) -> float:
    """The area of the origin's component on a grid too coarse to tell a basin by."""
    mesh = mesh_of([axis_values(x), axis_values(y)], values)
    return mesh.size_within(threshold, mesh.component_of_origin(threshold))


def test_a_saddle_cell_joins_its_corners_only_above_its_centre() -> None:
    saddle, axis = np.array([[0.0, 10.0], [10.0, 0.0]]), (0, 1, 2)
    corner = 4.0**2 / 100  # two triangles of area ¼ with values 0, 5, 10: 2 · ¼ · t²/(5·10)
    assert component(saddle, axis, axis, 4.0) == pytest.approx(corner)
    assert mesh_of([axis_values(axis)] * 2, saddle).size_within(4.0) == pytest.approx(2 * corner)
    assert component(saddle, axis, axis, 5.0) == pytest.approx(0.5)  # the centre is at 5: both corners' areas count
    assert mesh_of([axis_values(axis)] * 2, saddle).size_within(5.0) == pytest.approx(0.5)


def test_bound_where_the_basin_meets_the_edge() -> None:
    surface = plane_of(manhattan, (-2, 2, 9), (-0.5, 2, 6))
    number = basin_radius(surface)
    assert number is not None
    assert number.bound == "≥"
    assert number.value == pytest.approx(math.sqrt(1.75 / math.pi))  # the square of area 2 less its tip of height ½
    assert str(number).startswith("≥ ")
    assert all(n.bound == "≥" for n in [measure(surface)["basin_radius_weights"]])


@pytest.mark.parametrize("missing", [np.nan, np.inf])
def test_a_moat_of_nan_or_inf_holds(missing: float) -> None:
    x = axis_values((-5, 5, 11))
    distance_square = np.maximum(np.abs(x)[:, None], np.abs(x)[None, :])
    surface = plane(np.where(distance_square == 3, missing, 1.0), x, x)
    number = basin_radius(surface)
    assert number is not None
    assert (number.value, number.bound) == (pytest.approx(math.sqrt(16 / math.pi)), "")
    # A moat that only touches at corners holds too: the four cells at the origin have no corner in it.
    distance_diamond = np.abs(x)[:, None] + np.abs(x)[None, :]
    number = basin_radius(plane(np.where(distance_diamond == 3, missing, 1.0), x, x))
    assert number is not None
    assert (number.value, number.bound) == (pytest.approx(math.sqrt(4 / math.pi)), "")


def test_a_moat_not_measured_yet_is_a_bound() -> None:
    x = axis_values((-5, 5, 11))
    moat = np.maximum(np.abs(x)[:, None], np.abs(x)[None, :]) == 3
    surface = plane(np.where(moat, np.nan, 1.0), x, x, done={"train_loss": ~moat})
    number = basin_radius(surface)
    assert number is not None
    assert (number.value, number.bound) == (pytest.approx(math.sqrt(16 / math.pi)), "≥")
    share = basin_share(surface)
    assert share is not None
    assert (share.value, share.bound) == (pytest.approx((16 + 36) / 100), "≥")  # the outer ring is 10² - 8² = 36


def test_swapping_the_axes_changes_no_number() -> None:
    random = np.random.default_rng(3)
    x, y = np.cumsum(random.uniform(0.1, 1, 17)) - 4, np.cumsum(random.uniform(0.1, 1, 12)) - 3
    values = ndimage.gaussian_filter(random.normal(size=(17, 12)), 1.2) * 8
    values[3, 4] = np.nan
    surface = plane(values, x - x[8], y - y[6])
    forth, back = measure(surface), measure(transposed(surface))
    assert set(forth) == set(back)
    assert {"basin_radius", "convexity", "turning_points", "minima"} <= set(forth)
    for name, number in forth.items():
        # 2e-13: the areas of some 800 triangles are summed in another order
        assert (number.value, number.bound) == (pytest.approx(back[name].value, rel=2e-13), back[name].bound), name


def test_an_origin_between_nodes() -> None:
    n = 40  # no node at 0
    surface = plane_of(lambda x, y: x**2 + y**2, (-2, 2, n), (-2.1, 2, n), origin=0.0)
    h = 4.1 / (n - 1)
    assert math.sqrt(1 - 0.75 * h**2) <= value(basin_radius(surface)) <= 1


def test_the_triangle_of_an_origin_between_nodes() -> None:
    # One cell with one low side, and the origin near each of the four sides in turn: its triangle is that of the side and the centre.
    for low, x, y in [([1, 0], 0.5, 0.1), ([2, 1], 0.9, 0.5), ([3, 2], 0.5, 0.9), ([0, 3], 0.1, 0.5)]:
        corners = np.full(4, 50.0)
        corners[low] = 0.0
        a, b, c, d = corners  # (0,0), (1,0), (1,1), (0,1)
        values, axes = np.array([[a, d], [b, c]]), (np.array([-x, 1 - x]), np.array([-y, 1 - y]))
        home = mesh_of(axes, values).simplex_of_origin()
        assert sorted(mesh_of(axes, values).heights[home]) == [0.0, 0.0, 25.0]


def test_no_radius_where_it_is_not_defined() -> None:
    for x, y in [((0, 0, 1), (-1, 1, 5)), ((-1, 1, 5), (0, 0, 1)), ((0, 0, 1), (0, 0, 1))]:
        numbers = measure(plane_of(manhattan, x, y))
        assert "basin_radius" not in numbers
        assert "basin_share" not in numbers
        assert "convexity" not in numbers
    outside = measure(plane_of(manhattan, (1, 2, 5), (-1, 1, 5), origin=0.0))
    assert "basin_radius" not in outside
    assert outside["basin_share"].withheld  # only the node (1, 0) is at the level: what lies around it is narrower than a cell
    assert "basin_radius" not in measure(plane_of(manhattan, (0.5, -2, 4), (-1, 1, 4)))  # a node at neither 0, and no model's loss
    nowhere = plane(np.full((3, 3), np.nan), (-1, 1, 3), (-1, 1, 3))
    assert measure(nowhere) == {
        "turning_points": Number(0.0, "per row or column"),
        "minima": Number(0.0, "on the grid"),
    }


@pytest.mark.parametrize("level", [0.0, -1.0, math.nan, math.inf])
def test_a_level_that_is_none(level: float) -> None:
    with pytest.raises(InputError, match="level"):
        measure(plane_of(manhattan, (-1, 1, 5), (-1, 1, 5)), basin_level=level)


def test_extreme_values_give_their_limits() -> None:
    values = np.full((3, 3), 1e308)
    values[1, 1] = -5.0
    assert component(np.minimum(values, 1e150), (-1, 1, 3), (-1, 1, 3), -4.0) == 0.0
    values = np.where(np.eye(3) > 0, -np.inf, 0.0)
    assert value(basin_share(plane(values, (-1, 1, 3), (-1, 1, 3), origin=0.0))) == 1.0


@pytest.mark.parametrize("seed", range(12))
def test_area_against_dense_sampling(seed: int) -> None:
    """Another library's interpolation on the same triangles, sampled per cell on fine pixels and labelled by scipy.ndimage."""
    random = np.random.default_rng(seed)
    nx, ny, fine = 14, 11, 40
    x, y = (np.cumsum(random.uniform(0.5, 1.5, n)) for n in (nx, ny))
    x, y = x - x[nx // 2] - 0.2 * (seed % 2), y - y[ny // 2] + 0.1 * (seed % 2)  # half of the origins lie between nodes
    values = ndimage.gaussian_filter(random.normal(size=(nx, ny)), 1.1) * 6
    near = slice(nx // 2 - 1, nx // 2 + 2), slice(ny // 2 - 1, ny // 2 + 2)
    kept = values[near].copy()
    values[tuple(random.integers(0, [nx, ny], (4, 2)).T)] = np.nan
    values[near] = kept  # the origin itself has a loss
    pixels_x, pixels_y = (
        np.concatenate([a[:-1, None] + np.diff(a)[:, None] * (np.arange(fine) + 0.5) / fine]).ravel() for a in (x, y)
    )
    heights = sampled(x, y, values, pixels_x, pixels_y)
    nearest = np.argmin(np.abs(pixels_x)), np.argmin(np.abs(pixels_y))
    origin = float(heights[nearest])
    assert math.isfinite(origin)
    area = np.outer(np.repeat(np.diff(x), fine), np.repeat(np.diff(y), fine)) / fine**2
    inside = np.nan_to_num(heights, nan=np.inf) <= origin + 0.7
    labels, _ = ndimage.label(inside, structure=np.ones((3, 3)))
    component = labels == labels[nearest]
    # Only pixels on the component's border can be counted wrongly, and each by no more than itself.
    border = component ^ ndimage.binary_erosion(component) | (ndimage.binary_dilation(component) ^ component)
    mesh: Mesh = mesh_of([x, y], np.where(np.isnan(values), 1e150, values))
    member = mesh.component_of_origin(origin + 0.7)
    assert abs(mesh.size_within(origin + 0.7, member) - area[component].sum()) <= area[border].sum() / 2
    border = ndimage.binary_dilation(inside) ^ ndimage.binary_erosion(inside)
    assert abs(mesh.size_within(origin + 0.7) - area[inside].sum()) <= area[border].sum() / 2
    number = basin_radius(plane(values, x, y, origin=origin), basin_level=0.7)
    assert number is not None
    edge = np.zeros_like(component)
    edge[[0, -1]] = edge[:, [0, -1]] = True
    if not (number.withheld or number.bound == "<"):
        assert number.value == pytest.approx(math.sqrt(mesh.size_within(origin + 0.7, member) / math.pi), rel=1e-13)
        assert (number.bound == "≥") == bool((component & edge).any())


def sampled(x: np.ndarray, y: np.ndarray, values: np.ndarray, at_x: np.ndarray, at_y: np.ndarray) -> np.ndarray:
    """The function on four triangles a cell, by matplotlib's triangle interpolation; NaN in cells with a NaN corner."""
    vertices: dict[tuple[float, float], int] = {}
    heights: list[float] = []
    triangles = []

    def vertex(place: tuple[float, float], height: float) -> int:
        if place not in vertices:
            vertices[place] = len(heights)
            heights.append(height)
        return vertices[place]

    for i in range(len(x) - 1):
        for j in range(len(y) - 1):
            corners = [(i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1)]
            ring = [vertex((x[a], y[b]), values[a, b]) for a, b in corners]
            centre = vertex(((x[i] + x[i + 1]) / 2, (y[j] + y[j + 1]) / 2), float(np.mean([values[c] for c in corners])))
            triangles += [(ring[k], ring[(k + 1) % 4], centre) for k in range(4)]
    interpolate = LinearTriInterpolator(Triangulation(*np.array(list(vertices)).T, triangles), heights)
    return np.asarray(np.ma.filled(interpolate(*np.meshgrid(at_x, at_y, indexing="ij")), np.nan))


# --- basin of a line ----------------------------------------------------------------------------------------------------------


def test_radius_of_a_line() -> None:
    for x in [(-4, 4, 17), (4, -4, 17), np.array([-4.0, -1.5, -0.5, 0.0, 0.3, 3.0, 4.0])]:
        axis = axis_values(x)
        numbers = measure(line(np.where(axis < 0, -axis, axis / 2), x, "random"))
        assert numbers["basin_radius"] == Number(pytest.approx(1.5), "direction")  # from -1 to 2
        assert numbers["basin_radius_weights"] == Number(pytest.approx(7.5), "weight")
        assert numbers["basin_share"].value == pytest.approx(3 / 8)


def test_radius_of_a_line_with_ends_gaps_and_no_node_at_the_origin() -> None:
    loss = [3.0, 1.0, 1.0, 1.0, np.nan, 1.0]
    x = np.array([-2.0, -1.0, -0.5, 1.0, 2.0, 3.0])
    assert basin_radius(line(loss, x, origin=1.0)) == Number(pytest.approx((1.5 + 1.0) / 2), "direction")
    done = {"train_loss": np.array([1, 1, 1, 1, 0, 1], dtype=bool)}
    assert basin_radius(line(loss, x, origin=1.0, done=done)) == Number(pytest.approx(1.25), "direction", "≥")
    assert basin_radius(line(loss[:4], x[:4], origin=1.0)) == Number(pytest.approx(1.25), "direction", "≥")
    assert basin_radius(line([1.0, 1.2, 1.5, 3.0], (0, 3, 4))) == Number(pytest.approx((2 + 1 / 3) / 2), "direction", "≥")
    assert basin_radius(line([1.0, 1.5, 3.0], (1, 2, 3), origin=1.0)) is None
    assert basin_radius(line([1.0], (0, 0, 1))) is None
    assert basin_radius(line([np.inf, 1.0, -np.inf, -np.inf, 9.0], (-2, 2, 5), origin=1.0)).value == pytest.approx(1.5)  # type: ignore[union-attr]


# --- convexity ----------------------------------------------------------------------------------------------------------------


def random_axis(random: np.random.Generator, n: int) -> np.ndarray:
    return np.asarray(np.cumsum(random.uniform(0.2, 1, n)) * random.choice([-1.0, 1.0]))


@pytest.mark.parametrize("seed", range(5))
def test_eigenvalue_of_a_tilted_quadratic_on_uneven_axes(seed: int) -> None:
    random = np.random.default_rng(seed)
    x, y = random_axis(random, 7), random_axis(random, 6)
    a, b, c, d, e = random.normal(size=5)
    values = a * x[:, None] ** 2 / 2 + b * np.outer(x, y) + c * y**2 / 2 + d * x[:, None] + e * y
    eigenvalue, _ = smaller_eigenvalue(x, y, values)
    # |values| < 100 and spacings ≥ 0.2 divide their rounding by at most 0.04
    np.testing.assert_allclose(eigenvalue, np.linalg.eigvalsh([[a, b], [b, c]])[0], atol=100 / 0.04 * 16 * 2.0**-53)
    share = convexity(plane(values, x, y, origin=0.0))
    assert value(share) == float(np.linalg.eigvalsh([[a, b], [b, c]])[0] > 0)


def smaller_by_fits(x: np.ndarray, y: np.ndarray, values: np.ndarray) -> float:
    """Smaller eigenvalue at the middle of a 3×3 grid: parabolas through three points each way, and the four corners' twist."""
    xx, yy = 2 * np.polyfit(x, values[:, 1], 2)[0], 2 * np.polyfit(y, values[1], 2)[0]
    xy = (values[2, 2] - values[2, 0] - values[0, 2] + values[0, 0]) / (x[2] - x[0]) / (y[2] - y[0])
    return float(np.linalg.eigvalsh([[xx, xy], [xy, yy]])[0])


@pytest.mark.parametrize("seed", range(5))
def test_the_eigenvalues_coefficients_are_its_derivatives_by_each_node(seed: int) -> None:
    random = np.random.default_rng(seed)
    x, y, values = random_axis(random, 3), random_axis(random, 3), random.normal(size=(3, 3))
    for place in np.ndindex(3, 3):
        step = np.zeros((3, 3))
        step[place] = 1e-5
        slope = (smaller_by_fits(x, y, values + step) - smaller_by_fits(x, y, values - step)) / 2e-5
        _, derivatives = smaller_eigenvalue(x, y, values)
        # central differences of a function of order 100: rounding 100·2⁻⁵³/1e-5 and the third derivative times 1e-10, each below 1e-6
        assert derivatives[0, 0, 3 * place[0] + place[1]] == pytest.approx(slope, rel=1e-5, abs=1e-5)


def test_convexity_of_known_shapes() -> None:
    shapes: Mapping[str, tuple[Callable[..., np.ndarray], float]] = {
        "bowl": (lambda x, y: x**2 + y**2 + x, 1.0),
        "saddle": (lambda x, y: x**2 - y**2, 0.0),
        "rotated saddle": (lambda x, y: x * y, 0.0),
        "dome": (lambda x, y: -(x**2) - y**2, 0.0),
        "valley": (lambda x, y: x**2 + 0 * y, 0.0),
        "tilted plane": (lambda x, y: 100 * x + y, 0.0),
        "half": (lambda x, y: x**3 + y**2, 4 / 9),  # the second difference of x³ is 6x: of 9 interior nodes 4 have x > 0
    }
    for name, (function, expected) in shapes.items():
        assert value(convexity(plane_of(function, (-1, 1, 11), (-1, 1, 8)))) == pytest.approx(expected), name


def test_convexity_of_a_line() -> None:
    x = np.array([-2.0, -1.0, -0.5, 0.0, 0.7, 1.0, 2.0, 2.2, 3.0])
    assert value(convexity(line(x**2 - 5 * x, x))) == 1.0
    assert value(convexity(line(-(x**2), x))) == 0.0
    assert value(convexity(line(3 * x + 1, x))) == 0.0
    assert value(convexity(line(np.where(x < 0.5, x**2, np.nan), x))) == 1.0
    assert convexity(line([1.0, np.nan, 1.0, np.nan], (0, 1, 4))) is None


def test_noise_is_not_convex() -> None:
    random = np.random.default_rng(0)
    n = 60
    for spread, precision, expected in [(2.0**-24, "fp32", 0.0), (2.0**-24, "fp64", None), (2.0**-12, "bf16", 0.0)]:
        values = 2.0 * (1 + spread * random.normal(size=(n, n)))
        share = value(convexity(plane(values, (-1, 1, n), (-1, 1, n), origin=2.0, attributes={"precision": precision})))
        # The smaller of two eigenvalues exceeds 3 σ less often than a normal variable, 0.13 %: of 3364, 4.5 ± 2.1.
        assert share <= 15 / 58**2 if expected == 0.0 else share > 0.1
    quiet = plane(values, (-1, 1, n), (-1, 1, n), origin=2.0, attributes={"precision": "fp64"})
    assert value(convexity(quiet)) > 0.1
    assert value(convexity(replace(quiet, checks={"repeat_difference": 2.0**-11}))) <= 15 / 58**2


def test_the_noise_of_curvatures_is_their_spread() -> None:
    # One stencil, 5000 draws: a standard deviation is known to 1/√(2·5000) = 1 %, so 4 % is 4 of that. Gaps between the
    # eigenvalues are 100 times the noise, so the first order is all there is.
    random = np.random.default_rng(1)
    x, y = np.array([0.0, 1.0, 1.4]), np.array([2.0, 1.7, 0.5])
    noise = random.uniform(0.5, 2, size=(3, 3)) * 1e-4
    values = 1.5 * x[:, None] ** 2 + 2 * np.outer(x, y) - y**2
    draws_of = values + noise * random.normal(size=(5000, 3, 3))
    eigenvalues = [smaller_eigenvalue(x, y, draw)[0][0, 0] for draw in draws_of]
    own = np.linalg.norm(smaller_eigenvalue(x, y, values)[1][0, 0] * noise.ravel())
    assert np.std(eigenvalues) == pytest.approx(own, rel=0.04)
    seconds = [second_difference(x, draw[:, 0])[0][0] for draw in draws_of]
    assert np.std(seconds) == pytest.approx(np.linalg.norm(second_difference(x, values[:, 0])[1][0] * noise[:, 0]), rel=0.04)


# --- roughness ----------------------------------------------------------------------------------------------------------------


def test_turning_points_of_waves() -> None:
    for waves in (1, 3, 5):
        x = axis_values((0, 1, 101))
        assert turning_points(line(np.sin(2 * np.pi * waves * x), x)) == Number(2.0 * waves, "on the line")
        surface = plane_of(lambda x, y, k=waves: 3 * np.sin(2 * np.pi * k * x) + y, (0, 1, 101), (1, 0, 7), origin=0.0)
        expected = 2.0 * waves * 7 / (101 + 7)  # 7 rows turn, 101 columns do not
        assert turning_points(surface) == Number(pytest.approx(expected), "per row or column")
    assert turning_points(line(x**2, x)) == Number(0.0, "on the line")


def test_noise_does_not_turn_and_flat_steps_do_not_hide_a_turn() -> None:
    random = np.random.default_rng(2)
    noisy = 2.0 * (1 + 2.0**-25 * random.uniform(-1, 1, 400))
    assert turning_points(line(noisy, (0, 1, 400))) == Number(0.0, "on the line")
    assert value(turning_points(line(noisy, (0, 1, 400), attributes={"precision": "fp64"}))) > 200
    assert (
        turning_points(line(noisy, (0, 1, 400), attributes={"precision": "fp64"}, checks={"repeat_difference": 1e-6})).value == 0.0
    )  # type: ignore[union-attr]
    assert turning_points(line([0.0, 1.0, 1.0, 1.0, 0.0, np.nan, 0.0, 1.0], (0, 1, 8))) == Number(2.0, "on the line")


def test_rounding_noise() -> None:
    loss = np.array([-2.0, 0.0, np.nan, np.inf])
    for precision, roundoff in {"fp64": 2.0**-53, "fp32": 2.0**-24, "tf32": 2.0**-11, "bf16": 2.0**-8}.items():
        noise = rounding_noise(line(loss, (0, 1, 4), attributes={"precision": precision}), "train_loss")
        np.testing.assert_array_equal(noise, [2 * roundoff, 0.0, np.nan, np.nan])
    for repeat, expected in [(0.5, 0.5), (math.nan, 2 * 2.0**-24)]:
        assert rounding_noise(line(loss, (0, 1, 4), checks={"repeat_difference": repeat}), "train_loss")[0] == expected


def test_minima_against_loops() -> None:
    random = np.random.default_rng(4)
    values = random.normal(size=(13, 9))
    values[5, 5], values[2, 3] = np.nan, np.inf
    values[7, 2:4] = -9.0  # equal neighbours: neither is strict
    count = 0
    for i in range(1, 12):
        for j in range(1, 8):
            others = [values[i + a, j + b] for a in (-1, 0, 1) for b in (-1, 0, 1) if (a, b) != (0, 0)]
            count += all(values[i, j] < other for other in others)
    assert count > 3
    assert minima(plane(values, (-1, 1, 13), (-1, 1, 9))) == Number(float(count), "on the grid")
    assert minima(line([3.0, 1.0, 2.0, 0.0, 0.0, 4.0, np.nan, 1.0, 2.0], (0, 1, 9))) == Number(1.0, "on the line")


def test_roughness_needs_the_same_examples_everywhere() -> None:
    surface = plane_of(manhattan, (-2, 2, 5), (-2, 2, 5))
    same = replace(surface, examples={"train": np.full((5, 5), 100)})
    mixed = replace(surface, examples={"train": np.arange(1, 26).reshape(5, 5)})
    rough = {"convexity", "turning_points", "minima"}
    assert not any(measure(same)[name].withheld for name in rough)
    assert all(measure(mixed)[name].withheld == "points used different examples" for name in rough)
    assert "basin_radius" in measure(mixed)
    below = replace(mixed, points=(Point("model", (0.0, 0.0), {"train_loss": 5.0}),))
    assert set(minimum(below)) == {"minimum"}
    assert minimum(below)["minimum"].withheld
    assert minimum(mixed) == {}  # nothing lies below the origin, whatever the noise


# --- between two models -------------------------------------------------------------------------------------------------------


def test_bump_of_a_polynomial() -> None:
    for x in [(-0.5, 1.5, 41), (1.5, -0.5, 41), (0, 1, 21)]:
        alpha = axis_values(x)
        # chord 3 - 2α, above it by 1.2·4α(1-α): 1.2 at the node ½, over a drop of 2
        surface = line(3 - 2 * alpha + 4.8 * alpha * (1 - alpha), x)
        assert bump(surface) == Number(pytest.approx(0.6, rel=1e-13), "of |L(0) - L(1)|")
        assert value(turning_points_between(surface)) == 1.0
        below = line(3 - 2 * alpha - 1.2 * alpha * (1 - alpha), x)
        assert value(bump(below)) == pytest.approx(0, abs=1e-15)
        assert turning_points_between(below) == Number(0.0, "between the models")


def test_bump_and_half_with_ends_that_are_no_nodes() -> None:
    # L(0) = 4 and L(1) = 1 by interpolation; the chord at 0.25 is 3.25, at 0.75 it is 1.75
    x, loss = np.array([-0.25, 0.25, 0.75, 1.25]), np.array([3.0, 5.0, 2.0, 0.0])
    assert bump(line(loss, x)) == Number(pytest.approx(1.75 / 3), "of |L(0) - L(1)|")
    assert alpha_half(line(loss, x)) == Number(pytest.approx(0.25 + 0.5 * 2.5 / 3), "direction")  # L = 2.5 between the two
    assert alpha_half(line(loss[::-1], x[::-1].copy())) == Number(pytest.approx(0.25 + 0.5 * 2.5 / 3), "direction")


def test_half_of_the_drop() -> None:
    alpha = axis_values((0, 1, 1001))
    # Exact at nodes, linear between: L = (1-α)², half at α = 1 - √½, error of L at most 2h²/8 over a slope of √2
    assert value(alpha_half(line((1 - alpha) ** 2, alpha))) == pytest.approx(1 - math.sqrt(0.5), abs=1e-6 / 4 / math.sqrt(2) * 1.01)
    assert alpha_half(line(alpha, alpha)) is None  # rises
    assert alpha_half(line([2.0, np.inf, 0.0], (0, 1, 3))) == Number(1.0, "direction")
    assert alpha_half(line([2.0, -np.inf, 0.0], (0, 1, 3))) == Number(0.0, "direction")
    assert alpha_half(line([2.0, np.nan, 0.0], (0, 1, 3))) is None
    assert alpha_half(line([2.0, 0.5, np.nan, 0.0], (0, 1, 4))) is not None


def test_where_a_bump_is_not_defined() -> None:
    loss = [2.0, 3.0, 1.0]
    assert bump(line(loss, (0, 1, 3), source="random")) is None
    assert bump(line(loss, (0, 0.9, 3))) is None
    assert bump(line(loss, (0.1, 1, 3))) is None
    assert bump(line([1.0, 3.0, 1.0], (0, 1, 3))) is None
    assert bump(line([np.nan, 3.0, 1.0], (0, 1, 3))) is None
    assert bump(line([2.0, np.nan, 2.4, 1.0], (0, 1, 4))) == Number(pytest.approx(2.4 - 4 / 3), "of |L(0) - L(1)|", "≥")
    assert bump(line([2.0, np.inf, 1.0], (0, 1, 3))) == Number(np.inf, "of |L(0) - L(1)|")
    assert bump(plane_of(manhattan, (0, 1, 3), (0, 1, 3))) is None


def test_barrier_between_two_solutions() -> None:
    for x in [(-0.5, 1.5, 41), (1.5, -0.5, 41), (0, 1, 21)]:
        alpha = axis_values(x)
        hill = 4.8 * alpha * (1 - alpha)  # 1.2 high at the node ½
        for slope in (0.0, -2.0, 0.125):  # equal ends too, where no bump is defined; the chord is taken off
            assert barrier(line(3 + slope * alpha + hill, x)) == Number(pytest.approx(1.2, rel=1e-13), "nat")
        assert value(barrier(line(3 - 2 * alpha - hill, x))) == pytest.approx(0, abs=1e-15)
    assert value(bump(line([2.0, 5.0, 1.0], (0, 1, 3)))) == value(barrier(line([2.0, 5.0, 1.0], (0, 1, 3)))) / 1.0 == 3.5


def test_where_a_barrier_is_not_defined() -> None:
    loss = [2.0, 3.0, 2.0]
    assert barrier(line(loss, (0, 1, 3), source="random")) is None
    assert barrier(line(loss, (0, 0.9, 3))) is None
    assert barrier(line([2.0, 3.0, np.inf], (0, 1, 3))) is None
    assert barrier(line([2.0, np.nan, 2.4, 2.0], (0, 1, 4))) == Number(pytest.approx(0.4), "nat", "≥")
    assert barrier(line([2.0, np.inf, 1.0], (0, 1, 3))) == Number(np.inf, "nat")


def test_climb_on_the_way_down() -> None:
    assert climb(line([4.0, 1.0, 2.5, 2.0, 3.0, 0.0], (0, 1, 6))) == Number(0.5, "of L(0) - L(1)")  # from 1 to 3, over two steps
    assert climb(line([0.0, 3.0, 4.0, 2.5, 1.0, 4.0], (1, 0, 6))) == Number(0.75, "of L(0) - L(1)")  # read from α = 0 on
    assert climb(line([4.0, 3.9, 3.8, 0.1, 0.0], (0, 1, 5))) == Number(0.0, "of L(0) - L(1)")  # late, and never rising
    assert climb(line([9.0, 4.0, 3.0, 2.0, 7.0], (-0.5, 1.5, 5))) == Number(0.0, "of L(0) - L(1)")  # rises beyond the ends alone


def test_where_a_climb_is_not_defined() -> None:
    loss = [2.0, 3.0, 1.0]
    assert climb(line(loss, (0, 1, 3), source="random")) is None
    assert climb(line(loss, (0, 0.9, 3))) is None
    assert climb(line(loss[::-1], (0, 1, 3))) is None
    assert climb(line([2.0, 3.0, np.nan], (0, 1, 3))) is None
    assert climb(line([2.0, np.nan, 2.5, 1.0], (0, 1, 4))) == Number(0.5, "of L(0) - L(1)", "≥")
    assert climb(line([2.0, np.inf, np.inf, 1.0], (0, 1, 4))) == Number(np.inf, "of L(0) - L(1)")


# --- the minimum, draws, partial surfaces -------------------------------------------------------------------------------------


def test_minimum_below_the_origin() -> None:
    surface = plane_of(lambda x, y: (x - 0.5) ** 2 + (y + 1) ** 2, (-2, 2, 9), (2, -2, 17))
    assert minimum(surface) == {
        "minimum": Number(0.0, "nat"),
        "minimum_x": Number(0.5, "direction"),
        "minimum_y": Number(-1.0, "direction"),
    }
    assert minimum(plane_of(manhattan, (-2, 2, 5), (-2, 2, 5))) == {}
    assert set(minimum(line([1.0, 2.0, 1.0, 0.5], (-1, 2, 4)))) == {"minimum", "minimum_x"}
    nearly = 1 - 2.0**-24  # the node at the origin against the model's own loss
    assert minimum(line([2.0, nearly, 2.0], (-1, 1, 3), origin=1.0)) == {}
    assert minimum(line([2.0, 1.0, -np.inf], (-1, 1, 3)))["minimum"].value == -np.inf


def several(values: np.ndarray, x: AxisLike, norm: Any = 5.0) -> Surface:
    axes = (Axis("x", axis_values(x), {"source": "random", "norm": norm}), Axis("seed", np.arange(values.shape[1]) * 1.0))
    done = {"train_loss": np.ones(values.shape, dtype=bool)}
    examples = {"train": np.full(values.shape, 7)}
    return Surface("line", axes, {"train_loss": LOSS}, {"train_loss": values}, done, examples=examples)


def test_several_draws_give_their_median() -> None:
    x = axis_values((-2, 2, 9))
    slopes = np.array([4.0, 1.0, 2.0])
    numbers = measure(several(np.abs(x)[:, None] * slopes, x))
    assert numbers["basin_radius"] == Number(pytest.approx(0.5), "direction")  # of less than 0.5, 1 and 0.5
    assert numbers["basin_radius_weights"] == Number(pytest.approx(2.5), "weight")
    assert numbers["minima"] == Number(1.0, "on the line")
    own = measure(several(np.abs(x)[:, None] * slopes, x, norm=np.array([1.0, 10.0, 3.0])))
    assert own["basin_radius_weights"] == Number(pytest.approx(1.5), "weight")  # of less than 0.5, 10 and 1.5
    with pytest.raises(InputError, match="draws"):
        turning_points(several(np.abs(x)[:, None] * slopes, x))
    radii = [basin_radius(draw) for draw in draws(several(np.abs(x)[:, None] * slopes, x))]
    assert [(value(radius), radius.bound) for radius in radii if radius] == [(0.5, "<"), (1.0, ""), (0.5, "")]


def test_a_median_of_bounds() -> None:
    x = axis_values((-2, 2, 9))
    # One of three reaches the edge: above the median, it may be as large as it likes. Two of three: the median is a bound.
    one = measure(several(np.abs(x)[:, None] * [2.0, 1.0, 0.1], x))["basin_radius"]
    two = measure(several(np.abs(x)[:, None] * [2.0, 0.2, 0.1], x))["basin_radius"]
    assert one == Number(pytest.approx(1.0), "direction")
    assert two == Number(pytest.approx(2.0), "direction", "≥")


def test_a_single_stored_draw_is_a_line() -> None:
    x = axis_values((-2, 2, 9))
    assert measure(several(np.abs(x)[:, None], x)) == measure(replace(line(np.abs(x), x, "random"), attributes={}))


def test_partial_surfaces() -> None:
    whole = plane_of(manhattan, (-2, 2, 9), (-2, 2, 9))
    done = np.zeros((9, 9), dtype=bool)
    nothing = {"train_loss": np.full((9, 9), np.nan)}
    assert measure(replace(whole, values=nothing, done={"train_loss": done})) == {
        "turning_points": Number(0.0, "per row or column", "≥"),
        "minima": Number(0.0, "on the grid", "≥"),
    }
    done[4, 4] = True  # the origin alone: no area around it yet
    alone = measure(replace(whole, done={"train_loss": done}))
    assert "basin_radius" not in alone
    assert alone["basin_share"] == Number(0.0, "fraction of the grid", "≥")
    done[:, :7] = True  # all but the last two columns: the square |x| + |y| ≤ 1 needs y ≤ 1, the nodes up to y = 1 are there
    part = measure(replace(whole, done={"train_loss": done}))
    assert part["basin_radius"] == Number(pytest.approx(math.sqrt(2 / math.pi)), "direction", "≥")
    assert part["minima"] == Number(1.0, "on the grid", "≥")
    assert part["turning_points"].bound == "≥"


def test_the_key_is_measured_that_was_asked_for() -> None:
    surface = plane_of(manhattan, (-2, 2, 17), (-2, 2, 17))
    test = Metric("test", "loss", "nat")
    both = replace(
        surface,
        metrics={"train_loss": LOSS, "test_loss": test},
        values={**surface.values, "test_loss": 2 * surface.values["train_loss"]},
        done={**surface.done, "test_loss": surface.done["train_loss"]},
    )
    assert measure(both) == measure(surface)
    assert measure(both, key="test_loss")["basin_radius"].value == pytest.approx(measure(both)["basin_radius"].value / 2)
    with pytest.raises(InputError, match="no metric"):
        measure(both, key="val_loss")


def test_a_large_grid_is_measured_in_whole_arrays() -> None:
    # 251×251 through nested rings with one gate each: a component of thousands of cells in a row
    n = 251
    x = axis_values((-1, 1, n))
    walls = np.zeros((n, n))
    for ring in range(2, n // 2, 4):
        low, high = n // 2 - ring, n // 2 + ring
        walls[low : high + 1, [low, high]] = walls[[low, high], low : high + 1] = 9.0
        walls[low, low + 1 : low + 3] = 0.0  # one gate in each ring
    number = basin_radius(plane(walls, x, x))
    assert number is not None
    assert number.bound == "≥"
    closed = walls.copy()
    closed[n // 2 - 2, :] = closed[n // 2 + 2, :] = 9.0
    closed[:, n // 2 - 2] = closed[:, n // 2 + 2] = 9.0
    shut = basin_radius(plane(closed, x, x))
    assert shut is not None
    assert shut.bound == ""
    assert shut.value < number.value / 10


def test_the_least_curvature_of_quadratics_is_their_smaller_eigenvalue() -> None:
    """3x² + 2xy + y² has the Hessian [[6, 2], [2, 2]], whose eigenvalues are 4 ± 2√2; differences are exact for it."""
    bowl = plane_of(lambda x, y: 3 * x**2 + 2 * x * y + y**2, (-1, 1, 5), (-2, 1, 7))
    assert value(min_curvature(bowl)) == pytest.approx(4 - 2 * math.sqrt(2), rel=1e-12)
    saddle = plane_of(lambda x, y: x**2 - 3 * y**2, (-1, 1, 5), (-1, 1, 5))
    assert value(min_curvature(saddle)) == pytest.approx(-6, rel=1e-12)
    assert value(min_curvature(line(np.array([4.0, 1.0, 0.0, 1.0, 4.0]), (-2, 2, 5)))) == pytest.approx(2)
    assert min_curvature(plane(np.zeros((2, 5)), (0, 1, 2), (0, 1, 5))) is None
    assert min_curvature(plane(np.full((3, 3), np.nan), (0, 1, 3), (0, 1, 3))) is None


def test_a_convex_valley_narrower_than_the_grid() -> None:
    """|x - y| is convex; its difference Hessian is not, as its mixed difference looks at other nodes than the pure ones."""
    valley = plane_of(lambda x, y: np.abs(x - y) ** 1.1, (-1, 1, 9), (-1, 1, 9))
    assert value(min_curvature(valley)) < -0.1
    assert value(least_second_difference(valley)) >= -1e-15  # a few roundings of numbers below 2


def test_the_least_second_difference_looks_along_rows_columns_and_both_diagonals() -> None:
    for bend in (lambda x, y: -(x**2), lambda x, y: -(y**2), lambda x, y: -((x + y) ** 2), lambda x, y: -((x - y) ** 2)):
        bent = plane_of(lambda x, y, bend=bend: bend(x, y) + 0 * x * y, (-1, 1, 5), (-1, 1, 5))
        expected = -2 * 0.25 * (1 if bend(1, 0) == 0 or bend(0, 1) == 0 else 4)  # h = 1/2; along a diagonal both coordinates step
        assert value(least_second_difference(bent)) == pytest.approx(expected)
    assert value(least_second_difference(line(np.array([0.0, 1.0, 0.0]), (0, 2, 3)))) == -2
    uneven = line(np.array([0.0, 1.0, 0.0]), np.array([0.0, 1.0, 3.0]))
    assert least_second_difference(uneven) is None
    assert least_second_difference(line(np.array([0.0, np.nan, 0.0]), (0, 2, 3))) is None
