"""The command line's words: every command with its options, help and one example."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Sequence
from typing import NoReturn

from landscape.cli import bench, files, page, pictures, sweeps, zoo
from landscape.errors import InputError, did_you_mean

__all__ = ["EXAMPLES", "build_parser", "parse"]

_ROOMS = (zoo, sweeps, pictures, page, files, bench)
_COMMANDS = {command.name: command for room in _ROOMS for command in room.COMMANDS}
# One example for each command; the help shows it.
EXAMPLES = {command.name: command.example for command in _COMMANDS.values()}
_AXES = ("--x", "--y")
_SIGNED = re.compile(r"-(\d|\.\d|inf|nan)")  # a value that begins with a minus, which argparse would take for an option
_KINDS = {"int": "a whole number", "float": "a number"}


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line, with the nearest right word."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing usage and leaving."""
        choice = re.search(r"argument (.+?): invalid choice: '(.*?)' \(choose from (.*)\)", message)
        if choice:
            known = [word.strip(" '\"") for word in choice[3].split(",")]
            message = f'{choice[1].split("/")[-1]} "{choice[2]}" is unknown: {did_you_mean(choice[2], known)}'
        wrong = re.search(r"argument (.+?): invalid (int|float) value: (['\"])(.*)\3", message)
        if wrong:
            message = f'{wrong[1]} is "{wrong[4]}", not {_KINDS[wrong[2]]}'
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
        epilog=f"example: {EXAMPLES['demo']}",
        allow_abbrev=False,
    )
    parser.set_defaults(parser=parser, debug=False)
    parser.add_argument("--version", action="store_true", help="print the version")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    for command in _COMMANDS.values():
        fitted = commands.add_parser(
            command.name,
            help=command.summary,
            description=command.summary,
            epilog=f"example: {command.example}",
            allow_abbrev=False,
        )
        command.fill(fitted)
        fitted.add_argument("--debug", action="store_true", help="show the traceback of an error")
        fitted.set_defaults(parser=fitted, execute=command.execute, prints=command.prints)
    return parser
