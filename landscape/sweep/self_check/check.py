"""The self-check: values of the engine held to the independent reference, before the first point and after the last."""

from __future__ import annotations

import math
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from landscape.core.agreement import agree
from landscape.core.surface import Point, Surface
from landscape.errors import SelfCheckError, SelfCheckWarning
from landscape.evaluate import Measurement, Objective, Sample
from landscape.problem import Examples, LambdaObjective
from landscape.reference import Reference
from landscape.sweep.base import NamedWeights
from landscape.sweep.checks import measured_as
from landscape.sweep.located_models import far_corner, has_other_statistics, losses_of, parts_of, place_of
from landscape.sweep.plan import Plan
from landscape.sweep.self_check.comparer import Compared, Comparer, Place
from landscape.sweep.self_check.diagnosis import describe_blindness, describe_lost

__all__ = ["SelfCheck", "complain"]

_PACKAGE = str(Path(__file__).resolve().parents[2])
_NODES = 2  # compared at the end
_REPEATED, _LOSSY_REPEATED = 1e-6, 1e-2  # a value measured again by the same engine, relative
_TENTH = 0.1


class SelfCheck:
    """Compares the engine with the reference at a few points; says what is wrong, by how much, and what helps.

    Args:
        plan: the subspace, and the models that lie in it.
        objective: the engine.
        samples: the examples of the run.
        calibration: the examples batch norm is recalibrated on, if it is.
        batch_size_is_fixed: whether the user, or the file to go on with, names the batch size.
        lossy_allowance: how far values in tf32 or bf16 may be off, relative.

    Attributes:
        points: the models in the plane with their own losses.
        seconds: what a point costs.
        spent: seconds that the check itself took.
        keys: (split, metric) of all that is measured.
    """

    def __init__(
        self,
        plan: Plan,
        objective: Objective,
        samples: Sequence[Sample],
        calibration: Examples | None,
        batch_size_is_fixed: bool = False,
        lossy_allowance: float = 0.01,
    ) -> None:
        self._plan, self._objective, self._samples = plan, objective, samples
        self._comparer = Comparer(plan, objective, samples, calibration, batch_size_is_fixed, lossy_allowance)
        splits = {sample.split: sample.examples.tensors for sample in samples}
        self._own = Reference(plan.original, splits, None, objective.engine.device)  # of models with their own statistics
        self._skipped = isinstance(plan.problem, LambdaObjective)
        self.points: list[Point] = []
        self.seconds = 0.0
        self.spent = 0.0
        self.keys: list[tuple[str, str]] = []

    @property
    def attributes(self) -> dict[str, Any]:
        """What the file stores."""
        return self._comparer.attributes

    @property
    def failures(self) -> list[str]:
        """What is wrong, a line each."""
        return self._comparer.failures

    @property
    def measured(self) -> dict[Place, Measurement]:
        """What the engine gave at points whose values can be used as they are, by coordinates."""
        return self._comparer.measured

    @property
    def needs_batch_size(self) -> bool:
        """Whether values depend on the batch size, which then belongs to what is measured."""
        return self._comparer.needs_batch_size

    def before(self) -> None:
        """Compare the origin, each model in the plane, and the farthest corner; the origin is measured twice."""
        began = time.perf_counter()
        if self._skipped:
            return self._measure_function()
        compared = []
        for name, place, model in self._places():
            found = self._comparer.compare(name, place)
            compared.append(found)
            if not any(place):
                self.keys = list(found.reference.values)
                self._check_repetition(found)
            if model is not None:
                self._mark(model, found)
                for sample in self._samples:
                    if not math.isfinite(found.reference.losses[sample.split]):
                        self._comparer.fail(self._lost(found, sample))
        last = compared[-1]
        if any(last.place) and not all(map(math.isfinite, last.reference.losses.values())):
            place = tuple(_TENTH * coordinate for coordinate in last.place)
            compared.append(self._comparer.compare("a tenth of the way to the corner", place))
        finite = [found for found in compared if all(map(math.isfinite, found.reference.losses.values()))]
        if blindness := describe_blindness([found.reference for found in finite]):
            self._comparer.fail(blindness)
        self._close(began)

    def after(self, surface: Surface, indices: Sequence[tuple[int, ...]]) -> None:
        """Compare two of the nodes a run measured, and measure its first one again.

        Args:
            surface: as it is recorded.
            indices: the nodes this run measured, in the order of the grid.
        """
        if self._skipped or not indices:
            return
        began = time.perf_counter()
        self._comparer.noting = False
        keys = {sample.split: f"{sample.split}_loss" for sample in self._samples}
        finite = [i for i in indices if all(np.isfinite(surface.values[key][i]) for key in keys.values())]
        finite = [i for i in finite if self._plan.place(i) not in self._comparer.places] or finite
        for k in sorted(np.random.default_rng(abs(self._plan.seed)).permutation(len(finite))[:_NODES]):
            index = finite[int(k)]
            stored = {split: float(surface.values[key][index]) for split, key in keys.items()}
            self._comparer.compare(
                self._node(index),
                self._plan.place(index),
                stored if self._comparer.uses_all and not self._objective.engine.tolerance else None,
            )
        self._check_first(surface, indices[0], keys)
        for sample in self._samples:
            if self._plan.problem.examples(sample.split).sha256 != sample.sha256:
                self._comparer.fail(
                    f"the data of split {sample.split} changed while the run computed; leave them alone and run again"
                )
        self._close(began)

    def _measure_function(self) -> None:
        """What a run has to know of a function, for which there is no other evaluation to compare with."""
        found = self._objective.measure((0.0,) * self._objective.n_directions)
        (split,) = (sample.split for sample in self._samples)
        self.keys = [(split, name.removeprefix(f"{split}_")) for name in found.estimates]
        self.seconds = found.seconds

    def fail(self, text: str) -> None:
        """Note that something else is wrong."""
        self._comparer.fail(text)
        self._close(time.perf_counter())

    def _places(self) -> Iterator[tuple[str, Place, NamedWeights | None]]:
        """The points compared before the first one: name, coordinates, and the model that lies there."""
        seen = set()
        for model in self._plan.models:
            place, lies_in = place_of(self._plan, model)
            if lies_in and place not in seen:
                seen.add(place)
                yield model.name if any(place) else "origin", place, model
        corner = far_corner(self._plan)
        if corner not in seen:
            yield "corner", corner, None

    def _mark(self, model: NamedWeights, found: Compared) -> None:
        """A model that lies in the plane, with its own losses over all examples of the run, running statistics its own."""
        bn = self._objective.engine.bn
        foreign = bn == "recalibrated" or (bn == "frozen" and any(found.place) and has_other_statistics(self._plan, model))
        size = self._comparer.other_batch_size()
        if self._plan.effective and bn != "recalibrated":  # the user's model as it is, against that with its effective weights
            untouched = self._own.of(model.stored, size, n_examples=max(self._comparer.at_most.values()))
            for split, value in found.engine.items():
                self._comparer.judge(replace(found, reference=untouched), split, value)
        if foreign:
            values = self._own.of(model.stored, size).values
        elif self._comparer.uses_all:
            values = found.reference.values
        else:
            estimates = self._objective.measure(found.place).estimates
            values = {(split, metric): estimates[f"{split}_{metric}"].value for split, metric in found.reference.values}
        place = found.place[:2] if self._plan.n_draws == 1 else found.place[:1]
        self.points.append(Point(model.name, place, {f"{split}_{metric}": value for (split, metric), value in values.items()}))

    def _lost(self, found: Compared, sample: Sample) -> str:
        """Which examples have a loss that is no finite number at a model."""
        n, size = self._comparer.at_most[sample.split], self._objective.batch_size
        lost = self._comparer.reference.not_finite(
            self._plan.subspace.origin, parts_of(self._plan), found.place, sample.split, size, n
        )
        return f"at {found.name} {describe_lost(sample, lost, n, self._plan.problem.per_example)}"

    def _check_repetition(self, first: Compared) -> None:
        """Measure the origin once more; the second, warm measurement also tells what a point costs."""
        second = self._comparer.measure(first.place)
        sizes = [sample.size for sample in self._samples]
        self.seconds = second.seconds * sum(sizes) / sum(self._comparer.at_most.values())
        gaps = [abs(value - first.engine[split]) for split, value in losses_of(second, self._samples).items()]
        worst = max((gap for gap in gaps if math.isfinite(gap)), default=0.0)
        self.attributes["repeat_difference"] = worst
        if worst > 0:
            self.measured.clear()
            self.failures.clear()  # what else differs, differs because of it
            self._comparer.fail(
                f"the same point gave two losses {worst:.2g} apart: the model or the loss draws random numbers, or changes its inputs or "
                "itself; let it draw the same ones at each call, from a generator of its own with a fixed seed"
            )

    def _check_first(self, surface: Surface, index: tuple[int, ...], keys: Mapping[str, str]) -> None:
        """Measure the run's first node again: noise that set in later shows."""
        used = {split: int(counts[index]) for split, counts in surface.examples.items()}
        again = losses_of(measured_as(self._objective, self._plan.place(index), used), self._samples)
        relative = _LOSSY_REPEATED if self._objective.engine.reduced_precision else _REPEATED
        for split, key in keys.items():
            before, now = float(surface.values[key][index]), again[split]
            if not agree(now, before, relative * abs(before)):
                self._comparer.fail(
                    f"measured again at the end, {key} at {self._node(index)} is {now:.9g} and was {before:.9g}: the model or the loss changes "
                    "while it is used, or draws random numbers; let it give the same at each call"
                )

    def _node(self, index: tuple[int, ...]) -> str:
        coordinates = self._plan.grid.coordinates(index)
        return ", ".join(f"{axis.name} = {c:g}" for axis, c in zip(self._plan.axes, coordinates, strict=True))

    def _close(self, began: float) -> None:
        self.spent += time.perf_counter() - began
        difference, allowed = self._comparer.worst
        self._comparer.attributes |= {
            "passed": int(not self.failures),
            "check_points": self._comparer.n_points,
            "check_largest_difference": difference,
            "check_allowed": allowed,
        }
        if self.failures:
            self.attributes["failure"] = "; ".join(self.failures)


def complain(failures: Sequence[str], check: str) -> None:
    """Raise or warn of what the self-check found.

    Raises:
        SelfCheckError: when anything failed and `check` is "raise".
    """
    if failures and check == "raise":
        raise SelfCheckError(f"self-check failed: {'; '.join(failures)} (--check warn goes on all the same)")
    frame, level = sys._getframe(), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    for failure in failures:  # at the user's own line
        warnings.warn(f"self-check failed: {failure}", SelfCheckWarning, stacklevel=level)
