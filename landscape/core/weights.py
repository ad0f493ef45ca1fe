"""Weights: a model's parameters and buffers by name, and the arithmetic of differences between them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

__all__ = [
    "Weights",
    "add",
    "buffer_names",
    "difference",
    "digest",
    "dot",
    "is_movable",
    "norm",
    "parameter_names",
    "read",
    "strip_prefix",
    "to_double",
    "unwrap",
]

Weights = dict[str, Tensor]

_WRAPPERS = ("module.", "_orig_mod.")
_COUNTER = "num_batches_tracked"
# Types that numpy has not, and one whose bytes are the same.
_BYTES = {torch.bfloat16: torch.int16} | {
    getattr(torch, n): torch.uint8 for n in ("float8_e4m3fn", "float8_e5m2") if hasattr(torch, n)
}


def unwrap(module: nn.Module) -> nn.Module:
    """The user's own module inside DataParallel, DistributedDataParallel or torch.compile."""
    while True:
        inner = getattr(module, "_orig_mod", None)
        if inner is None and isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
            inner = module.module
        if not isinstance(inner, nn.Module):
            return module
        module = inner


def strip_prefix(name: str) -> str:
    """A parameter's own name, without what DataParallel and torch.compile put before it.

    >>> strip_prefix("module._orig_mod.conv1.weight")
    'conv1.weight'
    """
    while name.startswith(_WRAPPERS):
        name = name.split(".", 1)[1]
    return name


def parameter_names(module: nn.Module) -> list[str]:
    """The names of a module's parameters, tied ones once."""
    return [name for name, _ in unwrap(module).named_parameters()]


def buffer_names(module: nn.Module) -> list[str]:
    """The names of a module's buffers of real or complex numbers: running statistics and the like, never counters."""
    return [name for name, buffer in unwrap(module).named_buffers() if is_movable(buffer)]


def is_movable(tensor: Tensor) -> bool:
    """Whether a tensor holds real or complex numbers, which can be moved; truth values and whole numbers cannot."""
    return tensor.is_floating_point() or tensor.is_complex()


def to_double(tensor: Tensor) -> Tensor:
    """A tensor in double precision, complex where it is complex."""
    return tensor.to(torch.complex128 if tensor.is_complex() else torch.float64)


def read(module: nn.Module) -> Weights:
    """A copy of a module's parameters and buffers on the CPU, counters left out; tied parameters appear once."""
    inner = unwrap(module)
    named = [*inner.named_parameters(), *inner.named_buffers()]
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in named if not name.endswith(_COUNTER)}


def add(first: Mapping[str, Tensor], second: Mapping[str, Tensor], scale: float = 1.0) -> Weights:
    """`first + scale · second`, tensor by tensor; names that `second` lacks stay as they are."""
    return {name: torch.add(tensor, second[name], alpha=scale) if name in second else tensor for name, tensor in first.items()}


def difference(end: Mapping[str, Tensor], start: Mapping[str, Tensor], names: Iterable[str]) -> Weights:
    """`end − start` for the tensors named, in single precision at least: half types would swallow small steps."""
    return {name: _at_least_single(end[name]) - _at_least_single(start[name]) for name in names}


def _at_least_single(tensor: Tensor) -> Tensor:
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def dot(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> float:
    """The inner product over the names both have, summed in float64: Σ ab, and Re Σ āb for complex numbers.

    A complex number counts as the two real ones that it is, so that lengths and angles are those of the real vector space.
    """
    return math.fsum(_product(to_double(first[name]), to_double(second[name])) for name in first if name in second)


def _product(first: Tensor, second: Tensor) -> float:
    if first.is_complex() or second.is_complex():
        return float((first.conj() * second).real.sum())
    return float((first * second).sum())


def norm(weights: Mapping[str, Tensor]) -> float:
    """The Euclidean length over all entries, ‖·‖₂, summed in float64."""
    return math.sqrt(dot(weights, weights))


def digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over sorted (name, dtype, shape, little-endian bytes), the same on every machine and device."""
    sha = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu()
        sha.update(f"{name}|{str(tensor.dtype).removeprefix('torch.')}|{tuple(tensor.shape)}|".encode())
        for part in _dense_parts(tensor):
            part = part.resolve_conj().resolve_neg().contiguous()
            if part.dtype in _BYTES:
                part = part.view(_BYTES[part.dtype])
            data = (torch.view_as_real(part) if part.dtype == torch.complex32 else part).numpy()
            sha.update(data.astype(data.dtype.newbyteorder("<"), copy=False).tobytes())
    return sha.hexdigest()


def _dense_parts(tensor: Tensor) -> tuple[Tensor, ...]:
    """A tensor itself; of a sparse one, as graph networks keep their adjacency, the indices and values."""
    if tensor.layout == torch.strided:
        return (tensor,)
    if tensor.layout == torch.sparse_coo:
        tensor = tensor.coalesce()
        return tensor.indices(), tensor.values()
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return tensor.crow_indices(), tensor.col_indices(), tensor.values()
    return tensor.ccol_indices(), tensor.row_indices(), tensor.values()
