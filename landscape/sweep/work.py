"""What the ranks did, and where the time went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from landscape.progress import duration

__all__ = ["Work", "described", "summary"]

_GIGABYTE = 2**30


@dataclass
class Work:
    """What one rank did: its points and examples, and seconds by where they went.

    `points` seconds hold those of moving weights and of the model; what is left of them went into losses, metrics and sums. What is
    left of `wall` went into recording, waiting and the like.
    """

    n_points: int = 0
    n_examples: int = 0
    wall: float = 0.0
    points: float = 0.0
    moving: float = 0.0
    model: float = 0.0
    peak_bytes: int = 0


def described(ranks: Sequence[Work]) -> dict[str, Any]:
    """The attributes of a run: rates over all ranks, shares of their time, and the most memory one of them used, in bytes."""
    wall = max(work.wall for work in ranks)
    total = sum(work.wall for work in ranks)
    if not total or not any(work.n_points for work in ranks):
        return {}
    moving, model, points = (sum(getattr(work, name) for work in ranks) for name in ("moving", "model", "points"))
    return {
        "points_per_second": sum(work.n_points for work in ranks) / wall,
        "examples_per_second": sum(work.n_examples for work in ranks) / wall,
        "share_model": model / total,
        "share_moving": moving / total,
        "share_metrics": max(0.0, points - moving - model) / total,
        "share_overhead": max(0.0, total - points) / total,
        "memory_peak": max(work.peak_bytes for work in ranks),
    }


def summary(ranks: Sequence[Work]) -> str:
    """The same for people, in one line; empty where nothing was measured."""
    found = described(ranks)
    if not found:
        return ""
    shares = ", ".join(f"{name} {found[f'share_{name}']:.1%}" for name in ("model", "moving", "metrics", "overhead"))
    wall, n_points = max(work.wall for work in ranks), sum(work.n_points for work in ranks)
    return (
        f"{n_points} points in {duration(wall)}: {found['points_per_second']:.3g} points/s, {found['examples_per_second']:.3g} examples/s; "
        f"{shares}; memory peak {found['memory_peak'] / _GIGABYTE:.2g} GiB"
    )
