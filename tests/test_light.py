"""What starts without torch: reading, drawing and telling of files, and every help; each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from landscape.cli.parser import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
PLANE = ROOT / "tests" / "data" / "files" / "plane-0.1.0.h5"


def loaded(code: str, folder: Path) -> set[str]:
    """The libraries that a new process has loaded once it has run some code."""
    ending = "import sys; print('loaded', *{name.partition('.')[0] for name in sys.modules})"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{ending}"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split()[1:])


def loaded_by(words: str, folder: Path) -> set[str]:
    return loaded(f"from landscape.cli.main import main; assert main({words.split()!r}) == 0", folder)


@pytest.mark.parametrize(
    "words",
    [
        "--help",
        "--version",
        f"show {PLANE}",
        f"show {PLANE} --json",
        f"diff {PLANE} {PLANE}",
        f"export {PLANE} -o plane.csv",
        f"merge {PLANE} {PLANE} -o all.h5",
        f"plot {PLANE} -o plane.png",
        f"view {PLANE} -o plane.html",
    ],
    ids=lambda words: " ".join(word for word in words.split() if word != str(PLANE)),
)
def test_a_command_that_computes_nothing_loads_no_torch(words: str, tmp_path: Path) -> None:
    found = loaded_by(words, tmp_path)
    assert "landscape" in found
    assert not {"torch", "scipy", "sklearn"} & found


def test_no_help_loads_torch_matplotlib_or_h5py(tmp_path: Path) -> None:
    code = f"from landscape.cli.main import main\nfor name in {list(COMMANDS)!r}:\n    assert main([name, '--help']) == 0"
    assert not {"torch", "matplotlib", "h5py"} & loaded(code, tmp_path)


def test_python_loads_torch_when_something_is_computed_and_no_sooner(tmp_path: Path) -> None:
    reading = f"import landscape; landscape.read({str(PLANE)!r}).show(); landscape.merge([{str(PLANE)!r}], quiet=True)"
    assert not {"torch", "sklearn"} & loaded(reading, tmp_path)
    assert "torch" in loaded("import landscape; landscape.line", tmp_path)
