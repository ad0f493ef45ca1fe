"""The README and the notebook: every command and every block of code in them runs, and every command and option is in the README."""

from __future__ import annotations

import argparse
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from landscape.cli.parser import COMMANDS, build_parser

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
SCRIPTS = ("scripts/demo", "scripts/test")  # run by .ci/run from a fresh clone: the tests cannot run themselves


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands() -> list[str]:
    lines = [line.split("  #")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    return [line for line in lines if line]


def environment() -> dict[str, str]:
    folder = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"}


def subcommands() -> dict[str, argparse.ArgumentParser]:
    actions = [action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(actions[0].choices)


def test_the_tables_of_the_readme_are_what_the_commands_declare() -> None:
    render = runpy.run_path(str(ROOT / "scripts" / "readme_tables.py"))["render"]
    for name, table in render().items():
        found = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- end -->", README, re.DOTALL)
        assert found, f"README.md has no <!-- {name} --> … <!-- end -->"
        wrong = sorted(set(table.splitlines()) ^ set(found[1].splitlines()))
        assert found[1] == table, "run python scripts/readme_tables.py, which writes them; these lines differ:\n" + "\n".join(wrong)


def test_the_readme_has_commands_to_run() -> None:
    assert set(SCRIPTS) <= set(commands())
    assert len(commands()) >= 10
    assert len(blocks("python")) >= 1


@pytest.mark.integration
def test_every_command_of_the_readme_runs(tmp_path: Path) -> None:
    for command in commands():
        if command in SCRIPTS:
            continue
        if command.startswith("mpirun") and shutil.which("mpirun", path=environment()["PATH"]) is None:
            continue  # without the extra [mpi]
        done = subprocess.run(command, shell=True, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    for name in ("line.h5", "mlp.h5", "mlp.png", "mlp.html", "mlp.csv"):
        assert (tmp_path / name).stat().st_size > 0


@pytest.mark.parametrize("code", blocks("python"))
def test_the_code_of_the_readme_runs(code: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "re-evaluated independently" in done.stdout  # the self-check, as show() prints it
    assert all((tmp_path / name).stat().st_size > 0 for name in ("net.h5", "net.png", "net.html"))


def test_the_scripts_for_contributors_are_there() -> None:
    """CI runs the first three and itself; a release and a hook for git are nothing that a test may make."""
    named = {line.split()[0] for block in blocks("text") for line in block.splitlines()} - {"pre-commit"}
    assert {"scripts/prepare", "scripts/test", ".ci/run", "scripts/release"} <= named
    assert all(os.access(ROOT / name, os.X_OK) for name in named)


def test_ci_runs_the_scripts_of_the_readme() -> None:
    ci = (ROOT / ".ci" / "run").read_text()
    assert all(script in ci for script in SCRIPTS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_readme_with_an_example_in_its_help(name: str) -> None:
    assert f"`landscape {name}" in README
    help_text = " ".join(subcommands()[name].format_help().split())
    assert f"example: {COMMANDS[name].example}" in help_text


def test_examples_are_of_all_commands() -> None:
    assert set(COMMANDS) == set(subcommands())


def test_examples_parse() -> None:
    for example in [command.example for command in COMMANDS.values()]:
        build_parser().parse_args([word if word != "-1:1:51" else "0:1:51" for word in example.split()[1:]])


@pytest.mark.parametrize(("name", "parser"), subcommands().items(), ids=list(subcommands()))
def test_every_option_is_in_the_readme_and_has_help(name: str, parser: argparse.ArgumentParser) -> None:
    for action in parser._actions:
        if action.dest == "help":
            continue
        assert action.help, f"{name} {action.dest} has no help"
        for option in action.option_strings:
            assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", README), (
                f"{option} of landscape {name} is not in the README"
            )


@pytest.mark.integration
def test_the_notebook_runs(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat", reason="needs the extra [test]")
    nbclient = pytest.importorskip("nbclient", reason="needs the extra [test]")
    notebook = nbformat.read(ROOT / "notebooks" / "quickstart.ipynb", as_version=4)
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    lines = [line for source in code for line in source.splitlines() if line.strip()]
    assert len(lines) < 20
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert (tmp_path / "net.html").stat().st_size > 0
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)  # the relief is shown
    assert any("re-evaluated independently" in output.get("text", "") for output in outputs if output.output_type == "stream")
