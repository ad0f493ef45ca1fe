"""A function in place of a network: its values are the surface, in memory, in the file, by any executor."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import landscape
from landscape.errors import InputError, UserCodeError
from landscape.report import describe

QUIET: dict[str, Any] = {"quiet": True, "threads": 1, "device": "cpu"}
AXES: dict[str, Any] = {"x": (-1, 2, 4), "y": (-3, 1, 3)}


def tilted(x: float, y: float) -> float:
    return 100 * x + y


def test_values_are_the_functions_at_every_node(tmp_path: Path) -> None:
    to = tmp_path / "tilted.h5"
    surface = landscape.surface(landscape.LambdaObjective(tilted), **AXES, to=to, **QUIET)
    expected = [[tilted(x, y) for y in np.linspace(-3, 1, 3)] for x in np.linspace(-1, 2, 4)]
    for found in (surface, landscape.read(to)):
        assert np.array_equal(found.values["train_loss"], expected)
        assert found.attributes["problem"] == "tilted"
        assert found.complete


def test_a_file_says_what_it_is(tmp_path: Path) -> None:
    to = tmp_path / "s.h5"
    landscape.surface(landscape.LambdaObjective(tilted), **AXES, to=to, **QUIET)
    found = landscape.read(to)
    assert found.attributes["objective"] == "a function of the coordinates: no weights, no self-check"
    assert "passed" not in found.checks
    assert not found.points
    assert "objective   a function of the coordinates: no weights, no self-check" in describe(found)
    assert [axis.attributes["source"] for axis in found.axes] == ["function", "function"]


def test_a_line_and_metrics() -> None:
    problem = landscape.LambdaObjective(lambda x: {"loss": x * x, "slope": 2 * x}, name="parabola")
    line = landscape.line(problem, x=(-2, 2, 5), **QUIET)
    assert line.values["train_loss"].tolist() == [4, 1, 0, 1, 4]
    assert line.values["train_slope"].tolist() == [-4, -2, 0, 2, 4]
    row = landscape.line(landscape.LambdaObjective(tilted), x=(-1, 1, 3), **QUIET)
    assert row.values["train_loss"].tolist() == [-100, 0, 100]


@pytest.mark.parametrize("value", [0.0, -3.0, math.nan, math.inf])
def test_constants_and_what_is_no_number_are_values(value: float) -> None:
    surface = landscape.surface(landscape.LambdaObjective(lambda *place: value), **AXES, **QUIET)
    assert np.array_equal(surface.values["train_loss"], np.full((4, 3), value), equal_nan=True)


def test_a_run_goes_on_and_notices_another_function(tmp_path: Path) -> None:
    to = tmp_path / "s.h5"
    for part in landscape.stream(landscape.LambdaObjective(tilted), **AXES, to=to, **QUIET):
        if part.done["train_loss"].sum() == 5:
            break
    surface = landscape.surface(landscape.LambdaObjective(tilted), **AXES, to=to, **QUIET)
    assert surface.runs[-1]["points"] == 7
    with pytest.raises(InputError, match="is stored as"):
        landscape.surface(landscape.LambdaObjective(lambda x, y: tilted(x, y) + 1), **AXES, to=to, **QUIET)


def test_what_does_not_fit_is_refused() -> None:
    for function in (lambda: 0.0, lambda x, y, z: 0.0, 3.0):
        with pytest.raises(InputError, match="one coordinate or two"):
            landscape.LambdaObjective(function)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="a line and no surface"):
        landscape.surface(landscape.LambdaObjective(lambda x: x), **AXES, **QUIET)
    with pytest.raises(InputError, match="coordinates of a function are used as they are"):
        landscape.surface(landscape.LambdaObjective(tilted), **AXES, normalize="layer", **QUIET)
    with pytest.raises(UserCodeError, match="ZeroDivisionError"):
        landscape.surface(landscape.LambdaObjective(lambda x, y: 1 / (x + 1)), **AXES, **QUIET)
