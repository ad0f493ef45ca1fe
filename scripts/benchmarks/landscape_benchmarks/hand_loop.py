"""A good loop by hand: what somebody who knows PyTorch would write for this network."""

from __future__ import annotations

import time
from collections.abc import Iterable

import torch
from torch import Tensor

from landscape.problem.data import Batch, map_tensors
from landscape_benchmarks.case import Case
from landscape_benchmarks.contender import Contender
from landscape_benchmarks.task import Task

__all__ = ["HandLoop"]

_SIZES = (128, 512, 2048)


class HandLoop(Contender):
    """A resident eager loop: examples ready on the device, parameters views into one buffer, one wait a point.

    Images lie channels last. The batch size is the fastest of a few, by trial on the case itself.
    """

    name = "hand-written"

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._task = Task(case.problem, case.sample.examples)
        self._model = case.model()
        self._resident = self._task.resident(case.sample.examples, case.device, channels_last=True)
        moving = {name for direction in case.subspace.directions for name in direction.parameters}
        moved = [(name, parameter) for name, parameter in self._model.named_parameters() if name in moving]
        self._buffer = torch.cat([parameter.detach().reshape(-1) for _, parameter in moved])
        start = 0
        for _, parameter in moved:
            parameter.data = self._buffer[start : start + parameter.numel()].view(parameter.shape)
            start += parameter.numel()
        self._origin = self._buffer.clone()
        self._directions = [
            torch.cat([direction.parameters[name].reshape(-1) for name, _ in moved]).to(self._buffer)
            for direction in case.subspace.directions
        ]
        size = self._fastest([size for size in _SIZES if size < case.sample.size] + [case.sample.size])
        self._batches = self._cut(size)
        self.note = f"resident, eager, no_grad, flat weights, sums on the device, one wait a point, batch {size}"

    @torch.no_grad()
    def __call__(self, n_points: int) -> list[float]:
        """The losses at the first `n_points` points."""
        return [self._measure(self._batches, index) for index in range(n_points)]

    def _measure(self, batches: Iterable[tuple[Batch, int]], index: int) -> float:
        a, b = self.case.coordinates(index)
        torch.add(self._origin, self._directions[0], alpha=a, out=self._buffer)
        self._buffer.add_(self._directions[1], alpha=b)
        losses: list[Tensor] = []
        hits: list[Tensor] = []
        below: Tensor | float = 0.0
        for batch, size in batches:
            loss, weight, right = self._task.sums(self._model, batch, size)
            losses.append(loss)
            below = below + weight
            hits += [] if right is None else [right]
        total = torch.stack(losses).double().sum() / below
        if hits:
            return float(torch.stack([total, torch.stack(hits).sum().double()]).tolist()[0])
        return total.item()

    def _cut(self, size: int) -> list[tuple[Batch, int]]:
        n = self.case.sample.size
        spans = [(start, min(start + size, n)) for start in range(0, n, size)]
        return [
            (map_tensors(lambda tensor, span=span: tensor[span[0] : span[1]], self._resident), span[1] - span[0])  # type: ignore[misc]
            for span in spans
        ]

    @torch.no_grad()
    def _fastest(self, sizes: list[int]) -> int:
        seconds = {}
        for size in sizes:
            batches = self._cut(size)
            trials: list[float] = []
            while sum(trials) < 0.1 and len(trials) < 20:  # long ones once, short ones until they are warm
                began = time.perf_counter()
                self._measure(batches, 0)
                trials.append(time.perf_counter() - began)
            seconds[size] = min(trials)
        return min(seconds, key=lambda size: seconds[size])
