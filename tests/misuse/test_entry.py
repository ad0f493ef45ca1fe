"""The console script: a package that cannot be loaded, and standard streams whose numbers are free."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import small_problems
from test_stubborn import Child

import landscape
import landscape_command
from landscape import Problem


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ("raise MemoryError", ["memory ran out", "(MemoryError)", "ulimit -v"]),
        ("raise ImportError('libtorch_cpu.so: failed to map segment from shared object')", ["memory ran out", "libtorch_cpu.so"]),
        ("raise OSError(12, 'Cannot allocate memory')", ["memory ran out", "Cannot allocate memory"]),
        ("import no_such_library_at_all", ["cannot be loaded", "No module named 'no_such_library_at_all'", "pip install"]),
        ("raise RuntimeError('first line\\nsecond line')", ["cannot be loaded", "RuntimeError: first line; --debug"]),
        ("raise SystemExit(0)", ["cannot be loaded", "SystemExit: 0"]),
        ("raise KeyboardInterrupt", ["landscape: interrupted"]),
    ],
)
def test_a_package_that_cannot_be_loaded_is_one_line(monkeypatch, capfd, tmp_path, one_line, broken, says):
    (tmp_path / "landscape").mkdir()
    (tmp_path / "landscape" / "__init__.py").write_text(broken)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "landscape"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "argv", ["landscape", "problems"])
    assert landscape_command.main() == (130 if "Keyboard" in broken else 1)
    out, err = capfd.readouterr()
    assert out == ""
    one_line(err, *says)
    if "Keyboard" not in broken:
        monkeypatch.setattr(sys, "argv", ["landscape", "problems", "--debug"])
        with pytest.raises(BaseException, match=r".*"):  # whatever it was, with its traceback
            landscape_command.main()


@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited otherwise")
def test_so_it_is_where_memory_is_short():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    words = f"ulimit -v 300000; {sys.executable} -c 'import sys, landscape_command; sys.exit(landscape_command.main())' problems"
    done = subprocess.run(["sh", "-c", words], env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert "memory ran out" in done.stderr


def test_a_current_folder_that_is_gone_is_one_line(monkeypatch, capfd, tmp_path, one_line):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert landscape_command.main() == 2
    one_line(capfd.readouterr().err, "folder is gone", "change to one")


def led_nowhere() -> Problem:
    """Made where the numbers of the standard streams, to which libraries may write, are those of no file of ours."""
    null = os.stat(os.devnull)
    for number in range(3):
        assert os.path.samestat(os.fstat(number), null), number
        assert os.get_inheritable(number)
    return small_problems.net()


def test_no_file_takes_the_place_of_a_closed_stream(here):
    def closed() -> None:
        sys.stdin = sys.stdout = sys.stderr = None
        os.closerange(0, 3)
        sys.argv[1:] = ["line", "test_entry:led_nowhere", "a.pt", "--x", "-1:1:3", "-o", "out.h5"]

    assert Child(None, closed).wait() == 0
    assert landscape.read("out.h5").complete


def test_the_script_is_the_one_that_is_installed():
    pyproject = Path(landscape.__file__).parents[1] / "pyproject.toml"
    if not pyproject.exists():
        pytest.skip("not in a checkout")
    project = tomllib.loads(pyproject.read_text())
    assert project["project"]["scripts"] == {"landscape": "landscape_command:main"}
    assert "scripts/entry" in project["tool"]["setuptools"]["packages"]["find"]["where"]
    assert (pyproject.parent / "scripts" / "entry" / "landscape_command" / "__init__.py").exists()
