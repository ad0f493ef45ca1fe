"""Directions: random, between checkpoints or from a file; their normalization and orthogonalization."""

from __future__ import annotations

import fnmatch
import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from landscape.errors import InputError, nearest
from landscape.weights import Weights, add, buffer_names, difference, digest, dot, norm, strip_prefix, unwrap

__all__ = [
    "IGNORABLE",
    "NORMALIZATIONS",
    "Direction",
    "Role",
    "between",
    "cosine",
    "cosine_spread",
    "from_arrays",
    "moving",
    "normals",
    "orthogonalize",
    "random_direction",
    "roles",
]

NORMALIZATIONS = ("filter", "layer", "weight", "model", "unit-filter", "unit-layer", "none")
IGNORABLE = ("bias", "norm")

_NORM_LAYERS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True)
class Role:
    """What a parameter is in its model: it decides whether it moves and what its filters are."""

    norm: bool = False  # belongs to a normalization module
    bias: bool = False  # is named bias*
    trainable: bool = True
    transposed_groups: int = 0  # the groups of a transposed convolution, whose outputs lie on the second axis; 0 for all others

    def filters(self, tensor: Tensor) -> Tensor:
        """The tensor as a matrix `(n_filters, n_entries)`, one row for everything that makes one output."""
        if tensor.dim() <= 1:
            return tensor.reshape(1, -1)
        if self.transposed_groups:
            g = self.transposed_groups
            return tensor.reshape(g, tensor.shape[0] // g, tensor.shape[1], -1).transpose(1, 2).reshape(g * tensor.shape[1], -1)
        return tensor.reshape(tensor.shape[0], -1)

    def unfilter(self, matrix: Tensor, shape: Sequence[int]) -> Tensor:
        """The inverse of `filters`."""
        if self.transposed_groups and len(shape) > 1:
            g = self.transposed_groups
            return matrix.reshape(g, shape[1], shape[0] // g, -1).transpose(1, 2).reshape(tuple(shape))
        return matrix.reshape(tuple(shape))


def roles(module: nn.Module) -> dict[str, Role]:
    """The role of each parameter of a module, by name; a tied parameter has the role of its first place."""
    result: dict[str, Role] = {}
    inner = unwrap(module)
    owners = dict(inner.named_modules())
    for name, parameter in inner.named_parameters():
        prefix, _, leaf = name.rpartition(".")
        owner = owners[prefix]
        result[name] = Role(
            norm=isinstance(owner, _NORM_LAYERS) or type(owner).__name__.lower().endswith("norm"),
            bias=leaf.startswith("bias"),
            trainable=parameter.requires_grad,
            transposed_groups=owner.groups if isinstance(owner, _TRANSPOSED) and leaf == "weight" else 0,
        )
    return result


def moving(
    weights: Mapping[str, Tensor], model_roles: Mapping[str, Role], ignore: Sequence[str], only: str | None = None
) -> list[str]:
    """The parameters that move: those `only` (a glob) names, else the trainable ones that `ignore` does not hold back.

    With anything ignored, every parameter of at most one dimension stays fixed too.

    Raises:
        InputError: for unknown words in `ignore`, or when nothing is left to move.
    """
    for word in ignore:
        if word not in IGNORABLE:
            raise InputError(f'cannot ignore "{word}": {nearest(word, [*IGNORABLE, "none"])}')
    names = [
        name
        for name, role in model_roles.items()
        if weights[name].is_floating_point()
        and (fnmatch.fnmatchcase(name, only) if only is not None else role.trainable)
        and not ("norm" in ignore and role.norm)
        and not ("bias" in ignore and role.bias)
        and not (ignore and weights[name].dim() <= 1)
    ]
    if not names:
        held = f'"{only}" names' if only is not None else "the model has"
        raise InputError(
            f"no parameter moves: {held} none that is free with ignore={','.join(ignore) or 'none'}; see model.named_parameters()"
        )
    return names


@dataclass(frozen=True, eq=False)
class Direction:
    """A direction in weight space: differences of parameters, and of running statistics where those move too."""

    parameters: Weights
    buffers: Weights = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)  # label, source, seed, normalize, from, to

    @property
    def norm(self) -> float:
        """The length ‖δ‖₂ over the parameters."""
        return norm(self.parameters)

    @property
    def sha256(self) -> str:
        """The digest of all it moves."""
        return digest({**self.parameters, **self.buffers})

    def described(self) -> dict[str, Any]:
        """The attributes with the direction's own length and digest, as an axis stores them."""
        return {**self.attributes, "norm": self.norm, "sha256": self.sha256}

    def checked(self) -> Direction:
        """The direction itself.

        Raises:
            InputError: when it is zero altogether or not finite.
        """
        length = self.norm
        if length == 0 or not math.isfinite(length):
            what = "zero in every parameter" if length == 0 else "not finite"
            raise InputError(
                f"the direction {self.attributes.get('label', '')!r} is {what}; are the checkpoints the same, or the weights all zero?"
            )
        return self


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
    parameters = {name: scale(name, model_roles[name]).to(weights[name].dtype) for name in names}
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


def between(
    start: Mapping[str, Tensor],
    end: Mapping[str, Tensor],
    module: nn.Module,
    names: Iterable[str],
    labels: tuple[str, str] = ("start", "end"),
) -> Direction:
    """The straight direction from one model's weights to another's, running statistics included (Goodfellow et al. 2015).

    Raises:
        InputError: when the two do not differ.
    """
    attributes = {
        "label": f"{labels[0]} to {labels[1]}",
        "source": "difference",
        "normalize": "none",
        "from": labels[0],
        "to": labels[1],
    }
    parameters = difference(end, start, names)
    return Direction(parameters, difference(end, start, buffer_names(module)), attributes).checked()


def from_arrays(
    arrays: Sequence[np.ndarray] | Mapping[str, np.ndarray], weights: Mapping[str, Tensor], module: nn.Module, label: str
) -> Direction:
    """A direction from arrays by parameter name, or in the order of `parameters()` or of `state_dict()`, counters included.

    Raises:
        InputError: when number, names or shapes do not fit the model (the first difference is named).
    """
    inner = unwrap(module)
    if isinstance(arrays, Mapping):
        named = dict(arrays)
    else:
        orders = ([name for name, _ in inner.named_parameters()], list(inner.state_dict()))
        order = next((names for names in orders if len(names) == len(arrays)), None)
        if order is None:
            raise InputError(
                f"{label}: holds {len(arrays)} arrays, the model has {len(orders[0])} parameters and {len(orders[1])} entries of state; "
                "is it the direction of another model?"
            )
        named = dict(zip(order, arrays, strict=True))
    parts: Weights = {}
    for name, array in named.items():
        if name.endswith("num_batches_tracked"):
            continue
        if name not in weights:
            raise InputError(f"{label}: has {name}, which the model lacks; is it the direction of another model?")
        target = weights[name]
        array = np.asarray(array, dtype=np.float64)
        if array.shape != tuple(target.shape) and not (array.size == target.numel() == 1):
            raise InputError(f"{label}: {name} has shape {array.shape}, the model wants {tuple(target.shape)}")
        parts[name] = torch.from_numpy(array).reshape(target.shape).to(target.dtype)
    parameters = {name for name, _ in inner.named_parameters()}
    attributes = {"label": label, "source": "file", "normalize": "none"}
    moved = {name: part for name, part in parts.items() if name in parameters}
    buffers = {name: part for name, part in parts.items() if name not in parameters and part.is_floating_point()}
    return Direction(moved, buffers, attributes).checked()


def cosine(first: Direction, second: Direction) -> float:
    """The cosine of the angle between two directions, over their parameters."""
    return dot(first.parameters, second.parameters) / (first.norm * second.norm)


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


def orthogonalize(direction: Direction, against: Direction) -> tuple[Direction, float]:
    """The part of a direction orthogonal to another, and the coefficient p of what was taken away: d − p · against.

    Raises:
        InputError: when nothing is left, that is when the two are parallel.
    """
    share = dot(direction.parameters, against.parameters) / against.norm**2
    rest = replace(
        direction,
        parameters=add(direction.parameters, against.parameters, -share),
        buffers=add(direction.buffers, against.buffers, -share),
        attributes={**direction.attributes, "orthogonalized": 1},
    )
    if rest.norm <= 1e-6 * direction.norm:
        raise InputError("the two directions are parallel, so that they span no plane; are two of the checkpoints the same?")
    return rest.checked(), share
