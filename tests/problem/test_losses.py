"""Losses by example: the mean they give against torch's own reduction over all examples at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from cases import integers, normal
from torch import Tensor, nn

from landscape import Problem
from landscape.errors import InputError
from landscape.problem import PerExample, Sums

N = 29
DOUBLE = torch.float64


class Given(nn.Module):
    """A model whose output is its input."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs


def total(sums: Sums, name: str = "loss") -> float:
    above, below = sums[name]
    return float(above.double().sum() / (len(above) if below is None else below.double().sum()))


def in_batches(loss: PerExample, outputs: Tensor, targets: Any, size: int) -> dict[str, float]:
    """Σ sums / Σ weights over batches of some size, the last one ragged."""
    above: dict[str, float] = {}
    below: dict[str, float] = {}
    for start in range(0, N, size):
        stop = min(start + size, N)
        for name, (sums, weights) in loss(Given(), (outputs[start:stop], targets[start:stop]), stop - start).items():
            assert sums.shape == (stop - start,)
            above[name] = above.get(name, 0.0) + float(sums.double().sum())
            below[name] = below.get(name, 0.0) + (stop - start if weights is None else float(weights.double().sum()))
    return {name: above[name] / below[name] for name in above}


def void(targets: Tensor, index: int) -> Tensor:
    targets = targets.clone()
    targets.view(-1)[::3] = index
    targets[:4] = index  # the first examples have nothing that counts
    return targets


LOGITS, LABELS = normal(N, 5, dtype=DOUBLE), integers(5, N)
MAPS, PIXELS = normal(N, 5, 3, 2, dtype=DOUBLE), integers(5, N, 3, 2)
CLASSES = torch.tensor([0.1, 1.0, 2.0, 0.0, 5.0], dtype=DOUBLE)
LIKELY = normal(N, 5, seed=1, dtype=DOUBLE).softmax(1)
NUMBERS, WANTED = normal(N, 4, dtype=DOUBLE), normal(N, 4, seed=1, dtype=DOUBLE)
BITS = integers(2, N, 4, seed=2).double()

CRITERIA: dict[str, tuple[nn.Module, Tensor, Tensor]] = {
    "CrossEntropy": (nn.CrossEntropyLoss(), LOGITS, LABELS),
    "CrossEntropy, class weights": (nn.CrossEntropyLoss(weight=CLASSES), LOGITS, LABELS),
    "CrossEntropy, ignore_index": (nn.CrossEntropyLoss(ignore_index=2), LOGITS, void(LABELS, 2)),
    "CrossEntropy, default ignore_index": (nn.CrossEntropyLoss(), LOGITS, void(LABELS, -100)),
    "CrossEntropy, label smoothing": (nn.CrossEntropyLoss(label_smoothing=0.2), LOGITS, LABELS),
    "CrossEntropy, all of it": (nn.CrossEntropyLoss(CLASSES, ignore_index=9, label_smoothing=0.2), LOGITS, void(LABELS, 9)),
    "CrossEntropy, probabilities": (nn.CrossEntropyLoss(), LOGITS, LIKELY),
    "CrossEntropy, probabilities and class weights": (nn.CrossEntropyLoss(weight=CLASSES), LOGITS, LIKELY),
    "segmentation": (nn.CrossEntropyLoss(), MAPS, PIXELS),
    "segmentation, class weights": (nn.CrossEntropyLoss(weight=CLASSES), MAPS, PIXELS),
    "segmentation, all of it": (nn.CrossEntropyLoss(CLASSES, ignore_index=255, label_smoothing=0.1), MAPS, void(PIXELS, 255)),
    "segmentation, probabilities": (nn.CrossEntropyLoss(), MAPS, MAPS.flip(0).softmax(1)),
    "NLL": (nn.NLLLoss(weight=CLASSES, ignore_index=9), LOGITS.log_softmax(1), void(LABELS, 9)),
    "NLL, segmentation": (nn.NLLLoss(ignore_index=9), MAPS.log_softmax(1), void(PIXELS, 9)),
    "MSE": (nn.MSELoss(), NUMBERS, WANTED),
    "MSE, one number": (nn.MSELoss(), NUMBERS[:, 0], WANTED[:, 0]),
    "L1": (nn.L1Loss(), MAPS, MAPS.flip(0)),
    "Huber": (nn.HuberLoss(delta=0.3), NUMBERS, WANTED),
    "BCEWithLogits": (nn.BCEWithLogitsLoss(pos_weight=CLASSES[1:]), NUMBERS, BITS),
    "BCE": (nn.BCELoss(), NUMBERS.sigmoid(), BITS),
    "KLDiv, mean": (nn.KLDivLoss(), LOGITS.log_softmax(1), LIKELY),
    "KLDiv, batchmean": (nn.KLDivLoss(reduction="batchmean"), LOGITS.log_softmax(1), LIKELY),
    "PoissonNLL": (nn.PoissonNLLLoss(), NUMBERS, integers(6, N, 4).double()),
    "MultiMargin": (nn.MultiMarginLoss(), LOGITS, LABELS),
    "MultiLabelSoftMargin": (nn.MultiLabelSoftMarginLoss(), NUMBERS, BITS),
}


@pytest.mark.filterwarnings("ignore:reduction")  # torch on KLDiv's own mean
@pytest.mark.parametrize("size", [1, 7, N])
@pytest.mark.parametrize("name", CRITERIA)
def test_the_mean_is_the_criterions_own_over_all_examples(name: str, size: int) -> None:
    criterion, outputs, targets = CRITERIA[name]
    found = in_batches(PerExample(criterion), outputs, targets, size)["loss"]
    # float64 sums of 29 examples in another order: 29 · 1e-16, times 2 for numerator and denominator.
    assert found == pytest.approx(float(criterion(outputs, targets)), rel=1e-14)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_the_reduction_is_taken_over_and_the_criterion_left_alone(reduction: str) -> None:
    criterion = nn.MSELoss(reduction=reduction)
    found = total(PerExample(criterion)(Given(), (NUMBERS, WANTED), N))
    mean = float(F.mse_loss(NUMBERS, WANTED))
    assert found == pytest.approx(4 * mean if reduction == "sum" else mean, rel=1e-14)  # a sum over entries is a mean over examples
    assert criterion.reduction == reduction


@pytest.mark.parametrize(
    "name", ["CrossEntropy", "CrossEntropy, ignore_index", "CrossEntropy, all of it", "segmentation, all of it", "NLL"]
)
@pytest.mark.parametrize("size", [1, 7, N])
def test_accuracy_is_the_share_of_what_counts(name: str, size: int) -> None:
    criterion, outputs, targets = CRITERIA[name]
    kept = right = 0
    for guess, wanted in zip(outputs.argmax(1).flatten().tolist(), targets.flatten().tolist(), strict=True):
        if wanted != criterion.ignore_index:
            kept += 1
            right += guess == wanted
    assert in_batches(PerExample(criterion), outputs, targets, size)["accuracy"] == right / kept


@pytest.mark.filterwarnings("ignore:reduction")
@pytest.mark.parametrize("name", CRITERIA)
def test_a_loss_that_was_told_its_examples_gives_the_same(name: str) -> None:
    criterion, outputs, targets = CRITERIA[name]
    told = PerExample(criterion).settled([(outputs, targets)])
    assert in_batches(told, outputs, targets, 7) == in_batches(PerExample(criterion), outputs, targets, 7)


@pytest.mark.parametrize("name", ["MSE", "BCEWithLogits", "CrossEntropy, probabilities"])
def test_no_accuracy_without_classes(name: str) -> None:
    criterion, outputs, targets = CRITERIA[name]
    assert set(PerExample(criterion)(Given(), (outputs, targets), N)) == {"loss"}


def test_inputs_are_spread_over_arguments_and_keywords() -> None:
    class Difference(nn.Module):
        def forward(self, minus: Tensor, plus: Tensor) -> Tensor:
            return plus - minus

    loss = PerExample(nn.MSELoss())
    expected = pytest.approx(float(((NUMBERS - WANTED) ** 2).mean()))
    assert total(loss(Difference(), ((WANTED, NUMBERS), torch.zeros(N, 4, dtype=DOUBLE)), N)) == expected
    assert total(loss(Difference(), ({"plus": NUMBERS, "minus": WANTED}, torch.zeros(N, 4, dtype=DOUBLE)), N)) == expected


def test_functions_give_tensors_dicts_or_pairs() -> None:
    values, weights = normal(N), torch.rand(N)
    assert total(PerExample(lambda model, batch: values)(Given(), None, N)) == pytest.approx(float(values.double().mean()))
    several = PerExample(lambda model, batch: {"loss": (values, weights), "size": weights})(Given(), None, N)
    assert total(several) == pytest.approx(float(values.double().sum() / weights.double().sum()))
    assert several["size"][1] is None


def test_units() -> None:
    def words(model: nn.Module, batch: Any) -> Tensor:
        return torch.zeros(1)

    assert PerExample(nn.CrossEntropyLoss()).unit("loss") == "nat"
    assert PerExample(nn.CrossEntropyLoss()).unit("accuracy") == "fraction"
    assert PerExample(nn.MSELoss()).unit("loss") == ""
    assert PerExample(words).unit("loss") == ""
    words.units = {"loss": "bit"}
    assert PerExample(words).unit("loss") == "bit"


def test_a_private_copy_goes_to_device_and_type() -> None:
    criterion = nn.CrossEntropyLoss(weight=torch.ones(5))
    moved = PerExample(criterion).to(torch.device("cpu"), torch.float64)
    assert total(moved(Given(), (LOGITS, LABELS), N)) > 0  # float64 outputs want float64 class weights
    assert criterion.weight.dtype == torch.float32


def test_a_scalar_passes_when_it_is_said_and_stands_for_its_batch() -> None:
    sums, weights = PerExample(lambda model, batch: torch.tensor(2.5), per_example=False)(Given(), None, 8)["loss"]
    assert (float(sums), float(weights)) == (20.0, 8.0)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda model, batch: torch.tensor(1.0), "returned a scalar as loss; return one loss per example"),
        (lambda model, batch: 1.0, "returned a float as loss"),
        (lambda model, batch: torch.zeros(N, 2), r"of shape \(29, 2\) for 29 examples"),
        (lambda model, batch: torch.zeros(N - 1), r"of shape \(28,\) for 29 examples"),
        (lambda model, batch: {"nll": torch.zeros(N)}, r"without the key \"loss\", only \['nll'\]"),
        (lambda model, batch: {"loss": torch.zeros(N), "top5": torch.tensor(1.0)}, "a scalar as top5"),
        (lambda model, batch: (torch.zeros(N), torch.tensor(3.0)), "a scalar as loss"),
        (lambda model, batch: {"loss": torch.zeros(N), "ce/aux": torch.zeros(N)}, '"ce/aux"'),
    ],
)
def test_what_is_no_loss_by_example_is_refused(function: Callable[..., Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        PerExample(function)(Given(), None, N)


def test_other_refusals() -> None:
    with pytest.raises(InputError, match="the loss is a int"):
        PerExample(3)
    criterion = PerExample(nn.CrossEntropyLoss())
    for batch in (LOGITS, (LOGITS,), (LOGITS, LABELS, LABELS), {"x": LOGITS}):
        with pytest.raises(InputError, match=r"batches \(inputs, targets\)"):
            criterion(Given(), batch, N)
    with pytest.raises(InputError, match="returns a tuple, a criterion wants a tensor"):
        criterion(nn.LSTM(5, 5), (LOGITS.float(), LABELS), N)


class Owner:
    """An object with much in it, of which a method is the loss."""

    def __init__(self) -> None:
        self.copies = 0

    def __deepcopy__(self, memo: object) -> Owner:
        self.copies += 1
        return self

    def loss(self, model: nn.Module, batch: Tensor) -> Tensor:
        return model(batch)[:, 0]

    def __call__(self, model: nn.Module, batch: Tensor, factor: float = 1.0) -> Tensor:
        return factor * self.loss(model, batch)


@pytest.mark.parametrize("kind", ["method", "object", "partial"])
def test_what_is_no_module_is_called_as_it_is(kind: str) -> None:
    owner = Owner()
    loss = {"method": owner.loss, "object": owner, "partial": partial(owner, factor=1.0)}[kind]
    problem = Problem(Given(), loss, {"train": normal(N, 3)})
    moved = problem.loss.to(torch.device("cpu"), DOUBLE)
    assert owner.copies == 0
    assert moved is not problem.loss
    assert total(moved(Given(), problem.data["train"], N)) == pytest.approx(float(problem.data["train"][:, 0].mean()), rel=1e-6)


def test_a_module_that_is_the_loss_is_copied_to_where_it_computes() -> None:
    class Weighted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("weight", torch.tensor(3.0))

        def forward(self, model: nn.Module, batch: Tensor) -> Tensor:
            return self.weight * model(batch)[:, 0]

    loss = Weighted()
    moved = PerExample(loss).to(torch.device("cpu"), DOUBLE)
    assert moved.function.weight.dtype == DOUBLE
    assert loss.weight.dtype == torch.float32
