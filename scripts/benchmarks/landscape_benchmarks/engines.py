"""The engine of this package as a contender."""

from __future__ import annotations

from landscape.evaluate import Engine, Objective
from landscape_benchmarks.case import Case
from landscape_benchmarks.contender import Contender

__all__ = ["EngineRun"]


class EngineRun(Contender):
    """The engine in one mode and precision, as a sweep uses it: a block of points at a time.

    Raises:
        LandscapeError: where the mode does not go with the model or the machine.
    """

    def __init__(self, case: Case, mode: str, precision: str) -> None:
        super().__init__(case)
        self.name = f"engine {mode} {precision}"
        self.precision = precision
        self.compiles = mode == "compiled"
        self._objective = Objective(case.problem, case.subspace, [case.sample], Engine(case.device, precision, mode=mode))
        engine = self._objective.engine
        self.block = engine.points_per_pass if mode == "batched" else 1
        points_per_pass = f", {engine.points_per_pass} points at once" if mode == "batched" else ""
        self.note = f"Engine(mode={mode!r}, precision={precision!r}), batch {engine.batch_size}{points_per_pass}"
        self._key = f"{case.sample.split}_loss"

    def __call__(self, n_points: int) -> list[float]:
        """The losses at the first `n_points` points."""
        measured = self._objective.measure_all([self.case.coordinates(index) for index in range(n_points)])
        return [measurement.estimates[self._key].value for measurement in measured]
