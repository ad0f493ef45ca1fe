"""The forms in which people hold their data, and how a loss function reads a batch of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from losses import Read
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset

BATCH = 4  # examples in a batch of data that come in batches


@dataclass(frozen=True)
class Examples:
    """The examples of one split, as tensors: inputs, a second input, targets, and the number of each example."""

    inputs: Tensor
    shift: Tensor
    targets: Tensor | None
    numbers: Tensor

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, chosen: Any) -> Examples:
        return Examples(
            self.inputs[chosen], self.shift[chosen], None if self.targets is None else self.targets[chosen], self.numbers[chosen]
        )

    def to(self, old: torch.dtype, new: torch.dtype) -> Examples:
        """The examples with what is of one type, or complex of that type, in another."""
        kin = {torch.float32: torch.complex64, torch.float64: torch.complex128}
        change = {old: new, **({kin[old]: kin[new]} if old in kin and new in kin else {})}

        def cast(tensor: Tensor | None) -> Any:
            return tensor if tensor is None else tensor.to(change.get(tensor.dtype, tensor.dtype))

        return replace(self, inputs=cast(self.inputs), shift=cast(self.shift), targets=cast(self.targets))


class Transition(NamedTuple):
    inputs: Tensor
    targets: Tensor
    numbers: Tensor


class Items(Dataset[Any]):
    """A map-style data set of items."""

    def __init__(self, examples: Examples, item: Callable[[Examples], Any]) -> None:
        self.examples, self.item = examples, item

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, i: int) -> Any:
        return self.item(self.examples[i])


@dataclass(frozen=True)
class Form:
    """A form of data.

    Attributes:
        batch: some examples -> one batch as the loss gets it.
        data: all examples -> what the user hands to `Problem`; by default one large batch.
        read: a batch -> the model's arguments and keywords, targets, numbers.
        criterion: whether its batches are (inputs, targets).
        shifted: whether the model gets the second input.
        numbered: whether a batch holds the examples' numbers.
    """

    batch: Callable[[Examples], Any]
    read: Read
    data: Callable[[Examples], Any] | None = None
    criterion: bool = True
    shifted: bool = False
    numbered: bool = False

    def of(self, examples: Examples) -> Any:
        return (self.data or self.batch)(examples)


def _pair(examples: Examples) -> Any:
    return examples.inputs, _or_numbers(examples)


def _or_numbers(examples: Examples) -> Tensor:
    return examples.numbers if examples.targets is None else examples.targets


def _cut(examples: Examples) -> list[Examples]:
    return [examples[start : start + BATCH] for start in range(0, len(examples), BATCH)]


def _plain_number(tensor: Tensor) -> Any:
    return tensor.item() if tensor.dim() == 0 and not tensor.is_floating_point() else tensor


def _dict(examples: Examples) -> dict[str, Any]:
    return {"input": examples.inputs, "target": _or_numbers(examples), "number": examples.numbers}


def _nested(examples: Examples) -> Any:
    return {"x": examples.inputs, "more": (examples.shift, {"number": examples.numbers})}, [_or_numbers(examples)]


def _one_by_one(examples: Examples) -> Iterable[Any]:
    return (_pair(part) for part in _cut(examples))


def _read_pair(batch: Any) -> Any:
    return (batch[0],), {}, batch[1], None


def _read_dict(batch: Any) -> Any:
    return (batch["input"],), {}, batch["target"], batch["number"]


FORMS: dict[str, Form] = {
    "tensors": Form(_pair, _read_pair),
    "arrays": Form(_pair, _read_pair, lambda e: (e.inputs.numpy(), _or_numbers(e).numpy())),
    "tensor dataset": Form(_pair, _read_pair, lambda e: TensorDataset(*_pair(e))),
    "dataset": Form(_pair, _read_pair, lambda e: Items(e, lambda one: (one.inputs, _plain_number(_or_numbers(one))))),
    "batches": Form(_pair, _read_pair, lambda e: [_pair(part) for part in _cut(e)]),
    "one-shot batches": Form(_pair, _read_pair, _one_by_one),
    "loader": Form(_pair, _read_pair, lambda e: DataLoader(TensorDataset(*_pair(e)), batch_size=BATCH)),
    "shuffled loader": Form(
        _pair, _read_pair, lambda e: DataLoader(TensorDataset(*_pair(e)), batch_size=BATCH, shuffle=True)
    ),
    "dataset of arrays": Form(_pair, _read_pair, lambda e: Items(e, lambda one: (one.inputs.numpy(), _or_numbers(one).numpy()))),
    "several inputs": Form(
        lambda e: ((e.inputs, e.shift), _or_numbers(e)), lambda batch: (tuple(batch[0]), {}, batch[1], None), shifted=True
    ),
    "keywords": Form(
        lambda e: ({"x": e.inputs, "shift": e.shift}, _or_numbers(e)), lambda batch: ((), batch[0], batch[1], None), shifted=True
    ),
    "dict": Form(_dict, _read_dict, criterion=False, numbered=True),
    "dict dataset": Form(_dict, _read_dict, lambda e: Items(e, _dict), criterion=False, numbered=True),
    "nested": Form(
        _nested,
        lambda batch: ((batch[0]["x"],), {"shift": batch[0]["more"][0]}, batch[1][0], batch[0]["more"][1]["number"]),
        lambda e: [_nested(part) for part in _cut(e)],
        criterion=False, shifted=True, numbered=True,
    ),
    "named tuples": Form(
        lambda e: Transition(e.inputs, _or_numbers(e), e.numbers),
        lambda batch: ((batch.inputs,), {}, batch.targets, batch.numbers),
        lambda e: [Transition(part.inputs, _or_numbers(part), part.numbers) for part in _cut(e)],
        criterion=False, numbered=True,
    ),
    "inputs alone": Form(lambda e: e.inputs, lambda batch: ((batch,), {}, None, None), criterion=False),
}  # fmt: skip
