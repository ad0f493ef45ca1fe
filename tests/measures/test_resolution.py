"""Basins of known size on grids of any coarseness: a number is right to what is stated, or it is a bound that holds, or withheld."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from grids import line, manhattan, plane_of, transposed, value

from landscape import io
from landscape.core.grid import AxisLike
from landscape.core.surface import Axis, Number, Surface
from landscape.measures import basin_radius, basin_share, measure
from landscape.report import describe, tabulate

# What `landscape.measures.resolution` promises of ellipses and intervals: too small by so much at most, and never too large.
PLANE, LINE = 0.08, 0.06


def bowl(a: float, b: float, x: AxisLike, y: AxisLike, tilt: float = 0.0, centre: tuple[float, float] = (0.0, 0.0)) -> Surface:
    """A quadratic loss whose 1-nat ellipse around its minimum has these semi-axes; the minimum lies at (a·u, b·v) along them."""

    def loss(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        along, across = math.cos(tilt) * x + math.sin(tilt) * y, math.cos(tilt) * y - math.sin(tilt) * x
        return (along / a - centre[0]) ** 2 + (across / b - centre[1]) ** 2

    return plane_of(loss, x, y, origin=centre[0] ** 2 + centre[1] ** 2)


def holds(number: Number | None, true: float, error: float) -> str:
    """What kind of answer was given; it has to be true."""
    if number is None:
        return "none"
    if number.withheld:
        assert math.isnan(number.value)
        return "withheld"
    if number.bound == "<":
        assert true < number.value
        assert "ask for --x " in number.note
    elif number.bound == "≥":
        assert number.value <= true * (1 + 1e-12)
    else:
        assert true * (1 - error) <= number.value <= true * (1 + 1e-12)
    return number.bound or "plain"


@pytest.mark.parametrize(("end", "n"), [(1, 11), (1, 21), (1, 41), (50, 51), (50, 11)])
@pytest.mark.parametrize("shape", ["plane", "descending", "line"])
def test_a_basin_narrower_than_a_cell_is_a_bound_with_the_range_to_ask_for(end: float, n: int, shape: str) -> None:
    true, ends = 0.05, (end, -end) if shape == "descending" else (-end, end)
    axis = np.linspace(*ends, n)
    surface = line((axis / true) ** 2, axis, "random") if shape == "line" else bowl(true, true, axis, axis)
    step = 2 * end / (n - 1)
    number = basin_radius(surface)
    assert number is not None
    assert holds(number, true, PLANE) == "<"
    if step > true:  # no neighbour within the level: on a line h, in a plane the disc of the four cells at the origin
        assert number.value == pytest.approx(step if shape == "line" else math.sqrt(4 * step**2 / math.pi))
        assert "no neighbour of the origin is within 1 nat" in number.note
    asked = [(float(a), float(b), int(count)) for a, b, count in re.findall(r"--[xy] (\S+):(\S+):(\d+)", number.note)]
    better = line((np.linspace(*asked[0]) / true) ** 2, asked[0], "random") if shape == "line" else bowl(true, true, *asked)
    assert holds(basin_radius(better), true, LINE if shape == "line" else PLANE) == "plain"


@pytest.mark.parametrize("seed", range(8))
def test_ellipses_of_any_size_tilt_and_place(seed: int) -> None:
    """The study behind the claim, a part of it: every answer is true, and all kinds of answer occur."""
    random = np.random.default_rng(seed)
    n = (11, 21, 41)[seed % 3]
    kinds = []
    for _ in range(100):
        step = 100 / (n - 1)  # the range is ±50
        a = step * math.exp(random.uniform(math.log(0.05), math.log(n / 5)))
        b = a * math.exp(-random.uniform(0, math.log(30)))
        shift, side = random.uniform(0, 1.5), random.uniform(0, 2 * math.pi)
        centre = (shift * math.cos(side), shift * math.sin(side))
        surface = bowl(a, b, (-50, 50, n), (-50, 50, n), random.uniform(0, math.pi), centre)
        kinds.append(holds(basin_radius(surface), math.sqrt(a * b * (1 + shift**2)), PLANE))
    assert set(kinds) >= {"plain", "<"}


@pytest.mark.parametrize("seed", range(4))
def test_intervals_of_any_size_and_place(seed: int) -> None:
    random = np.random.default_rng(seed)
    kinds = []
    for _ in range(200):
        x = np.cumsum(random.uniform(0.8, 1.2, 21)) if seed % 2 else np.arange(21.0)
        x -= x[10] - (random.uniform(-0.5, 0.5) if seed > 1 else 0)  # for some the origin lies between nodes
        half, centre = math.exp(random.uniform(-3, 1.8)), random.uniform(-0.7, 0.7)
        surface = line((x / half - centre) ** 2, x, "random", origin=centre**2)
        kinds.append(holds(basin_radius(surface), half * math.sqrt(1 + centre**2), LINE if seed % 2 == 0 else 0.08))
    assert set(kinds) >= {"plain", "<"}


def test_narrow_in_y_alone() -> None:
    surface = bowl(6.0, 0.3, (-10, 10, 21), (-10, 10, 21))
    number = basin_radius(surface)
    assert number is not None
    assert holds(number, math.sqrt(1.8), PLANE) == "<"
    assert number.value == pytest.approx(math.sqrt(2 * 14 / math.pi))  # 13 nodes from -6 to 6 touch two rows of 14 cells
    assert re.search(r"--x -7:7:\d+ --y -0.6:0.6:51", number.note)
    assert basin_radius(transposed(surface)).value == number.value  # type: ignore[union-attr]


def test_a_tilted_valley_between_the_nodes_is_withheld() -> None:
    """Along (2, 1) a valley a quarter of a cell wide meets every second node, none of them a neighbour: no bound would hold."""
    surface = bowl(15.0, 0.12, (-10, 10, 21), (-10, 10, 21), math.atan2(1, 2))
    assert math.sqrt(15 * 0.12) > math.sqrt(4 / math.pi)  # larger than what a lone origin's four cells would say
    number = basin_radius(surface)
    assert number is not None
    assert "valley" in number.withheld
    assert "ask for --x" in number.withheld


def test_unequal_steps() -> None:
    surface = bowl(0.05, 3.0, (-1, 1, 11), (-60, 60, 13))
    number = basin_radius(surface)
    assert number == replace(
        Number(math.sqrt(4 * 0.2 * 10 / math.pi), "direction", "<"), value=pytest.approx(math.sqrt(8 / math.pi)), note=number.note
    )  # type: ignore[union-attr, arg-type]
    assert "--x -0.1:0.1:51 --y -6:6:51" in number.note
    uneven = np.array([-4.0, -0.5, 0.0, 0.25, 2.0])
    assert value(basin_radius(line((uneven / 0.1) ** 2, uneven, "random"))) == pytest.approx((0.5 + 0.25) / 2)


@pytest.mark.parametrize("high", [np.inf, np.nan, 1e308])
def test_neighbours_without_end(high: float) -> None:
    def pit(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.where(np.hypot(x, y) > 0.1, high, 0.0)

    number = basin_radius(plane_of(pit, (-2, 2, 5), (-2, 2, 9)))
    assert number is not None
    assert (number.value, number.bound) == (pytest.approx(math.sqrt(4 * 0.5 / math.pi)), "<")
    assert "--x -1:1:51 --y -0.5:0.5:51" in number.note  # one step: how fast the loss rises is not known


def test_a_pinhole_in_a_plateau() -> None:
    """Interpolation would make it too large here: the loss rises to 2.3 within a hundredth of a cell, and stays there."""

    def loss(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.minimum(2.3, 1e4 * (x**2 + y**2))

    number = basin_radius(plane_of(loss, (-3, 3, 7), (-3, 3, 7)))
    assert holds(number, 0.01, PLANE) == "<"
    x = np.arange(-3.0, 4.0)
    assert holds(basin_radius(line(loss(x, np.zeros(7)), x, "random")), 0.01, LINE) == "<"


def test_an_origin_between_nodes() -> None:
    number = basin_radius(bowl(0.1, 0.1, (-2.5, 2.5, 6), (-2.5, 2.5, 6)))
    assert number is not None
    assert "ask for --x" in number.withheld  # a valley between two rows would be as long as it likes
    x = np.linspace(-2.5, 2.5, 6)
    single = basin_radius(line((x / 0.1) ** 2, x, "random", origin=0.0))
    assert single == Number(0.5, "direction", "<", note=single.note)  # type: ignore[union-attr]
    assert holds(basin_radius(bowl(2.5, 2.4, (-5.5, 5.5, 12), (-5.5, 5.5, 12))), math.sqrt(6.0), PLANE) == "plain"


def test_at_the_grids_edge_nothing_is_told() -> None:
    x = np.linspace(0, 1, 11)
    number = basin_radius(line((x / 0.03) ** 2, x))
    assert number is not None
    assert "the grid ends there" in number.withheld
    assert "--x -0.06:0.06:51" in number.withheld


def test_other_heights_of_the_level_are_told() -> None:
    surface = bowl(0.05, 0.05, (-1, 1, 11), (-1, 1, 11))
    assert "within 3 nat" in basin_radius(surface, basin_level=3.0).note  # type: ignore[union-attr]
    assert "within 0.25 nat" in basin_radius(surface, basin_level=0.25).note  # type: ignore[union-attr]


def test_the_share_is_withheld_with_the_radius() -> None:
    share = basin_share(bowl(0.05, 0.05, (-1, 1, 11), (-1, 1, 11)))
    assert share is not None
    assert "ask for --x" in share.withheld
    assert value(basin_share(plane_of(manhattan, (-2, 2, 9), (-2, 2, 9)))) == pytest.approx(2 / 16)

    def dotted(x: np.ndarray, y: np.ndarray) -> np.ndarray:  # one lone node beside a wide basin is no reason
        return np.where((x == 3) & (y == 3), 0.0, manhattan(x, y) / 2)

    assert value(basin_share(plane_of(dotted, (-4, 4, 33), (-4, 4, 33)))) == pytest.approx(8 / 64, rel=0.05)


def test_the_median_of_draws_some_of_which_are_too_narrow() -> None:
    x = np.linspace(-2, 2, 9)  # steps of 0.5
    axes = (Axis("x", x, {"source": "random", "norm": 2.0}), Axis("seed", np.arange(3.0)))

    def of(*slopes: float) -> Number:
        values = {"train_loss": np.abs(x)[:, None] * np.array(slopes)}
        done = {"train_loss": np.ones((9, 3), dtype=bool)}
        surface = replace(line(np.abs(x), x), axes=axes, values=values, done=done)
        return measure(surface)["basin_radius"]

    assert of(1, 0.8, 40) == Number(1.0, "direction")  # of 1, 1.25 and less than 0.5
    narrow = of(1, 30, 40)
    assert (narrow.value, narrow.bound) == (0.5, "<")
    assert "ask for --x" in narrow.note
    assert of(0.1, 1, 40) == Number(1.0, "direction")  # at least 2, 1, less than 0.5
    assert of(0.1, 0.2, 40).bound == "≥"


def test_a_bounds_note_is_stored_shown_and_in_the_json(tmp_path: Path) -> None:
    surface = bowl(0.05, 0.05, (-1, 1, 11), (-1, 1, 11))
    surface = replace(surface, numbers=measure(surface))
    io.write(surface, tmp_path / "s.h5")
    again = io.read(tmp_path / "s.h5")
    assert again.numbers == surface.numbers
    assert "basin radius             < 0.2257 direction: no neighbour of the origin is within 1 nat; ask for --x" in describe(again)
    assert "basin share              withheld: " in describe(again)
    told = json.loads(json.dumps(tabulate(again)["numbers"], allow_nan=False))
    assert told["basin_radius"]["bound"] == "<"
    assert "--x -0.1:0.1:51 --y -0.1:0.1:51" in told["basin_radius"]["note"]
    assert "ask for" in told["basin_share"]["withheld"]
    assert told["basin_radius_weights"]["value"] == pytest.approx(6 * surface.numbers["basin_radius"].value)
