"""Memory: tensors of one model that lie in one place are found, and parts of one block are not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from cases import integers, normal, seeded
from torch import Tensor, nn

import landscape
from landscape import Problem
from landscape.core.shared_memory import shared_memory
from landscape.errors import InputError


class Holding(nn.Module):
    """A model with some parameters and buffers in front of a layer."""

    def __init__(self, parameters: dict[str, Tensor], buffers: dict[str, Tensor] | None = None) -> None:
        super().__init__()
        self.head = nn.Linear(4, 3)
        for name, tensor in parameters.items():
            setattr(self, name, nn.Parameter(tensor))
        for name, tensor in (buffers or {}).items():
            self.register_buffer(name, tensor)

    def forward(self, inputs: Tensor) -> Tensor:
        shifted = inputs + sum(t.sum() for name, t in self.named_parameters() if "head" not in name)
        return self.head(shifted)


def tied_by_data() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4), nn.Linear(4, 3))
    model[2].weight.data = model[0].weight.data
    return model


def tied() -> nn.Module:
    model = tied_by_data()
    model[2].weight = model[0].weight
    return model


def transposed() -> nn.Module:
    weight = normal(4, 4)
    return Holding({"a": weight, "b": weight.t()})


def holding(cut: Callable[[Tensor], tuple[Tensor, Tensor]]) -> Callable[[], nn.Module]:
    return lambda: Holding(dict(zip("ab", cut(normal(5, 4)), strict=True)))


def of_a_buffer() -> nn.Module:
    weight = normal(2, 4)
    return Holding({"a": weight}, {"b": weight[1]})


SHARED = {
    "tied by .data": (tied_by_data, ("0.weight", "2.weight")),
    "transposed": (transposed, ("a", "b")),
    "rows that overlap": (holding(lambda t: (t[:3], t[2:])), ("a", "b")),
    "columns that overlap": (holding(lambda t: (t[:, :3], t[:, 2:])), ("a", "b")),
    "of another type": (holding(lambda t: (t, t.view(torch.complex64))), ("a", "b")),
    "one inside the other": (holding(lambda t: (t[3], t)), ("a", "b")),
    "a buffer": (of_a_buffer, ("a", "b")),
}
APART = {
    "tied": tied,
    "rows of one block": holding(lambda t: (t[:3], t[3:])),
    "columns of one block": holding(lambda t: (t[:, :2], t[:, 2:])),
    "every other row": holding(lambda t: (t[::2], t[1::2])),
    "no entries": holding(lambda t: (t[:0], t[0:0])),
    "two buffers": lambda: Holding({}, {"a": torch.arange(3), "b": torch.arange(3).expand(2, 3)}),
    "an expanded axis of one": lambda: Holding({"a": normal(1, 4).expand(1, 4)}),
}


def problem(model: nn.Module) -> Problem:
    return Problem(model, nn.CrossEntropyLoss(), {"train": (normal(9, 4), integers(3, 9))})


@pytest.mark.parametrize("name", SHARED)
def test_tensors_in_one_memory_are_refused_by_name(name: str) -> None:
    make, pair = SHARED[name]
    model = seeded(make)
    assert shared_memory(model) == pair
    assert shared_memory(nn.DataParallel(model)) == pair
    with pytest.raises(InputError, match=f"{pair[0]} and {pair[1]} lie in one memory"):
        problem(model)


@pytest.mark.parametrize("name", APART)
def test_tensors_that_lie_apart_are_taken(name: str) -> None:
    model = seeded(APART[name])
    assert shared_memory(model) is None
    assert landscape.line(problem(model), x=(0, 1, 2), quiet=True).checks["passed"] == 1


def test_an_expanded_parameter_is_refused() -> None:
    model = Holding({"a": normal(1, 4).expand(3, 4)})
    with pytest.raises(InputError, match="parameter a has several entries in one place"):
        problem(model)


def test_parts_of_one_large_block_are_told_apart_at_once() -> None:
    block = torch.zeros(4000)
    model = nn.ParameterList([nn.Parameter(part) for part in block.split(2)])  # 2 million pairs
    assert shared_memory(model) is None
    model.append(nn.Parameter(block[3999:]))
    assert shared_memory(model) == ("1999", "2000")


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
def test_tensors_without_a_block_share_none() -> None:
    with torch.device("meta"):
        meta = nn.Linear(2, 2)
    sparse = Holding({}, {"a": torch.eye(3).to_sparse(), "b": torch.eye(3).to_sparse_csr()})
    assert shared_memory(meta) is None
    assert shared_memory(sparse) is None
