"""The surface file as other programs meet it: plain h5py and xarray; and what a kill at any moment leaves of it."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from landscape import io
from landscape.core.surface import Axis, Metric, Number, Point, Surface
from landscape.errors import InputError

pytestmark = pytest.mark.filterwarnings("error:.*:UserWarning")

AWKWARD = np.array([[0.0, -1.5], [np.nan, np.inf], [-np.inf, 5e-324]])


def plane(**changes: Any) -> Surface:
    shape = (3, 2)
    done = np.array([[True, True], [True, True], [True, False]])
    values = {"train_loss": AWKWARD.copy(), "test_accuracy": np.full(shape, 0.25)}
    values["train_loss"][2, 1] = np.nan
    surface = Surface(
        kind="surface",
        axes=(
            Axis("x", np.array([-1.0, 0.1, 1 / 3]), {"label": "δ", "source": "random", "seed": 3, "normalize": "filter", "norm": 2.5, "sha256": "ab"}),
            Axis("y", np.array([2.0, -2.0]), {"label": "η"}),
        ),
        metrics={"train_loss": Metric("train", "loss", "nat"), "test_accuracy": Metric("test", "accuracy", "fraction")},
        values=values,
        done={"train_loss": done, "test_accuracy": done.copy()},
        stderr={"train_loss": np.full(shape, 0.5)},
        low={"test_accuracy": np.full(shape, 0.125)},
        high={"test_accuracy": np.where(done, 0.5, np.nan)},
        effective={"train_loss": np.where(done, 40.5, np.nan)},
        examples={"train": np.arange(6).reshape(shape) + 2**40, "test": np.zeros(shape, np.int64)},
        seconds=np.full(shape, 0.125),
        attributes={"problem": "π", "bn": "frozen", "cosine": 0.25, "tolerance": 0.0, "only": ""},
        data={"train": {"sha256": "cd", "size": 10, "used": 5, "order": "first:5"}},
        points=(Point("model", (0.0, 0.0), {"train_loss": 0.5}), Point("b.pt", (1.0, 0.0), {"train_loss": np.nan})),
        checks={"passed": 1, "repeat_difference": 0.0},
        numbers={"basin_radius": Number(0.5, "direction units", "≥"), "bump": Number(np.nan, "")},
        runs=({"command": "landscape surface ...", "points": 2}, {"command": "again", "points": 3}),
    )  # fmt: skip
    return replace(surface, **changes)


def line(n_draws: int = 1) -> Surface:
    axes = (Axis("x", np.linspace(0, 1, 4)), *([Axis("seed", np.arange(n_draws) + 5.0)] if n_draws > 1 else []))
    values = np.arange(4.0 * n_draws).reshape(4, n_draws)
    values = values if n_draws > 1 else values[:, 0]
    return Surface("line", axes, {"train_loss": Metric("train", "loss", "")}, {"train_loss": values}, {"train_loss": values >= 0})


def same(first: Any, second: Any) -> bool:
    if isinstance(first, Surface):
        return all(same(getattr(first, f.name), getattr(second, f.name)) for f in fields(first))
    if isinstance(first, Axis):
        return first.name == second.name and same(first.values, second.values) and same(first.attributes, second.attributes)
    if isinstance(first, np.ndarray):
        return first.dtype == second.dtype and np.array_equal(first, second, equal_nan=first.dtype.kind == "f")
    if isinstance(first, dict):
        return set(first) == set(second) and all(same(first[key], second[key]) for key in first)
    if isinstance(first, tuple | list):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, Number | Point):
        return same(vars(first), vars(second))
    return bool(first == second or (first != first and second != second))


@pytest.mark.parametrize("surface", [plane(), line(), line(3)], ids=["plane", "line", "draws"])
def test_what_is_written_is_read_back(tmp_path: Path, surface: Surface) -> None:
    read = io.read(io.write(surface, tmp_path / "s.h5"))
    assert same(surface, read)
    assert not same(replace(surface, kind="other"), read)


def test_the_layout_is_the_one_promised(tmp_path: Path) -> None:
    directions = {"x": {"fc.weight": np.ones((2, 3), np.float32)}, "y": {"fc.weight": np.zeros((2, 3), np.float32)}}
    path = io.write(plane(), tmp_path / "s.h5", directions)
    with h5py.File(path) as file:
        assert {**file.attrs}.items() >= {
            "format": "landscape-surface", "format_version": 1, "kind": "surface", "complete": 0, "problem": "π", "bn": "frozen", "cosine": 0.25,
        }.items()  # fmt: skip
        assert list(file.attrs["axes"]) == ["x", "y"]
        assert file["x"][()].tolist() == [-1.0, 0.1, 1 / 3]
        assert file["x"].dtype == file["values/train_loss"].dtype == file["seconds"].dtype == np.float64
        assert file["x"].is_scale
        assert file["y"].is_scale
        assert (
            dict(file["x"].attrs).items()
            >= {"label": "δ", "source": "random", "seed": 3, "normalize": "filter", "norm": 2.5}.items()
        )
        assert np.array_equal(file["values/train_loss"][()], plane().values["train_loss"], equal_nan=True)
        assert {key: file["values/train_loss"].attrs[key] for key in ("split", "metric", "unit")} == {
            "split": "train",
            "metric": "loss",
            "unit": "nat",
        }
        assert [file["values/train_loss"].dims[i][0].name for i in (0, 1)] == ["/x", "/y"]
        assert file["values/train_loss_stderr"][0, 0] == 0.5
        assert "values/test_accuracy_stderr" not in file
        assert (file["values/test_accuracy_low"][0, 0], file["values/test_accuracy_high"][0, 0]) == (0.125, 0.5)
        assert file["effective/train_loss"][0, 0] == 40.5
        assert file["effective/train_loss"].dims[1][0].name == "/y"
        assert file["done/train_loss"].dtype == np.uint8
        assert file["done/train_loss"][()].tolist() == [[1, 1], [1, 1], [1, 0]]
        assert file["examples/train"].dtype == np.int64
        assert file["examples/train"][0, 0] == 2**40
        assert dict(file["data/train"].attrs) == {"sha256": "cd", "size": 10, "used": 5, "order": "first:5"}
        assert [name.decode() for name in file["points/name"][()]] == ["model", "b.pt"]
        assert file["points/x"][()].tolist() == [0, 1]
        assert file["points/train_loss"][0] == 0.5
        assert file["checks"].attrs["passed"] == 1
        assert (file["numbers"].attrs["basin_radius"], file["numbers"].attrs["basin_radius_unit"]) == (0.5, "direction units")
        assert [file[f"runs/{k}"].attrs["command"] for k in (0, 1)] == ["landscape surface ...", "again"]
        assert np.array_equal(file["direction_x/fc.weight"][()], directions["x"]["fc.weight"])
    assert io.read_directions(path)["x"]["fc.weight"].shape == (2, 3)


def test_complete_says_whether_all_is_measured(tmp_path: Path) -> None:
    whole = plane(done={key: np.ones((3, 2), bool) for key in plane().metrics})
    for surface, complete in ((plane(), 0), (whole, 1)):
        with h5py.File(io.write(surface, tmp_path / "s.h5")) as file:
            assert file.attrs["complete"] == complete


@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
def test_xarray_opens_it(tmp_path: Path, engine: Any) -> None:
    xarray = pytest.importorskip("xarray")
    path = io.write(plane(), tmp_path / "s.h5")
    with xarray.open_dataset(path, group="values", engine=engine) as values:
        assert values["train_loss"].dims == ("x", "y")
        assert np.array_equal(values["train_loss"].values, plane().values["train_loss"], equal_nan=True)
        assert values["train_loss"].attrs["unit"] == "nat"
    with xarray.open_datatree(path, engine=engine) as tree:
        assert tree["x"].values.tolist() == [-1.0, 0.1, 1 / 3]
        assert tree["values"]["train_loss"].sel(x=-1, y=-2).item() == -1.5  # by coordinates, which it inherits from the root
        assert tree["done"]["train_loss"].values.sum() == 5
        assert tree["points"].to_dataset(inherit=False)["x"].values.tolist() == [0, 1]
        assert tree.attrs["format"] == "landscape-surface"


@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
def test_xarray_opens_a_line_of_several_draws(tmp_path: Path, engine: Any) -> None:
    xarray = pytest.importorskip("xarray")
    path = io.write(line(3), tmp_path / "s.h5")
    with xarray.open_datatree(path, engine=engine) as tree:
        assert tree["values"]["train_loss"].sel(seed=6).values.tolist() == [1, 4, 7, 10]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = io.write(plane(), tmp_path / "s.h5")
    before = path.read_bytes()
    broken = plane(values={"train_loss": AWKWARD, "test_accuracy": np.array([object()])})
    with pytest.raises(TypeError):
        io.write(broken, path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["s.h5"]


def test_folders_that_are_missing_or_not_writable_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        io.write(plane(), tmp_path / "nowhere" / "s.h5")
    with pytest.raises(InputError, match="is a folder"):
        io.write(plane(), tmp_path)


# --- recording ---


def on_disk(path: Path) -> Surface:
    """What another process would read now: HDF5 lets no process lock a file in two ways, so a copy is read."""
    return io.read(shutil.copy(path, path.with_name("copy.h5")))


def blank(n: int) -> Surface:
    """A plane of n × n points, none of them measured."""
    axis = np.arange(float(n))
    missing, undone = np.full((n, n), np.nan), np.zeros((n, n), bool)
    return Surface(
        "surface", (Axis("x", axis), Axis("y", axis)), {"train_loss": Metric("train", "loss", "")},
        {"train_loss": missing}, {"train_loss": undone},
    )  # fmt: skip


def test_recorded_points_are_there_and_others_are_not(tmp_path: Path) -> None:
    path = io.write(blank(3), tmp_path / "s.h5")
    recorder = io.FileWriter(path)
    recorder.record([((1, 2), [("values/train_loss", 7.0), ("done/train_loss", 1)])], seconds_between=0)
    recorder.record([((0, 0), [("values/train_loss", np.nan), ("done/train_loss", 1)])], seconds_between=0)
    seen = on_disk(path)
    assert seen.values["train_loss"][1, 2] == 7
    assert seen.done["train_loss"].tolist() == [[True, False, False], [False, False, True], [False, False, False]]
    assert not seen.complete
    recorder.close()
    recorder.close()


def test_marks_wait_for_their_values(tmp_path: Path) -> None:
    path = io.write(blank(2), tmp_path / "s.h5")
    recorder = io.FileWriter(path)
    recorder.record([((0, 1), [("values/train_loss", 7.0), ("done/train_loss", 1)])], seconds_between=3600)
    assert not on_disk(path).done["train_loss"].any()
    recorder.flush()
    assert on_disk(path).done["train_loss"][0, 1]
    recorder.close()


def test_values_are_on_the_disk_before_a_mark_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = io.write(blank(2), tmp_path / "s.h5")
    recorder = io.FileWriter(path)
    seen: list[Surface] = []
    write = io.FileWriter._write

    def spy(self: io.FileWriter, pending: Any) -> None:
        seen.append(on_disk(path))
        write(self, pending)

    monkeypatch.setattr(io.FileWriter, "_write", spy)
    recorder.record([((0, 1), [("values/train_loss", 7.0), ("done/train_loss", 1)])], seconds_between=0)
    assert not any(surface.done["train_loss"].any() for surface in seen)
    assert seen[-1].values["train_loss"][0, 1] == 7  # a kill before the marks costs no more than measuring it again
    recorder.close()


def test_two_writers_are_refused(tmp_path: Path) -> None:
    path = io.write(blank(2), tmp_path / "s.h5")
    held = subprocess.Popen(
        [sys.executable, "-c", "import h5py, sys; f = h5py.File(sys.argv[1], 'r+'); print('open', flush=True); sys.stdin.read()", str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        held.stdout.readline()
        with pytest.raises(InputError, match="another process"):
            io.FileWriter(path)
        io.read(path)  # reading is no harm
    finally:
        held.communicate()
    io.FileWriter(path).close()


def test_a_file_replaced_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    path = io.write(blank(2), tmp_path / "s.h5")
    recorder = io.FileWriter(path)
    io.write(plane(), path)
    with pytest.raises(io.DisplacedError, match="was replaced by another program"):
        recorder.finish(blank(2), None)
    assert io.read(path).shape == (3, 2)


WRITER = """
import sys
import numpy as np
from landscape import io
recorder = io.FileWriter(sys.argv[1])
print("open", flush=True)
n = int(sys.argv[2])
for i in range(n):
    for j in range(n):
        recorder.record([((i, j), [("values/train_loss", i * n + j + 0.5), ("done/train_loss", 1)])], seconds_between=0.001)
"""


def test_after_sigkill_at_any_moment_done_implies_the_value(tmp_path: Path) -> None:
    n, moments = 120, random.Random(0)
    expected = np.arange(n * n).reshape(n, n) + 0.5
    n_done = []
    for _ in range(3):
        path = io.write(blank(n), tmp_path / "s.h5")
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(n)], stdout=subprocess.PIPE)
        writer.stdout.readline()
        time.sleep(moments.uniform(0.02, 0.4))
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        with h5py.File(path) as file:  # plain h5py opens it, unflagged
            done, values = file["done/train_loss"][()] != 0, file["values/train_loss"][()]
        assert (values[done] == expected[done]).all()
        assert np.isnan(values[~done]).sum() >= (~done).sum() - n * n // 2
        io.FileWriter(path).close()  # and it can be gone on with
        n_done.append(int(done.sum()))
    assert max(n_done) > 0


def test_our_json_of_attributes_is_plain(tmp_path: Path) -> None:
    read = io.read(io.write(plane(), tmp_path / "s.h5"))
    assert json.dumps(read.attributes)
    assert json.dumps(read.runs)
