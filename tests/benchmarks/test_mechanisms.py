"""What a mechanism gains: two sides in turns, the ratio of their medians, its spread."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import pytest
from cases import perceptron

from landscape.evaluate import Engine
from landscape_benchmarks import mechanisms


@pytest.fixture
def case() -> mechanisms.Case:
    return mechanisms._case("digits-mlp-3x64", perceptron(), None)


def test_the_gain_is_that_of_the_medians_and_sides_alternate(case: mechanisms.Case, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    seconds = {"fp32": iter([9.0, 9.0, 8.0, 2.0, 6.0]), "bf16": iter([9.0, 9.0, 1.0, 2.0, 3.0])}  # two calls warm up

    def work(objective: Any, n_points: int) -> Callable[[], tuple[float, float]]:
        precision = objective.engine.precision

        def call() -> tuple[float, float]:
            calls.append(precision)
            return next(seconds[precision], 0.0), {"fp32": 2.0, "bf16": 1.5}[precision]

        return call

    monkeypatch.setattr(mechanisms, "_work", work)
    row = mechanisms._compared(case, "bf16", {}, {"precision": "bf16"}, 3)
    assert (row["milliseconds_without"], row["milliseconds_with"]) == (6000.0, 2000.0)
    assert (row["gain"], row["least"], row["most"]) == (3.0, 1.0, 8.0)  # of 8/1, 2/2 and 6/3
    assert row["gain_with_audit"] == pytest.approx(6 / (2 + 6 * 17 / 625))
    assert row["deviation"] == 0.25
    assert calls[4:10] == ["bf16", "fp32", "fp32", "bf16", "bf16", "fp32"]


def test_every_mechanism_is_switched_on_alone(case: mechanisms.Case) -> None:
    usual = Engine()
    for name, (without, settings) in mechanisms._comparisons(case).items():
        on, off = Engine(**settings), Engine(**without)
        changed = [key for key in vars(usual) if getattr(on, key) != getattr(off, key)]
        allowed = [["mode", "points_per_pass"], ["mode"], ["offload"], ["precision"], ["channels_last"], []]
        assert changed in allowed, name
        assert usual in (on, off)


def test_the_part_takes_its_turns_from_the_script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mechanisms, "cases", lambda n_images, n_texts: [mechanisms._case("mlp", perceptron(), None)])
    monkeypatch.setattr(mechanisms, "_comparisons", lambda case: {"offload": ({}, {"offload": True})})
    monkeypatch.setattr(mechanisms, "_TURN", 0.0)
    found = mechanisms.part(argparse.Namespace(rounds=2))
    assert found["turns"] == 2
    (row,) = found["rows"]
    assert (row["network"], row["mechanism"], row["examples"], row["deviation"]) == ("mlp", "offload", 29, 0.0)
    assert 0 < row["least"] <= row["most"]
