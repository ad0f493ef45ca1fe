"""Every rank's value at a point off the origin is compared before the first point (T21)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import images, perceptron
from parallel.jobs import finish, needs_mpi, start

from landscape.evaluate import Engine, Objective, choose
from landscape.parallel import SerialExecutor
from landscape.problem import Problem
from landscape.sweep.checks import compare_ranks
from landscape.sweep.options import Options
from landscape.sweep.plan import plan_surface


class Several(SerialExecutor):
    """Stands for some ranks, whose values at the point are this one's times a factor each."""

    def __init__(self, *factors: float) -> None:
        self.n_ranks, self.factors = len(factors), factors

    def gather(self, value: Any) -> list[Any]:
        if not isinstance(value, dict):  # that they all got so far
            return [value] * self.n_ranks
        return [{split: factor * loss for split, loss in value.items()} for factor in self.factors]


def complaint(problem: Problem, *factors: float, **engine: Any) -> str:
    axis = np.array([-1.0, 0.0, 1.0])
    plan = plan_surface(problem, None, None, None, axis, axis, False, Options())
    samples = [choose(problem.examples("train"), None, 0, False)]
    objective = Objective(plan.problem, plan.subspace, samples, Engine(torch.device("cpu"), **engine))
    return compare_ranks(Several(*factors), plan, objective, samples)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_rank_with_another_value_is_named(precision: str) -> None:
    said = complaint(perceptron(), 1, 1, 1.0001, precision=precision)
    assert said.startswith("rank 2 has train_loss ")
    assert " at (-0.1, -0.1) where rank 0 has " in said
    assert "do all ranks run the same code" in said


@pytest.mark.parametrize("make", [perceptron, images])
def test_rounding_is_no_other_value_and_nan_agrees_with_itself(make: Any) -> None:
    assert complaint(make(), 1, 1 + 2.0**-23, 1 - 2.0**-23) == ""
    assert complaint(make(), np.nan, np.nan) == ""
    assert complaint(make(), 1, np.nan) != ""
    assert complaint(make(), 2) == ""  # a single rank has nobody to differ from


PROGRAM = """
import os, torch, landscape
from landscape.parallel import detect_executor
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 2)
inputs = torch.randn(9, 3)
rank = detect_executor().rank

def loss(model, batch):
    return model(batch).square().sum(1) * ({other} if rank == 1 else 1)

try:
    landscape.surface(landscape.Problem(model, loss, {{"train": inputs}}), x=(-1, 1, 3), y=(-1, 1, 3), to="s.h5", quiet=True)
except landscape.LandscapeError as error:
    os.write(1, f"{{type(error).__name__}} {{str(error)[:60]}}\\n".encode())  # whole, where both ranks write at once
else:
    os.write(1, b"done\\n")
"""


@needs_mpi
@pytest.mark.parametrize(("other", "says"), [("1.5", "SelfCheckError self-check failed: rank 1 has train_loss"), ("1", "done")])
def test_user_code_that_differs_from_rank_to_rank_is_found(tmp_path: Path, other: str, says: str) -> None:
    _, out, err = finish(start(2, PROGRAM.format(other=other), tmp_path))
    assert out.count(says) == 2, out + err
    assert (tmp_path / "s.h5").exists() == (other == "1")
