"""Planes and lines of given values, for tests of what is computed from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from landscape.core.grid import AxisLike, axis_values
from landscape.core.surface import Axis, Metric, Number, Point, Surface

LOSS = Metric("train", "loss", "nat")


def plane(values: np.ndarray, x: AxisLike, y: AxisLike, origin: float | None = None, **rest: Any) -> Surface:
    """A plane of these values; `origin` is the model's own loss where the grid has no node at the origin."""
    axes = (
        Axis("x", axis_values(x), {"source": "random", "norm": 4.0}),
        Axis("y", axis_values(y), {"source": "random", "norm": 9.0}),
    )
    points = () if origin is None else (Point("model", (0.0, 0.0), {"train_loss": origin}),)
    rest.setdefault("done", {"train_loss": np.ones(values.shape, dtype=bool)})
    return Surface("surface", axes, {"train_loss": LOSS}, {"train_loss": values}, points=points, **rest)


def plane_of(function: Callable[..., np.ndarray], x: AxisLike, y: AxisLike, **rest: Any) -> Surface:
    values = function(*np.meshgrid(axis_values(x), axis_values(y), indexing="ij"))
    return plane(values + np.zeros((len(axis_values(x)), len(axis_values(y)))), x, y, **rest)


def line(values: Any, x: AxisLike, source: str = "difference", origin: float | None = None, **rest: Any) -> Surface:
    values = np.asarray(values, dtype=np.float64)
    points = () if origin is None else (Point("model", (0.0,), {"train_loss": origin}),)
    rest.setdefault("done", {"train_loss": np.ones(values.shape, dtype=bool)})
    axis = Axis("x", axis_values(x), {"source": source, "norm": 5.0})
    return Surface("line", (axis,), {"train_loss": LOSS}, {"train_loss": values}, points=points, **rest)


def value(number: Number | None) -> float:
    assert number is not None
    return number.value


def transposed(surface: Surface) -> Surface:
    turn = {name: {key: array.T for key, array in getattr(surface, name).items()} for name in ("values", "done")}
    return replace(surface, axes=surface.axes[::-1], **turn)


def manhattan(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Linear inside each cell of a grid with nodes on both axes, so the triangles reproduce it: {≤ 1} is a square of area 2."""
    return np.abs(x) + np.abs(y)
