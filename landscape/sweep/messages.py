"""What a run says of itself: how long it will take, what is done, and what is left."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

import numpy as np
import torch

from landscape.core.surface import Surface
from landscape.evaluate import Engine, trains_otherwise
from landscape.parallel import Executor
from landscape.progress import duration
from landscape.sweep.blocks import Part
from landscape.sweep.plan import Plan
from landscape.sweep.rank_stats import RankStats

__all__ = ["estimate", "n_done", "opening", "so_far", "what_is_left"]

_LONG_RUN = 5.0  # seconds from which on an estimate is worth a line

File = str | os.PathLike[str] | None


def opening(plan: Plan) -> list[str]:
    """What is worth knowing of the model and the directions before a run."""
    lines, attributes = [], plan.attributes
    if trains_otherwise(plan.problem.model):
        lines.append("the model is in train mode; a copy of it is measured in eval mode")
    if "cosine" in attributes:
        random = f" (random ones: ±{attributes['cosine_sd']:.4f})" if "cosine_sd" in attributes else ""
        lines.append(f"cosine of the two directions: {attributes['cosine']:.4f}{random}")
    return lines


def estimate(n_left: int, seconds: float, engine: Engine, executor: Executor) -> list[str]:
    """How long the points left take, and of GPUs that lie idle; nothing for a short run."""
    lines, total = [], n_left * seconds / executor.n_workers
    if total > _LONG_RUN:
        ranks = f" × {executor.n_workers} ranks" if executor.n_workers > 1 else ""
        about = "at most" if engine.tolerance else "≈"
        lines.append(f"{n_left} points × {duration(seconds)} {about} {duration(total)} on {engine.device}{ranks}")
    n_gpus = torch.cuda.device_count() if engine.device.type == "cuda" else 0
    if n_gpus > executor.n_local_ranks:
        lines.append(
            f"{n_gpus} GPUs are visible, {executor.n_local_ranks} used: start with mpirun -n {n_gpus} in front of the command"
        )
    return lines


def n_done(surface: Surface) -> str:
    """How many points are measured."""
    return f"{int(np.logical_and.reduce(list(surface.done.values())).sum())} of {surface.grid.n_points} points"


def so_far(surface: Surface, file: File) -> str:
    """How many points are measured, and what to do to go on."""
    place = f"are in {file}; run the same command again to resume" if file is not None else "were measured"
    return f"{n_done(surface)} {place}"


def what_is_left(surface: Surface, file: File, splits: Sequence[str], n_left: int, part: Part, ranks: Sequence[RankStats]) -> str:
    """What is not measured yet, and why; empty for a complete surface.

    Args:
        surface: as it stands.
        file: where it is stored.
        splits: what this run measured.
        n_left: its points that are left.
        part: of the surface, that this run measured.
        ranks: what each rank did.
    """
    if n_left:
        points = sum(work.n_points for work in ranks)
        seconds = sum(work.busy for work in ranks) / points * n_left / len(ranks) if points else math.nan
        more = f"; {n_left} are left, about {duration(seconds)} more" if math.isfinite(seconds) else ""
        return f"stopped at the time limit: {so_far(surface, file)}{more}"
    if part.n_parts > 1:
        return f"part {part} is done: {n_done(surface)} are in {file}; landscape merge puts parts together"
    if surface.complete:
        return ""
    others = ", ".join(sorted({metric.split for metric in surface.metrics.values()} - set(splits)))
    return f"the new points are not measured on {others} yet: add --split {others} to complete the file"
