"""What every data set is read into."""

from __future__ import annotations

from torch import Tensor

__all__ = ["Splits"]

Splits = dict[str, tuple[Tensor, Tensor]]  # split name -> inputs and targets; axis 0 of both counts examples
