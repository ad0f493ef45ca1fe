"""What a command is, and the options and checks that several share."""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from landscape.cli.values import setting
from landscape.errors import InputError
from landscape.output import print_result
from landscape.problem import Problem, resolve

__all__ = [
    "PROBLEM_HELP",
    "Command",
    "add_output",
    "add_problem",
    "add_settings",
    "add_verbosity",
    "as_json",
    "check_distinct",
    "names_of",
    "print_json",
    "problem_of",
    "with_suffix",
]

PROBLEM_HELP = 'a name of the zoo (see "landscape problems"), or package.module:factory for your own'


@dataclass(frozen=True)
class Command:
    """One command of the command line.

    Attributes:
        name: as it is typed.
        summary: what it is for.
        example: of its use.
        fill: adds its options to a parser.
        execute: runs it, and gives the exit code.
        prints: whether its result is what it prints, rather than a file.
    """

    name: str
    summary: str
    example: str
    fill: Callable[[argparse.ArgumentParser], None]
    execute: Callable[[argparse.Namespace], int]
    prints: bool = False


def add_problem(parser: argparse.ArgumentParser) -> None:
    """Add the problem and its settings."""
    parser.add_argument("problem", metavar="PROBLEM", help=PROBLEM_HELP)
    add_settings(parser)


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add what a problem of the zoo is set with."""
    parser.add_argument(
        "--set", dest="settings", metavar="key=value", action="append", type=setting, default=[], help="a setting of a zoo problem"
    )
    parser.add_argument("--data-dir", metavar="DIR", help="where the files of a zoo problem's data lie")


def add_output(parser: argparse.ArgumentParser, metavar: str, text: str, required: bool = True) -> None:
    """Add the file to write, and whether it may replace one."""
    parser.add_argument("-o", "--out", metavar=metavar, required=required, help=text)
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there")


def add_verbosity(parser: argparse.ArgumentParser) -> None:
    """Add how much is said, and in which form."""
    parser.add_argument("--quiet", action="store_true", help="no progress and no notes")
    parser.add_argument("--json", action="store_true", help="the result for machines, on standard output")


def problem_of(options: argparse.Namespace) -> Problem:
    """The problem the options name, of the zoo or the user's own.

    Raises:
        InputError: when there is none, or it cannot be made.
    """
    if ":" in options.problem:
        if options.settings or options.data_dir:
            raise InputError("--set and --data-dir are for problems of the zoo; a factory takes no argument")
        return resolve(options.problem)
    from landscape.zoo.problems import blueprint

    return blueprint(options.problem, dict(options.settings)).build(options.data_dir)


def check_distinct(out: str | Path, *inputs: str | None) -> None:
    """Refuse to write over what a command reads, whatever --overwrite says: a checkpoint may be the only one."""
    for file in inputs:
        if file is not None and os.path.exists(file) and os.path.exists(out) and os.path.samefile(file, out):
            raise InputError(f"{out}: is an input of this command; choose another name for the output")


def print_json(result: Any) -> None:
    """Print a result for machines."""
    print_result(as_json(result))


def as_json(result: Any, indent: int | None = None) -> str:
    """A result for machines; JSON knows neither NaN nor infinity, which become texts, as paths do."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        return str(value) if isinstance(value, Path) or (isinstance(value, float) and not math.isfinite(value)) else value

    return json.dumps(plain(result), allow_nan=False, indent=indent)


def with_suffix(file: str, extension: str) -> Path:
    """A file's name with another extension."""
    if not Path(file).name:
        raise InputError(f'"{file}" is no name of a file; name a surface file')
    return Path(file).with_suffix(extension)


def names_of(files: Sequence[str]) -> list[str]:
    """Short names of the files, longer ones where the short ones are alike."""
    stems = [Path(file).stem for file in files]
    return stems if len(set(stems)) == len(stems) else [str(Path(file).with_suffix("")) for file in files]
