"""What is said on the standard streams, whatever has become of them: closed, on a full disk, or without a reader."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

__all__ = ["Guarded", "complain", "guarded_streams", "print_result", "result_apart"]

_results: list[TextIO] = []  # standard output, for each `result_apart` that is open
_LONGEST = 500  # letters of a line; a name or a value may be as long as it likes


class Guarded:
    """A text stream that never raises because it cannot write: what cannot be written is dropped, and the first reason kept.

    Args:
        stream: None where the process was started with it closed, as Python has it then.

    Attributes:
        trouble: why something was lost; None while nothing is.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.trouble: OSError | None = None

    def write(self, text: str) -> int:
        """Write, or drop."""
        if self._stream is None:
            self.trouble = OSError(errno.EBADF, "it is closed")
        elif self.trouble is None:
            try:
                self._stream.write(text)
            except (OSError, ValueError) as error:
                self._give_up(error)
        return len(text)

    def flush(self) -> None:
        """Bring what was written out, or drop it."""
        if self._stream is not None and self.trouble is None:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._give_up(error)

    def isatty(self) -> bool:
        """Whether somebody sits before it."""
        with suppress(OSError, ValueError):
            return self._stream is not None and self._stream.isatty()
        return False

    def silence(self) -> None:
        """Send what is left in the stream's buffer nowhere, so that Python does not trip over it on its way out."""
        if self._stream is not None and self.trouble is not None:
            with suppress(OSError, ValueError, AttributeError):  # a stream of the caller's own may have no descriptor
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, self._stream.fileno())
                os.close(null)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _give_up(self, error: OSError | ValueError) -> None:
        """Note the reason; a ValueError means that the stream was closed, unless it says something about the text."""
        if isinstance(error, UnicodeError):
            raise error
        self.trouble = error if isinstance(error, OSError) else OSError(errno.EBADF, "it is closed")


@contextmanager
def guarded_streams() -> Iterator[tuple[Guarded, Guarded]]:
    """Standard output and standard error, guarded, in place of the process's own while inside."""
    before = sys.stdout, sys.stderr
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal or a file name may know fewer letters than we use
        with suppress(OSError, ValueError):
            sys.stdout.reconfigure(errors="backslashreplace")
    out, err = Guarded(sys.stdout), Guarded(sys.stderr)
    sys.stdout, sys.stderr = cast(TextIO, out), cast(TextIO, err)
    try:
        yield out, err
    finally:
        for stream in (out, err):
            stream.flush()
            stream.silence()
        sys.stdout, sys.stderr = before


@contextmanager
def result_apart() -> Iterator[None]:
    """What is printed inside goes to standard error, except by `print_result`: what the user's code prints is no part of a result for machines."""
    before = sys.stdout
    _results.append(before)
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        sys.stdout = before
        _results.pop()


def print_result(text: str) -> None:
    """Print a result on standard output, inside `result_apart` too."""
    print(text, file=_results[-1] if _results else sys.stdout)


def complain(text: str, trace: str = "") -> None:
    """Say one line on standard error, in the manner of the house, perhaps after a traceback; where there is none, nothing."""
    line = "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))
    if len(line) > _LONGEST:
        line = f"{line[: _LONGEST * 2 // 3]} … {line[-_LONGEST // 3 :]}"  # what is wrong comes first, what to do about it last
    stream = Guarded(sys.stderr)
    stream.write(f"{trace}\nlandscape: {line}\n" if trace else f"landscape: {line}\n")  # at once: other ranks may speak too
    stream.flush()
