"""Going on with a file: what is taken over, what is added, and every difference that is refused by name."""

from __future__ import annotations

import copy
import hashlib
import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from cases import CORNERS, Follow, Images, coordinates, integers, normal, seeded
from torch import Tensor, nn

import landscape
from landscape import Problem, Surface
from landscape.errors import InputError, RunError

QUIET = {"quiet": True, "threads": 1, "device": "cpu"}
ODD = {(0.0, 0.0): 0.0, (1.0, 0.0): -3.0, (2.0, 0.0): math.nan, (0.0, 1.0): math.inf, (1.0, 1.0): -math.inf}


def odd(a: float, b: float) -> float:
    return ODD.get((a, b), 100 * a + b)


def plane(problem: Problem, path: Path | None, x: Any = (0, 2, 3), y: Any = (0, 1, 2), **options: Any) -> Surface:
    return landscape.surface(problem, *CORNERS, x=x, y=y, to=path, **{**QUIET, **options})


def interrupted_after(n: int, follow: Follow) -> None:
    """Lets the n-th evaluation from now on be a Ctrl-C."""
    function, countdown = follow.function, iter(range(n))

    def counting(*place: float) -> float:
        if next(countdown, None) is None:
            follow.function = function
            raise KeyboardInterrupt
        return function(*place)

    follow.function = counting


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_is_measured_is_not_measured_again_whatever_its_value(tmp_path: Path) -> None:
    problem, follow = coordinates(odd)
    surface = plane(problem, tmp_path / "s.h5", check="warn")
    expected = np.array([[odd(a, b) for b in (0, 1)] for a in (0, 1, 2)])
    assert np.array_equal(surface.values["train_loss"], expected, equal_nan=True)
    follow.visited.clear()
    again = plane(problem, tmp_path / "s.h5", check="warn")
    assert np.array_equal(again.values["train_loss"], expected, equal_nan=True)
    # The self-check asks for the three models and the farthest corner, and one stored point is measured again: not for the others.
    assert not {(2.0, 0.0), (1.0, 1.0)} & set(follow.visited)
    assert again.runs[1]["points"] == 0
    with h5py.File(tmp_path / "s.h5") as file:
        assert (file["done/train_loss"][()] == 1).all()
        assert np.array_equal(file["values/train_loss"][()], expected, equal_nan=True)


@pytest.mark.parametrize("n", [1, 6, 21, 23, 26, 32])
def test_an_interrupted_run_goes_on_where_it_stood(tmp_path: Path, n: int) -> None:
    whole = plane(coordinates(odd)[0], None, (0, 3, 4), (0, 2, 3), check="warn").values["train_loss"]
    problem, follow = coordinates(odd)
    interrupted_after(n, follow)
    with pytest.raises(KeyboardInterrupt):
        plane(problem, tmp_path / "s.h5", (0, 3, 4), (0, 2, 3), check="warn")
    if not (tmp_path / "s.h5").exists():  # interrupted before trials and self-check were through
        assert n < 21
        return
    partial = landscape.read(tmp_path / "s.h5")
    done = partial.done["train_loss"]
    assert 0 < done.sum() <= 12
    assert partial.complete == (n == 32)  # in the self-check after the last point
    assert np.array_equal(partial.values["train_loss"][done], whole[done], equal_nan=True)
    assert np.isnan(partial.values["train_loss"][~done]).all()
    again = plane(problem, tmp_path / "s.h5", (0, 3, 4), (0, 2, 3), check="warn")
    assert again.complete
    assert np.array_equal(again.values["train_loss"], whole, equal_nan=True)
    assert [run["points"] for run in again.runs] == [done.sum(), 12 - done.sum()]


def test_an_exception_keeps_what_was_measured_and_says_where(tmp_path: Path) -> None:
    def fragile(a: float, b: float) -> float:
        if (a, b) == (1, 1):
            raise ValueError("no such luck")
        return a + b

    problem, follow = coordinates(fragile)
    with pytest.raises(
        RunError, match=r"at x = 1, y = 1: the model or loss raised ValueError: no such luck; \d of 6 points are in "
    ):
        plane(problem, tmp_path / "s.h5")
    assert not landscape.read(tmp_path / "s.h5").done["train_loss"][1, 1]
    follow.function = lambda a, b: a + b
    assert plane(problem, tmp_path / "s.h5").complete


def test_a_time_limit_leaves_a_valid_file(tmp_path: Path) -> None:
    problem, _ = coordinates(odd)
    first = plane(problem, tmp_path / "s.h5", time_limit=0, check="warn")
    assert not first.complete
    assert not first.done["train_loss"].any()
    assert plane(problem, tmp_path / "s.h5", time_limit="1h", check="warn").complete


def test_axes_that_contain_the_old_ones_extend_it(tmp_path: Path) -> None:
    problem, _ = coordinates(lambda a, b: 100 * a + b)
    plane(problem, tmp_path / "s.h5", (0, 2, 3), (0, 1, 2))
    wide = plane(problem, tmp_path / "s.h5", (-1, 2, 7), (1, 0, 3))
    x, y = np.linspace(-1, 2, 7), np.linspace(1, 0, 3)
    assert np.array_equal(wide.values["train_loss"], 100 * x[:, None] + y[None, :])
    assert wide.runs[-1]["points"] == 7 * 3 - 6
    assert (wide.examples["train"] == 5).all()
    assert (wide.seconds > 0).all()


def test_nearly_equal_coordinates_are_the_same_up_to_1e_12(tmp_path: Path) -> None:
    problem, _ = coordinates(lambda a, b: 100 * a + b)
    plane(problem, tmp_path / "s.h5", np.array([0.0, 0.3]))
    assert plane(problem, tmp_path / "s.h5", np.array([0.0, 0.3 + 1e-13])).runs[-1]["points"] == 0
    with pytest.raises(InputError, match="x axis"):
        plane(problem, tmp_path / "s.h5", np.array([0.0, 0.3 + 1e-10]))


def classified(n_examples: int = 64, shift: float = 0.0) -> Problem:
    inputs, targets = normal(n_examples, 2, 6, 6, seed=1), integers(3, n_examples)
    return Problem(seeded(Images), nn.CrossEntropyLoss(), {"train": (inputs + shift, targets), "test": (inputs[:9], targets[:9])})


def random_plane(path: Path | None, problem: Problem | None = None, **options: Any) -> Surface:
    asked = {"x": (-1, 1, 2), "y": (-1, 1, 2), **QUIET, **options}
    return landscape.surface(problem or classified(), to=path, **asked)


def test_further_splits_are_added(tmp_path: Path) -> None:
    alone = {split: random_plane(None, split=split) for split in ("train", "test")}
    random_plane(tmp_path / "s.h5", split="train")
    both = random_plane(tmp_path / "s.h5", split="test")
    assert both.complete
    assert set(both.metrics) == {"train_loss", "train_accuracy", "test_loss", "test_accuracy"}
    assert set(both.data) == {"train", "test"}
    for split, surface in alone.items():
        for key in surface.metrics:
            assert np.array_equal(both.values[key], surface.values[key])
        assert np.array_equal(both.examples[split], surface.examples[split])
    model = both.points[0]
    assert set(model.values) >= {"train_loss", "test_loss"}


def test_a_stored_value_stays_when_a_split_is_added(tmp_path: Path) -> None:
    path = tmp_path / "s.h5"
    random_plane(path, split="train")
    with h5py.File(path, "r+") as file:  # as another machine may round it: within what the point measured again may differ by
        file["values/train_loss"][0, 1] *= 1 + 1e-9
        stored = {key: file[key][()] for key in ("values/train_loss", "values/train_accuracy", "values/train_loss_stderr")}
    both = random_plane(path, split="train,test")
    assert both.complete
    assert both.runs[-1]["points"] == 4
    with h5py.File(path) as file:
        for key, before in stored.items():
            assert file[key][()].tobytes() == before.tobytes()
    assert both.values["train_loss"].tobytes() == stored["values/train_loss"].tobytes()


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "axis": ({"x": (-2, 2, 4)}, r"x axis \(-1:1:2\) is not contained in the one asked for \(-2:2:4\)"),
    "seed": ({"seed": 1}, "seed of direction x"),
    "normalize": ({"normalize": "layer"}, "normalize of direction x"),
    "ignore": ({"ignore": "bias"}, "another ignore"),
    "only": ({"only": "conv*"}, "another only"),
    "bn": ({"bn": "recalibrated"}, "another bn"),
    "precision": ({"precision": "fp64"}, "another precision"),
    "tolerance": ({"tolerance": 0.3}, "another tolerance"),
    "examples": ({"examples": 5}, r"train \(examples\)"),
    "first examples": ({"examples": "first:5"}, r"train \(examples\)"),
    "orthogonalized": ({"orthogonalize": True}, "another direction y"),
    "weights": ({"start": seeded(Images, 1)}, r"another model \(weights\)"),
    "data": ({"problem": classified(shift=0.5)}, r"train \(content\)"),
    "size of data": ({"problem": classified(65)}, r"train \(content\)"),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("finished") / "s.h5"
    random_plane(path)
    return path


@pytest.mark.parametrize("name", CHANGES)
def test_each_difference_is_refused_by_name(finished: Path, name: str) -> None:
    changes, words = CHANGES[name]
    before = digest(finished)
    with pytest.raises(InputError, match=words) as raised:
        random_plane(finished, **changes)
    assert "--overwrite" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert digest(finished) == before


def test_statistics_that_were_averaged_otherwise_are_refused(tmp_path: Path) -> None:
    """Version 0.1.0 weighed a ragged last batch as much as a whole one, which is the same where batches are of one size."""
    old, path = "first 2048 training examples in batches of 256, plain mean", tmp_path / "s.h5"
    for n_examples, same in ((64, True), (258, False)):
        random_plane(path, classified(n_examples), bn="recalibrated", time_limit=0, overwrite=True)
        with h5py.File(path, "r+") as file:
            assert (file.attrs["bn_calibration"] == old) == same
            file.attrs["bn_calibration"] = old
        if same:
            assert random_plane(path, classified(n_examples), bn="recalibrated").complete
            continue
        with pytest.raises(InputError, match=r"another bn_calibration .*plain mean.*weighted by examples"):
            random_plane(path, classified(n_examples), bn="recalibrated")


@pytest.mark.parametrize(
    ("splits", "words"), [({"train": 1, "test": 9}, "on one example"), ({"valid": 9, "test": 9}, '"train".*valid')]
)
def test_what_cannot_be_recalibrated_on_is_refused(splits: dict[str, int], words: str) -> None:
    inputs, targets = classified(64).data["train"]
    problem = Problem(seeded(Images), nn.CrossEntropyLoss(), {name: (inputs[:n], targets[:n]) for name, n in splits.items()})
    with pytest.raises(InputError, match=words) as raised:
        random_plane(None, problem, split="test", bn="recalibrated")
    assert "--bn" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_another_kind_is_refused(finished: Path) -> None:
    with pytest.raises(InputError, match=r"another kind \(surface, now line\)"):
        landscape.line(classified(), x=(-1, 1, 2), to=finished, **QUIET)


def test_directions_from_a_file_are_not_random_ones(tmp_path: Path) -> None:
    random_plane(tmp_path / "d.h5", save_directions=True)
    with pytest.raises(InputError, match="source of direction x"):
        random_plane(tmp_path / "d.h5", directions=tmp_path / "d.h5")
    random_plane(tmp_path / "s.h5", directions=tmp_path / "d.h5")
    random_plane(tmp_path / "e.h5", save_directions=True, seed=2)
    with pytest.raises(InputError, match="another direction x"):
        random_plane(tmp_path / "s.h5", directions=tmp_path / "e.h5")


def test_overwrite_replaces_a_file_and_whatever_else_is_there(tmp_path: Path) -> None:
    random_plane(tmp_path / "s.h5")
    again = random_plane(tmp_path / "s.h5", seed=1, overwrite=True)
    assert len(again.runs) == 1
    assert again.axes[0].attributes["seed"] == 1
    (tmp_path / "s.h5").write_bytes(b"not HDF5")
    with pytest.raises(InputError, match="--overwrite to replace it"):
        random_plane(tmp_path / "s.h5")
    assert (tmp_path / "s.h5").read_bytes() == b"not HDF5"
    assert random_plane(tmp_path / "s.h5", overwrite=True).complete


def test_batch_size_threads_and_device_may_differ_with_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random_plane(tmp_path / "s.h5", time_limit=0, batch_size=7)
    capsys.readouterr()
    random_plane(tmp_path / "s.h5", quiet=False, batch_size=9, threads=2)
    warnings = [text for text in capsys.readouterr().err.splitlines() if "resuming with" in text]
    assert len(warnings) == 1
    assert "batch_size 7 → 9" in warnings[0]
    assert "threads 1 → 2" in warnings[0]
    runs = landscape.read(tmp_path / "s.h5").runs
    assert [run["batch_size"] for run in runs] == [7, 9]


def test_the_batch_size_is_reused(tmp_path: Path) -> None:
    random_plane(tmp_path / "s.h5", time_limit=0, batch_size=7)
    assert random_plane(tmp_path / "s.h5").runs[-1]["batch_size"] == 7


class Edited(Images):
    """The same parameters under another forward pass."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) * 1.001


def test_edited_model_code_and_loss_are_found(tmp_path: Path) -> None:
    random_plane(tmp_path / "s.h5", time_limit="1h")
    before = digest(tmp_path / "s.h5")
    problem = classified()
    edited = seeded(Edited)
    edited.load_state_dict(problem.model.state_dict())
    for other in (
        Problem(edited, nn.CrossEntropyLoss(), problem.data),
        Problem(problem.model, nn.CrossEntropyLoss(label_smoothing=0.001), problem.data),
    ):
        with pytest.raises(InputError, match=r"train_loss at x = .* is stored as .* but measures"):
            random_plane(tmp_path / "s.h5", problem=other)
    assert digest(tmp_path / "s.h5") == before


def test_the_place_of_a_changed_point_is_that_of_the_file(tmp_path: Path) -> None:
    problem, follow = coordinates(lambda a, b: 100 * a + b + 1)
    plane(problem, tmp_path / "s.h5", (1, 2, 2), (1, 2, 2))
    follow.function = lambda a, b: 100 * a + b
    with pytest.raises(InputError, match="at x = 1, y = 1 is stored as 102 but measures 101"):
        plane(problem, tmp_path / "s.h5", (-3, 2, 6), (-1, 2, 4))


def test_several_draws_resume_and_extend(tmp_path: Path) -> None:
    def draws(path: Path | None, seeds: list[int]) -> Surface:
        return landscape.line(classified(), x=(-1, 1, 3), seeds=seeds, to=path, **QUIET)

    whole = draws(None, [4, 2, 9])
    for seeds in ([4], [4], [4, 2], [4, 2, 9], [4, 2, 9]):
        surface = draws(tmp_path / "s.h5", seeds)
    assert np.array_equal(surface.values["train_loss"], whole.values["train_loss"])
    assert [run["points"] for run in surface.runs] == [3, 0, 3, 3, 0]


def test_a_seed_of_several_is_the_line_of_that_seed() -> None:
    several = landscape.line(classified(), x=(-1, 1, 3), seeds=[4, 2], **QUIET)
    for i, seed in enumerate((4, 2)):
        alone = landscape.line(classified(), x=(-1, 1, 3), seed=seed, **QUIET)
        assert np.array_equal(several.values["train_loss"][:, i], alone.values["train_loss"])


def test_a_copy_of_the_model_resumes_too(tmp_path: Path) -> None:
    problem = classified()
    random_plane(tmp_path / "s.h5", problem=problem, time_limit=0)
    torch.save(problem.model.state_dict(), tmp_path / "a.pt")
    other = Problem(copy.deepcopy(problem.model), nn.CrossEntropyLoss(), problem.data)
    assert random_plane(tmp_path / "s.h5", problem=other, start=tmp_path / "a.pt").complete
