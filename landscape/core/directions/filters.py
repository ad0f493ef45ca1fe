"""Roles: what each parameter of a model is, which decides whether it moves and what its filters are."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor, nn

from landscape.core.choices import IGNORABLE
from landscape.core.modules import effective_name
from landscape.core.weights import is_movable, unwrap
from landscape.errors import InputError, did_you_mean, users_code

__all__ = ["Only", "Role", "roles", "select_parameters"]

Only = str | Callable[[str, nn.Parameter], bool] | None  # a glob over names, or a predicate

_NORM_LAYERS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_OUTPUT_FIRST = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Bilinear)  # of three axes and more


@dataclass(frozen=True)
class Role:
    """What a parameter is in its model: it decides whether it moves and what its filters are."""

    norm: bool = False  # belongs to a normalization module
    bias: bool = False  # is named bias*
    trainable: bool = True
    axes: tuple[int, ...] = ()  # each index over these axes is a filter; without any the whole tensor is one
    groups: int = 1  # the first axis is so many groups one after the other, and each group has filters of its own
    by_default: bool = False  # three axes or more, of a class that nothing is known of: that the first counts outputs is a guess

    def filters(self, tensor: Tensor) -> Tensor:
        """The tensor as a matrix `(n_filters, n_entries)`, one row for everything that makes one output."""
        sizes, order, matrix = self._layout(tensor.shape)
        return tensor.reshape(sizes).permute(order).reshape(matrix)

    def from_filter_rows(self, matrix: Tensor, shape: Sequence[int]) -> Tensor:
        """The inverse of `filters`."""
        sizes, order, _ = self._layout(shape)
        back = sorted(range(len(order)), key=order.__getitem__)
        return matrix.reshape([sizes[axis] for axis in order]).permute(back).reshape(tuple(shape))

    def _layout(self, shape: Sequence[int]) -> tuple[list[int], list[int], tuple[int, int]]:
        """A tensor's sizes with its groups apart, its axes with those that count filters first, and the shape of the matrix."""
        sizes, front = list(shape), list(self.axes)
        if self.groups > 1:
            sizes, front = [self.groups, shape[0] // self.groups, *shape[1:]], [0, *(axis + 1 for axis in self.axes)]
        rest = [axis for axis in range(len(sizes)) if axis not in front]
        n_filters, n_entries = (math.prod(sizes[axis] for axis in axes) for axes in (front, rest))
        return sizes, [*front, *rest], (n_filters, n_entries)


def roles(module: nn.Module, filters: Mapping[str, tuple[int, ...]] | None = None) -> dict[str, Role]:
    """The role of each parameter of a module, by name; a tied parameter has the role of its first place.

    A filter is everything in a tensor that makes one output, however the layer stores it: an output channel of a convolution (of a
    transposed one too, within its group), a row of a linear or bilinear layer, a token's row of an embedding, a gate's row of a
    recurrent layer, a column of Hugging Face's Conv1D. A part of a weight under weight norm, spectral norm, parametrizations or
    pruning is filtered as the weight. Other tensors of two or more axes are filtered along the first, smaller ones are one filter.

    Args:
        module: the model.
        filters: glob over parameter names → the axes whose every index is a filter, `(0, 1)` for a stack of experts whose outputs
            lie on axis 1. The first glob counts that fits a name, for parameters that have all of its axes.

    Raises:
        InputError: when a glob counts for no parameter.
    """
    result: dict[str, Role] = {}
    inner, filters = unwrap(module), filters or {}
    owners, unused = dict(inner.named_modules()), dict.fromkeys(filters)
    for name, parameter in inner.named_parameters():
        whole = effective_name(owners, name)
        prefix, _, leaf = whole.rpartition(".")
        owner = owners[prefix]
        norm = isinstance(owner, _NORM_LAYERS) or type(owner).__name__.lower().endswith("norm")
        role = Role(norm, leaf.startswith("bias"), parameter.requires_grad, *_outputs(owner, leaf, parameter.shape))
        role = replace(role, by_default=role.by_default and not (role.norm or role.bias))
        for glob, axes in filters.items():
            if _fits(glob, axes, (whole, name), parameter.dim()):
                unused.pop(glob, None)
                chosen = tuple(dict.fromkeys(axis % parameter.dim() for axis in axes))
                role = replace(role, axes=chosen, groups=1, by_default=False)
                break
        result[name] = role
    for glob in unused:
        wanted = ", ".join(map(str, filters[glob]))
        raise InputError(f'filters: no parameter named "{glob}" has the axes {wanted} for filters; {did_you_mean(glob, result)}')
    return result


def _fits(glob: str, axes: Sequence[int], names: Sequence[str], n_axes: int) -> bool:
    named = any(fnmatch.fnmatchcase(name, glob) for name in names)
    return named and all(-n_axes <= axis < n_axes for axis in axes)


def _outputs(owner: nn.Module, leaf: str, shape: Sequence[int]) -> tuple[tuple[int, ...], int, bool]:
    """Along which axes a layer's tensor counts outputs, in how many groups, and whether that is no more than a guess."""
    if len(shape) <= 1:
        return (), 1, False
    if isinstance(owner, _TRANSPOSED) and leaf == "weight":
        return (1,), owner.groups if shape[0] % owner.groups == 0 else 1, False  # a part, as a length for each filter, has none
    if leaf == "weight" and _is_input_first(owner, shape):
        return (1,), 1, False
    return (0,), 1, len(shape) > 2 and not (isinstance(owner, _OUTPUT_FIRST) and leaf == "weight")


def _is_input_first(owner: nn.Module, shape: Sequence[int]) -> bool:
    """Whether a layer is GPT-2's Conv1D as Hugging Face's transformers have it: a linear layer whose weight is `(n_in, nf)`."""
    named = any(kind.__name__ == "Conv1D" for kind in type(owner).__mro__)
    return named and len(shape) == 2 and getattr(owner, "nf", None) == shape[1]


def select_parameters(
    weights: Mapping[str, Tensor], model_roles: Mapping[str, Role], ignore: Sequence[str], only: Only = None
) -> list[str]:
    """The parameters that move: those `only` (a glob, or a predicate) chooses, else the trainable ones that `ignore` does not hold back.

    With anything ignored, every parameter of at most one dimension stays fixed too.

    Raises:
        InputError: for unknown words in `ignore`, or when nothing is left to move.
    """
    for word in ignore:
        if word == "none":
            raise InputError("none stands alone: ignore bias, norm, both or none")
        if word not in IGNORABLE:
            raise InputError(f'cannot ignore "{word}": {did_you_mean(word, [*IGNORABLE, "none"])}')
    names = [
        name
        for name, role in model_roles.items()
        if is_movable(weights[name])
        and _is_chosen(name, weights[name], role, only)
        and not ("norm" in ignore and role.norm)
        and not ("bias" in ignore and role.bias)
        and not (ignore and weights[name].dim() <= 1)
    ]
    if not names:
        held = "the model has" if only is None else f'"{only}" names' if isinstance(only, str) else "the predicate only= chooses"
        raise InputError(
            f"no parameter moves: {held} none left to move with ignore={','.join(ignore) or 'none'}; see model.named_parameters()"
        )
    return names


def _is_chosen(name: str, weight: Tensor, role: Role, only: Only) -> bool:
    """Whether `only`, or its absence, lets a parameter move."""
    if only is None:
        return role.trainable
    if isinstance(only, str):
        return fnmatch.fnmatchcase(name, only)
    with users_code("the predicate only="):
        return bool(only(name, nn.Parameter(weight.detach(), requires_grad=role.trainable)))
