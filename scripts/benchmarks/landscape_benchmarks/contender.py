"""What all contenders have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch

from landscape_benchmarks.case import Case

__all__ = ["Contender", "relative"]


class Contender(ABC):
    """One way to measure the losses along the line of a case; made ready when it is built.

    Attributes:
        name: what the table calls it.
        note: what it does, in a few words.
        precision: the arithmetic of its model.
        compiles: whether its first call is much longer than the others.
        block: how many points it computes at once; fewer take as long.
    """

    name: str
    note: str
    precision = "fp32"
    compiles = False
    block = 1

    def __init__(self, case: Case) -> None:
        self.case = case

    @abstractmethod
    def __call__(self, n_points: int) -> list[float]:
        """The losses at the first `n_points` points; returns when the device is done."""

    def deviation(self, losses: Sequence[float]) -> float:
        """The largest relative difference to the loop in double precision, at the first, middle and last of some points."""
        return max(relative(losses[index], self.case.exact(index)) for index in {0, len(losses) // 2, len(losses) - 1})

    def wait(self) -> None:
        """Let the device finish."""
        if self.case.device.type == "cuda":
            torch.cuda.synchronize(self.case.device)


def relative(value: float, exact: float) -> float:
    """The difference of a loss to the exact one, relative to that."""
    return abs(value - exact) / abs(exact) if exact else abs(value - exact)
