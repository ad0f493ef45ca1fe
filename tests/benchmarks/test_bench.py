"""landscape bench: what it measures, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import pytest
import torch
from cases import CATALOGUE
from torch import Tensor, nn

from landscape import benchmark
from landscape.benchmark import Report, bench, hand_loop, random_plane
from landscape.errors import InputError
from landscape.evaluate import choose
from landscape.problem import Problem

CPU = torch.device("cpu")
SMALL = ["bench", "digits-mlp-1x8", "--examples", "200", "--rounds", "2", "--threads", "1", "--quiet"]


@pytest.fixture
def swift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "_TURN", 0.01)


def losses_of(problem: Problem, places: Sequence[tuple[float, float]], batch_size: int) -> list[float]:
    split = "train" if "train" in problem.splits else problem.splits[0]
    sample = choose(problem.examples(split), None, 0, False)
    return hand_loop(problem, random_plane(problem, None), sample, batch_size, CPU)(places)


def test_the_loop_by_hand_loads_the_weights_of_each_point_and_averages_over_all_examples() -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    inputs, targets, weights = torch.randn(7, 3), torch.randn(7), torch.rand(7)

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> dict[str, Any]:
        return {"loss": ((model(batch[0])[:, 0] - batch[1]).square() * batch[2], batch[2])}

    problem = Problem(model, loss, {"train": (inputs, targets, weights)})
    plane, expected = random_plane(problem, None), []
    for place in ((0.0, 0.0), (0.5, -1.0)):
        weight = model.weight.detach() + sum(c * d.parameters["weight"] for c, d in zip(place, plane.directions, strict=True))
        errors = (inputs @ weight[0] + model.bias[0].detach() - targets).square()
        expected.append(float((errors * weights).sum() / weights.sum()))
    assert losses_of(problem, [(0.0, 0.0), (0.5, -1.0)], 3) == pytest.approx(expected, rel=1e-5)  # 7 examples by 3: a ragged end


@pytest.mark.parametrize("name", CATALOGUE)
@pytest.mark.usefixtures("swift")
def test_the_engine_and_the_loop_give_the_same_losses(name: str) -> None:
    problem = CATALOGUE[name]()
    before = {key: tensor.clone() for key, tensor in problem.model.state_dict().items()}
    assert bench(problem, rounds=1, quiet=True).deviation < 1e-5
    assert all(torch.equal(tensor, before[key]) for key, tensor in problem.model.state_dict().items())


def test_rates_and_ratios_are_those_of_the_seconds() -> None:
    report = Report("net", "untrained", 100, {}, [0.5, 0.25, 1.0], [1.0, 1.0, 1.0], 0.0, {})
    tree = report.tabulate()
    assert (tree["points_per_second"], tree["images_per_second"]) == (2.0, 200.0)
    assert tree["times_as_fast_as_hand_loop"] == {"median": 2.0, "min": 1.0, "max": 4.0}


@pytest.mark.usefixtures("swift")
def test_the_command_prints_for_people_and_for_machines(command: Callable[..., Any]) -> None:
    told = command(*SMALL)
    assert told.code == 0
    for words in ("points/s", "images/s", "times as fast as a loop", "200 examples", "batches of"):
        assert words in told.out
    outcome = command(*SMALL, "--json", "--engine", "batched", "--precision", "bf16")
    assert outcome.code == 0
    assert outcome.result["command"].startswith("landscape bench digits-mlp-1x8")
    assert (outcome.result["engine"]["mode"], outcome.result["engine"]["precision"]) == ("batched", "bf16")
    assert (outcome.result["n_examples"], outcome.result["environment"]["threads"]) == (200, 1)
    assert outcome.result["points_per_second"] == pytest.approx(1 / median(outcome.result["seconds"]))
    assert 0 < outcome.result["deviation"] < 0.1  # of bf16 against fp32


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--precision fp31", "fp32"),
        ("--precision tf32", "CUDA"),
        ("--rounds 0", "must be 1 to"),
        ("--threads 0", "threads"),
        ("--examples many", "first:N"),
        ("--device gpu", "cuda"),
    ],
)
def test_wrong_words_are_refused_in_one_line(command: Callable[..., Any], words: str, says: str) -> None:
    outcome = command(*SMALL, *words.split())
    assert outcome.code == 2
    assert says in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.usefixtures("swift")
def test_threads_come_back() -> None:
    before = torch.get_num_threads()
    problem = next(iter(CATALOGUE.values()))()
    assert bench(problem, threads=before + 1, rounds=1, quiet=True).environment["threads"] == before + 1
    with pytest.raises(InputError, match="threads"):
        bench(problem, threads=0, quiet=True)
    assert torch.get_num_threads() == before
