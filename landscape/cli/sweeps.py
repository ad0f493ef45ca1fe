"""The commands that measure: line and surface."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import landscape
from landscape.atomic import check_target
from landscape.cli.command import DataDir, Json, Settings, check_distinct, command, print_surface, problem_of
from landscape.errors import InputError, SelfCheckWarning
from landscape.parallel import detect_executor
from landscape.sweep.options import LineOptions, SurfaceOptions

__all__ = ["line", "surface"]


@command("landscape line digits-resnet26 runs/short/epoch_000.pt runs/short/epoch_015.pt -o line.h5", takes=LineOptions)
def line(*, settings: Settings, data_dir: DataDir = None, json: Json = False, **asked: Any) -> int:
    """Measure the loss along a line: between two checkpoints, or along random directions."""
    return _measure(landscape.line, settings, data_dir, json, asked)


@command("landscape surface digits-resnet26 runs/short/epoch_015.pt --x -1:1:51 --y -1:1:51 -o net.h5", takes=SurfaceOptions)
def surface(*, settings: Settings, data_dir: DataDir = None, json: Json = False, **asked: Any) -> int:
    """Measure the loss over a plane: random around one checkpoint, or through three."""
    if (asked["end_x"] is None) != (asked["end_y"] is None):
        raise InputError("surface takes one checkpoint or three, not two; for the line between two use landscape line")
    return _measure(landscape.surface, settings, data_dir, json, asked)


def _measure(
    function: Callable[..., landscape.Surface],
    settings: list[tuple[str, str]],
    data_dir: str | None,
    json: bool,
    asked: dict[str, Any],
) -> int:
    from landscape import io

    out, name, executor = asked["to"], asked.pop("problem"), detect_executor()
    check_distinct(out, *(asked.get(name) for name in ("start", "end", "end_x", "end_y", "directions")))
    executor.on_root(lambda: io.check_free(check_target(out)))  # before a model is built or data are read
    problem = executor.load_or_receive(lambda: problem_of(name, settings, data_dir))
    with _warnings_in_a_line():
        surface = function(problem, **asked)
    if executor.is_root and (json or not asked["quiet"]):
        print_surface(surface, out, json)
    run = surface.runs[-1]
    return 0 if surface.complete or ("part" in run and not run.get("left")) else 3


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
