"""Where running variances are negative, against a walk in small steps, and what a point there gives."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from cases import Images, images
from torch import nn

from landscape.core import weights
from landscape.core.directions import Direction, between
from landscape.core.subspace import Subspace
from landscape.evaluate import Engine, Objective, Variances, choose

X = np.linspace(-0.5, 1.5, 5)


def subspace(*models: dict[str, list[float]]) -> Subspace:
    """Through models that are nothing but running variances by layer."""
    first, *others = (
        {f"{layer}.running_var": torch.tensor(v, dtype=torch.float64) for layer, v in model.items()} for model in models
    )
    differences = [{name: other[name].double() - first[name].double() for name in first} for other in others]
    return Subspace(first, tuple(Direction({}, difference) for difference in differences))


def test_the_interval_is_where_every_variance_stays_above_zero() -> None:
    # a: 1 - 0.5 α is positive below 2, 0.5 + 1.5 α above -1/3; b: 2 + α above -2.
    variances = Variances(subspace({"a": [1.0, 0.5], "b": [2.0]}, {"a": [0.5, 2.0], "b": [3.0]}))
    assert variances.interval(0) == pytest.approx((-1 / 3, 2.0), rel=1e-15)
    assert variances.describe_negative({"x": X}) == "valid for x from -0.3333 (set by a) to 2 (set by a)"
    assert variances.describe_negative({"x": np.linspace(-0.25, 1.5, 5)}) == ""
    assert variances.negative_at((-0.4,)) == ["a.running_var"]
    assert variances.negative_at((-3.0,)) == ["a.running_var", "b.running_var"]
    assert variances.negative_at((1.5,)) == []


def test_random_variances_against_a_walk() -> None:
    generator = np.random.default_rng(0)
    walk = np.linspace(-3, 4, 7001)
    for _ in range(20):
        ends = generator.gamma(1.0, size=(2, 3, 4)).astype(np.float32)
        models = [{f"layer{i}": v.tolist() for i, v in enumerate(end)} for end in ends]
        variances, value = Variances(subspace(*models)), (1 - walk[:, None, None]) * ends[0] + walk[:, None, None] * ends[1]
        valid = walk[(value >= 0).all(axis=(1, 2))]
        low, high = variances.interval(0)
        assert max(low, -3) == pytest.approx(valid[0], abs=1e-3)
        assert min(high, 4) == pytest.approx(valid[-1], abs=1e-3)
        for place in (-1.0, 2.0):
            below = {f"layer{i}.running_var" for i in np.flatnonzero(((1 - place) * ends[0] + place * ends[1] < 0).any(axis=1))}
            assert set(variances.negative_at((place,))) == below


def test_a_variance_of_zero_is_a_models_own() -> None:
    """A channel that never varied: 0 in both models, in one of them, and where decimal fractions round."""
    assert Variances(subspace({"a": [0.0, 1.0]}, {"a": [0.0, 1.0]})).interval(0) == (-np.inf, np.inf)
    one_sided = Variances(subspace({"a": [0.0]}, {"a": [1.0]}))
    assert one_sided.interval(0) == (0.0, np.inf)
    assert one_sided.describe_negative({"x": np.array([0.0, 1.5])}) == ""
    assert one_sided.describe_negative({"x": X}) == "valid for x from 0 (set by a)"
    falling = Variances(subspace({"a": [0.1]}, {"a": [0.0]}, {"a": [0.7]}))
    assert falling.negative_at((1.0, 0.0)) == falling.negative_at((3.0, 1 / 3)) == []  # 0.1 - 0.3 + 0.2, to rounding
    assert falling.negative_at((1.0 + 1e-6, 0.0)) == ["a.running_var"]


def test_a_plane_is_judged_by_its_corners() -> None:
    # a: 1 + α - 0.5 β is negative at (-0.5, 1.5) alone among the corners of [-0.5, 1.5]², and along neither axis.
    plane = Variances(subspace({"a": [1.0]}, {"a": [2.0]}, {"a": [0.5]}))
    assert plane.describe_negative({"x": X, "y": X}) == (
        "valid for x from -1 (set by a) at y = 0; valid for y up to 2 (set by a) at x = 0; at x, y = -0.5, 1.5 that of a is -0.25"
    )
    assert plane.describe_negative({"x": np.array([0.0, 1.5]), "y": X}) == ""


def test_directions_without_running_statistics_hold_none() -> None:
    origin = {"a.running_var": torch.ones(2), "w": torch.ones(2)}
    several = Variances(Subspace(origin, tuple(Direction({"w": torch.ones(2)}) for _ in range(3))))
    assert several.describe_negative({"x": X}) == ""
    assert several.negative_at((9.0, 9.0, 9.0)) == []


class Own(nn.Module):
    """A norm that torch knows nothing of, such as detection libraries have for frozen statistics."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(n))
        self.register_buffer("running_var", torch.ones(n))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return (inputs - self.running_mean[:, None, None]) / (self.running_var[:, None, None] + 1e-2).sqrt()


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("mode", ["eager", "batched"])
def test_a_point_of_a_negative_variance_is_not_a_number(mode: str, own: bool) -> None:
    """Also in the strip where variance + eps is still positive, and torch would go on: there nothing is normalized any more."""
    problem = images()
    model = problem.model
    if own:
        model.bn = Own(4)
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.conv.weight.copy_(Images().conv.weight)
        model.bn.running_var.copy_(torch.tensor([1.0, 1.0, 1.0, 1e-3]))
        other.bn.running_var.copy_(torch.tensor([1.0, 2.0, 0.5, 0.0]))
    model.bn.eps = 1e-2
    first, second = weights.read(model), weights.read(other)
    space = Subspace(first, (between(first, second, model, weights.parameter_names(model)),))
    engine = Engine(batch_size=8, bn="interpolated", mode=mode, points_per_pass=2)
    objective = Objective(problem, space, [choose(problem.examples("train"), None, 0, False)], engine)
    places = (-1.0, 0.0, 1.0, 1.5, 0.5)  # at 1.5 the last variance is -5e-4, and -5e-4 + 1e-2 positive
    values = [found.estimates["train_loss"].value for found in objective.measure_all([(place,) for place in places])]
    assert np.isfinite(values).tolist() == [True, True, True, False, True]
    end = copy.deepcopy(other).eval()
    end.bn.eps = 1e-2
    inputs, targets = problem.data["train"]
    with torch.no_grad():
        expected = float(nn.functional.cross_entropy(end(inputs), targets))
    assert values[2] == pytest.approx(expected, rel=1e-5)  # float32: a hundred operations, 6e-8 each
