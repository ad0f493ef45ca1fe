"""A surface: the values measured over a grid, in memory, finished or not."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from landscape.errors import InputError, nearest
from landscape.grid import Grid, coarser_axes

__all__ = ["Axis", "Metric", "Number", "Point", "Surface"]


@dataclass(frozen=True, eq=False)
class Axis:
    """One axis of a surface: a name (`x`, `y`, or `seed` for several draws), its coordinates, and what is known of its direction."""

    name: str
    values: np.ndarray  # (n,) float64
    attributes: Mapping[str, Any] = field(default_factory=dict)  # label, source, seed, normalize, from, to, norm, sha256

    @property
    def label(self) -> str:
        """What the axis is, in words."""
        return str(self.attributes.get("label", self.name))

    @property
    def norm(self) -> float:
        """The length of the direction, ‖δ‖₂, in weight units; NaN where it is not known."""
        return float(self.attributes.get("norm", np.nan))

    @property
    def text(self) -> str:
        """The coordinates as the command line writes them, `start:stop:n`.

        >>> Axis("x", np.linspace(-1, 1, 51)).text
        '-1:1:51'
        """
        return f"{self.values[0]:g}:{self.values[-1]:g}:{len(self.values)}"


@dataclass(frozen=True)
class Metric:
    """What one array of values holds: the split and the metric it was measured on, and its unit."""

    split: str
    name: str
    unit: str

    @property
    def key(self) -> str:
        """The name of the array in files and mappings, `<split>_<metric>`."""
        return f"{self.split}_{self.name}"


@dataclass(frozen=True)
class Point:
    """A model that lies in the plane: its place and its own values, measured apart from the grid."""

    name: str
    coordinates: tuple[float, ...]  # one for each spatial axis
    values: Mapping[str, float]  # "train_loss" -> its own loss


@dataclass(frozen=True)
class Number:
    """One measure of a surface with its unit.

    `bound` is "≥" where the grid ends before the measure does, "<" where its cells are wider than what is measured. A number that
    cannot be told is NaN, and `withheld` is the reason.
    """

    value: float
    unit: str
    bound: str = ""
    withheld: str = ""

    def __str__(self) -> str:
        if self.withheld:
            return f"withheld: {self.withheld}"
        return f"{self.bound}{' ' if self.bound else ''}{self.value:.4g} {self.unit}".rstrip()


@dataclass(frozen=True, eq=False)
class Surface:
    """The values over a grid, as they were measured: a line (`x`), several draws of a line (`x`, `seed`) or a plane (`x`, `y`).

    Arrays are indexed [x], [x, seed] or [x, y]. A point not measured yet is NaN with `done` False;
    NaN, infinite, zero and negative values with `done` True are what was measured.
    """

    kind: str  # "line" or "surface"
    axes: tuple[Axis, ...]
    metrics: Mapping[str, Metric]  # "train_loss" -> Metric; the first one is what is drawn by default
    values: Mapping[str, np.ndarray]  # (nx,) or (nx, ny) float64
    done: Mapping[str, np.ndarray]  # the same shape, bool
    stderr: Mapping[str, np.ndarray] = field(default_factory=dict)  # the same shape, float64; standard error of the mean
    examples: Mapping[str, np.ndarray] = field(default_factory=dict)  # split -> the same shape, int64
    seconds: np.ndarray | None = None  # the same shape, float64
    attributes: Mapping[str, Any] = field(default_factory=dict)  # the file's root attributes: problem, bn, precision, cosine, ...
    data: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # split -> sha256, size, used, order
    points: tuple[Point, ...] = ()
    checks: Mapping[str, Any] = field(default_factory=dict)
    numbers: Mapping[str, Number] = field(default_factory=dict)
    runs: tuple[Mapping[str, Any], ...] = ()

    @property
    def grid(self) -> Grid:
        """The axes as a grid."""
        return Grid(tuple(axis.values for axis in self.axes))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of every array: (nx,), (nx, n_draws) or (nx, ny)."""
        return self.grid.shape

    @property
    def x(self) -> np.ndarray:
        """The first axis, `(nx,)`."""
        return self.axes[0].values

    @property
    def y(self) -> np.ndarray:
        """The second axis of a plane, `(ny,)`.

        Raises:
            InputError: for a line.
        """
        if self.kind != "surface":
            raise InputError("a line has no y axis")
        return self.axes[1].values

    @property
    def n_draws(self) -> int:
        """How many random directions a line was measured along; 1 for a plane."""
        return len(self.axes[1].values) if self.kind == "line" and len(self.axes) == 2 else 1

    @property
    def complete(self) -> bool:
        """Whether every value is measured."""
        return all(bool(mask.all()) for mask in self.done.values())

    def complete_part(self, key: str) -> Surface | None:
        """The finest grid within this one on which `key` is measured everywhere; None where not even ends and origin are.

        Points are visited coarse to fine, so that a run which ended early has measured a coarser grid of the whole, and some points
        beyond it, which are left out. Of several draws of a line all are kept.
        """
        done = np.asarray(self.done[key], dtype=bool)
        if done.all():
            return self
        choices = [[np.arange(len(axis.values))] if axis.name == "seed" else coarser_axes(axis.values) for axis in self.axes]
        finest_first = sorted(
            itertools.product(*choices), key=lambda part: (-np.prod([len(p) for p in part]), -min(map(len, part)))
        )
        part = next((part for part in finest_first if done[np.ix_(*part)].all()), None)
        return None if part is None else self._restricted(part)

    def _restricted(self, part: Sequence[np.ndarray]) -> Surface:
        """The surface at the indices `part`, one array for each axis."""
        chosen = np.ix_(*part)

        def cut(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {key: np.asarray(array)[chosen] for key, array in arrays.items()}

        return replace(
            self,
            axes=tuple(replace(axis, values=axis.values[indices]) for axis, indices in zip(self.axes, part, strict=True)),
            values=cut(self.values),
            done=cut(self.done),
            stderr=cut(self.stderr),
            examples=cut(self.examples),
            seconds=None if self.seconds is None else self.seconds[chosen],
        )

    def metric(self, key: str | None = None) -> Metric:
        """The metric stored under `key`; without one, the training loss, or the first loss there is.

        Raises:
            InputError: when the surface does not hold it.
        """
        if key is None:
            losses = [name for name, metric in self.metrics.items() if metric.name == "loss"]
            key = "train_loss" if "train_loss" in losses else next(iter([*losses, *self.metrics]), "train_loss")
        if key not in self.metrics:
            raise InputError(f'no metric "{key}" in this surface: {nearest(key, self.metrics)}')
        return self.metrics[key]

    def same_examples(self, split: str) -> bool:
        """Whether every measured point used the same examples of `split`, so that differences between points are exact.

        A point without a value does not count: its pass ended where the loss became NaN.
        """
        counts = self.examples.get(split)
        if counts is None or float(self.attributes.get("tolerance", 0.0) or 0.0) > 0:
            return counts is None
        lost = np.isnan(self.values[f"{split}_loss"]) if f"{split}_loss" in self.values else np.zeros(counts.shape, dtype=bool)
        used = counts[(counts > 0) & ~lost]
        return used.size == 0 or bool((used == used[0]).all())

    def origin(self, key: str) -> float:
        """The value at the origin: the model's own where it was measured apart, else the grid's node at zero, else NaN."""
        for point in self.points:
            if not any(point.coordinates) and key in point.values:
                return float(point.values[key])
        n_spatial = 1 if self.kind == "line" else 2
        zeros = [np.flatnonzero(axis.values == 0) for axis in self.axes[:n_spatial]]
        if any(zero.size == 0 for zero in zeros):
            return float("nan")
        return float(np.ravel(self.values[key][tuple(int(zero[0]) for zero in zeros)])[0])

    def show(self) -> None:
        """Print how it was made, its self-check and its numbers."""
        from landscape.description import describe  # here, because the description reads surfaces

        print(describe(self))
