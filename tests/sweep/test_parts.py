"""Parts of one surface, computed by processes that know nothing of each other, and put together again."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from cases import perceptron, tokens

import landscape
from landscape import Problem, Surface, io
from landscape.core.surface import BY_METRIC
from landscape.errors import InputError
from landscape.sweep.blocks import Part, blocks_of

QUIET = {"quiet": True, "threads": 1, "device": "cpu"}
AXES = {"x": (-1, 1, 9), "y": (-1, 1, 7)}


def plane(problem: Problem, to: Path | None = None, **options: Any) -> Surface:
    return landscape.surface(problem, to=to, **{**AXES, **QUIET, **options})


def parts(folder: Path, n: int, make: Callable[[], Problem] = perceptron, **options: Any) -> list[Path]:
    files = [folder / f"part-{k}.h5" for k in range(1, n + 1)]
    for k, file in enumerate(files, start=1):
        plane(make(), file, part=f"{k}/{n}", **options)
    return files


def check_same(ours: Surface, theirs: Surface) -> None:
    assert ours.metrics == theirs.metrics
    for kind in BY_METRIC:
        for key, array in getattr(ours, kind).items():
            assert np.array_equal(getattr(theirs, kind)[key], array, equal_nan=True), (kind, key)
    for split, array in ours.examples.items():
        assert np.array_equal(theirs.examples[split], array)
    assert ours.attributes == theirs.attributes
    assert ours.numbers == theirs.numbers
    assert ours.points == theirs.points
    assert {**ours.data} == {**theirs.data}


def change(path: Path, name: str, deed: Callable[[Any], None]) -> None:
    with h5py.File(path, "r+") as file:
        deed(file[name])


# --- blocks and parts ---


def test_blocks_follow_from_the_grid_alone() -> None:
    indices = [(i,) for i in range(10)]
    assert blocks_of([], indices, 4) == [indices[:4], indices[4:8], indices[8:]]
    assert blocks_of([(7,), (2,)], indices, 4)[0] == [(7,), (2,), (0,), (1,)]
    assert sorted(index for block in blocks_of([(7,), (2,)], indices, 3) for index in block) == indices
    assert blocks_of([], [], 4) == []
    assert blocks_of([], indices, 100) == [indices]


@pytest.mark.parametrize("n", [1, 2, 3, 7, 20])
def test_parts_share_the_blocks_out(n: int) -> None:
    blocks = blocks_of([], [(i,) for i in range(50)], 4)
    shares = [Part(k, n).of_blocks(blocks) for k in range(1, n + 1)]
    assert sorted(block for share in shares for block in share) == sorted(blocks)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_the_text_of_a_part() -> None:
    assert Part.of(None) == Part(1, 1)
    assert Part.of(" 3 / 10 ") == Part(3, 10)
    assert (str(Part(3, 10)), str(Part())) == ("3/10", "")
    for text in ("0/3", "4/3", "3", "a/b", "1/0", "-1/3", "1/3/5", "1.5/3", "", f"1/{10**9}", "1/1" + "0" * 5000):
        with pytest.raises(InputError, match="is not like 3/10"):
            Part.of(text)


# --- together again ---


@pytest.mark.parametrize("engine", ["eager", "batched"])
@pytest.mark.parametrize("n", [1, 3])
def test_all_parts_are_the_whole_run_bit_for_bit(tmp_path: Path, engine: str, n: int) -> None:
    whole = plane(perceptron(), tmp_path / "whole.h5", engine=engine, split="train,test")
    files = parts(tmp_path, n, engine=engine, split="train,test")
    for file in files:
        part = landscape.read(file)
        assert part.complete == (n == 1)
        assert part.runs[-1]["left"] == 0
        assert part.runs[-1].get("part", "") == (f"{files.index(file) + 1}/{n}" if n > 1 else "")
    merged = landscape.merge(files[::-1], tmp_path / "all.h5", quiet=True)
    assert merged.complete
    for surface in (merged, landscape.read(tmp_path / "all.h5")):
        check_same(landscape.read(tmp_path / "whole.h5"), surface)
        assert surface.checks["passed"] == 1
        assert surface.checks["nan_count"] == 0
        assert [run.get("part", "") for run in surface.runs] == ([f"{k}/{n}" for k in range(n, 0, -1)] if n > 1 else [""])
    check_same(whole, landscape.merge(files, quiet=True))  # in memory
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["all.h5", "whole.h5", *(file.name for file in files)])


def test_more_parts_than_blocks_leave_some_with_nothing(tmp_path: Path) -> None:
    """63 points in blocks of 16 are four: the fifth part has none, and its file is as good as the others."""
    files = parts(tmp_path, 5, engine="batched")
    assert [int(landscape.read(file).done["train_loss"].sum()) for file in files] == [16, 16, 16, 15, 0]
    check_same(plane(perceptron(), engine="batched"), landscape.merge(files, quiet=True))


def test_a_part_that_was_ended_goes_on_by_itself(tmp_path: Path) -> None:
    file = tmp_path / "part.h5"
    first = plane(perceptron(), file, part="2/3", time_limit=0)
    assert not first.done["train_loss"].any()
    assert first.runs[-1]["left"] == 21
    second = plane(perceptron(), file, part="2/3")
    assert second.done["train_loss"].sum() == 21
    assert second.runs[-1]["left"] == 0
    whole = plane(perceptron(), file)  # and the whole grid can be asked for at any time
    assert whole.complete
    assert whole.runs[-1]["points"] == 63 - 21
    check_same(plane(perceptron()), whole)


def test_an_odd_value_is_merged_as_it_was_measured(tmp_path: Path) -> None:
    odd = {(0.0, 0.0): 0.0, (1.0, 0.0): math.nan, (0.0, 1.0): math.inf, (1.0, 1.0): -math.inf}

    function = landscape.LambdaObjective(lambda a, b: odd.get((a, b), 100 * a + b))

    files = [tmp_path / f"{k}.h5" for k in (1, 2)]
    for k, file in enumerate(files, start=1):
        landscape.surface(function, x=(0, 2, 3), y=(0, 1, 2), to=file, part=f"{k}/2", **QUIET)
    whole = landscape.surface(function, x=(0, 2, 3), y=(0, 1, 2), **QUIET)
    merged = landscape.merge([*files, *files[::-1]], quiet=True)  # every part twice: not-a-number agrees with itself
    assert np.array_equal(merged.values["train_loss"], whole.values["train_loss"], equal_nan=True)
    assert merged.checks["nan_count"] == 3
    assert len(merged.runs) == 2  # a run is told once


def test_a_missing_part_leaves_a_file_to_go_on_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = parts(tmp_path, 3)
    merged = landscape.merge([files[0], files[2]], tmp_path / "all.h5")
    assert "21 of 63 points are in none of the 2 files" in capsys.readouterr().err
    assert not merged.complete
    assert np.isnan(merged.values["train_loss"][~merged.done["train_loss"]]).all()
    after = plane(perceptron(), tmp_path / "all.h5")
    assert after.runs[-1]["points"] == 21
    check_same(plane(perceptron()), after)


def test_parts_of_smaller_axes_find_their_place(tmp_path: Path) -> None:
    plane(perceptron(), tmp_path / "coarse.h5", x=(-1, 1, 5), y=(0, 1, 4))
    files = [tmp_path / "coarse.h5", *parts(tmp_path, 2)]
    check_same(plane(perceptron()), landscape.merge(files, quiet=True))
    with_hole = landscape.merge(files[:2], quiet=True)
    done = landscape.read(files[1]).done["train_loss"].copy()
    done[np.ix_(range(0, 9, 2), range(3, 7))] = True
    assert np.array_equal(with_hole.done["train_loss"], done)
    whole = plane(perceptron()).values["train_loss"]
    assert np.array_equal(with_hole.values["train_loss"][done], whole[done])


def test_each_split_keeps_its_examples_and_errors(tmp_path: Path) -> None:
    """One file holds one split, the other the rest: nothing of one is told of the other."""
    plane(perceptron(), tmp_path / "train.h5", part="1/2")
    plane(perceptron(), tmp_path / "both.h5", split="train,test", part="2/2")
    merged = landscape.merge([tmp_path / "train.h5", tmp_path / "both.h5"], quiet=True)
    first, second = (landscape.read(tmp_path / name) for name in ("train.h5", "both.h5"))
    assert merged.done["train_loss"].all()
    assert np.array_equal(merged.done["test_loss"], second.done["test_loss"])
    assert np.array_equal(merged.examples["test"], second.examples["test"])
    assert (merged.examples["train"] == 29).all()
    assert np.array_equal(np.isfinite(merged.stderr["test_loss"]), second.done["test_loss"])
    for ends in (merged.low, merged.high):  # of a fraction
        assert np.array_equal(
            ends["test_accuracy"], np.where(second.done["test_loss"], merged.values["test_accuracy"], np.nan), equal_nan=True
        )
    done = first.done["train_loss"]
    assert np.array_equal(merged.values["train_loss"][done], first.values["train_loss"][done])
    # The other way round, and once more where a file has fewer examples of a split measured already (as a tolerance makes).
    changed = replace(second, examples={**second.examples, "train": second.examples["train"] * 0 + 7})
    io.write(changed, tmp_path / "changed.h5")
    plane(perceptron(), tmp_path / "all.h5", split="train")
    again = landscape.merge([tmp_path / "all.h5", tmp_path / "changed.h5"], quiet=True)
    assert (again.examples["train"] == 29).all()  # its training values are those of the first file


def test_a_part_of_another_machine_is_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = parts(tmp_path, 2)

    def elsewhere(run: Any) -> None:
        run.attrs["host"] = "elsewhere"
        run.attrs["torch"] = "1.0"

    change(files[1], "runs/0", elsewhere)
    landscape.merge(files, tmp_path / "all.h5")
    err = capsys.readouterr().err
    assert f"{files[1]} was made otherwise than {files[0]}: torch" in err
    assert "last digits may differ" in err
    runs = landscape.read(tmp_path / "all.h5").runs
    assert [(run["host"] == "elsewhere", run["part"]) for run in runs] == [(False, "1/2"), (True, "2/2")]


# --- what does not go together ---


def test_overlapping_parts_have_to_agree(tmp_path: Path) -> None:
    files = parts(tmp_path, 2)
    whole = plane(perceptron(), tmp_path / "whole.h5").values["train_loss"]

    def scaled(by: float) -> None:
        def deed(dataset: Any) -> None:
            dataset[4, 3] = whole[4, 3] * by

        change(tmp_path / "whole.h5", "values/train_loss", deed)

    scaled(1 + 9e-6)  # another machine may round so
    merged = landscape.merge([*files, tmp_path / "whole.h5"], quiet=True)
    assert np.array_equal(merged.values["train_loss"], whole)  # the first one's are taken
    scaled(1 + 2e-5)
    with pytest.raises(InputError) as caught:
        landscape.merge([*files, tmp_path / "whole.h5"], tmp_path / "all.h5", quiet=True)
    holder = next(file for file in files if landscape.read(file).done["train_loss"][4, 3])
    for word in (str(tmp_path / "whole.h5"), str(holder), "train_loss", "x = 0, y = 0", "1e-05"):
        assert word in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "all.h5").exists()
    change(tmp_path / "whole.h5", "values/train_loss", lambda dataset: dataset.__setitem__((4, 3), math.nan))
    with pytest.raises(InputError, match="train_loss at x = 0, y = 0 is nan"):
        landscape.merge([*files, tmp_path / "whole.h5"], quiet=True)


@pytest.mark.parametrize(
    ("first", "second"), [(math.inf, 1.0), (1.0, math.inf), (-math.inf, 1.0), (math.inf, -math.inf), (math.inf, math.nan)]
)
def test_an_infinite_value_agrees_with_itself_alone(tmp_path: Path, first: float, second: float) -> None:
    """A share of the larger of two values is infinite where one of them is: a finite one may not pass for it."""
    for name, value in {"a": first, "b": second}.items():
        function = landscape.LambdaObjective(lambda a, b, value=value: value)
        landscape.surface(function, x=(0, 1, 2), y=(0, 1, 2), to=tmp_path / f"{name}.h5", **QUIET)
    merged = landscape.merge([tmp_path / "a.h5"] * 2, quiet=True)
    assert (merged.values["train_loss"] == first).all()
    with pytest.raises(InputError, match=f"b.h5: train_loss at x = 0, y = 0 is {second:.9g}, in .*a.h5 {first:.9g};"):
        landscape.merge([tmp_path / "a.h5", tmp_path / "b.h5"], quiet=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"seed": 1}, "seed of direction x"),
        ({"normalize": "layer"}, "normalize of direction x"),
        ({"ignore": "none"}, "ignore"),
        ({"examples": 11}, "data split train"),
        ({"precision": "bf16", "audit_tolerance": 1.0}, "precision"),
        ({"x": (-1, 1, 4)}, "x axis"),
        ({"x": (-1, 2, 9)}, "x axis"),
    ],
)
def test_parts_of_another_subject_are_refused(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    plane(perceptron(), tmp_path / "a.h5", part="1/2")
    plane(perceptron(), tmp_path / "b.h5", part="2/2", **options)
    for files in (["a.h5", "b.h5"], ["b.h5", "a.h5"]):
        with pytest.raises(InputError, match=words) as caught:
            landscape.merge([tmp_path / file for file in files], tmp_path / "all.h5", quiet=True)
        for file in files:
            assert file in str(caught.value)
        assert "--overwrite" not in str(caught.value)  # which would be of no help here
        assert not (tmp_path / "all.h5").exists()


def test_other_models_kinds_and_data_are_refused(tmp_path: Path) -> None:
    plane(perceptron(), tmp_path / "a.h5")
    plane(tokens(), tmp_path / "b.h5")
    landscape.line(perceptron(), x=(-1, 1, 9), to=tmp_path / "c.h5", **QUIET)
    for file, words in {"b.h5": "another model", "c.h5": "another kind"}.items():
        with pytest.raises(InputError, match=words):
            landscape.merge([tmp_path / "a.h5", tmp_path / file], quiet=True)


def test_data_that_only_later_files_hold_have_to_agree_too(tmp_path: Path) -> None:
    """The first file knows nothing of the test split, of which the second and the third hold different examples."""
    plane(perceptron(), tmp_path / "train.h5")
    plane(perceptron(), tmp_path / "all.h5", split="test", part="1/2")
    plane(perceptron(), tmp_path / "few.h5", split="test", part="2/2", examples="first:5")
    files = [tmp_path / name for name in ("train.h5", "all.h5", "few.h5")]
    with pytest.raises(InputError, match=r"few\.h5: .* data split test") as caught:
        landscape.merge(files, quiet=True)
    assert "all.h5" in str(caught.value) or "train.h5" in str(caught.value)


# --- lossy precision ---


def test_every_part_is_audited_and_the_worst_is_kept(tmp_path: Path) -> None:
    options = {"precision": "bf16", "audit_tolerance": 0.5, "engine": "eager"}
    whole = plane(perceptron(), tmp_path / "whole.h5", **options)
    files = parts(tmp_path, 3, **options)
    for file in files:
        part = landscape.read(file)
        assert part.checks["audit_points"] == whole.checks["audit_points"] > 1
        assert part.checks["audit_relative"] == whole.checks["audit_relative"] > 0
        assert part.runs[-1]["points"] == part.done["train_loss"].sum() == 21
    change(files[1], "checks", lambda checks: checks.attrs.__setitem__("audit_relative", 0.4))
    merged = landscape.merge(files, quiet=True)
    assert merged.checks["audit_relative"] == 0.4
    check_same(whole, merged)


def test_a_check_that_failed_in_one_part_failed_for_all(tmp_path: Path) -> None:
    files = parts(tmp_path, 3)
    change(files[1], "checks", lambda checks: checks.attrs.__setitem__("passed", 0))
    assert landscape.merge(files, quiet=True).checks["passed"] == 0
