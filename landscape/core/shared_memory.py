"""Memory: where a model's tensors lie, and which of them lie in one place."""

from __future__ import annotations

from collections.abc import Container, Sequence

import torch
from torch import Tensor, nn

from landscape.core.weights import unwrap

__all__ = ["block_of", "is_expanded", "named_tensors", "shared_memory"]


def named_tensors(module: nn.Module) -> list[tuple[str, Tensor]]:
    """A module's parameters and buffers, tied ones once."""
    inner = unwrap(module)
    return [*inner.named_parameters(), *inner.named_buffers()]


def block_of(tensor: Tensor) -> int:
    """The address of the block that holds a tensor's numbers; 0 where it has no one block: on the meta device, empty, sparse."""
    if not tensor.numel() or tensor.layout != torch.strided or tensor.is_meta:
        return 0
    try:
        return tensor.untyped_storage().data_ptr()
    except (RuntimeError, NotImplementedError):  # a tensor made of others, as quantized ones are
        return 0


def is_expanded(tensor: Tensor) -> bool:
    """Whether several entries of a tensor lie in one place, as `expand` leaves them."""
    return tensor.layout == torch.strided and any(
        n > 1 and step == 0 for n, step in zip(tensor.shape, tensor.stride(), strict=True)
    )


def shared_memory(module: nn.Module) -> tuple[str, str] | None:
    """Two names of a module's parameters and buffers, a parameter among them, that lie in the same memory; None where all lie apart.

    A parameter with several entries in one place, as `expand` leaves it, is named twice. One parameter under two names is tied, and
    lies in one memory rightly; parameters may also be separate parts of one block.
    """
    parameters = dict(unwrap(module).named_parameters())
    blocks: dict[int, list[tuple[str, Tensor]]] = {}
    for name, tensor in named_tensors(module):
        if block := block_of(tensor):
            blocks.setdefault(block, []).append((name, tensor.detach()))
            if name in parameters and is_expanded(tensor):
                return name, name
    found = (_pair(held, parameters) for held in blocks.values() if len(held) > 1)
    return next((pair for pair in found if pair is not None), None)


def _pair(held: Sequence[tuple[str, Tensor]], parameters: Container[str]) -> tuple[str, str] | None:
    """Two tensors of one block that overlap, one of them a parameter; by their names, in the order of the model."""
    order = [name for name, _ in held]
    before: list[tuple[str, Tensor]] = []
    for name, tensor in sorted(held, key=lambda pair: _span(pair[1])):
        before = [(other, earlier) for other, earlier in before if _span(earlier)[1] > _span(tensor)[0]]
        for other, earlier in before:
            if (name in parameters or other in parameters) and _overlap(earlier, tensor):
                first, second = sorted((name, other), key=order.index)
                return first, second
        before.append((name, tensor))
    return None


def _overlap(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors of one block, whose spans meet, have a place in common."""
    return first.dtype != second.dtype or bool(torch.isin(_places(first), _places(second)).any())


def _span(tensor: Tensor) -> tuple[int, int]:
    """The first address of a tensor, and the one behind its last."""
    last = sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.data_ptr(), tensor.data_ptr() + (last + 1) * tensor.element_size()


def _places(tensor: Tensor) -> Tensor:
    """Where the entries of a tensor lie in its block, counted in entries."""
    places = torch.tensor([tensor.storage_offset()], device="cpu")
    for n, step in zip(tensor.shape, tensor.stride(), strict=True):
        places = (places[:, None] + step * torch.arange(n, device="cpu")).reshape(-1)
    return places
