"""Turns, ratios by round, and what is said of those that cannot run."""

from __future__ import annotations

import json
import time

import pytest
import torch
from cases import perceptron

from landscape.errors import InputError
from landscape.progress import Progress
from landscape.sweep.environment import environment_of
from landscape_benchmarks.case import Case, pose
from landscape_benchmarks.contender import Contender
from landscape_benchmarks.race import Result, race
from landscape_benchmarks.report import Report
from landscape_benchmarks.roofline import Cost, Floor

CPU = torch.device("cpu")
TURN = 0.01


def scripted(name: str, calls: list[str], error: float = 0.0) -> type[Contender]:
    """A contender that writes down when it is called, and returns losses that are off by a share."""

    class Scripted(Contender):
        def __init__(self, case: Case) -> None:
            super().__init__(case)
            self.name, self.note = name, "test"

        def __call__(self, n_points: int) -> list[float]:
            calls.append(name)
            return [self.case.exact(index) * (1 + error) for index in range(n_points)]

    return Scripted


@pytest.fixture
def case() -> Case:
    return pose(perceptron(), None, None, CPU, 4)


def result(name: str, *seconds: float, precision: str = "fp32") -> Result:
    return Result(name, "", precision, 2, 0.0, seconds, 0.0)


def test_contenders_take_turns(case: Case) -> None:
    calls: list[str] = []
    results, absent = race(case, [(name, scripted(name, calls)) for name in "abc"], 4, TURN, Progress(quiet=True))
    assert "".join(calls).endswith("abc" * 4)
    assert [each.name for each in results] == ["a", "b", "c"]
    assert not absent
    assert all(len(each.seconds) == 4 and each.n_points == 4 and min(each.seconds) > 0 for each in results)


def test_a_turn_has_as_many_points_as_fit_and_two_at_least(case: Case) -> None:
    (short,), _ = race(case, [("a", scripted("a", []))], 1, 0.0, Progress(quiet=True))
    assert short.n_points == 2
    (long,), _ = race(case, [("a", scripted("a", []))], 1, 0.2, Progress(quiet=True))
    assert long.n_points == case.n_points


def test_a_block_is_never_cut(case: Case) -> None:
    blocked = scripted("a", [])
    blocked.block = 3
    for turn in (0.0, 0.2):
        (each,), _ = race(case, [("a", blocked)], 1, turn, Progress(quiet=True))
        assert each.n_points == 3  # of 4


def test_who_is_slower_than_the_first_and_takes_long_is_left_out(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("landscape_benchmarks.race._PATIENCE", 0.0)

    class Slow(scripted("slow", [])):  # type: ignore[misc]
        def __call__(self, n_points: int) -> list[float]:
            time.sleep(0.05)
            return super().__call__(n_points)

    results, absent = race(case, [("a", scripted("a", [])), ("slow", Slow)], 1, TURN, Progress(quiet=True))
    assert [each.name for each in results] == ["a"]
    assert absent["slow"].startswith("left out")
    results, absent = race(case, [("slow", Slow), ("a", scripted("a", []))], 1, TURN, Progress(quiet=True))
    assert len(results) == 2  # the first is what the others are compared with
    assert not absent


def test_deviations_are_measured(case: Case) -> None:
    results, _ = race(case, [("a", scripted("a", [])), ("b", scripted("b", [], error=0.25))], 1, TURN, Progress(quiet=True))
    assert [each.deviation for each in results] == pytest.approx([0.0, 0.25])


def test_who_cannot_run_is_named_with_the_reason_and_the_others_go_on(case: Case) -> None:
    def missing(case: Case) -> Contender:
        raise ModuleNotFoundError("No module named 'nglpy'", name="nglpy")

    def refused(case: Case) -> Contender:
        raise InputError("not on this machine")

    def broken(case: Case) -> Contender:
        raise ZeroDivisionError("first line\nsecond")

    entries = [("landscaper", missing), ("engine", refused), ("other", broken), ("a", scripted("a", []))]
    results, absent = race(case, entries, 1, TURN, Progress(quiet=True))
    assert [each.name for each in results] == ["a"]
    assert absent == {
        "landscaper": "not installed (nglpy); pip install landscaper",
        "engine": "not on this machine",
        "other": "ZeroDivisionError: first line",
    }


def test_ratios_are_of_one_round_each() -> None:
    slow, fast = result("slow", 10.0, 30.0, 12.0), result("fast", 1.0, 10.0, 3.0)
    assert fast.times(slow) == (4.0, 3.0, 10.0)  # of 10, 3 and 4
    assert slow.typical == 12.0


def test_the_report_says_what_was_measured() -> None:
    floors = {
        "fp32": Floor("fp32", 1e9, 1e9, operation_seconds=0.5, byte_seconds=0.25),
        "bf16": Floor("bf16", 1e9, 1e9, operation_seconds=0.1, byte_seconds=0.2),
    }
    results = [
        result("original", 8.0, 8.0, 8.0),
        result("hand-written", 2.0, 1.0, 4.0),
        result("engine eager bf16", 0.5, 0.4, 0.8, precision="bf16"),
    ]
    report = Report(
        "net", "untrained", 100, 500, environment_of(CPU), Cost(1, 1, 1, False), floors, results, {"landscaper": "away"}
    )
    tree = json.loads(json.dumps(report.tabulate()))
    engine = tree["results"][2]
    assert engine["times_as_fast_as"]["original"] == {"median": 16.0, "min": 10.0, "max": 20.0}
    assert engine["times_as_fast_as"]["hand_written"] == {"median": 4.0, "min": 2.5, "max": 5.0}
    assert engine["floor_share"] == pytest.approx(0.4)  # 0.2 s, the greater bound, of 0.5 s
    assert engine["operation_share"] == pytest.approx(0.2)
    assert engine["images_per_second"] == pytest.approx(200)
    assert tree["floors"]["fp32"]["seconds"] == 0.5
    text = report.describe()
    for words in ("100 of 500 examples", "16 × (10–20)", "landscaper", "away", "engine eager bf16", "40%"):
        assert words in text
    assert {"processor", "cores", "threads", "load", "device", "torch", "commit"} <= set(tree["environment"])


def test_a_report_without_the_original_has_no_ratios_to_it() -> None:
    floors = {"fp32": Floor("fp32", 1e9, 1e9, 0.5, 0.25)}
    report = Report(
        "net", "untrained", 10, 10, environment_of(CPU), Cost(1, 1, 1, False), floors, [result("hand-written", 1.0)], {}
    )
    assert set(report.tabulate()["results"][0]["times_as_fast_as"]) == {"hand_written"}
    assert "hand-written" in report.describe()
