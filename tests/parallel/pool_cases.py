"""Problems that behave otherwise in the processes of a pool, which import them by name."""

from __future__ import annotations

import multiprocessing
import os
from contextlib import nullcontext

import cases
import torch
from torch import Tensor, nn

import landscape


class Halves:
    """A worker that is no sweep's."""

    computing = nullcontext

    def __init__(self) -> None:
        self._n = 0

    def half(self, item: int, of: int) -> int:
        self._n += 1
        if item % 2:
            raise ArithmeticError(f"{item} has no half")
        return of * item // 2

    def account(self) -> int:
        n, self._n = self._n, 0
        return n


def in_a_pool() -> bool:
    return multiprocessing.parent_process() is not None


def unpicklable() -> landscape.Problem:
    """A loss that no pickle holds, over data that would be 8 MB."""
    own = cases.regression()
    inputs, targets = (tensor.repeat(12000, 1) for tensor in own.data["train"])
    return landscape.Problem(
        own.model, lambda model, batch: ((model(batch[0]) - batch[1]) ** 2).mean(1), {"train": (inputs, targets)}
    )


def other_data() -> landscape.Problem:
    own = cases.perceptron()
    inputs, targets = own.data["train"]
    return landscape.Problem(own.model, nn.CrossEntropyLoss(), {"train": (inputs + in_a_pool(), targets)})


def other_values() -> landscape.Problem:
    own = cases.regression()
    factor = 1.0 + 1e-9 * in_a_pool()

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return factor * ((model(batch[0]) - batch[1]) ** 2).mean(1)

    return landscape.Problem(own.model, loss, own.data)


def weight_normed() -> landscape.Problem:
    problem = cases.images()
    nn.utils.parametrizations.weight_norm(problem.model.head)
    return problem


def three_threads() -> landscape.Problem:
    """A loss that is right with three threads alone."""
    own = cases.regression()

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        assert torch.get_num_threads() == 3
        return ((model(batch[0]) - batch[1]) ** 2).mean(1)

    return landscape.Problem(own.model, loss, own.data)


def _far(model: nn.Module) -> bool:
    return abs(float(model.weight[0]) - 0.9) < 0.01  # one of the last points of a line from -1 to 1


def fails_far_out(model: nn.Module, batch: Tensor) -> Tensor:
    """The sum of the two weights, but for a pool where the first is large."""
    if in_a_pool() and _far(model):
        raise ValueError("no value so far out")
    return model(batch).sum(1)


def dies_far_out(model: nn.Module, batch: Tensor) -> Tensor:
    if in_a_pool() and _far(model):
        os._exit(3)
    return model(batch).sum(1)


def made(loss: object) -> landscape.Problem:
    return landscape.Problem(cases.Coordinates(), loss, {"train": torch.zeros(5, 1)})
