"""landscape bench as a command, and the growth of time."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from cases import perceptron

from landscape.benchmark import Scaling, run, scale
from landscape.benchmark import bench as bench_module
from landscape.errors import InputError

SMALL = ["bench", "digits-mlp-1x8", "--examples", "200", "--rounds", "2", "--threads", "1", "--quiet"]


@pytest.fixture
def swift(monkeypatch: pytest.MonkeyPatch) -> None:
    """No compiled engine, whose first call takes many seconds, and short turns."""
    monkeypatch.setattr(bench_module, "MODES", ("eager",))
    monkeypatch.setattr(bench_module, "_TURN", 0.01)


@pytest.mark.usefixtures("swift")
def test_the_command_writes_what_it_prints(command: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    outcome = command(*SMALL, "--json", "-o", file)
    assert outcome.code == 0
    assert json.loads(file.read_text()) == outcome.result
    assert outcome.result["command"].startswith("landscape bench digits-mlp-1x8")
    assert outcome.result["n_examples"] == 200
    assert outcome.result["environment"]["threads"] == 1
    names = [result["name"] for result in outcome.result["results"]] + list(outcome.result["absent"])
    own = ["original", "original, forward alone", "hand-written", "engine eager fp32"]
    assert sorted(names) == sorted([*own, "loss-landscapes", "landscaper"])
    # digits and one layer of 8 in single precision: some tens of roundings of 6e-8
    assert all(result["deviation"] < 1e-5 for result in outcome.result["results"] if result["name"] in own)
    assert all(len(result["seconds"]) == 2 for result in outcome.result["results"])


@pytest.mark.usefixtures("swift")
def test_the_table_is_for_people_and_a_file_stays(command: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    file.write_text("mine")
    refused = command(*SMALL, "-o", file)
    assert (refused.code, file.read_text()) == (2, "mine")
    assert "--overwrite" in refused.err
    outcome = command(*SMALL, "-o", file, "--overwrite")
    assert outcome.code == 0
    assert "times the original" in outcome.out
    assert "floor fp32" in outcome.out
    assert json.loads(file.read_text())["problem"] == "digits-mlp-1x8"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--precision fp31", 'did you mean "fp32"'),
        ("--precision fp32,fp32", "each once"),
        ("--precision tf32", "CUDA"),
        ("--rounds 0", "must be 1 to"),
        ("--threads 0", "threads"),
        ("--examples many", "first:N"),
        ("--device gpu", "cuda"),
        ("-o bench.txt", ".json"),
        ("-o nowhere/bench.json", "does not exist"),
    ],
)
@pytest.mark.usefixtures("swift")
def test_wrong_words_are_refused_in_one_line(command: Callable[..., Any], words: str, says: str) -> None:
    outcome = command(*SMALL, *words.split())
    assert outcome.code == 2
    assert says in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.usefixtures("swift")
def test_threads_come_back_and_the_number_of_examples_is_bounded() -> None:
    before = torch.get_num_threads()
    report = run(perceptron(), threads=before + 1, rounds=1, quiet=True)
    assert torch.get_num_threads() == before
    assert report.environment["threads"] == before + 1
    assert report.n_examples == report.population
    assert report.weights == "untrained"
    with pytest.raises(InputError, match="one precision or several"):
        run(perceptron(), precision=(), quiet=True)


@pytest.mark.slow
def test_every_mode_of_the_engine_runs() -> None:
    report = run(perceptron(), rounds=1, precision=("fp32", "bf16"), quiet=True)
    names = {result.name for result in report.results}
    assert {f"engine {mode} {word}" for mode in ("eager", "compiled", "batched") for word in ("fp32", "bf16")} <= names
    assert all(
        result.deviation < (0.05 if result.precision == "bf16" else 1e-5) for result in report.results if "engine" in result.name
    )


def test_times_by_examples_and_points() -> None:
    result = scale(perceptron(), None, (29, 10, 20), (1, 2, 3), torch.device("cpu"), rounds=1)
    assert result.examples == (29, 10, 20)
    assert (len(result.seconds_by_examples), len(result.seconds_by_points)) == (3, 3)
    assert min(*result.seconds_by_examples, *result.seconds_by_points) > 0
    assert json.loads(json.dumps(result.tabulate()))["points"] == [1, 2, 3]


def test_the_cost_no_example_explains_is_the_intercept() -> None:
    line = Scaling("net", "eager", "fp32", (100, 400, 1600), tuple(0.5 + 0.01 * n for n in (100, 400, 1600)), (1,), (1.0,), {})
    assert line.fixed == pytest.approx(0.5)
    through_zero = replace(line, seconds_by_examples=tuple(0.01 * n for n in line.examples))
    assert through_zero.fixed == pytest.approx(0.0, abs=1e-9)
