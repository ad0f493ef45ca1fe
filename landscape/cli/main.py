"""The entry point: arguments in, exit code out, every error one line."""

from __future__ import annotations

import errno
import io
import os
import shlex
import sys
import traceback
from collections.abc import Sequence

from landscape.ending import ended_gently
from landscape.errors import LandscapeError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the `landscape` command.

    Returns:
        0 done; 1 failed check or run; 2 wrong usage or input; 3 valid but incomplete file; 130 interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with ended_gently():
            code = _execute(words)
            sys.stdout.flush()  # while what hinders it can still be told in one line
            return code
    except KeyboardInterrupt as error:
        _say(str(error) or "interrupted")
        return 130
    except BrokenPipeError:  # the reader of our output, a pager or head, has left
        _silence()
        return 0
    except Exception as error:
        if "--debug" in words:
            traceback.print_exc()
        elif isinstance(error, LandscapeError):
            _say(str(error))
        elif isinstance(error, OSError) and error.errno == errno.ENOSPC:  # files are looked after where they are written
            _silence()
            _say("standard output or a temporary file cannot be written: the disk is full; free some space")
        else:
            _say(": ".join([type(error).__name__, *str(error).strip().splitlines()[:1]]) + "; --debug shows where")
        return error.exit_code if isinstance(error, LandscapeError) else 1


def _execute(words: Sequence[str]) -> int:
    from landscape.cli.parser import parse

    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal or a file name may know fewer letters than we use
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        options = parse(words)
    except SystemExit:  # argparse has shown the help
        return 0
    if options.version:
        from landscape.sweep.provenance import package_version

        print(f"landscape {package_version()}")
        return 0
    if options.command is None:
        options.parser.print_help()
        return 2
    options.words = shlex.join(["landscape", *words])  # for the file's provenance
    code: int = options.execute(options)
    return code


def _silence() -> None:
    """Send what is left of the output nowhere, so that Python does not trip over it on its way out."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(text: str) -> None:
    """One line on standard error, from the root alone: under a launcher every rank meets the same error."""
    if _launched_rank() in (None, 0):
        line = "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))
        print(f"landscape: {line}", file=sys.stderr, flush=True)


def _launched_rank() -> int | None:
    """The rank a launcher gave this process, before or without MPI; None outside a launcher."""
    for name in ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "MV2_COMM_WORLD_RANK", "SLURM_PROCID"):
        if os.environ.get(name, "").isdigit():
            return int(os.environ[name])
    return None
