"""What the command line says when all is well: help, version, JSON, silence, tracebacks on demand."""

from __future__ import annotations

import json
import os

import pytest

from landscape.cli.parser import COMMANDS


def strict(text: str) -> object:
    """JSON in the sense of its standard, which knows neither NaN nor Infinity."""

    def refuse(word: str) -> None:
        raise ValueError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_help(run):
    outcome = run("--help")
    assert outcome.code == 0
    assert outcome.err == ""
    for command in COMMANDS:
        assert f"\n    {command} " in outcome.out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_ends_with_an_example(run, command):
    outcome = run(f"{command} --help")
    assert outcome.code == 0
    assert outcome.err == ""
    words = " ".join(outcome.out.split())
    assert f"example: {COMMANDS[command].example}" in words
    assert COMMANDS[command].example.startswith(f"landscape {command}")


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_of_the_help_are_understood(command):
    import shlex

    from landscape.cli.parser import parse

    assert parse(shlex.split(COMMANDS[command].example)[1:]).command == command


def test_version(run):
    from importlib.metadata import version

    outcome = run("--version")
    assert (outcome.code, outcome.out, outcome.err) == (0, f"landscape {version('torch-landscape')}\n", "")


@pytest.mark.parametrize("words", ["show gone.h5 --debug", "--debug show gone.h5"])
def test_debug_shows_the_traceback(run, words):
    outcome = run(words)
    assert outcome.code == 2
    assert "Traceback (most recent call last)" in outcome.err
    assert "gone.h5: no such file" in outcome.err


def test_an_error_nobody_foresaw_is_one_line_too(run, monkeypatch, one_line):
    import landscape

    def fail(path):
        raise ZeroDivisionError("deep inside\nand more")

    monkeypatch.setattr(landscape, "read", fail)
    outcome = run("show plane.h5")
    assert outcome.code == 1
    one_line(outcome.err, "ZeroDivisionError: deep inside", "--debug")


@pytest.mark.parametrize(
    ("words", "key"),
    [
        ("line small_problems:net a.pt --x -1:1:3 -o out.h5 --json", "numbers"),
        ("line small_problems:net a.pt --x -1:1:3 --seeds 1..2 -o out.h5 --json", "axes"),
        ("line small_problems:net a.pt b.pt --x 0:1:3 --split train,test -o out.h5 --json", "points"),
        ("surface small_problems:net a.pt --x -1:1:3 --y -1:1:3 -o out.h5 --json", "checks"),
        ("surface small_problems:net a.pt b.pt c.pt --x 0:1:2 --y 0:1:2 -o out.h5 --json", "checks"),
        ("line small_problems:net a.pt --x 0:1e30:3 -o out.h5 --json", "values"),
        ("show plane.h5 --json", "runs"),
        ("diff plane.h5 plane.h5 --json", "same"),
    ],
)
def test_json_is_all_there_is_on_standard_output(run, words, key):
    outcome = run(words)
    assert outcome.code == 0, outcome
    assert key in strict(outcome.out)


def test_what_the_users_code_prints_is_no_part_of_the_result(run):
    """As torchvision's data sets do: "Files already downloaded and verified"."""
    outcome = run("line small_problems:chatty a.pt --x -1:1:3 -o out.h5 --json --quiet")
    assert outcome.code == 0
    assert strict(outcome.out)["file"] == "out.h5"
    assert "verified" in outcome.err
    assert "a batch" in outcome.err
    assert "verified" in run("line small_problems:chatty a.pt --x -1:1:3 -o other.h5").out


def test_json_of_the_zoo(run):
    assert "digits-resnet26" in [entry["name"] for entry in strict(run("problems --json").out)]


@pytest.mark.parametrize(("settings", "code"), [("--epochs 1", None), ("--epochs 1 --seed 3", None)])
def test_json_of_a_training(run, settings, code):
    outcome = run(f"train digits-mlp-1x4 {settings} --out there --json --quiet")
    result = strict(outcome.out)
    assert outcome.code == (1 if result["failure"] else 0)
    assert result["end"] == "there/epoch_001.pt"
    assert outcome.err == ""


def test_json_of_a_training_that_diverged(run, monkeypatch):
    from dataclasses import replace

    from landscape import zoo

    train = zoo.train

    def diverge(*arguments, **options):
        return replace(train(*arguments, **options), train_loss=float("nan"), failure="the loss is nan")

    monkeypatch.setattr(zoo, "train", diverge)
    outcome = run("train digits-mlp-1x4 --epochs 1 --out there --json --quiet")
    assert strict(outcome.out)["train_loss"] == "nan"
    assert outcome.code == 1


def test_json_of_files_that_differ(run):
    outcome = run("diff plane.h5 line.h5 --json")
    assert outcome.code == 1
    assert strict(outcome.out)["same"] is False


@pytest.mark.parametrize(
    "words",
    [
        "line small_problems:net a.pt --x -1:1:3 -o out.h5 --quiet",
        "surface small_problems:net a.pt --x -1:1:3 --y -1:1:3 -o out.h5 --quiet",
        "surface small_problems:net a.pt --x -1:1:5 --y -1:1:5 --save-directions -o plane.h5 --quiet --batch-size 5",
        "train digits-mlp-1x4 --epochs 1 --out there --quiet",
    ],
)
def test_quiet_says_nothing_on_standard_error(run, words):
    outcome = run(words)
    assert outcome.code in (0, 1)
    assert outcome.err == ""


def test_diff_of_different_kinds(run):
    outcome = run("diff plane.h5 line.h5")
    assert (outcome.code, outcome.err) == (1, "")
    assert "one is a surface, the other a line" in outcome.out


def test_file_names_that_are_no_text(run, here):
    """Bytes that are no UTF-8 are legal in names on Linux; Python hands them over as lone surrogates."""
    name = os.fsdecode(b"\xff.h5")
    try:
        (here / "a.pt").rename(here / os.fsdecode(b"\xfe.pt"))
    except OSError:
        pytest.skip("this file system wants names that are text")
    for more in ("", " --json"):
        outcome = run(f"line small_problems:net {os.fsdecode(bytes([0xFE]))}.pt --x -1:1:3 -o {name}{more}")
        assert outcome.code == 0, outcome
    assert "\\udcfe.pt" in run(f"show {name}").out


def test_training_that_failed_says_so_once(run):
    outcome = run("train digits-mlp-1x4 --epochs 1 --out there --quiet")
    assert outcome.out.count("did not train") == outcome.code


def test_time_limit_leaves_a_file_to_go_on_with(run):
    words = "line small_problems:net a.pt --x -1:1:9 -o out.h5"
    stopped = run(f"{words} --time-limit 0s")
    assert stopped.code == 3
    assert "time limit" in stopped.err
    assert "again" in stopped.err
    assert strict(run("show out.h5 --json").out)["complete"] is False
    assert run(words).code == 0
    assert strict(run("show out.h5 --json").out)["complete"] is True
