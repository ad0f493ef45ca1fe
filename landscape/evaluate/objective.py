"""The objective: the metrics at coordinates of a subspace, measured over a problem's data."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from landscape.core.subspace import Subspace
from landscape.core.weights import dot, norm
from landscape.errors import InputError
from landscape.evaluate.batch_norm import Recalibration, calibration_spans
from landscape.evaluate.batched import Batched
from landscape.evaluate.data_source import DataSource, Form, OnDevice, place
from landscape.evaluate.engine import Engine
from landscape.evaluate.memory import free_bytes, keep_memory
from landscape.evaluate.model_copy import computing, has_images, install_forward, largest_activation, private_copy
from landscape.evaluate.precision import Conversion, main_type
from landscape.evaluate.sample import Sample
from landscape.evaluate.split_evaluator import SplitEvaluator, collect
from landscape.evaluate.statistics import FEWEST_EFFECTIVE, SMALLEST_LOOK, Estimate
from landscape.evaluate.stopwatch import Stopwatch
from landscape.evaluate.weight_setter import WeightSetter
from landscape.problem import Examples, Problem
from landscape.problem.data import Batch, map_tensors
from landscape.problem.losses import Sums

__all__ = ["Measurement", "Objective"]

_ACTIVATIONS = {"cpu": 2**21, "cuda": 2**26}  # numbers in the largest activation of a batch: of a cache's size, of a GPU's width
_LARGEST_BATCH = 8192
_USUAL_BATCH = 128
_SHARE = 0.8  # of the free memory, for the examples


@dataclass(frozen=True)
class Measurement:
    """What one point gave: an estimate for each `<split>_<metric>`, the seconds it took, and the losses that are to be kept.

    These are those of single examples of one split, `(m,)` float32, where `Objective.keep` asked for some and the loss is a number.
    """

    estimates: Mapping[str, Estimate]
    seconds: float
    losses: np.ndarray | None = None


class Objective:
    """A problem over a subspace: the metrics at its coordinates. The user's model is copied, never touched.

    Args:
        problem: model and loss.
        subspace: origin and directions.
        samples: the examples measured on, by split; also `train` where batch norm is recalibrated.
        engine: device, precision, mode and the rest; its batch size is settled here where it is None.
        calibration: the examples batch norm is recalibrated on.

    Raises:
        InputError: when the model cannot be copied, or a tolerance is asked of fewer than 64 examples or of a scalar loss.
    """

    def __init__(
        self, problem: Problem, subspace: Subspace, samples: Sequence[Sample], engine: Engine, calibration: Examples | None = None
    ) -> None:
        if engine.tolerance > 0:
            _check_tolerance(problem, samples)
        keep_memory(engine.device)
        self._radius = _Radius(subspace, engine.fp32_radius)
        conversion = Conversion(main_type(problem.model), engine.dtype)
        loss = problem.loss.to(engine.device, conversion.target, conversion.main)
        self._loss = loss.settled(sample.examples.tensors for sample in samples)
        self._model = private_copy(problem.model, engine, conversion)
        channels_last = engine.channels_last and has_images(self._model)
        if channels_last:
            self._model = self._model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
        self._form = Form(engine.device, conversion, channels_last)
        self._set_weights = WeightSetter(self._model, subspace, engine.offload)
        self.engine = replace(engine, batch_size=engine.batch_size or self._fitting(problem, samples, engine))
        self.stopwatch = Stopwatch(engine.device)
        self._timed_move = self.stopwatch.watched("moving", self._set_weights)
        self._timed_several = self.stopwatch.watched("moving", self._set_weights.several)
        install_forward(self._model, self.engine, self.stopwatch)
        self._memory = engine.memory if math.isfinite(engine.memory) else _SHARE * free_bytes(engine.device)
        self._splits = [self._split(sample, self._placed(sample)) for sample in samples]
        self._batched = Batched(self._model, self._loss) if engine.mode == "batched" else None
        self._points_per_pass = [
            self._split(split.sample, split.source, (engine.points_per_pass,)) for split in self._splits if self._batched
        ]
        self._calibration: OnDevice | None = None
        if calibration is not None and engine.bn == "recalibrated":
            self._calibration_spans = calibration_spans(calibration.size)
            first = np.arange(self._calibration_spans[-1][1])
            self._calibration, self._recalibration = OnDevice(calibration.select(first), self._form), Recalibration(self._model)

    def __call__(self, coordinates: Sequence[float]) -> Measurement:
        """The metrics at some coordinates, `(n_directions,)`."""
        return self.measure(coordinates, self.engine.tolerance)

    def measure_all(self, places: Sequence[Sequence[float]]) -> list[Measurement]:
        """The metrics at several places, each `(n_directions,)`; a batched engine takes `engine.points_per_pass` of them at once."""
        if self._batched is None:
            return [self(place) for place in places]
        found: dict[int, Measurement] = {i: self(place) for i, place in enumerate(places) if self.is_exact(place)}
        rest = [i for i in range(len(places)) if i not in found]
        for first in range(0, len(rest), self.engine.points_per_pass):
            block = rest[first : first + self.engine.points_per_pass]
            found |= zip(block, self._measure_block(self._batched, [places[i] for i in block]), strict=True)
        return [found[i] for i in range(len(places))]

    def is_exact(self, coordinates: Sequence[float]) -> bool:
        """Whether a point is computed in fp32 though the engine is lossy: nearer to the origin than `Engine.fp32_radius`."""
        return self.engine.reduced_precision and self._radius.holds(coordinates)

    def measure(
        self,
        coordinates: Sequence[float],
        tolerance: float = 0.0,
        precision: str | None = None,
        at_most: Mapping[str, int] | None = None,
    ) -> Measurement:
        """The metrics at some coordinates.

        Args:
            coordinates: `(n_directions,)`.
            tolerance: the relative standard error of the loss at which to stop; 0 for all examples.
            precision: another than the engine's; by default its own, or fp32 where a lossy one would round the step away.
            at_most: use only so many examples of each split.
        """
        started = time.perf_counter()
        precision = precision or ("fp32" if self.is_exact(coordinates) else self.engine.precision)
        with computing(self.engine.device, precision):
            self._timed_move(coordinates)
            if self._calibration is not None:
                self._recalibrate(self._calibration)
            used = [split.run(self._evaluate, tolerance, (at_most or {}).get(split.sample.split)) for split in self._splits]
            (estimates,) = collect(self._splits, used)
            (losses,) = self._losses(self._splits, used, [estimates])
        self.stopwatch.settle()
        return Measurement(estimates, time.perf_counter() - started, losses)

    def keep(self, split: str, places: np.ndarray) -> None:
        """Have measurements tell the losses of single examples: of one split, those at some places `(m,)` of its sample."""
        for each in (*self._splits, *self._points_per_pass):
            if each.sample.split == split:
                each.keep(places)

    def trial(self) -> None:
        """Compute one whole batch of each split at the origin: what cannot be computed, or does not fit, shows here."""
        origin = (0.0,) * self.n_directions
        sizes = [min(self.batch_size, split.sample.size) for split in self._splits]
        for precision in dict.fromkeys([self.engine.precision, "fp32" if self.engine.reduced_precision else self.engine.precision]):
            with computing(self.engine.device, precision):
                self._set_weights(origin)
                for i, (split, size) in enumerate(zip(self._splits, sizes, strict=True)):
                    (batch,) = split.source.batches([(0, size)])
                    if self._batched is not None:
                        several = self._batched(self._set_weights.several([origin] * self.engine.points_per_pass), batch, size)
                        self._points_per_pass[i].accumulator.expect(0, size, several)
                    split.accumulator.expect(0, size, self._evaluate(batch, size))
                    split.source.overwritten()

    @property
    def batch_size(self) -> int:
        """How many examples are computed at once."""
        return self.engine.batch_size or 1

    @property
    def n_directions(self) -> int:
        """How many coordinates a point has."""
        return self._radius.n_directions

    @property
    def fractions(self) -> frozenset[str]:
        """The `<split>_<metric>` that are fractions by example; known once a batch was computed."""
        return frozenset(f"{split.sample.split}_{name}" for split in self._splits for name in split.accumulator.fractions)

    def begin_looking_at(self, first_looks: Mapping[str, int]) -> None:
        """With a tolerance let no point stop before it has seen so many examples of each split."""
        for split in self._splits:
            split.first_look = first_looks.get(split.sample.split, SMALLEST_LOOK)

    def _evaluate(self, batch: Batch, size: int) -> Sums:
        return self._loss(self._model, batch, size)

    def _measure_block(self, batched: Batched, places: Sequence[Sequence[float]]) -> list[Measurement]:
        """Up to `points_per_pass` points at once; fewer are filled up, so that no value depends on how many there are."""
        started, n_points_per_pass = time.perf_counter(), self.engine.points_per_pass
        padded = [*places, *[places[-1]] * (n_points_per_pass - len(places))]
        with computing(self.engine.device, self.engine.precision):
            weights = self._timed_several(padded)
            used = [split.run(lambda batch, size: batched(weights, batch, size)) for split in self._points_per_pass]
            estimates = collect(self._points_per_pass, used, n_points_per_pass)
            losses = self._losses(self._points_per_pass, used, estimates)
        self.stopwatch.settle()
        seconds = (time.perf_counter() - started) / len(places)
        return [Measurement(found, seconds, own) for found, own in zip(estimates, losses[: len(places)], strict=False)]

    def _losses(
        self, splits: Sequence[SplitEvaluator], used: Sequence[int], estimates: Sequence[Mapping[str, Estimate]]
    ) -> list[np.ndarray | None]:
        """The losses to keep of each point; none of a point whose pass ended at a NaN."""
        for split, n in zip(splits, used, strict=True):
            if (found := split.losses(n)) is not None:
                key = f"{split.sample.split}_loss"
                return [
                    None if math.isnan(point[key].value) else own
                    for point, own in zip(estimates, np.atleast_2d(found), strict=True)
                ]
        return [None] * len(estimates)

    def _recalibrate(self, examples: OnDevice) -> None:
        sizes = (stop - start for start, stop in self._calibration_spans)
        sized = zip(examples.batches(self._calibration_spans), sizes, strict=True)
        self._recalibration(sized, self._loss)
        if examples.overwritten():
            self._recalibrate(examples)

    def _placed(self, sample: Sample) -> DataSource:
        """A split on the device while there is room."""
        source = place(sample.examples, self._form, self._memory)
        self._memory -= self._form.n_bytes(sample.examples) if isinstance(source, OnDevice) else 0
        return source

    def _split(self, sample: Sample, source: DataSource, points_per_pass: tuple[int, ...] = ()) -> SplitEvaluator:
        return SplitEvaluator(sample, source, self.batch_size, self.engine, self._loss.unit, points_per_pass)

    def _fitting(self, problem: Problem, samples: Sequence[Sample], engine: Engine) -> int:
        """A power of two at which the largest activation of a batch has a size the device works well at."""
        most = min(_LARGEST_BATCH, max(sample.size for sample in samples))
        if not problem.loss.per_example:
            return min(
                _USUAL_BATCH, most
            )  # a loss of whole batches depends on their size: it should not depend on the model's inside
        size = min(2, samples[0].size)
        examples = map_tensors(self._form.of, samples[0].examples.batch(0, size))
        with computing(engine.device, "fp32"):
            largest = largest_activation(self._model, self._loss, examples, size)
        fitting = max(1, _ACTIVATIONS[engine.device.type] // largest)
        if engine.mode == "compiled":  # for whole batches of one size
            most = min(most, SMALLEST_LOOK if engine.tolerance else samples[0].size)
        return int(min(2 ** math.floor(math.log2(fitting)), most))


class _Radius:
    """How far points are from the origin, as a share of the norm of the weights that move."""

    def __init__(self, subspace: Subspace, share: float) -> None:
        parts = [direction.parameters for direction in subspace.directions]
        self.n_directions = len(parts)
        if share == 0:
            return
        moved = {name: tensor for name, tensor in subspace.origin.items() if any(name in part for part in parts)}
        self._gram = np.array([[dot(a, b) for b in parts] for a in parts])
        self._square = (share * norm(moved)) ** 2

    def holds(self, coordinates: Sequence[float]) -> bool:
        place = np.array(coordinates, dtype=np.float64)
        return bool(place @ self._gram @ place < self._square)


def _check_tolerance(problem: Problem, samples: Sequence[Sample]) -> None:
    if not problem.loss.per_example:
        raise InputError("a tolerance needs losses by example; this problem has per_example=False")
    small = next((sample for sample in samples if sample.size < FEWEST_EFFECTIVE), None)
    if small is not None:
        raise InputError(
            f'a tolerance needs at least {FEWEST_EFFECTIVE} independent examples, the split "{small.split}" has {small.size}'
        )
