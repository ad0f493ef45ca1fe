"""The plan of a sweep: which subspace, over which axes, around which models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from landscape.checkpoints import Checkpoint, names_of
from landscape.core.directions import (
    Direction,
    Normalization,
    between,
    check_finite,
    cosine,
    cosine_spread,
    from_arrays,
    offload_to_host,
    orthogonalize,
    random_direction,
    roles,
    select_parameters,
)
from landscape.core.grid import AxisLike, Grid, axis_values
from landscape.core.subspace import Subspace
from landscape.core.surface import Axis
from landscape.core.weights import Weights, digest, parameter_names
from landscape.errors import InputError
from landscape.problem import LambdaObjective, Problem
from landscape.sweep.base import BasePoint, NamedWeights, along_axes, described_choice, described_filters
from landscape.sweep.batch_norm_policy import settle_policy
from landscape.sweep.options import Options
from landscape.sweep.seeds import check_seeds

__all__ = ["Plan", "plan_line", "plan_surface"]

BETWEEN_LINE = (-0.5, 1.5, 401)
BETWEEN_PLANE = (-0.5, 1.5, 51)
AROUND = (-1.0, 1.0, 51)


@dataclass(frozen=True, eq=False)
class Plan:
    """All that is decided before anything is measured.

    Random directions move a model's effective weights: then origin and directions are those of a copy in which each weight that the
    user's model stores in parts is a plain parameter.
    """

    problem: Problem  # with the model whose weights move
    original: Problem  # as the user gave it
    effective: bool  # whether the two models differ: subspace and `problem` are of effective weights
    kind: str  # "line" or "surface"
    axes: tuple[Axis, ...]
    subspace: Subspace
    bn: str
    seed: int
    models: tuple[NamedWeights, ...]  # the origin first
    attributes: Mapping[str, Any] = field(default_factory=dict)  # ignore, only, cosine, cosine_sd, bn_layers, bn_reason

    @property
    def grid(self) -> Grid:
        """The axes as a grid."""
        return Grid(tuple(axis.values for axis in self.axes))

    @property
    def calibrates(self) -> bool:
        """Whether running statistics are estimated anew at each point."""
        return self.bn == "recalibrated" and self.attributes.get("bn_layers", 0) > 0

    @property
    def n_draws(self) -> int:
        """How many random directions a line is measured along; 1 for a plane."""
        return len(self.axes[1].values) if self.kind == "line" and len(self.axes) == 2 else 1

    def place(self, index: Sequence[int]) -> tuple[float, ...]:
        """The coordinates in the subspace of the grid point at `index`; a draw of a line is the direction of its number."""
        coordinates = self.grid.coordinates(index)
        if self.n_draws == 1 and len(self.subspace.directions) == len(coordinates):
            return coordinates
        place = [0.0] * self.n_draws
        place[index[1]] = coordinates[0]
        return tuple(place)

    def offloaded(self, device: torch.device) -> Plan:
        """The plan with its directions where the device's own memory does not hold them."""
        directions = tuple(offload_to_host(direction, device) for direction in self.subspace.directions)
        return replace(self, subspace=Subspace(self.subspace.origin, directions))

    def parameters_of(self, weights: Mapping[str, Tensor]) -> Weights:
        """The parameters among some weights."""
        return {name: weights[name] for name in parameter_names(self.problem.model)}


def plan_line(
    problem: Problem,
    start: Checkpoint | None,
    end: Checkpoint | None,
    x: AxisLike | None,
    seeds: Sequence[int] | None,
    geometry: Options,
) -> Plan:
    """A line: between two checkpoints, along a random direction, or along several.

    Raises:
        InputError: for options that do not go together, and whatever checkpoints, directions and axes object to.
    """
    seeds = None if seeds is None else check_seeds(seeds)
    names = names_of({"model": start, "end": end})
    base = BasePoint.stored(problem, start, names[0])
    values = axis_values(x if x is not None else BETWEEN_LINE if end is not None else AROUND)
    if end is not None:
        if seeds is not None:
            raise InputError("several seeds draw random directions; a line between two checkpoints has one direction")
        goal = BasePoint.stored(problem, end, names[1]).origin
        directions, bn, attributes = _differences(problem, geometry, [base.origin, goal], False, {"x": values})
        along = Axis("x", values, directions[0].to_attributes())
        return _plan(problem, base, "line", (along,), directions, bn, geometry.seed, [goal], attributes)
    base, directions, bn, attributes = _spanning(base, geometry, {"x": values}, seeds)
    axes: tuple[Axis, ...] = (Axis("x", values, directions[0].to_attributes()),)
    if seeds is not None:
        first = directions[0].to_attributes()
        shared = {
            "label": f"random directions, {first['normalize']}-normalized",
            "source": "random",
            "normalize": first["normalize"],
        }
        digests = {"sha256": [direction.sha256 for direction in directions], "norm": [direction.norm for direction in directions]}
        draws = Axis("seed", np.array(seeds, dtype=np.float64), {"label": "seed"})
        axes = (Axis("x", values, {**shared, **digests}), draws)
    return _plan(problem, base, "line", axes, directions, bn, geometry.seed, [], attributes)


def plan_surface(
    problem: Problem,
    start: Checkpoint | None,
    end_x: Checkpoint | None,
    end_y: Checkpoint | None,
    x: AxisLike | None,
    y: AxisLike | None,
    orthogonal: bool,
    geometry: Options,
) -> Plan:
    """A plane: random around one checkpoint, or through three.

    Raises:
        InputError: for two checkpoints, options that do not go together, and whatever checkpoints, directions and axes object to.
    """
    if (end_x is None) != (end_y is None):
        raise InputError(
            "a plane takes one checkpoint (random directions) or three (the plane through them), not two; for two, use line"
        )
    through = end_x is not None
    default = BETWEEN_PLANE if through else AROUND
    values = {name: axis_values(axis if axis is not None else default) for name, axis in (("x", x), ("y", y))}
    names = names_of({"model": start, "end_x": end_x, "end_y": end_y})
    base = BasePoint.stored(problem, start, names[0])
    goals = []
    if through:
        goals = [BasePoint.stored(problem, goal, name).origin for name, goal in zip(names[1:], (end_x, end_y), strict=True)]
        directions, bn, attributes = _differences(problem, geometry, [base.origin, *goals], orthogonal, values)
    else:
        base, directions, bn, attributes = _spanning(base, geometry, values, None)
        if orthogonal:
            directions[1], _ = orthogonalize(directions[1], directions[0])
            attributes["cosine"] = cosine(*directions)
    if attributes["cosine"] ** 2 > 1 - 1e-10:
        why = (
            "are two of the checkpoints the same?"
            if through
            else (
                "where every filter is a single number, its length alone says all but the sign: try --normalize layer, or --ignore none"
            )
        )
        raise InputError(f"the two directions are parallel and span no plane; {why}")
    axes = tuple(Axis(name, v, d.to_attributes()) for (name, v), d in zip(values.items(), directions, strict=True))
    return _plan(problem, base, "surface", axes, directions, bn, geometry.seed, goals, attributes)


def _plan(
    problem: Problem,
    base: BasePoint,
    kind: str,
    axes: tuple[Axis, ...],
    directions: Sequence[Direction],
    bn: str,
    seed: int,
    goals: Sequence[NamedWeights],
    attributes: Mapping[str, Any],
) -> Plan:
    subspace = Subspace(base.origin.weights, tuple(directions))
    # What the checkpoint holds, whatever is moved of it, so that files of one checkpoint are known by one digest.
    attributes = {"weights_sha256": digest(base.origin.stored), **attributes, **base.attributes}
    models = (base.origin, *goals)
    return Plan(base.problem, base.given, base.effective, kind, axes, subspace, bn, seed, models, attributes)


def _differences(
    problem: Problem, geometry: Options, models: Sequence[NamedWeights], orthogonal: bool, axes: Mapping[str, np.ndarray]
) -> tuple[list[Direction], str, dict[str, Any]]:
    """The directions from the first model to the others, what running statistics do, and the attributes to store."""
    if geometry.normalize not in (None, "none"):
        raise InputError("directions between checkpoints keep their length; --normalize is for random directions")
    if geometry.directions is not None:
        raise InputError("--directions replaces random directions; it cannot be used with several checkpoints")
    origin, ignored = models[0], geometry.ignored or ()
    model_roles = roles(problem.model)
    names = select_parameters(origin.weights, model_roles, ignored, geometry.only)
    directions = [between(origin.weights, goal.weights, problem.model, names, (origin.name, goal.name)) for goal in models[1:]]
    attributes = described_choice(ignored, geometry.only, names)
    if len(directions) == 2:
        if orthogonal:
            directions[1], _ = orthogonalize(directions[1], directions[0])
        attributes["cosine"] = cosine(*directions)
        attributes["cosine_sd"] = cosine_spread(origin.weights, model_roles, names, "none")
    policy = settle_policy(problem, geometry.bn, origin.weights, directions, axes)
    return policy.directions, policy.bn, {**attributes, **policy.attributes}


def _spanning(
    base: BasePoint, geometry: Options, axes: Mapping[str, np.ndarray], seeds: Sequence[int] | None
) -> tuple[BasePoint, list[Direction], str, dict[str, Any]]:
    """Directions drawn at random or read from a file, of which weights, what running statistics do, and the attributes to store."""
    own = "coordinates of a function" if isinstance(base.problem, LambdaObjective) else "directions from a file"
    fixed = isinstance(base.problem, LambdaObjective) or geometry.directions is not None
    if fixed and any(choice is not None for choice in (geometry.normalize, geometry.ignore, geometry.only, seeds)):
        raise InputError(f"{own} are used as they are; --normalize, --ignore, --only and --seeds do not apply to them")
    if isinstance(base.problem, LambdaObjective) and geometry.directions is None:
        directions, attributes = along_axes(base.problem, list(axes))
        return base, directions, "frozen", attributes
    ignored: tuple[str, ...] = ()
    normalize: Normalization = "none"
    if geometry.directions is not None:
        base, directions = _from_file(Path(geometry.directions), base, list(axes))
        model_roles = roles(base.problem.model, base.problem.filters)
        names = list(directions[0].parameters)
        check_finite({name: base.origin.weights[name] for name in names}, base.origin.name)
    else:
        base = base.baked()
        model_roles = roles(base.problem.model, base.problem.filters)
        normalize = geometry.normalize or "filter"
        ignored = ("bias", "norm") if geometry.ignored is None else geometry.ignored
        base.check_only(geometry.only)
        names = select_parameters(base.origin.weights, model_roles, ignored, geometry.only)
        check_finite({name: base.origin.weights[name] for name in names}, base.origin.name)
        draws = [(geometry.seed, axis) for axis in axes] if seeds is None else [(seed, "x") for seed in seeds]
        start, pruned = base.origin.weights, base.pruned
        directions = [random_direction(start, model_roles, names, seed, axis, normalize, pruned) for seed, axis in draws]
    attributes = described_choice(ignored, geometry.only, names)
    if normalize in ("filter", "unit-filter") or callable(normalize):
        attributes |= described_filters(base.problem, model_roles, names)
    if len(directions) > 1:
        attributes["cosine"] = cosine(directions[0], directions[1])
        if isinstance(normalize, str):  # what a function's directions would show, nobody knows
            attributes["cosine_sd"] = cosine_spread(base.origin.weights, model_roles, names, normalize, base.pruned)
    policy = settle_policy(base.problem, geometry.bn, base.origin.weights, directions, axes)
    return base, policy.directions, policy.bn, {**attributes, **policy.attributes}


def _from_file(path: Path, base: BasePoint, axes: Sequence[str]) -> tuple[BasePoint, list[Direction]]:
    """The directions in a file of ours or of tomgoldstein/loss-landscape, and what they move: effective weights by their names."""
    from landscape import io

    found = io.any_directions(path)
    missing = next((axis for axis in axes if axis not in found), None)
    if missing is not None:
        raise InputError(f"{path}: holds no {missing} direction; one of our files needs --save-directions when it is made")
    base = base.naming([name for axis in axes if isinstance(found[axis], Mapping) for name in found[axis]])
    weights, model = base.origin.weights, base.problem.model
    return base, [from_arrays(found[axis], weights, model, f"{axis} direction of {path.name}") for axis in axes]
