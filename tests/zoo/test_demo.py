"""The demo at a tiny size: what it writes, what it says, and what a second run makes of the first."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from viewer.surfaces import unpacked

from landscape import io
from landscape.errors import InputError
from landscape.zoo import data, demo
from landscape.zoo.demo import DemoResult, Settings, drawing
from landscape.zoo.problems import problem

TINY = Settings(depth=8, epochs=2, n_examples=30, path=(0, 1, 6), ray=(-1, 1, 5), n_draws=3, plane=(-1, 1, 5))
SURFACES = [f"{net}_{sweep}.h5" for net in ("short", "noshort") for sweep in ("path", "rays", "plane")]
FIGURES = ["path.png", "rays.png", "contours.png", "relief.png"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[DemoResult, dict[str, Figure]]:
    """The demo, once for all tests, and the figures as they were saved."""
    figures: dict[str, Figure] = {}
    save = drawing.plotting.save

    def remember(figure: Figure, path: Path) -> Path:
        figures[path.stem] = figure
        return save(figure, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing.plotting, "save", remember)
        result = demo.run(tmp_path_factory.mktemp("demo") / "new" / "folder", seed=3, quiet=True, settings=TINY)
    return result, figures


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves the pictures out where a test is about the rest."""
    monkeypatch.setattr(demo, "draw", lambda nets, out, quiet: ({}, out / "index.html"))


def weights_in(path: Path) -> dict[str, torch.Tensor]:
    return dict(torch.load(path, weights_only=True)["state_dict"])


def test_every_file_is_there_and_whole(made: tuple[DemoResult, dict[str, Figure]]) -> None:
    result, _ = made
    out = result.out
    assert result.passed
    assert sorted(path.name for path in out.iterdir()) == sorted([*SURFACES, *FIGURES, "index.html", "short", "noshort"])
    assert [figure.name for figure in result.figures.values()] == FIGURES
    assert all(figure.read_bytes().startswith(b"\x89PNG") for figure in result.figures.values())
    for net in result.nets:
        for (name, file), surface in zip(net.files.items(), net.surfaces, strict=True):
            found = io.read(file)
            assert found.complete
            assert found.checks["passed"] == 1
            assert found.kind == ("surface" if name == "plane" else "line")
            assert found.data["train"]["used"] == TINY.n_examples
            assert all(np.array_equal(values, found.values[key], equal_nan=True) for key, values in surface.values.items())
            assert found.runs[0]["command"] == f"landscape demo --out {out} --seed 3"


def test_both_networks_get_the_same_treatment(made: tuple[DemoResult, dict[str, Figure]]) -> None:
    (first, second), sweeps = made[0].nets, zip(*(net.surfaces for net in made[0].nets), strict=True)
    recipes = [torch.load(net.training.end, weights_only=True)["recipe"] for net in (first, second)]
    assert recipes[0] == recipes[1]
    assert recipes[0]["epochs"] == TINY.epochs
    assert [net.net.problem for net in (first, second)] == ["digits-resnet8", "digits-resnet8-noshort"]
    for one, other in sweeps:
        assert one.data == other.data  # the same examples, by their digest
        for mine, theirs in zip(one.axes, other.axes, strict=True):
            assert np.array_equal(mine.values, theirs.values)
            assert all(mine.attributes.get(name) == theirs.attributes.get(name) for name in ("source", "seed", "normalize"))
    assert [axis.attributes["seed"] for axis in first.plane.axes] == [3, 3]
    assert first.plane.axes[0].attributes["normalize"] == "filter"
    assert first.rays.axes[1].values.tolist() == [3, 4, 5]
    assert first.path.axes[0].attributes["source"] == "difference"


def test_a_ray_is_the_middle_row_of_the_plane(made: tuple[DemoResult, dict[str, Figure]]) -> None:
    """Two sweeps of one seed meet where the plane's y is 0, on the same examples: equal up to float32's rounding, 1e-7 a sum."""
    for net in made[0].nets:
        ray, row = net.rays.values["train_loss"][:, 0], net.plane.values["train_loss"][:, 2]
        assert ray == pytest.approx(row, rel=1e-5)


def test_accuracies_are_those_of_the_checkpoints(made: tuple[DemoResult, dict[str, Figure]]) -> None:
    images, labels = data.digits()["test"]
    for net in made[0].nets:
        model = problem(net.net.problem).model
        model.load_state_dict(weights_in(net.training.end))
        with torch.no_grad():
            share = float((model.eval()(images).argmax(1) == labels).double().mean())
        assert net.training.test_accuracy == pytest.approx(share, abs=1e-12)
        assert f"{100 * share:.1f} %" in net.title
        assert f"{100 * share:.1f} %" in made[0].describe()


def test_each_figure_has_both_networks_on_one_scale(made: tuple[DemoResult, dict[str, Figure]]) -> None:
    result, figures = made
    titles = [net.title for net in result.nets]
    losses = np.concatenate([net.plane.values["train_loss"].ravel() for net in result.nets])
    left, right = figures["contours"].axes[:2]
    assert [left.get_title(), right.get_title()] == titles
    norms = [axes.collections[0].norm for axes in (left, right)]
    assert (norms[0].vmin, norms[0].vmax) == (norms[1].vmin, norms[1].vmax)
    bar = next(axes for axes in figures["contours"].axes if axes not in (left, right))
    assert bar.get_ylim() == pytest.approx((losses.min(), losses.max()))  # nothing is clipped
    assert bar.get_yscale() == LogNorm.__name__.removesuffix("Norm").lower()
    left, right = (axes for axes in figures["relief"].axes if hasattr(axes, "get_zlim"))
    assert [left.get_title(), right.get_title()] == titles
    assert left.get_zlim() == right.get_zlim()
    assert left.get_zlim()[1] == pytest.approx(np.log10(losses.max()))
    assert (left.elev, left.azim) == (right.elev, right.azim)
    for name in ("path", "rays"):
        loss_axes = figures[name].axes[0]
        legend = " ".join(text.get_text() for text in figures[name].legends[0].get_texts())
        assert all(title in legend for title in titles)
        assert loss_axes.get_yscale() == ("log" if name == "rays" else "linear")


def test_the_page_holds_both_planes_as_measured(made: tuple[DemoResult, dict[str, Figure]]) -> None:
    result, _ = made
    text = result.page.read_text("utf-8")
    match = re.search(r"<script[^>]*application/json[^>]*>(.*?)</script>", text, re.DOTALL)
    assert match
    shown = unpacked(json.loads(match[1]))
    assert [plane["name"] for plane in shown["planes"]] == [net.title for net in result.nets]
    assert len(shown["lines"]) == 2
    for plane, net in zip(shown["planes"], result.nets, strict=True):
        assert np.array_equal(np.array(plane["values"]["train_loss"]).T, net.plane.values["train_loss"])


def test_the_text_and_the_table_for_machines_agree(made: tuple[DemoResult, dict[str, Figure]]) -> None:
    result, _ = made
    facts = json.loads(json.dumps(result.tabulate(), allow_nan=False))
    lines = result.describe().splitlines()
    assert facts["passed"] is True
    for name, net in zip(("short", "noshort"), result.nets, strict=True):
        assert facts["nets"][name]["training"]["test_accuracy"] == net.training.test_accuracy
        for sweep, surface in zip(("path", "rays", "plane"), net.surfaces, strict=True):
            numbers = facts["nets"][name][sweep]["numbers"]
            known = {k: "nan" if n.withheld else n.value for k, n in surface.numbers.items()}
            assert {key: number["value"] for key, number in numbers.items()} == known
    for heading, sweep, row, number in (
        ("from initialization to solution", "path", "α at half the drop", "alpha_half"),
        ("plane", "plane", "basin radius ×", "basin_radius_weights"),
        ("plane", "plane", "convexity", "convexity"),
    ):
        below = lines[lines.index(heading) :]
        cells = re.split(r"\s{2,}", next(line for line in below if line.startswith(f"  {row}")))[-2:]
        numbers = [getattr(net, sweep).numbers[number] for net in result.nets]
        assert cells == ["withheld" if each.withheld else f"{each.bound} {each.value:.3g}".strip() for each in numbers]
    for place in [
        facts["page"],
        *facts["figures"].values(),
        *(facts["nets"]["short"][s]["file"] for s in ("path", "rays", "plane")),
    ]:
        assert Path(place).is_file()
        assert any(line.endswith(place) for line in lines)


def test_a_second_run_uses_what_is_there(
    made: tuple[DemoResult, dict[str, Figure]], undrawn: None, capsys: pytest.CaptureFixture[str]
) -> None:
    result, _ = made
    before = {path: path.stat().st_mtime_ns for path in result.out.glob("*short/*")}
    again = demo.run(result.out, seed=3, settings=TINY)
    assert before == {path: path.stat().st_mtime_ns for path in result.out.glob("*short/*")}
    for old, new in zip(result.nets, again.nets, strict=True):
        assert old.training == new.training
        for mine, theirs in zip(old.surfaces, new.surfaces, strict=True):
            assert theirs.runs[-1]["points"] == 0  # nothing was measured again
            assert all(np.array_equal(mine.values[key], theirs.values[key]) for key in mine.values)
    said = capsys.readouterr().err
    assert said.count("kept from an earlier run") == 2
    assert said.count("complete from an earlier run") == 6
    assert [f"step {i} of 9" in said for i in range(1, 10)] == [True] * 9
    tables = [shown.describe().partition("\npage")[0] for shown in (result, again)]
    assert tables[0] == tables[1]


def test_what_is_missing_or_damaged_is_made_again(
    made: tuple[DemoResult, dict[str, Figure]], undrawn: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result, out = made[0], tmp_path / "copy"
    shutil.copytree(result.out, out)
    (out / "noshort_plane.h5").unlink()
    end = out / "short" / result.nets[0].training.end.name
    end.write_bytes(end.read_bytes()[:1000])
    again = demo.run(out, seed=3, settings=TINY)
    assert capsys.readouterr().err.count("kept from an earlier run") == 1
    for name, tensor in weights_in(result.nets[0].training.end).items():
        assert torch.equal(tensor, weights_in(end)[name])
    assert np.array_equal(again.nets[1].plane.values["train_loss"], result.nets[1].plane.values["train_loss"])
    assert again.passed


@pytest.mark.parametrize(
    ("seed", "settings", "complaint"),
    [
        (4, TINY, "another seed (3, now 4)"),
        (3, replace(TINY, epochs=5), "another recipe (epochs 2, now epochs 5)"),
        (3, replace(TINY, depth=14), "another problem (digits-resnet8, now digits-resnet14)"),
        (3, replace(TINY, plane=(-1, 1, 4)), "its x axis (-1:1:5) is not contained"),
    ],
)
def test_another_demo_in_the_folder_is_refused(
    made: tuple[DemoResult, dict[str, Figure]], seed: int, settings: Settings, complaint: str
) -> None:
    result, _ = made
    before = {path: path.read_bytes() for path in result.out.rglob("*plane.h5")}
    with pytest.raises(InputError, match=re.escape(complaint)):
        demo.run(result.out, seed=seed, quiet=True, settings=settings)
    assert before == {path: path.read_bytes() for path in result.out.rglob("*plane.h5")}


def test_a_place_that_is_no_folder_is_one_line(tmp_path: Path, command: Callable[..., Any]) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    for place in (taken, taken / "inside"):
        outcome = command("demo", "--out", place)
        assert outcome.code == 2
        assert outcome.out == ""
        assert len(outcome.err.splitlines()) == 1
        assert str(place) in outcome.err
        assert "choose another --out" in outcome.err
    assert taken.read_text() == "mine"


def test_a_network_that_did_not_train_is_named_everywhere(
    made: tuple[DemoResult, dict[str, Figure]], monkeypatch: pytest.MonkeyPatch
) -> None:
    result, _ = made
    first, second = result.nets
    lost = replace(second, training=replace(second.training, failure="did not train: the loss is nan", train_loss=float("nan")))
    shown = replace(result, nets=(first, lost))
    assert "did not train" in lost.title
    assert "did not train" not in first.title
    assert "without shortcuts: did not train: the loss is nan" in shown.describe().splitlines()
    facts = json.loads(json.dumps(shown.tabulate(), allow_nan=False))
    assert facts["nets"]["noshort"]["training"]["failure"] == "did not train: the loss is nan"
    assert facts["nets"]["noshort"]["training"]["train_loss"] == "nan"
    drawn: list[tuple[str, ...]] = []
    monkeypatch.setattr(drawing.plotting, "figure", lambda surfaces, kind, log, names: drawn.append(tuple(names)))
    monkeypatch.setattr(drawing.plotting, "save", lambda figure, path: path)
    monkeypatch.setattr(drawing.viewer, "write_page", lambda surfaces, path, names: drawn.append(tuple(names)) or path)
    drawing.draw(shown.nets, result.out, quiet=True)
    assert len(drawn) == 5
    assert all("did not train" in names[1] and "did not train" not in names[0] for names in drawn)


def test_a_failed_self_check_fails_the_demo(
    made: tuple[DemoResult, dict[str, Figure]], monkeypatch: pytest.MonkeyPatch, command: Callable[..., Any]
) -> None:
    result, _ = made
    first, second = result.nets
    for sweep in ("path", "rays", "plane"):
        wrong = replace(second, **{sweep: replace(getattr(second, sweep), checks={"passed": 0})})
        shown = replace(result, nets=(first, wrong))
        assert not shown.passed
        (row,) = [line for line in shown.describe().splitlines() if line.startswith("self-check")]
        assert row.split()[-2:] == ["passed", "FAILED"]
    monkeypatch.setattr(demo, "run", lambda out, seed, quiet: shown)
    assert command("demo").code == 1
    monkeypatch.setattr(demo, "run", lambda out, seed, quiet: result)
    outcome = command("demo", "--json")
    assert outcome.code == 0
    assert outcome.result == json.loads(json.dumps(result.tabulate()))
