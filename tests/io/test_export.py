"""What other programs get: read back with csv, numpy and VTK's own reader."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from landscape.core.surface import Axis, Metric, Number, Point, Surface
from landscape.errors import InputError
from landscape.io.export import export
from landscape.io.tomgoldstein import read_surface

pytestmark = pytest.mark.filterwarnings("error")

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("LANDSCAPE_SHARED", ROOT.parent / "shared"))
PUBLISHED = sorted((SHARED / "reference" / "surfaces").glob("*.zmax10.log.vtp"))

LOSS = Metric("train", "loss", "nat")
ACCURACY = Metric("train", "accuracy", "fraction")
AWKWARD = [0.1 + 0.2, 1 / 3, 5e-324, 1.7976931348623157e308, -0.0, 123456789.123456789]  # no short decimal holds these


def plane(x: np.ndarray, y: np.ndarray, loss: np.ndarray, done: np.ndarray | None = None) -> Surface:
    done = np.ones(loss.shape, dtype=bool) if done is None else done
    return Surface(
        "surface",
        (Axis("x", x, {"label": "δ", "norm": 2.5}), Axis("y", y, {"source": "random"})),
        {"train_loss": LOSS, "train_accuracy": ACCURACY},
        {"train_loss": loss, "train_accuracy": np.full(loss.shape, 0.25)},
        {"train_loss": done, "train_accuracy": np.ones(loss.shape, dtype=bool)},
        stderr={"train_loss": np.arange(loss.size, dtype=np.float64).reshape(loss.shape) / 7},
        examples={"train": np.arange(loss.size).reshape(loss.shape) + 2**53 + 1},  # int64 that float64 would round
        seconds=np.full(loss.shape, 0.1),
        attributes={"problem": "two\nlines\u2028three", "cosine": np.float64(0.01), "tolerance": float("nan")},
        numbers={"basin radius": Number(0.5, "direction units", "≥")},
        points=(Point("origin", (0.0, 0.0), {"train_loss": 0.5}),),
        runs=({"command": "landscape surface"},),
    )


def tilted(x: np.ndarray, y: np.ndarray) -> Surface:
    return plane(x, y, 100 * x[:, None] + y[None, :])


def line(*losses: list[float], done: list[bool] | None = None) -> Surface:
    """A line of one draw, or of several with the seeds 11, 12, ..."""
    values = np.array(losses, dtype=np.float64).T
    axes = [Axis("x", np.linspace(0, 1, len(values)))]
    if len(losses) == 1:
        values = values[:, 0]
    else:
        axes.append(Axis("seed", np.arange(len(losses)) + 11.0))
    mask = np.ones(values.shape, dtype=bool) if done is None else np.array(done)
    return Surface("line", tuple(axes), {"train_loss": LOSS}, {"train_loss": values}, {"train_loss": mask})


def read_csv(path: Path) -> tuple[list[str], dict[str, list[str]]]:
    text = path.read_bytes().decode("utf-8")
    assert "\r" not in text
    rows = text.split("\n")[:-1]
    comments = [row for row in rows if row.startswith("#")]
    assert rows[: len(comments)] == comments  # they lead
    table = list(csv.reader(rows[len(comments) :]))
    return comments, {name: [row[i] for row in table[1:]] for i, name in enumerate(table[0])}


# --- .csv and .npz ---


def test_csv_reads_back_exactly(tmp_path: Path) -> None:
    surface = plane(np.array([-1.0, 0.1, 1 / 3]), np.array([2.0, 1.0]), np.array(AWKWARD).reshape(3, 2))
    comments, columns = read_csv(export(surface, tmp_path / "s.csv"))
    assert list(columns) == [
        *("x", "y", "train_loss", "train_loss_stderr", "train_loss_done", "train_accuracy", "train_accuracy_done"),
        *("train_examples", "seconds"),
    ]
    places = [(i, j) for i in range(3) for j in range(2)]
    assert [float(v) for v in columns["x"]] == [surface.x[i] for i, _ in places]
    assert [float(v) for v in columns["y"]] == [surface.y[j] for _, j in places]
    for row, place in enumerate(places):
        assert float(columns["train_loss"][row]).hex() == float(surface.values["train_loss"][place]).hex()
        assert float(columns["train_loss_stderr"][row]) == surface.stderr["train_loss"][place]
        assert int(columns["train_examples"][row]) == surface.examples["train"][place]
    description = {key: json.loads(value) for key, value in (comment[2:].split(": ", 1) for comment in comments)}
    assert description["kind"] == "surface"
    assert description["problem"] == "two\nlines\u2028three"
    assert description["cosine"] == 0.01
    assert description["tolerance"] == "nan"
    assert description["axes"]["x"] == {"label": "δ", "norm": 2.5}
    assert description["metrics"]["train_loss"] == {"split": "train", "metric": "loss", "unit": "nat"}
    assert description["numbers"] == {"basin radius": "≥ 0.5 direction units"}
    assert description["points"] == [{"name": "origin", "coordinates": [0.0, 0.0], "values": {"train_loss": 0.5}}]
    assert description["runs"] == [{"command": "landscape surface"}]


def test_csv_keeps_what_is_not_finite_and_what_is_not_done(tmp_path: Path) -> None:
    surface = line([np.nan, np.inf, -np.inf, 0.0, -2.0, np.nan], done=[True] * 5 + [False])
    _, columns = read_csv(export(surface, tmp_path / "s.csv"))
    assert columns["train_loss"] == ["nan", "inf", "-inf", "0.0", "-2.0", "nan"]
    assert columns["train_loss_done"] == ["1", "1", "1", "1", "1", "0"]
    assert list(columns) == ["x", "train_loss", "train_loss_done"]


def test_no_attribute_can_break_out_of_its_comment(tmp_path: Path) -> None:
    surface = line([1.0, 2.0])
    evil = "a\r\nb\x85c\x0bd\u2029=1+1"
    surface = Surface(surface.kind, surface.axes, surface.metrics, surface.values, surface.done, attributes={evil: evil})
    comments, columns = read_csv(export(surface, tmp_path / "s.csv"))
    assert columns["train_loss"] == ["1.0", "2.0"]
    assert all(len(comment.splitlines()) == 1 for comment in comments)


def test_npz_reads_back_without_pickle(tmp_path: Path) -> None:
    surface = plane(np.array([-1.0, 0.1, 1 / 3]), np.array([2.0, 1.0]), np.array(AWKWARD).reshape(3, 2))
    with np.load(export(surface, tmp_path / "s.npz"), allow_pickle=False) as file:
        np.testing.assert_array_equal(file["x"], surface.x)
        np.testing.assert_array_equal(file["y"], surface.y)
        np.testing.assert_array_equal(file["values/train_loss"], surface.values["train_loss"])
        np.testing.assert_array_equal(file["values/train_loss_stderr"], surface.stderr["train_loss"])
        np.testing.assert_array_equal(file["done/train_loss"], surface.done["train_loss"])
        np.testing.assert_array_equal(file["examples/train"], surface.examples["train"])
        np.testing.assert_array_equal(file["seconds"], surface.seconds)
        assert file["done/train_loss"].dtype == bool
        assert file["examples/train"].dtype == np.int64
        assert json.loads(str(file["attributes"]))["problem"] == "two\nlines\u2028three"


def test_several_draws_have_the_axis_seed(tmp_path: Path) -> None:
    surface = line([1.0, 2.0, 3.0], [4.0, 5.0, 6.0])
    _, columns = read_csv(export(surface, tmp_path / "s.csv"))
    assert columns["seed"] == ["11.0", "12.0"] * 3
    assert columns["train_loss"] == ["1.0", "4.0", "2.0", "5.0", "3.0", "6.0"]
    with np.load(export(surface, tmp_path / "s.npz"), allow_pickle=False) as file:
        np.testing.assert_array_equal(file["seed"], [11.0, 12.0])


# --- .vtp ---


def read_vtp(path: Path) -> Any:
    io = pytest.importorskip("vtkmodules.vtkIOXML", reason="the vtk package is not installed")
    reader = io.vtkXMLPolyDataReader()
    reader.SetFileName(str(path))
    reader.Update()
    assert reader.GetErrorCode() == 0
    return reader.GetOutput()


def points_of(data: Any) -> np.ndarray:
    return np.array([data.GetPoint(i) for i in range(data.GetNumberOfPoints())])


def array_of(data: Any, name: str) -> np.ndarray:
    array = data.GetPointData().GetArray(name)
    return np.array([array.GetTuple1(i) for i in range(array.GetNumberOfTuples())])


def cells_of(data: Any, kind: str) -> list[list[int]]:
    """The point indices of the cells of one VTK class, such as vtkQuad."""
    cells = (data.GetCell(i) for i in range(data.GetNumberOfCells()))
    return [[cell.GetPointId(k) for k in range(cell.GetNumberOfPoints())] for cell in cells if cell.GetClassName() == kind]


vtk_only = pytest.mark.skipif(importlib.util.find_spec("vtkmodules") is None, reason="the vtk package is not installed")


@vtk_only
@pytest.mark.parametrize("x", [[-1.0, 0.0, 3.0], [3.0, 0.0, -1.0]])
@pytest.mark.parametrize("y", [[0.0, 7.0], [7.0, 0.0]])
def test_vtp_tilted_plane(tmp_path: Path, x: list[float], y: list[float]) -> None:
    data = read_vtp(export(tilted(np.array(x), np.array(y)), tmp_path / "s.vtp"))
    points = points_of(data)
    assert sorted(map(tuple, points[:, :2])) == sorted((a, b) for a in x for b in y)
    np.testing.assert_array_equal(points[:, 2], 100 * points[:, 0] + points[:, 1])  # exact: float64 all the way
    np.testing.assert_array_equal(array_of(data, "train_loss"), points[:, 2])
    np.testing.assert_array_equal(array_of(data, "train_accuracy"), np.full(6, 0.25))
    assert array_of(data, "train_loss_stderr").shape == (6,)
    assert data.GetPointData().GetScalars().GetName() == "train_loss"
    quads = cells_of(data, "vtkQuad")
    assert len(quads) == 2
    for quad in quads:  # the shoelace formula: counter-clockwise, and of the cell's own area
        a, b = points[quad, 0], points[quad, 1]
        area = 0.5 * float(np.sum(a * np.roll(b, -1) - b * np.roll(a, -1)))
        assert area == (max(a) - min(a)) * (max(b) - min(b)) > 0
    assert json.loads(data.GetFieldData().GetAbstractArray("landscape").GetValue(0))["kind"] == "surface"


@vtk_only
@pytest.mark.parametrize("hole", ["nan", "inf", "-inf", "undone"])
def test_vtp_leaves_out_what_was_not_measured(tmp_path: Path, hole: str) -> None:
    x, y = np.arange(4.0), np.arange(3.0)
    loss = 100 * x[:, None] + y[None, :]
    done = np.ones(loss.shape, dtype=bool)
    if hole == "undone":
        done[1, 1] = False
    else:
        loss[1, 1] = float(hole)
    data = read_vtp(export(plane(x, y, loss, done), tmp_path / "s.vtp", clip=150.0))
    points = points_of(data)
    assert len(points) == 11
    assert (1.0, 1.0) not in {(a, b) for a, b, _ in points}
    quads = cells_of(data, "vtkQuad")
    assert sorted(tuple(points[quad, :2].min(axis=0)) for quad in quads) == [(2.0, 0.0), (2.0, 1.0)]  # of 6, 4 touch the hole
    np.testing.assert_array_equal(points[:, 2], np.minimum(array_of(data, "train_loss"), 150.0))
    np.testing.assert_array_equal(array_of(data, "train_loss"), 100 * points[:, 0] + points[:, 1])  # as measured
    # Three corners of the left part have lost every cell; they stay visible as vertices, and no other point is one.
    touched = {index for quad in quads for index in quad}
    assert {cell[0] for cell in cells_of(data, "vtkVertex")} == set(range(11)) - touched


@vtk_only
def test_vtp_logarithm_has_no_height_at_or_below_zero(tmp_path: Path) -> None:
    data = read_vtp(export(line([10.0, 1.0, 0.0, -3.0, 1e-2, 1e300]), tmp_path / "s.vtp", log=True, clip=1e3))
    points = points_of(data)
    np.testing.assert_array_equal(points[:, 0], [0.0, 0.2, 0.8, 1.0])
    np.testing.assert_allclose(points[:, 2], [1.0, 0.0, -2.0, 3.0], rtol=0, atol=4 * 2.2e-16)  # decades, rounded once each
    np.testing.assert_array_equal(array_of(data, "train_loss"), [10.0, 1.0, 1e-2, 1e300])


@vtk_only
def test_vtp_and_relief_mean_the_same_by_a_logarithm(tmp_path: Path) -> None:
    from landscape.plotting import relief

    surface = tilted(np.array([0.0, 0.5, 2.0]), np.array([1.0, 3.0]))
    heights = points_of(read_vtp(export(surface, tmp_path / "s.vtp", log=True)))[:, 2]
    figure = relief(surface, log=True)
    low, high = figure.axes[0].get_zlim()
    np.testing.assert_allclose(heights.min(), np.log10(surface.values["train_loss"].min()), rtol=1e-15)
    assert (
        low - 0.1 * (high - low) <= heights.min() < heights.max() <= high + 0.1 * (high - low)
    )  # natural ones are 2.3 times as far apart


@vtk_only
def test_vtp_lines_break_where_a_value_is_missing(tmp_path: Path) -> None:
    nan = float("nan")
    data = read_vtp(export(line([1.0, 2.0, nan, 4.0, nan, 6.0, 7.0, 8.0]), tmp_path / "s.vtp"))
    points = points_of(data)
    np.testing.assert_array_equal(points[:, 1], np.zeros(6))
    np.testing.assert_array_equal(points[:, 2], [1, 2, 4, 6, 7, 8])
    runs = [[float(points[i, 2]) for i in cell] for kind in ("vtkLine", "vtkPolyLine") for cell in cells_of(data, kind)]
    assert sorted(runs) == [[1.0, 2.0], [6.0, 7.0, 8.0]]
    assert [points[cell[0], 2] for cell in cells_of(data, "vtkVertex")] == [4.0]


@vtk_only
def test_vtp_draws_are_lines_of_their_own(tmp_path: Path) -> None:
    data = read_vtp(export(line([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]), tmp_path / "s.vtp"))
    points, seeds = points_of(data), array_of(data, "seed")
    runs = cells_of(data, "vtkPolyLine")
    assert [[float(points[i, 2]) for i in run] for run in runs] == [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    assert [sorted({float(seeds[i]) for i in run}) for run in runs] == [[11.0], [12.0]]
    np.testing.assert_array_equal(points[:, 1], np.zeros(6))


@vtk_only
@pytest.mark.parametrize("shape", [(1, 1), (3, 1), (1, 3)])
def test_vtp_of_a_one_point_axis_has_vertices(tmp_path: Path, shape: tuple[int, int]) -> None:
    data = read_vtp(export(tilted(np.arange(shape[0] * 1.0), np.arange(shape[1] * 1.0)), tmp_path / "s.vtp"))
    assert len(cells_of(data, "vtkVertex")) == data.GetNumberOfPoints() == shape[0] * shape[1]


@vtk_only
@pytest.mark.skipif(not PUBLISHED, reason="the published .vtp files are not beside the checkout (LANDSCAPE_SHARED)")
@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.name)
def test_vtp_agrees_with_the_published_one(tmp_path: Path, path: Path) -> None:
    """Theirs was clipped at 10 and drawn at ln(loss + 0.1); ours is log10(loss): each decade is ln 10, and the 0.1 is added before comparing."""
    source = path.with_name(path.name.replace(".zmax10.log.vtp", ".h5"))
    ours = read_vtp(export(read_surface(source), tmp_path / "s.vtp", clip=10.0, log=True))
    theirs = read_vtp(path)
    points, reference = points_of(ours), points_of(theirs)
    drawn = np.isfinite(reference[:, 2])
    assert len(reference) == 961
    assert len(points) == drawn.sum()  # both have the same order of points; the not finite ones are no points of ours
    # Theirs is float32: half an ulp of 2.3 is 1.2e-7, and of a coordinate of 50 it is 1.9e-6.
    np.testing.assert_allclose(points[:, :2], reference[drawn, :2], rtol=0, atol=2e-6)
    np.testing.assert_allclose(np.log(np.exp(points[:, 2] * np.log(10)) + 0.1), reference[drawn, 2], rtol=0, atol=1.3e-7)

    def cells(data: Any, where: np.ndarray) -> set[frozenset[tuple[float, float]]]:
        corners = (
            frozenset((round(float(where[i, 0]), 4), round(float(where[i, 1]), 4)) for i in quad)
            for quad in cells_of(data, "vtkQuad")
        )
        return set(corners)

    finite = {(round(float(a), 4), round(float(b), 4)) for a, b, _ in reference[drawn]}
    assert cells(ours, points) == {cell for cell in cells(theirs, reference) if cell <= finite}


# --- refusals ---


def test_no_extension_but_three(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'"\.vtk".*\.csv, \.npz.* \.vtp'):
        export(line([1.0]), tmp_path / "s.vtk")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["s.csv", "s.npz", "s.VTP"])
def test_an_existing_file_is_kept_unless_told(tmp_path: Path, name: str) -> None:
    pytest.importorskip("vtkmodules")
    path = tmp_path / name
    path.write_text("mine")
    with pytest.raises(InputError, match="--overwrite"):
        export(line([1.0, 2.0]), path)
    assert path.read_text() == "mine"
    assert export(line([1.0, 2.0]), path, overwrite=True) == path
    assert path.read_bytes() != b"mine"
    assert list(tmp_path.iterdir()) == [path]  # no temporary file is left


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s.csv"
    path.write_text("mine")

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(InputError, match="disk is full"):
        export(line([1.0, 2.0]), path, overwrite=True)
    assert path.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_missing_or_closed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        export(line([1.0]), tmp_path / "no" / "s.csv")
    (tmp_path / "s.csv").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        export(line([1.0]), tmp_path / "s.csv")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_not_writable(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="not writable"):
        export(line([1.0]), tmp_path / "s.csv")


@pytest.mark.parametrize("options", [{"clip": 1.0}, {"log": True}])
def test_heights_are_of_meshes_only(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="as measured"):
        export(line([1.0]), tmp_path / "s.csv", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clip": float("nan")}, "finite"),
        ({"clip": -1.0, "log": True}, "above 0"),
        ({"log": True}, "no finite value above zero"),
    ],
)
def test_a_mesh_without_height_is_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        export(line([0.0, float("nan"), -1.0]), tmp_path / "s.vtp", **options)
    assert not list(tmp_path.iterdir())


def test_without_vtk_the_fix_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(InputError, match=r"pip install 'torch-landscape\[vtk\]'"):
        export(line([1.0, 2.0]), tmp_path / "s.vtp")
    assert not list(tmp_path.iterdir())
