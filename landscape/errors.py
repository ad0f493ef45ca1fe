"""What goes wrong, in one line each: what, where, and what to do about it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

__all__ = [
    "InputError",
    "LandscapeError",
    "MissingFileError",
    "RankError",
    "RunError",
    "SelfCheckError",
    "SelfCheckWarning",
    "UserCodeError",
    "did_you_mean",
    "in_a_line",
    "users_code",
]


class LandscapeError(Exception):
    """The base of every error this package raises on purpose.

    `exit_code` is what the command line ends with.
    """

    exit_code = 1


class RunError(LandscapeError):
    """A check failed, or the computation did: exit code 1."""


class UserCodeError(RunError):
    """The user's own model, loss or data set raised something, whatever it was: exit code 1."""


class SelfCheckError(RunError):
    """The values disagree with the independent reference: exit code 1."""


class SelfCheckWarning(UserWarning):
    """The same, where the user asked to go on all the same (`check="warn"`)."""


class InputError(LandscapeError, ValueError):
    """Wrong usage or unusable input; nothing was written: exit code 2."""

    exit_code = 2


class MissingFileError(InputError):
    """A file that is not there; under MPI it may be there for rank 0."""


class RankError(RunError):
    """Another rank failed.

    `trace` is its traceback.
    """

    def __init__(self, text: str, trace: str = "") -> None:
        super().__init__(text)
        self.trace = trace


_MOST_LISTED = 20
_LONGEST = 240  # letters of an error that are shown


@contextmanager
def users_code(what: str) -> Iterator[None]:
    """Around every call into the user's own code, which may raise anything, `SystemExit` and `BrokenPipeError` included.

    Ctrl-C passes, and so do our own errors. A lack of memory is told apart by the cause, see `out_of_memory`.

    Args:
        what: runs in here, to stand before "raised": "the model or loss".

    Raises:
        UserCodeError: in one line, the user's error being its `__cause__`.
    """
    try:
        yield
    except (KeyboardInterrupt, LandscapeError):
        raise
    except BaseException as error:
        raise UserCodeError(f"{what} raised {in_a_line(error)}") from error


def in_a_line(error: BaseException) -> str:
    """An error in one short line: its kind and the first line of what it says; one of ours by its own words.

    >>> in_a_line(KeyError("no such thing")), in_a_line(ValueError("first\\nand more")), in_a_line(RunError("failed"))
    ("KeyError: 'no such thing'", 'ValueError: first', 'failed')
    """
    try:
        lines = str(error).strip().splitlines()
    except BaseException:  # the user's own error may raise anything here too
        lines = ["its message cannot be shown"]
    if isinstance(error, LandscapeError | KeyboardInterrupt):
        return " ".join(lines) or ("interrupted" if isinstance(error, KeyboardInterrupt) else type(error).__name__)
    line = ": ".join([type(error).__name__, *lines[:1]])
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]} …"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint that names the known word closest to `word`.

    >>> did_you_mean("filtre", ["filter", "layer"])
    'did you mean "filter"? (one of: filter, layer)'
    >>> did_you_mean("q", ["filter", "layer"])
    'one of: filter, layer'

    Of many words only the first are listed; what lists them all is for the caller to say.
    """
    choices = list(known)
    listing = f"one of: {', '.join(choices[:_MOST_LISTED])}{', …' if len(choices) > _MOST_LISTED else ''}"
    close = difflib.get_close_matches(word, choices, n=1, cutoff=0.5)
    return f'did you mean "{close[0]}"? ({listing})' if close else listing
