"""What the engine asks a private copy of a model: the largest activation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from landscape.evaluate.model_copy import largest_activation
from landscape.problem import PerExample


class Nested(nn.Module):
    """Gives its hidden values in a container, and little besides."""

    def __init__(self, container: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.container = container

    def forward(self, inputs: Tensor) -> Any:
        return self.container(inputs.repeat(1, 50))


@dataclass
class Output:
    """What some libraries' models return."""

    hidden: tuple[Tensor, ...]
    name: str = "hidden"


CONTAINERS: dict[str, Callable[[Tensor], Any]] = {
    "tensor": lambda hidden: hidden,
    "tuple": lambda hidden: (None, hidden),
    "list in a mapping": lambda hidden: {"hidden": [hidden], "n": 3},
    "data class": lambda hidden: Output((hidden,)),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_the_largest_activation_is_found_in_whatever_a_layer_returns(name: str) -> None:
    def loss(model: nn.Module, batch: Tensor) -> Tensor:
        model(batch)
        return batch[:, 0]

    assert largest_activation(Nested(CONTAINERS[name]), PerExample(loss), torch.ones(2, 4), 2) == 200


def test_the_largest_activation_of_recurrent_layers_and_attention() -> None:
    """An LSTM gives 7 steps of 5 numbers; attention 7 queries of 4, and 7 × 7 weights."""
    tokens = torch.ones(2, 7, 4)
    model = nn.ModuleDict({"lstm": nn.LSTM(4, 5, batch_first=True), "attention": nn.MultiheadAttention(4, 2, batch_first=True)})
    for name, largest in (("lstm", 35), ("attention", 49)):

        def loss(model: nn.ModuleDict, batch: Tensor, name: str = name) -> Tensor:
            outputs = model[name](*[batch] * (3 if name == "attention" else 1))
            return outputs[0].mean(dim=(1, 2))

        assert largest_activation(model, PerExample(loss), tokens, 2) == largest
