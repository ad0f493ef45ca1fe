"""A folder with good checkpoints and surface files, and the command line run in it."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import small_problems
import torch

from landscape.cli import main


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


Run = Callable[[str], Outcome]


@pytest.fixture(autouse=True)
def untouched_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def good_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints a.pt, b.pt and c.pt, a line and a plane around a.pt, the plane with its directions."""
    folder = tmp_path_factory.mktemp("good")
    for seed, name in enumerate("abc"):
        torch.save(small_problems.make_net(seed).state_dict(), folder / f"{name}.pt")
    problem, a = "small_problems:net", str(folder / "a.pt")
    assert main(["line", problem, a, "--x", "-1:1:5", "-o", str(folder / "line.h5"), "--quiet"]) == 0
    plane = ["--x", "-1:1:3", "--y", "-1:1:3", "--save-directions"]
    assert main(["surface", problem, a, *plane, "-o", str(folder / "plane.h5"), "--quiet"]) == 0
    return folder


@pytest.fixture
def here(tmp_path: Path, good_files: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the good files in it."""
    shutil.copytree(good_files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(here: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command line, written as one would type it after `landscape`, in this process."""

    def run(words: str) -> Outcome:
        capsys.readouterr()
        code = main(shlex.split(words))
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture
def refuse(run: Run, here: Path) -> Callable[..., str]:
    """Run a command that has to be refused: one line with the words given, and not a byte changed in the folder."""

    def refuse(words: str, *says: str, code: int = 2) -> str:
        before = contents(here)
        outcome = run(words)
        assert contents(here) == before
        assert outcome.code == code, outcome
        assert outcome.out == ""
        check_one_line(outcome.err, *says)
        return outcome.err

    return refuse


@pytest.fixture
def one_line() -> Callable[..., None]:
    return check_one_line


@pytest.fixture
def everything() -> Callable[[Path], dict[str, bytes | None]]:
    return contents


def check_one_line(text: str, *says: str) -> None:
    """Whether a text is one line in the manner of the house that holds some words."""
    lines = text.splitlines()
    assert len(lines) == 1, text
    assert lines[0].startswith("landscape: "), text
    assert len(lines[0]) < 600, "nobody reads that"
    for word in says:
        assert word in lines[0], f"{word!r} is not in {lines[0]!r}"


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every path below a folder, hidden ones too, with its bytes; None for what is no file."""
    paths = sorted(folder.rglob("*"))
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in paths}
