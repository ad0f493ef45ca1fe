"""The plain loop that checks the engine, against torch itself."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from cases import CATALOGUE, perceptron
from torch import Tensor, nn

from landscape import Problem, weights
from landscape.objective import choose, measure_apart

CPU = torch.device("cpu")


@pytest.mark.parametrize("split", ["train", "test"])
def test_it_is_the_models_own_loss(split: str) -> None:
    problem = perceptron(torch.float64)
    inputs, targets = problem.data[split]
    logits = problem.model(inputs).detach()
    found = measure_apart(
        problem, weights.read(problem.model), [choose(problem.examples(split), None, 0, False)], CPU, torch.float64
    )
    assert found[f"{split}_loss"] == pytest.approx(float(F.cross_entropy(logits, targets)), rel=1e-13)
    assert found[f"{split}_accuracy"] == float((logits.argmax(1) == targets).double().mean())


@pytest.mark.parametrize("name", CATALOGUE)
def test_it_measures_the_weights_it_is_given(name: str) -> None:
    problem = CATALOGUE[name]()
    read = weights.read(problem.model)
    samples = [choose(problem.examples("train"), None, 0, False)]
    own = measure_apart(problem, read, samples, CPU)
    halved = measure_apart(problem, {n: t * 0.5 if t.is_floating_point() else t for n, t in read.items()}, samples, CPU)
    assert own["train_loss"] != halved["train_loss"]
    assert measure_apart(problem, read, samples, CPU) == own


def test_a_loss_of_whole_batches_is_asked_for_the_batches_of_the_engine() -> None:
    sizes = []

    def scalar(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        sizes.append(len(batch[0]))
        return model(batch[0]).square().max()

    problem = Problem(nn.Linear(4, 3), scalar, {"train": (torch.ones(29, 4), torch.zeros(29))}, per_example=False)
    samples = [choose(problem.examples("train"), None, 0, False)]
    measure_apart(problem, weights.read(problem.model), samples, CPU, batch_size=8)
    assert sizes == [8, 8, 8, 5]
