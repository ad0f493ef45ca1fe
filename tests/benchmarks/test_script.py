"""scripts/benchmarks/run.py: each part writes its file, and the figure is drawn from the files there are."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from landscape_benchmarks import comparison, speed

FILE = Path(__file__).resolve().parents[2] / "scripts" / "benchmarks" / "run.py"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script on a smaller problem, without the compiled engine, whose first call takes many seconds."""
    spec = importlib.util.spec_from_file_location("benchmark_script", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(speed, "PERCEPTRON", "digits-mlp-1x8")
    monkeypatch.setattr(comparison, "MODES", ("eager",))
    monkeypatch.setattr(comparison, "_TURN", 0.01)
    return module


@pytest.fixture
def cifar10(tmp_path: Path) -> Path:
    """A few images of noise where CIFAR-10 is looked for."""
    folder = tmp_path / "cifar10"
    folder.mkdir()
    random = np.random.default_rng(0)
    for split in ("train", "test"):
        np.save(folder / f"{split}_images.npy", random.integers(0, 256, (300, 32, 32, 3), dtype=np.uint8))
        np.save(folder / f"{split}_labels.npy", random.integers(0, 10, 300))
    return folder


def test_parts_without_data(script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main(["mlp", "scaling", "--out", str(tmp_path), "--rounds", "1", "--threads", "1"]) == 0
    assert "times the original" in capsys.readouterr().out
    assert json.loads((tmp_path / "mlp.json").read_text())["problem"] == "digits-mlp-1x8"
    (curve,) = json.loads((tmp_path / "scaling.json").read_text())["curves"]
    assert curve["points"] == [1, 2, 4, 8, 16, 32, 64]
    assert script.main(["figure", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_a_figure_of_nothing_is_empty_but_there(script: ModuleType, tmp_path: Path) -> None:
    assert script.main(["figure", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "figure.png").exists()


@pytest.mark.slow
def test_the_plane_to_a_tolerance(script: ModuleType, cifar10: Path, tmp_path: Path) -> None:
    words = ["tolerance-fp32", "--data-dir", str(cifar10), "--side", "2", "--threads", "1", "--out", str(tmp_path)]
    assert script.main(words) == 0
    result = json.loads((tmp_path / "tolerance-fp32.json").read_text())
    assert result["tolerance"] == 0.02
    assert (result["n_points"], result["population"], result["weights"]) == (4, 300, "untrained")
    assert result["seconds_original_scaled"] == pytest.approx(4 * np.mean(result["seconds_original_by_point"]))
    assert result["times_the_original"] == pytest.approx(result["seconds_original_scaled"] / result["seconds_total"])
    assert 256 <= result["examples"]["min"] <= result["examples"]["max"] <= 300  # the first look is after 256


@pytest.mark.parametrize("words", [["mpl"], ["resnet56-fp32"], ["tolerance-bf16"]])
def test_unknown_parts_and_missing_data_are_named(script: ModuleType, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        script.main(words)
    assert error.value.code == 2
    message = capsys.readouterr().err
    assert ('did you mean "mlp"' if words == ["mpl"] else "--data-dir") in message


def test_threads_are_those_asked_for(script: ModuleType, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    assert script.main(["scaling", "--rounds", "1", "--threads", "1", "--out", str(tmp_path)]) == 0
    assert json.loads((tmp_path / "scaling.json").read_text())["curves"][0]["environment"]["threads"] == 1
    torch.set_num_threads(before)
