"""Options, each declared once: a parameter with its type and default, and an `Option` that says the rest.

    def show(file: Annotated[str, Option("a surface file", "FILE.h5")], *, json: Annotated[bool, Option("for machines")] = False)

Functions are declared so, and dataclasses of a function's parameters (`Options` of a sweep). From that come the command line's parser and
help (`landscape.cli.parser`), the README's tables (scripts/readme_tables), the checks of values (`check_fields`), and the signature
and help of the Python functions (`takes`).

Why no library: cyclopts, typer and jsonargparse read declarations of this very form, so that the commands would read the same. What
they would save is the hundred lines here and in `landscape.cli.parser` that hand a declaration to argparse. They stop at the command
line, though: none checks the values of a Python call, gives `landscape.surface` its signature, or fills a README, so that an `Option`
of our own would stand beside theirs. And their errors are boxes or a usage and a message, where ours are one line with the nearest
word; to have that from them takes as many lines as argparse does. cyclopts and typer also bring rich and 3 to 5 packages more.
"""

from __future__ import annotations

import functools
import inspect
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, ParamSpec, TypeVar, get_args, get_origin

from landscape.errors import InputError, did_you_mean

__all__ = ["Option", "Parameter", "between", "check_fields", "parameters_of", "takes", "valid"]

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Option:
    """What is to be said of a parameter besides its type and default.

    Attributes:
        help: what it is, in one sentence or two, for help, README and docstring alike.
        metavar: how its value is written: `N`, `start:stop:n`.
        choices: the words it may be.
        default: its default in words, where the value itself says too little.
        group: of the help that it belongs to.
        flags: what is typed for it; `--its-name` where nothing is said.
        required: whether the command line wants it, though Python has a default.
        typed: whether the command line has it; False leaves it at its default there, "whole" gives it all that was typed.
        or_function: how a function is called that Python takes in place of a word.
        read: makes a value of what was typed; by the type where nothing is said.
        check: makes of a value what is kept of it. Like `read` it raises an `InputError` that says what is wrong with the value.
    """

    help: str
    metavar: str = ""
    choices: tuple[str, ...] = ()
    default: str = ""
    group: str = ""
    flags: tuple[str, ...] = ()
    required: bool = False
    typed: bool | Literal["whole"] = True
    or_function: str = ""
    read: Callable[[str], Any] | None = None
    check: Callable[[Any], Any] | None = None


@dataclass(frozen=True)
class Parameter:
    """A declared parameter."""

    name: str
    option: Option
    type: Any
    default: Any  # inspect.Parameter.empty where there is none
    keyword: bool  # whether it has a name where it is given: an option, not an argument

    @property
    def help(self) -> str:
        """What it is, and its default where there is one to tell of."""
        told = "" if self.default in (None, (), inspect.Parameter.empty) or self.default is False else str(self.default)
        told = self.option.default or told
        return self.option.help + (f" (default: {told})" if told else "")

    @property
    def described(self) -> str:
        """The same for Python's help: with the words it may be, and the function that may stand in their place."""
        words = "|".join(self.option.choices)
        function = f"; or a function {self.option.or_function}" if self.option.or_function else ""
        return f"{words}{'; ' if words else ''}{self.help}{function}"

    @property
    def shown_type(self) -> Any:
        """Its type for a signature; one that is not looked up by its name."""
        return getattr(self.type, "__forward_arg__", self.type)

    def checked(self, value: Any) -> Any:
        """What is kept of a value.

        Raises:
            InputError: when it is none that this parameter takes.
        """
        option = self.option
        if value is None and self.default is not None:
            raise TypeError("None")
        if value is None or (option.or_function and callable(value)):
            return value
        if option.choices and value not in option.choices:
            raise InputError(f'"{value}" is unknown: {did_you_mean(str(value), option.choices)}')
        return option.check(value) if option.check else value


def parameters_of(*declared: Callable[..., Any]) -> dict[str, Parameter]:
    """The parameters of some functions and classes by name, those that have an `Option`."""
    found = {}
    for one in declared:
        for name, parameter in inspect.signature(one, eval_str=True).parameters.items():
            if get_origin(parameter.annotation) is Annotated:
                kind, option = get_args(parameter.annotation)
                found[name] = Parameter(name, option, kind, parameter.default, parameter.kind is parameter.KEYWORD_ONLY)
    return found


def check_fields(given: Any) -> None:
    """Check a declared dataclass, in place.

    Raises:
        InputError: naming the field that has a wrong value.
    """
    for name, parameter in parameters_of(type(given)).items():
        value = getattr(given, name)
        try:
            object.__setattr__(given, name, parameter.checked(value))
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
        except TypeError:
            raise InputError(f"{name}: {value!r} is of another type: {parameter.help}") from None


def takes(options: Callable[P, T]) -> Callable[[Callable[[T], R]], Callable[P, R]]:
    """Give a function of a declared dataclass the parameters of that class.

    Type checkers and editors see them by the types here, `help()` by the signature and the docstring, which gets the paragraph "Args".
    """
    declared = parameters_of(options)

    def decorate(function: Callable[[T], R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            stranger = next((name for name in kwargs if name not in declared), None)
            if stranger is not None:
                raise InputError(f'no option "{stranger}": {did_you_mean(stranger, declared)}')
            return function(options(*args, **kwargs))

        kinds = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
        shown = [inspect.Parameter(p.name, kinds[p.keyword], default=p.default, annotation=p.shown_type) for p in declared.values()]
        returned = inspect.signature(function).return_annotation
        call.__signature__ = inspect.Signature(shown, return_annotation=returned)  # type: ignore[attr-defined]
        told = "".join(f"\n        {parameter.name}: {parameter.described}." for parameter in declared.values())
        call.__doc__ = re.sub(
            r"\n\n    (?=Returns:|Yields:)", lambda _: f"\n\n    Args:{told}\n\n    ", function.__doc__ or "", count=1
        )
        return call

    return decorate


def valid(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A check that keeps a value as it is, if it passes another function without an `InputError`."""

    def checked(value: Any) -> Any:
        check(value)
        return value

    return checked


def between(least: float, most: float = math.inf) -> Callable[[Any], Any]:
    """A check of a number's size, both ends included.

    >>> between(1, 4096)(8)
    8
    """

    def checked(value: Any) -> Any:
        if not least <= value <= most:  # nor is what is no number
            shown = f"{value:g}" if isinstance(value, float) else str(value)
            raise InputError(f"must be {least:,} {'or more' if most == math.inf else f'to {most:,}'}, not {shown}")
        return value

    return checked
