"""The README's two tables, made from what the commands declare: python scripts/readme_tables.py writes them into README.md."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from landscape.cli.command import Command, DataDir, Json, Settings
from landscape.cli.parser import COMMANDS, written
from landscape.declaration import Parameter, parameters_of
from landscape.sweep.options import Options

README = Path(__file__).resolve().parents[1] / "README.md"


def _others(*, settings: Settings, data_dir: DataDir = None, json: Json = False) -> None:
    """What sweeps share with other commands besides `Options`."""


SHARED = parameters_of(Options, _others)


def render() -> dict[str, str]:
    """The tables by the names of their markers."""
    commands = (f"| `{_escaped(usage(command))}` | {command.summary} |" for command in COMMANDS.values())
    options = (f"| `{_escaped(_typed(one, ', '))}` | {_escaped(one.help)} |" for one in SHARED.values() if one.option.typed is True)
    return {
        "commands": _table("command", "what it does", commands),
        "options": _table("option of `line` and `surface`, and of others that it fits", "meaning", options),
    }


def usage(command: Command) -> str:
    """A command with its own arguments and options; of those in the second table what it cannot do without."""
    shared = [one.option for one in SHARED.values()]
    return " ".join(["landscape", command.name, *_words(command.parameters.values(), shared)])


def _words(parameters: Iterable[Parameter], shared: list[object]) -> Iterator[str]:
    for one in sorted(parameters, key=lambda one: one.keyword):
        required = one.option.required or (one.default is inspect.Parameter.empty and one.name != "settings")
        if one.option.typed is True and (required or one.option not in shared):
            several = " …" if not one.keyword and "list" in str(one.type) else ""
            yield f"{_typed(one)}{several}" if required else f"[{_typed(one)}]"


def _typed(one: Parameter, between: str = "") -> str:
    """What is typed: the first name of an option, or with something between them all, and its value."""
    flags, metavar = written(one)
    metavar = "" if one.type is bool else metavar
    return (between or "\0").join(" ".join(filter(None, (flag, metavar))) for flag in flags or [""]).partition("\0")[0]


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _table(left: str, right: str, rows: Iterable[str]) -> str:
    return "\n".join([f"| {left} | {right} |", "|---|---|", *rows])


def fitted(text: str) -> str:
    """A README with its tables as they are to be, each between its markers."""
    for name, table in render().items():
        text = re.sub(
            rf"(<!-- {name} -->\n).*?(\n<!-- end -->)", lambda found, t=table: found[1] + t + found[2], text, flags=re.DOTALL
        )
    return text


if __name__ == "__main__":
    README.write_text(fitted(README.read_text("utf-8")), "utf-8")
