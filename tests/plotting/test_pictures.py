"""Whole panels against pictures that were looked at, one by one, before they were kept."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import matplotlib
import numpy as np
import pictures
import pytest

# The same panels, drawn by matplotlib 3.9.4, 3.10.8 and 3.11.2, are up to 0.9 apart (3.11 renders letters anew); every fault that is
# planted here makes a distance of at least 2.1, as the tests below say.
TOLERANCE = 1.4
OLD_BOX = tuple(map(int, matplotlib.__version__.split(".")[:2])) < (3, 9)  # there a relief's box has a margin: 3 apart


def check(name: str) -> float:
    return pictures.distance(pictures.pixels(pictures.PICTURES[name]()), pictures.kept(name))


@pytest.mark.parametrize("name", pictures.PICTURES)
def test_a_panel_looks_as_the_one_that_was_kept(name: str) -> None:
    if OLD_BOX and name in ("relief", "slide"):
        pytest.skip("matplotlib before 3.9 draws the box with a margin")
    assert check(name) <= TOLERANCE


FAULTS: dict[str, Callable[[Any, Any], Any]] = {
    "transposed": lambda x, y, bowl=pictures.bowl: bowl(y, x),
    "mirrored": lambda x, y, bowl=pictures.bowl: bowl(-x, y),
    "one cell off": lambda x, y, bowl=pictures.bowl: bowl(x + 0.1, y),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", [name for name in pictures.PICTURES if name != "curve"])
def test_wrong_values_would_be_seen(name: str, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "bowl", FAULTS[fault])
    assert check(name) > 1.5 * TOLERANCE


@pytest.mark.parametrize(
    ("module", "constant", "value"),
    [("relief", "_SHADE", 0.0), ("relief", "COLOUR_MAP", "cividis"), ("relief_mesh", "HEIGHT", 0.6)],
)
def test_wrong_looks_would_be_seen(module: str, constant: str, value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("relief", "relief_mesh") if constant == "HEIGHT" else (module,):
        monkeypatch.setattr(sys.modules[f"landscape.plotting.{name}"], constant, value)
    assert check("relief") > 1.5 * TOLERANCE


def test_the_distance_is_that_of_the_standard() -> None:
    black, white, red = (np.full((8, 8, 3), colour, np.uint8) for colour in ((0, 0, 0), (255, 255, 255), (255, 0, 0)))
    assert pictures.distance(black, white) == pytest.approx(100, abs=0.01)
    assert pictures.lab(red[0, 0]) == pytest.approx([53.24, 80.09, 67.20], abs=0.02)  # published values of sRGB red under D65
    assert pictures.distance(white, white) == 0
