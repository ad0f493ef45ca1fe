"""What one step of gradient descent meets: the loss and its gradient along the step, and what the step does to hidden units."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from landscape.core.modules import copy_module
from landscape.errors import InputError, did_you_mean
from landscape.problem import PerExample
from landscape.problem.data import map_tensors
from landscape.problem.losses import Loss

__all__ = ["AlongGradient", "UnitChange", "along_gradient", "unit_change", "unit_inputs"]


@dataclass(frozen=True, eq=False)
class AlongGradient:
    """Loss and gradient at θ - s·g for some step sizes s, with g = ∇L(θ), all of one batch (Santurkar et al. 2018, section 3.2).

    Attributes:
        step_sizes: s, `(n,)`, above 0.
        loss: L(θ).
        gradient_norm: ‖g‖₂.
        losses: L(θ - s·g), `(n,)`.
        changes: ‖∇L(θ - s·g) - g‖₂, `(n,)`; the smaller, the better g foretells the gradient further on.
    """

    step_sizes: np.ndarray
    loss: float
    gradient_norm: float
    losses: np.ndarray
    changes: np.ndarray

    @property
    def smoothness(self) -> float:
        """The "effective" β-smoothness: the greatest change of the gradient over the distance gone, ‖∇L(θ - s·g) - g‖₂ / ‖s·g‖₂.

        Of a quadratic loss at most the largest eigenvalue of its Hessian in absolute value. NaN where the gradient is 0.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            return float((self.changes / (self.step_sizes * self.gradient_norm)).max())


def along_gradient(
    model: nn.Module, loss: Loss | PerExample, batch: Any, step_sizes: Sequence[float], seed: int = 0
) -> AlongGradient:
    """The measures of Santurkar et al. 2018, figure 4, at one step: the loss and the change of the gradient along the step.

    They are of *one* place θ and one batch; what a training at another learning rate would meet elsewhere is another question.
    The loss is the one a training step has: the model in train mode, batch norm by the batch's own statistics, dropout by one draw
    that is the same at each step size. g is the plain gradient, without momentum, weight decay or clipping. Parameters with
    `requires_grad=False` stay where they are. The model is copied and not changed, nor are its running statistics.

    Args:
        model: at θ.
        loss: a criterion or a function, as a Problem takes, or a Problem's own.
        batch: of the step; axis 0 of each tensor counts examples. On the model's device.
        step_sizes: s, above 0.
        seed: of dropout.

    Raises:
        InputError: for step sizes that are not above 0, a model that cannot be copied, or one without parameters to move.
    """
    sizes = np.asarray(step_sizes, dtype=np.float64)
    if sizes.ndim != 1 or not len(sizes) or not (np.isfinite(sizes) & (sizes > 0)).all():
        raise InputError(f"the step sizes {step_sizes} are not a list of numbers above 0")
    private = copy_module(model).train()
    names = [name for name, parameter in private.named_parameters() if parameter.requires_grad]
    if not names:
        raise InputError(f"the model {type(model).__name__} has no parameter with requires_grad=True; there is no step to take")
    moving = [private.get_parameter(name) for name in names]
    origin = [parameter.detach().clone() for parameter in moving]
    mean = _batch_mean(private, loss, batch, seed)
    start, gradient = _gradient(mean, moving)
    losses, changes = [], []
    for size in sizes:
        with torch.no_grad():
            for parameter, place, slope in zip(moving, origin, gradient, strict=True):
                parameter.copy_(torch.sub(place, slope, alpha=float(size)))
        value, there = _gradient(mean, moving)
        losses.append(value)
        changes.append(_norm([after - before for after, before in zip(there, gradient, strict=True)]))
    return AlongGradient(sizes, start, _norm(gradient), np.array(losses), np.array(changes))


@dataclass(frozen=True, eq=False)
class UnitChange:
    """How far the distributions of some hidden units move in a step, each unit against its own spread before (`(n_units,)` each).

    Attributes:
        mean_change: |mean after - mean before| / standard deviation before.
        wasserstein: the mean distance that values have to go to make the one distribution the other (Wasserstein-1), likewise.

    NaN for a unit that was the same for all examples before.
    """

    mean_change: np.ndarray
    wasserstein: np.ndarray


def unit_inputs(model: nn.Module, loss: Loss | PerExample, batch: Any, layer: str, train: bool = True) -> np.ndarray:
    """What the hidden units of a layer put out for some examples: `(n_units, n_values)`, float64, unit by unit.

    Named is the layer *before* the activation, so that the values are what the units' nonlinearities get: a convolution, a linear
    layer, or its batch norm. Axis 1 of the layer's output counts units; images give a value at each place.

    Args:
        model: any; it is copied and not changed.
        loss: a criterion or a function, as a Problem takes, or a Problem's own; it knows how a batch goes into the model.
        batch: the examples; take the same ones before and after a step.
        layer: its name in the model, as `features.0`.
        train: as in training, batch norm by the batch's own statistics and without dropout; False for the running ones.

    Raises:
        InputError: for an unknown layer, or one whose output is not one tensor with an axis of units.
    """
    private = copy_module(model).eval()
    layers = dict(private.named_modules())
    if layer not in layers or not layer:
        raise InputError(f'the model {type(model).__name__} has no layer "{layer}": {did_you_mean(layer, filter(None, layers))}')
    if train:
        for module in private.modules():
            module.training = isinstance(module, nn.modules.batchnorm._NormBase)
    seen: list[Any] = []
    layers[layer].register_forward_hook(lambda module, inputs, output: seen.append(_kept(output)))
    with torch.no_grad():
        _per_example(loss)(private, batch, _size(batch))
    if not seen or not all(isinstance(output, Tensor) and output.dim() > 1 for output in seen):
        raise InputError(
            f'the layer "{layer}" gives no tensor with an axis of units; name a convolution, a linear layer or its norm'
        )
    return np.concatenate([output.transpose(0, 1).flatten(1).double().cpu().numpy() for output in seen], axis=1)


def unit_change(before: np.ndarray, after: np.ndarray) -> UnitChange:
    """How far the distributions of hidden units moved, from what `unit_inputs` gives before and after (Ioffe and Szegedy 2015).

    Args:
        before: `(n_units, n_values)`.
        after: likewise, of the same examples.

    >>> before = np.array([[-1.0, 1.0, -1.0, 1.0]])
    >>> change = unit_change(before, before[:, ::-1] + 0.5)
    >>> change.mean_change, change.wasserstein
    (array([0.5]), array([0.5]))

    Raises:
        InputError: when the two have other shapes.
    """
    if before.shape != after.shape or before.ndim != 2:
        raise InputError(f"the units' values are of shape {before.shape} before and {after.shape} after; take the same examples")
    spread = before.std(axis=1)
    spread = np.where(spread > 0, spread, np.nan)
    moved = np.abs(after.mean(axis=1) - before.mean(axis=1))
    apart = np.abs(np.sort(after, axis=1) - np.sort(before, axis=1)).mean(axis=1)
    return UnitChange(moved / spread, apart / spread)


def _per_example(loss: Loss | PerExample) -> PerExample:
    return loss if isinstance(loss, PerExample) else PerExample(loss)


def _size(batch: Any) -> int:
    sizes: list[int] = []
    map_tensors(lambda tensor: sizes.append(len(tensor)) or tensor, batch)  # type: ignore[func-returns-value]
    return sizes[0]


def _kept(output: Any) -> Any:
    """A copy, since an activation in place would change it."""
    return output.detach().clone() if isinstance(output, Tensor) else output


def _batch_mean(model: nn.Module, loss: Loss | PerExample, batch: Any, seed: int) -> Callable[[], Tensor]:
    """The mean loss of the batch as a function of the model's parameters alone: buffers and random numbers are the same at each call."""
    by_example, size = _per_example(loss), _size(batch)
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}

    def mean() -> Tensor:
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                if name in buffers:  # a pass may add to them
                    buffer.copy_(buffers[name])
        with _same_draws(model, seed):
            sums, weights = by_example(model, batch, size)["loss"]
        return sums.sum() / (size if weights is None else weights.sum())

    return mean


@contextlib.contextmanager
def _same_draws(model: nn.Module, seed: int) -> Iterator[None]:
    """Random numbers from a seed; the caller's own go on afterwards as if nothing had been drawn."""
    devices = sorted({parameter.device.index or 0 for parameter in model.parameters() if parameter.device.type == "cuda"})
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        for device in devices:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


def _gradient(mean: Callable[[], Tensor], parameters: list[nn.Parameter]) -> tuple[float, list[Tensor]]:
    loss = mean()
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    zeros = (torch.zeros_like(parameter) if part is None else part for part, parameter in zip(found, parameters, strict=True))
    return float(loss.detach()), list(zeros)


def _norm(tensors: list[Tensor]) -> float:
    return math.sqrt(math.fsum(float(tensor.double().square().sum()) for tensor in tensors))
