"""What a loss returns batch by batch becomes one value: sums over weights, the same metrics every time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from cases import integers, normal, seeded
from test_engine import objective, still
from torch import Tensor, nn

from landscape import Problem
from landscape.errors import InputError, UserCodeError

N, BATCH = 29, 8  # batches of 8, 8, 8 and 5


# --- losses of whole batches, with weights of their own ---


def tokens() -> dict[str, Tensor]:
    """Labels of which some do not count; none of the second batch does."""
    labels = integers(3, N, 6, seed=1)
    labels[torch.rand(N, 6, generator=torch.Generator().manual_seed(2)) < 0.4] = -100
    labels[BATCH : 2 * BATCH] = -100
    return {"inputs": normal(N, 6, 4), "labels": labels}


def parts(model: nn.Module, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """The sum of a batch's losses, how many there are, and how many labels are right."""
    logits, labels = model(batch["inputs"]).transpose(1, 2), batch["labels"]
    total = F.cross_entropy(logits, labels, reduction="sum")
    return total, (labels >= 0).sum(), (logits.argmax(dim=1) == labels).sum()


def bare(model: nn.Module, batch: Any) -> Any:
    return parts(model, batch)[:2]


def all_weighted(model: nn.Module, batch: Any) -> Any:
    total, count, right = parts(model, batch)
    return {"loss": (total, count), "accuracy": (right, count)}


def some_weighted(model: nn.Module, batch: Any) -> Any:
    total, count, right = parts(model, batch)
    return {"loss": (total, count), "right": right.double()}


def weighted_second(model: nn.Module, batch: Any) -> Any:
    total, count, right = parts(model, batch)
    return {"right": right.double(), "loss": (total, count)}


def by_example_beside(model: nn.Module, batch: Any) -> Any:
    total, count, right = parts(model, batch)
    return {"loss": (total, count), "right": right.double(), "size": batch["inputs"].square().sum(dim=(1, 2))}


LOSSES: tuple[Callable[[nn.Module, Any], Any], ...] = (bare, all_weighted, some_weighted, weighted_second, by_example_beside)


def written_out(problem: Problem, loss: Callable[..., Any]) -> dict[str, float]:
    """Σ sums / Σ weights, a plain scalar being the mean of its batch's examples."""
    above: dict[str, float] = {}
    below: dict[str, float] = {}
    examples = problem.examples("train")
    problem.model.requires_grad_(False)
    for start in range(0, N, BATCH):
        size = min(BATCH, N - start)
        found = loss(problem.model, examples.batch(start, start + size))
        for name, item in (found if isinstance(found, dict) else {"loss": found}).items():
            pair = item if isinstance(item, tuple) else (item * size, size) if item.dim() == 0 else (item.sum(), size)
            above[name] = above.get(name, 0.0) + float(pair[0])
            below[name] = below.get(name, 0.0) + float(pair[1])
    return {name: above[name] / below[name] for name in above}


@pytest.mark.parametrize("mode", ["eager", "batched"])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_whole_batch_has_the_weight_it_says(loss: Callable[..., Any], mode: str) -> None:
    model = seeded(lambda: nn.Linear(4, 3)).double()
    data = {"inputs": tokens()["inputs"].double(), "labels": tokens()["labels"]}
    problem = Problem(model, loss, {"train": data}, per_example=False)
    expected = written_out(problem, loss)
    engine = objective(problem, still(problem), batch_size=BATCH, mode=mode, points_per_pass=2)
    for _ in range(2):  # what the point before left behind does not count
        (found,) = engine.measure_all([(0.0,)])
        assert found.estimates.keys() == {f"train_{name}" for name in expected}
        for name, value in expected.items():
            # float64, some 29 terms: a few times 1e-16 relative.
            assert found.estimates[f"train_{name}"].value == pytest.approx(value, rel=1e-13), name
            assert math.isnan(found.estimates[f"train_{name}"].stderr)


@pytest.mark.parametrize(
    "item",
    [
        lambda n: (torch.ones(n), torch.tensor(3.0)),
        lambda n: (torch.tensor(3.0), torch.ones(n)),
    ],
)
def test_sums_by_example_with_the_weight_of_a_batch_mean_nothing(item: Callable[[int], Any]) -> None:
    problem = Problem(nn.Linear(4, 3), lambda model, batch: item(len(batch)), {"train": normal(N, 4)}, per_example=False)
    with pytest.raises(InputError, match=r"sums .* and weights"):
        objective(problem, still(problem), batch_size=BATCH)((0.0,))


def test_a_batch_may_give_its_examples_and_another_only_their_mean() -> None:
    """A last batch of one example is often squeezed to a scalar, or not."""
    losses = normal(17, dtype=torch.float64)

    def loss(model: nn.Module, batch: Tensor) -> Tensor:
        return batch[:, 0] if len(batch) > 1 else batch[0, 0]

    problem = Problem(nn.Linear(1, 1), loss, {"train": losses[:, None]}, per_example=False)
    engine = objective(problem, still(problem), batch_size=BATCH)
    for _ in range(2):
        # 17 numbers of size 1 in float64
        assert engine((0.0,)).estimates["train_loss"].value == pytest.approx(float(losses.mean()), abs=1e-14)


# --- metrics that come and go ---


class Returns:
    """A loss that returns a second metric in some batches only: those whose number is in `numbers`."""

    def __init__(self, *numbers: int) -> None:
        self.numbers = numbers
        self.counter = itertools.count()

    def __deepcopy__(self, memo: dict[int, Any]) -> Returns:
        return self

    def __call__(self, model: nn.Module, batch: Tensor) -> dict[str, Tensor]:
        losses = model(batch)[:, 0] ** 2
        return {"loss": losses, "extra": losses + 1} if next(self.counter) in self.numbers else {"loss": losses}


@pytest.mark.parametrize("per_example", [True, False])
@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((0, 1), 'no "extra" .*examples 16 to 23 of train'),  # not in the third batch
        ((2,), '"extra" .*examples 16 to 23 of train'),  # in the third alone
        ((0, 1, 2, 3, 5, 6, 7), 'no "extra" .*examples 0 to 7 of train'),  # not in the first of the second point
        ((7,), '"extra" .*examples 24 to 28 of train'),  # in the last of the second point
    ],
)
def test_a_metric_that_comes_and_goes_is_an_error(numbers: tuple[int, ...], words: str, per_example: bool) -> None:
    problem = Problem(nn.Linear(4, 1), Returns(*numbers), {"train": normal(N, 4)}, per_example=per_example)
    engine = objective(problem, still(problem), batch_size=BATCH, precision="fp32")
    with pytest.raises(UserCodeError, match=words):
        [engine((0.0,)) for _ in range(2)]


def test_what_is_measured_follows_from_the_first_batch_at_the_origin() -> None:
    """So that every rank expects the same, whichever point it begins with."""

    for mode, n_calls in (("eager", 1), ("batched", 2)):  # the batched engine tries both ways
        problem = Problem(nn.Linear(4, 1), Returns(*range(n_calls, 99)), {"train": normal(N, 4)})
        engine = objective(problem, still(problem), batch_size=BATCH, mode=mode, precision="fp32")
        engine.trial()
        with pytest.raises(UserCodeError, match=r'"extra" .*examples 0 to 7 of train'):
            engine.measure_all([(0.5,)])


def test_a_weight_that_comes_later_is_one_where_it_was_not_given() -> None:
    losses = normal(16, dtype=torch.float64)

    def loss(model: nn.Module, batch: Tensor) -> Any:
        weights = batch[:, 1]
        return (batch[:, 0], weights) if bool((weights != 1).any()) else batch[:, 0]

    weights = torch.cat([torch.ones(BATCH), torch.full((BATCH,), 3.0)]).double()
    for order in ([0, 1], [1, 0]):
        index = torch.arange(16).view(2, BATCH)[order].flatten()
        data = torch.stack([losses, weights], dim=1)[index]
        problem = Problem(nn.Linear(1, 1), loss, {"train": data})
        value = objective(problem, still(problem), batch_size=BATCH)((0.0,)).estimates["train_loss"].value
        assert value == pytest.approx(float(losses.sum() / weights.sum()), abs=1e-14)
