"""How the ranks of a run carry out the audit of its tolerance, before any other point is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from landscape.core.surface import Surface
from landscape.evaluate import Measurement, Objective
from landscape.parallel import Executor
from landscape.sweep.point_worker import Index, PointWorker
from landscape.sweep.tolerance_audit import Round, ToleranceAudit

__all__ = ["settle"]

ShareOut = Callable[[Sequence[Any], Callable[[Any], Any], Callable[[Any, Any], None]], object]


def settle(
    executor: Executor,
    audit: ToleranceAudit,
    objective: Objective,
    worker: PointWorker,
    surface: Surface | None,
    keys: Sequence[str],
    run_task: ShareOut,
    add: Callable[[Iterable[tuple[Index, Measurement]]], None],
) -> None:
    """Measure the points of an audit round by round, and let every rank's points stop where it says they may.

    Args:
        executor: of all ranks.
        audit: says what to measure next, on the root.
        objective: of this rank.
        measuring: of this rank.
        surface: as it is recorded, on the root, where anything is left to measure; else None.
        keys: the metrics a point has to have.
        share_out: computes items over all ranks.
        add: records points, on the root.
    """

    def ask() -> Round | None:
        if surface is None:
            return None
        asked = audit.next(surface)
        if asked is None:
            add(audit.final())
        return asked

    while (asked := executor.on_root(ask)) is not None:
        objective.begin_looking_at(asked.first_looks)

        def compute(index: Index, whole: bool = asked.whole) -> Measurement:
            return worker.alone(index, whole)

        def on_result(index: Index, found: Measurement, whole: bool = asked.whole) -> None:
            ((_, (measurement, _)),) = worker.checked([index], [(found, None)], keys)
            audit.on_result(index, measurement, whole)
            if whole:
                add([(index, measurement)])

        run_task(asked.points, compute, on_result)
    objective.begin_looking_at(executor.on_root(lambda: audit.first_looks))
