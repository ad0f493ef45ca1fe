"""The values a measure works on: those of one draw, NaN where nothing was measured yet."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from landscape.core.surface import BY_METRIC, Axis, Surface
from landscape.errors import InputError

__all__ = ["draws", "measured", "nan_counts"]


def draws(surface: Surface) -> list[Surface]:
    """The single draws of a line: one surface `(nx,)` for each seed; a line of one draw and a plane are their own only draw.

    An axis norm that holds one length for each draw is handed out with its draw; a single length serves all.
    """
    if surface.kind != "line" or len(surface.axes) == 1:
        return [surface]
    x, seeds = surface.axes
    norms = np.broadcast_to(np.asarray(x.attributes.get("norm", np.nan), dtype=np.float64), (len(seeds.values),))

    def of_draw(draw: int) -> dict[str, Any]:
        kinds = (*BY_METRIC, "examples")
        return {kind: {key: array[:, draw] for key, array in getattr(surface, kind).items()} for kind in kinds}

    return [
        replace(
            surface,
            axes=(Axis(x.name, x.values, {**x.attributes, "norm": float(norms[draw])}),),
            **of_draw(draw),
            seconds=None if surface.seconds is None else surface.seconds[:, draw],
        )
        for draw in range(len(seeds.values))
    ]


def measured(surface: Surface, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Values and done mask of one metric, `(nx,)` or `(nx, ny)`; a value not measured yet is NaN.

    Raises:
        InputError: for a line of several draws.
    """
    if surface.kind == "line" and len(surface.axes) != 1:
        raise InputError("this line holds several draws; measure each of landscape.measures.draws(surface)")
    done = np.asarray(surface.done[key], dtype=bool)
    return np.where(done, surface.values[key], np.nan), done


def nan_counts(surface: Surface) -> dict[str, int]:
    """How many measured values are not finite, by metric, where there are any; and their sum as `nan_count`."""
    counts = {key: int((~np.isfinite(surface.values[key][surface.done[key]])).sum()) for key in surface.metrics}
    return {"nan_count": sum(counts.values()), **{f"nan_count_{key}": count for key, count in counts.items() if count}}
