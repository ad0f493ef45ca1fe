"""One point measured by the engine and evaluated by the reference: how far apart, how far they may be, and what it is if they are further."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from landscape.core.agreement import agree, apart
from landscape.errors import UserCodeError
from landscape.evaluate import Measurement, Objective, Sample
from landscape.problem import Examples
from landscape.reference import Reference, Values
from landscape.sweep.allowance import UNIT_ROUNDOFF, allowed_relative, mean_deviation
from landscape.sweep.located_models import losses_of, parts_of
from landscape.sweep.plan import Plan

__all__ = ["Compared", "Comparer", "Place"]

_EXAMPLES = 4096  # a point is compared over the first so many examples of the run's own
_LARGEST_BATCH = 100

Place = tuple[float, ...]


@dataclass(frozen=True)
class Compared:
    """One point both ways: the engine's losses by split, and what the reference saw."""

    name: str
    place: Place
    engine: dict[str, float]
    reference: Values


class Comparer:
    """Compares the engine with the reference, point by point, and keeps what it found.

    Args:
        plan: the subspace.
        objective: the engine.
        samples: the examples of the run.
        calibration: the examples batch norm is recalibrated on, if it is.
        batch_size_is_fixed: whether the user, or the file to go on with, names the batch size.
        lossy_allowance: how far values in tf32 or bf16 may be off, relative.

    Attributes:
        reference: evaluates points of the subspace.
        at_most: split → how many of its examples are compared.
        uses_all: whether those are all examples of the run.
        worst: relative difference and what is allowed, where the one is nearest to the other.
        n_points: how many were compared.
        places: their coordinates.
        noting: whether both values of a point are kept as attributes.
        needs_batch_size: whether values depend on the batch size, which then belongs to what is measured.
        attributes: what the file stores.
        failures: what is wrong, a line each.
        measured: what the engine gave at points whose values can be used as they are, by coordinates.
    """

    def __init__(
        self,
        plan: Plan,
        objective: Objective,
        samples: Sequence[Sample],
        calibration: Examples | None,
        batch_size_is_fixed: bool,
        lossy_allowance: float,
    ) -> None:
        self._plan, self._objective, self._samples = plan, objective, samples
        self._fixed, self._lossy_allowance = batch_size_is_fixed, lossy_allowance
        splits = {sample.split: sample.examples.tensors for sample in samples}
        recalibrated = calibration.tensors if calibration is not None and objective.engine.bn == "recalibrated" else None
        stored = plan.models[0].stored if plan.effective else None
        self.reference = Reference(plan.original, splits, recalibrated, objective.engine.device, stored)
        self.at_most = {sample.split: min(sample.size, _EXAMPLES) for sample in samples}
        self.uses_all = all(sample.size <= _EXAMPLES for sample in samples)
        self._types = [objective.engine.dtype, *_types_of(plan.problem.model)]
        self._allowed = allowed_relative(plan.parameters_of(plan.subspace.origin), self._types)
        self.worst = (0.0, self._allowed)
        self.n_points = 0
        self.noting = True
        self.places: set[Place] = set()
        self.needs_batch_size = not plan.problem.per_example
        self.attributes: dict[str, Any] = {}
        self.failures: list[str] = []
        self.measured: dict[Place, Measurement] = {}

    def compare(self, name: str, place: Place, stored: Mapping[str, float] | None = None) -> Compared:
        """A point by the engine, or as it is stored, and by the reference."""
        try:
            return self._compare(name, place, stored)
        except UserCodeError as error:
            axes = [axis.name for axis in self._plan.axes] if len(place) == len(self._plan.axes) else ["a coordinate"] * len(place)
            where = ", ".join(f"{axis} = {c:g}" for axis, c in zip(axes, place, strict=True))
            raise UserCodeError(f"at {where}: {error}") from error.__cause__

    def _compare(self, name: str, place: Place, stored: Mapping[str, float] | None) -> Compared:
        engine, relative = self._objective.engine, 0.0
        values = losses_of(self.measure(place), self._samples) if stored is None else dict(stored)
        if stored is not None and engine.reduced_precision and not self._objective.is_exact(place):
            relative = self._lossy_allowance
        try:
            reference = self.evaluate(place, self.other_batch_size())
        except UserCodeError:  # a model may know its batches by their size
            self.needs_batch_size = True
            reference = self.evaluate(place, self.other_batch_size())
        found = Compared(name, place, values, reference)
        for split, value in values.items():
            self.judge(found, split, value, relative)
        self.n_points += 1
        self.places.add(place)
        return found

    def measure(self, place: Place) -> Measurement:
        """A point by the engine over the examples compared, in full precision."""
        engine = self._objective.engine
        found = self._objective.measure(place, precision="fp32" if engine.reduced_precision else None, at_most=self.at_most)
        if self.uses_all and not engine.tolerance and (not engine.reduced_precision or self._objective.is_exact(place)):
            self.measured[place] = found
        return found

    def evaluate(self, place: Place, batch_size: int, dtype: torch.dtype | None = None) -> Values:
        """A point by the reference."""
        subspace = self._plan.subspace
        return self.reference.at(subspace.origin, parts_of(self._plan), place, batch_size, n_examples=_EXAMPLES, dtype=dtype)

    def other_batch_size(self) -> int:
        """Another batch size than the engine's, that fits the memory too; the engine's own where values are known to depend on it."""
        size = self._objective.batch_size
        return size if self.needs_batch_size else min(_LARGEST_BATCH, max(1, 2 * size // 3))

    def judge(self, found: Compared, split: str, value: float, relative: float = 0.0) -> None:
        """Note how far a loss is from the reference's, and what is wrong if that is too far."""
        own = found.reference.losses[split]
        room = max(relative, self._allowed) * max(abs(own), abs(value))
        if not agree(value, own, room):
            room = max(room, self._rounding(found, split))
        difference, allowed = apart(value, own), room / max(abs(own), abs(value), 1e-300)
        if difference * self.worst[1] > self.worst[0] * allowed or not self.n_points:
            self.worst = (difference, allowed)
        if self.noting:
            self.attributes |= {f"{found.name}_{split}_loss": value, f"{found.name}_{split}_loss_reference": own}
        if agree(value, own, room):
            return
        key, size = f"{split}_loss", self._objective.batch_size
        same = own if self.needs_batch_size else self.evaluate(found.place, size).losses[split]
        if same != own and agree(value, same, room):
            self._depends_on_batches(key, found.name, value, own)
            return
        self.fail(
            f"at {found.name} the surface has {key} {value:.7g}, evaluated independently it is {own:.7g}: {difference:.2g} apart, relative, "
            f"where rounding explains {allowed:.2g}; the engine is wrong for this model: try --engine eager, another --batch-size, "
            "or --precision fp64, and report it"
        )

    def _rounding(self, found: Compared, split: str) -> float:
        """How far rounding moves this loss, found by evaluating it in another precision; 0 where the model has no other."""
        double = all(kind == torch.float64 for kind in self._types)
        try:
            other = self.evaluate(found.place, self.other_batch_size(), torch.float32 if double else torch.float64)
        except UserCodeError:
            return 0.0
        share = UNIT_ROUNDOFF[torch.float64] / UNIT_ROUNDOFF[torch.float32] if double else 1.0
        return share * mean_deviation(found.reference.batches[split], other.batches[split])

    def _depends_on_batches(self, key: str, name: str, value: float, own: float) -> None:
        size, other = self._objective.batch_size, self.other_batch_size()
        difference = apart(value, own)
        self.needs_batch_size = True
        self.attributes["batch_size_difference"] = difference
        if not self._fixed:
            self.fail(
                f"{key} depends on the batch size: at {name} it is {value:.7g} in batches of {size} and {own:.7g} in batches of {other} "
                f"({difference:.2g} apart, relative); say --batch-size {size}, which then belongs to what is measured"
            )

    def fail(self, text: str) -> None:
        """Note that something is wrong, once."""
        if text not in self.failures:
            self.failures.append(text)


def _types_of(model: nn.Module) -> set[torch.dtype]:
    """The real types of a model's parameters, those of complex ones among them: a few coarse ones round what finer ones compute."""
    found = {parameter.dtype for parameter in model.parameters() if parameter.is_floating_point() or parameter.is_complex()}
    return {kind.to_real() if kind.is_complex else kind for kind in found} or {torch.float32}
