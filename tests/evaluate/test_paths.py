"""Every way of computing gives the values of a plain loop in double precision: eager, compiled, batched, streamed, halved."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from cases import CATALOGUE, N_EXAMPLES, normal, perceptron, reference_loss, seeded
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from landscape import Problem, zoo
from landscape.core import weights
from landscape.core.directions import Direction, offload_to_host, random_direction, roles, select_parameters
from landscape.core.subspace import Subspace
from landscape.evaluate import Engine, Objective, choose
from landscape.evaluate.data_source import Form, OnDevice, Streaming
from landscape.evaluate.model_copy import computing
from landscape.evaluate.precision import Conversion

CPU = torch.device("cpu")
PLACE = (0.4, -0.7)
BATCHED = sorted(set(CATALOGUE) - {"tokens"})  # vmap has no rule for recurrent layers


def plane(problem: Problem, ignore: tuple[str, ...] = ("bias", "norm")) -> Subspace:
    read, found = weights.read(problem.model), roles(problem.model)
    names = select_parameters(read, found, ignore)
    return Subspace(read, tuple(random_direction(read, found, names, 3, axis) for axis in "xy"))


def measured(problem: Problem, space: Subspace, place: tuple[float, ...] = PLACE, **engine: Any) -> dict[str, float]:
    samples = [choose(problem.examples("train"), None, 0, False)]
    objective = Objective(problem, space, samples, Engine(CPU, **engine))
    (found,) = objective.measure_all([place])
    return {key: estimate.value for key, estimate in found.estimates.items()}


def plain(problem: Problem, space: Subspace, place: tuple[float, ...] = PLACE) -> dict[str, float]:
    """The same by a loop that shares nothing with the engine, in float64."""
    samples = [choose(problem.examples("train"), None, 0, False)]
    wide = Subspace({n: t.double() if t.is_floating_point() else t for n, t in space.origin.items()}, space.directions)
    return reference_loss(problem, wide.point(place), samples, torch.float64)


# In float64, paths differ by rounding: some hundred operations of 1e-16, grown by what the layers amplify: 1e-12 is far above.
# In float32 the same reasoning gives 1e-7 × 100 = 1e-5, what the project promises.
@pytest.mark.parametrize("name", CATALOGUE)
@pytest.mark.parametrize("batch_size", [1, 7, 128])
@pytest.mark.parametrize(
    "engine",
    [{}, {"channels_last": False}, {"memory": 1.0}, {"offload": True}],
    ids=["usual", "channels first", "streamed", "offloaded"],
)
def test_every_way_agrees_with_a_plain_loop(name: str, batch_size: int, engine: dict[str, Any]) -> None:
    problem = CATALOGUE[name]()
    space = plane(problem)
    expected = plain(problem, space)
    assert measured(problem, space, precision="fp64", batch_size=batch_size, **engine) == pytest.approx(
        expected, rel=1e-12, abs=1e-13
    )
    single = measured(problem, space, precision="fp32", batch_size=batch_size, **engine)
    assert single["train_loss"] == pytest.approx(expected["train_loss"], rel=1e-5, abs=1e-6)


ZOO = {"digits-resnet8": {"width": 4}, "digits-resnet8-noshort": {"width": 4}, "digits-mlp-1x16": {}}


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("engine", [{}, {"memory": 1.0}, {"mode": "batched", "points_per_pass": 2}], ids=str)
def test_the_zoos_models_too(name: str, engine: dict[str, Any]) -> None:
    whole = zoo.problem(name, **ZOO[name])
    images, labels = whole.data["train"]
    problem = Problem(whole.model, nn.CrossEntropyLoss(), {"train": (images[:40], labels[:40])})
    space = plane(problem)
    expected = plain(problem, space)
    for batch_size in (1, 7, 40):
        found = measured(problem, space, precision="fp64", batch_size=batch_size, **engine)
        assert found == pytest.approx(expected, rel=1e-12, abs=1e-13)


class Spoken(nn.Module):
    """A model that returns a dict, as many of today's do."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 3)

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        return {"logits": self.head(inputs)}


@pytest.mark.parametrize("mode", ["eager", "batched", pytest.param("compiled", marks=pytest.mark.slow)])
def test_a_model_that_returns_a_dict(mode: str) -> None:
    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(model(batch[0])["logits"], batch[1], reduction="none")

    problem = Problem(seeded(Spoken), loss, perceptron().data)
    space = plane(problem)
    found = measured(problem, space, precision="fp64", batch_size=10, mode=mode)
    assert found == pytest.approx(plain(problem, space), rel=1e-12)


@pytest.mark.parametrize("name", BATCHED)
def test_several_points_at_once_are_those_points(name: str) -> None:
    problem = CATALOGUE[name]()
    space = plane(problem)
    samples = [choose(problem.examples("train"), None, 0, False)]
    places = [(0.1 * k, -0.2 * k) for k in range(7)]
    batched = Objective(problem, space, samples, Engine(CPU, "fp64", 10, mode="batched", points_per_pass=3))
    for place, found in zip(places, batched.measure_all(places), strict=True):
        values = {key: estimate.value for key, estimate in found.estimates.items()}
        assert values == pytest.approx(plain(problem, space, place), rel=1e-12, abs=1e-13)
        assert {estimate.n_examples for estimate in found.estimates.values()} == {N_EXAMPLES}


def test_a_block_does_not_change_its_points() -> None:
    problem = perceptron()
    space, samples = plane(problem), [choose(problem.examples("train"), None, 0, False)]
    places = [(0.1 * k, 0.3 - 0.05 * k) for k in range(8)]
    batched = Objective(problem, space, samples, Engine(CPU, "fp32", 10, mode="batched", points_per_pass=4))
    together = [m.estimates["train_loss"].value for m in batched.measure_all(places)]
    alone = [batched.measure_all([place])[0].estimates["train_loss"].value for place in reversed(places)]
    assert together == alone[::-1]  # to the last bit: whatever the block held, in whatever order


def test_a_nan_in_one_lane_stays_there() -> None:
    def loss(model: nn.Module, batch: Tensor) -> Tensor:
        return model(batch)[:, 0].log()

    problem = Problem(seeded(lambda: nn.Linear(1, 1, bias=False)), loss, {"train": torch.ones(20, 1)})
    ones = {"weight": torch.ones(1, 1)}
    space = Subspace(ones, (Direction(ones),))
    samples = [choose(problem.examples("train"), None, 0, False)]
    found = Objective(problem, space, samples, Engine(CPU, "fp64", 8, mode="batched", points_per_pass=2)).measure_all(
        [(0.0,), (-3.0,)]
    )
    assert found[0].estimates["train_loss"].value == 0.0
    assert math.isnan(found[1].estimates["train_loss"].value)
    assert [m.estimates["train_loss"].n_examples for m in found] == [20, 8]  # seen in the first batch


@pytest.mark.parametrize(("example", "used"), [(0, 8), (7, 8), (8, 16), (15, 16), (16, 20)])
@pytest.mark.parametrize("points_per_pass", [1, 2])
def test_a_nan_ends_its_pass_with_the_batch_that_holds_it(example: int, used: int, points_per_pass: int) -> None:
    """Batches are [0, 8), [8, 16) and [16, 20): the first example of a batch belongs to that batch, not to the one before."""

    def loss(model: nn.Module, batch: Tensor) -> Tensor:
        return model(batch)[:, 0].log()

    inputs = torch.full((20, 1), 2.0)
    inputs[example] = -1.0  # of which the logarithm is NaN
    problem = Problem(seeded(lambda: nn.Linear(1, 1, bias=False)), loss, {"train": inputs})
    ones = {"weight": torch.ones(1, 1)}
    samples = [choose(problem.examples("train"), None, 0, False)]
    engine = (
        Engine(CPU, "fp64", 8, mode="batched", points_per_pass=points_per_pass) if points_per_pass > 1 else Engine(CPU, "fp64", 8)
    )
    found = Objective(problem, Subspace(ones, (Direction(ones),)), samples, engine).measure_all([(0.0,), (1.0,)])
    assert [m.estimates["train_loss"].n_examples for m in found] == [used, used]


def test_a_nan_ends_its_pass_and_is_no_number_in_any_metric() -> None:
    passes: list[int] = []

    def loss(model: nn.Module, batch: Tensor) -> dict[str, Tensor]:
        passes.append(len(batch))
        return {"loss": model(batch)[:, 0].log(), "positive": (model(batch)[:, 0] > 0).double()}

    problem = Problem(seeded(lambda: nn.Linear(1, 1, bias=False)), loss, {"train": torch.ones(20, 1)})
    ones = {"weight": torch.ones(1, 1)}
    objective = Objective(
        problem, Subspace(ones, (Direction(ones),)), [choose(problem.examples("train"), None, 0, False)], Engine(CPU, "fp64", 8)
    )
    passes.clear()
    found = objective((-3.0,)).estimates
    assert passes == [8]
    assert all(math.isnan(estimate.value) and math.isnan(estimate.stderr) for estimate in found.values())
    assert {estimate.n_examples for estimate in found.values()} == {8}
    assert objective((0.0,)).estimates["train_loss"].value == 0.0  # and nothing of it is left behind


# --- compiling: slow to start, so few cases ---


@pytest.mark.slow
@pytest.mark.parametrize("name", CATALOGUE)
def test_compiled_agrees_with_a_plain_loop(name: str) -> None:
    problem = CATALOGUE[name]()
    space = plane(problem)
    expected = plain(problem, space)
    found = measured(problem, space, precision="fp64", batch_size=10, mode="compiled")  # 2 whole batches, then a ragged one
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-13)


def test_whole_batches_are_compiled_once_and_a_ragged_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = perceptron()
    space = plane(problem)
    n_examples: list[int] = []  # of each run of what was compiled

    def compiler(graph: Any, inputs: object) -> Callable[..., Any]:
        def run(*arguments: Tensor) -> Any:
            outputs = graph.forward(*arguments)
            n_examples.append(len(outputs[0]))
            return outputs

        return run

    compile_ = torch.compile
    monkeypatch.setattr(torch, "compile", lambda function, **options: compile_(function, backend=compiler, dynamic=False))
    objective = Objective(
        problem, space, [choose(problem.examples("train"), None, 0, False)], Engine(CPU, "fp64", 10, mode="compiled")
    )
    objective(PLACE)
    assert n_examples == [10] * (N_EXAMPLES // 10)


# --- where the examples live ---


class Overwrites(nn.Module):
    """A model whose first layer works in place on its input."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 3))

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.layers(inputs.sub_(1.0))
        return outputs


@pytest.mark.parametrize("memory", [math.inf, 1.0])
def test_a_model_may_overwrite_its_input(memory: float) -> None:
    inputs = normal(29, 4)
    kept = inputs.clone()
    problem = Problem(seeded(Overwrites), nn.CrossEntropyLoss(), {"train": (inputs, torch.arange(29) % 3)})
    space = plane(problem)
    samples = [choose(problem.examples("train"), None, 0, False)]
    objective = Objective(problem, space, samples, Engine(CPU, "fp64", 7, memory=memory))
    values = [objective(PLACE).estimates["train_loss"].value for _ in range(3)]
    assert values == [pytest.approx(plain(problem, space)["train_loss"], rel=1e-12)] * 3
    assert inputs.equal(kept)


def test_examples_that_fit_are_views_and_others_are_streamed() -> None:
    problem = perceptron()
    form = Form(CPU, Conversion(torch.float32, torch.float64), channels_last=False)
    examples = problem.examples("train")
    resident, streamed = OnDevice(examples, form), Streaming(examples, form)
    spans = [(0, 10), (10, 29)]
    for first, second in zip(resident.batches(spans), streamed.batches(spans), strict=True):
        assert first[0].equal(second[0])
        assert first[0].dtype == second[0].dtype == torch.float64
    (again,), (once,) = resident.batches(spans[:1]), resident.batches(spans[:1])
    assert again[0].data_ptr() == once[0].data_ptr()


def test_a_direction_off_the_device_is_the_same() -> None:
    direction = plane(perceptron()).directions[0]
    elsewhere = offload_to_host(direction, CPU)
    assert elsewhere.sha256 == direction.sha256


# --- precision ---


def test_steps_bfloat16_would_swallow_are_taken_in_fp32() -> None:
    problem = perceptron()
    space, samples = plane(problem, ()), [choose(problem.examples("train"), None, 0, False)]
    reduced_precision = Objective(problem, space, samples, Engine(CPU, "bf16"))
    exact = Objective(problem, space, samples, Engine(CPU, "fp32"))
    length = weights.norm(space.directions[0].parameters)
    share = 2.0**-6 * weights.norm({n: space.origin[n] for n in space.directions[0].parameters}) / length
    for place, same in (((0.0, 0.0), True), ((0.99 * share, 0.0), True), ((1.01 * share, 0.0), False)):
        assert reduced_precision.is_exact(place) == same
        found, wanted = (o(place).estimates["train_loss"].value for o in (reduced_precision, exact))
        assert (found == wanted) == same
    assert not exact.is_exact((0.0, 0.0))


def test_the_settings_of_torch_come_back() -> None:
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        with computing(CPU, "fp32"):
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


# --- properties ---


@settings(max_examples=25, deadline=None)
@given(st.floats(-2, 2), st.floats(-2, 2), st.integers(1, 40))
def test_a_linear_model_with_a_linear_loss_is_linear_in_the_coordinates(a: float, b: float, batch_size: int) -> None:
    def loss(model: nn.Module, batch: Tensor) -> Tensor:
        outputs: Tensor = model(batch).sum(dim=1)
        return outputs

    problem = Problem(seeded(lambda: nn.Linear(3, 2)), loss, {"train": normal(29, 3)})
    space, samples = plane(problem, ()), [choose(problem.examples("train"), None, 0, False)]
    objective = Objective(problem, space, samples, Engine(CPU, "fp64", batch_size))
    at = [objective(place).estimates["train_loss"].value for place in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (a, b))]
    assert at[3] == pytest.approx(at[0] + a * (at[1] - at[0]) + b * (at[2] - at[0]), rel=1e-12, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(N_EXAMPLES)), st.integers(1, N_EXAMPLES - 1))
def test_order_does_not_matter_and_parts_add_up(order: list[int], cut: int) -> None:
    problem = perceptron()
    inputs, targets = problem.examples("train").tensors
    space = plane(problem)

    def value(indices: list[int]) -> float:
        part = Problem(problem.model, nn.CrossEntropyLoss(), {"train": (inputs[indices], targets[indices])})
        return measured(part, space, precision="fp64", batch_size=5)["train_loss"]

    whole = value(list(range(N_EXAMPLES)))
    assert value(order) == pytest.approx(whole, rel=1e-12)
    parts = cut * value(order[:cut]) + (N_EXAMPLES - cut) * value(order[cut:])
    assert parts / N_EXAMPLES == pytest.approx(whole, rel=1e-12)


# --- batches ---


def test_the_usual_batch_follows_from_the_activations() -> None:
    narrow, wide = (zoo.problem("digits-resnet8", width=width) for width in (4, 64))
    sizes = []
    for problem in (narrow, wide):
        samples = [choose(problem.examples("train"), None, 0, False)]
        sizes.append(Objective(problem, plane(problem), samples, Engine(CPU)).batch_size)
    assert sizes == [1397, 2**21 // (64 * 64)]  # for the narrow one all that there are: 2^21 / (4 · 64) would be more
