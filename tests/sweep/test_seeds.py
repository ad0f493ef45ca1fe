"""Several seeds: what is none is refused before anything is measured; many are stored, read back and compared."""

from __future__ import annotations

import itertools
import tracemalloc
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from cases import Follow, coordinates, perceptron

import landscape
from landscape import Problem, Surface, io
from landscape.core.surface import Axis, Metric
from landscape.errors import InputError
from landscape.measures.values import draws
from landscape.sweep.resume import positions
from landscape.sweep.seeds import check_seed, check_seeds

QUIET = {"quiet": True, "threads": 1, "device": "cpu", "engine": "eager", "normalize": "none", "ignore": "none"}
OLD = Path(__file__).parents[1] / "data" / "files" / "draws-0.1.0.h5"


def followed() -> tuple[Problem, Follow]:
    return coordinates(lambda a, b: a * a + b * b)


def line(seeds: Any, to: Path | None = None, problem: Problem | None = None, **options: Any) -> Surface:
    return landscape.line(problem or followed()[0], x=(0, 1, 2), seeds=seeds, to=to, **{**QUIET, **options})


# --- what is no seed ---

NO_SEED: dict[str, Any] = {
    "float": 1.0,
    "numpy float": np.float64(1),
    "true": True,
    "numpy bool": np.bool_(True),
    "torch bool": torch.tensor(True),
    "text": "1",
    "nothing": None,
    "nan": float("nan"),
    "list": [1],
    "complex": 1j,
    "too large": 2**53 + 1,
    "far too large": -(10**5000),
    "array": np.array([1, 2]),
}


@pytest.mark.parametrize("name", NO_SEED)
def test_what_is_no_seed_is_refused_before_anything_is_measured(tmp_path: Path, name: str) -> None:
    problem, follow = followed()
    said = []
    for way in (
        lambda: landscape.line(problem, x=(0, 1, 2), seed=NO_SEED[name], to=tmp_path / "s.h5", **QUIET),
        lambda: landscape.surface(problem, x=(0, 1, 2), y=(0, 1, 2), seed=NO_SEED[name], to=tmp_path / "s.h5", **QUIET),
        lambda: line([3, NO_SEED[name]], tmp_path / "s.h5", problem),
    ):
        with pytest.raises(InputError, match="seed") as raised:
            way()
        said.append(str(raised.value))
    assert all("\n" not in text and len(text) < 200 for text in said)
    assert not follow.visited
    assert not list(tmp_path.iterdir())


NO_SEEDS: dict[str, tuple[Any, str]] = {
    "none of them": ([], "no seeds"),
    "empty array": (np.array([], dtype=int), "no seeds"),
    "twice": ([1, 1], "seed 1 is named twice"),
    "twice among others": ([4, 2, 9, 2], "seed 2 is named twice"),
    "numpy's and Python's": ([np.int8(4), 4], "seed 4 is named twice"),
    "a number": (5, "seeds are 5"),
    "a numpy number": (np.int64(5), "seeds are"),
    "a float": (1.0, "seeds are 1.0"),
    "true": (True, "seeds are True"),
    "a text": ("1..10", "seeds are '1..10'"),
    "a dict": ({1: 2}, "seeds are {1: 2}"),
    "a matrix": (np.arange(4).reshape(2, 2), "seeds are"),
    "floats": ([0.0, 1.0], "the seed is 0.0"),
    "texts": (["1", "2"], "the seed is '1'"),
    "endless": (itertools.count(), "more than 10,000"),
    "too many": (range(10_001), "more than 10,000"),
    "huge": ([1, 2**60], "too large"),
}


@pytest.mark.parametrize("name", NO_SEEDS)
def test_lists_that_are_none_are_refused_before_anything_is_measured(tmp_path: Path, name: str) -> None:
    seeds, says = NO_SEEDS[name]
    problem, follow = followed()
    with pytest.raises(InputError) as raised:
        line(seeds, tmp_path / "s.h5", problem)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not follow.visited
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1,1",
        "1,,2",
        "3..3",
        "3..1",
        "1..10001",
        "1.0,2.0",
        "a..b",
        "1...3",
        "true,false",
        f"1,{10**30}",
        "9" * 5000 + ",1",
    ],
)
def test_the_command_line_refuses_them_too(tmp_path: Path, command: Any, factory: Any, text: str) -> None:
    torch.save({"weight": torch.zeros(2, dtype=torch.float64)}, tmp_path / "a.pt")
    built = factory("raise AssertionError('built all the same')")
    outcome = command("line", built, tmp_path / "a.pt", "--seeds", text, "-o", tmp_path / "s.h5")
    assert outcome.code == 2
    assert len(outcome.err.splitlines()) == 1
    assert "--seeds" in outcome.err
    assert not (tmp_path / "s.h5").exists()


@pytest.mark.parametrize("seed", [5, np.int64(5), np.uint8(5), np.array(5), torch.tensor(5)])
def test_every_whole_number_is_the_same_seed(seed: Any) -> None:
    assert type(check_seed(seed)) is int
    assert check_seed(seed) == 5
    assert landscape.line(perceptron(), x=(0, 1, 2), seed=seed, **QUIET).axes[0].attributes["seed"] == 5
    surface = line([seed, np.int64(-3)])
    assert surface.axes[1].values.tolist() == [5, -3]
    digests = [line([s]).axes[0].attributes["sha256"][0] for s in (5, -3)]
    assert surface.axes[0].attributes["sha256"] == digests


@pytest.mark.parametrize("seeds", [[4, 2], (4, 2), np.array([4, 2]), iter([4, 2]), {4: 0, 2: 0}.keys(), torch.tensor([4, 2])])
def test_any_list_of_them_will_do(seeds: Any) -> None:
    assert check_seeds(seeds) == (4, 2)


@pytest.mark.parametrize("options", [{}, {"examples": 3}, {"precision": "bf16", "audit_tolerance": 10.0}])
def test_negative_seeds_work(options: dict[str, Any]) -> None:
    surface = landscape.line(perceptron(), x=(-1, 1, 3), seed=-(2**53), **{**QUIET, **options})
    assert surface.complete
    assert surface.axes[0].attributes["seed"] == -(2**53)


# --- many draws ---


@pytest.mark.parametrize("n", [3, 1500, 5000])
def test_each_draw_is_stored_and_read_back(tmp_path: Path, n: int) -> None:
    """In a file made without measuring; a thousand digests are the most an attribute was read back with, four thousand fit none."""
    rng = np.random.default_rng(0)
    norms, digests = rng.uniform(1, 2, n).tolist(), [f"{k:064x}" for k in range(n)]
    axes = (
        Axis("x", np.array([0.0, 1.0]), {"norm": norms, "sha256": digests, "label": "random"}),
        Axis("seed", np.arange(n) - 7.0),
    )
    values = rng.uniform(size=(2, n))
    surface = Surface(
        "line", axes, {"train_loss": Metric("train", "loss", "")}, {"train_loss": values}, {"train_loss": np.ones((2, n), bool)}
    )
    path = io.write(surface, tmp_path / "s.h5")
    read = io.read(path)
    assert read.axes[0].attributes == axes[0].attributes
    assert read.axes[0].norm == np.median(norms)
    assert [draw.axes[0].norm for draw in draws(read)] == norms
    with h5py.File(path) as file:
        assert file["draws/norm"][()].tolist() == norms
        assert file["draws/sha256"].asstr()[()].tolist() == digests
        assert file["draws/norm"].dims[0][0] == file["seed"]
        assert not {"norm", "sha256"} & set(file["x"].attrs)
    assert io.read(io.write(read, path, keep=path)).axes[0].attributes == axes[0].attributes


def test_fifteen_hundred_seeds_are_measured_and_resumed(tmp_path: Path, command: Any) -> None:
    path, n = tmp_path / "s.h5", 1500
    surface = landscape.line(followed()[0], x=(0, 1, 1 + 1), seeds=range(1, n + 1), to=path, **QUIET)
    assert surface.complete
    again = landscape.line(followed()[0], x=(0, 1, 1 + 1), seeds=range(1, n + 1), to=path, **QUIET)
    assert again.runs[-1]["points"] == 0
    # The loss is the squared distance from the origin, at x = 1 the squared length of the direction itself.
    lengths = np.array(landscape.read(path).axes[0].attributes["norm"])
    assert np.allclose(surface.values["train_loss"][1], lengths**2, rtol=1e-12)
    outcome = command("show", path)
    assert outcome.code == 0


def test_each_draw_has_its_own_length(tmp_path: Path) -> None:
    several = line([4, 2, 9], tmp_path / "s.h5")
    alone = [landscape.line(followed()[0], x=(0, 1, 2), seed=seed, **QUIET).axes[0] for seed in (4, 2, 9)]
    assert several.axes[0].attributes["norm"] == [axis.norm for axis in alone]
    assert several.axes[0].attributes["sha256"] == [axis.attributes["sha256"] for axis in alone]
    assert len({axis.norm for axis in alone}) == 3
    assert landscape.read(tmp_path / "s.h5").axes[0].attributes == several.axes[0].attributes


# --- compared ---


def spoil(path: Path, seed: int) -> None:
    with h5py.File(path, "r+") as file:
        k = file["seed"][()].tolist().index(seed)
        file["draws/sha256"][k] = "0" * 64


@pytest.mark.parametrize("seeds", [[4, 2, 9], [9, 5, 2, 4], [4, 2, 9, 1]])
def test_a_draw_that_is_another_direction_is_refused(tmp_path: Path, seeds: list[int]) -> None:
    path = tmp_path / "s.h5"
    line([4, 2, 9], path)
    assert line(seeds, path).complete
    spoil(path, 2)
    with pytest.raises(InputError, match=r"another direction of seed 2 \(000000000000…, now .*…\)"):
        line(seeds, path)


def test_merging_compares_draws_too(tmp_path: Path) -> None:
    line([4, 2], tmp_path / "a.h5")
    line([2, 9, 4], tmp_path / "b.h5")
    assert landscape.merge([tmp_path / "a.h5", tmp_path / "b.h5"], quiet=True).complete
    spoil(tmp_path / "a.h5", 2)
    with pytest.raises(InputError, match="another direction of seed 2 than"):
        landscape.merge([tmp_path / "a.h5", tmp_path / "b.h5"], quiet=True)


def test_files_of_version_0_1_0_are_compared_and_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "s.h5"
    path.write_bytes(OLD.read_bytes())
    old = landscape.read(path)
    assert len(old.axes[0].attributes["sha256"]) == 3
    assert [draw.axes[0].norm for draw in draws(old)] == [old.axes[0].norm] * 3
    io.write(old, path, keep=path)
    with h5py.File(path) as file:
        assert "sha256" not in file["x"].attrs
        assert file["x"].attrs["norm"] == old.axes[0].norm
        assert file["draws/sha256"].shape == (3,)
    assert landscape.read(path).axes[0].attributes == old.axes[0].attributes


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("draws/norm", np.ones(2), r"draws/norm.* has shape \(2,\)"),
        ("draws/norm", np.array(["a", "b", "c"], dtype=object), "plain numbers"),
        ("draws/sha256", np.array(["a", "b"], dtype=object), "names 2 draws, the axis has 3"),
        ("draws/sha256", np.ones(3), "not a list of names"),
        ("draws", np.ones(3), "not a group"),
    ],
)
def test_draws_that_do_not_fit_are_one_line(tmp_path: Path, name: str, content: np.ndarray, says: str) -> None:
    path = tmp_path / "s.h5"
    line([4, 2, 9], path)
    with h5py.File(path, "r+") as file:
        del file[name]
        file[name] = content
    with pytest.raises(InputError, match=says):
        landscape.read(path)


# --- long axes ---


@pytest.mark.parametrize("order", ["ascending", "descending", "any"])
def test_old_coordinates_are_found_on_a_long_axis_in_little_memory(order: str) -> None:
    """All pairs of 100,001 coordinates are 75 GiB; what is needed is a few arrays of one number a point."""
    n = 100_001
    long = np.linspace(-1, 1, n)
    where = np.arange(0, n, 50)
    if order == "descending":
        long, where = long[::-1].copy(), where[::-1].copy()
    elif order == "any":  # as seeds come
        shuffled = np.random.default_rng(0).permutation(n)
        long = long[shuffled]
        where = np.argsort(shuffled)[where]
    short = long[where]

    def surface(values: np.ndarray) -> Surface:
        empty = {"train_loss": np.zeros(len(values))}
        return Surface("line", (Axis("x", values),), {"train_loss": Metric("train", "loss", "")}, empty, empty)

    tracemalloc.start()
    (found,) = positions(surface(short), surface(long), "s.h5")
    assert tracemalloc.get_traced_memory()[1] < 100 * n  # bytes: a dozen arrays of 8 bytes a coordinate
    tracemalloc.stop()
    assert np.array_equal(found, where)
    (same,) = positions(surface(long), surface(long), "s.h5")
    assert np.array_equal(same, np.arange(n))
    for off in (short + 1e-10, np.append(short, 2.0), np.append(short, -2.0)):
        with pytest.raises(InputError, match="not contained"):
            positions(surface(off), surface(long), "s.h5")
    (near,) = positions(surface(short + 1e-13), surface(long), "s.h5")
    assert np.array_equal(near, where)
