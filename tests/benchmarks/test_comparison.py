"""The engine against the other contenders, and the growth of its time."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from cases import perceptron

from landscape.errors import InputError
from landscape_benchmarks import comparison
from landscape_benchmarks.comparison import compare
from landscape_benchmarks.scaling import Scaling, scale


@pytest.fixture
def swift(monkeypatch: pytest.MonkeyPatch) -> None:
    """No compiled engine, whose first call takes many seconds, and short turns."""
    monkeypatch.setattr(comparison, "MODES", ("eager",))
    monkeypatch.setattr(comparison, "_TURN", 0.01)


@pytest.mark.usefixtures("swift")
def test_all_contenders_give_the_same_losses_and_threads_come_back() -> None:
    before = torch.get_num_threads()
    report = compare(perceptron(), threads=before + 1, rounds=2, quiet=True)
    assert torch.get_num_threads() == before
    assert report.environment["threads"] == before + 1
    assert report.n_examples == report.population
    assert report.weights == "untrained"
    own = ["original", "original, forward alone", "hand-written", "engine eager fp32"]
    assert sorted([*(result.name for result in report.results), *report.absent]) == sorted([*own, "loss-landscapes", "landscaper"])
    assert all(result.deviation < 1e-5 for result in report.results if result.name in own)
    assert all(len(result.seconds) == 2 for result in report.results)
    assert "times the original" in report.describe()
    assert json.loads(json.dumps(report.tabulate()))["floors"].keys() == {"fp32"}


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(InputError, match="one precision or several"):
        compare(perceptron(), precision=(), quiet=True)
    with pytest.raises(InputError, match="each once"):
        compare(perceptron(), precision=("fp32", "fp32"), quiet=True)
    with pytest.raises(InputError, match="CUDA"):
        compare(perceptron(), precision=("tf32",), device="cpu", quiet=True)
    with pytest.raises(InputError, match="at least 1"):
        compare(perceptron(), rounds=0, quiet=True)


@pytest.mark.slow
def test_every_mode_of_the_engine_runs() -> None:
    report = compare(perceptron(), rounds=1, precision=("fp32", "bf16"), quiet=True)
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
