"""The audit of a lossy precision: some points computed in fp32 as well, and how far the two are apart."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from landscape.errors import RunError
from landscape.evaluate import Measurement, Objective
from landscape.sweep.blocks import Index
from landscape.sweep.plan import Plan

__all__ = ["Audit", "AuditError"]

_POINTS = 16


class AuditError(RunError):
    """A run's precision is too coarse."""


class Audit:
    """Compares points of a run in tf32 or bf16 with the same points in fp32; of an exact run there is nothing to compare.

    Sixteen points are drawn over the whole grid before the run, among those that are not computed in fp32 anyhow (see
    `Engine.fp32_radius`), and the node nearest to the origin joins them. Both times the same examples are used.

    Args:
        plan: the grid, and the seed of the draw.
        objective: computes in both precisions.
        allowed: the largest relative deviation of a loss allowed.
    """

    def __init__(self, plan: Plan, objective: Objective, allowed: float) -> None:
        self._plan = plan
        self._objective = objective
        self._allowed = allowed
        self.points: list[Index] = []
        self._n_exact = 0
        if objective.engine.reduced_precision:
            self.points, self._n_exact = _drawn(plan, objective)
        self._relative = self._absolute = 0.0
        self._seen: set[Index] = set()

    def exact(self, index: Index, reduced_precision: Measurement) -> Measurement | None:
        """The point in fp32, over the examples the lossy one used; None where it is no point of the audit."""
        if index not in self.points:
            return None
        used = {key.rpartition("_")[0]: e.n_examples for key, e in reduced_precision.estimates.items() if key.endswith("_loss")}
        return self._objective.measure(self._plan.place(index), precision="fp32", at_most=used)

    def compare(self, index: Index, reduced_precision: Measurement, exact: Measurement) -> None:
        """Take in one point measured both ways.

        Raises:
            AuditError: when they are further apart than allowed.
        """
        self._seen.add(index)
        for key, estimate in exact.estimates.items():
            if not key.endswith("_loss"):
                continue
            relative, absolute = _apart(reduced_precision.estimates[key].value, estimate.value)
            self._relative, self._absolute = max(self._relative, relative), max(self._absolute, absolute)
            if relative > self._allowed:
                engine = self._objective.engine
                better = "tf32 may do, fp32 will" if engine.precision == "bf16" and engine.device.type == "cuda" else "fp32 will do"
                raise AuditError(
                    f"{key} in {engine.precision} is {reduced_precision.estimates[key].value:.6g} where fp32 gives {estimate.value:.6g} "
                    f"({relative:.2g} apart, relative; {self._allowed:g} allowed): --precision {better}, with --overwrite"
                )

    def to_attributes(self) -> dict[str, Any]:
        """What the file stores among its checks; nothing for an exact run."""
        if not self.points:
            return {}
        return {
            "audit_points": len(self._seen),
            "audit_relative": self._relative,
            "audit_absolute": self._absolute,
            "audit_tolerance": self._allowed,
            "fp32_within": self._objective.engine.fp32_radius,
            "fp32_points": self._n_exact,
        }

    def summary(self) -> str:
        """The result in one line; empty for an exact run."""
        found = self.to_attributes()
        if not found:
            return ""
        return (
            f"audit: {found['audit_points']} points in {self._objective.engine.precision} and in fp32 differ by {self._relative:.2g} relative, "
            f"{self._absolute:.2g} absolute at most; {found['fp32_points']} of {self._plan.grid.n_points} points, nearer to the origin than "
            f"{found['fp32_within']:.2g} of its norm, are in fp32"
        )


def _apart(reduced_precision: float, exact: float) -> tuple[float, float]:
    """How far apart two values are, relative and absolute; equal where both are no numbers, infinitely where one is."""
    if reduced_precision == exact or (math.isnan(reduced_precision) and math.isnan(exact)):
        return 0.0, 0.0
    gap = abs(reduced_precision - exact)
    return (gap / max(abs(exact), 1e-300), gap) if math.isfinite(gap) else (math.inf, math.inf)


def _drawn(plan: Plan, objective: Objective) -> tuple[list[Index], int]:
    """The points of the audit, and how many points of the grid are computed in fp32 anyhow."""
    everything = list(plan.grid.indices())
    coarse = [index for index in everything if not objective.is_exact(plan.place(index))]
    chosen = np.random.default_rng(abs(plan.seed)).permutation(len(coarse))[:_POINTS]
    origin = min(everything, key=lambda index: sum(c * c for c in plan.place(index)))
    return list(dict.fromkeys([origin, *(coarse[i] for i in sorted(chosen))])), len(everything) - len(coarse)
