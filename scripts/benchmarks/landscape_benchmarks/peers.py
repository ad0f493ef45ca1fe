"""Two published libraries on the same network, data and points, where they are installed."""

from __future__ import annotations

import contextlib
import copy
import importlib
import io
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from landscape.core.weights import Weights, norm, read
from landscape_benchmarks.case import Case, load
from landscape_benchmarks.contender import Contender, relative
from landscape_benchmarks.task import Task

__all__ = ["PEERS", "Landscaper", "LossLandscapes"]


class LossLandscapes(Contender):
    """`loss-landscapes` walks its line from one model to another; its metric takes all examples in one batch.

    The model it walks begins one step before the first point, which is where its first evaluation then is.

    Raises:
        ImportError: where it is not installed.
    """

    name = "loss-landscapes"
    note = "linear_interpolation, its Loss over all examples in one batch"

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._walk = importlib.import_module("loss_landscapes").linear_interpolation
        loss: Any = importlib.import_module("loss_landscapes.metrics").Loss
        task = Task(case.problem, case.sample.examples)
        batch = task.resident(case.sample.examples, case.device)
        self._metric: Any = lambda wrapper: _mean_loss(task, wrapper.modules[0], batch, case.sample.size)
        if task.plain:
            self._metric = loss(nn.CrossEntropyLoss(), *batch)
        self._start, self._end = case.model(), case.model()
        self._before = case.weights(-1, torch.float32)

    def __call__(self, n_points: int) -> list[float]:
        """The losses at the first `n_points` points."""
        load(self._start, self._before)
        load(self._end, self.case.weights(n_points - 1, torch.float32))
        losses = self._walk(self._start, self._end, self._metric, steps=n_points)
        return [float(loss) for loss in losses]


class Landscaper(Contender):
    """`landscaper` on a line through the case's first point, along its direction; the loss function is the user's, here one batch.

    It gives each tensor of a direction a length of its own choice, so its points are others than those of the case, as many and as
    far apart. It adds random noise to the largest value before it returns it: that is part of its deviation.

    Raises:
        ImportError: where it is not installed, with all it imports.
    """

    name = "landscaper"
    note = "LossLandscape.compute, all examples in one batch; rescales the directions and adds noise to the largest value"

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._compute = importlib.import_module("landscaper.compute").compute_loss_landscape
        task = Task(case.problem, case.sample.examples)
        batch = task.resident(case.sample.examples, case.device)
        self._visited: list[Weights] | None = None

        def measure(model: nn.Module, data: Any) -> float:
            if self._visited is not None:
                self._visited.append(read(model))
            return _mean_loss(task, model, data, case.sample.size)

        self._measure, self._batch = measure, batch
        self._model = case.model(0)
        ahead, here = case.weights(1), case.weights(0)
        step = {name: ahead[name] - here[name] for name in case.parameter_names()}
        self._direction: list[Tensor] = [tensor.float().to(case.device) for tensor in step.values()]
        self._share = norm(step) / norm({name: here[name] for name in step})

    def __call__(self, n_points: int) -> list[float]:
        """The losses at `n_points` points around the first one."""
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):  # it prints, and draws a bar
            losses, _ = self._compute(
                self._model, self._batch, [copy.deepcopy(self._direction)], self._measure,
                steps=n_points, distance=self._share * n_points / 2, dim=1, device=self.case.device.type,
            )  # fmt: skip
        return [float(loss) for loss in losses]

    def deviation(self, losses: Sequence[float]) -> float:
        """The largest relative difference to the loop in double precision, at the weights it visits."""
        self._visited = []
        again = self(len(losses))
        visited, self._visited = self._visited, None
        places = {0, len(again) // 2, len(again) - 1}
        return max(relative(again[index], self.case.exact_at(visited[index])) for index in places)


PEERS: tuple[type[LossLandscapes] | type[Landscaper], ...] = (LossLandscapes, Landscaper)


def _mean_loss(task: Task, model: nn.Module, batch: Any, size: int) -> float:
    """The mean loss over one batch, as a user's own function of these libraries gives it."""
    with torch.no_grad():
        loss, weight, _ = task.sums(model, batch, size)
    return float(loss) / float(weight)
