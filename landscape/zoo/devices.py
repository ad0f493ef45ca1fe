"""Where a training computes, and in which precision."""

from __future__ import annotations

import torch

from landscape.errors import InputError, did_you_mean

__all__ = ["PRECISIONS", "choose_device", "choose_precision"]

PRECISIONS = ("auto", "fp32", "bf16")


def choose_device(name: str) -> torch.device:
    """The device a name means: `auto`, `cpu`, `cuda` or `cuda:1`.

    Raises:
        InputError: when there is none of that name.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f'unknown device "{name}"; take auto, cpu, cuda or cuda:0') from None
    if device.type not in ("cpu", "cuda"):
        raise InputError(f'unknown device "{name}"; take auto, cpu, cuda or cuda:0')
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"no device {name} here, {torch.cuda.device_count()} CUDA devices are visible; take auto or cpu")
    return device


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
