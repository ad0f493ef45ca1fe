"""Examples: one split, in whatever form people hold it, read once and handed out unchanged."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from cases import integers, normal, seeded
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import landscape
from landscape import Problem
from landscape.errors import InputError
from landscape.problem import Examples
from landscape.problem.data import map_tensors

X, Y = normal(29, 3), integers(4, 29)


class Pairs(Dataset):
    """A map-style dataset of (image, label), labels as plain numbers."""

    def __init__(self) -> None:
        self.n_reads = 0

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        self.n_reads += 1
        return X[i], int(Y[i])


class Transition(NamedTuple):
    state: Tensor
    action: Tensor


class Transitions(Dataset):
    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, i: int) -> Transition:
        return Transition(X[i], Y[i])


class Stream(IterableDataset):
    def __iter__(self) -> Iterator[Any]:
        yield from zip(X.split(8), Y.split(8), strict=True)


SOURCES: dict[str, Any] = {
    "tuple": (X, Y),
    "arrays": (X.numpy(), Y.numpy()),
    "TensorDataset": TensorDataset(X, Y),
    "Dataset": Pairs(),
    "DataLoader": DataLoader(TensorDataset(X, Y), batch_size=8),  # 29 = 3 · 8 + 5: the last one is ragged
    "DataLoader of Dataset": DataLoader(Pairs(), batch_size=7),
    "iterable dataset": Stream(),
    "list of batches": [[X[:20], Y[:20]], [X[20:], Y[20:]]],
    "generator": ((X[i : i + 4], Y[i : i + 4]) for i in range(0, 29, 4)),
}


@pytest.mark.parametrize("name", SOURCES)
def test_every_form_gives_the_same_examples(name: str) -> None:
    examples = Examples.read("train", SOURCES[name])
    assert examples.size == 29
    assert isinstance(examples.tensors, tuple)
    assert torch.equal(examples.tensors[0], X)
    assert torch.equal(examples.tensors[1], Y)
    assert examples.sha256 == Examples.read("test", (X, Y)).sha256


def test_a_dataset_is_read_once() -> None:
    dataset = Pairs()
    Examples.read("train", dataset)
    assert dataset.n_reads == len(dataset)


class Doubled(TensorDataset):
    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        inputs, targets = super().__getitem__(index)
        return 2 * inputs, targets


def test_what_a_dataset_gives_counts_not_what_it_holds() -> None:
    assert torch.equal(Examples.read("train", Doubled(X, Y)).tensors[0], 2 * X)


def test_dicts_nests_and_single_tensors() -> None:
    assert torch.equal(Examples.read("train", X).tensors, X)
    nested = Examples.read("train", ({"a": X, "b": (Y, X)}, Y))
    assert nested.size == 29
    first = nested.batch(3, 5)
    assert torch.equal(first[0]["b"][1], X[3:5])
    rows = [{"a": X[i], "y": Y[i]} for i in range(29)]
    by_row = Examples.read("train", DataLoader(rows, batch_size=10))
    assert torch.equal(by_row.tensors["a"], X)


def test_batches_are_slices_in_order() -> None:
    examples = Examples.read("train", (X, Y))
    assert torch.equal(torch.cat([examples.batch(i, min(i + 4, 29))[0] for i in range(0, 29, 4)]), X)
    chosen = examples.select(np.array([5, 2]))
    assert torch.equal(chosen.tensors[1], Y[[5, 2]])
    assert examples.select(None) is examples


def test_the_digest_sees_values_order_type_and_place() -> None:
    digests = {
        Examples.read("train", source).sha256
        for source in [(X, Y), (X.flip(0), Y), (X.double(), Y), (X + 1e-6, Y), (X, Y.roll(1)), {"x": X, "y": Y}, (Y, X)]
    }
    assert len(digests) == 7


@pytest.mark.parametrize("shuffle", [False, True])
def test_reading_a_loader_draws_nothing_from_the_users_generator(shuffle: bool) -> None:
    torch.manual_seed(3)
    before, python, numpy = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    first = Examples.read("train", DataLoader(TensorDataset(X, Y), batch_size=4, shuffle=shuffle))
    assert torch.equal(torch.get_rng_state(), before)
    assert random.getstate() == python
    assert (np.random.get_state()[1] == numpy).all()
    assert sorted(first.tensors[0][:, 0].tolist()) == sorted(X[:, 0].tolist())


def test_map_tensors_keeps_the_structure() -> None:
    assert map_tensors(lambda t: t + 1, {"a": (torch.tensor(1), torch.tensor(2))}) == {"a": (torch.tensor(2), torch.tensor(3))}


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ((), "is empty"),
        ([], "is empty"),
        (torch.zeros(0, 3), "is empty"),
        ((torch.zeros(0, 3), torch.zeros(0)), "is empty"),
        ({}, "is empty"),
        (TensorDataset(torch.zeros(0, 3)), "is empty"),
        (torch.tensor(3.0), "is empty"),
        ((X, Y[:5]), r"differ in length \(\[5, 29\]\)"),
        (3, "is a int"),
        ("data.npz", "is a str"),
        ([("a", "b")], "holds a str where a tensor"),
        ([(X[:3],), (X[:3, :2],)], "do not fit together"),
        ([(X[:3], Y[:3]), (X[:3],)], "do not fit together"),
        ([{"a": X}, {"b": X}], "do not fit together"),
    ],
)
def test_what_is_no_data_is_refused(source: Any, words: str) -> None:
    with pytest.raises(InputError, match=words) as raised:
        Examples.read("train", source)
    assert '"train"' in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("source", [[normal(9, 3), normal(9, 3, seed=1)], [normal(9, 3), integers(2, 9)], [np.ones((4, 2))] * 3])
def test_a_list_of_tensors_may_be_two_things_and_is_none(source: list[Any]) -> None:
    with pytest.raises(InputError, match=r'"train" is a list of tensors.* give a tuple'):
        Examples.read("train", source)
    assert Examples.read("train", tuple(source)).size == len(source[0])
    assert Examples.read("train", (part for part in source[:1])).size == len(source[0])


NAMED: dict[str, Any] = {
    "one": Transition(X, Y),
    "batches": [Transition(*part) for part in zip(X.split(8), Y.split(8), strict=True)],
    "items": Transitions(),
    "loader": DataLoader(Transitions(), batch_size=8),
    "inside a dict": [{"step": Transition(*part)} for part in zip(X.split(8), Y.split(8), strict=True)],
}


@pytest.mark.parametrize("engine", ["eager", "batched"])
@pytest.mark.parametrize("form", NAMED)
def test_named_tuples_stay_what_they_are(form: str, engine: str) -> None:
    """Losses read their fields by name, in the engine and in the self-check's own evaluation."""

    def loss(model: nn.Module, batch: Any) -> Tensor:
        step = batch["step"] if form == "inside a dict" else batch
        return cross_entropy(model(step.state), step.action, reduction="none")

    model = seeded(lambda: nn.Linear(3, 4))
    found = landscape.line(Problem(model, loss, {"train": NAMED[form]}), x=(0, 1, 2), batch_size=4, engine=engine, quiet=True)
    expected = cross_entropy(model(X), Y).item()
    assert found.values["train_loss"][0] == pytest.approx(expected, rel=1e-6)  # a sum of 29 float32 terms
    assert found.checks["passed"] == 1
