"""Commands, options and axes that are wrong or do not go together."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch

LINE = "line small_problems:net a.pt -o out.h5"
PLANE = "surface small_problems:net a.pt -o out.h5"


@pytest.mark.parametrize(
    ("axis", "says"),
    [
        ("1:2", ['"1:2"', "start:stop:n", "-1:1:51"]),
        ("", ["--x", "is empty"]),
        ("a:b:c", ['"a:b:c"', "start:stop:n"]),
        ("-1:1:2.5", ['"-1:1:2.5"', "whole number"]),
        ("-1:1:51:2", ["start:stop:n"]),
        ("nan:1:5", ["finite"]),
        ("-1:inf:5", ["finite"]),
        ("-1:1:0", ["at least one point", "asks for 0"]),
        ("-1:1:-5", ["at least one point", "asks for -5"]),
        ("-1:1:1", ["one point", "more points"]),
        ("1:1:5", ["repeats"]),
        ("-1e308:1e308:5", ["1e+150", "-1e+308"]),
        ("0:1e-320:5", ["steps", "1e-150"]),
        ("-1:1:1000000000000", ["1,000,000,000,000 points", "fewer"]),
    ],
)
@pytest.mark.parametrize("option", ["--x {}", "--x={}"])
def test_bad_axis(refuse, axis, says, option):
    refuse(f"{LINE} {option.format(axis or repr(''))}", *says)


def test_bad_second_axis(refuse):
    refuse(f"{PLANE} --y 1:2", "--y", '"1:2"', "start:stop:n")
    refuse(f"{PLANE} --x -1:1:3 --y nan:1:3", "finite")


@pytest.mark.parametrize("words", [f"{LINE} --x -1:1:1000000", f"{PLANE} --x -1:1:1000 --y -1:1:1000"])
def test_a_million_points_need_a_yes(refuse, words):
    refuse(words, "1,000,000 points", "--yes", "fewer")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("lien a b", ['"lien"', 'did you mean "line"?', "landscape --help"]),
        ("surfaces a b", ['did you mean "surface"?']),
        ("--nonsense", ["--nonsense", "landscape --help"]),
        (f"{LINE} --normalise layer", ["--normalise", 'did you mean "--normalize"?', "landscape line --help"]),
        (f"{LINE} --verbose", ["--verbose", "landscape line --help"]),
        (f"{LINE} --seed=1 --tim 5m", ["--tim", 'did you mean "--time-limit"?']),
        (f"{LINE} -q", ["-q", "landscape line --help"]),
        (f"{LINE} b.pt c.pt", ["c.pt", "landscape line --help"]),
        (f"{PLANE} --seeds 1..3", ["--seeds", 'did you mean "--seed"?']),
        (f"{LINE} --normalize filtre", ["--normalize", 'did you mean "filter"?']),
        (f"{LINE} --normalize Filter", ["--normalize", 'did you mean "filter"?']),
        (f"{LINE} --bn freeze", ["--bn", 'did you mean "frozen"?']),
        (f"{LINE} --precision fp23", ["--precision", 'did you mean "fp32"?']),
        (f"{LINE} --ignore biases", ['did you mean "bias"?']),
        (f"{LINE} --ignore bias,nrom", ['did you mean "norm"?']),
        (f"{LINE} --only 'lost.*'", ['"lost.*"', "no parameter"]),
        (f"{LINE} --split trian", ['did you mean "train"?']),
        (f"{LINE} --split train,,test", ["split", "train"]),
        (f"{LINE} --split train,train", ["train", "twice"]),
        (f"{LINE} --device gpu", ['"gpu"', "cuda"]),
        (f"{LINE} --device cuda:x", ['"cuda:x"', "cuda:0"]),
        (f"{LINE} --device cpu:1", ['"cpu:1"']),
        (f"{LINE} --memory -1G", ['"-1G"', "8G"]),
        (f"{LINE} --seeds -1..3 --bn -inf", ["--bn", '"-inf"', "frozen"]),
        (f"{LINE} --quiet -5", ["--quiet", "-5"]),
        (f"{LINE} --tolerance -1e-3", ["tolerance is -0.001", "between 0"]),
        ("plot plane.h5 --clip -inf", ["clip -inf"]),
        (f"{LINE} --seed 1e3", ["--seed", '"1e3"', "not a whole number"]),
        (f"{LINE} --tolerance ''", ["--tolerance", "is empty"]),
        (f"{LINE} --threads '\"'", ["--threads", "not a whole number"]),
        (f"{LINE} --ignore none,bias", ["none stands alone"]),
        (f"{LINE} --x 0:1e100:3", ["x reaches 1e+100", "infinite in float32", "smaller range"]),
        (f"{LINE} --x=-1e-100:1e-100:3", ["x has a point at 1e-100", "0 in float32", "larger range"]),
        (f"{PLANE} --y 0:1e-100:5", ["y has a point at", "0 in float32"]),
        ("line small_problems:net '' -o out.h5", ["CKPT_A", "is empty"]),
        (f"{LINE} --device cuda:²", ['"cuda:²"', "cuda:0"]),
        (f"{LINE} --device cuda:{'9' * 5000}", ["unknown device", "cuda:0"]),
        (f"{LINE} --examples ²", ['"²"', "first:1000"]),
        (f"{LINE} --examples first:²", ['"first:²"', "first:1000"]),
        (f"{LINE} --examples {'9' * 5000}", ["examples", "first:1000"]),
        (f"{LINE} --part ²/3", ["²/3"]),
        (f"{LINE} --time-limit ²m", ['"²m"', "55m"]),
        (f"{LINE} --memory ²G", ['"²G"', "8G"]),
        (f"{LINE} --precision tf32 --device cpu", ["tf32", "CUDA", "fp32"]),
        (f"{LINE} --threads 0", ["--threads", "must be 1 to 4,096, not 0"]),
        (f"{LINE} --threads two", ["--threads", "two"]),
        (f"{LINE} --threads 100000000000", ["100000000000", "threads"]),
        (f"{LINE} --batch-size 0", ["--batch-size", "must be 1 to 1,000,000,000, not 0"]),
        (f"{LINE} --batch-size -5", ["--batch-size", "not -5"]),
        (f"{LINE} --examples 0", ['"0"', "first:1000"]),
        (f"{LINE} --examples -3", ['"-3"', "first:1000"]),
        (f"{LINE} --examples last:5", ['"last:5"', "first:1000"]),
        (f"{LINE} --examples first:", ['"first:"', "first:1000"]),
        (f"{LINE} --tolerance much", ["--tolerance", "much"]),
        (f"{LINE} --tolerance -0.1", ["-0.1", "between 0"]),
        (f"{LINE} --tolerance 1", ["tolerance is 1", "between 0"]),
        (f"{LINE} --tolerance nan", ["tolerance is nan", "between 0"]),
        (f"{LINE} --basin-level nan", ["level", "nan"]),
        (f"{LINE} --basin-level -1", ["level", "-1"]),
        (f"{LINE} --batch-size 99999999999999999999", ["--batch-size", "not 99999999999999999999"]),
        (f"{LINE} --seed 99999999999999999999", ["99999999999999999999", "2^53"]),
        (f"{LINE} --seeds 1,99999999999999999999", ["99999999999999999999", "2^53"]),
        (f"{LINE} --device CPU", ['"CPU"', 'did you mean "cpu"?']),
        (f"{LINE} --only '\x1b[31mred'", ["?[31mred"]),
        ("demo --seed half", ["--seed", "half"]),
        ("demo --out a.pt", ["a.pt", "--out"]),
        (f"{LINE} --seed half", ["--seed", "half"]),
        (f"{LINE} --seeds 1", ["--seeds", "two", "--seed"]),
        (f"{LINE} --seeds 3..1", ["--seeds", "two"]),
        (f"{LINE} --seeds 1,1", ["--seeds", "two"]),
        (f"{LINE} --seeds one..three", ["--seeds", "one..three"]),
        (f"{LINE} --seeds 1..1000000000000", ["--seeds", "10,000"]),
        (f"{LINE} --seeds 1..3 --save-directions --x -1:1:3", ["--save-directions", "seeds"]),
        (f"{LINE} --time-limit soon", ['"soon"', "55m"]),
        (f"{LINE} --time-limit -5", ['"-5"', "55m"]),
        (f"{LINE} --time-limit 5minutes", ['"5minutes"', "55m"]),
        ("line small_problems:net a.pt", ["-o/--out", "landscape line --help"]),
        ("surface small_problems:net a.pt", ["-o/--out"]),
        ("export plane.h5", ["-o/--out"]),
        ("import theirs.h5", ["-o/--out"]),
        ("line small_problems:net -o out.h5", ["CKPT_A"]),
        ("show", ["FILE.h5"]),
        ("diff plane.h5", ["B.h5"]),
        ("diff plane.h5 plane.h5 --tolerance -1", ["--tolerance", "0 or more, not -1"]),
        ("diff plane.h5 plane.h5 --tolerance nan", ["--tolerance", "0 or more, not nan"]),
        ("plot plane.h5 --kind conture", ["--kind", 'did you mean "contour"?']),
        ("plot plane.h5 --clip high", ["--clip", "high"]),
        ("plot", ["FILE.h5"]),
        ("plot ''", ["FILE.h5", "is empty"]),
        ("plot .", ["no name of a file"]),
        ("show ''", ["FILE.h5", "is empty"]),
        ("diff plane.h5 ''", ["B.h5", "is empty"]),
        ("surface small_problems:net a.pt '' c.pt -o out.h5", ["CKPT_B", "is empty"]),
        (f"{LINE} --directions ''", ["--directions", "is empty"]),
        (f"{LINE} --split ,", ["--split", '","', "without a name"]),
        ("plot plane.h5 --camera 33", ["--camera", '"33"', "33,-58"]),
        ("view plane.h5 --live --port 70000", ["--port", "must be 1 to 65,535, not 70000"]),
        ("demo --seed -1", ["--seed", "not -1"]),
        ("demo --seed 99999999999999999999", ["--seed", "not 99999999999999999999"]),
        ("train digits-mlp-1x4 --epochs 99999999999999999999999", ["--epochs", "not 99999999999999999999999"]),
        ("train digits-mlp-1x4 --epochs 0", ["--epochs", "1 to"]),
        ("train digits-mlp-1x4 --precision fp23", ["--precision", 'did you mean "fp32"?']),
    ],
)
def test_bad_option(refuse, words, says):
    refuse(words, *says)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("surface small_problems:net a.pt b.pt -o out.h5", ["two", "landscape line"]),
        ("line small_problems:net a.pt b.pt -o out.h5 --normalize filter", ["--normalize", "random directions"]),
        ("surface small_problems:net a.pt b.pt c.pt -o out.h5 --normalize layer", ["--normalize", "random directions"]),
        ("line small_problems:net a.pt b.pt -o out.h5 --seeds 1..3", ["seeds", "between two checkpoints"]),
        (f"{LINE} --bn interpolated", ["--bn interpolated", "frozen or recalibrated"]),
        (f"{PLANE} --bn interpolated", ["--bn interpolated", "frozen or recalibrated"]),
        ("line small_problems:net a.pt b.pt -o out.h5 --directions plane.h5", ["--directions", "several checkpoints"]),
        (f"{LINE} --directions plane.h5 --normalize filter", ["--normalize", "used as they are"]),
        (f"{LINE} --directions plane.h5 --seeds 1..3", ["--seeds", "used as they are"]),
        ("line small_problems:few a.pt -o out.h5 --tolerance 0.1", ['"train"', "64", "63"]),
        (f"{LINE} --examples 63 --tolerance 0.1", ['"train"', "64", "63"]),
    ],
)
def test_options_that_do_not_go_together(refuse, words, says):
    refuse(words, *says)


def test_cuda_where_there_is_none(refuse, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    refuse(f"{LINE} --device cuda", '"cuda"', "no CUDA device", "--device cpu")
    refuse(f"{LINE} --device cuda:3", '"cuda:3"', "no CUDA device", "--device cpu")


def test_cuda_device_that_is_not_there(refuse, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    refuse(f"{LINE} --device cuda:2", '"cuda:2"', "cuda:0 to cuda:1")


def write_directions(path, **changes):
    """A direction file of our own format: the plane's, some of its arrays replaced, left out (None) or added."""
    with h5py.File(path, "r+") as file:
        for name, array in changes.items():
            place = f"direction_x/{name}"
            if place in file:
                del file[place]
            if array is not None:
                file[place] = array


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"first.weight": np.ones((9, 4))}, ["first.weight", "(9, 4)", "(8, 4)"]),
        ({"second.weight": np.ones((2, 2))}, ["second.weight", "another model"]),
        ({"first.weight": np.full((8, 4), np.nan)}, ["not finite"]),
        ({"first.weight": np.zeros((8, 4)), "last.weight": np.zeros((3, 8))}, ["zero"]),
    ],
)
def test_direction_file_that_does_not_fit(here, refuse, changes, says):
    write_directions("plane.h5", **changes)
    refuse(f"{LINE} --directions plane.h5", "plane.h5", *says)


@pytest.mark.parametrize(
    ("file", "says"),
    [("gone.h5", ["gone.h5", "no such file"]), ("line.h5", ["line.h5", "--save-directions"]), ("a.pt", ["a.pt", "not HDF5"])],
)
def test_file_without_directions(refuse, file, says):
    refuse(f"{LINE} --directions {file}", *says)


def test_direction_for_another_architecture(refuse):
    refuse("line small_problems:wider b.pt --directions plane.h5 -o out.h5", "first.weight")


def test_their_direction_file_of_another_model(here, refuse):
    with h5py.File("theirs.h5", "w") as file:
        for i in range(3):
            file[f"xdirection/{i}"] = np.ones((2, 2))
    refuse(f"{LINE} --directions theirs.h5", "theirs.h5", "3 arrays", "another model")


def test_no_command_shows_the_help(run):
    outcome = run("")
    assert outcome.code == 2
    assert "usage: landscape" in outcome.out
    assert outcome.err == ""
