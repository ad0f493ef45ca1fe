"""What a step of gradient descent meets: closed forms, the model as it was, and the step a training really took."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.replay import next_step
from harness.step_measures import measure_steps, measure_units, step_panels, typical_steps, unit_panels
from harness.steps import along_gradient, unit_change, unit_inputs
from landscape.core.weights import read
from landscape.errors import InputError, UserCodeError
from landscape.zoo import train
from landscape.zoo.problems import problem

STEP_SIZES = [0.01, 0.1, 0.3, 1.0]
EXACT = 1e-12  # float64 sums of a handful of terms of order 1, each off by 1e-16


class Quadratic(nn.Module):
    """L(θ) = ½ θᵀHθ for every example, with H of eigenvalues 5, 1 and -0.5 in a turned basis."""

    def __init__(self) -> None:
        super().__init__()
        basis = torch.linalg.qr(torch.tensor([[1.0, 2.0, 0.5], [0.3, 1.0, -1.0], [2.0, 0.1, 1.0]], dtype=torch.float64))[0]
        self.register_buffer("hessian", basis @ torch.diag(torch.tensor([5.0, 1.0, -0.5], dtype=torch.float64)) @ basis.T)
        self.theta = nn.Parameter(torch.tensor([0.4, -1.1, 0.7], dtype=torch.float64))
        self.idle = nn.Parameter(torch.ones(2, dtype=torch.float64))  # in no loss: its gradient is 0

    def forward(self, inputs: Tensor) -> Tensor:
        return (0.5 * self.theta @ self.hessian @ self.theta).expand(len(inputs))


def value(model: nn.Module, batch: Tensor) -> Tensor:
    result: Tensor = model(batch)
    return result


def net(norm: bool = True) -> nn.Sequential:
    """A convolution, its batch norm, dropout and a linear layer, in float64 so that tolerances can be narrow."""
    torch.manual_seed(3)
    layers: list[nn.Module] = [nn.Conv2d(1, 4, 3), *([nn.BatchNorm2d(4)] if norm else []), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Dropout(0.3), nn.Flatten(), nn.Linear(16, 3)).double()


def images(n: int = 32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(n, 1, 4, 4, generator=generator, dtype=torch.float64) * 3 + 2, torch.arange(n) % 3


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Parameters, buffers with their counters, gradients, modes, hooks and the global random numbers are as they were."""
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 7.0)
    random = torch.get_rng_state()
    yield
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert modes == [module.training for module in model.modules()]
    assert all(parameter.grad is not None and bool((parameter.grad == 7).all()) for parameter in model.parameters())
    assert torch.equal(random, torch.get_rng_state())
    assert not any(module._forward_hooks for module in model.modules())


def test_a_quadratic_has_closed_forms() -> None:
    """∇L(θ - s·g) - g = -s·H·g, and L(θ - s·g) = L(θ) - s·‖g‖² + ½ s²·gᵀHg."""
    model = Quadratic()
    found = along_gradient(model, value, torch.zeros(4, 1), STEP_SIZES)
    hessian, theta = model.hessian.numpy(), model.theta.detach().numpy()
    gradient, sizes = hessian @ theta, np.array(STEP_SIZES)
    loss = 0.5 * theta @ gradient
    losses = loss - sizes * (gradient @ gradient) + 0.5 * sizes**2 * (gradient @ hessian @ gradient)
    assert found.loss == pytest.approx(loss, rel=EXACT)
    assert found.gradient_norm == pytest.approx(np.linalg.norm(gradient), rel=EXACT)
    np.testing.assert_allclose(found.losses, losses, rtol=0, atol=20 * EXACT)  # up to 13 at the largest step
    np.testing.assert_allclose(found.changes, sizes * np.linalg.norm(hessian @ gradient), rtol=100 * EXACT)
    assert found.smoothness == pytest.approx(np.linalg.norm(hessian @ gradient) / np.linalg.norm(gradient), rel=100 * EXACT)
    assert 1 < found.smoothness <= 5  # the largest eigenvalue


def test_smoothness_is_the_largest_over_the_step_sizes() -> None:
    """L = |θ|³/3 in one dimension: g = θ² for θ > 0, and the change over the distance is 2θ - s·θ², greatest at the least step size."""
    model = nn.ParameterList([nn.Parameter(torch.tensor(0.5, dtype=torch.float64))])
    found = along_gradient(model, lambda m, batch: (m[0].abs() ** 3 / 3).expand(len(batch)), torch.zeros(2), [0.2, 1.0])
    np.testing.assert_allclose(found.changes, [0.25 - 0.45**2, 0.25 - 0.0625], rtol=EXACT)
    assert found.smoothness == pytest.approx((0.25 - 0.45**2) / (0.2 * 0.25), rel=EXACT)


def test_a_flat_place_has_no_smoothness() -> None:
    model = Quadratic()
    model.theta.data.zero_()
    found = along_gradient(model, value, torch.zeros(4, 1), [1.0])
    assert (found.loss, found.gradient_norm, found.losses[0], found.changes[0]) == (0, 0, 0, 0)
    assert np.isnan(found.smoothness)


def test_a_loss_that_overflows_is_told() -> None:
    """L = θ⁴ at θ = 1 - 1e80·4: beyond float64, as are the gradient's squares."""
    model = nn.ParameterList([nn.Parameter(torch.tensor(1.0, dtype=torch.float64))])
    found = along_gradient(model, lambda m, batch: (m[0] ** 4).expand(len(batch)), torch.zeros(2), [0.1, 1e80])
    assert found.losses.tolist() == [pytest.approx(0.6**4, rel=EXACT), np.inf]
    assert found.changes.tolist() == [pytest.approx(4 - 4 * 0.6**3, rel=EXACT), np.inf]
    assert found.smoothness == np.inf


def test_frozen_parameters_stay() -> None:
    """One that is in no loss makes no difference."""
    model = Quadratic()
    everything = along_gradient(model, value, torch.zeros(4, 1), STEP_SIZES)
    model.idle.requires_grad_(False)
    assert (along_gradient(model, value, torch.zeros(4, 1), STEP_SIZES).losses == everything.losses).all()
    model.theta.requires_grad_(False)
    model.idle.requires_grad_(False)
    with pytest.raises(InputError, match="no parameter with requires_grad=True"):
        along_gradient(model, value, torch.zeros(4, 1), [0.1])


@pytest.mark.parametrize("mode", [True, False])
def test_the_model_is_as_it_was(mode: bool) -> None:
    model = net().train(mode)
    with untouched(model):
        along_gradient(model, nn.CrossEntropyLoss(), images(), STEP_SIZES)
        unit_inputs(model, nn.CrossEntropyLoss(), images(), "1")


def test_the_model_is_as_it_was_when_the_loss_raises() -> None:
    model, calls = net().train(), []

    def failing(net: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        calls.append(1)
        net.get_submodule("1").register_buffer("more", torch.ones(1))
        if len(calls) > 2:
            raise ArithmeticError("on the way")
        return nn.functional.cross_entropy(net(batch[0]), batch[1], reduction="none")

    with untouched(model), pytest.raises(UserCodeError, match="ArithmeticError: on the way"):
        along_gradient(model, failing, images(), STEP_SIZES)
    with untouched(model), pytest.raises(UserCodeError, match="ArithmeticError: on the way"):
        unit_inputs(model, failing, images(), "1")


def test_batch_norm_is_as_in_training() -> None:
    """Running statistics that are far off change nothing, and the loss is the one of train mode, with dropout off to compare."""
    model = net()
    model[3] = nn.Dropout(0.0)
    usual = along_gradient(model.eval(), nn.CrossEntropyLoss(), images(), STEP_SIZES)
    model[1].running_mean.fill_(100.0)  # type: ignore[operator,union-attr]
    again = along_gradient(model, nn.CrossEntropyLoss(), images(), STEP_SIZES)
    assert (again.losses == usual.losses).all()
    assert (again.changes == usual.changes).all()
    model.train()
    with torch.no_grad():
        assert usual.loss == float(nn.functional.cross_entropy(model(images()[0]), images()[1], reduction="none").mean())


def test_batch_norm_makes_the_loss_blind_to_the_scale_of_the_weights() -> None:
    """The same function with weights 10 times as large: the gradient by them is a 10th, and so is the way a step size goes."""
    small = nn.Sequential(nn.Linear(16, 4, bias=False), nn.BatchNorm1d(4, eps=1e-12, affine=False)).double()
    loss, batch = nn.CrossEntropyLoss(), (images()[0].flatten(1), images()[1])
    before = along_gradient(small, loss, batch, [0.5])
    small[0].weight.data.mul_(10.0)  # type: ignore[operator,union-attr]
    after = along_gradient(small, loss, batch, [50.0])
    assert after.loss == pytest.approx(before.loss, rel=1e-10)
    assert after.gradient_norm == pytest.approx(before.gradient_norm / 10, rel=1e-10)
    assert after.losses[0] == pytest.approx(before.losses[0], rel=1e-9)  # 10·θ - 50·g/10 = 10·(θ - 0.5·g)


def test_dropout_is_one_draw_along_the_step() -> None:
    """At a step size of next to nothing the loss is the same; with another draw it is not."""
    model = net(norm=False)
    found = along_gradient(model, nn.CrossEntropyLoss(), images(), [1e-9, 1e-9], seed=1)
    other = along_gradient(model, nn.CrossEntropyLoss(), images(), [1e-9], seed=2)
    assert found.losses[0] == found.losses[1]
    assert found.losses[0] == pytest.approx(found.loss, abs=1e-6)  # |ΔL| ≈ 1e-9·‖g‖², with ‖g‖ below 30 here
    assert abs(other.loss - found.loss) > 1e-3


class Drifting(nn.Module):
    """Its buffer grows with each pass in train mode, as the state of spectral norm does, and counts in the output."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, dtype=torch.float64))
        self.register_buffer("state", torch.zeros(1, dtype=torch.float64))

    def forward(self, inputs: Tensor) -> Tensor:
        self.state.add_(1.0)  # type: ignore[operator]
        return (self.weight * self.state).expand(len(inputs))


def test_what_a_pass_leaves_behind_does_not_add_up() -> None:
    found = along_gradient(Drifting(), value, torch.zeros(3, 1), [0.25, 0.5])
    assert (found.loss, *found.losses) == (1.0, 0.75, 0.5)


def test_weights_by_example_make_the_mean() -> None:
    model = nn.ParameterList([nn.Parameter(torch.tensor(2.0, dtype=torch.float64))])

    def pairs(m: nn.Module, batch: Tensor) -> tuple[Tensor, Tensor]:
        return m.get_parameter("0") * batch, torch.tensor([1.0, 3.0], dtype=torch.float64)

    found = along_gradient(model, pairs, torch.tensor([1.0, 5.0], dtype=torch.float64), [1.0])
    assert found.loss == 2.0 * 6 / 4
    assert found.gradient_norm == 6 / 4


@pytest.mark.parametrize("sizes", [[], [0.0], [-0.1, 0.1], [float("nan")], [float("inf")], [[0.1]]])
def test_step_sizes_are_above_zero(sizes: list[float]) -> None:
    with pytest.raises(InputError, match="not a list of numbers above 0"):
        along_gradient(Quadratic(), value, torch.zeros(2, 1), sizes)


# hidden units


def test_units_are_those_of_the_layer_named() -> None:
    model, (pictures, labels) = net(), images()
    found = unit_inputs(model, nn.CrossEntropyLoss(), (pictures, labels), "0")
    with torch.no_grad():
        expected = model[0](pictures)
    assert found.shape == (4, 32 * 2 * 2)
    for k in range(4):  # before the ReLU in place: negative values are there
        np.testing.assert_array_equal(np.sort(found[k]), np.sort(expected[:, k].flatten().numpy()))
    assert (found < 0).any()


def test_behind_batch_norm_units_have_its_mean_and_spread_in_training_and_not_by_running_statistics() -> None:
    model = net().eval()
    model[1].weight.data.fill_(2.0)  # type: ignore[operator,union-attr]
    model[1].bias.data.fill_(0.5)  # type: ignore[operator,union-attr]
    found = unit_inputs(model, nn.CrossEntropyLoss(), images(), "1")
    np.testing.assert_allclose(found.mean(axis=1), 0.5, atol=1e-12)
    np.testing.assert_allclose(found.std(axis=1), 2.0, rtol=1e-3)  # eps of 1e-5 beside variances above 0.1
    running = unit_inputs(model, nn.CrossEntropyLoss(), images(), "1", train=False)
    assert abs(running.mean(axis=1) - 0.5).max() > 0.1


def test_a_layer_called_twice_counts_twice() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 3).double()

        def forward(self, inputs: Tensor) -> Tensor:
            result: Tensor = self.layer(self.layer(inputs))
            return result

    batch = (torch.ones(5, 3, dtype=torch.float64), torch.zeros(5, dtype=torch.int64))
    assert unit_inputs(Twice(), nn.CrossEntropyLoss(), batch, "layer").shape == (3, 10)


def test_a_layer_that_is_not_there_is_named() -> None:
    model = net()
    with pytest.raises(InputError, match='has no layer "conv"'):
        unit_inputs(model, nn.CrossEntropyLoss(), images(), "conv")
    with pytest.raises(InputError, match="no tensor with an axis of units"):
        unit_inputs(nn.Sequential(nn.Flatten(0)), lambda m, batch: m(batch[0])[: len(batch[0])], images(), "0")


def test_how_far_distributions_move() -> None:
    """Shifted by 2 deviations: both are 2. Spread to three times as wide: the mean stays, Wasserstein-1 is 2·E|x - mean|/deviation."""
    values = np.random.default_rng(1).normal(size=(3, 501)) * np.array([[1.0], [5.0], [0.1]])
    spread = values.std(axis=1, keepdims=True)
    shifted = unit_change(values, (values + 2 * spread)[:, ::-1])
    np.testing.assert_allclose(shifted.mean_change, 2.0, rtol=1e-12)
    np.testing.assert_allclose(shifted.wasserstein, 2.0, rtol=1e-12)
    mean = values.mean(axis=1, keepdims=True)
    wider = unit_change(values, mean + 3 * (values - mean))
    np.testing.assert_allclose(wider.mean_change, 0.0, atol=1e-12)
    np.testing.assert_allclose(wider.wasserstein, 2 * (np.abs(values - mean) / spread).mean(axis=1), rtol=1e-12)


def test_a_unit_without_spread_has_no_change() -> None:
    found = unit_change(np.ones((1, 4)), np.full((1, 4), 3.0))
    assert np.isnan(found.mean_change).all()
    assert np.isnan(found.wasserstein).all()
    with pytest.raises(InputError, match="take the same examples"):
        unit_change(np.ones((1, 4)), np.ones((1, 5)))


# the steps of a training


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training of two epochs of three steps, with a checkpoint after each."""
    folder = tmp_path_factory.mktemp("trained")
    settings = {"batch_size": 480, "width": 2, "learning_rate": 0.05}
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # as each test has: the bits depend on their number
    train("digits-vgg9", folder, epochs=2, settings=settings, steps=6)
    torch.set_num_threads(before)
    return folder


def test_it_is_the_step_that_the_training_took(trained: Path) -> None:
    """Bit for bit, running statistics included, over the end of an epoch too, where the rate changes."""
    zoo = problem("digits-vgg9", width=2)
    names = ["epoch_000", "step_0001", "step_0002", "step_0003", "step_0004", "step_0005"]
    assert zoo.examples("train").size in range(961, 1441)  # three steps an epoch
    for k, name in enumerate(names):
        with untouched(zoo.model):
            step = next_step(zoo, trained / f"{name}.pt")
        expected = torch.load(trained / f"step_{k + 1:04d}.pt", weights_only=True)["state_dict"]
        assert step.number == k
        assert all(torch.equal(tensor, expected[key]) for key, tensor in step.after.state_dict().items())
    same = next_step(zoo, trained / "epoch_001.pt").after.state_dict()
    assert all(
        torch.equal(tensor, same[key]) for key, tensor in next_step(zoo, trained / "step_0003.pt").after.state_dict().items()
    )


def test_the_measures_are_of_that_step(tmp_path: Path) -> None:
    """Without momentum, decay and clipping the first step goes to θ - rate·g, and the loss there is the one along the gradient."""
    settings = {"learning_rate": 0.05, "momentum": 0.0, "weight_decay": 0.0, "largest_gradient": 1e9, "batch_size": 25}
    training = train("moons-mlp-1x4", tmp_path, epochs=1, settings=settings)
    zoo = problem("moons-mlp-1x4")
    step = next_step(zoo, training.start)
    found = along_gradient(step.before, zoo.loss, step.batch, [0.05])
    with torch.no_grad():
        moved = [after - before for after, before in zip(step.after.parameters(), step.before.parameters(), strict=True)]
    length = np.sqrt(sum(float(part.double().square().sum()) for part in moved))
    assert length == pytest.approx(
        0.05 * found.gradient_norm, rel=1e-4
    )  # differences of float32 weights 1e-2 to 1e-3 of their size
    assert along_gradient(step.after, zoo.loss, step.batch, [0.05]).loss == pytest.approx(found.losses[0], rel=1e-6)  # float32
    assert found.losses[0] < found.loss


def test_a_file_of_another_origin_is_no_checkpoint(tmp_path: Path, trained: Path) -> None:
    torch.save(read(Quadratic()), tmp_path / "plain.pt")
    (tmp_path / "text.pt").write_text("hello")
    for name in ("plain.pt", "text.pt", "none.pt"):
        with pytest.raises(InputError, match=f"{name}: not a checkpoint of landscape train"):
            next_step(problem("moons-mlp-1x2"), tmp_path / name)
    with pytest.raises(InputError, match="no checkpoint of moons-mlp-1x2 by landscape train"):
        next_step(problem("moons-mlp-1x2"), trained / "epoch_000.pt")
    (tmp_path / "step_0004.pt").write_bytes((trained / "step_0004.pt").read_bytes())
    with pytest.raises(InputError, match=r"epoch_001\.pt: not a checkpoint"):
        next_step(problem("digits-vgg9", width=2), tmp_path / "step_0004.pt")


def test_measures_along_a_training_are_those_of_its_steps(trained: Path) -> None:
    zoo = problem("digits-vgg9", width=2)
    places = [trained / f"{name}.pt" for name in ("epoch_000", "step_0002", "step_0004")]
    found = measure_steps(zoo, places, [0.1, 0.3])
    units = measure_units(zoo, places, "features.3", n_examples=50)
    assert found["step"].tolist() == units["step"].tolist() == [0, 2, 4]
    assert found["losses"].shape == found["changes"].shape == (3, 2)
    step = next_step(zoo, places[1])
    once = along_gradient(step.before, zoo.loss, step.batch, [0.1, 0.3])
    assert (found["loss"][1], found["smoothness"][1], *found["changes"][1]) == (once.loss, once.smoothness, *once.changes)
    fixed = zoo.examples("train").batch(0, 50)
    before, after = (unit_inputs(model, zoo.loss, fixed, "features.3") for model in (step.before, step.after))
    np.testing.assert_array_equal(units["wasserstein"][1], unit_change(before, after).wasserstein)
    np.testing.assert_array_equal(units["percentiles"][1, 1], np.median(before, axis=1))
    assert units["percentiles"].shape == (3, 3, len(before))
    place, unit = int(units["place"]), int(units["unit"])
    moved = np.median(units["wasserstein"], axis=1)
    assert moved[place] == moved.max()
    assert int((units["wasserstein"][place] < units["wasserstein"][place, unit]).sum()) == len(before) // 2
    change = unit_change(units["before"][None], units["after"][None])
    assert change.wasserstein[0] == pytest.approx(units["wasserstein"][place, unit], rel=1e-12)
    with pytest.raises(InputError, match="no checkpoints"):
        measure_steps(zoo, [], [0.1])


def test_steps_are_compared_where_losses_are_alike() -> None:
    steps = {
        "loss": np.array([2.0, 0.1, 1.0, 1.5, 0.05]),
        "losses": np.array([[1.0, 4.0], [0.0, 1.0], [5.0, 3.0], [0.0, 10.0], [0.0, 99.0]]),
        "changes": np.array([[1.0, 7.0], [2.0, 1.0], [0.0, 3.0], [4.0, 4.0], [99.0, 0.0]]),
        "smoothness": np.array([9.0, 1.0, 8.0, 2.0, 99.0]),
    }
    found = typical_steps(steps)
    assert [found[f"{key}, first step"] for key in ("loss range", "gradient change", "β")] == [3.0, 7.0, 9.0]
    assert [found[f"{key}, equal loss"] for key in ("loss range", "gradient change", "β")] == [2.0, 3.0, 2.0]
    assert np.isnan(typical_steps(steps, 3.0, 4.0)["β, equal loss"])


def test_panels_have_what_was_measured(trained: Path) -> None:
    zoo = problem("digits-vgg9", width=2)
    places = [trained / "epoch_000.pt", trained / "step_0002.pt"]
    steps, units = measure_steps(zoo, places, [0.1, 0.3]), measure_units(zoo, places, "features.3", n_examples=50)
    for panel, key in zip(step_panels({"one": steps, "two": steps}), ("losses", "changes", "smoothness"), strict=True):
        assert [trace.name for trace in panel.traces] == ["one", "two"]
        np.testing.assert_array_equal(panel.traces[0].y, steps[key].T)
    around, through = unit_panels({"one": units}, n_bins=7)
    for trace in around.traces:  # densities: the areas are 1, over bins of one width
        assert trace.y.sum() * np.diff(trace.x)[0] == pytest.approx(1, rel=1e-9)
    np.testing.assert_array_equal(through.traces[0].y, units["percentiles"][:, :, int(units["unit"])].T)
