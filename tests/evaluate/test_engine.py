"""The engine: metrics at coordinates, against closed forms and plain torch, whatever the batches; and what it leaves alone."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from cases import CATALOGUE, N_EXAMPLES, coordinates, normal, perceptron, regression, seeded
from torch import Tensor, nn

from landscape import Problem
from landscape.core import weights
from landscape.core.directions import Direction, random_direction, roles, select_parameters
from landscape.core.subspace import Subspace
from landscape.errors import InputError
from landscape.evaluate import Engine, Objective, choose
from landscape.problem.data import map_tensors

CPU = torch.device("cpu")


def still(problem: Problem) -> Subspace:
    """A line of which only the origin is asked for."""
    read = weights.read(problem.model)
    return Subspace(read, (Direction({name: read[name] for name in weights.parameter_names(problem.model)}),))


def plane(problem: Problem, seed: int = 0, ignore: tuple[str, ...] = ()) -> Subspace:
    read, found = weights.read(problem.model), roles(problem.model)
    names = select_parameters(read, found, ignore)
    return Subspace(read, tuple(random_direction(read, found, names, seed, axis) for axis in "xy"))


def objective(
    problem: Problem, space: Subspace | None = None, examples: Any = None, split: str = "train", **engine: Any
) -> Objective:
    engine = {"precision": "fp64", **engine}
    samples = [choose(problem.examples(split), examples, 0, engine.get("tolerance", 0) > 0)]
    return Objective(problem, space or plane(problem), samples, Engine(CPU, **engine))


def values(found: Objective, place: tuple[float, ...]) -> dict[str, float]:
    return {key: estimate.value for key, estimate in found(place).estimates.items()}


@pytest.mark.parametrize("name", CATALOGUE)
def test_any_batch_size_and_a_ragged_last_batch_give_the_same(name: str) -> None:
    problem = CATALOGUE[name]()
    space = plane(problem)
    for place in ((0.0, 0.0), (0.4, -0.7)):
        whole = objective(problem, space, batch_size=N_EXAMPLES)(place).estimates
        for size in (1, 7, 10, 128):
            for key, estimate in objective(problem, space, batch_size=size)(place).estimates.items():
                # float64: other kernels for other batch sizes, some hundred operations deep, then 29 sums: below 1e-12.
                assert estimate.value == pytest.approx(whole[key].value, rel=1e-12, abs=1e-15)
                assert estimate.n_examples == N_EXAMPLES
                assert estimate.stderr == 0  # all examples of the split were used


def test_in_single_precision_they_agree_to_its_rounding() -> None:
    problem = perceptron()
    found = [values(objective(problem, precision="fp32", batch_size=size), (0.4, -0.7))["train_loss"] for size in (1, 7, 29, 128)]
    # Sums are float64; what is left are the roundings inside one example's loss, 6e-8 each, some ten deep.
    assert found == pytest.approx([found[0]] * 4, rel=1e-6)


@pytest.mark.parametrize("place", [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (-0.5, 2.25)])
def test_linear_regression_in_closed_form(place: tuple[float, float]) -> None:
    problem = regression()
    space = plane(problem)
    inputs, targets = (part.numpy() for part in problem.data["train"])
    theta = {
        n: t.numpy() + sum(c * d.parameters[n].numpy() for c, d in zip(place, space.directions, strict=True))
        for n, t in space.origin.items()
    }
    residuals = inputs @ theta["weight"].T + theta["bias"] - targets
    assert values(objective(problem, space), place)["train_loss"] == pytest.approx(np.mean(residuals**2), rel=1e-13)


def test_a_quadratic_bowl_with_a_known_hessian() -> None:
    hessian = np.array([[3.0, 1.0], [1.0, 2.0]])
    problem, _ = coordinates(lambda a, b: 0.5 * float(np.array([a, b]) @ hessian @ np.array([a, b])) + 0.25)
    first, second = torch.tensor([1.0, 2.0]).double(), torch.tensor([-1.0, 0.5]).double()
    space = Subspace({"weight": torch.zeros(2).double()}, (Direction({"weight": first}), Direction({"weight": second})))
    found = objective(problem, space)
    for a, b in ((0, 0), (1, 0), (0, 1), (-2, 0.5)):
        delta = a * first.numpy() + b * second.numpy()
        assert values(found, (a, b))["train_loss"] == pytest.approx(0.25 + 0.5 * delta @ hessian @ delta, rel=1e-14)


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_point_does_not_depend_on_those_before_it(name: str) -> None:
    problem = CATALOGUE[name]()
    space = plane(problem)
    places = [(0.0, 0.0), (1e3, -1e3), (0.3, 0.1), (0.0, 0.0)]
    there, back = objective(problem, space), objective(problem, space)
    assert [values(there, place) for place in places] == [values(back, place) for place in reversed(places)][::-1]


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_weights_measured_are_those_of_the_subspace(name: str) -> None:
    problem = CATALOGUE[name]()
    tensors = problem.examples("train").tensors
    problem.model.double()
    problem.data = {"train": map_tensors(lambda t: t.double() if t.is_floating_point() else t, tensors)}
    loss = problem.given_loss
    problem = Problem(problem.model, copy.deepcopy(loss).double() if isinstance(loss, nn.Module) else loss, problem.data)
    space = plane(problem)
    there = copy.deepcopy(problem.model)
    named = {**dict(there.named_parameters()), **dict(there.named_buffers())}
    with torch.no_grad():
        for key, tensor in space.point((0.3, -0.2)).items():
            named[key].copy_(tensor)
    moved = Problem(there, problem.loss.criterion or problem.loss.function, problem.data)
    at_origin = objective(moved, still(moved))
    # ± a rounding of float64 where the sum of two products is rounded in another order
    assert values(objective(problem, space), (0.3, -0.2)) == pytest.approx(values(at_origin, (0.0,)), rel=1e-11)


def test_dropout_and_batch_norm_are_in_eval_mode_even_if_the_model_trains() -> None:
    problem = CATALOGUE["images"]()
    problem.model.train()
    inputs, targets = problem.data["train"]
    own = copy.deepcopy(problem.model).double().eval()
    with torch.no_grad():
        expected = F.cross_entropy(own(inputs.double()), targets)
    assert values(objective(problem), (0.0, 0.0))["train_loss"] == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("name", CATALOGUE)
def test_nothing_of_the_users_is_changed(name: str) -> None:
    problem = CATALOGUE[name]()
    problem.model.train()
    next(problem.model.parameters()).requires_grad_(False)
    tensors = [t.clone() for t in problem.model.state_dict().values()]
    flags = [p.requires_grad for p in problem.model.parameters()]
    digest, random = problem.examples("train").sha256, torch.get_rng_state()
    grad, deterministic = torch.is_grad_enabled(), torch.backends.cudnn.deterministic
    objective(problem, batch_size=4)((0.5, 0.5))
    assert all(torch.equal(a, b) for a, b in zip(tensors, problem.model.state_dict().values(), strict=True))
    assert [p.requires_grad for p in problem.model.parameters()] == flags
    assert all(p.grad is None for p in problem.model.parameters())
    assert problem.model.training
    assert torch.equal(torch.get_rng_state(), random)
    assert (torch.is_grad_enabled(), torch.backends.cudnn.deterministic) == (grad, deterministic)
    assert weights.digest({"x": torch.zeros(1)})  # a digest is cached; take the data's anew
    assert type(problem.examples("train"))("train", problem.examples("train").tensors).sha256 == digest


class InPlace(nn.Module):
    """A model that overwrites its input, as one with ReLU(inplace=True) in front does."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.linear(inputs.sub_(1).relu_())


def test_a_model_that_overwrites_its_input_sees_the_data_each_time() -> None:
    data = normal(N_EXAMPLES, 4)
    problem = Problem(seeded(InPlace), nn.CrossEntropyLoss(), {"train": (data.clone(), torch.zeros(N_EXAMPLES).long())})
    found = objective(problem, precision="fp32", batch_size=8)
    first, second = (values(found, (0.0, 0.0)) for _ in range(2))
    assert first == second
    assert torch.equal(problem.data["train"][0], data)


def test_mixed_devices_and_layouts_of_moving_and_fixed_tensors() -> None:
    problem = CATALOGUE["images"]()
    space = plane(problem, ignore=("bias", "norm"))
    found = objective(problem, space)
    place = (0.7, -0.3)
    inputs, targets = problem.data["train"]
    own = copy.deepcopy(problem.model).double().eval()
    state = {n: t.double() for n, t in space.origin.items()}
    for c, d in zip(place, space.directions, strict=True):
        state = {n: t + c * d.parameters[n].double() if n in d.parameters else t for n, t in state.items()}
    own.load_state_dict({**own.state_dict(), **state})
    with torch.no_grad():
        expected = float(F.cross_entropy(own(inputs.double()), targets))
    assert values(found, place)["train_loss"] == pytest.approx(expected, rel=1e-12)


def test_several_splits_are_measured_at_one_point() -> None:
    problem = perceptron(torch.float64)
    samples = [choose(problem.examples(split), None, 0, False) for split in ("train", "test")]
    both = values(Objective(problem, plane(problem), samples, Engine(CPU, "fp64")), (0.1, 0.2))
    assert set(both) == {"train_loss", "train_accuracy", "test_loss", "test_accuracy"}
    for split in ("train", "test"):
        alone = values(objective(problem, split=split), (0.1, 0.2))
        assert {key: both[key] for key in alone} == alone


def test_sampling_gives_the_error_of_a_sample() -> None:
    problem = perceptron(torch.float64)
    drawn = choose(problem.examples("train"), 12, 0, False).examples.tensors
    with torch.no_grad():
        losses = F.cross_entropy(problem.model(drawn[0]), drawn[1], reduction="none").numpy()
    found = objective(problem, examples=12, batch_size=5)((0.0, 0.0)).estimates["train_loss"]
    assert found.value == pytest.approx(losses.mean(), rel=1e-13)
    assert found.stderr == pytest.approx(losses.std(ddof=1) / math.sqrt(12) * math.sqrt(1 - 12 / N_EXAMPLES), rel=1e-10)
    assert found.n_examples == 12
    squares = (losses - losses.mean()) ** 2
    assert found.effective == pytest.approx(squares.sum() ** 2 / (squares**2).sum(), rel=1e-10)


def test_the_first_examples_are_no_random_sample() -> None:
    """Sorted data: the first 500 say nothing of the others; with a tolerance their errors are those of the 500."""
    losses = torch.linspace(0, 10, 5000, dtype=torch.float64)[:, None]

    def loss(model: nn.Module, batch: Tensor) -> dict[str, Any]:
        one = torch.ones(len(batch))
        return {"loss": batch[:, 0], "wrong": batch[:, 0] > 0.3, "pixels": (batch[:, 0], one)}

    problem = Problem(nn.Linear(1, 1, bias=False), loss, {"train": losses})
    found = objective(problem, still(problem), "first:500")((0.0,)).estimates
    for name, expected in (
        ("loss", losses[:500].mean()),
        ("wrong", (losses[:500] > 0.3).double().mean()),
        ("pixels", losses[:500].mean()),
    ):
        estimate = found[f"train_{name}"]
        assert estimate.value == pytest.approx(float(expected), rel=1e-13)
        assert all(math.isnan(number) for number in (estimate.stderr, estimate.low, estimate.high, estimate.effective))
    early = objective(problem, still(problem), "first:500", tolerance=0.1)((0.0,)).estimates["train_loss"]
    assert early.n_examples == 256
    assert abs(early.value - float(losses[:500].mean())) < 4 * early.stderr < 0.2  # of 5,000 it would be 5.0
    late = objective(problem, still(problem), "first:500", tolerance=0.001)((0.0,)).estimates["train_loss"]
    assert (late.n_examples, late.stderr) == (500, 0.0)
    everything = objective(problem, still(problem), "first:9999")((0.0,)).estimates["train_loss"]
    assert (everything.n_examples, everything.stderr) == (5000, 0.0)


def test_losses_of_whole_batches() -> None:
    def mean_square(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return F.mse_loss(model(batch[0]), batch[1])

    data = {"train": regression().data["train"]}
    by_batch = Problem(regression().model, mean_square, data, per_example=False)
    found = objective(by_batch, batch_size=8)((0.3, 0.1)).estimates["train_loss"]
    # A mean of each batch, weighted by its size, is the mean over all.
    assert found.value == pytest.approx(values(objective(regression()), (0.3, 0.1))["train_loss"], rel=1e-13)
    assert math.isnan(found.stderr)
    with pytest.raises(InputError, match="per_example=False"):
        objective(by_batch, tolerance=0.1)


# --- a tolerance: looks after 256, 512, 1024, ... examples ---


def noisy(spread: float, n_examples: int = 4000) -> tuple[Problem, list[int]]:
    """Losses 1 + spread · z with z standard normal; and the sizes of the batches asked for."""
    sizes: list[int] = []

    def loss(model: nn.Module, batch: Tensor) -> Tensor:
        sizes.append(len(batch))
        return 1 + spread * batch[:, 0] + 0 * model.weight.sum()

    model = nn.Linear(1, 1, bias=False).double()
    return Problem(model, loss, {"train": normal(n_examples, 1, dtype=torch.float64)}), sizes


@pytest.mark.parametrize(("tolerance", "expected"), [(0.1, 256), (0.05, 512), (0.03, 1024), (0.0001, 4000), (0.0, 4000)])
def test_a_tolerance_stops_on_the_doubling_schedule(tolerance: float, expected: int) -> None:
    # Standard errors by 1/√n · √(1 − n/4000) for spread 1: 0.060 at 256, 0.041 at 512, 0.027 at 1024, 0.016 at 2048.
    problem, sizes = noisy(1.0)
    found = objective(problem, still(problem), tolerance=tolerance, batch_size=100)((0.0,)).estimates["train_loss"]
    assert found.n_examples == expected == sum(sizes)
    assert max(sizes) <= 100
    if tolerance:
        assert found.stderr <= tolerance * abs(found.value)


def test_what_is_looked_at_does_not_depend_on_the_batch_size() -> None:
    found = []
    for size in (7, 100, 256, 5000):
        problem, _ = noisy(1.0)
        found.append(objective(problem, still(problem), tolerance=0.05, batch_size=size)((0.0,)).estimates["train_loss"])
    assert {estimate.n_examples for estimate in found} == {512}
    assert [estimate.value for estimate in found] == pytest.approx([found[0].value] * 4, rel=1e-13)


def test_a_loss_that_is_no_number_stops_at_once() -> None:
    problem, _ = noisy(math.nan)
    assert objective(problem, still(problem), tolerance=0.01)((0.0,)).estimates["train_loss"].n_examples == 256


@pytest.mark.parametrize("tolerance", [0.01, 0.2, 0.99])
@pytest.mark.parametrize(
    "losses",
    [
        torch.full((4000, 1), 0.3),  # one value for all
        torch.full((4000, 1), 0.0),
        torch.full((4000, 1), 0.3) * (1 + torch.arange(4000)[:, None] % 4 * 2.0**-23),  # to rounding
        (1 + torch.arange(4000)[:, None] % 3 * 2**-7).bfloat16(),
        (torch.arange(4000)[:, None] >= 2048).float(),  # nothing wrong among the first
        torch.where(torch.arange(4000)[:, None] == 3, 20.0, 0.05),  # one example holds the loss
    ],
)
def test_a_sample_that_shows_no_spread_never_stops_short(losses: Tensor, tolerance: float, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = Problem(nn.Linear(1, 1), lambda model, batch: batch[:, 0].to(losses.dtype), {"train": losses.double()})
    monkeypatch.setattr("landscape.evaluate.sample._generator", lambda seed, split: Unshuffled())
    found = objective(problem, still(problem), tolerance=tolerance, precision="fp32")((0.0,)).estimates["train_loss"]
    assert (found.n_examples, found.stderr) == (4000, 0.0)
    assert found.value == pytest.approx(float(losses.double().mean()), rel=1e-7)  # fp32 inputs


class Unshuffled:
    """Draws examples in their own order."""

    def permutation(self, indices: np.ndarray) -> np.ndarray:
        return indices


@pytest.mark.parametrize(("kind", "expected"), [("plain", 512), ("pairs", 512), ("by size", 4000)])
def test_effective_examples_are_those_that_carry_the_spread(kind: str, expected: int) -> None:
    """A text of 1,000 times the others' tokens counts 1,000 times: it alone carries the ratio's spread."""

    def loss(model: nn.Module, batch: Tensor) -> Any:
        losses = 1 + batch[:, 0]
        weights = torch.where(batch[:, 1] < 8, 1000.0, 1.0) if kind == "by size" else torch.ones(len(batch)).double()
        return losses if kind == "plain" else (losses * weights, weights)

    data = torch.stack([normal(4000, dtype=torch.float64), torch.arange(4000).double()], dim=1)
    problem = Problem(nn.Linear(1, 1), loss, {"train": data})
    assert objective(problem, still(problem), tolerance=0.05)((0.0,)).estimates["train_loss"].n_examples == expected


def test_a_tolerance_wants_64_examples() -> None:
    for size in (63, 64):
        problem, _ = noisy(1.0, size)
        space = still(problem)
        if size < 64:
            with pytest.raises(InputError, match='at least 64 independent examples, the split "train" has 63'):
                objective(problem, space, tolerance=0.1)
        else:
            assert objective(problem, space, tolerance=0.1)((0.0,)).estimates["train_loss"].n_examples == 64


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"precision": "fp23"}, 'did you mean "fp32"'),
        ({"precision": "tf32"}, "CUDA devices only"),
        ({"bn": "interpolate"}, 'did you mean "interpolated"'),
        ({"batch_size": 0}, "at least 1"),
        ({"tolerance": -0.1}, "between 0"),
        ({"tolerance": 1.0}, "between 0"),
        ({"tolerance": math.nan}, "between 0"),
    ],
)
def test_impossible_engines_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Engine(CPU, **options)


def test_a_model_that_cannot_be_copied_is_refused() -> None:
    problem = perceptron()
    samples, space = [choose(problem.examples("train"), None, 0, False)], plane(problem)
    problem.model.lock = (lambda: (yield))()  # a generator cannot be copied
    with pytest.raises(InputError, match="the model cannot be copied"):
        Objective(problem, space, samples, Engine(CPU))


def test_bfloat16_computes_lossily_but_moves_weights_exactly() -> None:
    problem = perceptron()
    exact, reduced_precision = (values(objective(problem, precision=p), (0.5, 0.3))["train_loss"] for p in ("fp32", "bf16"))
    assert reduced_precision == pytest.approx(exact, rel=2e-2)  # a few units of 2^-8
    assert reduced_precision != exact
