"""The ground a sweep stands on: the model whose weights move, and where they start from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor

from landscape.checkpoints import Checkpoint, weights_of
from landscape.core.directions import Direction, Only, Role
from landscape.core.modules import PRUNING, WEIGHT_NORM, effective, effective_name, pruned_entries, stored_in_parts
from landscape.core.weights import Weights, parameter_names, read
from landscape.errors import InputError
from landscape.problem import LambdaObjective, Problem

__all__ = ["BasePoint", "NamedWeights", "along_axes", "described_choice", "described_filters"]

_LISTED = 20  # parameters named one by one in an attribute
_LONGEST = 50_000  # letters of an attribute that has to hold them all


@dataclass(frozen=True, eq=False)
class NamedWeights:
    """A model that may lie in the subspace: its name, its weights by the names of the model that moves, and as they are stored."""

    name: str
    weights: Weights
    stored: Weights


@dataclass(frozen=True, eq=False)
class BasePoint:
    """The problem points are measured with, and the model at the origin.

    Attributes:
        given: the problem as the user gave it.
        problem: the same, or with a copy of the model whose effective weights are plain parameters.
        origin: the checkpoint there.
        effective: whether it is that copy.
        pruned: which entries of its weights are held at zero, by name.
        attributes: what a file says of it.
    """

    given: Problem
    problem: Problem
    origin: NamedWeights
    effective: bool = False
    pruned: Mapping[str, Tensor] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def stored(cls, problem: Problem, checkpoint: Checkpoint | None, name: str) -> BasePoint:
        """The weights as they are stored: what lines between checkpoints, and directions from files, move."""
        weights = weights_of(checkpoint, problem.model)
        return cls(problem, problem, NamedWeights(name, weights, weights))

    def baked(self) -> BasePoint:
        """The same model by its effective weights, which random directions move; itself where all weights are stored as they are.

        Under weight norm, spectral norm, parametrizations and pruning, a layer computes with a weight that it stores in parts. The
        loss depends on that weight alone, so that filters and their lengths are the weight's own, whatever the parts are.
        """
        parts = stored_in_parts(self.problem.model)
        if not parts:
            return self
        model = effective(self.problem.model, self.origin.stored)
        weights = read(model)
        held = pruned_entries(self.problem.model, weights, self.origin.stored)
        constrained = [name for name, ways in parts.items() if not {WEIGHT_NORM, PRUNING}.issuperset(ways)]
        attributes = {"effective_weights": _listed([f"{name} ({', '.join(dict.fromkeys(ways))})" for name, ways in parts.items()])}
        if constrained:
            attributes["leaves_constraint"] = _listed(constrained)
        origin = NamedWeights(self.origin.name, weights, self.origin.stored)
        return BasePoint(self.given, self.problem.with_model(model), origin, True, held, attributes)

    def check_only(self, only: Only) -> None:
        """Refuse a glob that names parts of weights, where the weights move as a whole.

        Raises:
            InputError: naming the weight.
        """
        if (
            not isinstance(only, str)
            or not self.effective
            or any(fnmatchcase(name, only) for name in parameter_names(self.problem.model))
        ):
            return
        modules = dict(self.given.model.named_modules())
        for name in parameter_names(self.given.model):
            if fnmatchcase(name, only):
                raise InputError(
                    f'"{only}" names {name}, a part of a weight; random directions move what the layer computes with, '
                    f"{effective_name(modules, name)}: name that"
                )

    def naming(self, names: Sequence[str]) -> BasePoint:
        """The ground that has weights of some names: by its effective weights where one of them is among the names."""
        return self if set(names).isdisjoint(stored_in_parts(self.problem.model)) else self.baked()


def described_filters(problem: Problem, model_roles: Mapping[str, Role], names: Sequence[str]) -> dict[str, str]:
    """How parameters are cut into filters, where that is the user's word or a guess, as attributes of a file."""
    given = "; ".join(f"{glob}: {', '.join(map(str, axes))}" for glob, axes in problem.filters.items())
    guessed = [name for name in names if model_roles[name].by_default]
    found = {"filters": given, "filters_by_default": _listed(guessed)}
    return {name: text for name, text in found.items() if text}


def described_choice(ignored: Sequence[str], only: Only, names: Sequence[str]) -> dict[str, Any]:
    """What a file says of the parameters that move: of `only` the glob, or the names that a predicate chose.

    Of very many it says the first, and a digest of all.
    """
    text = only or "" if only is None or isinstance(only, str) else ", ".join(names)
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}… sha256 {hashlib.sha256(text.encode()).hexdigest()}"
    return {"ignore": ",".join(ignored) or "none", "only": text}


def along_axes(function: LambdaObjective, axes: Sequence[str]) -> tuple[list[Direction], dict[str, Any]]:
    """The unit vectors of a function's coordinates, and what a file says of them.

    Raises:
        InputError: for more axes than it has coordinates.
    """
    if len(axes) > function.n_coordinates:
        raise InputError(f"{function.name} is a function of one coordinate, which has a line and no surface")
    units = torch.eye(function.n_coordinates, dtype=torch.float64)
    directions = [
        Direction({"place": unit}, attributes={"label": axis, "source": "function", "normalize": "none"})
        for axis, unit in zip(axes, units, strict=False)
    ]
    told = {"ignore": "none", "only": "", "objective": "a function of the coordinates: no weights, no self-check"}
    return directions, told | ({"cosine": 0.0} if len(axes) > 1 else {})


def _listed(names: Sequence[str]) -> str:
    """Some names in a text of moderate length."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
