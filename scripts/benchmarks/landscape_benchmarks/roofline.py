"""The floor by arithmetic: what a point costs at least, from operations and bytes and this machine's own rates."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from landscape.problem.data import map_tensors
from landscape_benchmarks.case import Case

__all__ = ["Cost", "Floor", "Rates", "arithmetic", "cost_of", "measure_rates"]

_TRIAL = 0.15  # seconds a rate is measured for
_BYTES = {"fp64": 8, "bf16": 2}  # of a number
_COUNTED = 8  # examples in the batch that is counted
# Layers that can be computed while the output of the one before them is being written, and so need no pass over memory.
_FREE = (
    nn.Identity, nn.Dropout, nn.Flatten, nn.ReLU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.ELU, nn.LeakyReLU,
    nn.modules.batchnorm._BatchNorm,
)  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """What one point takes: operations, and numbers moved."""

    operations: float  # multiplications and additions of the forward pass, as torch counts them
    activations: float  # numbers in the outputs of all layers, over all examples
    parameters: int  # numbers that move with the point
    convolved: bool  # whether there are 2-D convolutions among the layers


@dataclass(frozen=True)
class Floor:
    """The least seconds a point takes if the machine did nothing else than its best at operations, or at copying.

    Operations bind a machine that keeps activations in its caches, bytes one that does not; the floor is the greater of both. A
    processor whose caches hold a whole batch may get below the second.
    """

    precision: str
    operation_rate: float  # operations/s
    copy_rate: float  # bytes/s, read and written
    operation_seconds: float
    byte_seconds: float

    @property
    def seconds(self) -> float:
        """The greater of both."""
        return max(self.operation_seconds, self.byte_seconds)


@dataclass(frozen=True)
class Rates:
    """What a device does at its best.

    A library may compute a convolution with fewer operations than it is counted with (Winograd's way), so that for networks of
    convolutions the rate of matrix products alone would not be the best there is.
    """

    matrix: Mapping[str, float]  # precision -> operations/s in square matrix products
    convolution: Mapping[str, float]  # precision -> operations/s in wide 3x3 convolutions, counted without tricks
    copy: float  # bytes/s, read and written

    def best(self, other: Rates) -> Rates:
        """The better of two measurements: others on the machine can only have slowed one down."""
        matrix = {word: max(rate, other.matrix[word]) for word, rate in self.matrix.items()}
        convolution = {word: max(rate, other.convolution[word]) for word, rate in self.convolution.items()}
        return Rates(matrix, convolution, max(self.copy, other.copy))

    def floor(self, cost: Cost, precision: str) -> Floor:
        """The floor of a point in some precision.

        Weights: origin and two directions are read and the sum is written, 4 bytes a number. Activations: each layer's output is
        written once and read once; a normalization or activation behind it comes for nothing.
        """
        n_bytes = 4 * 4 * cost.parameters + 2 * _BYTES.get(precision, 4) * cost.activations
        rate = max(self.matrix[precision], self.convolution[precision]) if cost.convolved else self.matrix[precision]
        return Floor(precision, rate, self.copy, cost.operations / rate, n_bytes / self.copy)


def measure_rates(device: torch.device, precision: Iterable[str]) -> Rates:
    """Measure a device's rates, a second or two."""
    matrix, convolution = {}, {}
    for word in precision:
        with arithmetic(word):
            dtype = {"fp64": torch.float64, "bf16": torch.bfloat16}.get(word, torch.float32)
            matrix[word] = _matrix_rate(device, dtype)
            convolution[word] = _convolution_rate(device, dtype)
    return Rates(matrix, convolution, _copy_rate(device))


def cost_of(case: Case) -> Cost:
    """Count one forward pass over a few examples and scale it to all."""
    model, sizes = case.model(), []
    n = min(_COUNTED, case.sample.size)
    batch = map_tensors(lambda tensor: tensor.to(case.device, copy=True), case.sample.examples.batch(0, n))

    def note(layer: nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, Tensor):
            sizes.append(output.numel())

    for layer in model.modules():
        if not list(layer.children()) and not isinstance(layer, _FREE):
            layer.register_forward_hook(note)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        case.problem.loss.to(case.device, torch.float32)(model, batch, n)
    share = case.sample.size / n
    moved = sum(tensor.numel() for tensor in case.subspace.directions[0].parameters.values())
    convolved = any(isinstance(layer, nn.Conv2d) for layer in model.modules())
    return Cost(counter.get_total_flops() * share, sum(sizes) * share, moved, convolved)


def _matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    rates = []
    for size in (1024, 2048) if device.type == "cpu" else (4096, 8192):
        first, second = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
        out = torch.empty_like(first)
        rates.append(2 * size**3 / _fastest(lambda a=first, b=second, c=out: torch.mm(a, b, out=c), device))  # type: ignore[misc]
    return max(rates)


def _convolution_rate(device: torch.device, dtype: torch.dtype) -> float:
    n, channels, side = (8, 64, 32) if device.type == "cpu" else (256, 256, 32)
    images = torch.randn(n, channels, side, side, device=device).to(dtype).contiguous(memory_format=torch.channels_last)
    kernels = torch.randn(channels, channels, 3, 3, device=device).to(dtype).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        seconds = _fastest(lambda: torch.nn.functional.conv2d(images, kernels, padding=1), device)
    return 2 * n * side**2 * channels**2 * 9 / seconds


@contextmanager
def arithmetic(precision: str) -> Iterator[None]:
    """TF32 on GPUs where it is meant and nowhere else; torch's own settings come back afterwards."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def _copy_rate(device: torch.device) -> float:
    """Bytes per second, read and written, of copying a tensor much larger than any cache."""
    source = torch.ones(2**25 if device.type == "cpu" else 2**28, device=device)
    target = torch.empty_like(source)
    return 2 * 4 * source.numel() / _fastest(lambda: target.copy_(source), device)


def _fastest(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of the fastest call."""
    seconds: list[float] = []
    began = time.perf_counter()
    while len(seconds) < 3 or time.perf_counter() - began < _TRIAL:
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])
