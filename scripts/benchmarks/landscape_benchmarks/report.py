"""The report of a race: a table for people, a tree for machines, and the machine it ran on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from landscape_benchmarks.hand_loop import HandLoop
from landscape_benchmarks.original import Original
from landscape_benchmarks.race import Result
from landscape_benchmarks.roofline import Cost, Floor

__all__ = ["Report"]


@dataclass(frozen=True)
class Report:
    """What a race came to."""

    problem: str
    weights: str  # the checkpoint's name, or "untrained"
    n_examples: int
    population: int
    environment: Mapping[str, Any]
    cost: Cost
    floors: Mapping[str, Floor]  # by precision
    results: Sequence[Result]
    absent: Mapping[str, str]  # why a contender did not run, by name

    def result(self, name: str) -> Result | None:
        """The result of the contender of a name; None where it did not run."""
        return next((result for result in self.results if result.name == name), None)

    def floor_share(self, result: Result) -> float:
        """The floor of a point as a share of what the contender takes."""
        return self.floors[result.precision].seconds / result.typical

    def tabulate(self) -> dict[str, Any]:
        """The report as a tree of plain values."""
        original, written = self.result(Original.name), self.result(HandLoop.name)

        def tree(result: Result) -> dict[str, Any]:
            against = {"original": original, "hand_written": written}
            ratios = {
                key: dict(zip(("median", "min", "max"), result.times(other), strict=True))
                for key, other in against.items()
                if other
            }
            return {
                **asdict(result),
                "milliseconds_per_point": 1e3 * result.typical,
                "images_per_second": self.n_examples / result.typical,
                "times_as_fast_as": ratios,
                "floor_share": self.floor_share(result),
                "operation_share": self.floors[result.precision].operation_seconds / result.typical,
                "byte_share": self.floors[result.precision].byte_seconds / result.typical,
            }

        return {
            "problem": self.problem,
            "weights": self.weights,
            "n_examples": self.n_examples,
            "population": self.population,
            "environment": dict(self.environment),
            "cost": asdict(self.cost),
            "floors": {name: {**asdict(floor), "seconds": floor.seconds} for name, floor in self.floors.items()},
            "results": [tree(result) for result in self.results],
            "absent": dict(self.absent),
        }

    def describe(self) -> str:
        """The report as a table."""
        machine, original = self.environment, self.result(Original.name)
        examples = (
            f"{self.n_examples:,} of {self.population:,} examples"
            if self.n_examples < self.population
            else f"{self.n_examples:,} examples"
        )
        n_rounds = len(self.results[0].seconds) if self.results else 0
        lines = [
            f"{self.problem} ({self.weights}), {examples} at each point; {n_rounds} rounds in turns",
            f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} threads, load {machine['load']:.2f}; "
            f"torch {machine['torch']} on {machine['device']}",
            "",
            f"{'':<26}{'ms a point':>11}{'images/s':>12}  {'times the original':<24}{'floor':>6}{'deviation':>12}{'points':>8}",
        ]
        for result in self.results:
            ratio = _spread(result.times(original)) if original else ""
            lines.append(
                f"{result.name:<26}{1e3 * result.typical:>11.3g}{self.n_examples / result.typical:>12,.0f}  {ratio:<24}"
                f"{self.floor_share(result):>6.0%}{result.deviation:>12.1g}{result.n_points:>8}"
            )
        lines += [f"{name:<26}{reason}" for name, reason in self.absent.items()]
        lines.append("")
        lines += [
            f"floor {floor.precision}: {1e3 * floor.seconds:.3g} ms a point; {self.cost.operations:.3g} operations at {floor.operation_rate / 1e9:,.0f} "
            f"GFLOP/s are {1e3 * floor.operation_seconds:.3g} ms, weights and activations at {floor.copy_rate / 1e9:.3g} GB/s "
            f"{1e3 * floor.byte_seconds:.3g} ms"
            for floor in self.floors.values()
        ]
        lines.append(
            "deviation: largest relative difference of the loss to a plain loop in double precision; floor: share of it reached"
        )
        return "\n".join(lines)


def _spread(ratios: tuple[float, float, float]) -> str:
    middle, low, high = (f"{ratio:.3g}" for ratio in ratios)
    return f"{middle} × ({low}–{high})"
