"""The engine: a private copy of the model, the data on its device, and the metrics at any coordinates."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from landscape.errors import InputError, nearest
from landscape.objective.mover import Mover
from landscape.objective.norms import POLICIES, calibration_spans, recalibrate
from landscape.objective.sample import Sample
from landscape.objective.statistics import Accumulator, Estimate
from landscape.problem import Problem
from landscape.problem.data import Batch, Examples, map_tensors
from landscape.subspace import Subspace
from landscape.weights import unwrap

__all__ = ["PRECISIONS", "Engine", "Measurement", "Objective"]

PRECISIONS = ("fp32", "tf32", "bf16", "fp64")
_SMALLEST_LOOK = 256  # with a tolerance, the first look is after so many examples, each later one after twice as many


@dataclass(frozen=True)
class Measurement:
    """What one point gave: an estimate for each `<split>_<metric>`, and the seconds it took."""

    estimates: Mapping[str, Estimate]
    seconds: float


@dataclass(frozen=True)
class Engine:
    """How points are computed: whatever could change a value's last bits, decided once, stored and reused.

    Raises:
        InputError: for an unknown precision, a device that is not there, or a tolerance out of range.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: str = "fp32"
    batch_size: int = 128
    bn: str = "frozen"
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise InputError(f'unknown precision "{self.precision}": {nearest(self.precision, PRECISIONS)}')
        if self.precision == "tf32" and self.device.type != "cuda":
            raise InputError("precision tf32 exists on CUDA devices only; use fp32 here")
        if self.bn not in POLICIES:
            raise InputError(f'unknown batch-norm policy "{self.bn}": {nearest(self.bn, POLICIES)}')
        if self.batch_size < 1:
            raise InputError(f"the batch size is {self.batch_size}; it has to be at least 1")
        if not 0 <= self.tolerance < 1:
            raise InputError(f"the tolerance is {self.tolerance:g}; it is a relative standard error between 0 (off) and 1")

    @property
    def dtype(self) -> torch.dtype:
        """The type weights are kept and perturbed in."""
        return torch.float64 if self.precision == "fp64" else torch.float32


class Objective:
    """A problem over a subspace: the metrics at its coordinates. The user's model is copied, never touched.

    Args:
        problem: model and loss.
        subspace: origin and directions.
        samples: the examples measured on, by split; also `train` where batch norm is recalibrated.
        engine: device, precision, batch size, batch-norm policy, tolerance.
        calibration: the examples batch norm is recalibrated on.

    Raises:
        InputError: when the model cannot be copied, or a tolerance is asked of fewer than 64 examples or of a scalar loss.
    """

    def __init__(
        self, problem: Problem, subspace: Subspace, samples: Sequence[Sample], engine: Engine, calibration: Examples | None = None
    ) -> None:
        self.engine = engine
        self._loss = problem.loss.to(engine.device, engine.dtype)
        self._model = _private_copy(problem.model, engine)
        self._channels_last = _has_images(self._model)
        self._move = Mover(self._model, subspace)
        self._samples = [(sample, self._resident(sample.examples)) for sample in samples]
        self._calibration = self._resident(calibration) if calibration is not None and engine.bn == "recalibrated" else None
        if engine.tolerance > 0:
            self._check_tolerance(problem, samples)

    def __call__(self, coordinates: Sequence[float]) -> Measurement:
        """The metrics at some coordinates, `(n_directions,)`."""
        return self.measure(coordinates, self.engine.tolerance)

    def measure(self, coordinates: Sequence[float], tolerance: float = 0.0) -> Measurement:
        """The metrics at some coordinates, to a relative standard error of the loss, or over all examples with 0."""
        started = time.perf_counter()
        estimates: dict[str, Estimate] = {}
        with _computing(self.engine), torch.no_grad():
            self._move(coordinates)
            if self._calibration is not None:
                self._recalibrate(self._calibration)
            for sample, examples in self._samples:
                for metric, estimate in self._evaluate(sample, examples, tolerance).items():
                    estimates[f"{sample.split}_{metric}"] = estimate
        return Measurement(estimates, time.perf_counter() - started)

    def _evaluate(self, sample: Sample, examples: Examples, tolerance: float) -> dict[str, Estimate]:
        sums: dict[str, Accumulator] = {}
        look = _SMALLEST_LOOK
        for start, stop in _spans(sample.size, self.engine.batch_size, look if tolerance else 0):
            batch = self._ready(examples.batch(start, stop))
            for name, (total, weights) in self._loss(self._model, batch, stop - start).items():
                sums.setdefault(name, Accumulator(self.engine.device)).add(total, weights, stop - start)
            if tolerance and stop == look:
                look *= 2
                now = sums["loss"].estimate(sample.population)
                if not math.isfinite(now.value) or now.stderr <= tolerance * abs(now.value):
                    break
        return {name: accumulator.estimate(sample.population) for name, accumulator in sums.items()}

    def _recalibrate(self, examples: Examples) -> None:
        batches = ((self._ready(examples.batch(start, stop)), stop - start) for start, stop in calibration_spans(examples.size))
        recalibrate(self._model, batches, lambda model, batch: self._loss(model, batch[0], batch[1]))

    def _resident(self, examples: Examples) -> Examples:
        return Examples(examples.split, map_tensors(lambda tensor: tensor.to(self.engine.device), examples.tensors))

    def _ready(self, batch: Batch) -> Batch:
        return _ready(batch, self.engine, self._channels_last)

    def _check_tolerance(self, problem: Problem, samples: Sequence[Sample]) -> None:
        if not problem.loss.per_example:
            raise InputError("a tolerance needs losses by example; this problem has per_example=False")
        small = next((sample for sample in samples if sample.size < 64), None)
        if small is not None:
            raise InputError(f'a tolerance needs at least 64 independent examples, the split "{small.split}" has {small.size}')


def _private_copy(model: nn.Module, engine: Engine) -> nn.Module:
    """A copy of the model on the engine's device, in its type, in eval mode; laid out channels last where it has 2-D convolutions.

    Raises:
        InputError: when the model cannot be copied.
    """
    try:
        private = copy.deepcopy(unwrap(model))
    except Exception as error:
        raise InputError(f"the model cannot be copied ({type(error).__name__}: {error}); let copy.deepcopy(model) work") from error
    private = private.to(device=engine.device, dtype=engine.dtype).eval().requires_grad_(False)
    if _has_images(private):
        private = private.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stubs
    return private


def _has_images(model: nn.Module) -> bool:
    """Whether the model has 2-D convolutions, which run faster channels last."""
    return any(isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) for layer in model.modules())


def _ready(batch: Batch, engine: Engine, channels_last: bool) -> Batch:
    """A copy of a batch on the engine's device, its floating tensors in the engine's type and the model's layout.

    A copy even where nothing changes: a model may overwrite its input, as one with ReLU(inplace=True) in front does.
    """

    def moved(tensor: Tensor) -> Tensor:
        layout = torch.channels_last if channels_last and tensor.dim() == 4 else torch.preserve_format
        dtype = engine.dtype if tensor.is_floating_point() else tensor.dtype
        return tensor.to(engine.device, dtype, copy=True, memory_format=layout)

    return map_tensors(moved, batch)


def _spans(size: int, batch_size: int, look: int) -> Iterator[tuple[int, int]]:
    """Batches as (start, stop); where looks at the standard error are taken, batches end there."""
    start = 0
    while start < size:
        stop = min(start + batch_size, size)
        if look and start < look:
            stop = min(stop, look)
        yield start, stop
        start = stop
        if look and start >= look:
            look *= 2


@contextmanager
def _computing(engine: Engine) -> Iterator[None]:
    """The arithmetic the engine asks for; torch's own settings come back afterwards."""
    cuda = engine.device.type == "cuda"
    before = (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic)
    lossy = torch.autocast(engine.device.type, dtype=torch.bfloat16) if engine.precision == "bf16" else nullcontext()
    try:
        if cuda:
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = engine.precision == "tf32"
            torch.backends.cudnn.deterministic = True  # the values may not depend on which algorithm was tried first
        with lossy:
            yield
    finally:
        if cuda:
            torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic = before
