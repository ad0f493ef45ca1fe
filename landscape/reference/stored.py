"""Weights laid into a model, and layers that compute their weight from parts made plain, by torch's own functions."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn.utils import parametrize, prune, remove_spectral_norm, remove_weight_norm

__all__ = ["laid_in", "take_apart"]


def laid_in(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load weights by name; a tied parameter is named once in `weights`, what they lack stays as it is."""
    state = model.state_dict(keep_vars=True)
    own = {id(tensor): name for name, tensor in state.items() if name in weights}
    found = {name: weights.get(own.get(id(tensor), name), tensor) for name, tensor in state.items()}
    model.load_state_dict(found, strict=False)  # a module may keep some of its own out of its state


def take_apart(model: nn.Module) -> None:
    """Make every computed weight of a model in eval mode a plain parameter `layer.weight` with the value it has."""
    for layer in list(model.modules()):
        if parametrize.is_parametrized(layer):
            for name, chain in list(layer.parametrizations.items()):  # type: ignore[operator, union-attr]  # a dict of modules
                _untie(chain, "original")
                parametrize.remove_parametrizations(layer, name, leave_parametrized=True)
        for hook in reversed(list(layer._forward_pre_hooks.values())):  # what is pruned may be a part of what is normalized
            kind, name = type(hook).__name__, getattr(hook, "name", "")
            if kind == "WeightNorm":
                remove_weight_norm(layer, name)
            elif kind == "SpectralNorm":
                remove_spectral_norm(layer, name)
                for key, kept in list(layer._load_state_dict_pre_hooks.items()):  # torch's removal misses its own wrapper of it
                    if "SpectralNorm" in type(getattr(kept, "hook", kept)).__name__:
                        del layer._load_state_dict_pre_hooks[key]
            elif isinstance(hook, prune.BasePruningMethod):
                _untie(layer, f"{hook._tensor_name}_orig")
                prune.remove(layer, hook._tensor_name)  # type: ignore[no-untyped-call]


def _untie(layer: nn.Module, name: str) -> None:
    """Give a layer a copy of its parameter: torch writes the computed weight into it, also where another layer has it too."""
    own = layer._parameters.get(name)
    if own is not None:
        setattr(layer, name, nn.Parameter(own.detach().clone(), own.requires_grad))
