"""Options declared once: what becomes of a declaration on the command line, in Python and in help."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import pytest

import landscape
from landscape.cli.parser import COMMANDS, parse
from landscape.declaration import Option, between, parameters_of, takes
from landscape.errors import InputError
from landscape.sweep.options import LineOptions, Options, SurfaceOptions

PROBLEM: Any = object()
SWEEPS = [("line", landscape.line, LineOptions), ("surface", landscape.surface, SurfaceOptions)]


@pytest.mark.parametrize(("name", "function", "options"), SWEEPS, ids=["line", "surface"])
def test_help_in_python_shows_every_option_with_its_default(name: str, function: Any, options: type[Options]) -> None:
    shown = inspect.signature(function).parameters
    assert list(shown) == list(inspect.signature(options).parameters)
    for field in fields(options):
        default = inspect.signature(options).parameters[field.name].default
        assert shown[field.name].default == default
        assert re.search(rf"^        {field.name}: .{{4,}}\.$", function.__doc__, re.MULTILINE), f"{field.name} is not told of"
    assert shown["bn"].annotation == str | None
    assert shown["problem"].annotation == "Problem"
    assert "bn: interpolated|frozen|recalibrated; " in function.__doc__
    assert "(default: 0.01)" in function.__doc__


@pytest.mark.parametrize(("name", "function", "options"), SWEEPS, ids=["line", "surface"])
def test_the_command_has_the_options_and_defaults_of_the_function(name: str, function: Any, options: type[Options]) -> None:
    typed = vars(parse([name, "problem", "a.pt", "-o", "out.h5"]))
    for field in fields(options):
        if field.name not in ("problem", "start", "to", "command", "executor"):
            assert typed[field.name] == inspect.signature(function).parameters[field.name].default, field.name
    assert (typed["problem"], typed["start"], typed["to"]) == ("problem", "a.pt", "out.h5")
    assert "command" in COMMANDS[name].parameters  # though it is not typed


@pytest.mark.parametrize("words", ["--x -1:1:51", "--x=-1:1:51"])
def test_both_ways_to_write_an_axis(words: str) -> None:
    assert parse(["line", "problem", "a.pt", "-o", "out.h5", *words.split()]).x == "-1:1:51"


def test_values_typed_are_those_of_python() -> None:
    words = "--examples 500 --seeds 1..3 --threads 2 --tolerance 0.1 --memory 8G --time-limit 55m --split train,test --yes"
    typed = vars(parse(["line", "problem", "a.pt", "-o", "out.h5", *words.split()]))
    given = LineOptions(PROBLEM, **{name: typed[name] for name in ("examples", "seeds", "threads", "tolerance", "memory", "yes")})
    assert (given.examples, given.seeds, given.threads, given.tolerance, given.memory) == (500, (1, 2, 3), 2, 0.1, "8G")
    assert given.yes is True
    assert LineOptions(PROBLEM, split=typed["split"]).splits(["train", "test"]) == ["train", "test"]


def test_an_option_that_is_none_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match='no option "tolerence": did you mean "tolerance"'):
        landscape.surface(PROBLEM, tolerence=0.1)
    with pytest.raises(InputError, match='no option "unknown": one of: problem, start, end_x'):
        landscape.surface(PROBLEM, unknown=1)


def test_values_are_checked_in_python_and_kept_as_python_has_them() -> None:
    import numpy as np

    assert type(Options(seed=np.int64(3)).seed) is int
    with pytest.raises(InputError, match=r"^x: axis .* is not start:stop:n"):
        landscape.line(PROBLEM, x="1:2")
    with pytest.raises(InputError, match=r"^device: None is of another type: where to compute"):
        landscape.line(PROBLEM, device=None)


def test_a_function_of_a_declared_class_takes_its_fields() -> None:
    class Fields:
        def __init__(self, first: Annotated[int, Option("one")], *, second: Annotated[float, Option("two", "N")] = 2.0) -> None:
            self.sum = first + second

    @takes(Fields)
    def add(given: Fields) -> float:
        """Add.

        Returns:
            The sum.
        """
        return given.sum

    assert (add(1), add(first=1, second=3.0)) == (3.0, 4.0)
    assert str(inspect.signature(add)) == "(first: int, *, second: float = 2.0) -> 'float'"
    assert list(parameters_of(Fields)) == ["first", "second"]


@pytest.mark.parametrize("value", [0, 5, float("nan"), -1e9])
def test_sizes(value: float) -> None:
    with pytest.raises(InputError, match="must be 1 to 4, not"):
        between(1, 4)(value)
    assert between(1, 4)(1) == 1
    assert between(1, 4)(4) == 4


@pytest.mark.slow
def test_type_checkers_see_the_options(tmp_path: Path) -> None:
    """mypy stands for editors, which read the same types."""
    (tmp_path / "asked.py").write_text(
        "import landscape\n"
        "def f(problem: landscape.Problem) -> landscape.Surface:\n"
        "    landscape.line(problem, 'a.pt', end='b.pt', x=(0, 1, 5), seeds=[1, 2], to='line.h5')\n"
        "    landscape.surface(problem, orthogonalise=True)\n"
        "    landscape.surface(problem, batch_size='many')\n"
        "    return landscape.surface(problem, 'a.pt', x=(0, 1, 5), batch_size=3)\n"
    )
    root = Path(landscape.__file__).parents[1]
    words = [sys.executable, "-m", "mypy", "--strict", f"--config-file={root / 'pyproject.toml'}", str(tmp_path / "asked.py")]
    said = subprocess.run(words, cwd=root, capture_output=True, text=True, check=False).stdout
    assert 'Unexpected keyword argument "orthogonalise"' in said
    assert 'Argument "batch_size" to "surface" has incompatible type "str"; expected "int | None"' in said
    assert "Found 2 errors in 1 file" in said
