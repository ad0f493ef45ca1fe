"""Random directions: Gaussian, the same everywhere, and normalized (Li et al. 2018, sec. 4)."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from landscape.core.choices import NORMALIZATIONS
from landscape.core.directions.direction import Direction
from landscape.core.directions.filters import Role
from landscape.core.weights import Weights, norm, strip_prefix, to_double
from landscape.errors import InputError, did_you_mean, users_code

__all__ = ["Normalization", "cosine_spread", "normalization_name", "normals", "random_direction"]

Normalization = (
    str | Callable[[Tensor, Tensor], Tensor]
)  # a name; or filters drawn, weights' own filters -> the direction's filters


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
    normalize: Normalization = "filter",
    pruned: Mapping[str, Tensor] | None = None,
) -> Direction:
    """A Gaussian direction over the parameters named, normalized (Li et al. 2018, sec. 4).

    With the default `filter`, each filter of the direction gets the length of the weights' own filter:
    δ_ij ← δ_ij / ‖δ_ij‖ · ‖θ_ij‖. A complex parameter has a complex direction, real and imaginary parts independent and standard
    normal each, and the lengths are those of moduli: it moves as the real parameter `(*shape, 2)` of its name would.

    Args:
        weights: θ*, by name.
        model_roles: what each parameter is.
        names: the parameters that move.
        seed: of the draw.
        axis: "x" or "y", which are drawn independently of each other.
        normalize: one of `NORMALIZATIONS`, or a function of a parameter's normal numbers and its weights, both float64
            `(n_filters, n_entries)`, that returns the direction's filters in that shape.
        pruned: entries that stay where they are, by name: zero in the direction, before it is normalized.

    Raises:
        InputError: for an unknown normalization, a function that returns something else, or when the direction is zero altogether.
    """
    if not callable(normalize) and normalize not in NORMALIZATIONS:
        raise InputError(f'unknown normalization "{normalize}": {did_you_mean(normalize, NORMALIZATIONS)}')
    names = list(names)
    raw = {name: _drawn(seed, axis, strip_prefix(name), weights[name]) for name in names}
    held = {name: mask.cpu() for name, mask in (pruned or {}).items() if name in raw}
    for name, mask in held.items():
        raw[name] = raw[name].masked_fill(mask, 0.0)
    scale = _scale_of(normalize, raw, {name: weights[name] for name in names}, held)
    parameters = {
        name: scale(name, model_roles[name]).to(torch.promote_types(weights[name].dtype, torch.float32)) for name in names
    }
    word = normalization_name(normalize)
    label = f"random direction, seed {seed}, {word}-normalized" if word != "none" else f"random direction, seed {seed}"
    attributes = {"label": label, "source": "random", "seed": seed, "normalize": word}
    return Direction(parameters, attributes=attributes).checked()


def normalization_name(normalize: Normalization) -> str:
    """What a file calls a normalization: its name, or the qualified name of a function."""
    if isinstance(normalize, str):
        return normalize
    named = normalize if hasattr(normalize, "__qualname__") else type(normalize)
    return f"{named.__module__}.{named.__qualname__}"


def _drawn(seed: int, axis: str, name: str, weight: Tensor) -> Tensor:
    """Normal numbers for one parameter; for a complex one those of the real tensor `(*shape, 2)` that it is."""
    if not weight.is_complex():
        return normals(seed, axis, name, weight.shape)
    return torch.view_as_complex(normals(seed, axis, name, (*weight.shape, 2)))


def _scale_of(
    normalize: Normalization, raw: Weights, weights: Weights, held: Mapping[str, Tensor]
) -> Callable[[str, Role], Tensor]:
    """The rule that turns one parameter's normal numbers into its part of the direction, in float64."""
    whole = norm(weights) / norm(raw) if normalize == "model" else 1.0

    def scaled(name: str, role: Role) -> Tensor:
        delta, theta = raw[name], to_double(weights[name]).cpu()
        if callable(normalize):
            made = _made_by(normalize, name, role.filters(delta), role.filters(theta))
            return role.from_filter_rows(made, delta.shape).masked_fill(held.get(name, torch.tensor(False)), 0.0)
        if normalize == "weight":
            return delta * theta
        if normalize in ("model", "none"):
            return delta * whole
        rows = _blocks(delta, normalize, role)
        lengths = rows.norm(dim=1, keepdim=True)
        target: Tensor | float = 1.0
        if not normalize.startswith("unit"):
            target = _blocks(theta, normalize, role).norm(dim=1, keepdim=True)
        rows = torch.where(lengths > 0, rows * (target / lengths), torch.zeros_like(rows))
        return rows.reshape(delta.shape) if normalize.endswith("layer") else role.from_filter_rows(rows, delta.shape)

    return scaled


def _made_by(function: Callable[[Tensor, Tensor], Tensor], name: str, filters: Tensor, weights: Tensor) -> Tensor:
    """The filters of one parameter's direction as the user's function makes them, from copies that it may change."""
    word = f"normalize={normalization_name(function)}"
    with users_code(word):
        made = function(filters.clone(), weights.clone())
    if not isinstance(made, Tensor) or made.shape != filters.shape:
        what = f"a tensor of shape {tuple(made.shape)}" if isinstance(made, Tensor) else f"a {type(made).__name__}"
        raise InputError(
            f"{word} returned {what} for {name}; it takes filters and weights {tuple(filters.shape)} and returns filters of that shape"
        )
    return made.detach().to("cpu", filters.dtype)


def cosine_spread(
    weights: Mapping[str, Tensor],
    model_roles: Mapping[str, Role],
    names: Sequence[str],
    normalize: str,
    pruned: Mapping[str, Tensor] | None = None,
) -> float:
    """The standard deviation the cosine of two random directions would have.

    With blocks j of n_j entries whose lengths are fixed at ‖θ_j‖ by the normalization, it is
    √(Σ_j ‖θ_j‖⁴ / n_j) / Σ_j ‖θ_j‖², for blocks that are filters, layers, single weights or the whole model. A complex entry
    counts as two; entries that are `pruned` count nowhere.
    """
    squares: list[Tensor] = []
    sizes: list[Tensor] = []
    for name in names:
        theta = to_double(weights[name].detach()).cpu().abs()
        free = torch.full_like(theta, 2.0 if weights[name].is_complex() else 1.0)  # how many numbers an entry is
        if pruned is not None and name in pruned:
            free = free.masked_fill(pruned[name].cpu(), 0.0)
        rows, kept = (_blocks(tensor, normalize, model_roles[name]) for tensor in (theta, free))
        size = kept.sum(dim=1)
        square = torch.ones_like(size) if normalize.startswith("unit") else (rows**2).sum(dim=1)
        squares.append(square[size > 0])
        sizes.append(size[size > 0])
    square, size = torch.cat(squares), torch.cat(sizes)
    if normalize in ("model", "none"):
        return 1.0 / math.sqrt(float(size.sum()))
    return math.sqrt(float((square**2 / size).sum())) / float(square.sum())


def _blocks(tensor: Tensor, normalize: str, role: Role) -> Tensor:
    """A tensor as a matrix `(n_blocks, n_entries)` of the blocks whose lengths a normalization fixes."""
    if normalize == "weight":
        return tensor.reshape(-1, 1)
    return tensor.reshape(1, -1) if normalize.endswith("layer") else role.filters(tensor)
