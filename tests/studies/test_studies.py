"""The studies themselves: every one has its command, is short, and bears its claims out at the size of seconds."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from harness import Result, gallery
from harness.report import write_readme

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "scripts" / "studies"
NAMES = ("bowl", "skips", "deeper", "goodfellow", "batchnorm", "net2net", "densenet", "image-to-image")


@pytest.mark.parametrize("name", NAMES)
def test_a_study_is_a_command_and_short(name: str) -> None:
    command, script = FOLDER / name, FOLDER / f"{name.replace('-', '_')}.py"
    assert command.resolve() == FOLDER / "all"
    assert len(script.read_text("utf-8").splitlines()) < 100


def test_a_study_has_help_with_an_example() -> None:
    words = [sys.executable, FOLDER / "image_to_image.py", "--help"]
    assert "scripts/studies/image-to-image --small" in subprocess.run(words, capture_output=True, text=True, check=True).stdout


@pytest.mark.integration
def test_every_study_bears_its_claims_out(tmp_path: Path) -> None:
    """All of them in a setting of seconds, over the three seeds the claims were made for."""
    words = [sys.executable, FOLDER / "all.py", "--tiny", "--quiet", "--out", tmp_path / "studies"]
    answer = subprocess.run(words, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    table = (tmp_path / "studies" / "README.md").read_text("utf-8")
    for name in NAMES:
        folder = tmp_path / "studies" / name
        assert f"| {name} |" in table
        assert {"README.md", "result.json", "figure.png", "index.html"} <= {path.name for path in folder.iterdir()}
        assert any(folder.glob("*-seed2.h5"))
    assert len(list((tmp_path / "studies").rglob("plotly-*.js"))) == 1, "all pages share one script"


@pytest.mark.parametrize("name", NAMES)
def test_the_results_are_told_as_they_came_out(name: str, tmp_path: Path) -> None:
    """What stands in results/ is what its numbers make: nobody has bent a table by hand."""
    folder = ROOT / "results" / name
    result = Result.read(folder)
    assert result.registered
    assert result.study.name == name
    copy = tmp_path / name
    copy.mkdir()
    for path in folder.iterdir():
        if path.suffix in (".png", ".html"):
            (copy / path.name).touch()
    assert write_readme(result, copy).read_text("utf-8") == (folder / "README.md").read_text("utf-8")


def test_the_gallery_is_that_of_the_results() -> None:
    results = [Result.read(ROOT / "results" / name) for name in NAMES]
    assert gallery(results, ROOT / "results") in (ROOT / "results" / "README.md").read_text("utf-8")


def test_the_claims_are_those_of_the_results() -> None:
    """A claim that was changed after its run would show here."""
    for name in NAMES:
        study = runpy.run_path(str(FOLDER / f"{name.replace('-', '_')}.py"))["STUDY"]
        told = Result.read(ROOT / "results" / name).study
        assert list(told.claims) == list(study.claims)


@pytest.mark.parametrize(
    ("words", "line"), [(["bowls"], 'no study "bowls": did you mean "bowl"?'), (["--jobs", "-1"], '"-1" is no number of studies')]
)
def test_misuse_of_all_is_one_line(words: list[str], line: str, tmp_path: Path) -> None:
    command = [sys.executable, FOLDER / "all.py", *words, "--tiny", "--out", tmp_path / "studies"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 2
    assert line in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not (tmp_path / "studies").exists()
