"""Roles: what each parameter of a model is, which decides whether it moves and what its filters are."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from landscape.errors import InputError, nearest
from landscape.weights import unwrap

__all__ = ["IGNORABLE", "Role", "moving", "roles"]

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
