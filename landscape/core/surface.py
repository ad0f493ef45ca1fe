"""A surface: the values measured over a grid, in memory, finished or not."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from landscape.core.grid import Grid, coarser_axes
from landscape.errors import InputError, did_you_mean

__all__ = ["BY_METRIC", "UNSURE_BELOW", "Axis", "Metric", "Number", "Point", "Surface", "shown_by"]

# The arrays that a surface holds for each metric, or for some, and what stands where nothing is measured.
BY_METRIC = {"values": np.nan, "done": False, "stderr": np.nan, "low": np.nan, "high": np.nan, "effective": np.nan}

# Effective examples below which a standard error is flagged as unsure. Share of values within two of their standard errors, by the
# effective examples of their samples; 32 to 20,000 of 50,000 examples, 10⁴ to 10⁵ samples of each kind:
#
#                                    8 - 16   16 - 32   32 - 64   64 - 128   128 and more
#     normal                          0.950     0.950     0.956     0.953     0.953
#     exponential                     0.937     0.943     0.949     0.950     0.950
#     cross-entropy, margins 4 ± 3    0.932     0.948     0.949     0.950     0.957
#     0-1 losses, 6 % wrong           0.951     0.963     0.960     0.954     0.952
#     1 % of 20 on .05                0.979     0.959     0.945     0.961     0.966
#     lognormal, σ = 1                0.912     0.920     0.927     0.931     0.934
#     lognormal, σ = 2                0.662     0.631     0.674 (one sample in 500 has so many)
UNSURE_BELOW = 32


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
        """The length of the direction, ‖δ‖₂, in weight units, of several draws the median; NaN where it is not known."""
        return float(np.median(np.asarray(self.attributes.get("norm", np.nan), dtype=np.float64)))

    @property
    def has_draws(self) -> bool:
        """Whether it stands for several directions, one for each draw, with lengths of their own."""
        return isinstance(self.attributes.get("norm"), list | tuple | np.ndarray)

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
    """A model that lies in the plane: its place and its own values, evaluated independently of the grid."""

    name: str
    coordinates: tuple[float, ...]  # one for each spatial axis
    values: Mapping[str, float]  # "train_loss" -> its own loss


@dataclass(frozen=True)
class Number:
    """One measure of a surface with its unit.

    `bound` is "≥" where the grid ends before the measure does, "<" where its cells are wider than what is measured; `note` says what to
    do about it. A number that cannot be told is NaN, and `withheld` is the reason.
    """

    value: float
    unit: str
    bound: str = ""
    withheld: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        if self.withheld:
            object.__setattr__(self, "value", math.nan)  # one NaN for all, so that numbers withheld for one reason are equal

    def __str__(self) -> str:
        if self.withheld:
            return f"withheld: {self.withheld}"
        number = f"{self.bound}{' ' if self.bound else ''}{self.value:.4g} {self.unit}".rstrip()
        return f"{number}: {self.note}" if self.note else number


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
    low: Mapping[str, np.ndarray] = field(default_factory=dict)  # of fractions, instead of it: lower end of the 95 % interval
    high: Mapping[str, np.ndarray] = field(default_factory=dict)  # and its upper end
    effective: Mapping[str, np.ndarray] = field(default_factory=dict)  # n_eff: examples that carry the spread; NaN: all were used
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

    def copy(self) -> Surface:
        """The same surface with arrays of its own."""
        return self._restricted([np.arange(n) for n in self.shape])

    def _restricted(self, part: Sequence[np.ndarray]) -> Surface:
        """The surface at the indices `part`, one array for each axis."""
        chosen = np.ix_(*part)

        kinds = (*BY_METRIC, "examples")
        arrays: dict[str, Any] = {
            kind: {key: np.asarray(array)[chosen] for key, array in getattr(self, kind).items()} for kind in kinds
        }

        return replace(
            self,
            axes=tuple(replace(axis, values=axis.values[indices]) for axis, indices in zip(self.axes, part, strict=True)),
            **arrays,
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
            raise InputError(f'no metric "{key}" in this surface: {did_you_mean(key, self.metrics)}')
        return self.metrics[key]

    @property
    def basin_level(self) -> float:
        """How far above the origin's loss the basin reaches that numbers, figures and pages tell of; 1 where a file does not say."""
        return float(self.attributes.get("basin_level", 1.0))

    def origin(self, key: str) -> float:
        """The value at the origin: the model's own, else the grid's node at zero, else NaN.

        Where batch norm is recalibrated the model's own statistics are not the surface's: there the node comes first.
        """
        node = self._node_at_zero(key)
        if self.attributes.get("bn") == "recalibrated":
            return node if not np.isnan(node) else float(self.checks.get(f"origin_{key}", np.nan))
        for point in self.points:
            if not any(point.coordinates) and key in point.values:
                return float(point.values[key])
        return node

    def _node_at_zero(self, key: str) -> float:
        n_spatial = 1 if self.kind == "line" else 2
        zeros = [np.flatnonzero(axis.values == 0) for axis in self.axes[:n_spatial]]
        if any(zero.size == 0 for zero in zeros):
            return float("nan")
        return float(np.ravel(self.values[key][tuple(int(zero[0]) for zero in zeros)])[0])

    def errors(self, key: str) -> dict[str, np.ndarray]:
        """What the surface says of the errors of a metric, by the names of files: `<key>_stderr`, or `<key>_low` and `<key>_high`."""
        kinds = {"stderr": self.stderr, "low": self.low, "high": self.high}
        return {f"{key}_{kind}": arrays[key] for kind, arrays in kinds.items() if key in arrays}

    def show(self) -> None:
        """Print how it was made, its self-check and its numbers."""
        print(_describe(self))


_describe: Callable[[Surface], str] = repr


def shown_by(describe: Callable[[Surface], str]) -> Callable[[Surface], str]:
    """A decorator: `describe` makes the words that `Surface.show` prints. They need the measures, of which the core knows nothing."""
    global _describe
    _describe = describe
    return describe
