"""The commands that measure: line and surface."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from landscape.atomic import check_target
from landscape.cli.command import Command, add_output, add_problem, add_verbosity, check_distinct, print_json, problem_of
from landscape.cli.values import axis, examples, seeds
from landscape.core.directions import NORMALIZATIONS
from landscape.errors import InputError, SelfCheckWarning
from landscape.evaluate import MODES, POLICIES, PRECISIONS
from landscape.parallel import detect_executor
from landscape.sweep.options import CHECKS

__all__ = ["COMMANDS"]

_SWEEP_OPTIONS = (
    "split", "examples", "device", "threads", "batch_size", "precision", "tolerance", "bn", "basin_level", "save_directions", "check",
    "engine", "audit_tolerance", "memory", "offload",
    "overwrite", "time_limit", "part", "yes", "quiet",
)  # fmt: skip
_GEOMETRY = ("x", "seed", "normalize", "ignore", "only", "directions")


def _add_run(parser: argparse.ArgumentParser) -> None:
    """The options that lines and planes share."""
    directions = parser.add_argument_group("directions")
    directions.add_argument("--normalize", choices=NORMALIZATIONS, help="normalization of random directions (default: filter)")
    directions.add_argument(
        "--ignore", metavar="bias,norm|none", help="what stays fixed (default: bias,norm for random directions, else none)"
    )
    directions.add_argument("--only", metavar="GLOB", help="move these parameters alone, such as 'layer4.*'")
    directions.add_argument("--directions", metavar="FILE", help="use the directions in a file, ours or tomgoldstein's")
    directions.add_argument("--save-directions", action="store_true", help="write the directions into the file")
    directions.add_argument("--seed", type=int, default=0, metavar="S", help="of random directions and samples (default: 0)")
    directions.add_argument(
        "--bn",
        choices=POLICIES,
        help="running statistics (default: frozen; between checkpoints interpolated, or recalibrated where a variance would be negative)",
    )
    data = parser.add_argument_group("data")
    data.add_argument("--split", metavar="train,test", help="data split or splits measured on (default: train)")
    data.add_argument(
        "--examples", type=examples, metavar="N|first:N", help="a random sample of N examples, or the first N (default: all)"
    )
    data.add_argument(
        "--tolerance", type=float, default=0.0, metavar="T", help="relative standard error at which a point may stop (default: off)"
    )
    machine = parser.add_argument_group("computing")
    machine.add_argument("--device", default="auto", metavar="auto|cpu|cuda[:i]", help="where to compute (default: auto)")
    machine.add_argument("--threads", type=int, metavar="N", help="CPU threads of each rank (default: the cores shared out)")
    machine.add_argument("--batch-size", type=int, metavar="N", help="examples computed at once (default: 128, on a GPU 1024)")
    machine.add_argument("--precision", choices=PRECISIONS, help="arithmetic (default: fp32); tf32 and bf16 are audited")
    machine.add_argument(
        "--audit-tolerance",
        type=float,
        default=0.01,
        metavar="E",
        help="relative error the audit of tf32 or bf16 allows (default: 0.01)",
    )
    machine.add_argument("--engine", choices=MODES, help="way of computing (default: eager)")
    machine.add_argument(
        "--memory",
        default="80%",
        metavar="8G|80%%",
        help="what examples may occupy on the device; more is streamed (default: 80%% of what is free)",
    )
    machine.add_argument("--offload", action="store_true", help="keep directions in main memory (on the CPU, in a file)")
    machine.add_argument(
        "--check",
        choices=CHECKS,
        default="raise",
        help="what a failed self-check does: end the run, or go on and say so (default: raise)",
    )
    machine.add_argument("--time-limit", metavar="55m", help="start no point that would overrun; exit code 3 when some are left")
    machine.add_argument(
        "--part", metavar="i/n", help="the i-th of n parts alone, without MPI; landscape merge puts parts together"
    )
    machine.add_argument(
        "--basin-level", type=float, default=1.0, metavar="NATS", help="height of the basin above the origin (default: 1)"
    )
    machine.add_argument("--yes", action="store_true", help="really measure a million points or more")
    add_output(parser, "FILE.h5", "the surface file; one that is there is resumed")
    add_verbosity(parser)


def _fill_line(parser: argparse.ArgumentParser) -> None:
    add_problem(parser)
    parser.add_argument("start", metavar="CKPT_A", help="checkpoint at x = 0")
    parser.add_argument("end", metavar="CKPT_B", nargs="?", help="checkpoint at x = 1; without it the direction is random")
    parser.add_argument("--x", type=axis, metavar="start:stop:n", help="default -0.5:1.5:401 between checkpoints, else -1:1:51")
    parser.add_argument("--seeds", type=seeds, metavar="1..10", help="several random directions: median and band")
    _add_run(parser)


def _line(options: argparse.Namespace) -> int:
    import landscape

    check_distinct(options.out, options.start, options.end, options.directions)
    detect_executor().on_root(lambda: _check_free(options.out))
    problem = detect_executor().load_or_receive(lambda: problem_of(options))
    with _warnings_in_a_line():
        surface = landscape.line(problem, options.start, options.end, seeds=options.seeds, **_asked(options))
    return _report(surface, options)


def _fill_surface(parser: argparse.ArgumentParser) -> None:
    add_problem(parser)
    parser.add_argument("start", metavar="CKPT", help="checkpoint at the origin")
    parser.add_argument("end_x", metavar="CKPT_B", nargs="?", help="checkpoint at (1, 0)")
    parser.add_argument("end_y", metavar="CKPT_C", nargs="?", help="checkpoint at (0, 1)")
    parser.add_argument("--x", type=axis, metavar="start:stop:n", help="default -1:1:51, through three checkpoints -0.5:1.5:51")
    parser.add_argument("--y", type=axis, metavar="start:stop:n", help="likewise")
    parser.add_argument("--orthogonalize", action="store_true", help="replace y by its part orthogonal to x")
    _add_run(parser)


def _surface(options: argparse.Namespace) -> int:
    import landscape

    if (options.end_x is None) != (options.end_y is None):
        raise InputError("surface takes one checkpoint or three, not two; for the line between two use landscape line")
    check_distinct(options.out, options.start, options.end_x, options.end_y, options.directions)
    detect_executor().on_root(lambda: _check_free(options.out))
    problem = detect_executor().load_or_receive(lambda: problem_of(options))
    ends = (options.start, options.end_x, options.end_y)
    with _warnings_in_a_line():
        surface = landscape.surface(problem, *ends, y=options.y, orthogonalize=options.orthogonalize, **_asked(options))
    return _report(surface, options)


@contextmanager
def _warnings_in_a_line() -> Iterator[None]:
    """A failed self-check that `--check warn` lets pass is one line on standard error, whatever Python is told of warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", SelfCheckWarning)
        others = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **rest: Any) -> None:
            if issubclass(category, SelfCheckWarning):
                print(f"landscape: {' '.join(str(message).split())}", file=sys.stderr, flush=True)
            else:
                others(message, category, *place, **rest)

        warnings.showwarning = show
        yield


def _check_free(out: str) -> None:
    """Refuse a file that cannot be written, or that another process writes, before a model is built or data are read."""
    from landscape import io

    check_target(out)
    io.check_free(out)


def _asked(options: argparse.Namespace) -> dict[str, Any]:
    asked = {name: getattr(options, name) for name in (*_GEOMETRY, *_SWEEP_OPTIONS)}
    return {**asked, "to": options.out, "command": options.words}


def _report(surface: Any, options: argparse.Namespace) -> int:
    from landscape.report import describe, tabulate

    if detect_executor().is_root:
        if options.json:
            print_json({"file": options.out, **tabulate(surface)})
        elif not options.quiet:
            print(f"{describe(surface)}\n{options.out}")
    run = surface.runs[-1]
    return 0 if surface.complete or ("part" in run and not run.get("left")) else 3


COMMANDS = (
    Command(
        "line",
        "measure the loss along a line: between two checkpoints, or along random directions",
        "landscape line digits-resnet26 runs/short/epoch_000.pt runs/short/epoch_015.pt -o line.h5",
        _fill_line,
        _line,
    ),
    Command(
        "surface",
        "measure the loss over a plane: random around one checkpoint, or through three",
        "landscape surface digits-resnet26 runs/short/epoch_015.pt --x -1:1:51 --y -1:1:51 -o net.h5",
        _fill_surface,
        _surface,
    ),
)
