"""What the running statistics of normalization layers do at each point."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import TypeGuard

import torch
from torch import Tensor, nn

from landscape.core.modules import copy_module
from landscape.core.weights import unwrap
from landscape.errors import InputError
from landscape.problem.data import Batch

__all__ = [
    "STATISTICS",
    "Recalibration",
    "calibration_spans",
    "describe_calibration",
    "recalibrated_layers",
    "statistics_layers",
]

STATISTICS = ("running_mean", "running_var")
_EXAMPLES = 2048
_BATCH = 256


def statistics_layers(model: nn.Module) -> list[str]:
    """The names of the layers that keep running statistics, torch's or a user's own."""
    named = unwrap(model).named_modules()
    return [name for name, layer in named if any(layer._buffers.get(statistic) is not None for statistic in STATISTICS)]


def recalibrated_layers(model: nn.Module) -> list[str]:
    """The names of the layers whose running statistics a recalibration estimates; the model is left as it is."""
    return [name for name, layer in unwrap(model).named_modules() if _keeps_statistics(layer) and _trains(copy_module(layer))]


def _running_norms(model: nn.Module) -> list[nn.modules.batchnorm._NormBase]:
    """The layers whose running statistics a recalibration estimates, of a private copy."""
    return [layer for layer in model.modules() if _keeps_statistics(layer) and _trains(layer)]


def _keeps_statistics(layer: nn.Module) -> TypeGuard[nn.modules.batchnorm._NormBase]:
    if not isinstance(layer, nn.modules.batchnorm._NormBase) or not layer.track_running_stats:
        return False
    return all(layer._buffers.get(statistic) is not None for statistic in STATISTICS)


def calibration_spans(size: int) -> list[tuple[int, int]]:
    """The batches batch norm is recalibrated on, as (start, stop); a last one of a single example has no variance and is left out.

    Raises:
        InputError: when there is but one example.
    """
    if size == 1:
        raise InputError(
            "batch norm cannot be recalibrated on one example, which has no variance; use more examples, or --bn frozen"
        )
    n = min(_EXAMPLES, size)
    spans = [(start, min(start + _BATCH, n)) for start in range(0, n, _BATCH)]
    return [(start, stop) for start, stop in spans if stop - start > 1]


def describe_calibration(size: int) -> str:
    """What batch norm is recalibrated on where there are so many training examples, as files say it.

    >>> describe_calibration(50000)
    'first 2048 training examples in batches of 256, plain mean'
    >>> describe_calibration(600)
    'first 2048 training examples in batches of 256, weighted by examples'
    """
    sizes = {stop - start for start, stop in calibration_spans(size)}
    how = "plain mean" if len(sizes) == 1 else "weighted by examples"  # where batches are of one size, the two are one
    return f"first {_EXAMPLES} training examples in batches of {_BATCH}, {how}"


class Recalibration:
    """Estimates a model's running statistics anew at each point; only the norms themselves are in train mode meanwhile.

    A layer's running mean and variance become Σ n_k s_k / Σ n_k over its calls, with s_k the mean and the unbiased variance that
    it found in a call and n_k the examples of the batch: a ragged last batch counts as what it is, and a layer used twice in a
    forward averages over both uses, as torch does. A layer that no batch reaches has the statistics it had at the beginning.

    Args:
        model: a private copy in eval mode, which it is in again after each call.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._averages = [_Average(layer) for layer in _running_norms(model)]

    @torch.no_grad()
    def __call__(self, batches: Iterable[tuple[Batch, int]], forward: Callable[[nn.Module, Batch, int], object]) -> None:
        """Calibrate on some batches, given with the number of examples in each; without such layers there is nothing to do."""
        if not self._averages:
            return
        with ExitStack() as opened:
            for average in self._averages:
                opened.enter_context(average)
            for batch, size in batches:
                for average in self._averages:
                    average.begin(size)
                forward(self._model, batch, size)


class _Average:
    """The running statistics of one norm as an average, by a momentum that is set before each call.

    The momentum n_k / Σ_{j ≤ k} n_j makes torch's own update the mean so far; with 1 the first call replaces what was there.
    A layer whose module is never called may still be used, by a function that takes its statistics and momentum: it counts as
    called once in every batch, until a call shows otherwise.
    """

    def __init__(self, layer: nn.modules.batchnorm._NormBase) -> None:
        mean, variance = layer.running_mean, layer.running_var
        if mean is None or variance is None:
            raise ValueError("this layer keeps no running statistics")
        self._layer, self._mean, self._variance, self._momentum = layer, mean, variance, layer.momentum
        self._own = mean.clone(), variance.clone()

    def __enter__(self) -> None:
        self._size = self._in_batches = self._in_calls = 0  # examples
        self._layer.reset_running_stats()
        self._layer.training = True  # not layer.train(), which would put what lies within the layer into train mode too
        self._hook = self._layer.register_forward_pre_hook(self._call)

    def begin(self, size: int) -> None:
        """A batch of so many examples comes."""
        self._size = size
        self._in_batches += size
        if not self._in_calls:
            self._layer.momentum = size / self._in_batches

    def _call(self, layer: nn.Module, inputs: tuple[object, ...]) -> tuple[object, ...]:
        """Weigh the call, and give it its inputs channels first: torch adds them up one by one on a CPU where channels lie last."""
        self._in_calls += self._size
        self._layer.momentum = self._size / self._in_calls
        return tuple(part.contiguous() if isinstance(part, Tensor) and part.device.type == "cpu" else part for part in inputs)

    def __exit__(self, *error: object) -> None:
        self._hook.remove()
        self._layer.momentum, self._layer.training = self._momentum, False
        if not self._in_calls and not self._mean.any() and bool((self._variance == 1).all()):  # as reset: nothing came here
            self._mean.copy_(self._own[0])
            self._variance.copy_(self._own[1])


def _trains(layer: nn.Module) -> bool:
    """Whether a layer goes into train mode when told to; some are made to stay out of it for good, and keep their statistics."""
    before = {part: part.training for part in layer.modules()}
    layer.train()
    trains = layer.training
    for part, training in before.items():
        part.training = training
    return trains
