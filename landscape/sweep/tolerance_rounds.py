"""How the ranks of a run carry out the audit of its tolerance, before any other point is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from landscape.core.surface import Surface
from landscape.evaluate import Measurement
from landscape.parallel import Call, Executor
from landscape.sweep.blocks import Index
from landscape.sweep.point_worker import PointWorker
from landscape.sweep.tolerance_audit import Round, ToleranceAudit

__all__ = ["settle"]

RunTask = Callable[[Sequence[Any], Call, Callable[[Any, Any], None]], object]


def settle(
    executor: Executor,
    audit: ToleranceAudit,
    worker: PointWorker,
    surface: Surface | None,
    keys: Sequence[str],
    run_task: RunTask,
    add: Callable[[Iterable[tuple[Index, Measurement]]], None],
    make: Callable[[], Any] | None = None,
) -> Mapping[str, int]:
    """Measure the points of an audit round by round.

    Args:
        executor: of all ranks.
        audit: says what to measure next, on the root.
        worker: of this rank.
        surface: as it is recorded, on the root, where anything is left to measure; else None.
        keys: the metrics a point has to have.
        run_task: computes items over all workers.
        add: records points, on the root.
        make: makes a worker elsewhere.

    Returns:
        How many examples of each split every point has to look at before it may stop.
    """

    def ask() -> Round | None:
        if surface is None:
            return None
        asked = audit.next(surface)
        if asked is None:
            add(audit.final())
        return asked

    while (asked := executor.on_root(ask)) is not None:

        def on_result(index: Index, found: Measurement, whole: bool = asked.whole) -> None:
            ((_, (measurement, _)),) = worker.checked([index], [(found, None)], keys)
            audit.on_result(index, measurement, whole)
            if whole:
                add([(index, measurement)])

        run_task(asked.points, Call(worker, "alone", (asked.first_looks, asked.whole), make), on_result)
    return executor.on_root(lambda: audit.first_looks)
