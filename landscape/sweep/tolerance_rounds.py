"""How the ranks of a run carry out the audit of its tolerance, before any other point is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from landscape.core.surface import Surface
from landscape.evaluate import Measurement, Objective
from landscape.parallel import Executor
from landscape.sweep.point_worker import Index, Measuring
from landscape.sweep.tolerance_audit import Round, ToleranceAudit

__all__ = ["settle"]

ShareOut = Callable[[Sequence[Any], Callable[[Any], Any], Callable[[Any, Any], None]], object]


def settle(
    executor: Executor,
    audit: ToleranceAudit,
    objective: Objective,
    measuring: Measuring,
    surface: Surface | None,
    keys: Sequence[str],
    share_out: ShareOut,
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

    while (asked := executor.at_root(ask)) is not None:
        objective.begin_looking_at(asked.first_looks)

        def compute(index: Index, whole: bool = asked.whole) -> Measurement:
            return measuring.alone(index, whole)

        def take(index: Index, found: Measurement, whole: bool = asked.whole) -> None:
            ((_, (measurement, _)),) = measuring.checked([index], [(found, None)], keys)
            audit.take(index, measurement, whole)
            if whole:
                add([(index, measurement)])

        share_out(asked.points, compute, take)
    objective.begin_looking_at(executor.at_root(lambda: audit.first_looks))
