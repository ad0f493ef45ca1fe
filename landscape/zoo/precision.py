"""In which precision a training computes."""

from __future__ import annotations

import torch

from landscape.errors import InputError, did_you_mean

__all__ = ["PRECISIONS", "choose_precision"]

PRECISIONS = ("auto", "fp32", "bf16")


def choose_precision(name: str, device: torch.device, safe: bool) -> str:
    """`fp32` or `bf16`.

    Args:
        name: one of `PRECISIONS`; `auto` takes bf16 where it is `safe` and the device computes in it.
        device: on a CPU bf16 would be slower, and its bits would differ from machine to machine.
        safe: whether the network gains by it and loses nothing that shows.

    Raises:
        InputError: for an unknown name, or bf16 where the device has none.
    """
    if name not in PRECISIONS:
        raise InputError(f'unknown precision "{name}": {did_you_mean(name, PRECISIONS)}')
    able = device.type == "cuda" and torch.cuda.is_bf16_supported()
    if name == "bf16" and not able:
        raise InputError(f"training in bf16 needs a CUDA device that supports it, and this is {device}; use fp32 or auto")
    return "bf16" if able and (name == "bf16" or (name == "auto" and safe)) else "fp32"
