"""What the running statistics of normalization layers do at each point."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from landscape.problem.data import Batch

__all__ = ["CALIBRATION_BATCH", "CALIBRATION_EXAMPLES", "POLICIES", "calibration_spans", "recalibrate", "running_norms"]

POLICIES = ("moved", "frozen", "recalibrated")
CALIBRATION_EXAMPLES = 2048
CALIBRATION_BATCH = 256


def running_norms(model: nn.Module) -> list[nn.modules.batchnorm._NormBase]:
    """The layers of a model that keep running statistics."""
    return [layer for layer in model.modules() if isinstance(layer, nn.modules.batchnorm._NormBase) and layer.track_running_stats]


def calibration_spans(size: int) -> list[tuple[int, int]]:
    """The batches batch norm is recalibrated on, as (start, stop); a last one of a single example has no variance and is left out."""
    n = min(CALIBRATION_EXAMPLES, size)
    spans = [(start, min(start + CALIBRATION_BATCH, n)) for start in range(0, n, CALIBRATION_BATCH)]
    return [(start, stop) for start, stop in spans if stop - start > 1] or spans


def recalibrate(model: nn.Module, batches: Iterable[Batch], forward: Callable[[nn.Module, Batch], object]) -> None:
    """Estimate the running statistics anew, as the plain mean over some batches; everything else stays in eval mode."""
    layers = running_norms(model)
    with _collecting(layers), torch.no_grad():
        for k, batch in enumerate(batches, start=1):
            for layer in layers:
                layer.momentum = 1 / k  # the mean so far; None would ask the device for k at each layer
            forward(model, batch)


@contextmanager
def _collecting(layers: list[nn.modules.batchnorm._NormBase]) -> Iterator[None]:
    momenta = [layer.momentum for layer in layers]
    try:
        for layer in layers:
            layer.reset_running_stats()
            layer.train()
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
            layer.eval()
