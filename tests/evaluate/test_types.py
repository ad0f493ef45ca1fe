"""Types are the user's: what `--precision` does not name keeps its own, and a model that wants another layout gets it (T5, T6, T24)."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from cases import integers, normal, seeded
from torch import Tensor, nn

import landscape
from landscape import Problem, Surface

Batch = tuple[Tensor, Tensor]
FAR = 1_700_000_000.0  # seconds: float32 knows them to 128


def plane(problem: Problem, **options: Any) -> Surface:
    return landscape.surface(problem, **{"x": (-1, 1, 3), "y": (-1, 1, 3), "quiet": True, **options})


class Clock(nn.Module):
    """Reads times of day from time stamps in float64, and goes on in float32."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 2)

    def forward(self, stamps: Tensor) -> Tensor:
        angle = (stamps % 86_400.0) * (2 * torch.pi / 86_400)
        outputs: Tensor = self.linear(torch.stack([angle.sin(), angle.cos()], 1).float())
        return outputs


class Calendar(nn.Module):
    """Keeps an origin of time in a buffer of float64."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 8)
        self.head = nn.Linear(8, 2)
        self.register_buffer("start", torch.tensor(FAR + 0.25, dtype=torch.float64))

    def forward(self, stamps: Tensor) -> Tensor:
        outputs: Tensor = self.head(torch.tanh(self.linear(((stamps - self.start) / 40).float()[:, None])))
        return outputs


class Scale(nn.Module):
    """A parameter in float64 beside others in float32."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 8)
        self.head = nn.Linear(8, 2)
        self.start = nn.Parameter(torch.tensor(FAR + 0.25, dtype=torch.float64), requires_grad=False)

    def forward(self, stamps: Tensor) -> Tensor:
        outputs: Tensor = self.head(torch.tanh(self.linear(((stamps - self.start) / 40).float()[:, None])))
        return outputs


STAMPS = FAR + 40 * normal(29, dtype=torch.float64)


@pytest.mark.parametrize("kind", [Clock, Calendar, Scale])
@pytest.mark.parametrize("memory", ["80%", 1])  # resident, streamed
def test_float64_beside_float32_is_not_rounded(kind: type[nn.Module], memory: Any) -> None:
    problem = Problem(seeded(kind), nn.CrossEntropyLoss(), {"train": (STAMPS, integers(2, 29))})
    surface = plane(problem, memory=memory)
    own = F.cross_entropy(problem.model(STAMPS), problem.data["train"][1]).item()
    assert surface.values["train_loss"][1, 1] == pytest.approx(own, rel=1e-6)
    rounded = F.cross_entropy(problem.model(STAMPS.float().double()), problem.data["train"][1]).item()
    assert rounded != pytest.approx(own, rel=1e-4)  # what rounding the stamps would have done
    assert surface.checks["passed"] == 1


def test_a_dict_of_types_and_integers_reach_the_loss_as_they_are() -> None:
    seen: dict[str, set[torch.dtype]] = {}

    def loss(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        for name, tensor in batch.items():
            seen.setdefault(name, set()).add(tensor.dtype)
        return model(batch["single"]).square().sum(1)

    kinds = {"single": torch.float32, "double": torch.float64, "half": torch.float16, "brain": torch.bfloat16, "bytes": torch.uint8,
             "long": torch.int64, "flags": torch.bool, "complex": torch.complex64, "wide": torch.complex128}  # fmt: skip
    data = {name: normal(9, 3).to(kind) for name, kind in kinds.items()}
    plane(Problem(seeded(lambda: nn.Linear(3, 2)), loss, {"train": data}))
    assert seen == {name: {kind} for name, kind in kinds.items()}
    seen.clear()
    plane(
        Problem(seeded(lambda: nn.Linear(3, 2)), loss, {"train": data}), precision="fp64"
    )  # the engine; the check keeps the user's
    assert seen["single"] == {torch.float32, torch.float64}
    assert seen["complex"] == {torch.complex64, torch.complex128}
    assert all(seen[name] == {kinds[name]} for name in kinds if name not in ("single", "complex"))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_models_in_half_types_are_computed_in_float32(kind: torch.dtype) -> None:
    model = seeded(lambda: nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))).to(kind)
    inputs, targets = normal(9, 3).to(kind), integers(2, 9)
    surface = plane(Problem(model, nn.CrossEntropyLoss(), {"train": (inputs, targets)}))
    own = F.cross_entropy(copy.deepcopy(model).float()(inputs.float()), targets).item()
    assert surface.values["train_loss"][1, 1] == pytest.approx(own, rel=1e-6)


@pytest.mark.parametrize(
    "layer", [lambda: nn.Linear(3, 2), lambda: nn.Sequential(nn.Unflatten(1, (1, 3)), nn.Conv1d(1, 2, 2), nn.Flatten())]
)
@pytest.mark.parametrize("kind", ["criterion", "function"])
def test_arrays_in_float64_for_a_model_in_float32_are_told(layer: Any, kind: str) -> None:
    targets = torch.zeros(9, seeded(layer)(normal(1, 3)).shape[1])
    loss = nn.MSELoss() if kind == "criterion" else lambda model, batch: (model(batch[0]) - batch[1]).square().sum(1)
    problem = Problem(seeded(layer), loss, {"train": (normal(9, 3, dtype=torch.float64), targets)})
    with pytest.raises(landscape.RunError, match="the data hold float64, the model float32: convert the data"):
        plane(problem)


# --- images whose layout matters (T24) ---


class Tutorial(nn.Module):
    """The convolutional net of tutorials, which lays its features out by `view`."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(2, 4, 3)
        self.head = nn.Linear(4 * 3 * 3, 3)
        self.way = way

    def forward(self, images: Tensor) -> Tensor:
        features = F.max_pool2d(F.relu(self.convolution(images)), 2)
        if self.way == "columns":
            features = features.view(-1, 36)
        elif self.way == "rows":
            features = features.view(features.size(0), -1)
        else:
            features = torch.as_strided(features, (len(features), 36), (36, 1)) if features.is_contiguous() else features.view(-1)
        outputs: Tensor = self.head(features)
        return outputs


@pytest.mark.parametrize("engine", [None, "eager", "batched"])
@pytest.mark.parametrize("way", ["columns", "rows", "strides"])
def test_a_view_after_a_convolution_gets_the_plain_layout(way: str, engine: str | None) -> None:
    if (way, engine) == ("strides", "batched"):
        pytest.skip("vmap has no as_strided of this kind")
    inputs, targets = normal(29, 2, 8, 8), integers(3, 29)
    problem = Problem(seeded(lambda: Tutorial(way)), nn.CrossEntropyLoss(), {"train": (inputs, targets)})
    surface = plane(problem, engine=engine)
    own = F.cross_entropy(problem.model(inputs), targets).item()
    assert surface.values["train_loss"][1, 1] == pytest.approx(own, rel=1e-6)
    assert surface.runs[0]["channels_last"] == 0
    assert surface.checks["passed"] == 1
    assert np.isfinite(surface.values["train_loss"]).all()
