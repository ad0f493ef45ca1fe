"""Layers as other libraries and torch.nn.utils store them: outputs last, weights in parts."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune


class Conv1D(nn.Module):
    """GPT-2's linear layer, written after the one of Hugging Face's transformers: its weight is `(n_in, nf)`."""

    def __init__(self, nf: int, nx: int) -> None:
        super().__init__()
        self.nf = nf
        self.weight = nn.Parameter(torch.randn(nx, nf))
        self.bias = nn.Parameter(torch.zeros(nf))

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.addmm(self.bias, inputs.reshape(-1, inputs.shape[-1]), self.weight).reshape(*inputs.shape[:-1], self.nf)


class Experts(nn.Module):
    """A stack of linear layers, one an expert, whose weights are `(n_experts, n_in, n_out)`."""

    def __init__(self, n_experts: int, n_in: int, n_out: int) -> None:
        super().__init__()
        self.up = nn.Parameter(torch.randn(n_experts, n_in, n_out))

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.einsum("bi,eio->beo", inputs, self.up)


class Squared(nn.Module):
    """A parametrization of one's own."""

    def forward(self, original: Tensor) -> Tensor:
        return original.square() + 0.1


def old_weight_norm(layer: nn.Module, name: str = "weight") -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return nn.utils.weight_norm(layer, name)


def pruned(layer: nn.Module, name: str = "weight") -> nn.Module:
    return prune.l1_unstructured(layer, name, 0.4)


def own(layer: nn.Module, name: str = "weight") -> nn.Module:
    return parametrize.register_parametrization(layer, name, Squared())


# Each way to store a weight in parts, and the parts.
STORED: dict[str, tuple[Callable[..., nn.Module], tuple[str, ...]]] = {
    "weight norm, hook": (old_weight_norm, ("weight_g", "weight_v")),
    "weight norm": (parametrizations.weight_norm, ("parametrizations.weight.original0", "parametrizations.weight.original1")),
    "spectral norm, hook": (nn.utils.spectral_norm, ("weight_orig",)),
    "spectral norm": (parametrizations.spectral_norm, ("parametrizations.weight.original",)),
    "pruned": (pruned, ("weight_orig",)),
    "own": (own, ("parametrizations.weight.original",)),
}


def stored(layer: nn.Module, way: str, name: str = "weight") -> nn.Module:
    """A copy of a plain layer that stores its weight in another way."""
    return STORED[way][0](copy.deepcopy(layer), name)
