"""Modules: which layer a stored tensor belongs to, where weights are stored in parts."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn
from torch.nn.utils.parametrize import ParametrizationList
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

__all__ = ["effective_name"]


def effective_name(modules: Mapping[str, nn.Module], name: str) -> str:
    """The name of the tensor that a layer computes with, of which the tensor `name` is stored as a part.

    Under torch.nn.utils' weight norm, spectral norm, parametrizations and pruning, `layer.weight` is computed from
    `layer.weight_g` and `layer.weight_v`, from `layer.weight_orig`, or from `layer.parametrizations.weight.original`; any other
    tensor is stored as it is.

    Args:
        modules: a model's modules by name, as `named_modules` gives them.
        name: of a parameter or buffer.
    """
    prefix, _, leaf = name.rpartition(".")
    owner = modules[prefix]
    if isinstance(owner, ParametrizationList) and leaf.startswith("original"):
        lists, _, tensor = prefix.rpartition(".")
        return effective_name(modules, _joined(lists.rpartition(".")[0], tensor))
    for hook in owner._forward_pre_hooks.values():
        tensor, parts = _parts(hook)
        if leaf in parts:
            return effective_name(modules, _joined(prefix, tensor))
    return name


def _joined(prefix: str, leaf: str) -> str:
    return f"{prefix}.{leaf}" if prefix else leaf


def _parts(hook: object) -> tuple[str, tuple[str, ...]]:
    """The tensor that a hook of torch.nn.utils computes before each forward, and the parameters it is computed from."""
    if isinstance(hook, WeightNorm):
        return hook.name, (f"{hook.name}_g", f"{hook.name}_v")
    if isinstance(hook, SpectralNorm):
        return hook.name, (f"{hook.name}_orig",)
    if isinstance(hook, BasePruningMethod):
        return hook._tensor_name, (f"{hook._tensor_name}_orig",)
    return "", ()
