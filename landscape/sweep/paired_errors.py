"""Paired errors: the losses of single examples at every node, kept by rank 0 while a run lasts, and the numbers that need them.

Whether one node lies below another is not told by their standard errors, for both are means over the same examples: it is told by the
examples' own differences (see `landscape.measures.noise.Paired`). These take the losses of single examples at all nodes at once, so each
point brings its own to rank 0, which writes them to a temporary file without a name and reads them once, after the last point.

At most 4,096 examples a point are kept, drawn at random among those used: they give a standard error to 1/√(2·4096) = 1.1 % where
the differences are normal, to some percent where few examples carry them, and a plane of 51 × 51 points then takes 43 MB, one of 251 ×
251 1 GB. Of larger grids fewer are kept, down to 256 (4.4 % of a standard error), so that all fits into 2 GiB and half of what is free
where temporary files lie.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from landscape.core.surface import Number, Surface
from landscape.evaluate import Measurement, Objective, Sample
from landscape.measures import Noise, Paired, Unknown, draws, measure, noise_without_losses
from landscape.problem import Problem

__all__ = ["PairedErrors", "kept_examples"]

_MOST, _ENOUGH = 4096, 256  # examples kept of each point, at most and at least where there are more
_FEWEST = 64  # examples below which a paired error is no basis for a sign
_BUDGET = 2 * 2**30  # bytes

_SIGNS = ("convexity", "turning_points", "turning_points_between", "minima", "minimum", "minimum_x", "minimum_y")
_INTERRUPTED = "the run was interrupted, and the losses of single examples are gone; --overwrite measures all of it again"


def kept_examples(sample: Sample) -> np.ndarray | None:
    """Which of a sample's examples each point tells the losses of, `(m,)` places in its order; None where none are needed.

    In an order drawn at random, so that the first of them are a random choice too; in a shuffled sample the first ones, which all
    points have looked at.
    """
    if not sample.partial or sample.order.startswith("first:"):
        return None
    places = np.arange(sample.size)
    return (places if "shuffled" in sample.order else np.random.default_rng(0).permutation(places))[:_MOST]


class PairedErrors:
    """Keeps the losses of single examples of the split that numbers are told of, where that is measured on a random sample.

    Every rank makes one, so that its points bring their losses along; `begin` and the rest are for rank 0.

    Args:
        problem: has a loss by example, or by batch.
        objective: computes the points.
        samples: the examples of the run.
    """

    def __init__(self, problem: Problem, objective: Objective, samples: Sequence[Sample]) -> None:
        self._sample = next((sample for sample in samples if sample.split == "train"), samples[0])
        self._kept = kept_examples(self._sample) if problem.loss.per_example else None
        if self._kept is not None:
            objective.keep(self._sample.split, self._kept)
        self._trouble = "" if problem.loss.per_example else "losses of whole batches have no known error"
        self._file: Any = None

    def begin(self, surface: Surface, old: Surface | None, origin: Measurement | None) -> None:
        """Make room.

        Args:
            surface: as it stands before the first point of this run.
            old: what the file to go on with held.
            origin: what the engine gave at the origin, where that is known.
        """
        self._key = surface.metric().key
        self._before, self._old = np.array(surface.done[self._key]), old
        self._counts = np.zeros(surface.grid.n_points + 1, dtype=np.int64)
        if self._kept is None or surface.metric().split != self._sample.split:
            return
        room = min(_BUDGET, shutil.disk_usage(tempfile.gettempdir()).free // 2)
        self._columns = min(len(self._kept), room // (4 * len(self._counts)))
        if self._columns < min(len(self._kept), _ENOUGH):
            gigabytes = 4 * len(self._counts) * min(len(self._kept), _ENOUGH) / 2**30
            self._trouble = f"the losses of single examples at {len(self._counts) - 1:,} points take {gigabytes:.1f} GiB, more than there is room for"
            return
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  # it lives as long as the run
        if origin is not None:
            self._write(len(self._counts) - 1, origin)

    def add(self, index: tuple[int, ...], measurement: Measurement) -> None:
        """Take in what a grid point gave."""
        if self._file is not None:
            self._write(int(np.ravel_multi_index(index, self._before.shape)), measurement)

    def _write(self, row: int, measurement: Measurement) -> None:
        losses = measurement.losses
        if losses is None:
            return
        part = np.ascontiguousarray(losses[: self._columns], dtype=np.float32)
        try:
            self._file.seek(4 * row * self._columns)
            self._file.write(part.tobytes())
        except OSError as error:
            self._trouble, self._file = f"the losses of single examples could not be kept ({error.strerror})", None
            return
        self._counts[row] = len(part)

    def complete(self, surface: Surface, interrupted: bool) -> Surface:
        """The surface with its numbers; its last run says how many examples paired errors are from."""
        noise = [Unknown(_INTERRUPTED)] * surface.n_draws if interrupted and self._file is not None else self._noise(surface)
        numbers = measure(surface, noise=noise)
        if self._is_as_before(surface):
            numbers = {**{name: n for name, n in numbers.items() if name not in _SIGNS}, **self._signs_before()}
        if isinstance(noise[0], Paired):
            run = {**surface.runs[-1], "paired_examples": noise[0].n_examples}
            surface = replace(surface, runs=(*surface.runs[:-1], run))
        return replace(surface, numbers=numbers)

    def _is_as_before(self, surface: Surface) -> bool:
        """Whether an earlier run with paired errors left the very values that are there now, so that its numbers hold."""
        if self._old is None or not any("paired_examples" in run for run in self._old.runs):
            return False
        return self._old.shape == surface.shape and bool((surface.done[self._key] == self._before).all())

    def _signs_before(self) -> Mapping[str, Number]:
        return {name: number for name, number in self._old.numbers.items() if name in _SIGNS} if self._old is not None else {}

    def _noise(self, surface: Surface) -> Sequence[Noise]:
        """The noise of each draw."""
        parts = draws(surface)
        plain = [noise_without_losses(part, self._key) for part in parts]
        if self._trouble and plain[0].withheld:
            return [Unknown(self._trouble)] * len(parts)
        if self._file is None or not any(noise.withheld for noise in plain):
            return plain
        values, done = surface.values[self._key], surface.done[self._key]
        needed = np.append((done & ~np.isnan(values)).ravel(), False)
        gone = int((needed & (self._counts == 0)).sum())
        if gone:
            earlier = "the run was resumed: " if self._before.any() else ""
            return [
                Unknown(f"{earlier}the losses of single examples at {gone:,} points are gone; --overwrite measures all again")
            ] * len(parts)
        return self._paired(surface, parts, needed)

    def _paired(self, surface: Surface, parts: Sequence[Surface], needed: np.ndarray) -> Sequence[Noise]:
        used = np.unique(surface.examples[self._sample.split].ravel()[needed[:-1]])
        common = int(self._counts[needed].min(initial=self._columns))
        if min(common, *used) < _FEWEST:
            return [Unknown(f"all points share only {min(common, *used):,} examples, too few for errors of differences")] * len(
                parts
            )
        zeros = [np.flatnonzero(axis.values == 0) for axis in surface.axes[: 2 if surface.kind == "surface" else 1]]
        losses = np.memmap(self._file, dtype=np.float32, mode="r+", shape=(len(self._counts), self._columns))[:, :common]
        n = common if len(used) > 1 else int(used[0])  # points that used different examples are compared over those they share
        factor = 1 / n - 1 / (self._sample.reach or n)
        found: list[Noise] = []
        for k, part in enumerate(parts):
            rows = np.arange(len(self._counts) - 1).reshape(surface.shape)
            own = rows[:, k] if surface.kind == "line" and rows.ndim == 2 else rows
            origin = (
                len(rows.ravel())
                if self._counts[-1] or any(z.size == 0 for z in zeros)
                else int(own[tuple(int(z[0]) for z in zeros)])
            )
            found.append(Paired(part, self._key, losses, np.append(own.ravel(), origin), factor, replaced=len(used) > 1))
        return found
