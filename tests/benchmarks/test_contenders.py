"""Every contender measures the same losses: those of a plain loop in double precision, at the same points."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from cases import CATALOGUE
from torch import nn

from landscape.errors import InputError
from landscape.problem import Problem
from landscape.zoo.losses import NormalizedCrossEntropy
from landscape.zoo.models import ResidualNetwork
from landscape_benchmarks.case import LINE, Case, load, pose
from landscape_benchmarks.contender import Contender
from landscape_benchmarks.engines import EngineRun
from landscape_benchmarks.hand_loop import HandLoop
from landscape_benchmarks.original import Forward, Original
from landscape_benchmarks.peers import Landscaper, LossLandscapes

CPU = torch.device("cpu")
N_EXAMPLES = 150  # more than one batch of the original's 128
N_POINTS = 5


def perceptron() -> Problem:
    """Plain classification."""
    torch.manual_seed(0)
    return Problem(
        nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 4)),
        nn.CrossEntropyLoss(),
        {"train": (torch.randn(N_EXAMPLES, 6), torch.randint(0, 4, (N_EXAMPLES,)))},
    )


def residual_network() -> Problem:
    """Convolutions, batch norm with running statistics of its own, and images kept as bytes, normalized by the loss."""
    torch.manual_seed(1)
    model = ResidualNetwork(depth=8, width=4)
    images = torch.randint(0, 256, (N_EXAMPLES, 3, 8, 8), dtype=torch.uint8)
    model.train()
    model(images.float() / 255)
    model.eval()
    loss = NormalizedCrossEntropy((125.3, 123.0, 113.9), (63.0, 62.1, 66.7))
    return Problem(model, loss, {"train": (images, torch.randint(0, 10, (N_EXAMPLES,)))})


def weighted_regression() -> Problem:
    """Neither classification nor pairs: a dict of inputs, and a loss function with weights."""
    torch.manual_seed(2)

    def loss(model: nn.Module, batch: dict[str, torch.Tensor]) -> dict[str, Any]:
        errors = (model(batch["inputs"]) - batch["targets"]).square().sum(dim=1)
        return {"loss": (errors * batch["weights"], batch["weights"])}

    data = {"inputs": torch.randn(N_EXAMPLES, 3), "targets": torch.randn(N_EXAMPLES, 2), "weights": torch.rand(N_EXAMPLES)}
    return Problem(nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2)), loss, {"train": data})


PROBLEMS = (perceptron, residual_network, weighted_regression, *CATALOGUE.values())

# In single precision (unit roundoff 6e-8) a loss of a few layers is off by some tens of roundings of the outputs before it.
SINGLE = 1e-5


def case_of(problem: Callable[[], Problem], n_points: int = N_POINTS) -> Case:
    return pose(problem(), None, None, CPU, n_points)


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("build", [Original, HandLoop, lambda case: EngineRun(case, "eager", "fp32")])
def test_contenders_give_the_exact_losses(problem: Callable[[], Problem], build: Callable[[Case], Contender]) -> None:
    case = case_of(problem)
    losses = build(case)(N_POINTS)
    assert losses == pytest.approx([case.exact(index) for index in range(N_POINTS)], rel=SINGLE)
    assert max(losses) - min(losses) > 1e-3  # the points differ, so that it matters which is which


@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_forward_pass_alone_stays_at_the_first_point(problem: Callable[[], Problem]) -> None:
    case = case_of(problem)
    forward = Forward(case)
    losses = forward(3)
    assert losses == pytest.approx([case.exact(0)] * 3, rel=SINGLE)
    assert forward.deviation(losses) < SINGLE


def test_the_line_leaves_the_origin_to_others() -> None:
    case = case_of(perceptron)
    assert case.coordinates(0) == LINE[0]
    assert case.coordinates(N_POINTS - 1) == pytest.approx(LINE[1])
    assert all(any(case.coordinates(index)) for index in range(-1, N_POINTS))
    with pytest.raises(InputError, match="at least 2 points"):
        case_of(perceptron, n_points=1)


def test_exact_losses_are_those_of_the_subspace() -> None:
    case = case_of(perceptron)
    model = case.model()
    load(model, case.subspace.point(case.coordinates(2)))
    inputs, targets = case.sample.examples.tensors
    expected = nn.functional.cross_entropy(model.double()(inputs.double()), targets)
    assert case.exact(2) == pytest.approx(expected.item(), rel=1e-6)  # the subspace adds up in single precision


def test_the_users_model_is_left_alone() -> None:
    problem = perceptron()
    before = {name: tensor.clone() for name, tensor in problem.model.state_dict().items()}
    case = pose(problem, None, None, CPU, N_POINTS)
    for build in (Original, HandLoop, Forward):
        build(case)(2)
    assert all(torch.equal(tensor, before[name]) for name, tensor in problem.model.state_dict().items())
    assert all(parameter.requires_grad for parameter in problem.model.parameters())


def test_deviation_is_relative_and_looks_at_first_middle_and_last() -> None:
    case = case_of(perceptron)
    contender = HandLoop(case)
    exact = [case.exact(index) for index in range(N_POINTS)]
    for index, factor in ((0, 1.1), (2, 0.8), (4, 1.3)):
        wrong = list(exact)
        wrong[index] *= factor
        assert contender.deviation(wrong) == pytest.approx(abs(factor - 1))


# The peers' own code where it is installed; otherwise the algorithm of loss-landscapes 3.0.6 and landscaper 1.3.1, as their sources have it


class _Wrapper:
    def __init__(self, model: nn.Module) -> None:
        self.modules = [model]


def _walk(start: nn.Module, end: nn.Module, metric: Callable[[Any], float], steps: int) -> list[float]:
    pairs = [(a, (b.detach() - a.detach()) / steps) for a, b in zip(start.parameters(), end.parameters(), strict=True)]
    losses = []
    for _ in range(steps):
        for parameter, step in pairs:
            parameter.data.add_(step)
        losses.append(metric(_Wrapper(start)))
    return losses


def _loss(criterion: nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> Callable[[_Wrapper], float]:
    return lambda wrapper: criterion(wrapper.modules[0](inputs), targets).item()


def _compute(model: nn.Module, data: Any, directions: Any, function: Any, steps: int, distance: float, **_: object) -> Any:
    original = [parameter.detach().clone() for parameter in model.parameters()]
    step = [part * (part.numel() ** 0.5 / (part.norm() + 1e-10)) for part in directions[0]]
    length = torch.sqrt(sum((part**2).sum() for part in original)) * distance / (steps / 2)
    length = length / torch.sqrt(sum((part**2).sum() for part in step))
    losses = []
    for index in range(steps):
        for parameter, start, part in zip(model.parameters(), original, step, strict=True):
            parameter.data.copy_(start + (index - steps // 2) * length * part)
        losses.append(function(model, data))
    for parameter, start in zip(model.parameters(), original, strict=True):
        parameter.data.copy_(start)
    print("Computing 5 points in 1D space...")
    return losses, None


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, attributes in (
        ("loss_landscapes", {"linear_interpolation": _walk}),
        ("loss_landscapes.metrics", {"Loss": _loss}),
        ("landscaper", {}),
        ("landscaper.compute", {"compute_loss_landscape": _compute}),
    ):
        module = ModuleType(name)
        vars(module).update(attributes)
        monkeypatch.setitem(sys.modules, name, module)


def check_peers(problem: Callable[[], Problem], noise: float) -> None:
    case = case_of(problem)
    walked = LossLandscapes(case)
    for _ in range(2):  # each call begins at the same place
        losses = walked(N_POINTS)
        assert losses == pytest.approx([case.exact(index) for index in range(N_POINTS)], rel=SINGLE)
    landscaper = Landscaper(case)
    losses = landscaper(N_POINTS)
    assert losses[N_POINTS // 2] == pytest.approx(case.exact(0), rel=SINGLE + noise)  # it puts the model in the middle
    assert max(losses) - min(losses) > 1e-4
    assert landscaper.deviation(losses) < SINGLE + noise


@pytest.mark.usefixtures("peers")
@pytest.mark.parametrize("problem", PROBLEMS)
def test_peers_measure_the_same_problem(problem: Callable[[], Problem], capsys: pytest.CaptureFixture[str]) -> None:
    check_peers(problem, noise=0.0)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("problem", PROBLEMS)
def test_peers_as_installed(problem: Callable[[], Problem]) -> None:
    pytest.importorskip("loss_landscapes", reason="needs pip install loss-landscapes")
    pytest.importorskip("landscaper", reason="needs pip install landscaper")
    check_peers(problem, noise=0.05)  # landscaper adds a hundredth of the losses' spread to the largest


def test_a_peer_that_is_not_installed_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "loss_landscapes", None)
    with pytest.raises(ImportError):
        LossLandscapes(case_of(perceptron))
