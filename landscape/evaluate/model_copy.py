"""The engine's own copy of a model, and the arithmetic it computes with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from landscape.core.modules import copy_module
from landscape.evaluate.compilation import compiled
from landscape.evaluate.engine import Engine
from landscape.evaluate.precision import Conversion
from landscape.evaluate.stopwatch import Stopwatch
from landscape.problem.data import Batch, map_tensors
from landscape.problem.losses import PerExample

__all__ = ["computing", "has_images", "install_forward", "largest_activation", "private_copy", "trains_otherwise"]


def private_copy(model: nn.Module, engine: Engine, conversion: Conversion) -> nn.Module:
    """A copy of the model on the engine's device, what has its main type in the engine's, in eval mode.

    Raises:
        InputError: when the model cannot be copied.
    """
    return conversion.apply(copy_module(model), engine.device).eval().requires_grad_(False)


def has_images(model: nn.Module) -> bool:
    """Whether the model has 2-D convolutions, which run faster channels last."""
    return any(isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) for layer in model.modules())


def trains_otherwise(model: nn.Module) -> bool:
    """Whether a model is in train mode and computes otherwise there: with batch norm or dropout."""
    kinds = (nn.modules.batchnorm._NormBase, nn.modules.dropout._DropoutNd)
    return any(layer.training and isinstance(layer, kinds) for layer in model.modules())


def largest_activation(model: nn.Module, loss: PerExample, batch: Batch, size: int) -> int:
    """How many numbers the largest output of a layer has for each of the `size` examples of a batch; outputs may be nested."""
    largest = 1

    def note(layer: nn.Module, inputs: object, output: object) -> None:
        nonlocal largest
        largest = max([largest, *(tensor.numel() // size for tensor in _tensors(output))])

    handles = [layer.register_forward_hook(note) for layer in model.modules()]
    try:
        loss(model, batch, size)
    finally:
        for handle in handles:
            handle.remove()
    return largest


def _tensors(output: object) -> Iterator[Tensor]:
    """The tensors in what a layer returns: in tuples, lists, mappings and data classes, one within another."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Mapping):
        for part in output.values():
            yield from _tensors(part)
    elif isinstance(output, tuple | list):
        for part in output:
            yield from _tensors(part)
    elif is_dataclass(output):
        for field in fields(output):
            yield from _tensors(getattr(output, field.name))


def install_forward(model: nn.Module, engine: Engine, stopwatch: Stopwatch) -> None:
    """Give the private model the forward the engine asks for: watched, and compiled for whole batches.

    A ragged last batch takes the plain way: another shape would cost another compilation.
    """
    plain = forward = model.forward
    if engine.mode == "compiled":
        fast = compiled(model, engine.device)

        def forward(*positional: Any, **named: Any) -> Any:
            whole = _batch_size(positional, named) == engine.batch_size
            return fast(*positional, **named) if whole else plain(*positional, **named)

    model.forward = stopwatch.watched("model", forward)


def _batch_size(positional: Any, named: Any) -> int:
    sizes: list[int] = []

    def count(tensor: Tensor) -> Tensor:
        sizes.append(len(tensor) if tensor.dim() else 0)
        return tensor

    for argument in (*positional, *named.values()):
        if isinstance(argument, Tensor | tuple | dict):
            map_tensors(count, argument)
    return sizes[0] if sizes else 0


@contextmanager
def computing(device: torch.device, precision: str) -> Iterator[None]:
    """The arithmetic of a precision; torch's own settings come back afterwards."""
    wanted = "high" if precision == "tf32" else "highest"
    before = torch.get_float32_matmul_precision()
    cast = torch.autocast(device.type, dtype=torch.bfloat16) if precision == "bf16" else nullcontext()
    try:
        if before != wanted:
            torch.set_float32_matmul_precision(wanted)
        with torch.no_grad(), cast, _cudnn(precision == "tf32") if device.type == "cuda" else nullcontext():
            yield
    finally:
        if before != wanted:
            torch.set_float32_matmul_precision(before)


@contextmanager
def _cudnn(tf32: bool) -> Iterator[None]:
    """cuDNN's choice of algorithm may depend neither on which was tried first nor on which was fastest today."""
    cudnn = torch.backends.cudnn
    before = cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark
    try:
        cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark = tf32, True, False
        yield
    finally:
        cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark = before
