"""The numbers of a plane in the words of the studies, on planes where they are known."""

from __future__ import annotations

import math

from cases import CORNERS, coordinates

import landscape
from harness import told
from harness.planes import AREA, CONVEX, MINIMA, SHARE, TURNING, plane_numbers
from landscape.core.surface import Number


def test_a_bowl_is_one_convex_basin() -> None:
    problem, _ = coordinates(lambda a, b: 4 * (a * a + b * b))
    numbers = plane_numbers(landscape.surface(problem, *CORNERS, x=(-1, 1, 41), y=(-1, 1, 41), quiet=True))
    # within 1 of the bottom lies a disc of radius 1/2; linear between nodes of step h = 0.05 the loss is up to 4 · h²/4 a side too
    # high, which takes less than 1 % of the radius, 2 % of the area
    disc = math.pi / 4
    assert 0.98 * disc <= numbers[AREA] <= disc
    assert 0.98 * 100 * disc / 4 <= numbers[SHARE] <= 100 * disc / 4
    assert numbers[CONVEX] == 100
    assert numbers[MINIMA] == 1
    assert numbers[TURNING] == 1


def test_ripples_are_minima_and_turning_points() -> None:
    problem, _ = coordinates(lambda a, b: 4 * a * a + 4 * b * b - math.cos(6 * math.pi * a))
    numbers = plane_numbers(landscape.surface(problem, *CORNERS, x=(-1, 1, 41), y=(-1, 1, 41), quiet=True))
    assert numbers[MINIMA] > 1
    assert numbers[TURNING] > 1
    assert numbers[CONVEX] < 70  # cos is concave in every second half of its periods


def test_what_a_surface_does_not_have_is_nan() -> None:
    problem, _ = coordinates(lambda a, b: a)
    numbers = plane_numbers(landscape.surface(problem, *CORNERS, x=(0.5, 0.5, 1), y=(0, 1, 2), quiet=True))
    assert math.isnan(numbers[CONVEX])
    assert list(numbers) == [SHARE, AREA, CONVEX, TURNING, MINIMA]


def test_a_table_tells_neither_bounds_nor_what_is_withheld() -> None:
    problem, _ = coordinates(lambda a, b: 400 * (a * a + b * b))
    numbers = plane_numbers(landscape.surface(problem, *CORNERS, x=(-1, 1, 11), y=(-1, 1, 11), quiet=True))
    assert math.isnan(numbers[AREA])
    assert math.isnan(numbers[SHARE])
    assert numbers[CONVEX] == 100
    assert told(Number(2.0, "nat")) == 2.0
    assert all(
        math.isnan(told(n)) for n in (None, Number(2.0, "nat", "≥"), Number(2.0, "nat", "<"), Number(2.0, "", withheld="no"))
    )
