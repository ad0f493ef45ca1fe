"""`landscape.line`, `landscape.surface` and `landscape.stream`."""

from __future__ import annotations

from collections.abc import Generator

from landscape.core.surface import Surface
from landscape.declaration import takes
from landscape.sweep.options import LineOptions, SurfaceOptions
from landscape.sweep.plan import plan_line, plan_surface
from landscape.sweep.run import run, run_in_steps

__all__ = ["line", "stream", "surface"]


@takes(LineOptions)
def line(given: LineOptions) -> Surface:
    """Measure a problem along a line: from one checkpoint to another, or from one along random directions.

    With `end`, the points are (1 − a)·θ_start + a·θ_end (Goodfellow, Vinyals and Saxe 2015), running statistics included;
    without, θ_start + a·δ with a filter-normalized Gaussian δ (Li et al. 2018, sec. 4). Several `seeds` are measured one after the
    other into one surface with axes x and seed. A checkpoint is a file, module or state dict, an axis a tuple (start, stop, n) or an
    array of coordinates `(n,)`.

    Returns:
        The surface; with a time limit it may be incomplete.

    Raises:
        InputError: for input that cannot be used; nothing is written then.
        RunError: when the computation fails; what was measured is in the file.
    """
    return run(lambda: plan_line(given.problem, given.start, given.end, given.x, given.seeds, given), given)


@takes(SurfaceOptions)
def surface(given: SurfaceOptions) -> Surface:
    """Measure a problem over a plane: two random directions around one checkpoint, or the plane through three.

    The points are θ* + a·δ + b·η (Li et al. 2018, eq. 1); with three checkpoints A, B, C it is δ = B − A and η = C − A. A checkpoint
    is a file, module or state dict, an axis a tuple (start, stop, n) or an array of coordinates `(n,)`.

    Returns:
        The surface, indexed [x, y]; with a time limit it may be incomplete.

    Raises:
        InputError: for input that cannot be used; nothing is written then.
        RunError: when the computation fails; what was measured is in the file.
    """
    ends = (given.start, given.end_x, given.end_y)
    return run(lambda: plan_surface(given.problem, *ends, given.x, given.y, given.orthogonalize, given), given)


@takes(SurfaceOptions)
def stream(given: SurfaceOptions) -> Generator[Surface, None, None]:
    """Measure a surface and see it grow: what `surface` does with the same arguments, as an iterator.

    In between, torch and its generators are as they were before. `break`, or `close()`, ends the run as Ctrl-C does: its file can be
    resumed.

    Yields:
        A copy of the surface as it is so far, whenever points came in; the last one is that of `surface`, numbers and checks included.

    Raises:
        InputError: as `surface`, and under mpirun.
        RunError: as `surface`.
    """
    ends = (given.start, given.end_x, given.end_y)
    return run_in_steps(lambda: plan_surface(given.problem, *ends, given.x, given.y, given.orthogonalize, given), given)
