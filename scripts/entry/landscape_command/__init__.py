"""The console script `landscape`. It stands outside the package, so that a package that cannot be loaded is one line, too."""

from __future__ import annotations

import contextlib
import errno
import os
import sys

__all__ = ["main"]

_SHORT_OF_MEMORY = ("failed to map segment", "annot allocate memory")  # what a library that does not fit says


def main() -> int:
    """Load the package and run its command line.

    Returns:
        Its exit code; 1 where it cannot be loaded, 130 when that was interrupted.
    """
    _open_streams()
    try:
        os.getcwd()
    except OSError:  # libraries that torch loads want one, and end the process
        return _tell("the current folder is gone; change to one that is there", 2)
    try:
        from landscape.cli import main as run
    except BaseException as error:
        if "--debug" in sys.argv:
            raise
        return _refused(error)
    return run()


def _open_streams() -> None:
    """Lead standard streams that are closed nowhere: else the next file that is opened takes their number, and what libraries say."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it takes the lowest number that is free, which is this one


def _refused(error: BaseException) -> int:
    interrupted = isinstance(error, KeyboardInterrupt)
    what = ": ".join([type(error).__name__, *str(error).strip().splitlines()[:1]])
    short = isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM
    if interrupted:
        return _tell("interrupted", 130)
    if short or any(words in str(error) for words in _SHORT_OF_MEMORY):
        return _tell(
            f"memory ran out while the package was loaded ({what}); close other programs, or raise the limit (ulimit -v)", 1
        )
    remedy = "install it again with pip install torch-landscape, " if isinstance(error, ImportError) else ""
    return _tell(f"the package cannot be loaded: {what}; {remedy}--debug shows where", 1)


def _tell(text: str, code: int) -> int:
    with contextlib.suppress(OSError):  # nobody may be there to read it
        os.write(2, f"landscape: {text}\n".encode(errors="replace"))
    return code
