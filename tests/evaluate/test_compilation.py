"""More compiled models of one class than torch compiles by itself, counted by a compiler of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from cases import integers, normal
from torch import Tensor, nn

import landscape
from landscape import Problem
from landscape.core import weights
from landscape.core.directions import Direction
from landscape.core.subspace import Subspace
from landscape.errors import RunError
from landscape.evaluate import Engine, Objective, choose

NAME = "recompile_limit" if hasattr(torch._dynamo.config, "recompile_limit") else "cache_size_limit"  # before torch 2.7
LIMIT = getattr(torch._dynamo.config, NAME)  # torch's own, 8: then it gives up
N_MODELS = LIMIT + 2


class Net(nn.Module):
    """A perceptron of any width, which can be made to break into two graphs."""

    def __init__(self, width: int, in_parts: bool) -> None:
        super().__init__()
        self.first, self.second, self.in_parts = nn.Linear(4, width), nn.Linear(width, 3), in_parts

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.first(inputs)
        if self.in_parts:
            torch._dynamo.graph_break()
        return self.second(hidden.tanh())


class Compiler:
    """Compiles nothing, and counts the graphs it is given and how often they are run."""

    def __init__(self) -> None:
        self.n_graphs = self.n_runs = 0

    def __call__(self, graph: Any, inputs: object) -> Callable[..., Any]:
        self.n_graphs += 1

        def run(*arguments: Any) -> Any:
            self.n_runs += 1
            return graph.forward(*arguments)

        return run


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[Compiler]:
    counting, own = Compiler(), torch.compile
    monkeypatch.setattr(torch, "compile", lambda function, **how: own(function, backend=counting, dynamic=False))
    torch._dynamo.reset()
    yield counting
    torch._dynamo.reset()


def objective(width: int, in_parts: bool, mode: str = "compiled") -> Objective:
    torch.manual_seed(width)
    problem = Problem(Net(width, in_parts), nn.CrossEntropyLoss(), {"train": (normal(29, 4), integers(3, 29))})
    origin = weights.read(problem.model)
    space = Subspace(origin, (Direction({"first.weight": torch.ones(width, 4)}),))
    return Objective(problem, space, [choose(problem.examples("train"), None, 0, False)], Engine(mode=mode, batch_size=8))


@pytest.mark.parametrize("in_parts", [False, True])
def test_every_model_of_a_class_is_compiled(compiler: Compiler, in_parts: bool) -> None:
    held = []  # all are alive at once
    for width in range(3, 3 + N_MODELS):
        held.append(objective(width, in_parts))
        before = compiler.n_runs
        value = held[-1]((0.5,)).estimates["train_loss"].value
        assert compiler.n_runs - before == (6 if in_parts else 3)  # 29 examples are three batches of 8, and 5 that are not compiled
        assert value == pytest.approx(objective(width, in_parts, "eager")((0.5,)).estimates["train_loss"].value, rel=1e-6)
    assert compiler.n_graphs == N_MODELS * (2 if in_parts else 1)
    assert getattr(torch._dynamo.config, NAME) == LIMIT


def test_batches_of_many_sizes_are_compiled(compiler: Compiler) -> None:
    torch.manual_seed(0)
    problem = Problem(Net(5, False), nn.CrossEntropyLoss(), {"train": (normal(29, 4), integers(3, 29))})
    space = Subspace(weights.read(problem.model), (Direction({"first.weight": torch.ones(5, 4)}),))
    for size in range(1, 1 + N_MODELS):
        engine = Engine(mode="compiled", batch_size=size)
        before = compiler.n_runs
        Objective(problem, space, [choose(problem.examples("train"), None, 0, False)], engine)((0.5,))
        assert compiler.n_runs - before == 29 // size


@pytest.mark.parametrize("in_parts", [False, True])
def test_a_second_model_of_the_same_structure_runs_what_was_compiled_for_the_first(compiler: Compiler, in_parts: bool) -> None:
    """Torch takes weights for inputs of a graph; a run alone has two such models, one to try and one to measure with."""
    for _ in range(3):
        before = compiler.n_runs
        value = objective(9, in_parts)((0.5,)).estimates["train_loss"].value
        assert compiler.n_runs - before == (6 if in_parts else 3)
        assert value == pytest.approx(objective(9, in_parts, "eager")((0.5,)).estimates["train_loss"].value, rel=1e-6)
    net = Net(9, in_parts)
    surfaces = [
        landscape.line(Problem(net, nn.CrossEntropyLoss(), {"train": (normal(29, 4), integers(3, 29))}), x=(0, 1, 2), **how)
        for how in ({"engine": "compiled", "batch_size": 8, "quiet": True}, {"quiet": True})
    ]
    assert surfaces[0].runs[0]["engine"] == "compiled"
    assert surfaces[0].values["train_loss"] == pytest.approx(surfaces[1].values["train_loss"], rel=1e-6)


def use_up(in_parts: bool) -> None:
    """A user's own compilations, beyond torch's limit."""
    for width in range(3, 3 + N_MODELS):
        torch.compile(Net(width, in_parts).forward)(torch.ones(2, 4))


def test_a_users_own_compilations_do_not_count(compiler: Compiler) -> None:
    use_up(in_parts=False)
    before = compiler.n_runs
    objective(20, False)((0.5,))
    assert compiler.n_runs - before == 3


def test_what_torch_gave_up_is_not_computed_eagerly_in_silence(compiler: Compiler) -> None:
    """The two parts of the forward are code of the class, and were compiled too often."""
    use_up(in_parts=True)
    with pytest.raises(RunError, match="too often before; use --engine eager"):
        objective(20, True)((0.5,))
