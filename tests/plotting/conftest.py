"""Surfaces to draw: planes and lines of given values, and the one plane whose every value says where it belongs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from landscape.core.surface import Axis, Metric, Point, Surface

METRICS = {
    "train_loss": Metric("train", "loss", "nats"),
    "test_loss": Metric("test", "loss", "nats"),
    "train_accuracy": Metric("train", "accuracy", "fraction"),
    "test_accuracy": Metric("test", "accuracy", "fraction"),
}


def build(kind: str, axes: tuple[Axis, ...], values: Mapping[str, Any], done: Any = None, **rest: Any) -> Surface:
    arrays = {key: np.asarray(array, dtype=np.float64) for key, array in values.items()}
    masks = {key: np.ones(array.shape, bool) if done is None else np.asarray(done, bool) for key, array in arrays.items()}
    return Surface(kind, axes, {key: METRICS[key] for key in arrays}, arrays, masks, **rest)


@pytest.fixture
def plane() -> Callable[..., Surface]:
    """A plane over axes x and y with a training loss: an array `[x, y]` or a function of x and y."""

    def make(x: Any, y: Any, loss: Any, name: str = "a plane", **rest: Any) -> Surface:
        x, y = np.asarray(x, float), np.asarray(y, float)
        values = loss(*np.meshgrid(x, y, indexing="ij")) if callable(loss) else loss
        axes = (
            Axis("x", x, {"label": "random direction, seed 0, filter-normalized", "norm": 12.3}),
            Axis("y", y, {"label": "random direction, seed 0, filter-normalized", "norm": 11.9}),
        )
        return build("surface", axes, {"train_loss": values}, attributes={"problem": name, **rest.pop("attributes", {})}, **rest)

    return make


@pytest.fixture
def line() -> Callable[..., Surface]:
    """A line over x with the given metrics, `(nx,)` or `(nx, n_draws)`."""

    def make(x: Any, name: str = "a line", **rest: Any) -> Surface:
        values = {key: np.asarray(rest.pop(key), float) for key in METRICS if key in rest}
        n_draws = next(array.shape[1] if array.ndim == 2 else 0 for array in values.values())
        axes = (Axis("x", np.asarray(x, float), {"label": "start to end", "norm": 31.2}),)
        axes += (Axis("seed", np.arange(n_draws) + 1.0, {"label": "seed"}),) if n_draws else ()
        return build("line", axes, values, attributes={"problem": name, **rest.pop("attributes", {})}, **rest)

    return make


@pytest.fixture
def tilted(plane: Callable[..., Surface]) -> Surface:
    """100·x + y on a 3 × 2 grid: no two values equal, so that a transposed or shifted one shows."""
    return plane([0.0, 1.0, 2.0], [0.0, 5.0], lambda x, y: 100 * x + y, points=(Point("trained", (0.0, 0.0), {"train_loss": 0.0}),))
