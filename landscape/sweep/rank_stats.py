"""What the ranks did, and where the time went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from statistics import median
from typing import Any

from landscape.progress import duration

__all__ = ["RankStats", "summary", "table", "to_attributes"]

_GIGABYTE = 2**30
_MOST_STORED = 1000  # ranks told one by one in the file
_MOST_SHOWN = 16  # and on the screen


@dataclass
class RankStats:
    """What one rank did: its points and examples, and seconds by where they went.

    `points` seconds hold those of moving weights and of the model; what is left of them went into losses, metrics and sums. What is
    left of `wall` went into recording, `waiting` for rank 0's word, being `idle` at the end, and the like.
    """

    n_points: int = 0
    n_examples: int = 0
    wall: float = 0.0
    points: float = 0.0
    moving: float = 0.0
    model: float = 0.0
    busy: float = 0.0
    waiting: float = 0.0
    idle: float = 0.0
    peak_bytes: int = 0

    def __add__(self, other: RankStats) -> RankStats:
        """What was done at one time and at another; the most memory is that of either."""
        sums = {field.name: getattr(self, field.name) + getattr(other, field.name) for field in fields(self)}
        return RankStats(**{**sums, "peak_bytes": max(self.peak_bytes, other.peak_bytes)})


def to_attributes(ranks: Sequence[RankStats]) -> dict[str, Any]:
    """The attributes of a run: rates over all ranks, shares of their time, and the most memory one of them used, in bytes.

    Of several ranks also the parallel efficiency, which is the share of all ranks' time spent inside points, and what each did.
    """
    wall = max(work.wall for work in ranks)
    total = wall * len(ranks)
    if not total or not any(work.n_points for work in ranks):
        return {}
    moving, model, points = (sum(getattr(work, name) for work in ranks) for name in ("moving", "model", "points"))
    found = {
        "points_per_second": sum(work.n_points for work in ranks) / wall,
        "examples_per_second": sum(work.n_examples for work in ranks) / wall,
        "share_model": model / total,
        "share_moving": moving / total,
        "share_metrics": max(0.0, points - moving - model) / total,
        "share_overhead": max(0.0, total - points) / total,
        "memory_peak": max(work.peak_bytes for work in ranks),
    }
    if len(ranks) == 1:
        return found
    found |= {
        "parallel_efficiency": sum(work.busy for work in ranks) / total,
        "share_waiting": sum(work.waiting for work in ranks) / total,
        "share_idle": sum(work.idle for work in ranks) / total,
    }
    if len(ranks) <= _MOST_STORED:
        found |= {f"rank_{name}": [getattr(work, name) for work in ranks] for name in ("busy", "waiting", "idle")}
        found["rank_points"] = [work.n_points for work in ranks]
    return found


def summary(ranks: Sequence[RankStats]) -> str:
    """The same for people, in one line; empty where nothing was measured."""
    found = to_attributes(ranks)
    if not found:
        return ""
    shares = ", ".join(f"{name} {found[f'share_{name}']:.1%}" for name in ("model", "moving", "metrics", "overhead"))
    wall, n_points = max(work.wall for work in ranks), sum(work.n_points for work in ranks)
    return (
        f"{n_points} points in {duration(wall)}: {found['points_per_second']:.3g} points/s, {found['examples_per_second']:.3g} examples/s; "
        f"{shares}; memory peak {found['memory_peak'] / _GIGABYTE:.2g} GiB"
    )


def table(ranks: Sequence[RankStats]) -> str:
    """What each rank did, a line each, or the least, the middle and the most of many; empty for one process."""
    found = to_attributes(ranks)
    if len(ranks) == 1 or not found:
        return ""
    names = ("n_points", "busy", "waiting", "idle")
    rows: list[tuple[str, list[float]]] = [(str(rank), [getattr(work, name) for name in names]) for rank, work in enumerate(ranks)]
    if len(ranks) > _MOST_SHOWN:
        columns = [[getattr(work, name) for work in ranks] for name in names]
        rows = [(word, [pick(column) for column in columns]) for word, pick in (("least", min), ("middle", median), ("most", max))]
    lines = [f"{'rank':>6}  points      busy   waiting      idle"]
    lines += [f"{word:>6}  {n:6g}  {busy:6.1f} s  {waiting:6.1f} s  {idle:6.1f} s" for word, (n, busy, waiting, idle) in rows]
    lines.append(
        f"parallel efficiency {found['parallel_efficiency']:.1%}: waiting for rank 0 {found['share_waiting']:.1%}, "
        f"idle at the end {found['share_idle']:.1%} of the ranks' time"
    )
    return "\n".join(lines)
