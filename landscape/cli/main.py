"""The entry point: arguments in, exit code out, every error one line."""

from __future__ import annotations

import errno
import shlex
import sys
import traceback
from collections.abc import Sequence
from contextlib import nullcontext

from landscape.errors import LandscapeError, in_a_line
from landscape.output import Guarded, complain, guarded_streams, result_apart
from landscape.parallel import detect_rank, without_tracebacks
from landscape.parallel.signals import graceful_shutdown

__all__ = ["main"]

_SHORT_OF_MEMORY = ("failed to map segment", "Cannot allocate memory")  # what loading a library says then


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the `landscape` command.

    Returns:
        0 done; 1 failed check or run, or a result that was to be printed and could not be; 2 wrong usage or input; 3 valid but
        incomplete file; 130 interrupted. A reader of standard output that has left, as `head` does, changes nothing.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    with guarded_streams() as (out, _), nullcontext() if debug else without_tracebacks():
        try:
            with graceful_shutdown(lambda: _tell("interrupted")):
                code, printed = _execute(words)
                out.flush()
        except BaseException as error:  # whatever it is: an exit code tells how the run ended, not what raised
            return _failed(error, debug)
        return _printed(out, code) if printed else code


def _execute(words: Sequence[str]) -> tuple[int, bool]:
    """What a command ends with, and whether its result is what it prints."""
    from landscape.cli.parser import parse

    try:
        options = parse(words)
    except SystemExit:  # argparse has shown the help
        return 0, True
    if options.version:
        from landscape.sweep.version import package_version

        print(f"landscape {package_version()}")
        return 0, True
    if options.command is None:
        options.parser.print_help()
        return 2, True
    machines, typed = getattr(options, "json", False), shlex.join(["landscape", *words])  # the second for the file's provenance
    declared = {name: one for name, one in options.run.parameters.items() if one.option.typed}
    values = {name: typed if one.option.typed == "whole" else getattr(options, name) for name, one in declared.items()}
    with result_apart() if machines else nullcontext():
        return options.run.function(**values), options.run.prints or machines


def _printed(out: Guarded, code: int) -> int:
    """The exit code of a command whose result is what it printed."""
    if out.trouble is None or out.trouble.errno == errno.EPIPE:
        return code
    full = out.trouble.errno in (errno.ENOSPC, errno.EDQUOT)
    why = "the disk is full; free some space" if full else f"{out.trouble.strerror or out.trouble}; send it to a file"
    complain(f"the result could not be written to standard output: {why}")
    return code or 1


def _failed(error: BaseException, debug: bool) -> int:
    interrupted = isinstance(error, KeyboardInterrupt)
    if debug and not interrupted:
        traceback.print_exception(error)
    else:
        _tell(_told(error))
    return 130 if interrupted else error.exit_code if isinstance(error, LandscapeError) else 1


def _tell(text: str) -> None:
    """Say why the command ends, from the root alone: under a launcher every rank meets the same end."""
    if detect_rank() in (None, 0):
        complain(text)


def _told(error: BaseException) -> str:
    if isinstance(error, LandscapeError | KeyboardInterrupt):
        return in_a_line(error)
    if isinstance(error, MemoryError) or any(words in str(error) for words in _SHORT_OF_MEMORY):
        return f"memory ran out ({in_a_line(error)}); close other programs, or raise the limit (ulimit -v)"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):  # files of ours say so where they are written
        return "a temporary file cannot be written: the disk is full; free some space"
    return f"{in_a_line(error)}; --debug shows where"
