"""The commands `problems` and `train`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from landscape.zoo.problems import problems


def test_problems_lists_every_one_with_its_source(command: Callable[..., Any]) -> None:
    outcome = command("problems")
    lines = outcome.out.splitlines()
    assert [line.split()[0] for line in lines] == [entry.name for entry in problems()]
    assert all(entry.source in line for entry, line in zip(problems(), lines, strict=True))
    found = command("problems", "--json").result
    keys = {"name", "description", "model", "data", "loss", "recipe", "source", "settings", "needs_files"}
    assert all(set(entry) == keys for entry in found)


def test_one_problem_in_full(command: Callable[..., Any]) -> None:
    outcome = command("problems", "ptb-lstm-2x200")
    assert outcome.code == 0
    for word in ("Zaremba", "Penn Treebank; needs --data-dir", "perplexity", "13 epochs", "streams=20"):
        assert word in outcome.out
    assert command("problems", "digits-resnet8", "--json").result[0]["settings"]["width"] == 8
    wrong = command("problems", "digits-resnet9")
    assert (wrong.code, len(wrong.err.splitlines())) == (2, 1)


@pytest.mark.parametrize(
    ("words", "metrics"),
    [
        (("text-lstm-1x4", "--set", "vocabulary=20", "--set", "streams=500"), ["valid_loss", "valid_accuracy", "test_perplexity"]),
        (("text-gpt-1x8", "--set", "vocabulary=20", "--set", "batch_size=512"), ["valid_perplexity", "test_perplexity"]),
        (("moons-mlp-1x4", "--set", "optimizer=adam", "--steps", 2, "--every", 9), []),
    ],
)
def test_training_from_the_command_line(
    command: Callable[..., Any], tmp_path: Path, words: tuple[object, ...], metrics: list[str]
) -> None:
    outcome = command("train", *words, "--epochs", 1, "--out", tmp_path, "--threads", 1, "--json", "--quiet")
    assert outcome.err == ""
    result = outcome.result
    assert result == {**json.loads((tmp_path / "result.json").read_text()), **{n: result[n] for n in ("start", "end", "history")}}
    assert set(metrics) <= set(result["metrics"])
    assert (tmp_path / "epoch_001.pt").is_file()
    assert len(list(tmp_path.glob("step_*.pt"))) == (2 if "--steps" in words else 0)


def test_an_interrupted_command_goes_on(command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from landscape.progress import Progress

    def interrupt(self: Progress, done: int, total: int, text: str) -> None:
        if done == 20:
            raise KeyboardInterrupt

    words = ("train", "moons-mlp-1x4", "--epochs", 4, "--out", tmp_path, "--quiet")
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "follow", interrupt)
        assert command(*words).code == 130
    assert (tmp_path / "epoch_002.pt").is_file()
    assert command(*words, "--seed", 1).code == 2
    assert command(*words).code == 0
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == 4
