"""The engine's settings: how points are computed."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from landscape.core.choices import MODES, POLICIES, PRECISIONS
from landscape.errors import InputError, did_you_mean

__all__ = ["Engine"]

_ROUNDING = {"bf16": 2.0**-8, "tf32": 2.0**-11}  # the largest relative error of rounding a weight: 8 and 11 bits are kept
_ROUNDINGS = 4


@dataclass(frozen=True)
class Engine:
    """How points are computed: whatever could change a value's last bits, decided once, stored and reused.

    Attributes:
        device: where the model and its examples are.
        precision: "fp32", "tf32", "bf16" or "fp64"; weights are moved in fp32 (fp64), the lossy types round them afterwards.
        batch_size: examples computed at once; None: by the size of the model's activations.
        bn: what running statistics do.
        tolerance: 0, or the relative standard error at which a point may stop.
        mode: "eager", operation by operation; "compiled" by torch.compile; "batched", several points at once by torch.func.vmap.
        points_per_pass: how many points a batched engine computes at once.
        channels_last: whether images are laid out with their channels last.
        memory: bytes the examples may occupy on the device; what does not fit is streamed.
        offload: leave the directions on the host.

    Raises:
        InputError: for a setting out of range, or a device that does not have the precision.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: str = "fp32"
    batch_size: int | None = None
    bn: str = "frozen"
    tolerance: float = 0.0
    mode: str = "eager"
    points_per_pass: int = 16
    channels_last: bool = True
    memory: float = float("inf")
    offload: bool = False

    def __post_init__(self) -> None:
        for name, value, known in (
            ("precision", self.precision, PRECISIONS),
            ("batch-norm policy", self.bn, POLICIES),
            ("engine", self.mode, MODES),
        ):
            if value not in known:
                raise InputError(f'unknown {name} "{value}": {did_you_mean(value, known)}')
        if self.precision == "tf32" and self.device.type != "cuda":
            raise InputError("precision tf32 exists on CUDA devices only; use fp32 here")
        if self.batch_size is not None and self.batch_size < 1:
            raise InputError(f"the batch size is {self.batch_size}; it has to be at least 1")
        if not 0 <= self.tolerance < 1:
            raise InputError(f"the tolerance is {self.tolerance:g}; it is a relative standard error between 0 (off) and 1")
        if self.mode == "batched" and (self.bn == "recalibrated" or self.tolerance or self.offload):
            raise InputError(
                "the batched engine goes with neither --bn recalibrated, --tolerance nor --offload; use eager or compiled"
            )
        if self.mode == "compiled" and self.bn == "recalibrated":
            raise InputError(
                "--engine compiled does not work with --bn recalibrated, which recomputes norms at each point; use --engine eager"
            )

    @property
    def dtype(self) -> torch.dtype:
        """The type weights are kept and perturbed in."""
        return torch.float64 if self.precision == "fp64" else torch.float32

    @property
    def reduced_precision(self) -> bool:
        """Whether the arithmetic is coarser than the weights."""
        return self.precision in _ROUNDING

    @property
    def fp32_radius(self) -> float:
        """How far from the origin, as a share of the moved weights' norm, points are computed in fp32 all the same.

        Four roundings: 2⁻⁶ in bf16, 2⁻⁹ in TF32. Below it a weight's change is of the size of the error made in rounding it.
        """
        return _ROUNDINGS * _ROUNDING.get(self.precision, 0.0)
