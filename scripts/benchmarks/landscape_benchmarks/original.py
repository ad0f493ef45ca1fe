"""What tomgoldstein/loss-landscape does at each point, written out: the contender that the others are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from landscape.problem.data import Batch, map_tensors
from landscape_benchmarks.case import Case
from landscape_benchmarks.contender import Contender
from landscape_benchmarks.task import Task, size_of

__all__ = ["Forward", "Original"]

_BATCH = 128
_WORKERS = 2


class _Images(Dataset[Any]):
    """The examples one by one, transformed each time they are asked for."""

    def __init__(self, task: Task, tensors: Batch, size: int) -> None:
        self._task = task
        self._tensors = tensors
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, index: int) -> Batch:
        return self._task.transform(self._task.example(self._tensors, index))


class Original(Contender):
    """The pattern of tomgoldstein/loss-landscape (commit 64ef4d5), from `net_plotter.set_weights` and `evaluation.eval_loss`.

    At each point: the step is added up on the CPU and put into the model parameter by parameter; a data loader of two workers
    starts and transforms every image anew; the model computes batches of 128 in contiguous single precision; loss and hits are read
    back after each batch. Left out, in its favour: reading both directions from disk, decoding through PIL, and writing the result.
    """

    name = "original"
    note = "data loader of 2 workers, transforms by image, batch 128, weights from the CPU, .item() for each batch"

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._task = Task(case.problem, case.sample.examples)
        self._model = case.model()
        self._loader = DataLoader(
            _Images(self._task, case.sample.examples.tensors, case.sample.size), batch_size=_BATCH, num_workers=_WORKERS
        )
        names = case.parameter_names()
        self._origin = [case.subspace.origin[name].float() for name in names]
        self._directions = [
            [
                direction.parameters.get(name, torch.zeros_like(tensor)).float()
                for name, tensor in zip(names, self._origin, strict=True)
            ]
            for direction in case.subspace.directions
        ]

    def __call__(self, n_points: int) -> list[float]:
        """The losses at the first `n_points` points."""
        losses = []
        for index in range(n_points):
            self._move(self.case.coordinates(index))
            losses.append(self._evaluate())
        return losses

    def _move(self, coordinates: Sequence[float]) -> None:
        first, second = self._directions
        changes = [a * coordinates[0] + b * coordinates[1] for a, b in zip(first, second, strict=True)]
        for parameter, weight, change in zip(self._model.parameters(), self._origin, changes, strict=True):
            parameter.data = weight + change.type_as(weight)
        self._model.to(self.case.device)

    def _evaluate(self) -> float:
        total, below, hits = 0.0, 0.0, 0
        with torch.no_grad():
            for batch in self._loader:
                batch = map_tensors(lambda tensor: tensor.to(self.case.device), batch)
                size = size_of(batch)
                loss, weight, right = self._task.sums(self._model, batch, size)
                total += loss.item()
                below += float(weight)
                hits += 0 if right is None else int(right.item())
        return total / below


class Forward(Contender):
    """The forward pass of the original alone: its model, layout and batches, with the examples ready in memory."""

    name = "original, forward alone"
    note = "the same without loading, transforming, moving and reading back"

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._task = Task(case.problem, case.sample.examples)
        self._model = case.model(0)
        resident = self._task.resident(case.sample.examples, case.device)
        self._batches = [
            map_tensors(lambda tensor, start=start: tensor[start : start + _BATCH].clone(), resident)  # type: ignore[misc]
            for start in range(0, case.sample.size, _BATCH)
        ]

    def __call__(self, n_points: int) -> list[float]:
        """The loss at the first point, as often as asked for; weights do not move."""
        losses = []
        with torch.no_grad():
            for _ in range(n_points):
                results = [self._task.sums(self._model, batch, size_of(batch)) for batch in self._batches]
                self.wait()
                losses.append(sum(float(loss) for loss, _, _ in results) / sum(float(weight) for _, weight, _ in results))
        return losses

    def deviation(self, losses: Sequence[float]) -> float:
        """The largest relative difference to the loop in double precision, all of them at the first point."""
        return super().deviation(losses[:1])
