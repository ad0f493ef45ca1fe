"""Small surfaces for the tests of the page, and the page as a parser and a strict JSON reader see it."""

from __future__ import annotations

import base64
import json
import zlib
from html.parser import HTMLParser
from typing import Any

import numpy as np

from landscape.core.surface import Axis, Metric, Number, Point, Surface
from landscape.viewer import page

HOSTILE = "</script><script>window.pwned=1</script></script ><!--<script>"
MARKUP = "<b>x</b><a href='#'>&amp;</a>"  # Plotly's labels know some HTML
HOSTILE_NAME = "\"><img src=x onerror='window.pwned=2'><b>it's</b>\u2028&lt;"


def metrics_of(values: dict[str, np.ndarray]) -> dict[str, Metric]:
    units = {"loss": "nats", "accuracy": ""}
    return {key: Metric(*key.split("_", 1), units.get(key.split("_", 1)[1], "")) for key in values}


def plane(x: Any, y: Any, problem: str = "plane", **values: np.ndarray) -> Surface:
    """A plane over `x` and `y`; each keyword is a metric's key with its `(nx, ny)` values, all of them measured."""
    arrays = {key: np.asarray(value, dtype=np.float64) for key, value in values.items()}
    return Surface(
        kind="surface",
        axes=(Axis("x", np.asarray(x, dtype=np.float64)), Axis("y", np.asarray(y, dtype=np.float64))),
        metrics=metrics_of(arrays),
        values=arrays,
        done={key: np.ones(value.shape, dtype=bool) for key, value in arrays.items()},
        attributes={"problem": problem},
    )


def line(x: Any, loss: Any, problem: str = "line") -> Surface:
    """A line over `x`: losses `(nx,)`, or `(nx, n_draws)` for several draws."""
    loss = np.asarray(loss, dtype=np.float64)
    axes = (Axis("x", np.asarray(x, dtype=np.float64), {"label": "from A to B"}),)
    if loss.ndim == 2:
        axes += (Axis("seed", np.arange(loss.shape[1], dtype=np.float64)),)
    values = {"train_loss": loss}
    return Surface(
        "line", axes, metrics_of(values), values, {"train_loss": np.ones(loss.shape, bool)}, attributes={"problem": problem}
    )


def changed(surface: Surface, **fields: Any) -> Surface:
    return Surface(**{**surface.__dict__, **fields})


def tilted(problem: str = "tilted", slope: float = 100.0) -> Surface:
    """The plane 100·x + y on a 3×2 grid: exact at every node, and no two nodes alike."""
    x, y = np.array([1.0, 2.0, 3.0]), np.array([10.0, 20.0])
    loss = slope * x[:, None] + y[None, :]
    return plane(x, y, problem, train_loss=loss, train_accuracy=loss / 1000)


def hostile() -> Surface:
    surface = tilted(HOSTILE)
    return changed(
        surface,
        axes=(Axis("x", surface.x, {"label": HOSTILE_NAME}), Axis("y", surface.y, {HOSTILE_NAME: HOSTILE, "label": "\ud800"})),
        points=(Point(HOSTILE_NAME, (2.0, 10.0), {"train_loss": 210.0}), Point(MARKUP, (1.0, 20.0), {"train_loss": 120.0})),
        numbers={HOSTILE: Number(1.0, HOSTILE_NAME)},
        checks={HOSTILE_NAME: HOSTILE},
        runs=({"command": HOSTILE, HOSTILE: HOSTILE_NAME},),
    )


def unfinished() -> Surface:
    """A plane of 17 × 17 points: training measured at 100 of them, coarse to fine, the test split at the corners and the origin."""
    x = np.linspace(-1, 1, 17)
    loss = 1 + np.arange(17.0)[:, None] + 100 * np.arange(17.0)[None, :]
    surface = plane(x, x, "unfinished", train_loss=loss, train_accuracy=loss / 2000, test_loss=loss + 0.5)
    visited = list(surface.grid.indices())
    done = {key: np.zeros((17, 17), bool) for key in surface.metrics}
    for key, mask in done.items():
        mask[tuple(np.transpose(visited[: 9 if key == "test_loss" else 100]))] = True
    values = {key: np.where(mask, surface.values[key], np.nan) for key, mask in done.items()}
    return changed(surface, values=values, done=done)


class Parts(HTMLParser):
    """The elements of a page as a parser sees them, and the text of each script."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self.feed(document)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.lasttag == "script" and self.scripts and self.cdata_elem == "script":
            self.scripts[-1] += data
        else:
            self.text += data


def unpacked(data: dict[str, Any]) -> dict[str, Any]:
    """`data` with every reference replaced by the rows it stands for."""
    raw = np.frombuffer(zlib.decompress(base64.b64decode(data["numbers"])), dtype=np.uint8)
    numbers = np.ascontiguousarray(raw.reshape(8, -1).T).view("<f8").ravel()

    def rows(reference: list[int]) -> list[list[float | None]]:
        offset, n_rows, n_columns = reference
        block = numbers[offset : offset + n_rows * n_columns].reshape(n_rows, n_columns)
        return [[value if np.isfinite(value) else None for value in row] for row in block.tolist()]

    for surface in [*data["planes"], *data["lines"]]:
        for name in ("values", "values_beyond", "stderr", "examples", "quartiles"):
            if name in surface:
                surface[name] = {key: rows(reference) for key, reference in surface[name].items()}
    return data


def embedded(surfaces: list[Surface], **options: Any) -> dict[str, Any]:
    """What the page holds, parsed back as a strict reader would: NaN and Infinity are no JSON."""

    def refuse(token: str) -> None:
        raise AssertionError(f"{token} is no JSON")

    return unpacked(json.loads(Parts(page(surfaces, **options)).scripts[0], parse_constant=refuse))
