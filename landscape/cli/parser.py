"""The parser of the command line, made from what the commands declare; its complaints are one line with the nearest right word."""

from __future__ import annotations

import argparse
import difflib
import inspect
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn, get_args, get_origin

from landscape.cli import bench, files, pictures, sweeps, zoo
from landscape.declaration import Parameter
from landscape.errors import InputError, did_you_mean

__all__ = ["COMMANDS", "build_parser", "parse", "written"]

COMMANDS = {
    command.name: command
    for command in (
        zoo.demo, zoo.problems, zoo.train, sweeps.line, sweeps.surface, pictures.plot, pictures.animate, pictures.view,
        files.show, files.diff, files.export, files.merge, files.import_, bench.bench
    )
}  # fmt: skip
_AXES = ("--x", "--y")
_SIGNED = re.compile(r"-(\d|\.\d|inf|nan)")  # a value that begins with a minus, which argparse would take for an option


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line, with the nearest right word."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing usage and leaving."""
        message = message.removeprefix("argument ")
        choice = re.search(r"(.+?): invalid choice: '(.*?)' \(choose from (.*)\)", message)
        if choice:
            known = [word.strip(" '\"") for word in choice[3].split(",")]
            message = f'{choice[1]} "{choice[2]}" is unknown: {did_you_mean(choice[2], known)}'
        stranger = re.search(r"unrecognized arguments: (--[^ =]+)", message)
        if stranger:
            known = [option for action in self._actions for option in action.option_strings if option.startswith("--")]
            begun = [option for option in known if option.startswith(stranger[1])]
            close = (begun or difflib.get_close_matches(stranger[1], known, n=1, cutoff=0.5))[:1]
            message = f"no option {stranger[1]}" + "".join(f': did you mean "{option}"?' for option in close)
        raise InputError(f"{message}; see {self.prog} --help")

    def parse_args(self, args: Sequence[str] | None = None, namespace: object = None) -> argparse.Namespace:  # type: ignore[override]
        """Parse; leftovers are reported by the command they were given to."""
        parsed, left = self.parse_known_args(args)
        if left:
            parsed.parser.error(f"unrecognized arguments: {' '.join(left)}")
        return parsed


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options in some arguments.

    Raises:
        InputError: for whatever is wrong with them.
    """
    joined: list[str] = []
    for word in arguments:
        before = joined[-1] if joined else ""
        if before in _AXES or (_SIGNED.match(word) and re.fullmatch(r"--[a-z][a-z-]*", before)):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return build_parser().parse_args(joined)


def build_parser() -> argparse.ArgumentParser:
    """The parser of the `landscape` command."""
    parser = _Parser(
        prog="landscape",
        description="Loss landscapes of PyTorch models.",
        epilog=f"example: {zoo.demo.example}",
        allow_abbrev=False,
    )
    parser.set_defaults(parser=parser, debug=False)
    parser.add_argument("--version", action="store_true", help="print the version")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    for command in COMMANDS.values():
        summary, example = command.summary, f"example: {command.example}"
        fitted = commands.add_parser(command.name, help=summary, description=summary, epilog=example, allow_abbrev=False)
        groups: dict[str, Any] = {"": fitted}
        for parameter in command.parameters.values():
            if parameter.option.typed is True:
                group = parameter.option.group
                groups[group] = groups.get(group) or fitted.add_argument_group(group)
                _add(groups[group], parameter)
        fitted.add_argument("--debug", action="store_true", help="show the traceback of an error")
        fitted.set_defaults(parser=fitted, run=command)
    return parser


def written(parameter: Parameter) -> tuple[list[str], str]:
    """What is typed for a parameter: the names it has as an option, and how its value is written."""
    flags = list(parameter.option.flags) or [f"--{parameter.name.replace('_', '-')}"]
    return (flags if parameter.keyword else []), parameter.option.metavar or "|".join(parameter.option.choices)


def _add(group: Any, parameter: Parameter) -> None:
    """Add one parameter to a parser or a group of its help."""
    flags, metavar = written(parameter)
    empty, several = parameter.default is inspect.Parameter.empty, get_origin(parameter.type) is list
    said: dict[str, Any] = {"help": parameter.help.replace("%", "%%")}
    if parameter.type is bool:
        group.add_argument(*flags, dest=parameter.name, action="store_true", **said)
        return
    said |= {"metavar": metavar, "type": _reader(parameter), "default": None if empty else parameter.default}
    required = parameter.option.required or empty
    if not flags:
        group.add_argument(parameter.name, nargs="+" if several else None if required else "?", **said)
    elif several:
        group.add_argument(*flags, dest=parameter.name, action="append", **said | {"default": []})
    else:
        group.add_argument(*flags, dest=parameter.name, required=required, **said)


def _reader(parameter: Parameter) -> Callable[[str], Any]:
    """What makes of a text the value of a parameter."""

    def read(text: str) -> Any:
        try:
            return parameter.checked((parameter.option.read or partial(_read, get_args(parameter.type) or (parameter.type,)))(text))
        except InputError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return read


def _read(types: Sequence[Any], text: str) -> Any:
    """The value a text stands for, by the types it may be of."""
    if not text:
        raise InputError("is empty")
    kind = None if str in types else int if int in types else float if float in types else None
    try:
        return text if kind is None else kind(text)
    except ValueError:
        raise InputError(f'"{text}" is not a {"whole " * (kind is int)}number') from None
