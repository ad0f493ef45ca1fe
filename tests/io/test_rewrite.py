"""What a rewrite leaves alone: whatever others put into a file, links, modes, owners, stored directions, and where a link leads."""

from __future__ import annotations

import functools
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from cases import perceptron

import landscape
from landscape import Surface, atomic, io
from landscape.core.surface import Number
from landscape.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:The .phony_dims.")  # of an array whose axis grew away from it

QUIET = {"quiet": True, "threads": 1, "device": "cpu", "engine": "eager"}
OLD = sorted((Path(__file__).parents[1] / "data" / "files").glob("*-0.1.0.h5"))  # written by version 0.1.0


def plane(to: Path | None, **options: Any) -> Surface:
    return landscape.surface(perceptron(), to=to, **{"x": (-1, 1, 3), "y": (-1, 1, 3), **QUIET, **options})


@functools.cache
def measured() -> Surface:
    return plane(None)


def adorn(path: Path) -> None:
    """What a person, xarray or another program might put into a file of ours."""
    with h5py.File(path, "r+") as file:
        file.attrs["my remark"] = "measured on a rainy day"
        file.attrs["my table"] = np.arange(6).reshape(2, 3)
        file.attrs["my nothing"] = h5py.Empty("f4")
        file.attrs.create("my fixed text", np.bytes_(b"abc"))
        for name in (
            "x",
            "values/train_loss",
            "values/train_loss_stderr",
            "done/train_loss",
            "examples/train",
            "seconds",
            "points/name",
        ):
            file[name].attrs["mine"] = f"on {name}"
            file[name].attrs["mine too"] = np.array(["a", "bc"], dtype=object)
        for name in ("values", "done", "points", "data/train", "runs/0", "runs", "direction_x"):
            file[name].attrs["mine"] = [1.5, 2.5]
        file["mine/deep/array"] = np.arange(5, dtype=">i2")
        file["mine/deep/array"].attrs["unit"] = "m"
        packed = file.create_dataset("mine/packed", data=np.eye(30), chunks=(10, 10), compression="gzip", shuffle=True)
        packed.attrs["points at"] = file["values/train_loss"].ref
        over = file.create_dataset("mine/over_x", data=np.arange(float(file["x"].size)))
        over.dims[0].attach_scale(file["x"])
        file["mine/soft"] = h5py.SoftLink("/values/train_loss")
        file["mine/dangling"] = h5py.SoftLink("/nowhere")
        file["mine/external"] = h5py.ExternalLink("elsewhere.h5", "/secret")
        file["mine/hard"] = file["mine/deep/array"]
        file["trajectory/x"] = np.arange(4.0)
        file["hessian/eigenvalues"] = np.array([39.1, 16.2])
        file["hessian"].attrs["method"] = "lanczos"


def check_kept(path: Path, attached: bool = True) -> None:
    with h5py.File(path) as file:
        assert file.attrs["my remark"] == "measured on a rainy day"
        assert file.attrs["my table"].tolist() == [[0, 1, 2], [3, 4, 5]]
        assert isinstance(file.attrs["my nothing"], h5py.Empty)
        assert file.attrs["my fixed text"] == b"abc"
        assert file.attrs.get_id("my fixed text").dtype == np.dtype("S3")
        for name in (
            "x",
            "values/train_loss",
            "values/train_loss_stderr",
            "done/train_loss",
            "examples/train",
            "seconds",
            "points/name",
        ):
            assert file[name].attrs["mine"] == f"on {name}", name
            assert list(file[name].attrs["mine too"]) == ["a", "bc"]
        for name in ("values", "done", "points", "data/train", "runs/0", "runs", "direction_x"):
            assert list(file[name].attrs["mine"]) == [1.5, 2.5], name
        assert file["mine/deep/array"][()].tolist() == [0, 1, 2, 3, 4]
        assert file["mine/deep/array"].dtype == np.dtype(">i2")
        assert file["mine/deep/array"].attrs["unit"] == "m"
        assert file["mine/packed"].compression == "gzip"
        assert np.array_equal(file["mine/packed"][()], np.eye(30))
        links = {name: file["mine"].get(name, getlink=True) for name in ("soft", "dangling", "external")}
        assert [getattr(links[name], "path", None) for name in links] == ["/values/train_loss", "/nowhere", "/secret"]
        assert links["external"].filename == "elsewhere.h5"
        assert file["mine/hard"] == file["mine/deep/array"]
        assert file["mine/soft"] == file["values/train_loss"]
        assert len(file["mine/over_x"].dims[0]) == attached
        if attached:
            assert file["mine/over_x"].dims[0][0] == file["x"]
            assert file[file["mine/packed"].attrs["points at"]] == file["values/train_loss"]
        assert file["trajectory/x"].shape == (4,)
        assert file["hessian/eigenvalues"][0] == 39.1
        assert file["hessian"].attrs["method"] == "lanczos"


RESUMES: dict[str, dict[str, Any]] = {
    "nothing to do": {},
    "another split": {"split": "train,test"},
    "wider axes": {"x": (-2, 2, 5), "y": (-1, 1, 5)},
    "another batch size": {"batch_size": 7},
}


@pytest.mark.parametrize("name", RESUMES)
def test_resuming_keeps_what_is_not_its_own(tmp_path: Path, name: str) -> None:
    path = tmp_path / "s.h5"
    first = plane(path, save_directions=True)
    adorn(path)
    with h5py.File(path) as file:
        before = {axis: file[f"direction_{axis}"]["0.weight"][()].tobytes() for axis in "xy"}
    again = plane(path, **RESUMES[name])
    assert again.complete
    check_kept(path, attached=name != "wider axes")
    with h5py.File(path) as file:
        assert {axis: file[f"direction_{axis}"]["0.weight"][()].tobytes() for axis in "xy"} == before
        assert file["values/train_loss"].dims[0][0] == file["x"]
        assert file["seconds"].chunks is None
    read = landscape.read(path)
    assert read.runs[-1]["points"] == again.runs[-1]["points"]
    inner = np.ix_(*(np.flatnonzero(np.isin(axis, (-1, 0, 1))) for axis in (read.x, read.y)))
    assert np.array_equal(read.values["train_loss"][inner], first.values["train_loss"])


@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
@pytest.mark.parametrize("name", ["another split", "wider axes"])
def test_xarray_opens_what_was_rewritten(tmp_path: Path, engine: Any, name: str) -> None:
    xarray = pytest.importorskip("xarray")
    path = tmp_path / "s.h5"
    plane(path)
    with h5py.File(path, "r+") as file:
        over = file.create_dataset("mine/over_x", data=np.arange(3.0))
        over.dims[0].attach_scale(file["x"])
    surface = plane(path, **RESUMES[name])
    with xarray.open_datatree(path, engine=engine) as tree:
        assert tree["values"]["train_loss"].dims == ("x", "y")
        assert np.array_equal(tree["values"]["train_loss"].values, surface.values["train_loss"])
        assert tree["mine"]["over_x"].values.tolist() == [0, 1, 2]


def test_overwriting_keeps_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s.h5"
    plane(path, save_directions=True)
    adorn(path)
    plane(path, overwrite=True)
    with h5py.File(path) as file:
        assert sorted(file) == ["checks", "data", "done", "examples", "numbers", "points", "runs", "seconds", "values", "x", "y"]
        assert not [name for name in file.attrs if name.startswith("my")]


def test_an_interrupted_resume_keeps_it_too(tmp_path: Path) -> None:
    path = tmp_path / "s.h5"
    plane(path, save_directions=True, time_limit=0)
    adorn(path)
    plane(path, time_limit=0)
    check_kept(path)
    plane(path)
    check_kept(path)


def test_seconds_of_points_measured_before_stay(tmp_path: Path) -> None:
    path = tmp_path / "s.h5"
    plane(path)
    with h5py.File(path, "r+") as file:
        file["seconds"][...] = np.arange(9.0).reshape(3, 3) + 100
    both = plane(path, split="train,test", x=(-1, 2, 4))
    assert both.runs[-1]["points"] == 12
    assert np.array_equal(both.seconds[:3], np.arange(9.0).reshape(3, 3) + 100)
    assert (both.seconds[3] < 100).all()
    assert np.array_equal(landscape.read(path).seconds, both.seconds)


def test_what_is_ours_and_no_longer_true_goes(tmp_path: Path) -> None:
    """A measure that cannot be told any more, an older self-check, an error bar that is withheld: stale, they would be lies."""
    surface = replace(
        measured(), numbers={"bump": Number(1.0, "nat", "≥"), "other": Number(2.0, "nat")}, checks={"passed": 0, "failure": "noise"}
    )
    path = io.write(surface, tmp_path / "s.h5")
    with h5py.File(path, "r+") as file:
        file["numbers"].attrs["mine"] = 7.0
    later = replace(
        surface,
        numbers={"bump": Number(3.0, "nat"), "third": Number(1.0, "")},
        checks={"passed": 1},
        stderr={key: array for key, array in surface.stderr.items() if key != "train_loss"},
    )
    read = io.read(io.write(later, path, keep=path))
    assert read.numbers == later.numbers
    assert read.checks == {"passed": 1}
    assert "train_loss" not in read.stderr
    with h5py.File(path) as file:
        assert file["numbers"].attrs["mine"] == 7.0
        assert "bump_bound" not in file["numbers"].attrs


def test_a_packed_array_of_ours_is_unpacked_before_points_are_written_into_it(tmp_path: Path) -> None:
    """After h5repack: a kill while HDF5 moves packed blocks about would cost the file."""
    path = tmp_path / "s.h5"
    plane(path, time_limit=0)
    with h5py.File(path, "r+") as file:
        for name in ("values/train_loss", "x"):
            content, attributes = file[name][()], {**file[name].attrs, "mine": 1}
            del file[name]
            packed = file.create_dataset(name, data=content, chunks=tuple(1 for _ in content.shape), compression="gzip")
            for key in attributes.keys() - {"DIMENSION_LIST", "REFERENCE_LIST"}:
                packed.attrs[key] = attributes[key]
    assert plane(path).complete
    with h5py.File(path) as file:
        for name in ("values/train_loss", "x"):
            assert file[name].chunks is None
            assert file[name].attrs["mine"] == 1
        assert file["values/train_loss"].dims[0][0] == file["x"]


def test_a_link_in_the_place_of_a_group_of_ours_leads_nowhere(tmp_path: Path) -> None:
    """Directions that are asked for replace a link to another file; that file is not written."""
    path, other = tmp_path / "s.h5", tmp_path / "other.h5"
    plane(path)
    with h5py.File(other, "w") as file:
        file.create_group("theirs")
    before = other.read_bytes()
    with h5py.File(path, "r+") as file:
        file["direction_x"] = h5py.ExternalLink("other.h5", "/theirs")
        file["direction_y"] = h5py.SoftLink("/values")
    plane(path, save_directions=True)
    assert other.read_bytes() == before
    assert {axis: sorted(arrays) for axis, arrays in io.read_directions(path).items()} == {
        axis: ["0.weight", "2.weight"] for axis in "xy"
    }
    assert set(landscape.read(path).metrics) == {"train_loss", "train_accuracy"}


def test_parameters_whose_names_hold_slashes_come_back(tmp_path: Path) -> None:
    directions = {"x": {"block/conv.weight": np.ones(3), "block/bias": np.zeros(2), "last.weight": np.ones(1)}}
    found = io.read_directions(io.write(measured(), tmp_path / "s.h5", directions))
    assert {name: array.shape for name, array in found["x"].items()} == {
        "block/conv.weight": (3,),
        "block/bias": (2,),
        "last.weight": (1,),
    }
    with h5py.File(tmp_path / "s.h5", "r+") as file:
        file["direction_x/loop"] = file["direction_x"]
    with pytest.raises(InputError, match=r"direction_x.* more than"):
        io.read_directions(tmp_path / "s.h5")


@pytest.mark.parametrize("old", OLD, ids=lambda path: path.stem)
def test_files_of_version_0_1_0_are_read_and_rewritten(tmp_path: Path, old: Path) -> None:
    path = tmp_path / "s.h5"
    path.write_bytes(old.read_bytes())
    surface = landscape.read(path)
    assert surface.complete
    assert surface.values["train_loss"].shape == surface.shape
    directions = io.read_directions(path)
    assert sorted(directions) == (["x", "y"] if surface.kind == "surface" else [])
    adorned = {"file": "kept"}
    with h5py.File(path, "r+") as file:
        file.attrs.update(adorned)
    again = landscape.read(io.write(surface, path, keep=path))
    assert again.attributes == {**surface.attributes, **adorned}
    assert np.array_equal(again.values["train_loss"], surface.values["train_loss"])
    for axis, arrays in directions.items():
        assert all(np.array_equal(io.read_directions(path)[axis][name], array) for name, array in arrays.items())
    merged = landscape.merge([old, path], tmp_path / "all.h5", quiet=True)
    assert np.array_equal(merged.values["train_loss"], surface.values["train_loss"])


# --- modes, owners, links ---


@pytest.fixture(params=["sweep", "store", "export", "merge", "replacing"])
def rewriting(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Path], None]:
    """Ways to replace a file that is there."""
    surface = measured()
    io.write(surface, tmp_path / "part.h5")

    def replaced(path: Path) -> None:
        with atomic.replacing(path) as temporary:
            temporary.write_text("new")

    ways: dict[str, Callable[[Path], object]] = {
        "sweep": lambda path: plane(path, overwrite=True),
        "store": lambda path: io.write(surface, path),
        "export": lambda path: io.export(surface, path.rename(path.with_suffix(".csv")), overwrite=True).rename(path),
        "merge": lambda path: landscape.merge([tmp_path / "part.h5"], path, overwrite=True, quiet=True),
        "replacing": replaced,
    }
    return ways[request.param]  # type: ignore[return-value]


@pytest.mark.parametrize("mode", [0o600, 0o664])
def test_the_mode_of_a_file_stays(tmp_path: Path, rewriting: Callable[[Path], None], mode: int) -> None:
    path = tmp_path / "old.h5"
    path.write_bytes(b"something")
    path.chmod(mode)
    rewriting(path)
    assert path.read_bytes() != b"something"
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_the_mode_of_a_new_file_is_that_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    io.write(measured(), tmp_path / "new.h5")
    assert (tmp_path / "new.h5").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_the_owner_stays_where_the_system_lets_us(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    path = io.write(measured(), tmp_path / "s.h5")
    os.chown(path, 4711, 4712)
    io.write(measured(), path)
    assert (path.stat().st_uid, path.stat().st_gid) == (4711, 4712)


def test_an_owner_that_cannot_be_kept_is_no_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = io.write(measured(), tmp_path / "s.h5")
    path.chmod(0o600)
    real, place = Path.stat, path.resolve()

    def foreign(self: Path, **how: Any) -> os.stat_result:
        found = real(self, **how)
        return os.stat_result((*found[:4], 4711, 4711, *found[6:])) if self == place else found

    def forbidden(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "stat", foreign)
    monkeypatch.setattr(os, "chown", forbidden)
    io.write(measured(), path)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


@pytest.mark.parametrize("absolute", [True, False])
def test_a_link_to_a_file_stays_a_link(tmp_path: Path, rewriting: Callable[[Path], None], absolute: bool) -> None:
    far, near = tmp_path / "far", tmp_path / "near"
    far.mkdir()
    near.mkdir()
    (far / "old.h5").write_bytes(b"something")
    (near / "link.h5").symlink_to(far / "old.h5" if absolute else Path("..") / "far" / "old.h5")
    rewriting(near / "link.h5")
    assert (near / "link.h5").is_symlink()
    assert not (far / "old.h5").is_symlink()
    assert (far / "old.h5").read_bytes() == (near / "link.h5").read_bytes() != b"something"
    assert [path.name for path in far.iterdir()] == ["old.h5"]  # nothing temporary, no lock
    assert [path.name for path in near.iterdir()] == ["link.h5"]


def test_a_sweep_is_resumed_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    whole = plane(tmp_path / "far" / "s.h5", time_limit=0)
    (tmp_path / "link.h5").symlink_to("far/s.h5")
    adorn_only = {"mine": 1}
    with h5py.File(tmp_path / "far" / "s.h5", "r+") as file:
        file.attrs.update(adorn_only)
    assert plane(tmp_path / "link.h5").complete
    assert landscape.read(tmp_path / "far" / "s.h5").complete
    assert (tmp_path / "link.h5").is_symlink()
    assert not whole.complete


# --- names that are none ---


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "empty"),
        ("s.h5/", "names a folder"),
        ("there/", "is a folder"),
        (".", "is a folder"),
        ("there/..", "is a folder"),
        ("s.h5/.", "names a folder"),
        ("dangling.h5", "a link to gone.h5, which is not there"),
        ("loop.h5", "a link that goes round in a loop"),
        ("self.h5", "a link that goes round in a loop"),
        ("astray/s.h5", "the folder astray is not a folder"),
        ("a\0b.h5", "zero byte"),
        (7, "not a path"),
    ],
)
def test_a_name_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: Any, says: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    for link, goal in {
        "dangling.h5": "gone.h5",
        "loop.h5": "pool.h5",
        "pool.h5": "loop.h5",
        "self.h5": "self.h5",
        "astray": "gone",
    }.items():
        Path(link).symlink_to(goal)
    before = sorted(os.listdir())
    for way in (
        lambda: atomic.check_target(name),
        lambda: landscape.surface(landscape.LambdaObjective(lambda a, b: a), x=(0, 1, 2), y=(0, 1, 2), to=name, **QUIET),
        lambda: landscape.merge(["gone.h5"], name),
    ):
        with pytest.raises(InputError, match=says) as raised:
            way()
        assert "\n" not in str(raised.value)
    assert sorted(os.listdir()) == before
