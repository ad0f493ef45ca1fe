"""A model's forward compiled by torch.compile, however many others of its class are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from landscape.errors import RunError

__all__ = ["compiled"]

# Torch compiles a piece of code for 8 different models or shapes, and computes any further one as it is written, without an error.
_NO_LIMIT: dict[str, Any] = {"recompile_limit": 2**31, "accumulated_recompile_limit": 2**31, "fail_on_recompile_limit_hit": True}


def compiled(model: nn.Module, device: torch.device) -> Callable[..., Any]:
    """The forward of a model, compiled at its first call for the shapes of that call.

    Torch counts compilations by code, and a class's forward is one code for all its models. Here they go through a function of our own,
    whose count a user's compilations do not use up, and that may be compiled as often as it takes.

    Raises:
        RunError: at the first call, when nothing was compiled.
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
        with torch._dynamo.config.patch(**_NO_LIMIT):
            outputs = fast(*positional, **named)
        if not ready and _n_graphs() == before:
            raise RunError(
                "torch.compile found nothing to compile in the model, or has compiled its parts too often before; use --engine eager"
            )
        ready.add(arithmetic)
        return outputs

    return called


def _n_graphs() -> int:
    """How many pieces torch has compiled so far in this process."""
    return int(torch._dynamo.utils.counters["stats"]["unique_graphs"])
