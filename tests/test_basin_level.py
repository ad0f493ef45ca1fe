"""The height of the basin: stored with a surface, compared on resume and merge, and what numbers, `show` and the page tell of."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from cases import perceptron
from grids import manhattan, plane_of, value
from viewer.surfaces import plane

import landscape
from landscape import InputError, Surface, io
from landscape.measures import basin_radius, basin_share, measure
from landscape.report import describe, tabulate
from landscape.viewer import page
from landscape.viewer.content import content

PARTS = Path(landscape.__file__).parent / "viewer" / "parts"


def swept(path: Path, kind: str = "line", **options: Any) -> Surface:
    axes = {"x": (-1, 1, 5)} if kind == "line" else {"x": (-1, 1, 5), "y": (-1, 1, 5)}
    sweep = landscape.line if kind == "line" else landscape.surface
    return sweep(perceptron(), to=path, quiet=True, **axes, **options)


@pytest.mark.parametrize("kind", ["line", "surface"])
def test_it_is_stored_and_every_number_is_of_it(tmp_path: Path, kind: str) -> None:
    low, high = (swept(tmp_path / f"{level}.h5", kind, basin_level=level) for level in (0.05, 3))
    assert io.read(tmp_path / "3.h5").basin_level == 3.0
    with h5py.File(tmp_path / "0.05.h5") as file:
        assert file.attrs["basin_level"] == 0.05
    assert low.numbers == measure(low) == measure(high, basin_level=0.05)
    assert high.numbers == measure(high) != low.numbers
    assert "within 3 nat of the origin" in describe(high)
    assert "within 0.05 nat of the origin" in describe(low)
    assert tabulate(high)["attributes"]["basin_level"] == 3.0


@pytest.mark.parametrize("kind", ["line", "surface"])
def test_going_on_with_another_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "s.h5"
    first = swept(path, kind, basin_level=2.0)
    with pytest.raises(InputError, match=r"s\.h5: was made with another basin level \(2\.0, now 1\.0\)"):
        swept(path, kind)
    assert swept(path, kind, basin_level=2).numbers == first.numbers
    assert swept(path, kind, basin_level=3, overwrite=True).basin_level == 3


def test_a_file_that_does_not_say_has_one_nat(tmp_path: Path) -> None:
    path = tmp_path / "s.h5"
    swept(path)
    with h5py.File(path, "r+") as file:
        del file.attrs["basin_level"]
    assert io.read(path).basin_level == 1.0
    with pytest.raises(InputError, match="another basin level"):
        swept(path, basin_level=2)
    assert swept(path).basin_level == 1.0


def test_parts_of_different_levels_do_not_merge(tmp_path: Path) -> None:
    one, two, other = (tmp_path / name for name in ("1.h5", "2.h5", "other.h5"))
    swept(one, part="1/2", basin_level=2)
    swept(two, part="2/2", basin_level=2)
    swept(other, part="2/2")
    with pytest.raises(InputError, match="another basin level"):
        landscape.merge([one, other], quiet=True)
    merged = landscape.merge([one, two], quiet=True)
    assert merged.basin_level == 2
    assert merged.numbers == measure(merged, basin_level=2)
    again = landscape.merge([one, two], tmp_path / "all.h5", basin_level=0.3, quiet=True)
    assert io.read(tmp_path / "all.h5").basin_level == again.basin_level == 0.3
    assert again.numbers == measure(merged, basin_level=0.3)


def test_the_command_takes_it_by_its_name(command: Any, factory: Any, tmp_path: Path) -> None:
    problem = factory("return cases.perceptron()")
    checkpoint = tmp_path / "a.pt"
    import torch

    torch.save(perceptron().model.state_dict(), checkpoint)
    made = command("line", problem, checkpoint, "--x=-1:1:3", "--basin-level", 2, "-o", tmp_path / "o.h5", "--json", "--quiet")
    assert made.code == 0
    assert made.result["attributes"]["basin_level"] == 2
    refused = command("line", problem, checkpoint, "--x=-1:1:3", "--level", 2, "-o", tmp_path / "p.h5")
    assert refused.code == 2
    assert "within 2 nat" in command("show", tmp_path / "o.h5").out


@pytest.mark.parametrize("bad", ["wide", -1.0, 0.0, math.nan, math.inf])
def test_a_level_in_a_file_that_is_none_is_refused(tmp_path: Path, bad: Any) -> None:
    io.write(replace(plane_of(manhattan, (-1, 1, 3), (-1, 1, 3)), attributes={"basin_level": bad}), tmp_path / "s.h5")
    with pytest.raises(InputError, match=r"basin.level"):
        io.read(tmp_path / "s.h5")


def test_measures_take_the_surfaces_own_unless_told() -> None:
    surface = replace(plane_of(manhattan, (-4, 4, 33), (-4, 4, 33)), attributes={"basin_level": 2.0})
    assert value(basin_radius(surface)) == pytest.approx(math.sqrt(8 / math.pi))
    assert value(basin_radius(surface, basin_level=1.0)) == pytest.approx(math.sqrt(2 / math.pi))
    assert value(basin_share(surface)) == pytest.approx(8 / 64)


def edges(surfaces: list[Surface]) -> list[np.ndarray]:
    """The basin edges that the page draws around some planes, as basin.js finds them in the page's own data: end points `(n, 2)`."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    data = content(surfaces, [f"plane {k}" for k in range(len(surfaces))])
    scripts = [(PARTS / f"{name}.js").read_text("utf-8") for name in ("data", "basin")]
    told = f"load({json.dumps(data)}).then(() => console.log(JSON.stringify(surfaces.map((s) => basinEdge(s, data.metric)))));"
    done = subprocess.run([node, "-"], input="\n".join([*scripts, told]), capture_output=True, text=True, check=True)
    return [np.array(edge).reshape(-1, 2) for edge in json.loads(done.stdout)]


def test_the_page_draws_the_edge_at_each_planes_own_height() -> None:
    x = np.linspace(-4, 4, 33)
    bowls = [plane(x, x, f"level {level}", train_loss=manhattan(*np.meshgrid(x, x, indexing="ij"))) for level in (1, 2.5, 3)]
    surfaces = [replace(bowl, attributes={"basin_level": level}) for bowl, level in zip(bowls, (1.0, 2.5, 3.0), strict=True)]
    surfaces.append(bowls[0])  # says nothing: 1
    found = edges(surfaces)
    assert len(found) == 4
    for surface, ends in zip(surfaces, found, strict=True):
        assert len(ends) > 20
        # |x| + |y| is linear inside each cell, so the edge is exact to the rounding of coordinates below 4
        np.testing.assert_allclose(np.abs(ends).sum(axis=1), surface.basin_level, atol=1e-12)


def test_the_page_says_which_height() -> None:
    bowl = plane_of(manhattan, (-4, 4, 9), (-4, 4, 9))
    two, three = (replace(bowl, attributes={"basin_level": level}) for level in (2.0, 3.5))
    assert "where the loss is 2 nat above that of the model at the origin" in page([two])
    assert "where the loss is 1 or 3.5 nat above" in page([bowl, three])
    assert "where the loss is 1 nat above" in page([bowl])
