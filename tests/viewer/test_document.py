"""What is written into the page: exact numbers, texts that stay texts, a policy that lets nothing leave, whole files only."""

from __future__ import annotations

import base64
import hashlib
import json
import statistics
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from viewer.surfaces import (
    HOSTILE,
    Parts,
    changed,
    embedded,
    hostile,
    line,
    plane,
    tilted,
    unfinished,
)

from landscape.core.surface import Number
from landscape.errors import InputError
from landscape.viewer import page, write_page, write_script

ROOT = Path(__file__).resolve().parent.parent.parent


def test_tilted_plane_is_embedded_exactly() -> None:
    held = embedded([tilted()])["planes"][0]
    assert held["grids"] == {"train": {"x": [1, 2, 3], "y": [10, 20]}}
    assert held["values"]["train_loss"] == [[110, 210, 310], [120, 220, 320]]  # rows of y, as Plotly has it


def test_numbers_keep_every_bit() -> None:
    rng = np.random.default_rng(0)
    loss = np.ldexp(rng.normal(size=(7, 5)), rng.integers(-300, 300, (7, 5)))
    held = embedded([plane(np.arange(7), np.arange(5), train_loss=loss)])["planes"][0]["values"]["train_loss"]
    assert np.array_equal(np.array(held).T, loss)


def test_holes_are_null_and_counted() -> None:
    loss = np.array([[1.0, np.nan, np.inf], [-np.inf, 0.0, 7.0]])
    surface = plane([0, 1], [0, 1, 2], train_loss=loss)
    surface = changed(surface, done={"train_loss": np.array([[True, True, True], [True, True, False]])})
    held = embedded([surface])["planes"][0]
    assert held["values"]["train_loss"] == [[1, None], [None, 0], [None, None]]
    assert held["holes"]["train_loss"] == {"unmeasured": 1, "nan": 1, "infinite": 2}


def test_an_unfinished_plane_is_embedded_at_the_resolution_it_has() -> None:
    surface = unfinished()
    data = embedded([surface])
    held = data["planes"][0]
    assert [metric["split"] for metric in data["metrics"]] == ["train", "train", "test"]
    for key, step in (("train_loss", 2), ("train_accuracy", 2), ("test_loss", 8)):
        grid = held["grids"][key.split("_")[0]]
        assert grid["x"] == grid["y"] == surface.x[::step].tolist()
        assert np.array_equal(np.array(held["values"][key]).T, surface.values[key][::step, ::step])
        assert held["holes"][key]["unmeasured"] == 0
    assert held["notes"]["train_loss"] == [
        "9 × 9 of 17 × 17 points measured so far.",
        "19 further measured points are drawn as dots.",
    ]
    beyond = held["beyond"]["train"]
    assert len(beyond["x"]) == 19
    for x, y, value in zip(beyond["x"], beyond["y"], held["values_beyond"]["train_loss"][0], strict=True):
        i, j = surface.x.tolist().index(x), surface.y.tolist().index(y)
        assert i % 2 or j % 2
        assert value == surface.values["train_loss"][i, j]
    assert held["beyond"]["test"] == {"x": [], "y": []}
    assert held["notes"]["test_loss"] == ["3 × 3 of 17 × 17 points measured so far."]


def test_an_unfinished_line_is_embedded_at_the_resolution_it_has() -> None:
    x, done = np.linspace(-1, 1, 9), np.zeros((9, 3), bool)
    done[::4], done[2, 1] = True, True
    draws = changed(line(x, np.arange(27.0).reshape(9, 3)), done={"train_loss": done})
    held = embedded([draws])["lines"][0]
    assert held["grids"]["train"]["x"] == [-1, 0, 1]
    assert held["values"]["train_loss"] == [[0, 12, 24], [1, 13, 25], [2, 14, 26]]
    assert held["quartiles"]["train_loss"][1] == [1, 13, 25]
    assert held["notes"]["train_loss"] == ["3 of 9 points measured so far.", "1 further measured point is not drawn."]


def test_the_page_says_how_far_values_may_be_from_the_exact_ones() -> None:
    loss = np.array([[1.0, 4.0], [2.0, 8.0]])
    surface = changed(
        plane([0, 1], [0, 1], train_loss=loss),
        attributes={"tolerance": 0.02, "precision": "bf16"},
        stderr={"train_loss": np.full((2, 2), 0.01)},
        examples={"train": np.array([[256, 512], [512, 1000]])},
        data={"train": {"size": 1000, "used": 1000}},
        checks={"audit_points": 4, "audit_relative": 0.0004},
    )
    held = embedded([surface, tilted()])["planes"]
    assert held[0]["notes"]["train_loss"] == [
        "Each point measured until its loss had a standard error of 2\u00a0%, on 256 to 1,000 of 1,000 train examples.",
        "Standard error up to 1\u00a0% of the value.",  # 0.01 of 1
        "Computed in bf16; at 4 points computed in fp32 too, values are at most 0.04\u00a0% apart.",
    ]
    assert held[1]["notes"]["train_loss"] == []


def test_the_page_warns_where_running_statistics_differ() -> None:
    policies = [{"bn": bn, "bn_layers": 2} for bn in ("frozen", "recalibrated", "frozen")]
    surfaces = (tilted("a"), tilted("b"), line([0, 1], [1, 2], "c"))
    frozen, moved, other = (changed(surface, attributes=own) for surface, own in zip(surfaces, policies, strict=True))
    note = "Running statistics differ, compare with care: frozen in a, c; recalibrated in b."
    drawn = embedded([frozen, moved, other], names=["a", "b", "c"])
    assert [part["notes"]["train_loss"] for part in (*drawn["planes"], *drawn["lines"])] == [[note]] * 3
    alike = embedded([frozen, other], names=["a", "c"])
    assert [part["notes"]["train_loss"] for part in (*alike["planes"], *alike["lines"])] == [[]] * 2


def test_metrics_are_those_all_surfaces_hold() -> None:
    one = plane([0, 1], [0, 1], test_loss=np.ones((2, 2)), train_loss=np.ones((2, 2)), train_accuracy=np.ones((2, 2)))
    other = plane([0, 1], [0, 1], train_loss=np.ones((2, 2)), test_loss=np.ones((2, 2)))
    held = embedded([one, other])
    assert [metric["key"] for metric in held["metrics"]] == ["test_loss", "train_loss"]
    assert held["metric"] == "train_loss"
    with pytest.raises(InputError, match=r"no metric in common.*A: train_loss; B: train_accuracy"):
        page([line([0, 1], [1, 2]), plane([0, 1], [0, 1], train_accuracy=np.ones((2, 2)))], names=["A", "B"])


def test_names() -> None:
    surfaces = [tilted("net"), tilted("net")]
    assert [held["name"] for held in embedded(surfaces)["planes"]] == ["net", "net (2)"]
    assert [held["name"] for held in embedded(surfaces, names=["a", "b"])["planes"]] == ["a", "b"]
    with pytest.raises(InputError, match="1 names for 2 surfaces"):
        page(surfaces, names=["a"])
    with pytest.raises(InputError, match="at least one surface"):
        page([])


def test_quartiles_of_draws() -> None:
    draws = [[3.0, 1.0, 2.0, 9.0], [5.0, 5.0, 7.0, 6.0], [1.0, float("nan"), 2.0, 3.0], [4.0, 1.0, 2.0, 8.0]]
    surface = line([0, 1, 2, 3], draws)
    done = np.ones((4, 4), dtype=bool)
    done[3, 3] = False  # not measured yet: the quartiles are those of the others
    held = embedded([changed(surface, done={"train_loss": done})])["lines"][0]
    wanted = [statistics.quantiles(row, n=4, method="inclusive") for row in (draws[0], draws[1], draws[3][:3])]
    got = held["quartiles"]["train_loss"]
    for quartile in range(3):
        assert [got[quartile][i] for i in (0, 1, 3)] == pytest.approx([row[quartile] for row in wanted], rel=1e-15)
        assert got[quartile][2] is None  # a NaN has no rank
    assert held["values"]["train_loss"][3] == [9, 6, 3, None]
    assert held["draws"] == ["0", "1", "2", "3"]


def test_hostile_texts_make_no_elements() -> None:
    parts = Parts(page([hostile()]))
    kinds = [tag for tag, _ in parts.elements]
    assert kinds.count("script") == 3
    assert "img" not in kinds
    assert "b" not in kinds
    assert not any(name.startswith("on") for _, attributes in parts.elements for name in attributes)
    assert HOSTILE in parts.text  # still shown, as text


def test_policy_lets_only_the_pages_own_scripts_run_and_nothing_leave() -> None:
    parts = Parts(page([tilted()]))
    policy = next(
        a["content"] or "" for tag, a in parts.elements if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    directives = {part.split()[0]: part.split()[1:] for part in policy.split(";")}
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in parts.scripts[1:]]
    assert directives["script-src"] == hashes
    assert directives["default-src"] == directives["connect-src"] == ["'none'"]
    assert directives["img-src"] == ["data:", "blob:"]
    links = [a.get(name) for _, a in parts.elements for name in ("src", "href", "action") if a.get(name)]
    assert links == ["data:,"]


def test_panel_tells_how_it_was_made() -> None:
    surface = changed(
        tilted("digits"),
        stderr={"train_loss": np.array([[0.5, 0.25], [0.125, np.nan], [0.25, 0.25]])},
        examples={"train": np.full((3, 2), 1000)},
        data={"train": {"size": 50_000, "sha256": "abc"}},
        attributes={"problem": "digits", "tolerance": 0.01},
        done={"train_loss": np.array([[True, True], [True, False], [True, True]]), "train_accuracy": np.ones((3, 2), bool)},
        numbers={"basin_radius": Number(0.25, "direction units", "≥")},
        checks={"origin": True},
        runs=({"command": "landscape surface digits net.pt", "host": "node-7"},),
    )
    text = Parts(page([surface])).text
    for wanted in (
        "basin radius≥ 0.25 direction units",
        "train examples1,000 of 50,000",
        "errors, train lossstandard error up to 0.45\u00a0% of the value",  # 0.5 of 110
        "tolerance0.01",
        "1 of 6 points (16.7\u00a0%)",
        "originyes",
        "landscape surface digits net.pt",
        "hostnode-7",
    ):
        assert wanted in text


def test_write_page_replaces_whole_files_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_page([tilted()], tmp_path / "page.html")
    assert path.read_text(encoding="utf-8") == page([tilted()])
    assert [entry.name for entry in tmp_path.iterdir()] == ["page.html"]

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    before = path.read_bytes()
    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(InputError, match=r"page\.html.*Permission denied"):
        write_page([tilted("other")], path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.parametrize(
    ("name", "said"), [("missing/page.html", "does not exist"), ("page.png", r"\.html"), ("folder.html", "is a folder")]
)
def test_write_page_refuses(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(InputError, match=said) as caught:
        write_page([tilted()], tmp_path / name)
    assert "\n" not in str(caught.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder.html"]


def test_a_page_with_plotly_from_a_network_is_small_and_checks_what_it_gets() -> None:
    parts = Parts(page([tilted()], cdn=True))
    known = json.loads(resources.files("landscape.viewer").joinpath("plotly.json").read_text("utf-8"))
    (script,) = [attributes for tag, attributes in parts.elements if tag == "script" and attributes.get("src")]
    assert script == {"src": known["address"], "integrity": known["integrity"], "crossorigin": "anonymous"}
    policy = next(a["content"] or "" for tag, a in parts.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert f"script-src {known['address']} 'sha256-" in policy
    assert len(page([tilted()], cdn=True)) < 120_000


def test_pages_share_one_script_beside_them_or_in_the_folder_above(tmp_path: Path) -> None:
    bundle = resources.files("landscape.viewer").joinpath("plotly.min.js").read_bytes()
    (tmp_path / "below").mkdir()
    write_script(tmp_path)
    pages = [write_page([tilted()], tmp_path / name, shared_script=True) for name in ("a.html", "b.html", "below/c.html")]
    (script,) = tmp_path.rglob("*.js")
    assert script.parent == tmp_path
    assert script.read_bytes() == bundle
    for path in pages:
        parts = Parts(path.read_text("utf-8"))
        address = f"../{script.name}" if path.parent.name == "below" else script.name
        assert [a["src"] for tag, a in parts.elements if tag == "script" and a.get("src")] == [address]
        assert f"All of this page is in this file and {address};" in parts.text
        assert path.stat().st_size < 120_000
        policy = next(a["content"] or "" for tag, a in parts.elements if a.get("http-equiv") == "Content-Security-Policy")
        assert "script-src 'self' file: 'sha256-" in policy
        assert "connect-src 'none'" in policy


def test_a_shared_script_that_is_there_stays_and_a_damaged_one_is_written_again(tmp_path: Path) -> None:
    path = write_page([tilted()], tmp_path / "page.html", shared_script=True)
    (script,) = tmp_path.glob("*.js")
    whole, before = script.read_bytes(), script.stat()
    write_page([tilted()], path, shared_script=True)
    assert script.stat().st_ino == before.st_ino
    script.write_bytes(whole[:-1])
    write_page([tilted()], path, shared_script=True)
    assert script.read_bytes() == whole
    (tmp_path / "below").mkdir()
    script.write_bytes(whole[:-1])
    assert f'src="{script.name}"' in write_page([tilted()], tmp_path / "below" / "page.html", shared_script=True).read_text("utf-8")


def test_the_address_of_a_shared_script_is_text_and_excludes_the_network() -> None:
    parts = Parts(page([tilted()], shared_script='"><b>.js'))
    assert [a["src"] for tag, a in parts.elements if tag == "script" and a.get("src")] == ['"><b>.js']
    with pytest.raises(InputError, match="not from both"):
        page([tilted()], cdn=True, shared_script=True)


def test_only_a_live_page_may_ask_its_server() -> None:
    still, live = page([tilted()]), page([tilted()], live=True)
    assert "connect-src 'none'" in still
    assert "connect-src 'self'" in live
    own = Parts(still).scripts[-1]
    assert "fetch(" not in own
    assert "fetch(" in Parts(live).scripts[-1]


@pytest.mark.parametrize("name", ["resnet56", "resnet56-noshort"])
def test_the_pair_of_the_results_is_small(name: str) -> None:
    import landscape

    pair = [landscape.read(ROOT / "results" / "li2018" / f"{file}.h5") for file in ("resnet56", "resnet56-noshort")]
    assert len(page(pair).encode()) <= 3_000_000
    surface = pair[name == "resnet56-noshort"]
    held = embedded([surface])["planes"][0]["values"]["train_loss"]
    assert np.array_equal(np.array(held).T, surface.values["train_loss"])


def test_the_bundle_is_the_pinned_plotly_with_its_licences_and_asks_for_nothing_unsafe() -> None:
    folder = resources.files("landscape.viewer")
    bundle = folder.joinpath("plotly.min.js").read_text("utf-8")
    known = json.loads(folder.joinpath("plotly.json").read_text("utf-8"))
    wanted = json.loads((ROOT / "scripts" / "plotly" / "package.json").read_text("utf-8"))["devDependencies"]["plotly.js"]
    assert known["version"] == wanted
    assert bundle.startswith(f"/* plotly.js {wanted}: scatter, surface, scatter3d, ")
    assert "</script" not in bundle.lower()
    assert f"==== plotly.js {wanted}: MIT" in folder.joinpath("plotly.LICENSE.txt").read_text("utf-8")
    assert len(bundle) < 2_000_000
