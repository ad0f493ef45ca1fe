"""What goes wrong on one rank, in a form that reaches the others."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from landscape.errors import InputError, LandscapeError, MissingFileError, RankError, RunError, in_a_line

__all__ = ["ElsewhereError", "RemoteError", "capture", "packed", "readable_traceback", "trace_of", "without_tracebacks"]

Result = TypeVar("Result")
_traces_hidden: list[bool] = []  # one entry for each `without_tracebacks` that is open


@dataclass(frozen=True)
class RemoteError:
    """An error in a form that travels to other ranks."""

    error: BaseException
    name: str
    file_missing: bool
    trace: str = ""

    def error_of(self, rank: int) -> BaseException:
        """The error as every rank raises it; one that the root did not meet says whose it is."""
        error = self.error
        if rank and isinstance(error, LandscapeError):
            error = type(error)(f"{self.name}: {error}")
        if self.trace and error.__cause__ is None:  # an error travels without its cause
            error.__cause__ = ElsewhereError(self.trace)
        return error


class ElsewhereError(Exception):
    """The cause of an error that happened on some rank: its text is that rank's traceback."""

    def __init__(self, trace: str) -> None:
        super().__init__(f'\n"""\n{trace}\n"""')


def capture(function: Callable[[], Result], name: str) -> tuple[Result | None, RemoteError | None]:
    """A function's result, or its error."""
    try:
        return function(), None
    except BaseException as error:  # whatever it is, the other ranks wait for a word
        known = error
        if not isinstance(error, LandscapeError | KeyboardInterrupt):
            known = RunError(in_a_line(error))
        return None, RemoteError(known, name, _file_is_missing(error), trace_of(error))


def _file_is_missing(error: BaseException | None) -> bool:
    """Whether an error comes from a file that is not there, or may not be read."""
    while error is not None:
        if isinstance(error, MissingFileError | FileNotFoundError | PermissionError):
            return True
        error = error.__cause__ or error.__context__
    return False


def packed(value: Any) -> bytes:
    """A value in a form that travels; empty where it has none."""
    try:
        return pickle.dumps(value)
    except Exception:  # a loss that is a lambda, say: then the file has to be everywhere
        return b""


def trace_of(error: BaseException) -> str:
    """An error's traceback; of one that only says where another happened, that other's."""
    origin = error.__cause__ if isinstance(error, LandscapeError) and error.__cause__ is not None else error
    return "".join(traceback.format_exception(origin)).rstrip()


def readable_traceback(error: BaseException) -> str:
    """The traceback of what went wrong in the user's code or ours; empty where the error's own words say it all, or are to."""
    if _traces_hidden:
        return ""
    if isinstance(error, RankError):
        return error.trace
    if isinstance(error, KeyboardInterrupt | InputError) or (isinstance(error, LandscapeError) and error.__cause__ is None):
        return ""
    return trace_of(error)


@contextmanager
def without_tracebacks() -> Iterator[None]:
    """Errors that end an MPI job from inside are told without their tracebacks, as the command line does unless asked by --debug.

    A Python program under mpirun sees them: it is the rank that failed, which it has no other way to hear of.
    """
    _traces_hidden.append(True)
    try:
        yield
    finally:
        _traces_hidden.pop()
