"""Recalibrated running statistics, against statistics gathered by hooks and averaged by hand in float64, layer by layer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import pytest
import torch
import torch.nn.functional as F
from cases import integers, normal, seeded
from torch import Tensor, nn

from landscape import Problem
from landscape.core import weights
from landscape.core.directions import Direction, random_direction, roles, select_parameters
from landscape.core.subspace import Subspace
from landscape.errors import InputError
from landscape.evaluate import Engine, Objective, choose
from landscape.problem import Examples
from landscape.problem.losses import Loss

PLACE = 0.5
BATCH = 256
NORM = nn.modules.batchnorm._NormBase


class Residual(nn.Module):
    """One norm used twice in each forward."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 3)
        self.norm = nn.BatchNorm1d(5)

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.head(self.norm(self.second(torch.relu(self.norm(self.first(inputs)))) - 3))
        return logits


class Own(nn.BatchNorm1d):
    """A user's own norm: a forward of its own, and a child that acts in training alone."""

    def __init__(self, width: int) -> None:
        super().__init__(width, momentum=0.3)
        self.drop = nn.Dropout(0.5)

    def forward(self, input: Tensor) -> Tensor:
        arguments = (self.running_mean, self.running_var, self.weight, self.bias, self.training, self.momentum, self.eps)
        return self.drop(torch.tanh(F.batch_norm(input, *arguments)))


class Outside(nn.Module):
    """A norm whose module is never called: its parts go into the function by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.norm, self.head = nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        norm, hidden = self.norm, self.inner(inputs)
        parts = (norm.running_mean, norm.running_var, norm.weight, norm.bias, norm.training, norm.momentum)
        logits: Tensor = self.head(F.batch_norm(hidden, *parts))
        return logits


class Late(nn.Module):
    """A norm that joins in after the first batch of 256: small inputs, which only the examples behind them are, take another way."""

    def __init__(self) -> None:
        super().__init__()
        self.large, self.small, self.head = nn.BatchNorm1d(5), nn.BatchNorm1d(5), nn.Linear(5, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.head((self.small if float(inputs.abs().max()) < 1e-2 else self.large)(inputs))
        return logits


class Frozen(nn.BatchNorm1d):
    """The usual way to keep a norm from training for good."""

    def train(self, mode: bool = True) -> Frozen:
        super().train(False)
        return self


def mlp(norm: Callable[[int], nn.Module]) -> Callable[[], nn.Module]:
    """Two norms, of which the second sees what the first makes of a batch."""
    return lambda: nn.Sequential(nn.Linear(5, 6), norm(6), nn.ReLU(), nn.Linear(6, 4), norm(4), nn.Dropout(0.5), nn.Linear(4, 3))


def net(dimensions: int, norm: Callable[[int], nn.Module]) -> Callable[[], nn.Module]:
    convolution = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dimensions - 1]
    return lambda: nn.Sequential(
        convolution(2, 3, 2), norm(3), nn.ReLU(), convolution(3, 3, 2), norm(3), nn.Flatten(), nn.LazyLinear(3)
    )


def tracked(kind: Callable[..., nn.Module]) -> Callable[[int], nn.Module]:
    return lambda width: kind(width, track_running_stats=True)


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "BatchNorm1d": (mlp(nn.BatchNorm1d), (5,)),
    "BatchNorm1d of sequences": (net(1, nn.BatchNorm1d), (2, 5)),
    "BatchNorm2d": (net(2, nn.BatchNorm2d), (2, 4, 4)),
    "BatchNorm3d": (net(3, nn.BatchNorm3d), (2, 3, 3, 3)),
    "InstanceNorm1d": (net(1, tracked(nn.InstanceNorm1d)), (2, 6)),
    "InstanceNorm2d": (net(2, tracked(nn.InstanceNorm2d)), (2, 4, 4)),
    "SyncBatchNorm": (mlp(nn.SyncBatchNorm), (5,)),
    "momentum None": (mlp(lambda width: nn.BatchNorm1d(width, momentum=None)), (5,)),
    "not affine": (mlp(lambda width: nn.BatchNorm1d(width, affine=False)), (5,)),
    "used twice": (Residual, (5,)),
    "own subclass": (mlp(Own), (5,)),
    "used by hand": (Outside, (5,)),
    "used late": (Late, (5,)),
    "one that refuses": (mlp(lambda width: (Frozen if width == 4 else nn.BatchNorm1d)(width)), (5,)),
}


def problem_of(name: str, n_calibration: int) -> tuple[Problem, Tensor]:
    """The problem, whose statistics are far from the right ones, and the inputs to calibrate on; batches differ from each other."""
    make, shape = MODELS[name]
    model = seeded(make)
    inputs = normal(40, *shape, seed=3)
    model(inputs[:2])  # lazy layers find their shape
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, NORM) and layer.running_mean is not None and layer.running_var is not None:
                layer.running_mean.fill_(0.7)
                layer.running_var.fill_(2.5)
    calibration = 2 * normal(n_calibration, *shape, seed=8) - 1
    calibration[BATCH:] = 1e-3 * calibration[BATCH:] if name == "used late" else 4 * calibration[BATCH:] + 3
    inputs = 1e-3 * inputs if name == "used late" else inputs
    return Problem(model, nn.CrossEntropyLoss(), {"train": (inputs, integers(3, 40))}), calibration


def by_hand(model: nn.Module, batches: Sequence[Tensor]) -> nn.Module:
    """The model with each norm's mean and unbiased variance of every call averaged by the examples of the call's batch."""
    seen: dict[nn.Module, list[tuple[int, Tensor, Tensor]]] = {}
    n_examples = 0

    def see(layer: nn.Module, inputs: Tensor) -> None:
        channels = inputs.flatten(2) if inputs.dim() > 2 else inputs[:, :, None]  # (n, c, places)
        if isinstance(layer, nn.modules.instancenorm._InstanceNorm):
            statistics = channels.mean(2).mean(0), channels.var(2).mean(0)
        else:
            statistics = channels.mean((0, 2)), channels.transpose(0, 1).flatten(1).var(1)
        seen.setdefault(layer, []).append((n_examples, *statistics))

    trained = copy.deepcopy(model)
    for layer in trained.modules():
        if isinstance(layer, NORM) and not isinstance(layer, Frozen):
            layer.training = True
            layer.register_forward_pre_hook(lambda layer, inputs: see(layer, inputs[0]))
    with torch.no_grad():
        for batch in batches:
            n_examples = len(batch)
            trained(batch)
            if isinstance(trained, Outside):
                see(trained.norm, trained.inner(batch))
        for layer, own in zip(trained.modules(), model.modules(), strict=True):
            if layer in seen:
                total = sum(n for n, _, _ in seen[layer])
                own.running_mean.copy_(sum(n / total * mean for n, mean, _ in seen[layer]))
                own.running_var.copy_(sum(n / total * var for n, _, var in seen[layer]))
    return model


def by_example(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return F.cross_entropy(model(batch[0]), batch[1], reduction="none")


def both(name: str, n_calibration: int, used: int | None = None, loss: Loss | None = None) -> tuple[float, float]:
    """The loss at a point by the engine, and of the model put together by hand, calibrated on the first `used` examples."""
    problem, inputs = problem_of(name, n_calibration)
    problem = Problem(problem.model, loss or nn.CrossEntropyLoss(), problem.data)
    origin, found = weights.read(problem.model), roles(problem.model)
    direction = random_direction(origin, found, select_parameters(origin, found, ("bias", "norm")))
    calibration = Examples.read("train", (inputs, torch.zeros(len(inputs), dtype=torch.int64)))
    samples = [choose(problem.examples("train"), None, 0, False)]
    objective = Objective(
        problem, Subspace(origin, (direction,)), samples, Engine(precision="fp64", bn="recalibrated"), calibration
    )
    objective((-3.0,))  # what an earlier point left behind must not count
    value = objective((PLACE,)).estimates["train_loss"].value
    model = copy.deepcopy(problem.model).double().eval()
    moved = {name: origin[name].double() + PLACE * part.double() for name, part in direction.parameters.items()}
    model.load_state_dict({**model.state_dict(), **moved})
    model = by_hand(model, inputs[:used].double().split(BATCH))
    own, targets = problem.data["train"]
    return value, float(F.cross_entropy(model(own.double()), targets).detach())


# float64 throughout: a few hundred numbers summed in another order, divided by deviations of the size of 1.
ROUNDED = 1e-10


@pytest.mark.parametrize("name", MODELS)
def test_every_batch_weighs_as_many_examples_as_it_has(name: str) -> None:
    """300 examples make batches of 256 and 44."""
    value, expected = both(name, 300)
    assert value == pytest.approx(expected, rel=ROUNDED)


def test_a_loss_function_sees_the_same_statistics() -> None:
    value, expected = both("BatchNorm2d", 300, loss=by_example)
    assert value == pytest.approx(expected, rel=ROUNDED)


@pytest.mark.parametrize(
    ("n", "used"), [(2, 2), (100, 100), (256, 256), (257, 256), (258, 258), (512, 512), (513, 512), (600, 600)]
)
@pytest.mark.parametrize("name", ["BatchNorm1d", "InstanceNorm1d", "used twice"])
def test_any_number_of_examples(name: str, n: int, used: int) -> None:
    """A last batch of a single example has no variance and is left out."""
    value, expected = both(name, n, used)
    assert value == pytest.approx(expected, rel=ROUNDED)


def test_one_example_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match=r"one example, which has no variance.*--bn frozen"):
        both("BatchNorm2d", 1)


def test_a_norm_that_no_example_reaches_keeps_its_statistics() -> None:
    """All 256 examples are large; what is measured takes the other way."""
    value, expected = both("used late", BATCH)
    assert value == pytest.approx(expected, rel=ROUNDED)


class Routed(nn.Module):
    """Two norms, of which a batch takes one by how large its hidden values are at the point."""

    limit = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.first, self.large, self.small, self.head = (
            nn.Linear(5, 4, bias=False),
            *(nn.BatchNorm1d(4) for _ in "ls"),
            nn.Linear(4, 3),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.first(inputs)
        logits: Tensor = self.head((self.small if float(hidden.abs().max()) < self.limit else self.large)(hidden))
        return logits


def test_statistics_do_not_depend_on_the_points_before() -> None:
    """At a = 0 the examples take one way, at a = 1, where the hidden values are twice as large, the other."""
    model, inputs = seeded(Routed), normal(100, 5, seed=8)
    model.limit = 1.5 * float(model.first(inputs).detach().abs().max())
    origin = weights.read(model)
    space = Subspace(origin, (Direction({"first.weight": origin["first.weight"]}),))
    problem = Problem(model, nn.CrossEntropyLoss(), {"train": (0.1 * normal(40, 5, seed=3), integers(3, 40))})
    samples = [choose(problem.examples("train"), None, 0, False)]
    calibration = Examples.read("train", (inputs, integers(3, 100)))
    objectives = [Objective(problem, space, samples, Engine(precision="fp64", bn="recalibrated"), calibration) for _ in range(2)]
    objectives[0]((0.0,))
    values = [objective((1.0,)).estimates["train_loss"].value for objective in objectives]
    assert values[0] == values[1]


def test_the_first_2048_examples_count() -> None:
    values = []
    for n, changed in ((2048, 0), (2200, 0), (2200, 152), (2200, 153)):
        problem, inputs = problem_of("BatchNorm1d", n)
        inputs = normal(2200, 5, seed=8)[:n]
        inputs[n - changed :] += 1
        objective = Objective(
            problem, Subspace(weights.read(problem.model), (Direction({"0.bias": torch.ones(6)}),)),
            [choose(problem.examples("train"), None, 0, False)], Engine(precision="fp64", bn="recalibrated"),
            Examples.read("train", (inputs, integers(3, n))),
        )  # fmt: skip
        values.append(objective((0.5,)).estimates["train_loss"].value)
    assert values[0] == values[1] == values[2]
    assert values[3] != values[0]


def test_statistics_of_images_are_as_exact_as_single_precision_allows() -> None:
    """Torch sums the numbers of a channel one by one where channels lie last in memory: 65,536 of them lose four digits."""
    model = seeded(lambda: nn.Sequential(nn.Conv2d(2, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 3, 3), nn.BatchNorm2d(3)))
    inputs = normal(256, 2, 18, 18, seed=8) + 5
    space = Subspace(weights.read(model), (Direction({"0.bias": torch.ones(8)}),))
    problem = Problem(model, lambda model, batch: model(batch).square().mean(dim=(1, 2, 3)), {"train": inputs[:9] + 1})
    samples = [choose(problem.examples("train"), None, 0, False)]
    values = {}
    for precision in ("fp32", "fp64"):
        engine = Engine(precision=precision, bn="recalibrated")
        data = problem if precision == "fp32" else Problem(model.double(), problem.given_loss, {"train": (inputs[:9] + 1).double()})
        samples = [choose(data.examples("train"), None, 0, False)]
        calibration = Examples.read("train", inputs if precision == "fp32" else inputs.double())
        values[precision] = Objective(data, space, samples, engine, calibration)((0.0,)).estimates["train_loss"].value
    # Sums in blocks err by about 6e-8 √(number of blocks); the mean is five times the deviation, and its error counts five-fold.
    assert values["fp32"] == pytest.approx(values["fp64"], rel=3e-6)
