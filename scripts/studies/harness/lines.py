"""Lines from initialization to solution, and trainings epoch by epoch: in numbers, and as curves over several seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from landscape.core.surface import Number, Surface
from landscape.measures import alpha_half, bump, climb, convexity, turning_points_between
from landscape.plotting import Trace

__all__ = ["describe_lead", "describe_line", "describe_way", "drops", "rises", "trace_histories", "trace_lines"]

_MEASURES: dict[str, Callable[[Surface, str], Number | None]] = {
    "greatest climb (of the drop)": climb,
    "bump above the chord (of the drop)": bump,
    "turning points": turning_points_between,
    "share of the line that is convex": convexity,
    "α at half the drop": alpha_half,
}


def describe_line(name: str, line: Surface, split: str) -> dict[str, float]:
    """Every measure of the way from one model to another on the loss of a split, under `NAME: MEASURE`; NaN where it is not defined."""
    found = {what: measure(line, f"{split}_loss") for what, measure in _MEASURES.items()}
    numbers = {f"{name}: {what}": math.nan if number is None else number.value for what, number in found.items()}
    end = line.values[f"{split}_loss"][line.x == 1]
    return {f"{name}: loss at α = 1 (nat)": float(end[0]) if end.size else math.nan, **numbers}


def describe_way(line: Surface) -> dict[str, float]:
    """The way from a start to its solution, for a start that may be near: how long, how high above the start, and the greatest climb."""
    loss, climbed = line.values["train_loss"], climb(line)
    rise = float(loss[(line.x >= 0) & (line.x <= 1)].max() - loss[line.x == 0][0])
    share = math.nan if climbed is None else climbed.value
    return {"rise above the start on the line (nat)": rise, "climb on the line / drop": share, "way travelled": line.axes[0].norm}


def rises(line: Surface, split: str = "train") -> np.ndarray:
    """How far the loss stands above the origin's at both ends of a line, or of each of its draws: `(2,)` or `(2, n_draws)`."""
    key = f"{split}_loss"
    return np.asarray(line.values[key][[0, -1]] - line.origin(key))


def trace_lines(name: str, lines: Sequence[Surface], key: str = "train_loss", share: bool = False) -> Trace:
    """Lines of several seeds on one axis as one curve, with their range; of one line with several draws, these.

    Args:
        name: of the curve.
        lines: values `(nx,)` each, or one of `(nx, n_draws)`.
        key: the values.
        share: draw shares of the drop, `drops`, instead of the values.
    """
    values = np.concatenate([np.atleast_2d(line.values[key].T) for line in lines])
    return Trace(name, lines[0].x, drops(lines[0].x, values) if share else values)


def trace_histories(
    name: str, histories: Sequence[Sequence[Mapping[str, float]]], key: str, before: Sequence[float] | None = None
) -> Trace:
    """What trainings of several seeds wrote at each epoch, as one curve, with its range.

    Args:
        name: of the curve.
        histories: the lines of each training, of equally many epochs.
        key: as `test_loss`.
        before: the value of each before its first epoch, NaN where it is not known; drawn at epoch 0.
    """
    values = np.array([[line[key] for line in history] for history in histories], dtype=np.float64)
    epochs = np.array([line["epoch"] for line in histories[0]], dtype=np.float64)
    if before is not None:
        values, epochs = np.column_stack([np.asarray(before, dtype=np.float64), values]), np.append(epochs[0] - 1, epochs)
    return Trace(name, epochs, values)


def describe_lead(ahead: Sequence[Mapping[str, float]], behind: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """How far a training is ahead of another after one epoch, by their histories; one more epoch than there are where it is not caught up.

    >>> describe_lead([{"test_loss": 0.2}], [{"test_loss": 0.8}, {"test_loss": 0.3}, {"test_loss": 0.1}])
    {'test loss after an epoch / from scratch': 0.25, 'epochs from scratch to where the student is after one': 3}
    """
    first, losses = ahead[0]["test_loss"], [line["test_loss"] for line in behind]
    reached = next((epoch for epoch, loss in enumerate(losses, 1) if loss <= first), len(losses) + 1)
    return {
        "test loss after an epoch / from scratch": first / losses[0],
        "epochs from scratch to where the student is after one": reached,
    }


def drops(x: np.ndarray, values: np.ndarray) -> np.ndarray:
    """What is left of the drop from α = 0 to α = 1, values `(n, nx)` over x `(nx,)` ascending: (L(α) - L(1)) / (L(0) - L(1)).

    >>> drops(np.array([0.0, 0.5, 1.0]), np.array([[5.0, 2.0, 1.0]])).tolist()
    [[1.0, 0.25, 0.0]]
    """
    start, end = (np.array([np.interp(alpha, x, row) for row in values])[:, None] for alpha in (0.0, 1.0))
    return np.asarray((values - end) / (start - end))
