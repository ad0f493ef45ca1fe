"""How like its teacher a grown net is: its outputs, its surface, and the copies of its units."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from harness.growth import Growth, deepen, hidden_layers, widen
from landscape.checkpoints import Checkpoint, weights_of
from landscape.core.directions import random_direction, roles, select_parameters
from landscape.core.modules import copy_module
from landscape.core.surface import Surface
from landscape.core.weights import Weights, add, read
from landscape.errors import InputError
from landscape.problem import Problem
from landscape.problem.data import map_tensors

__all__ = ["copy_gap", "corners", "in_double", "output_gap", "output_gaps", "students_of", "surface_gap"]


@torch.no_grad()
def output_gap(teacher: nn.Module, student: nn.Module, inputs: Tensor, dtype: torch.dtype = torch.float64) -> float:
    """The largest difference between the outputs of two nets for `inputs` `(n, …)`, both computed in one type; they stay as they are.

    >>> output_gap(nn.Linear(2, 1), nn.Linear(2, 1), torch.zeros(0, 2))
    0.0
    """
    first, second = (copy_module(model).to(dtype).eval()(inputs.to(dtype)) for model in (teacher, student))
    return float((first - second).abs().max()) if first.numel() else 0.0


def output_gaps(teacher: nn.Module, student: nn.Module, inputs: Tensor) -> dict[str, float]:
    """`output_gap` in double and in single precision, under their names."""
    precisions = {"largest output difference": torch.float64, "the same in single precision": torch.float32}
    return {words: output_gap(teacher, student, inputs, dtype) for words, dtype in precisions.items()}


def in_double(problem: Problem) -> Problem:
    """A problem in double precision, model and data: types are not changed in a sweep, so that both have to have it."""

    def wide(tensor: Tensor) -> Tensor:
        return tensor.double() if tensor.is_floating_point() else tensor

    data = {split: map_tensors(wide, problem.examples(split).tensors) for split in problem.splits}
    model = copy_module(problem.model).double()
    return Problem(model, problem.given_loss, data, problem.per_example, problem.name)


def students_of(problem: Problem, checkpoint: Checkpoint, seed: int) -> dict[str, Growth]:
    """Two students of a trained net: `wider`, each hidden layer twice as wide, and `deeper`, one layer more behind the last.

    Args:
        problem: of the teacher; its model is given the checkpoint's weights, in double precision.
        checkpoint: what it has learned.
        seed: of the units that are copied.

    Raises:
        InputError: for a checkpoint that does not fit, or a net that cannot be grown.
    """
    model = problem.model.double()
    model.load_state_dict(weights_of(checkpoint, model), strict=False)  # the counters of batch norm are in no checkpoint's weights
    hidden = hidden_layers(model)
    return {
        "wider": widen(model, {name: 2 * width for name, width in hidden.items()}, seed),
        "deeper": deepen(model, list(hidden)[-1]),
    }


def corners(teacher: nn.Module, growth: Growth, seed: int) -> tuple[Weights, Weights, Weights]:
    """The student's weights at (0, 0), (1, 0) and (0, 1) of the plane that `landscape.surface` draws by a seed around the teacher.

    The plane through them shows the teacher's surface.
    """
    origin, model_roles = read(teacher), roles(teacher)
    names = select_parameters(origin, model_roles, ("bias", "norm"))
    ends = (add(origin, random_direction(origin, model_roles, names, seed, axis).parameters) for axis in "xy")
    first, second = (growth.weights(end) for end in ends)
    return growth.weights(origin), first, second


def surface_gap(teacher: Surface, student: Surface, key: str = "train_loss") -> float:
    """The largest difference between two surfaces on one grid over the largest value of the first.

    Raises:
        InputError: when their grids differ.
    """
    if teacher.shape != student.shape:
        raise InputError(f"surfaces of {teacher.shape} and {student.shape} points cannot be compared; measure them on one grid")
    first, second = teacher.values[key], student.values[key]
    return float(np.abs(second - first).max() / np.abs(first).max())


def copy_gap(growth: Growth, trained: Mapping[str, Tensor]) -> float:
    """How far apart the copies of one unit of the first hidden layer are after training on, over the layer's largest weight.

    Without noise and dropout copies get equal gradients and never part.
    """
    name = f"{next(iter(hidden_layers(growth.model)))}.weight"
    before, after = (state[name].double().flatten(1) for state in (growth.model.state_dict(), trained))
    same = (before[:, None] == before[None]).all(dim=2)
    return float((after[:, None] - after[None])[same].abs().max() / after.abs().max())
