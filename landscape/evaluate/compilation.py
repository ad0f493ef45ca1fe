"""A model's forward compiled by torch.compile, however many others of its class are."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from landscape.errors import RunError

__all__ = ["compiled"]

# Torch compiles a piece of code for 8 different models or shapes, and computes any further one as it is written, without an error.
# The limits by their names since torch 2.7, and before.
_NO_LIMIT: dict[tuple[str, str], Any] = {
    ("recompile_limit", "cache_size_limit"): 2**31,
    ("accumulated_recompile_limit", "accumulated_cache_size_limit"): 2**31,
    ("fail_on_recompile_limit_hit", "fail_on_cache_limit_hit"): True,
}


_COMPILED: set[tuple[Hashable, ...]] = set()  # the kinds of models and inputs that were compiled in this process


def compiled(model: nn.Module, device: torch.device) -> Callable[..., Any]:
    """The forward of a model, compiled at its first call for the shapes of that call.

    Torch counts compilations by code, and a class's forward is one code for all its models. Here they go through a function of our own,
    whose count a user's compilations do not use up, and that may be compiled as often as it takes.

    A model whose structure and inputs are those of an earlier one runs what was compiled for that: weights are inputs to torch's graphs.

    Raises:
        RunError: at the first call, when nothing was compiled, and nothing had been for such a model.
    """
    plain = model.forward

    def forward(*positional: Any, **named: Any) -> Any:
        return plain(*positional, **named)

    fast = torch.compile(forward, dynamic=False, mode="reduce-overhead" if device.type == "cuda" else "default")
    ready: set[tuple[Any, ...]] = set()  # the arithmetics it is compiled for

    def called(*positional: Any, **named: Any) -> Any:
        if device.type == "cuda":
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]  # the outputs of the step before are used up
        arithmetic = torch.is_autocast_enabled(device.type), torch.get_float32_matmul_precision()
        if arithmetic in ready:
            return fast(*positional, **named)
        before = _n_graphs()
        with torch._dynamo.config.patch(**_without_limit()):
            outputs = fast(*positional, **named)
        kind = (_structure(model), _shapes((positional, named)), arithmetic)
        if not ready and _n_graphs() == before and kind not in _COMPILED:
            raise RunError(
                "torch.compile found nothing to compile in the model, or has compiled its parts too often before; use --engine eager"
            )
        _COMPILED.add(kind)
        ready.add(arithmetic)
        return outputs

    return called


def _n_graphs() -> int:
    """How many pieces torch has compiled so far in this process."""
    return int(torch._dynamo.utils.counters["stats"]["unique_graphs"])


def _structure(model: nn.Module) -> Hashable:
    """What two models have in common that may run one graph: their layers' classes and settings, the shapes and types of their tensors."""
    layers = tuple((name, type(layer), _settings(layer)) for name, layer in model.named_modules())
    tensors = [*model.named_parameters(), *model.named_buffers()]
    return layers, tuple((name, tensor.shape, tensor.dtype, tensor.device) for name, tensor in tensors)


def _settings(layer: nn.Module) -> Hashable:
    return tuple((name, value) for name, value in vars(layer).items() if isinstance(value, bool | int | float | str))


def _shapes(inputs: Any) -> Hashable:
    if isinstance(inputs, Tensor):
        return inputs.shape, inputs.dtype
    if isinstance(inputs, Mapping):
        return tuple((name, _shapes(value)) for name, value in inputs.items())
    if isinstance(inputs, list | tuple):
        return tuple(_shapes(value) for value in inputs)
    return str(type(inputs))


def _without_limit() -> dict[str, Any]:
    known = torch._dynamo.config
    return {new if hasattr(known, new) else old: value for (new, old), value in _NO_LIMIT.items()}
