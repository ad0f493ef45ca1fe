"""Directions that do not lie in the memory a model is computed in."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from landscape.core.directions.direction import Direction

__all__ = ["offload_to_host"]


def offload_to_host(direction: Direction, device: torch.device) -> Direction:
    """The same direction where a device of little memory can read it tensor by tensor.

    For a GPU that is page-locked main memory. For the CPU it is a file that the system maps into memory and takes out again as it
    needs room; the file has no name any more, so that it goes with the process.
    """
    parts = {name: tensor.contiguous() for name, tensor in direction.parameters.items()}
    if device.type == "cuda":
        return replace(direction, parameters={name: tensor.pin_memory() for name, tensor in parts.items()})
    return replace(direction, parameters=_mapped(parts))


def _mapped(parts: dict[str, Tensor]) -> dict[str, Tensor]:
    mapped = {}
    with tempfile.TemporaryDirectory(prefix="landscape-") as folder:  # gone at once; the mappings hold what is in it
        for i, (name, tensor) in enumerate(parts.items()):
            path = Path(folder) / str(i)
            tensor.numpy().tofile(path)
            flat = torch.from_file(str(path), shared=True, size=tensor.numel(), dtype=tensor.dtype)
            mapped[name] = flat.reshape(tensor.shape)
    return mapped
