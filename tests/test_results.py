"""results/ stays small, and what makes it so changes no value."""

from __future__ import annotations

import re
import runpy
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

import landscape
from landscape.core.surface import Surface
from landscape.problem import Problem

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results"
SHRINK = runpy.run_path(str(ROOT / "scripts" / "shrink.py"))


def test_results_are_small() -> None:
    sizes = {path: path.stat().st_size for path in RESULTS.rglob("*") if path.is_file()}
    assert sum(sizes.values()) <= 15_000_000, "run scripts/shrink.py results"
    assert [path for path, size in sizes.items() if size > 2_000_000] == []


def test_all_pages_share_one_script() -> None:
    (script,) = RESULTS.rglob("*.js")
    pages = sorted(RESULTS.rglob("*.html"))
    assert len(pages) == 9
    for path in pages:
        (address,) = re.findall(r'<script src="([^"]+)">', path.read_text("utf-8"))
        assert (path.parent / address).resolve() == script


@pytest.fixture
def measured(tmp_path: Path) -> tuple[Problem, Surface, Path]:
    """A plane of 9 × 9 points with its directions, and its file."""
    problem = landscape.zoo.problem("moons-mlp-2x16")
    path = tmp_path / "plane.h5"
    surface = landscape.surface(problem, problem.model, x=(-1, 1, 9), y=(-1, 1, 9), to=path, save_directions=True, quiet=True)
    return problem, surface, path


def test_a_shrunk_surface_holds_all_that_it_held(measured: tuple[Problem, Surface, Path]) -> None:
    before = measured[2].read_bytes()
    after = SHRINK["shrunk_surface"](before)
    assert len(after) < 0.9 * len(before)
    with h5py.File(BytesIO(before)) as old, h5py.File(BytesIO(after)) as new:
        names: list[str] = []
        old.visit(names.append)
        kept: list[str] = []
        new.visit(kept.append)
        assert kept == names
        for name in ["/", *names]:
            assert new[name].attrs.keys() == old[name].attrs.keys()
            for key in set(old[name].attrs) - {"REFERENCE_LIST", "DIMENSION_LIST"}:  # addresses within the file
                assert new[name].attrs.get_id(key).get_type() == old[name].attrs.get_id(key).get_type()
                assert np.array_equal(new[name].attrs[key], old[name].attrs[key])
            if isinstance(old[name], h5py.Dataset):
                assert new[name].dtype == old[name].dtype
                assert np.asarray(new[name][()]).tolist() == np.asarray(old[name][()]).tolist()
                scales = [[[scale.name for scale in dim.values()] for dim in file[name].dims] for file in (old, new)]
                assert scales[0] == scales[1]


def test_a_shrunk_surface_is_resumed(measured: tuple[Problem, Surface, Path]) -> None:
    problem, surface, path = measured
    path.write_bytes(SHRINK["shrunk_surface"](path.read_bytes()))
    wider = landscape.surface(problem, problem.model, x=(-1.25, 1.25, 11), y=(-1, 1, 9), to=path, save_directions=True, quiet=True)
    assert wider.runs[-1]["points"] == 2 * 9
    assert np.array_equal(wider.values["train_loss"][1:-1], surface.values["train_loss"])
    assert np.array_equal(landscape.read(path).values["train_loss"], wider.values["train_loss"])


def test_a_shrunk_picture_keeps_its_size_its_background_and_nearly_its_colours() -> None:
    ramp = np.full((300, 400, 3), 255, np.uint8)
    ramp[20:280, 20:380] = np.stack([*np.mgrid[0:260, 0:360] * 250 // 360, np.full((260, 360), 99)], axis=2)
    made = BytesIO()
    Image.fromarray(ramp).save(made, "PNG", dpi=(300, 300))
    small = Image.open(BytesIO(SHRINK["shrunk_picture"](made.getvalue())))
    assert (small.mode, small.size) == ("P", (400, 300))
    assert small.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    seen = np.asarray(small.convert("RGB")).astype(int)
    assert np.array_equal(seen[:10], ramp[:10])
    blocks = [array[60:240, 60:340].reshape(18, 10, 28, 10, 3).mean((1, 3)) for array in (seen, ramp.astype(int))]
    assert np.abs(blocks[0] - blocks[1]).max() < 2  # dithered: colours are right in the mean of a few pixels


def test_what_is_small_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    Image.new("P", (3, 3)).save(path)
    before = path.read_bytes()
    SHRINK["shrink"](path)
    assert path.read_bytes() == before
