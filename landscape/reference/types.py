"""The user's own types, and torch as it is without autocast."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

__all__ = ["computed_types", "converted", "main_type", "moved", "plain_torch"]


def moved(
    origin: Mapping[str, Tensor],
    directions: Sequence[Mapping[str, Tensor]],
    coordinates: Sequence[float],
    types: Mapping[torch.dtype, torch.dtype],
) -> dict[str, Tensor]:
    """θ* + Σ c_k δ_k in double precision, rounded once to the type that each tensor is computed in.

    A running variance below zero, beyond what rounding makes of zero, is none: it becomes NaN, also where torch would add enough to it.
    """
    found = {}
    for name, start in origin.items():
        wide = start.to(torch.complex128 if start.is_complex() else torch.float64)
        for coordinate, direction in zip(coordinates, directions, strict=True):
            if coordinate and name in direction:
                wide = wide + float(coordinate) * direction[name].to(wide.dtype)
        if name.split(".")[-1] == "running_var" and any(name in direction for direction in directions):
            wide = torch.where(wide < -1e-12 * start.abs().max(), torch.nan, wide)
        found[name] = wide.to(types.get(start.dtype, start.dtype))
    return found


def main_type(model: nn.Module) -> torch.dtype:
    """The real type that most of a model's parameters have."""
    counts: dict[torch.dtype, int] = {}
    for parameter in model.parameters():
        if parameter.is_floating_point() or parameter.is_complex():
            kind = parameter.dtype.to_real()  # complex numbers count for their parts
            counts[kind] = counts.get(kind, 0) + parameter.numel()
    return max(counts, key=lambda kind: counts[kind], default=torch.float32)


def computed_types(main: torch.dtype, wanted: torch.dtype | None) -> dict[torch.dtype, torch.dtype]:
    """What the main type and its complex kin are computed in; by default a half type in float32, others as they are."""
    wanted = wanted or (torch.float32 if main in (torch.float16, torch.bfloat16) else main)
    if wanted == main:
        return {}
    kin = {torch.float32: torch.complex64, torch.float64: torch.complex128}
    return {main: wanted, **({kin[main]: kin[wanted]} if main in kin and wanted in kin else {})}


def converted(module: nn.Module, types: Mapping[torch.dtype, torch.dtype]) -> nn.Module:
    """A module whose parameters and buffers of some types became others, in place."""
    if types:
        for tensor in [*module.parameters(), *module.buffers()]:
            tensor.data = tensor.data.to(types.get(tensor.dtype, tensor.dtype))
    return module


@contextmanager
def plain_torch(dtype: torch.dtype) -> Iterator[None]:
    """Torch without autocast or inference mode, whatever the caller is in."""
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(dtype)
        with torch.inference_mode(False), torch.no_grad(), torch.autocast("cpu", enabled=False):
            if not torch.cuda.is_available():
                yield
            else:
                with torch.autocast("cuda", enabled=False):
                    yield
    finally:
        torch.set_default_dtype(before)
