"""The sweep: a line or a plane measured over its grid."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from dataclasses import fields
from typing import Any

from landscape.checkpoints import Checkpoint
from landscape.core.directions import Normalization, Only
from landscape.core.grid import AxisLike
from landscape.core.surface import Surface
from landscape.problem import Problem
from landscape.sweep.merge_files import merge
from landscape.sweep.options import Options
from landscape.sweep.plan import DirectionSpec, plan_line, plan_surface
from landscape.sweep.run import run, run_in_steps
from landscape.sweep.seeds import check_seeds

__all__ = ["Options", "line", "merge", "stream", "surface"]


def line(
    problem: Problem,
    start: Checkpoint | None = None,
    end: Checkpoint | None = None,
    *,
    x: AxisLike | None = None,
    seed: int = 0,
    seeds: Sequence[int] | None = None,
    normalize: Normalization | None = None,
    ignore: str | Sequence[str] | None = None,
    only: Only = None,
    directions: str | os.PathLike[str] | None = None,
    executor: Any = None,
    **options: Any,
) -> Surface:
    """Measure a problem along a line: from one checkpoint to another, or from one along random directions.

    With `end`, the points are (1 − a)·θ_start + a·θ_end (Goodfellow, Vinyals and Saxe 2015), running statistics included;
    without, θ_start + a·δ with a filter-normalized Gaussian δ (Li et al. 2018, sec. 4).

    Args:
        problem: model, loss and data.
        start: a checkpoint file, module or state dict; the problem's own model by default.
        end: the other end.
        x: (start, stop, n) or explicit coordinates `(n,)`; (-0.5, 1.5, 401) between checkpoints, else (-1, 1, 51).
        seed: of the random direction and of a random sample of examples.
        seeds: several random directions, measured one after the other into one surface with axes x and seed.
        normalize: filter, layer, weight, model, unit-filter, unit-layer or none; or a function of a parameter's normal numbers and its
            weights, both `(n_filters, n_entries)`, that returns the direction's filters; a file stores its qualified name.
        ignore: what stays fixed: bias, norm, both (the default for random directions) or none.
        only: a glob, or a predicate `(name, parameter) -> bool`; these parameters alone move, whether they require gradients or
            not. A file stores the names that a predicate chose.
        directions: a file that holds the direction to use.
        executor: a pool whose processes compute the points: whatever has `submit`, as those of concurrent.futures, mpi4py.futures and
            Dask, or `map`, in order. Values do not depend on it.
        **options: see `Options`: split, examples, device, threads, batch_size, precision, tolerance, bn, basin_level, to,
            save_directions, overwrite, time_limit, part, yes, quiet, command.

    Returns:
        The surface; with a time limit it may be incomplete.

    Raises:
        InputError: for input that cannot be used; nothing is written then.
        RunError: when the computation fails; what was measured is in the file.
    """
    asked = Options.of(options)
    geometry = DirectionSpec(seed, normalize, ignore, only, directions, asked.bn)
    seeds = None if seeds is None else check_seeds(seeds)
    return run(lambda: plan_line(problem, start, end, x, seeds, geometry), asked, executor)


def surface(
    problem: Problem,
    start: Checkpoint | None = None,
    end_x: Checkpoint | None = None,
    end_y: Checkpoint | None = None,
    *,
    x: AxisLike | None = None,
    y: AxisLike | None = None,
    orthogonalize: bool = False,
    seed: int = 0,
    normalize: Normalization | None = None,
    ignore: str | Sequence[str] | None = None,
    only: Only = None,
    directions: str | os.PathLike[str] | None = None,
    executor: Any = None,
    **options: Any,
) -> Surface:
    """Measure a problem over a plane: two random directions around one checkpoint, or the plane through three.

    The points are θ* + a·δ + b·η (Li et al. 2018, eq. 1); with three checkpoints A, B, C it is δ = B − A and η = C − A.

    Args:
        problem: model, loss and data.
        start: the origin: a checkpoint file, module or state dict; the problem's own model by default.
        end_x: the checkpoint at (1, 0).
        end_y: the checkpoint at (0, 1).
        x: (start, stop, n) or explicit coordinates `(n,)`; (-1, 1, 51), through checkpoints (-0.5, 1.5, 51).
        y: likewise.
        orthogonalize: replace η by its part orthogonal to δ; marks keep the models' true places.
        seed: of the random directions and of a random sample of examples.
        normalize: filter, layer, weight, model, unit-filter, unit-layer or none; or a function of a parameter's normal numbers and its
            weights, both `(n_filters, n_entries)`, that returns the direction's filters; a file stores its qualified name.
        ignore: what stays fixed: bias, norm, both (the default for random directions) or none.
        only: a glob, or a predicate `(name, parameter) -> bool`; these parameters alone move, whether they require gradients or
            not. A file stores the names that a predicate chose.
        directions: a file that holds the directions to use.
        executor: a pool whose processes compute the points, as for `line`.
        **options: as for `line`.

    Returns:
        The surface, indexed [x, y]; with a time limit it may be incomplete.

    Raises:
        InputError: for input that cannot be used; nothing is written then.
        RunError: when the computation fails; what was measured is in the file.
    """
    asked = Options.of(options)
    geometry = DirectionSpec(seed, normalize, ignore, only, directions, asked.bn)
    return run(lambda: plan_surface(problem, start, end_x, end_y, x, y, orthogonalize, geometry), asked, executor)


def stream(
    problem: Problem,
    start: Checkpoint | None = None,
    end_x: Checkpoint | None = None,
    end_y: Checkpoint | None = None,
    *,
    x: AxisLike | None = None,
    y: AxisLike | None = None,
    orthogonalize: bool = False,
    executor: Any = None,
    **options: Any,
) -> Generator[Surface, None, None]:
    """Measure a surface and see it grow: what `surface` does with the same arguments, as an iterator.

    In between, torch and its generators are as they were before. `break`, or `close()`, ends the run as Ctrl-C does: its file can be
    resumed.

    Args:
        problem: as the others, see `surface`.
        start: likewise.
        end_x: likewise.
        end_y: likewise.
        x: likewise.
        y: likewise.
        orthogonalize: likewise.
        executor: likewise.
        **options: seed, normalize, ignore, only, directions, and those of `Options`.

    Yields:
        A copy of the surface as it is so far, whenever points came in; the last one is that of `surface`, numbers and checks included.

    Raises:
        InputError: as `surface`, and under mpirun.
        RunError: as `surface`.
    """
    made = {field.name: options.pop(field.name) for field in fields(DirectionSpec) if field.name in options and field.name != "bn"}
    asked = Options.of(options)
    geometry = DirectionSpec(**made, bn=asked.bn)
    return run_in_steps(lambda: plan_surface(problem, start, end_x, end_y, x, y, orthogonalize, geometry), asked, executor)
