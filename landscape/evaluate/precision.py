"""Which types a precision changes: the model's main real type, its complex kin, and no other."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

__all__ = ["Conversion", "main_type"]

_COMPLEX = {torch.float16: torch.complex32, torch.float32: torch.complex64, torch.float64: torch.complex128}


def main_type(model: nn.Module) -> torch.dtype:
    """The real floating type that most of a model's parameters have, by number of entries; float32 for a model without any.

    Complex parameters count for the real type of their parts.
    """
    sizes: dict[torch.dtype, int] = {}
    for parameter in model.parameters():
        if parameter.is_floating_point() or parameter.is_complex():
            sizes[parameter.dtype.to_real()] = sizes.get(parameter.dtype.to_real(), 0) + parameter.numel()
    return max(sizes, key=lambda dtype: sizes[dtype], default=torch.float32)


@dataclass(frozen=True)
class Conversion:
    """Takes the main type to the one that is computed in; time stamps in float64, integers and the like stay what they are.

    >>> double = Conversion(torch.float32, torch.float64)
    >>> double.of(torch.float32), double.of(torch.complex64), double.of(torch.float16)
    (torch.float64, torch.complex128, torch.float16)
    """

    main: torch.dtype
    target: torch.dtype

    def of(self, dtype: torch.dtype) -> torch.dtype:
        """The type that a tensor of some type is computed in."""
        if dtype == self.main:
            return self.target
        return _COMPLEX[self.target] if self.main in _COMPLEX and dtype == _COMPLEX[self.main] else dtype

    def apply(self, module: nn.Module, device: torch.device) -> nn.Module:
        """A module moved to a device, its parameters and buffers converted in place."""
        module._apply(lambda tensor: tensor.to(device, self.of(tensor.dtype)))  # type: ignore[no-untyped-call]
        return module
