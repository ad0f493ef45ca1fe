"""Parts and merge on the command line: what cannot be a part, files that do not go together, outputs in the way."""

from __future__ import annotations

import fcntl
import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

import landscape

PLANE = "surface small_problems:net a.pt --x -1:1:5 --y -1:1:3 --quiet"


@pytest.fixture
def parts(run, here):
    for k in (1, 2, 3):
        assert run(f"{PLANE} --part {k}/3 -o p{k}.h5").code == 0
    return here


@pytest.mark.parametrize("part", ["0/3", "4/3", "3", "1/0", "a/b", "-1/3", "1/99999999", "1//3", "1/" + "9" * 5000])
def test_text_that_is_no_part(run, part, one_line, here):
    outcome = run(f"{PLANE} --part={part} -o out.h5")
    assert outcome.code == 2
    one_line(outcome.err, "part", "is not like 3/10")
    assert not (here / "out.h5").exists()


def test_a_part_says_what_to_do_with_it(run):
    outcome = run(f"{PLANE.removesuffix(' --quiet')} --part 2/3 -o p.h5")
    assert outcome.code == 0
    assert "part 2/3 is done: 5 of 15 points are in p.h5; landscape merge puts parts together" in outcome.err
    again = run(f"{PLANE.removesuffix(' --quiet')} --part 2/3 -o p.h5")
    assert again.code == 0


def test_a_part_out_of_time(run):
    outcome = run(f"{PLANE.removesuffix(' --quiet')} --part 2/3 --time-limit 0 -o p.h5")
    assert outcome.code == 3
    assert "stopped at the time limit: 0 of 15 points are in p.h5" in outcome.err
    assert "5 are left" in outcome.err or "run the same command again" in outcome.err


def test_merge_puts_parts_together(run, parts):
    outcome = run("merge p3.h5 p1.h5 p2.h5 -o all.h5")
    assert (outcome.code, outcome.err) == (0, "")
    assert "a plane of 5 × 3 points, complete" in outcome.out
    assert outcome.out.endswith("all.h5\n")
    assert run(f"{PLANE} -o whole.h5").code == 0
    same = run("diff all.h5 whole.h5")
    assert (same.code, same.out.splitlines()[-1]) == (0, "the same")
    quiet = run("merge p1.h5 p2.h5 p3.h5 -o quiet.h5 --quiet")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")


def test_merge_for_machines(run, parts):
    outcome = run("merge p1.h5 p2.h5 p3.h5 -o all.h5 --json")
    told = json.loads(outcome.out)
    assert (outcome.code, told["file"], told["complete"], told["shape"]) == (0, "all.h5", True, [5, 3])
    assert [entry["part"] for entry in told["runs"]] == ["1/3", "2/3", "3/3"]
    assert told["values"]["train_loss"]["min"] > 0


def test_merge_of_too_few_is_valid_and_incomplete(run, parts):
    outcome = run("merge p1.h5 p3.h5 -o all.h5")
    assert outcome.code == 3
    assert "5 of 15 points are in none of the 2 files" in outcome.err
    assert "incomplete: 10 of 15 points measured" in outcome.out
    assert run(f"{PLANE} -o all.h5").code == 0
    assert landscape.read("all.h5").complete


def test_merge_of_one_file(run, parts):
    assert run("merge p1.h5 -o all.h5 --quiet").code == 3
    ours, theirs = landscape.read("p1.h5"), landscape.read("all.h5")
    assert np.array_equal(ours.values["train_loss"], theirs.values["train_loss"], equal_nan=True)


def test_merge_of_nothing(refuse):
    refuse("merge -o all.h5", "PART.h5")


def test_merge_over_one_of_its_parts(refuse, parts):
    (parts / "again.h5").symlink_to("p1.h5")
    for out in ("p1.h5", "./p1.h5", "again.h5"):
        refuse(f"merge p1.h5 p2.h5 -o {out} --overwrite", "is an input of this command")


def test_merge_over_a_file_that_is_there(run, refuse, parts):
    refuse("merge p1.h5 p2.h5 p3.h5 -o plane.h5", "plane.h5", "already exists", "--overwrite")
    assert run("merge p1.h5 p2.h5 p3.h5 -o plane.h5 --overwrite --quiet").code == 0
    assert landscape.read("plane.h5").shape == (5, 3)


@pytest.mark.parametrize("out", ["gone/all.h5", "folder", "a.pt/all.h5"])
def test_merge_to_a_place_that_is_none(refuse, parts, out):
    (parts / "folder").mkdir()
    refuse(f"merge p1.h5 p2.h5 p3.h5 -o {out}", out.partition("/")[0])


@pytest.mark.parametrize("level", ["0", "-1", "nan", "inf"])
def test_merge_with_a_level_that_is_none(refuse, parts, level):
    refuse(f"merge p1.h5 p2.h5 p3.h5 -o all.h5 --basin-level={level}", "level")


def test_merge_of_files_that_are_none(refuse, parts):
    Path("text.h5").write_text("no HDF5")
    Path("short.h5").write_bytes(Path("p2.h5").read_bytes()[:3000])
    Path("empty.h5").touch()
    with h5py.File("other.h5", "w") as file:
        file["train_loss"] = np.zeros(3)
    for bad in ("text.h5", "short.h5", "empty.h5", "other.h5", "gone.h5", "a.pt"):
        refuse(f"merge p1.h5 {bad} p3.h5 -o all.h5", bad)


def test_merge_of_hostile_parts(refuse, parts):
    """What a stranger may have put into a part: links out of it, sizes that fit nothing, marks without values."""

    def hostile(deed):
        shutil.copy("p2.h5", "bad.h5")
        with h5py.File("bad.h5", "r+") as file:
            deed(file)

    def link(file):
        del file["values/train_loss"]
        file["values/train_loss"] = h5py.ExternalLink("p1.h5", "values/train_loss")

    def reshaped(file):
        del file["done/train_loss"]
        file["done/train_loss"] = np.ones((5, 4), dtype=np.uint8)

    def unmarked(file):
        del file["done"]

    def wide(file):
        del file["x"]
        file["x"] = np.linspace(-1, 1, 6)

    for deed in (link, reshaped, unmarked, wide):
        hostile(deed)
        refuse("merge p1.h5 bad.h5 p3.h5 -o all.h5", "bad.h5")


def test_merge_of_disagreeing_parts(refuse, parts):
    shutil.copy("p2.h5", "bad.h5")
    with h5py.File("bad.h5", "r+") as file:
        file["values/train_loss"][...] = file["values/train_loss"][...] * 1.0001
    refuse("merge p1.h5 p2.h5 bad.h5 -o all.h5", "bad.h5: train_loss at x = ", "in p2.h5", "1e-05")


@pytest.mark.parametrize(("more", "word"), [("--seed 1", "seed"), ("--split test", None), ("--x -1:1:4", "x axis")])
def test_merge_of_other_runs(run, refuse, parts, more, word):
    assert run(f"{PLANE} {more} -o other.h5").code == 0
    if word:
        refuse("merge p1.h5 other.h5 -o all.h5", word, "other.h5", "p1.h5")
    else:  # another split is a further metric of the same subject
        assert run("merge p1.h5 p2.h5 p3.h5 other.h5 -o all.h5 --quiet").code == 0
        assert next(iter(landscape.read("all.h5").metrics)) == "train_loss"


def test_merge_over_a_file_that_a_sweep_is_writing(refuse, parts):
    with Path("plane.h5").open("rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # as HDF5 does
        refuse("merge p1.h5 p2.h5 p3.h5 -o plane.h5 --overwrite", "plane.h5", "another process has it open")
