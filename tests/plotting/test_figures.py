from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from landscape.core.surface import Surface
from landscape.errors import InputError
from landscape.plotting import figure, filled, relief, save

# What other tests of this process left to the collector is no warning of a figure.
pytestmark = pytest.mark.filterwarnings("error", "ignore::pytest.PytestUnraisableExceptionWarning")
Make = Callable[..., Surface]
X = np.linspace(-1, 1, 5)


def bowl(plane: Make, **rest: object) -> Surface:
    return plane(X, X, lambda x, y: 1 + x * x + y * y, **rest)


def kind_of(drawn: Figure) -> str:
    axes = drawn.axes[0]
    if axes.name == "3d":
        return "relief"
    names = {type(artist).__name__ for artist in axes.get_children()}
    filled = any(getattr(artist, "filled", False) for artist in axes.get_children())
    return "heatmap" if "QuadMesh" in names else "filled" if filled else "contour" if "QuadContourSet" in names else "curve"


def test_each_kind_by_its_name(plane: Make, line: Make) -> None:
    for kind in ("contour", "filled", "heatmap", "relief"):
        assert kind_of(figure(bowl(plane), kind=kind)) == kind
    assert kind_of(figure(line(X, train_loss=X**2), kind="curve")) == "curve"


def test_the_kind_that_fits_is_chosen(plane: Make, line: Make) -> None:
    assert kind_of(figure(line(X, train_loss=X**2))) == "curve"
    assert kind_of(figure([bowl(plane), bowl(plane)])) == "filled"
    assert kind_of(figure(plane([0.0], X, lambda x, y: 1 + x + y))) == "heatmap"
    half = np.ones((5, 5), bool)
    half[3:] = False
    assert kind_of(figure(bowl(plane, done=half))) == "heatmap"  # no grid of the whole is complete
    coarse = np.zeros((5, 5), bool)
    coarse[::2, ::2] = True
    assert kind_of(figure(bowl(plane, done=coarse))) == "filled"
    assert kind_of(figure([bowl(plane, done=coarse), bowl(plane, done=half)])) == "heatmap"


@pytest.mark.parametrize(
    ("kind", "words"),
    [("releif", 'unknown kind of figure "releif": did you mean "relief"'), ("curve", "is a plane, this figure shows lines"),
     (None, "not both: bowl is a plane, slice is a line")],
)  # fmt: skip
def test_what_does_not_fit_is_refused(plane: Make, line: Make, kind: str | None, words: str) -> None:
    with pytest.raises(InputError, match=words):
        figure([bowl(plane, name="bowl")] + ([line(X, "slice", train_loss=X)] if kind is None else []), kind=kind)


def test_no_surface_and_wrong_names_are_refused(plane: Make) -> None:
    for kind in (None, "heatmap", "curve"):
        with pytest.raises(InputError, match="no surface to draw"):
            figure([], kind=kind)
    with pytest.raises(InputError, match="2 names for 1 surfaces"):
        figure(bowl(plane), names=["a", "b"])


def test_names_are_given_or_the_problems_and_told_apart(plane: Make) -> None:
    several = [bowl(plane, name="digits"), bowl(plane, name="digits"), bowl(plane, name="cifar")]
    titles = [axes.get_title() for axes in figure(several).axes[:3]]
    assert titles == ["digits (1)", "digits (2)", "cifar"]
    assert [axes.get_title() for axes in figure(several, names=list("abc")).axes[:3]] == ["a", "b", "c"]


def test_the_notes_say_what_was_measured_on_what(plane: Make) -> None:
    error = np.full((5, 5), 0.031)
    error[0, 0] = 7.0
    loss = 1 + np.add.outer(X * X, X * X)
    loss[0, 0] = 50.0
    part = plane(
        X, X, loss, name="part", data={"train": {"size": 50000, "used": 1000, "order": "first"}}, stderr={"train_loss": error}
    )
    counts = np.full((5, 5), 128)
    counts[2, 2] = 4096
    adaptive = bowl(plane, name="adaptive", attributes={"tolerance": 0.01}, data={"train": {"size": 50000, "used": 50000}},
                    examples={"train": counts})  # fmt: skip
    note = figure([part, adaptive], clip=10.0).get_supxlabel()
    assert "part: measured on 1,000 of 50,000 train examples (first)" in note
    note = re.sub(r"[ \n]+", " ", note)
    assert (
        "part: standard error up to 3.1\u00a0% of the value of what is not cut off (train loss)" in note
    )  # 0.031 of 1, not 7 of 50
    assert (
        "adaptive: each point measured until its loss had a standard error of 1\u00a0%, on 128 to 4,096 of 50,000 train examples"
        in note
    )
    counts = {"train": np.full((5, 5), 600)}
    whole = bowl(plane, data={"train": {"size": 600, "used": 600}}, stderr={"train_loss": 0 * error}, examples=counts)
    assert figure(whole).get_supxlabel() == "exact on this split (train loss)"


@pytest.mark.parametrize("kind", ["heatmap", "curve"])
def test_surfaces_with_other_policies_of_batch_norm_are_warned_of(plane: Make, line: Make, kind: str) -> None:
    def drawn(**attributes: dict[str, object]) -> Figure:
        surfaces = [
            line(X, name, train_loss=1 + X**2, attributes=own) if kind == "curve" else bowl(plane, name=name, attributes=own)
            for name, own in attributes.items()
        ]
        return figure(surfaces, kind=kind)

    frozen, moved, none = (
        {"bn": "frozen", "bn_layers": 3},
        {"bn": "interpolated", "bn_layers": 3},
        {"bn": "interpolated", "bn_layers": 0},
    )
    told = drawn(a=frozen, b=moved, c=frozen, d=none, e={})
    note = "running statistics differ, compare with care: frozen in a, c; interpolated in b"
    assert note in re.sub(r"[ \n]+", " ", told.get_supxlabel())
    assert note in told.caption
    of_0_1_0 = drawn(a={"bn": "frozen"}, b=moved)  # it did not store whether a model keeps any
    assert "running statistics, where there are any, differ, compare with care: frozen in a; interpolated in b" in of_0_1_0.caption
    for alike in (drawn(a=frozen, b=frozen), drawn(a=frozen, d=none), drawn(a=moved), drawn(a=frozen, e={})):
        assert "running statistics" not in alike.caption


@pytest.mark.parametrize("kind", ["heatmap", "filled", "relief"])
def test_the_notes_say_how_far_values_may_be_from_the_exact_ones(plane: Make, kind: str) -> None:
    """The standard error as a share of the value, largest where the value is smallest; and what the audit found."""
    loss = 1 + np.add.outer(X * X, X * X)
    data, examples = {"train": {"size": 50000, "used": 50000, "order": "all"}}, {"train": np.full((5, 5), 50000)}
    how = {"data": data, "examples": examples}
    tolerant = bowl(plane, name="tolerant", attributes={"tolerance": 0.02}, stderr={"train_loss": 0.01 * np.sqrt(loss)}, **how)
    reduced_precision = bowl(
        plane, name="lossy", attributes={"precision": "bf16"}, checks={"audit_points": 17, "audit_relative": 0.00131}, **how
    )
    note = re.sub(r"[ \n]+", " ", figure([tolerant, reduced_precision], kind=kind).get_supxlabel())
    assert (
        "tolerant: each point measured until its loss had a standard error of 2\u00a0%, on 50,000 of 50,000 train examples" in note
    )
    assert "tolerant: standard error up to 1\u00a0% of the value (train loss)" in note  # 0.01 / √loss, at the loss of 1
    assert "lossy: measured on 50,000 of 50,000 train examples" in note
    assert "lossy: computed in bf16; at 17 points computed in fp32 too, values are at most 0.13\u00a0% apart" in note
    few = bowl(plane, attributes={"tolerance": 0.02}, data={"train": {"size": 50000, "used": 500}},
               examples={"train": np.full((5, 5), 500)})  # fmt: skip
    ended = "standard error of 2\u00a0% or the 500 chosen examples ended, on 500 of 50,000 train examples"
    assert ended in re.sub(r"[ \n]+", " ", figure(few).get_supxlabel())
    assert "not audited" in figure(bowl(plane, attributes={"precision": "tf32"})).get_supxlabel()
    exact = bowl(plane, attributes={"precision": "fp32", "tolerance": 0.0}, checks={"audit_points": 0}, **how)
    assert figure(exact, kind="heatmap").get_supxlabel() == ""


def test_a_note_that_holds_for_all_is_said_once(plane: Make) -> None:
    data = {"train": {"size": 600, "used": 60, "order": "first"}}
    assert (
        figure([bowl(plane, name=name, data=data) for name in "ab"]).get_supxlabel()
        == "measured on 60 of 600 train examples (first)"
    )


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml"), (".PNG", b"\x89PNG")])
def test_figures_are_saved_by_extension_the_same_each_time(plane: Make, tmp_path: Path, suffix: str, start: bytes) -> None:
    contents = []
    for _ in range(2):
        path = save(filled([bowl(plane), bowl(plane)], clip=2.0), tmp_path / f"picture{suffix}")
        contents.append(path.read_bytes())
    assert contents[0].startswith(start)
    assert contents[0] == contents[1]
    assert [entry.name for entry in tmp_path.iterdir()] == [f"picture{suffix}"]


def test_a_panel_is_a_column_wide_and_sharp(plane: Make, tmp_path: Path) -> None:
    from PIL import Image

    drawn = filled([bowl(plane), bowl(plane)])
    assert drawn.get_figwidth() == pytest.approx(2 * 3.3)
    with Image.open(save(drawn, tmp_path / "pair.png")) as picture:
        assert picture.width == round(2 * 3.3 * 300)
    sizes = [text.get_fontsize() for axes in drawn.axes for text in (axes.title, axes.xaxis.label, *axes.get_xticklabels())]
    assert min(sizes) >= 7
    assert max(sizes) <= 9


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("picture.jpg", 'unknown extension ".jpg"'),
        ("missing/picture.png", "does not exist"),
        ("picture", "unknown extension"),
        ("folder.svg", "is a folder"),
    ],
)
def test_what_cannot_be_saved_is_said_in_one_line(plane: Make, tmp_path: Path, where: str, words: str) -> None:
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(InputError, match=words) as error:
        save(filled(bowl(plane)), tmp_path / where)
    assert "\n" not in str(error.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder.svg"]


def test_a_failed_save_leaves_the_old_figure(plane: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(b"old")
    drawn = filled(bowl(plane))

    def fail(target: Path, **_: object) -> None:
        Path(target).write_bytes(b"half")
        raise RuntimeError

    monkeypatch.setattr(drawn, "savefig", fail)
    with pytest.raises(RuntimeError):
        save(drawn, path)
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_the_readers_own_settings_change_nothing(plane: Make) -> None:
    def picture() -> bytes:
        buffer = io.BytesIO()
        figure(bowl(plane), clip=2.0).savefig(buffer, format="png", dpi=60)
        return buffer.getvalue()

    plain = picture()
    with matplotlib.rc_context(
        {"font.size": 20, "hatch.linewidth": 5, "image.cmap": "jet", "axes.facecolor": "black", "axes.grid": True}
    ):
        assert picture() == plain


def test_a_figure_shows_in_a_notebook(plane: Make) -> None:
    assert relief(bowl(plane))._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]


def test_no_global_figure_and_no_plotly_until_asked() -> None:
    program = (
        "import sys, landscape.plotting as p\n"
        "assert not {'matplotlib.pyplot', 'plotly'} & set(sys.modules), sorted(sys.modules)\n"
        "assert callable(p.relief)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
