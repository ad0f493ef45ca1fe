"""Small problems that stand for the kinds people bring: a catalogue for every test that should hold for all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape import Problem
from landscape.core.weights import Weights
from landscape.evaluate import Sample
from landscape.problem import Examples
from landscape.reference import Reference

N_EXAMPLES = 29  # odd and prime, so that no batch size divides it


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def seeded(make: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    """A module whose parameters are drawn from `seed`, the global generator left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=dtype)


def integers(high: int, *shape: int, seed: int = 0) -> Tensor:
    return torch.randint(high, shape, generator=generator(seed))


def reference_loss(
    problem: Problem,
    weights: Weights,
    samples: Sequence[Sample],
    dtype: torch.dtype | None = None,
    calibration: Examples | None = None,
) -> dict[str, float]:
    """The metrics of some weights by the independent reference, `<split>_<metric>`."""
    splits = {sample.split: sample.examples.tensors for sample in samples}
    reference = Reference(problem, splits, None if calibration is None else calibration.tensors)
    return {f"{split}_{metric}": value for (split, metric), value in reference.of(weights, 7, dtype=dtype).values.items()}


# --- objectives with a closed form ---


class Coordinates(nn.Module):
    """A model that is nothing but its two weights, and a counter of its evaluations."""

    def __init__(self, *values: float, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(values or (0.0, 0.0), dtype=dtype))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.weight.expand(len(inputs), -1)


class Follow:
    """A loss `(n,)` that is one function of the two weights for all examples, and remembers where it was asked."""

    visited: list[tuple[float, ...]]

    def __init__(self, function: Callable[..., float]) -> None:
        self.function = function
        self.visited = []

    def __deepcopy__(self, memo: dict[int, Any]) -> Follow:
        return self  # the engine's private copy counts here too

    def __call__(self, model: nn.Module, batch: Tensor) -> Tensor:
        place = tuple(model.weight.tolist())
        self.visited.append(place)
        return torch.full((len(batch),), self.function(*place), dtype=torch.float64)


def coordinates(function: Callable[..., float], dtype: torch.dtype = torch.float64, n_examples: int = 5) -> tuple[Problem, Follow]:
    """A problem whose loss at weights (a, b) is `function(a, b)`, and its loss, which remembers where it was asked."""
    follow = Follow(function)
    return Problem(Coordinates(dtype=dtype), follow, {"train": torch.zeros(n_examples, 1)}, name="coordinates"), follow


# The corners of the plane in which the weights (a, b) are the coordinates themselves.
CORNERS: tuple[dict[str, Tensor], ...] = tuple(
    {"weight": torch.tensor(corner, dtype=torch.float64)} for corner in ([0.0, 0.0], [1.0, 0.0], [0.0, 1.0])
)


def corners(dtype: torch.dtype) -> Sequence[dict[str, Tensor]]:
    return [{name: tensor.to(dtype) for name, tensor in corner.items()} for corner in CORNERS]


# --- the catalogue ---


def perceptron(dtype: torch.dtype = torch.float32, **options: Any) -> Problem:
    """Smooth classification: cross-entropy of a tanh perceptron."""
    model = seeded(lambda: nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))).to(dtype)
    data = {"train": (normal(N_EXAMPLES, 4, dtype=dtype), integers(3, N_EXAMPLES))}
    data["test"] = (normal(11, 4, seed=5, dtype=dtype), integers(3, 11, seed=5))
    return Problem(model, nn.CrossEntropyLoss(**options), data, name="perceptron")


class Images(nn.Module):
    """Convolutions with batch norm whose running statistics have moved, and dropout that may only act in training."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(4)
        self.mix = nn.Conv2d(4, 4, 3, groups=2)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(4, 3)

    def forward(self, images: Tensor) -> Tensor:
        hidden = F.relu(self.mix(F.relu(self.bn(self.conv(images)))))
        logits: Tensor = self.head(self.drop(hidden.mean(dim=(2, 3))))
        return logits


def images(seed: int = 0) -> Problem:
    model = seeded(Images, seed)
    inputs = normal(N_EXAMPLES, 2, 6, 6, seed=1) * 2 + 1
    with torch.no_grad():
        model.train()
        for _ in range(3):
            model.bn(model.conv(inputs + seed))  # its counter and statistics are not the initial ones
        model.bn.weight.copy_(torch.tensor([0.5, 1.0, 1.5, 2.0]))
    return Problem(model, nn.CrossEntropyLoss(), {"train": (inputs, integers(3, N_EXAMPLES))}, name="images")


class Segmenter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(1, 4, 2, stride=2)
        self.norm = nn.GroupNorm(2, 4)
        self.up = nn.ConvTranspose2d(4, 4, 2, stride=2, groups=2)
        self.head = nn.Conv2d(4, 3, 1)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(torch.tanh(self.up(torch.tanh(self.norm(self.down(images))))))
        return logits


def segmentation() -> Problem:
    """A label for each pixel, some of them void, classes weighted: the mean is one of pixels' weights."""
    targets = integers(3, N_EXAMPLES, 4, 4, seed=2)
    targets[::3, :2] = 255
    loss = nn.CrossEntropyLoss(weight=torch.tensor([0.2, 1.0, 3.0]), ignore_index=255, label_smoothing=0.1)
    return Problem(seeded(Segmenter), loss, {"train": (normal(N_EXAMPLES, 1, 4, 4), targets)}, name="segmentation")


class Tagger(nn.Module):
    """Embedding, LSTM and GRU, with the output tied to the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 5)
        self.lstm = nn.LSTM(5, 4, batch_first=True)
        self.gru = nn.GRU(4, 5, batch_first=True)
        self.head = nn.Linear(5, 7, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.head(self.gru(self.lstm(self.embedding(tokens))[0])[0])
        return logits


def next_token(model: nn.Module, batch: dict[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    """Sums and weights by text: the tokens behind its length do not count."""
    tokens, keep = batch["tokens"], batch["keep"]
    losses = F.cross_entropy(model(tokens[:, :-1]).transpose(1, 2), tokens[:, 1:], reduction="none") * keep
    return {"loss": (losses.sum(dim=1), keep.sum(dim=1)), "length": (keep.sum(dim=1), torch.ones(len(keep)))}


def tokens() -> Problem:
    lengths = integers(6, N_EXAMPLES, seed=4)
    keep = (torch.arange(6) <= lengths[:, None]).float()
    data = {"train": {"tokens": integers(7, N_EXAMPLES, 7, seed=3), "keep": keep}}
    return Problem(seeded(Tagger), next_token, data, name="tokens")


class Attention(nn.Module):
    """Attention over a masked sequence; two inputs, two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True, kdim=3, vdim=3)
        self.norm = nn.LayerNorm(4)
        self.head = nn.Linear(4, 1)

    def forward(self, queries: Tensor, keys: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        found, weights = self.attention(queries, keys, keys, key_padding_mask=mask)
        return self.head(self.norm(found)).mean(dim=(1, 2)), weights


def squared_error(model: nn.Module, batch: tuple[tuple[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
    (queries, keys, mask), targets = batch
    return (model(queries, keys, mask)[0] - targets) ** 2


def attention() -> Problem:
    mask = torch.zeros(N_EXAMPLES, 5, dtype=torch.bool)
    mask[::2, 3:] = True
    inputs = (normal(N_EXAMPLES, 3, 4), normal(N_EXAMPLES, 5, 3, seed=1), mask)
    return Problem(seeded(Attention), squared_error, {"train": (inputs, normal(N_EXAMPLES, seed=2))}, name="attention")


def regression() -> Problem:
    """Linear regression in float64, whose loss along any direction is a parabola in closed form."""
    model = seeded(lambda: nn.Linear(3, 2)).double()
    inputs, targets = normal(N_EXAMPLES, 3, dtype=torch.float64), normal(N_EXAMPLES, 2, seed=1, dtype=torch.float64)
    return Problem(model, nn.MSELoss(), {"train": (inputs, targets)}, name="regression")


CATALOGUE: dict[str, Callable[[], Problem]] = {
    "attention": attention,
    "images": images,
    "perceptron": perceptron,
    "regression": regression,
    "segmentation": segmentation,
    "tokens": tokens,
}
