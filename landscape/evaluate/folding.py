"""Batch normalization folded into the convolutions before it, where it stands still."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from landscape.core.modules import copy_module
from landscape.core.subspace import Subspace
from landscape.core.weights import to_double

__all__ = ["fold"]

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def fold(model: nn.Module, subspace: Subspace) -> Subspace:
    """Fold the batch norms of a model in eval mode that no direction moves into the convolutions they follow.

    With frozen statistics and affine parameters, γ (w∗x + b − μ) / √(σ² + ε) + β is a convolution whose weights s·w are linear in w,
    s = γ / √(σ² + ε): origin and directions are scaled once, and every point of the subspace stays what it was, to rounding. The
    products are taken in float64.

    Args:
        model: changed in place: convolutions get a bias, the norms become identities.
        subspace: origin and directions of the model as it was.

    Returns:
        The subspace for the changed model; the given one where nothing could be folded.
    """
    moved = {name for d in subspace.directions for name in (*d.parameters, *d.buffers)}
    origin = dict(subspace.origin)
    directions = [dict(direction.parameters) for direction in subspace.directions]
    modules = dict(model.named_modules())
    for convolution, norm in _pairs(model):
        if any(name.startswith(f"{norm}.") for name in moved):
            continue
        scale, shift = _affine(modules[norm], origin, norm)
        layer = modules[convolution]
        weight, bias = f"{convolution}.weight", f"{convolution}.bias"
        for weights in (origin, *directions):
            for name in (weight, bias):
                if name in weights:
                    weights[name] = _scaled(weights[name], scale)
        origin[bias] = origin[bias] + shift if bias in origin else shift
        if layer.bias is None:
            layer.bias = nn.Parameter(torch.zeros_like(shift).to(layer.weight), requires_grad=False)
        _replace(model, norm)
        origin = {name: tensor for name, tensor in origin.items() if not name.startswith(f"{norm}.")}
    if origin.keys() == subspace.origin.keys():
        return subspace
    parts = zip(subspace.directions, directions, strict=True)
    return Subspace(origin, tuple(replace(direction, parameters=part) for direction, part in parts))


def _pairs(model: nn.Module) -> Iterator[tuple[str, str]]:
    """The names of convolutions and batch norms that follow each other alone, as a trace of the model's forward shows them.

    A model that cannot be traced, as one whose control flow depends on its data, has none.
    """
    if not all(any(type(layer) in kinds for layer in model.modules()) for kinds in (_CONVOLUTIONS, _NORMS)):
        return  # nothing to find; a trace needs a copy of the model
    parameters = inspect.signature(model.forward).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}  # a trace would take them for given
    try:
        graph = torch.fx.symbolic_trace(copy_module(model), concrete_args=defaults or None).graph
    except Exception:  # whatever the user's forward does with what is no tensor
        return
    modules = dict(model.named_modules(remove_duplicate=False))
    names = Counter(id(module) for module in modules.values())
    read = [str(node.target) for node in graph.nodes if node.op == "get_attr"]
    calls = Counter(node.target for node in graph.nodes if node.op == "call_module")
    owners = Counter(id(p) for module in modules.values() for p in module.parameters(recurse=False))
    for node in graph.nodes:
        before = node.args[0] if node.op == "call_module" and node.args else None
        if not (isinstance(before, torch.fx.Node) and before.op == "call_module" and len(before.users) == 1):
            continue
        convolution, norm = modules[str(before.target)], modules[str(node.target)]
        if (
            type(convolution) in _CONVOLUTIONS
            and type(norm) in _NORMS
            and norm.running_var is not None
            and calls[before.target] == calls[node.target] == 1
            and names[id(convolution)] == names[id(norm)] == 1
            and not any(name.startswith((f"{before.target}.", f"{node.target}.")) for name in read)
            and all(owners[id(p)] == 1 for layer in (convolution, norm) for p in layer.parameters())
            and not any(_hooked(layer) for layer in (convolution, norm))
        ):
            yield str(before.target), str(node.target)


def _hooked(layer: nn.Module) -> bool:
    return bool(layer._forward_hooks or layer._forward_pre_hooks)


def _affine(norm: nn.Module, origin: Mapping[str, Tensor], name: str) -> tuple[Tensor, Tensor]:
    """The scale and shift `(n_channels,)` of a norm at the origin, in float64."""
    mean, variance = (origin[f"{name}.running_{what}"].double() for what in ("mean", "var"))
    gain = origin.get(f"{name}.weight", torch.ones_like(mean)).double()
    offset = origin.get(f"{name}.bias", torch.zeros_like(mean)).double()
    scale = gain / torch.sqrt(variance + float(norm.eps))  # type: ignore[arg-type]  # a number on every batch norm
    return scale, offset - mean * scale


def _scaled(weights: Tensor, scale: Tensor) -> Tensor:
    """Weights or biases times a scale by output channel, in float64; the engine rounds them once."""
    return to_double(weights) * scale.view(-1, *([1] * (weights.dim() - 1)))


def _replace(model: nn.Module, name: str) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, nn.Identity())
