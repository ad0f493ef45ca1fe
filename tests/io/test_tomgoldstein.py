"""Files of tomgoldstein/loss-landscape, written here as the original writes them, and those it has really written."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from landscape.core.surface import Surface
from landscape.errors import InputError
from landscape.io.tomgoldstein import read_directions, read_surface

pytestmark = pytest.mark.filterwarnings("error")

ROOT = Path(__file__).resolve().parents[2]
DIGITS = ROOT / "tests" / "data" / "digits"
SHARED = Path(os.environ.get("LANDSCAPE_SHARED", ROOT.parent / "shared"))
PUBLISHED = SHARED / "reference" / "surfaces"


def write_as_the_original(
    path: Path, x: np.ndarray, y: np.ndarray | None, loss: Callable[[float, float], float], acc: Callable[[float, float], float]
) -> Path:
    """The original's walk: a mesh of the coordinates, and flat indices into arrays of shape (len(x), len(y))."""
    shape = (len(x),) if y is None else (len(x), len(y))
    losses, accuracies = -np.ones(shape), -np.ones(shape)
    places = [(a, 0.0) for a in x] if y is None else [(a, b) for b in y for a in x]  # meshgrid's ravel: x is fastest
    for flat, place in enumerate(places):
        losses.ravel()[flat] = loss(*place)
        accuracies.ravel()[flat] = acc(*place)
    with h5py.File(path, "w") as file:
        file["dir_file"] = "net_weights_xignore=biasbn_xnorm=filter.h5"
        file["xcoordinates"] = x
        if y is not None:
            file["ycoordinates"] = y
        file["train_loss"], file["train_acc"] = losses, accuracies
    return path


def write_line(path: Path, **arrays: object) -> Path:
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return path


def write_directions(path: Path, x: list[np.ndarray], y: list[np.ndarray] | None = None) -> Path:
    with h5py.File(path, "w") as file:
        for name, arrays in (("xdirection", x), ("ydirection", y)):
            for index, array in enumerate(arrays or []):
                file[f"{name}/{index}"] = array
    return path


# --- what the values mean ---


@pytest.mark.parametrize("descending", [False, True])
def test_tilted_plane_stands_at_its_nodes(tmp_path: Path, descending: bool) -> None:
    x = np.array([-1.0, 0.0, 3.0])[:: -1 if descending else 1]
    y = np.array([0.0, 0.25, 7.0])
    path = write_as_the_original(tmp_path / "s.h5", x, y, lambda a, b: 100 * a + b + 500, lambda a, b: a + 10)
    surface = read_surface(path)
    assert surface.kind == "surface"
    assert [axis.name for axis in surface.axes] == ["x", "y"]
    for i, a in enumerate(x):
        for j, b in enumerate(y):
            assert surface.values["train_loss"][i, j] == 100 * a + b + 500
            assert surface.values["train_accuracy"][i, j] == (a + 10) / 100
    assert surface.complete
    assert list(surface.metrics) == ["train_loss", "train_accuracy"]
    assert surface.attributes["source"] == "imported"
    assert surface.attributes["dir_file"] == "net_weights_xignore=biasbn_xnorm=filter.h5"
    assert {axis.attributes["source"] for axis in surface.axes} == {"file"}


def test_line_has_one_axis(tmp_path: Path) -> None:
    path = write_as_the_original(tmp_path / "s.h5", np.linspace(-1, 1, 5), None, lambda a, b: a * a, lambda a, b: 50.0)
    surface = read_surface(path)
    assert surface.kind == "line"
    assert surface.shape == (5,)
    np.testing.assert_array_equal(surface.values["train_loss"], np.linspace(-1, 1, 5) ** 2)
    np.testing.assert_array_equal(surface.values["train_accuracy"], np.full(5, 0.5))


def test_minus_one_alone_is_missing_in_each_array_apart(tmp_path: Path) -> None:
    loss = np.array([-1.0, np.nan, 0.0, -2.5, np.inf, -np.inf])
    acc = np.array([50.0, -1.0, 0.0, 100.0, np.nan, 25.0])
    surface = read_surface(write_line(tmp_path / "s.h5", xcoordinates=np.arange(6.0), train_loss=loss, train_acc=acc))
    np.testing.assert_array_equal(surface.done["train_loss"], [False, True, True, True, True, True])
    np.testing.assert_array_equal(surface.values["train_loss"], [np.nan, np.nan, 0.0, -2.5, np.inf, -np.inf])
    np.testing.assert_array_equal(surface.done["train_accuracy"], [True, False, True, True, True, True])
    np.testing.assert_array_equal(surface.values["train_accuracy"], [0.5, np.nan, 0.0, 1.0, np.nan, 0.25])
    assert not surface.complete


def test_missing_points_of_a_plane_stay_at_their_place(tmp_path: Path) -> None:
    missing = (2.0, 1.0)
    path = write_as_the_original(
        tmp_path / "s.h5", np.arange(3.0), np.arange(3.0), lambda a, b: -1.0 if (a, b) == missing else 1.0, lambda a, b: 1.0
    )
    np.testing.assert_array_equal(np.argwhere(~read_surface(path).done["train_loss"]), [[2, 1]])


def test_further_metrics_are_kept_and_others_named(tmp_path: Path) -> None:
    path = write_line(
        tmp_path / "s.h5",
        xcoordinates=np.arange(3.0),
        val_margin=np.arange(3),
        test_acc=np.full(3, 80.0),
        test_loss=np.ones(3, dtype=">f4"),
        train_loss=np.zeros(3),
        train_curve=np.zeros(4),  # not the grid's
        min_eig=np.zeros(3),  # no split
        train_names=np.array([b"a", b"b", b"c"]),
    )
    surface = read_surface(path)
    assert list(surface.metrics) == ["train_loss", "test_loss", "test_accuracy", "val_margin"]
    assert surface.attributes["left_out"] == "min_eig, train_curve, train_names"
    np.testing.assert_array_equal(surface.values["val_margin"], [0.0, 1.0, 2.0])
    np.testing.assert_array_equal(surface.values["test_accuracy"], [0.8, 0.8, 0.8])
    assert surface.values["test_loss"].dtype == np.float64


# --- directions ---


def test_directions_come_in_numeric_order_with_their_shapes(tmp_path: Path) -> None:
    arrays = [np.full((index + 1, 2), index, dtype=">f4") for index in range(12)]  # as text, "10" precedes "2"
    found = read_directions(write_directions(tmp_path / "d.h5", [*arrays, np.array(7)]))
    assert found.y is None
    for expected, array in zip([*arrays, np.array(7)], found.x, strict=True):
        assert array.shape == expected.shape
        assert array.dtype.isnative
        np.testing.assert_array_equal(array, expected)


def test_norms_and_cosine_of_known_directions(tmp_path: Path) -> None:
    x = [np.array([3.0, 0.0], dtype="f4"), np.array([[0.0, 4.0]], dtype="f4"), np.array(1000)]  # 3-4-5; the counter stays out
    y = [np.array([1.0, 0.0], dtype="f4"), np.array([[0.0, 0.0]], dtype="f4"), np.array(1000)]
    plane = write_as_the_original(tmp_path / "s.h5", np.arange(2.0), np.arange(2.0), lambda a, b: 1.0, lambda a, b: 1.0)
    surface = read_surface(plane, write_directions(tmp_path / "d.h5", x, y))
    assert [axis.norm for axis in surface.axes] == [5.0, 1.0]
    assert surface.attributes["cosine"] == 0.6
    line = write_line(tmp_path / "l.h5", xcoordinates=np.arange(2.0), train_loss=np.ones(2))
    surface = read_surface(line, tmp_path / "d.h5")  # a line may have been made with the first of two
    assert surface.axes[0].norm == 5.0
    assert "cosine" not in surface.attributes


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([np.ones(2)], None, 'no group "ydirection"'),
        ([np.ones(2)], [np.ones(3)], "shapes differ"),
        ([np.ones(2)], [np.ones(2), np.ones(2)], "shapes differ"),
        ([np.ones(2)], [np.zeros(2)], '"ydirection" is zero altogether'),
        ([np.array([1.0, np.nan])], [np.ones(2)], '"xdirection/0" holds nan or inf'),
    ],
)
def test_directions_that_cannot_belong_to_the_plane(
    tmp_path: Path, x: list[np.ndarray], y: list[np.ndarray] | None, message: str
) -> None:
    plane = write_as_the_original(tmp_path / "s.h5", np.arange(2.0), np.arange(2.0), lambda a, b: 1.0, lambda a, b: 1.0)
    with pytest.raises(InputError, match=message) as caught:
        read_surface(plane, write_directions(tmp_path / "d.h5", x, y))
    assert_one_line(caught.value, tmp_path / "d.h5")


def test_a_gap_in_the_numbering_is_named(tmp_path: Path) -> None:
    path = write_directions(tmp_path / "d.h5", [np.ones(2), np.ones(2), np.ones(2)])
    with h5py.File(path, "r+") as file:
        del file["xdirection/1"]
    with pytest.raises(InputError, match='no dataset "xdirection/1"') as caught:
        read_directions(path)
    assert_one_line(caught.value, path)


# --- hostile and broken files ---


def assert_one_line(error: Exception, path: Path) -> None:
    assert str(path) in str(error)
    assert str(error).isprintable()
    assert len(str(error)) < 600


def make_missing(path: Path) -> None:
    pass


def make_folder(path: Path) -> None:
    path.mkdir()


def make_text(path: Path) -> None:
    path.write_text("loss,accuracy\n")


def make_empty(path: Path) -> None:
    path.write_bytes(b"")


def make_truncated(path: Path) -> None:
    write_line(path, xcoordinates=np.arange(500.0), train_loss=np.ones(500))
    path.write_bytes(path.read_bytes()[:3000])


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_non_square(path: Path) -> None:
    write_as_the_original(path, np.arange(3.0), np.arange(2.0), lambda a, b: a + b, lambda a, b: 1.0)


def make_huge_axis(path: Path) -> None:
    with h5py.File(path, "w") as file:  # a file of 4 kB that claims 8 TB
        file.create_dataset("xcoordinates", shape=(10**12,), dtype="f8", chunks=(1000,))


def make_huge_plane(path: Path) -> None:
    write_line(path, xcoordinates=np.arange(20000.0), ycoordinates=np.arange(20000.0))


def make_huge_loss(path: Path) -> None:
    write_line(path, xcoordinates=np.arange(3.0))
    with h5py.File(path, "r+") as file:
        file.create_dataset("train_loss", shape=(10**6, 10**6), dtype="f8", chunks=(100, 100))


def make_no_metric(path: Path) -> None:
    write_line(path, xcoordinates=np.arange(3.0))


def make_other_shape(path: Path) -> None:
    write_line(path, xcoordinates=np.arange(3.0), train_loss=np.ones((3, 3)))


def make_directions(path: Path) -> None:
    write_directions(path, [np.ones(2)])


def make_own(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["format"] = "landscape-surface"
        file["values/train_loss"] = np.ones(3)


def make_texts(path: Path) -> None:
    write_line(path, xcoordinates=np.arange(3.0))
    with h5py.File(path, "r+") as file:
        file.create_dataset("train_loss", data=["a", "b", "c"], dtype=h5py.string_dtype())


def make_ragged(path: Path) -> None:
    write_line(path, xcoordinates=np.arange(3.0))
    with h5py.File(path, "r+") as file:
        file.create_dataset("train_loss", shape=(3,), dtype=h5py.vlen_dtype(np.float64))


def make_complex(path: Path) -> None:
    write_line(path, xcoordinates=np.arange(3.0), train_loss=np.ones(3, dtype=complex))


def make_group(path: Path) -> None:
    write_line(path, xcoordinates=np.arange(3.0), **{"train_loss/0": np.ones(3)})


def make_null(path: Path) -> None:
    write_line(path, xcoordinates=np.arange(3.0), train_loss=h5py.Empty("f8"))


def make_nan_axis(path: Path) -> None:
    write_line(path, xcoordinates=np.array([0.0, np.nan]), train_loss=np.ones(2))


def make_external_link(path: Path) -> None:
    other = write_line(path.with_name("other.h5"), secret=np.ones(3))
    write_line(path, xcoordinates=np.arange(3.0), train_loss=h5py.ExternalLink(str(other), "/secret"))


def make_soft_link(path: Path) -> None:
    write_line(path, xcoordinates=np.arange(3.0), test_loss=np.ones(3), train_loss=h5py.SoftLink("/test_loss"))


def make_external_storage(path: Path) -> None:
    other = path.with_name("other.bin")
    other.write_bytes(np.ones(3).tobytes())
    write_line(path, xcoordinates=np.arange(3.0))
    with h5py.File(path, "r+") as file:
        file.create_dataset("train_loss", shape=(3,), dtype="f8", external=[(str(other), 0, 24)])


def make_virtual(path: Path) -> None:
    other = write_line(path.with_name("other.h5"), secret=np.ones(3))
    layout = h5py.VirtualLayout(shape=(3,), dtype="f8")
    layout[:] = h5py.VirtualSource(str(other), "secret", shape=(3,))
    write_line(path, xcoordinates=np.arange(3.0))
    with h5py.File(path, "r+") as file:
        file.create_virtual_dataset("train_loss", layout)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (make_missing, "no such file"),
        (make_folder, "not a file"),
        (make_pipe, "not a file"),
        (make_text, "not HDF5, truncated or damaged"),
        (make_empty, "not HDF5, truncated or damaged"),
        (make_truncated, "not HDF5, truncated or damaged"),
        (make_non_square, "3 by 2 points cannot be imported: .* scrambles"),
        (make_huge_axis, '"xcoordinates" has 1000000000000 numbers'),
        (make_huge_plane, "a grid of 400000000 points"),
        (make_huge_loss, '"train_loss" has 1000000000000 numbers'),
        (make_no_metric, 'no dataset "train_loss"'),
        (make_other_shape, r'"train_loss" has shape \(3, 3\)'),
        (make_directions, 'no dataset "xcoordinates".*--directions'),
        (make_own, 'no dataset "xcoordinates".*needs no import'),
        (make_texts, '"train_loss" does not hold plain numbers'),
        (make_ragged, '"train_loss" does not hold plain numbers'),
        (make_complex, '"train_loss" does not hold plain numbers'),
        (make_null, '"train_loss" does not hold plain numbers'),
        (make_group, '"train_loss" is not an array'),
        (make_nan_axis, '"xcoordinates".*finite'),
        (make_external_link, '"train_loss" is a link'),
        (make_soft_link, '"train_loss" is a link'),
        (make_external_storage, '"train_loss" keeps its numbers in other files'),
        (make_virtual, '"train_loss" keeps its numbers in other files'),
    ],
)
def test_unusable_files_are_one_line(tmp_path: Path, make: Callable[[Path], None], message: str) -> None:
    path = tmp_path / "s.h5"
    make(path)
    with pytest.raises(InputError, match=message) as caught:
        read_surface(path)
    assert_one_line(caught.value, path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (make_missing, "no such file"),
        (make_text, "not HDF5, truncated or damaged"),
        (make_no_metric, 'no group "xdirection"'),
        (lambda path: write_line(path, xdirection=np.ones(3)), '"xdirection" is not a group'),
        (lambda path: write_line(path, xdirection=h5py.ExternalLink("o.h5", "/")), '"xdirection" is a link'),
        (lambda path: write_line(path, **{"xdirection/0": h5py.SoftLink("/")}), '"xdirection/0" is a link'),
        (lambda path: write_line(path, **{"xdirection/0": [b"text"]}), '"xdirection/0" does not hold plain numbers'),
    ],
)
def test_unusable_directions_are_one_line(tmp_path: Path, make: Callable[[Path], None], message: str) -> None:
    path = tmp_path / "d.h5"
    make(path)
    with pytest.raises(InputError, match=message) as caught:
        read_directions(path)
    assert_one_line(caught.value, path)


def test_directions_are_counted_before_they_are_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "d.h5", "w") as file:
        for index in range(4):  # each below the limit, together 1.2 terabytes
            file.create_dataset(f"xdirection/{index}", shape=(3 * 10**8,), dtype="f4", chunks=(1000,))
    with pytest.raises(InputError, match="1200000000 numbers in the directions"):
        read_directions(tmp_path / "d.h5")


def test_texts_are_made_printable_and_short(tmp_path: Path) -> None:
    path = write_line(
        tmp_path / "s.h5",
        xcoordinates=np.arange(2.0),
        train_loss=np.ones(2),
        dir_file="a\nb\x1b[31m" + "c" * 100_000,
        **{"evil\n\x1b[2Jname": np.ones(2)},
    )
    surface = read_surface(path)
    assert surface.attributes["dir_file"].startswith("a?b?[31mccc")
    assert len(surface.attributes["dir_file"]) <= 4096
    assert surface.attributes["left_out"] == "evil??[2Jname"


@pytest.mark.parametrize(
    "value", [np.arange(3), h5py.SoftLink("/train_loss"), np.array([b"x", b"y"]), h5py.ExternalLink("o.h5", "/")]
)
def test_an_odd_dir_file_is_no_obstacle(tmp_path: Path, value: object) -> None:
    path = write_line(tmp_path / "s.h5", xcoordinates=np.arange(2.0), train_loss=np.ones(2), dir_file=value)
    assert read_surface(path).attributes["dir_file"] == ""


@pytest.mark.parametrize("byte", [0, 255])
def test_damage_anywhere_never_escapes_as_another_error(tmp_path: Path, byte: int) -> None:
    # Without dir_file: HDF5 itself may loop for ever over a damaged heap of variable-length texts.
    path, grid = tmp_path / "s.h5", np.arange(4.0)
    original = write_line(path, xcoordinates=grid, ycoordinates=grid, train_loss=np.ones((4, 4))).read_bytes()
    damaged = [original[:start] + bytes([byte]) * 32 + original[start + 32 :] for start in range(0, len(original), 32)]
    cut = [original[:stop] for stop in range(0, len(original), 97)]
    refused = 0
    for content in damaged + cut:
        path.write_bytes(content)
        try:
            read_surface(path)
        except InputError as error:
            assert_one_line(error, path)
            refused += 1
    assert refused >= len(cut)  # else the damage never hit anything


# --- what the original has really written ---


@pytest.mark.parametrize("name", ["plane_filter", "line_states", "line_layer_noshort"])
def test_digits_reference(name: str) -> None:
    path = DIGITS / f"{name}.surface.h5"
    surface = read_surface(path, DIGITS / f"{name}.directions.h5")
    with h5py.File(path, "r", locking=False) as file:
        raw = {key: file[key][()] for key in ("train_loss", "train_acc")}
    assert surface.complete
    for index in np.ndindex(surface.shape):
        np.testing.assert_equal(surface.values["train_loss"][index], raw["train_loss"][index[::-1]])
        assert surface.values["train_accuracy"][index] == raw["train_acc"][index[::-1]] / 100
    assert np.isnan(surface.values["train_loss"]).sum() == (name == "line_states")
    with h5py.File(DIGITS / f"{name}.directions.h5", "r", locking=False) as file:
        for axis in surface.axes:
            entries = (float(v) for d in file[f"{axis.name}direction"].values() if d.dtype.kind == "f" for v in d[()].flat)
            # Two orders of summing float64: each within n·eps of the truth, n of about 80,000 squares, halved by the root.
            assert axis.norm == pytest.approx(math.sqrt(math.fsum(v * v for v in entries)), rel=80_000 * 2.3e-16)


def test_the_directions_of_the_digits_plane_are_two() -> None:
    surface = read_surface(DIGITS / "plane_filter.surface.h5", DIGITS / "plane_filter.directions.h5")
    assert 0 < abs(surface.attributes["cosine"]) < 0.1


def list_published() -> list[Path]:
    return sorted(SHARED.glob("reference/*/*surface.h5")) + sorted(PUBLISHED.glob("*.h5"))


@pytest.mark.skipif(not list_published(), reason="the reference surfaces are not beside the checkout (LANDSCAPE_SHARED)")
@pytest.mark.parametrize("path", list_published(), ids=lambda path: path.name)
def test_published_surfaces_read_without_a_warning(path: Path) -> None:
    surface: Surface = read_surface(path)
    with h5py.File(path, "r", locking=False) as file:
        np.testing.assert_array_equal(surface.values["train_loss"], file["train_loss"][()].T)
        np.testing.assert_array_equal(surface.values["train_accuracy"], file["train_acc"][()].T / 100)
        np.testing.assert_array_equal(surface.x, file["xcoordinates"][()])
    assert surface.complete
    assert "left_out" not in surface.attributes
