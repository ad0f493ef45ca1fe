"""What many tests need: one thread, the command line in this process, factories on the import path."""

from __future__ import annotations

import itertools
import json
import signal
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

_numbers = itertools.count()

_INTEGRATIONS = ("tests/slurm/", "tests/viewer/")  # what drives a cluster or a browser


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith(_INTEGRATIONS) and "test_document" not in item.nodeid:
            item.add_marker("integration")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def result(self) -> Any:
        """What `--json` printed."""
        return json.loads(self.out)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Outcome]]:
    """Runs the `landscape` command in this process."""
    from landscape.cli.main import main

    def run(*words: object) -> Outcome:
        capsys.readouterr()
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return Outcome(code, out, err)

    before = signal.getsignal(signal.SIGTERM)  # the command takes it over
    yield run
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Writes a module whose function `make` returns a problem, and returns its import string; tests/ is importable in it."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(body: str) -> str:
        name = f"factory_{next(_numbers)}"  # a new name each time, for Python remembers modules by theirs
        (tmp_path / f"{name}.py").write_text(
            f"import cases\n\n\ndef make():\n{textwrap.indent(textwrap.dedent(body).strip(), '    ')}\n"
        )
        return f"{name}:make"

    return write
