"""What a rank does with a block of points."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from landscape.errors import RunError, UserCodeError, in_a_line
from landscape.evaluate import Measurement, Objective, out_of_memory, peak_bytes
from landscape.parallel.signals import check_ended
from landscape.sweep.blocks import Index
from landscape.sweep.plan import Plan
from landscape.sweep.precision_audit import Audit
from landscape.sweep.rank_stats import RankStats

__all__ = ["PointWorker", "Result"]

Result = tuple[Measurement, Measurement | None]  # of a point, and where it is audited, in fp32 as well


class PointWorker:
    """Measures blocks of points, and keeps account of it.

    Args:
        plan: the grid, and where its points lie in weight space.
        objective: computes them.
        audit: says which are computed in fp32 as well.
    """

    def __init__(self, plan: Plan, objective: Objective, audit: Audit) -> None:
        self._plan, self._objective, self._audit = plan, objective, audit
        self._done = RankStats()
        self.points_per_pass = objective.engine.points_per_pass if objective.engine.mode == "batched" else 1
        self.slowest = 0.0  # seconds of the slowest point so far, or what one is expected to take
        self.known: dict[tuple[float, ...], Measurement] = {}

    def out_of_time(self, deadline: float) -> bool:
        """Whether a further block would end after a time of the monotonic clock."""
        return time.monotonic() + self.points_per_pass * self.slowest > deadline

    def block(self, block: Sequence[Index], first_looks: Mapping[str, int]) -> list[Result]:
        """The points of a block, those of the audit in fp32 as well; with a tolerance they look at so many examples first.

        Raises:
            KeyboardInterrupt: of a signal that the user's code swallowed in the block before.
            RunError: when one cannot be measured, as the user's code raised something or otherwise; it says where.
        """
        check_ended()
        self._objective.begin_looking_at(first_looks)
        self._objective.stopwatch.reset()
        places = [self._plan.place(index) for index in block]
        with self._placed(block):
            known = [None if self.points_per_pass > 1 else self.known.get(place) for place in places]
            measured = iter(self._objective.measure_all([p for p, old in zip(places, known, strict=True) if old is None]))
            found = [old or next(measured) for old in known]
            exact = [self._audit.exact(index, reduced_precision) for index, reduced_precision in zip(block, found, strict=True)]
        now = [measurement for measurement, old in zip(found, known, strict=True) if old is None]
        done, seconds = self._done, self._objective.stopwatch.seconds
        done.n_points += len(block)
        done.n_examples += sum(e.n_examples for m in found for key, e in m.estimates.items() if key.endswith("_loss"))
        done.points += sum(measurement.seconds for measurement in (*now, *(other for other in exact if other is not None)))
        done.moving += seconds.get("moving", 0.0)
        done.model += seconds.get("model", 0.0)
        self.slowest = max(self.slowest, *(measurement.seconds for measurement in found))
        return list(zip(found, exact, strict=True))

    def alone(self, index: Index, first_looks: Mapping[str, int], whole: bool) -> Measurement:
        """One point for the audit of a tolerance: with it, or on all examples. It does not count among those of the run.

        Raises:
            RunError: as of a block.
        """
        self._objective.begin_looking_at(first_looks)
        with self._placed([index]):
            found = self._objective.measure(self._plan.place(index), 0.0 if whole else self._objective.engine.tolerance)
        self.slowest = max(self.slowest, found.seconds)
        return found

    @contextmanager
    def _placed(self, block: Sequence[Index]) -> Iterator[None]:
        """Whatever is raised while a block is measured says where."""
        try:
            yield
        except Exception as error:
            where = self._where(block)
            if out_of_memory(error):
                raise RunError(f"{where}: memory ran out; run again with a smaller --batch-size") from error
            kind = UserCodeError if isinstance(error, UserCodeError) else RunError
            raise kind(f"{where}: {in_a_line(error)}") from (error.__cause__ if kind is UserCodeError else None) or error

    def checked(self, block: Sequence[Index], results: Sequence[Result], keys: Sequence[str]) -> list[tuple[Index, Result]]:
        """The points of a block, measured by whichever rank, with their results.

        Raises:
            UserCodeError: where a point has other metrics than the run's, `keys`; it names the first.
        """
        pairs = list(zip(block, results, strict=True))
        for index, (measurement, _) in pairs:
            for key in sorted(measurement.estimates.keys() ^ set(keys)):
                what = f"lacks {key}" if key in keys else f"has {key} too"
                raise UserCodeError(
                    f"{self._where([index])}: the point {what}, other than the origin; does the loss return other metrics on another rank?"
                )
        return pairs

    def account(self) -> RankStats:
        """What was done in blocks since this was asked last."""
        done, self._done = self._done, RankStats()
        done.peak_bytes = peak_bytes(self._objective.engine.device)
        return done

    def _where(self, block: Sequence[Index]) -> str:
        """The place of a block's first point, in words."""
        coordinates = self._plan.grid.coordinates(block[0])
        pairs = zip(self._plan.axes, coordinates, strict=True)
        among = f" or one of the {len(block) - 1} points computed with it" if len(block) > 1 else ""
        return "at " + ", ".join(f"{axis.name} = {coordinate:g}" for axis, coordinate in pairs) + among
