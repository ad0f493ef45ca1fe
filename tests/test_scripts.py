"""scripts/demo and scripts/test on a made-up machine: a folder of programs as PATH, and a Python that only writes down its calls.

So nothing is downloaded, and what the scripts need of a machine is known: a POSIX shell, a few POSIX programs, a Python.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
SHELL = shutil.which("dash") or shutil.which("sh")
POSIX_PROGRAMS = ["cat", "cksum", "dirname", "uname"]  # the scripts use these and no others
CONSTRAINTS = "scripts/constraints/tested.txt"
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]

pytestmark = pytest.mark.skipif(SHELL is None, reason="needs a POSIX shell")

# Writes its arguments to $CALLS, one call a line; `-m venv DIR` makes a DIR with itself inside, as venv does.
FAKE_PYTHON = """#!{shell}
printf '%s|' "$PWD" "${{0##*/}}" "$@" >>"$CALLS"
printf '\\n' >>"$CALLS"
case "$1 ${{2:-}}" in
"-c import sys;"*) exit {too_old} ;;
"-c import platform;"*) echo "Python 3.99" ;;
"-m venv")
    echo "venv says something"
    "$COPY" -r "$TEMPLATE" "$3" ;;
"-m pip")
    echo "pip says something"
    case "$*" in *install*) exit "${{PIP_FAILS:-0}}" ;; esac ;;
esac
"""


@dataclass
class Machine:
    """A clone of the scripts at `clone`, a PATH at `programs`, and the log of what was called."""

    clone: Path
    programs: Path
    log: Path
    template: Path
    environment: dict[str, str] = field(default_factory=dict)

    def add_python(self, path: Path, too_old: bool = False) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(FAKE_PYTHON.format(shell=SHELL, too_old=int(too_old)))
        path.chmod(0o755)
        return path

    def run(self, script: str, *arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a script of the clone with nothing but this machine's programs; `calls` then holds this run's calls."""
        self.log.write_text("")
        return subprocess.run(
            [str(self.clone / "scripts" / script), *arguments],
            cwd=cwd or self.clone,
            env={
                "PATH": str(self.programs),
                "CALLS": str(self.log),
                "COPY": str(shutil.which("cp")),
                "TEMPLATE": str(self.template),
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def calls(self) -> list[list[str]]:
        """[working folder, program, arguments …] of each call of the last run."""
        return [line.split("|")[:-1] for line in self.log.read_text().splitlines()]

    def installs(self) -> list[list[str]]:
        return [call for call in self.calls if call[2:5] == ["-m", "pip", "install"]]

    def makes_venv(self) -> bool:
        return any(call[2:4] == ["-m", "venv"] for call in self.calls)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    clone = tmp_path / "a clone with spaces"
    shutil.copytree(ROOT / "scripts", clone / "scripts")
    for name in ("pyproject.toml",):
        shutil.copy(ROOT / name, clone)
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in POSIX_PROGRAMS:
        (programs / name).symlink_to(str(shutil.which(name)))
    machine = Machine(clone, programs, tmp_path / "calls", tmp_path / "template")
    machine.add_python(machine.programs / "python3")
    for name in ("python", "landscape"):
        machine.add_python(machine.template / "bin" / name)
    return machine


@pytest.mark.parametrize("name", ["demo", "prepare", "test", "studies/all", "studies/bowl"])
def test_scripts_are_posix_and_executable(name: str) -> None:
    path = ROOT / "scripts" / name
    assert path.read_text().startswith("#!/bin/sh\n")
    assert os.access(path, os.X_OK)
    assert subprocess.run([str(SHELL), "-n", str(path)], check=False).returncode == 0


def test_demo_from_nothing(machine: Machine) -> None:
    result = machine.run("demo", "--out", "my pictures", "--quiet")
    assert result.returncode == 0, result.stderr
    assert machine.makes_venv()
    (install,) = machine.installs()
    assert install[install.index("--constraint") + 1] == str(machine.clone / CONSTRAINTS)
    assert install[install.index("--editable") + 1] == str(machine.clone)
    assert machine.calls[-1][1:] == ["landscape", "demo", "--out", "my pictures", "--quiet"]
    assert result.stdout == "", "standard output belongs to the demo"
    for said in ("making", "installing", "running landscape demo"):
        assert said in result.stderr


def test_a_second_run_reuses_what_is_there(machine: Machine) -> None:
    machine.run("demo")
    result = machine.run("demo", "again")
    assert result.returncode == 0
    assert [call[1:] for call in machine.calls] == [["landscape", "demo", "again"]]


@pytest.mark.parametrize(("name", "script"), [("all", "all.py"), ("bowl", "bowl.py"), ("image-to-image", "image_to_image.py")])
def test_a_study_from_nothing(machine: Machine, name: str, script: str) -> None:
    result = machine.run(f"studies/{name}", "--small", "--out", "my pictures")
    assert result.returncode == 0, result.stderr
    assert machine.installs()[0][-1] == str(machine.clone)
    folder = machine.clone / "scripts" / "studies"
    assert machine.calls[-1][1:] == ["python", str(folder / script), "--small", "--out", "my pictures"]


def test_tests_add_what_the_demo_does_not_need(machine: Machine) -> None:
    machine.run("demo")
    machine.run("test")
    assert not machine.makes_venv()
    (install,) = machine.installs()
    assert install[-1] == f"{machine.clone}[test,mpi,vtk,browser,data]"
    machine.run("test")
    assert not machine.installs()
    machine.run("demo")
    assert not machine.installs()


def test_the_demo_needs_nothing_more_after_the_tests(machine: Machine) -> None:
    machine.run("test")
    machine.run("demo")
    assert not machine.installs()


@pytest.mark.parametrize("name", ["pyproject.toml", CONSTRAINTS])
def test_a_changed_requirement_is_installed(machine: Machine, name: str) -> None:
    machine.run("test")
    with (machine.clone / name).open("a") as file:
        file.write("# changed\n")
    machine.run("test")
    assert len(machine.installs()) == 1
    assert not machine.makes_venv()
    machine.run("demo")
    assert not machine.installs()


def test_a_moved_clone_is_installed_again(machine: Machine) -> None:
    machine.run("demo")
    machine.clone = machine.clone.rename(machine.clone.with_name("elsewhere"))
    machine.run("demo")
    assert len(machine.installs()) == 1


def test_a_failed_installation_is_said_and_tried_again(machine: Machine) -> None:
    result = machine.run("demo", PIP_FAILS="1")
    assert result.returncode == 2
    assert "the installation failed" in result.stderr
    assert not [call for call in machine.calls if call[1] == "landscape"]
    assert machine.run("demo").returncode == 0
    assert len(machine.installs()) == 1


def test_paths_are_those_of_the_caller(machine: Machine, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    machine.run("demo", "--out", "here", cwd=elsewhere)
    assert machine.calls[-1] == [str(elsewhere), "landscape", "demo", "--out", "here"]
    machine.run("test", cwd=elsewhere)
    assert machine.calls[-1][0] == str(machine.clone), "pytest finds its configuration from the clone"


INTEGRATIONS = ["tests/slurm", "tests/viewer", "tests/studies", "tests/test_readme.py"]
SHARED_OUT = ["-n", "auto", "--maxprocesses", "8", "--dist", "loadfile"]


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        ([], [*SHARED_OUT]),
        (["-k", "a or b", "-x"], ["-k", "a or b", "-x"]),
        (["--all"], ["-m", "", *SHARED_OUT]),
        (["--integration"], ["-m", "integration and not slow", *SHARED_OUT, *INTEGRATIONS]),
        (["--faults", "seed"], ["tests/plant_faults.py", "seed"]),
        (["--faults", "--change"], ["tests/plant_faults.py", "--change"]),
        (["-x", "--all", "tests/test_grid.py"], ["-m", "", "-x", "tests/test_grid.py"]),
    ],
)
def test_all_adds_the_slow_tests(machine: Machine, given: list[str], passed: list[str]) -> None:
    machine.run("test", *given)
    assert machine.calls[-1][1:] == ["python", *([] if "--faults" in given else ["-m", "pytest"]), *passed]


def test_the_exit_code_is_the_programs(machine: Machine) -> None:
    machine.run("demo")
    for name in ("python", "landscape"):
        program = machine.clone / ".venv" / "bin" / name
        program.write_text(f"#!{SHELL}\nexit 3\n")
    assert machine.run("demo").returncode == 3


def test_an_unfit_python_is_passed_over(machine: Machine) -> None:
    machine.add_python(machine.programs / "python3", too_old=True)
    machine.add_python(machine.programs / "python3.11")
    assert machine.run("demo").returncode == 0
    assert [call[1] for call in machine.calls if call[2:4] == ["-m", "venv"]] == ["python3.11"]


def test_no_fit_python_is_one_line(machine: Machine) -> None:
    machine.add_python(machine.programs / "python3", too_old=True)
    result = machine.run("demo")
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert "no Python 3.11 to 3.14 on PATH" in result.stderr
    assert not (machine.clone / ".venv").exists()


def test_the_fit_pythons_are_those_with_wheels() -> None:
    match = re.search(r"sys\.exit\((.*)\)'", (ROOT / "scripts" / "prepare").read_text())
    assert match
    fit = [minor for minor in range(5, 20) if not eval(match.group(1), {"sys": SimpleNamespace(version_info=(3, minor, 1))})]
    assert [f"3.{minor}" for minor in fit] == PYTHONS


def test_python_by_name(machine: Machine, tmp_path: Path) -> None:
    chosen = machine.add_python(tmp_path / "opt" / "my-python")
    assert machine.run("demo", PYTHON=str(chosen)).returncode == 0
    assert [call[1] for call in machine.calls if call[2:4] == ["-m", "venv"]] == ["my-python"]


def test_an_unfit_python_by_name_is_one_line(machine: Machine, tmp_path: Path) -> None:
    chosen = machine.add_python(tmp_path / "opt" / "my-python", too_old=True)
    for name in (str(chosen), "no-such-python"):
        result = machine.run("demo", PYTHON=name)
        assert result.returncode == 2
        assert len(result.stderr.splitlines()) == 1
        assert f"PYTHON={name}" in result.stderr


def read_pins() -> list[Requirement]:
    lines = (ROOT / CONSTRAINTS).read_text("utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def read_requirements() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return [Requirement(item) for items in (project["dependencies"], *project["optional-dependencies"].values()) for item in items]


@pytest.mark.parametrize("python", PYTHONS)
def test_each_python_has_one_pin_for_each_requirement(python: str) -> None:
    pinned: dict[str, list[str]] = {}
    for pin in read_pins():
        if pin.marker is None or pin.marker.evaluate({"python_version": python}):
            pinned.setdefault(pin.name, []).append(str(pin.specifier))
    assert [name for name, versions in pinned.items() if len(versions) > 1] == []
    requirements = read_requirements()
    assert {"torch", "numpy", "mpi4py", "vtk", "playwright", "pytest"} <= {item.name for item in requirements}
    for requirement in requirements:
        version = pinned[requirement.name.lower()][0]
        assert version.startswith("==")
        assert requirement.specifier.contains(version[2:]), f"{requirement} leaves out the pin {version}"


def test_the_floor_is_that_of_the_requirements() -> None:
    """floor.txt is what the lower bounds were run with."""
    lines = (ROOT / "scripts" / "constraints" / "floor.txt").read_text("utf-8").splitlines()
    floor = {pin.name: str(pin.specifier) for pin in (Requirement(line) for line in lines if not line.startswith("#"))}
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    for requirement in map(Requirement, wanted):
        (bound,) = requirement.specifier
        assert floor[requirement.name].startswith(f"=={bound.version}"), requirement
    assert len(floor) == len(wanted)
