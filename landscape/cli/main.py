"""The entry point: arguments in, exit code out, every error one line."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType

from landscape.errors import LandscapeError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the `landscape` command.

    Returns:
        0 done; 1 failed check or run; 2 wrong usage or input; 3 valid but incomplete file; 130 interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        from landscape.cli import commands
        from landscape.cli.parser import parse

        options = parse(words)
        return commands.execute(options, words)
    except KeyboardInterrupt:
        _say("interrupted")
        return 130
    except BrokenPipeError:  # the reader of our output, a pager or head, has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if "--debug" in words:
            traceback.print_exc()
        elif isinstance(error, LandscapeError):
            _say(str(error))
        else:
            first = str(error).strip().splitlines()[:1]
            _say(f"{type(error).__name__}: {''.join(first)}; --debug shows where")
        return error.exit_code if isinstance(error, LandscapeError) else 1


def _interrupt(number: int, frame: FrameType | None) -> None:
    """A scheduler's SIGTERM ends a run as Ctrl-C does, with what was measured on disk."""
    raise KeyboardInterrupt


def _say(text: str) -> None:
    """One line on standard error, from the root alone: under a launcher every rank meets the same error."""
    if _launched_rank() in (None, 0):
        print(f"landscape: {' '.join(text.split())}", file=sys.stderr, flush=True)


def _launched_rank() -> int | None:
    """The rank a launcher gave this process, before or without MPI; None outside a launcher."""
    for name in ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "MV2_COMM_WORLD_RANK", "SLURM_PROCID"):
        if os.environ.get(name, "").isdigit():
            return int(os.environ[name])
    return None
