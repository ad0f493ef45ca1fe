"""Random directions: Gaussian, the same everywhere, and normalized (Li et al. 2018, sec. 4)."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from landscape.directions.direction import Direction
from landscape.directions.roles import Role
from landscape.errors import InputError, nearest
from landscape.weights import Weights, norm, strip_prefix

__all__ = ["NORMALIZATIONS", "cosine_spread", "normals", "random_direction"]

NORMALIZATIONS = ("filter", "layer", "weight", "model", "unit-filter", "unit-layer", "none")


def normals(seed: int, axis: str, name: str, shape: Sequence[int]) -> Tensor:
    """Standard normal numbers for one parameter, float64 of the given shape: the same on every rank, device and version.

    SHA-256 of "seed/axis/name" keys numpy's counter-based Philox generator.
    """
    key = hashlib.sha256(f"{seed}/{axis}/{name}".encode()).digest()[:16]
    generator = np.random.Generator(np.random.Philox(key=np.frombuffer(key, dtype="<u8").astype(np.uint64)))
    return torch.from_numpy(generator.standard_normal(tuple(shape)))


def random_direction(
    weights: Mapping[str, Tensor],
    model_roles: Mapping[str, Role],
    names: Iterable[str],
    seed: int = 0,
    axis: str = "x",
    normalize: str = "filter",
) -> Direction:
    """A Gaussian direction over the parameters named, normalized (Li et al. 2018, sec. 4).

    With the default `filter`, each filter of the direction gets the length of the weights' own filter:
    δ_ij ← δ_ij / ‖δ_ij‖ · ‖θ_ij‖.

    Raises:
        InputError: for an unknown normalization, or when the direction is zero altogether.
    """
    if normalize not in NORMALIZATIONS:
        raise InputError(f'unknown normalization "{normalize}": {nearest(normalize, NORMALIZATIONS)}')
    names = list(names)
    raw = {name: normals(seed, axis, strip_prefix(name), weights[name].shape) for name in names}
    scale = _scale_of(normalize, raw, {name: weights[name] for name in names})
    parameters = {
        name: scale(name, model_roles[name]).to(torch.promote_types(weights[name].dtype, torch.float32)) for name in names
    }
    label = f"random direction, seed {seed}, {normalize}-normalized" if normalize != "none" else f"random direction, seed {seed}"
    attributes = {"label": label, "source": "random", "seed": seed, "normalize": normalize}
    return Direction(parameters, attributes=attributes).checked()


def _scale_of(normalize: str, raw: Weights, weights: Weights) -> Callable[[str, Role], Tensor]:
    """The rule that turns one parameter's normal numbers into its part of the direction, in float64."""
    whole = norm(weights) / norm(raw) if normalize == "model" else 1.0

    def scaled(name: str, role: Role) -> Tensor:
        delta, theta = raw[name], weights[name].double().cpu()
        if normalize == "weight":
            return delta * theta
        if normalize in ("model", "none"):
            return delta * whole
        by_layer = normalize.endswith("layer")
        rows = delta.reshape(1, -1) if by_layer else role.filters(delta)
        lengths = rows.norm(dim=1, keepdim=True)
        target: Tensor | float = 1.0
        if not normalize.startswith("unit"):
            target = (theta.reshape(1, -1) if by_layer else role.filters(theta)).norm(dim=1, keepdim=True)
        rows = torch.where(lengths > 0, rows * (target / lengths), torch.zeros_like(rows))
        return rows.reshape(delta.shape) if by_layer else role.unfilter(rows, delta.shape)

    return scaled


def cosine_spread(weights: Mapping[str, Tensor], model_roles: Mapping[str, Role], names: Sequence[str], normalize: str) -> float:
    """The standard deviation the cosine of two random directions would have.

    With blocks j of n_j entries whose lengths are fixed at ‖θ_j‖ by the normalization, it is
    √(Σ_j ‖θ_j‖⁴ / n_j) / Σ_j ‖θ_j‖², for blocks that are filters, layers, single weights or the whole model.
    """
    squares: list[Tensor] = []
    sizes: list[Tensor] = []
    for name in names:
        theta = weights[name].detach().double().cpu()
        rows = {"weight": theta.reshape(-1, 1), "layer": theta.reshape(1, -1), "unit-layer": theta.reshape(1, -1)}.get(
            normalize, model_roles[name].filters(theta)
        )
        square = (rows**2).sum(dim=1)
        squares.append(torch.ones_like(square) if normalize.startswith("unit") else square)
        sizes.append(torch.full_like(square, rows.shape[1]))
    square, size = torch.cat(squares), torch.cat(sizes)
    if normalize in ("model", "none"):
        return 1.0 / math.sqrt(float(size.sum()))
    return math.sqrt(float((square**2 / size).sum())) / float(square.sum())
