"""What a command is, and the options and checks that several share."""

from __future__ import annotations

import inspect
import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from landscape.declaration import Option, Parameter, parameters_of
from landscape.errors import InputError
from landscape.output import print_result
from landscape.report import describe, tabulate

if TYPE_CHECKING:
    from landscape.core.surface import Surface
    from landscape.problem import Problem

__all__ = [
    "Command", "DataDir", "Json", "Overwrite", "Quiet", "Settings", "SurfaceFile", "SurfaceFiles", "Words", "as_json", "check_distinct",
    "command", "names_of", "out_option", "print_json", "print_surface", "problem_of", "target_of",
]  # fmt: skip


def _read_setting(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals and value):
        raise InputError(f'"{text}" is not key=value')
    return key, value


Settings = Annotated[list[tuple[str, str]], Option("a setting of a zoo problem", "key=value", flags=("--set",), read=_read_setting)]
DataDir = Annotated[str | None, Option("where the files of a zoo problem's data lie", "DIR")]
SurfaceFile = Annotated[str, Option("a surface file", "FILE.h5")]
SurfaceFiles = Annotated[list[str], Option("surface files", "FILE.h5")]
Overwrite = Annotated[bool, Option("replace a file that is there")]
Quiet = Annotated[bool, Option("no progress and no notes")]
Json = Annotated[bool, Option("the result for machines, on standard output")]
Words = Annotated[str, Option("the command line, for the file's provenance", typed="whole")]

out_option = partial(Option, flags=("-o", "--out"))  # the file that a command writes


@dataclass(frozen=True)
class Command:
    """One command of the command line: a function whose parameters are its options and whose docstring tells what it is for.

    Attributes:
        function: runs it, and gives the exit code.
        example: of its use.
        takes: a declared class whose fields it takes too.
        prints: whether its result is what it prints, rather than a file.
    """

    function: Callable[..., int]
    example: str
    takes: Callable[..., Any] | None = None
    prints: bool = False

    @property
    def name(self) -> str:
        """As it is typed."""
        return self.function.__name__.strip("_")

    @property
    def summary(self) -> str:
        """What it is for, in one line."""
        text = (inspect.getdoc(self.function) or "").partition("\n")[0].rstrip(".")
        return text[:1].lower() + text[1:]

    @property
    def parameters(self) -> dict[str, Parameter]:
        """What it takes, by name."""
        return parameters_of(*filter(None, (self.takes, self.function)))


def command(example: str, takes: Callable[..., Any] | None = None, prints: bool = False) -> Callable[[Callable[..., int]], Command]:
    """Make a command of a function; see `Command`."""
    return lambda function: Command(function, example, takes, prints)


def problem_of(name: str, settings: Sequence[tuple[str, str]], data_dir: str | None) -> Problem:
    """The problem that is named, of the zoo or the user's own.

    Raises:
        InputError: when there is none, or it cannot be made.
    """
    if ":" in name:
        if settings or data_dir:
            raise InputError("--set and --data-dir are for problems of the zoo; a factory takes no argument")
        from landscape.problem import resolve

        return resolve(name)
    from landscape.zoo.problems import blueprint

    return blueprint(name, dict(settings)).build(data_dir)


def check_distinct(out: str | Path, *inputs: str | None) -> None:
    """Refuse to write over what a command reads, whatever --overwrite says: a checkpoint may be the only one."""
    for file in inputs:
        if file is not None and os.path.exists(file) and os.path.exists(out) and os.path.samefile(file, out):
            raise InputError(f"{out}: is an input of this command; choose another name for the output")


def print_json(result: Any) -> None:
    """Print a result for machines."""
    print_result(as_json(result))


def print_surface(surface: Surface, file: str, json: bool, written: bool = True) -> None:
    """Print what a surface is, for people or for machines, and where it was written."""
    if json:
        print_json({"file": file, **tabulate(surface)})
    else:
        print(f"{describe(surface)}\n{file}" if written else describe(surface))


def as_json(result: Any, indent: int | None = None) -> str:
    """A result for machines; JSON knows neither NaN nor infinity, which become texts, as paths do."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        return str(value) if isinstance(value, Path) or (isinstance(value, float) and not math.isfinite(value)) else value

    return json.dumps(plain(result), allow_nan=False, indent=indent)


def target_of(files: Sequence[str], out: str | None, extension: str) -> str | Path:
    """The file to write: the one that is asked for, else of the first file's name, and none of those that are read."""
    if not Path(files[0]).name:
        raise InputError(f'"{files[0]}" is no name of a file; name a surface file')
    target = Path(files[0]).with_suffix(extension) if out is None else out  # a slash at its end would be lost in a Path
    check_distinct(target, *files)
    return target


def names_of(files: Sequence[str]) -> list[str]:
    """Short names of the files, longer ones where the short ones are alike."""
    stems = [Path(file).stem for file in files]
    return stems if len(set(stems)) == len(stems) else [str(Path(file).with_suffix("")) for file in files]
