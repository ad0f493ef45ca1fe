"""Problems that cannot be used: factories, losses, data, and names the zoo does not have."""

from __future__ import annotations

from pathlib import Path

import pytest
import small_problems

SHORT = "--x -1:1:3 -o out.h5"


@pytest.mark.parametrize(
    ("problem", "says"),
    [
        ("small_problem:net", ['no module "small_problem"', "PYTHONPATH"]),
        ("small_problems.inner:net", ['no module "small_problems.inner"']),
        ("small_problems:nett", ['no "nett"', 'did you mean "net"?']),
        ("small_problems:not_callable", ["is a int", "landscape.Problem"]),
        ("small_problems:raises", ["failed", "LookupError", "no such experiment"]),
        ("small_problems:wants_argument", ["failed", "wants_argument()", "width"]),
        ("small_problems:returns_model", ["returned a Net", "landscape.Problem"]),
        ("small_problems:returns_nothing", ["returned a NoneType", "landscape.Problem"]),
        ("small_problems:leaves", ["SystemExit", "good bye"]),
        (":net", ["package.module:factory"]),
        ("small_problems:", ["package.module:factory"]),
        (".small_problems:net", ["package.module:factory"]),
        ("small_problems:net:other", ["package.module:factory"]),
        ("not-a-module.py:net", ["package.module:factory"]),
        ("digits-resnet27", ["27"]),
        ("digits-resnet26-noshor", ["no problem", 'did you mean "digits-resnet26-noshort"?']),
        ("x", ["no problem", "landscape problems"]),
    ],
)
def test_bad_problem(refuse, problem, says):
    refuse(f"line {problem} a.pt {SHORT}", *says)


def test_module_that_fails_to_import(here, refuse):
    Path("broken_experiment.py").write_text("import a_library_that_is_not_there\n")
    refuse(f"line broken_experiment:net a.pt {SHORT}", "broken_experiment", "a_library_that_is_not_there")
    Path("wrong_experiment.py").write_text("def net(:\n")
    refuse(f"line wrong_experiment:net a.pt {SHORT}", "wrong_experiment", "SyntaxError")
    Path("leaving_experiment.py").write_text("raise SystemExit(3)\n")
    refuse(f"line leaving_experiment:net a.pt {SHORT}", "leaving_experiment", "SystemExit")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--set width=8", ["--set", "zoo"]),
        ("--data-dir .", ["--data-dir", "zoo"]),
        ("--set width", ['"width"', "key=value"]),
    ],
)
def test_settings_of_the_zoo_are_not_for_factories(refuse, words, says):
    refuse(f"line small_problems:net a.pt {words} {SHORT}", *says)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("digits-resnet8 --set widht=8", ['"widht"', 'did you mean "width"?']),
        ("digits-resnet8 --set name=8", ['no setting "name"']),
        ("digits-resnet8 --set data_dir=.", ['no setting "data_dir"']),
        ("digits-resnet8 --set width=wide", ["width=wide", "whole number"]),
        ("digits-mlp-1x8 --set width=8", ['no setting "width"']),
        ("resnet8 --data-dir gone", ["gone"]),
    ],
)
def test_bad_setting(refuse, words, says):
    refuse(f"line {words} a.pt {SHORT}", *says)
    refuse(f"train {words} --out there", *says)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("small_problems:net", ["no problem", "landscape problems"]),
        ("digits-resnet8 --epochs 0", ["--epochs", "must be 1 to 1,000,000,000, not 0"]),
        ("digits-resnet8 --epochs many", ["--epochs", "many"]),
        ("digits-resnet8 --threads 0", ["--threads", "must be 1 to 4,096, not 0"]),
        ("digits-resnet8 --seed -1", ["--seed", "must be 0 to", "not -1"]),
        ("digits-resnet8 --device gpu", ['"gpu"', "cuda"]),
        ("digits-resnet8 --device cuda:99", ["cuda:99"]),
        ("digits-resnet8 --out a.pt", ["a.pt", "--out"]),
    ],
)
def test_bad_training(refuse, words, says):
    refuse(f"train {words}", *says)


@pytest.mark.parametrize(
    ("problem", "says"),
    [
        ("empty", ['"train"', "empty", "at least one"]),
        ("no_splits", ["split", "train"]),
        ("labels_too_large", ["label 3", "3 classes", "0 to 2"]),
        ("labels_negative", ["label -1", "3 classes", "ignore_index"]),
        ("ragged", ['"train"', "5, 96", "axis 0"]),
        ("wrong_inputs", ['"train"', "Net", "mat1"]),
        ("scalar_loss", ["scalar", "reduction='none'", "per_example=False"]),
        ("wrong_shape_loss", ["(2, 3)", "2 examples", "reduction='none'"]),
        ("nameless_loss", ['"loss"', "los"]),
        ("number_loss", ["float", "tensor"]),
        ("no_loss", ["returned None as loss", "reduction='none'"]),
        ("no_metric", ["returned None as top5"]),
        ("no_sums", ["returned None as loss"]),
        ("all_zero", ["zero"]),
    ],
)
@pytest.mark.parametrize("command", ["line", "surface"])
def test_bad_data_or_loss(here, refuse, command, problem, says):
    checkpoint = "a.pt"
    if problem == "all_zero":
        import torch

        torch.save(small_problems.all_zero().model.state_dict(), "zero.pt")
        checkpoint = "zero.pt"
    refuse(f"{command} small_problems:{problem} {checkpoint} -o out.h5", *says)


def test_data_that_cannot_be_read_are_a_failed_run(refuse):
    refuse(f"line small_problems:unreadable_data a.pt {SHORT}", '"train"', "OSError", "the archive is gone", code=1)


def test_labels_are_found_before_the_data_are_computed_on(refuse):
    small_problems.seen.clear()
    refuse(f"line small_problems:labels_too_large a.pt {SHORT}", "label 3")
    assert sum(small_problems.seen) <= 1  # one example tells how many classes there are


def test_two_checkpoints_that_are_the_same(refuse):
    refuse(f"line small_problems:net a.pt a.pt {SHORT}", "zero", "the same")
    refuse("surface small_problems:net a.pt b.pt b.pt -o out.h5", "parallel")


def test_loss_that_raises_is_a_failed_run(refuse):
    refuse(f"line small_problems:raising_loss a.pt {SHORT}", "ZeroDivisionError", "in the loss", code=1)


def test_the_farthest_point_is_tried_first(refuse):
    refuse(
        "line small_problems:fails_away_from_origin a.pt --x 0:1:3 -o out.h5",
        "at x = 1: the model or loss raised ArithmeticError: too far out",
        code=1,
    )


def test_random_loss_fails_the_self_check(run, here):
    outcome = run("line small_problems:random_loss a.pt --x -1:1:3 -o out.h5")
    assert outcome.code == 1
    assert "self-check failed" in outcome.err
    assert "random numbers" in outcome.err
    quiet = run("line small_problems:random_loss a.pt --x -1:1:3 -o quiet.h5 --quiet")
    assert quiet.code == 1
    assert len(quiet.err.splitlines()) == 1
    assert "self-check failed" in quiet.err
