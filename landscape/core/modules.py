"""Modules: private copies of a user's model, and copies in which every weight that is stored in parts is a plain parameter."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import prune, remove_spectral_norm, remove_weight_norm
from torch.nn.utils.parametrize import ParametrizationList, is_parametrized
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm, SpectralNormLoadStateDictPreHook
from torch.nn.utils.weight_norm import WeightNorm

from landscape.core.shared_memory import block_of, is_expanded, named_tensors
from landscape.core.weights import unwrap
from landscape.errors import InputError, in_a_line, users_code

__all__ = [
    "PRUNING",
    "WEIGHT_NORM",
    "copy_module",
    "effective",
    "effective_name",
    "pruned_entries",
    "stored_in_parts",
]

WEIGHT_NORM, PRUNING = "weight norm", "pruning"
_WORDS = {"_WeightNorm": WEIGHT_NORM, "_SpectralNorm": "spectral norm", "_Orthogonal": "orthogonal"}
_LISTS = "parametrizations"  # where torch.nn.utils.parametrize keeps what a layer's tensors are computed from


def copy_module(module: nn.Module, what: str = "model") -> nn.Module:
    """A deep copy of the user's own module that shares nothing with it.

    Tensors that a graph computed, which copy.deepcopy refuses, are copied without their graph: the hooks of `weight_norm`,
    `spectral_norm` and `prune` keep such ones, and so do models that remember an activation. So are sparse tensors, and expanded ones,
    into whose copies nothing could be written. A layer with parametrizations has a class of its own, which copy.deepcopy shares, so
    that removing them from a copy would break the model it was made from: the copy gets another.

    Args:
        module: a model, a layer or a loss.
        what: it is, for the message.

    Raises:
        InputError: when it cannot be copied.
    """
    inner = unwrap(module)
    memo: dict[int, Any] = {}
    seen: set[int] = set()
    for layer in inner.modules():
        for tensor in _computed(vars(layer), seen):
            memo[id(tensor)] = tensor.detach().clone()
    with users_code(f"copying the {what}"):
        try:
            private = copy.deepcopy(inner, memo)
        except Exception as error:
            raise InputError(f"the {what} cannot be copied ({in_a_line(error)}); let copy.deepcopy({what}) work") from error
    held = {block_of(tensor) for _, tensor in named_tensors(inner)} - {0}
    shared = next((name for name, tensor in named_tensors(private) if block_of(tensor) in held), None)
    if shared is not None:  # a part of the user's own answers copy.deepcopy with itself
        raise InputError(
            f"the {what} cannot be copied: copy.deepcopy leaves {shared} where it is, so that computing would change the {what} itself; "
            "take away the __deepcopy__ of the part that holds it"
        )
    for layer in private.modules():
        if is_parametrized(layer):
            kind = type(layer)
            layer.__class__ = type(kind.__name__, kind.__bases__, dict(vars(kind)))
    return private


def _computed(held: object, seen: set[int]) -> Iterator[Tensor]:
    """The tensors that copy.deepcopy refuses or leaves such that none can write into them, in containers of containers.

    A graph computed them, they are sparse, or expanded.
    """
    if isinstance(held, Tensor):
        if not held.is_leaf or (not isinstance(held, nn.Parameter) and (held.layout != torch.strided or is_expanded(held))):
            yield held
    elif isinstance(held, Mapping | list | tuple | set) and id(held) not in seen:
        seen.add(id(held))
        for value in held.values() if isinstance(held, Mapping) else held:
            yield from _computed(value, seen)


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


def stored_in_parts(module: nn.Module) -> dict[str, tuple[str, ...]]:
    """The weights that a module computes before it uses them, by name, and how: "weight norm", "pruning", a parametrization's class."""
    inner = unwrap(module)
    modules = dict(inner.named_modules())
    found: dict[str, tuple[str, ...]] = {}
    for prefix, layer in modules.items():
        if f".{_LISTS}." in f".{prefix}" and not isinstance(layer, ParametrizationList):
            continue  # inside a parametrization
        ways = [
            (_joined(prefix, tensor), _word(hook))
            for hook in layer._forward_pre_hooks.values()
            for tensor, _ in [_parts(hook)]
            if tensor
        ]
        if is_parametrized(layer):
            ways += [(_joined(prefix, tensor), _word(step)) for tensor, chain in _chains(layer).items() for step in chain]
        for name, word in ways:
            whole = effective_name(modules, name)
            found[whole] = (*found.get(whole, ()), word)
    return found


def effective(module: nn.Module, weights: Mapping[str, Tensor] | None = None) -> nn.Module:
    """A copy of a module in which each weight that is stored in parts is a plain parameter under its own name, `layer.weight`.

    Its value is what the module computes in eval mode; it is trainable where one of its parts is. The module's own names are those
    that torch's `remove_parametrizations`, `remove_weight_norm`, `remove_spectral_norm` and `prune.remove` leave behind.

    Args:
        module: the model; it is left as it is.
        weights: what to load into the copy first, by the module's names of parameters and buffers.
    """
    private = copy_module(module)
    modes = {layer: layer.training for layer in private.modules()}
    private.eval()  # spectral norms make no step then
    with torch.no_grad():
        named = {**dict(private.named_parameters()), **dict(private.named_buffers())}
        for name, tensor in (weights or {}).items():
            named[name].copy_(tensor)
        for layer in modes:
            if is_parametrized(layer):
                _bake_parametrizations(layer)
            for hook in list(layer._forward_pre_hooks.values())[::-1]:  # a later one computes what an earlier one computes with
                _bake_hook(layer, hook)
    for layer, mode in modes.items():
        layer.training = mode
    return private


def pruned_entries(
    module: nn.Module, weights: Mapping[str, Tensor], stored: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """Which entries of a module's effective weights are held at zero by a mask, by name; weights without one are left out.

    Args:
        module: with the masks of torch.nn.utils.prune, or of parametrizations that have a buffer `mask`.
        weights: the effective weights by name.
        stored: a checkpoint's buffers by name, whose masks are used; the module's own where it has none.
    """
    inner = unwrap(module)
    modules = dict(inner.named_modules())
    found: dict[str, Tensor] = {}
    for name, own in inner.named_buffers():
        if not name.endswith("mask"):
            continue
        mask = (stored or {}).get(name, own)
        layer, _, rest = f".{name}".partition(f".{_LISTS}.")
        masked = f"{layer}.{rest.partition('.')[0]}".strip(".") if rest else name.removesuffix("_mask") + "_orig"
        weight = weights.get(effective_name(modules, masked))
        if weight is None or not _spreads(mask, weight):
            continue
        whole = effective_name(modules, masked)
        zero = (mask == 0).to(weight.device).expand_as(weight) & (weight == 0)
        found[whole] = found[whole] | zero if whole in found else zero
    return found


def _spreads(mask: Tensor, weight: Tensor) -> bool:
    """Whether a mask can be expanded to a weight's shape."""
    pairs = zip(reversed(mask.shape), reversed(weight.shape), strict=False)
    return mask.dim() <= weight.dim() and all(mine in (1, theirs) for mine, theirs in pairs)


def _bake_parametrizations(layer: nn.Module) -> None:
    baked: dict[str, Tensor] = {}
    for name, chain in _chains(layer).items():
        value = getattr(layer, name).detach().clone()
        parts = list(chain.parameters())
        stored = any(part.startswith("original") for part in chain._parameters)
        baked[name] = nn.Parameter(value, any(p.requires_grad for p in parts)) if stored else value
    layer.__class__ = type(layer).__bases__[0]
    delattr(layer, _LISTS)
    for name, value in baked.items():
        if isinstance(value, nn.Parameter):
            setattr(layer, name, value)  # not register_parameter, past which recurrent layers would not see it
        else:
            layer.register_buffer(name, value)


def _bake_hook(layer: nn.Module, hook: object) -> None:
    name, parts = _parts(hook)
    if not name:
        return
    trainable = any(layer._parameters[part].requires_grad for part in parts)  # type: ignore[union-attr]
    if isinstance(hook, WeightNorm):
        remove_weight_norm(layer, name)
    elif isinstance(hook, SpectralNorm):
        remove_spectral_norm(layer, name)
        for key, loading in list(layer._load_state_dict_pre_hooks.items()):  # torch leaves its own behind, wrapped as it is
            if isinstance(getattr(loading, "hook", loading), SpectralNormLoadStateDictPreHook):
                del layer._load_state_dict_pre_hooks[key]
    else:
        (part,) = parts  # prune.remove would write into it, also where another layer has it
        setattr(layer, part, nn.Parameter(layer._parameters[part].detach().clone()))  # type: ignore[union-attr]
        prune.remove(layer, name)  # type: ignore[no-untyped-call]  # torch has no types here
    getattr(layer, name).requires_grad_(trainable)


def _chains(layer: nn.Module) -> dict[str, ParametrizationList]:
    return dict(getattr(layer, _LISTS).items())


def _joined(prefix: str, leaf: str) -> str:
    return f"{prefix}.{leaf}" if prefix else leaf


def _word(step: object) -> str:
    if isinstance(step, WeightNorm):
        return WEIGHT_NORM
    if isinstance(step, SpectralNorm):
        return "spectral norm"
    if isinstance(step, BasePruningMethod) or isinstance(getattr(step, "mask", None), Tensor):
        return PRUNING
    return _WORDS.get(type(step).__name__, type(step).__name__)


def _parts(hook: object) -> tuple[str, tuple[str, ...]]:
    """The tensor that a hook of torch.nn.utils computes before each forward, and the parameters it is computed from."""
    if isinstance(hook, WeightNorm):
        return hook.name, (f"{hook.name}_g", f"{hook.name}_v")
    if isinstance(hook, SpectralNorm):
        return hook.name, (f"{hook.name}_orig",)
    if isinstance(hook, BasePruningMethod):
        return hook._tensor_name, (f"{hook._tensor_name}_orig",)
    return "", ()
