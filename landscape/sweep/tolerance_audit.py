"""The self-audit of a run with a tolerance: some points carried to all examples, and what their early values were worth.

No rule sees what a sample missed: where one example in a thousand holds the loss, three samples of 256 in four show a small spread
around a mean that is far too low. So before the other points are measured, some are measured twice: with the tolerance, as all are, and
on all examples of the run's sample. They are chosen from the seed alone: the node nearest to the origin, and up to fifteen others drawn
at random, as many as cost no more than a tenth of the examples that the run will need, but one that stopped early at least. What a run
will need is told by all sixteen candidates. z = (value − truth) / error of each is stored.

If one |z| exceeds 3 or two exceed 2, no point may stop at its first look any more: every point begins with twice as many examples, and
the z's are found anew, until they pass or all examples are used. After a failure, audited points that all run to the end prove nothing
of others, which may hold other spikes: then nothing stops early. All this happens before the first ordinary point, from nothing but the
seed, the grid and the examples: ranks, interruptions and resuming change no bit. A file says which first look its points have, and a
run that goes on with it keeps it. Parts of a surface audit as many points as fit in a tenth of one part, and each part the same ones.

The z's of one run are correlated, since all points see the same examples first. An honest run fails by chance now and then, and costs
more than it has to. Replayed over the losses of 10,000 images at 25 points around the two networks of Li et al. 2018, in 400 orders
each, for a grid of 625 points: points carried, runs whose first audit failed, and examples used without and with an audit.

    T      with shortcuts                          without
    1 %    16 points   16 %   54.3 → 59.8 %        16 points   16 %   34.8 → 40.9 %
    2 %    16          19 %   25.6 → 30.5 %        10          12 %   12.9 → 15.0 %
    5 %     8           5 %    8.9 →  9.4 %         3           1 %    4.2 →  4.3 %

Sixteen independent z's would fail in 20 %. Where spikes of 100 hide among 0.01, in 0.1 % of 5,000 examples, 40 of 40 runs ended with
the truth within three errors, of which 31 were fooled at first; without an audit 9 (tests/sweep/test_tolerance_audit.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from landscape.core.surface import Surface
from landscape.evaluate import SMALLEST_LOOK, Measurement, Objective, Sample
from landscape.sweep.blocks import Index
from landscape.sweep.plan import Plan

__all__ = ["Round", "ToleranceAudit", "candidates", "fails"]

_MOST = 16
_SHARE = 0.1  # of the run's examples
_ONE, _TWO = 3.0, 2.0  # standard errors that one z, and that two, may have


@dataclass(frozen=True)
class Round:
    """Points that every rank measures next: with the tolerance and these first looks, or, if `whole`, on all examples."""

    points: tuple[Index, ...]
    first_looks: Mapping[str, int]
    whole: bool


@dataclass(frozen=True)
class _Early:
    """What the tolerance made of the loss of one split at a point."""

    value: float
    stderr: float
    n_examples: int


class ToleranceAudit:
    """Says which points to measure next, is told what they gave, and ends with the first look of every point of the run.

    Args:
        plan: the grid and the seed.
        objective: what points are measured with; without a tolerance there is nothing to audit.
        samples: the examples of the run.
        n_parts: of how many parts of the surface this run is one.
    """

    def __init__(self, plan: Plan, objective: Objective, samples: Sequence[Sample], n_parts: int = 1) -> None:
        self._plan = plan
        self._sizes = {sample.split: sample.size for sample in samples}
        self._reach = {sample.split: sample.reach or sample.size for sample in samples}
        self._n_points = math.ceil(plan.grid.n_points / n_parts)
        tolerant = objective.engine.tolerance > 0
        self.first_looks = dict.fromkeys(self._sizes, SMALLEST_LOOK)
        self._open = {split for split, size in self._sizes.items() if tolerant and size > SMALLEST_LOOK}
        self._points = candidates(plan) if self._open else []
        self._carried: list[Index] | None = None
        self._early: dict[Index, dict[str, _Early]] = {}
        self._truth: dict[Index, dict[str, float]] = {}
        self._measured: dict[Index, Measurement] = {}
        self._kept: dict[str, Any] = {}  # what the file said of splits that are settled
        self._asked: Round | None = None

    def resume(self, old: Surface, new: Surface) -> None:
        """Take over what a file to go on with knows: first looks that are settled, or what an audit that was ended found.

        Args:
            old: the file.
            new: the surface to measure, with the values of the old one.
        """
        for split in sorted(self._open):
            told = {name: old.checks.get(f"tolerance_audit_{split}_{name}") for name in _STORED}
            first = told["first_look"]
            if not isinstance(first, int) or first < SMALLEST_LOOK:
                continue
            self.first_looks[split] = first
            if old.checks.get(f"tolerance_audit_{split}_settled"):
                self._open.discard(split)
                prefix = f"tolerance_audit_{split}_"
                self._kept |= {name: value for name, value in old.checks.items() if name.startswith(prefix)}
            elif old.shape == new.shape:
                self._take_over(split, told)

    @property
    def unsettled(self) -> bool:
        """Whether the time was up before the audit was through: no other point may be measured then."""
        return bool(self._open) and self._asked is not None

    def next(self, surface: Surface) -> Round | None:
        """What to measure next; None once every first look is settled, or where the last round was not measured in full.

        Args:
            surface: as it is recorded so far, where points may be on all examples already.
        """
        if self._asked is not None and any(
            i not in (self._truth if self._asked.whole else self._early) for i in self._asked.points
        ):
            return None
        while self._open:
            asked = self._points if self._carried is None else self._carried
            unknown = tuple(i for i in asked if not self._open <= self._early.get(i, {}).keys())
            if unknown:
                return self._ask(unknown, whole=False)
            if self._carried is None:
                self._carried = self._affordable()
            for index in self._carried:
                self._find_truth(index, surface)
            untold = tuple(i for i in self._carried if i not in self._truth)
            if untold:
                return self._ask(untold, whole=True)
            self._decide()
        return None

    def _ask(self, points: tuple[Index, ...], whole: bool) -> Round:
        self._asked = Round(points, dict(self.first_looks), whole)
        return self._asked

    def on_result(self, index: Index, measurement: Measurement, whole: bool) -> None:
        """Take in what a point of the last round gave."""
        losses = {split: measurement.estimates[f"{split}_loss"] for split in self._sizes}
        if whole:
            self._truth[index] = {split: loss.value for split, loss in losses.items()}
        else:
            self._early[index] = {s: _Early(loss.value, loss.stderr, loss.n_examples) for s, loss in losses.items()}
            self._measured[index] = measurement

    def final(self) -> Iterable[tuple[Index, Measurement]]:
        """The points measured with the first looks of the run, once these are settled: nobody need measure them again."""
        return self._measured.items() if not self._open else ()

    def z(self, split: str) -> list[float]:
        """(value − truth) / error of the points carried to the end; 0 where the value is on all examples itself."""
        known = [index for index in self._carried or () if index in self._truth and split in self._early.get(index, {})]
        return [self._score(index, split) for index in known]

    def to_attributes(self) -> dict[str, Any]:
        """What the file stores among its checks; nothing where nothing was audited."""
        found = dict(self._kept)
        for split, first in self.first_looks.items():
            points = self._carried if self._carried is not None and split not in self._open else self._points
            known = [i for i in points or () if split in self._early.get(i, {})]
            if not known:
                continue
            early = [self._early[i][split] for i in known]
            columns: dict[str, list[Any]] = {
                "points": [int(np.ravel_multi_index(i, self._plan.grid.shape)) for i in known],
                "values": [e.value for e in early],
                "errors": [e.stderr for e in early],
                "examples": [e.n_examples for e in early],
                "truths": [self._truth.get(i, {}).get(split, math.nan) for i in known],
                "z": [self._score(i, split) if i in self._truth else math.nan for i in known],
            }
            found |= {f"tolerance_audit_{split}_{name}": column for name, column in columns.items()}
            found |= {
                f"tolerance_audit_{split}_first_look": first,
                f"tolerance_audit_{split}_settled": int(split not in self._open),
            }
        return found

    def summary(self) -> list[str]:
        """What it found, a line for each split."""
        lines = []
        for split, first in self.first_looks.items():
            scores = self.z(split)
            if scores and split not in self._open:
                most = max(map(abs, scores))
                begin = (
                    f"every point begins with {min(first, self._sizes[split]):,} {split} examples" if first > SMALLEST_LOOK else ""
                )
                told = (
                    f"tolerance audit: {len(scores)} points on all {split} examples, values at most {most:.2g} standard errors off"
                )
                lines.append(f"{told}; {begin}" if begin else told)
        return lines

    def _take_over(self, split: str, told: Mapping[str, Any]) -> None:
        lists = [told[name] for name in ("points", "values", "errors", "examples")]
        if not all(isinstance(column, list) and len(column) == len(lists[0]) for column in lists):
            return
        for flat, value, stderr, n in zip(*lists, strict=True):
            if isinstance(flat, int) and 0 <= flat < self._plan.grid.n_points:
                index = tuple(int(i) for i in np.unravel_index(flat, self._plan.grid.shape))
                self._early.setdefault(index, {})[split] = _Early(float(value), float(stderr), int(n))

    def _affordable(self) -> list[Index]:
        """The points that are carried to the end, in the order of the candidates."""
        used = {i: sum(self._early[i][split].n_examples for split in self._open) for i in self._points}
        room = _SHARE * self._n_points * sum(used.values()) / len(used)
        carried: list[Index] = []
        spent = 0
        for index in self._points:
            extra = sum(self._sizes[s] - self._early[index][s].n_examples for s in self._open if not self._whole(index, s))
            if extra == 0 or spent == 0 or spent + extra <= room:
                carried.append(index)
                spent += extra
        return carried

    def _find_truth(self, index: Index, surface: Surface) -> None:
        """Where a point is on all examples already, by the tolerance or in the file, that is its truth."""
        if index in self._truth:
            return
        keys = {split: f"{split}_loss" for split in self._sizes}
        if all(self._whole(index, split) for split in self._open):
            self._truth[index] = {split: early.value for split, early in self._early[index].items()}
        elif all(surface.done[key][index] and surface.examples[s][index] == self._sizes[s] for s, key in keys.items()):
            self._truth[index] = {split: float(surface.values[key][index]) for split, key in keys.items()}

    def _whole(self, index: Index, split: str) -> bool:
        """Whether the tolerance took a point's value from all examples, or ended at one that is no number and stays so."""
        early = self._early[index][split]
        return early.n_examples == self._sizes[split] or not math.isfinite(early.value)

    def _decide(self) -> None:
        """Settle the splits whose z's pass; double the first look of the others, and forget what stopped at a smaller one."""
        for split in sorted(self._open):
            if self.first_looks[split] >= self._sizes[split] or self._passes(split):
                self._open.discard(split)
                continue
            self.first_looks[split] *= 2
            for index, early in self._early.items():
                if split in early and early[split].n_examples < min(self.first_looks[split], self._sizes[split]):
                    del early[split]
                    self._measured.pop(index, None)

    def _passes(self, split: str) -> bool:
        """Whether errors hold; once they did not, points have to have stopped early again to say so."""
        trusted = self.first_looks[split] == SMALLEST_LOOK or not all(self._whole(i, split) for i in self._carried or ())
        return trusted and not fails(self.z(split))

    def _score(self, index: Index, split: str) -> float:
        early, truth, size = self._early[index][split], self._truth[index][split], self._sizes[split]
        n = early.n_examples
        if n >= size or early.value == truth or (math.isnan(early.value) and math.isnan(truth)):
            return 0.0
        # The error is that of a value for all examples there are; here it is compared with those of the sample.
        error = early.stderr * math.sqrt((1 - n / size) / (1 - n / self._reach[split]))
        gap = early.value - truth
        return gap / error if math.isfinite(gap) and error > 0 else math.inf


_STORED = ("first_look", "points", "values", "errors", "examples")


def fails(scores: Sequence[float]) -> bool:
    """Whether z's say that errors are too small: one beyond 3, or two beyond 2.

    >>> fails([2.9, -1.0]), fails([-3.1]), fails([2.1, -2.2, 0.0]), fails([])
    (False, True, True, False)
    """
    return sum(abs(z) > _ONE for z in scores) >= 1 or sum(abs(z) > _TWO for z in scores) >= 2


def candidates(plan: Plan) -> list[Index]:
    """The grid points that may be carried to all examples: the one nearest to the origin, then fifteen at random, by the seed."""
    shape = plan.grid.shape
    origin = tuple(0 if axis.name == "seed" else int(np.argmin(np.abs(axis.values))) for axis in plan.axes)
    generator = np.random.default_rng([abs(plan.seed), 1])  # other points than those of the audit of a lossy precision
    drawn = generator.choice(plan.grid.n_points, min(_MOST, plan.grid.n_points), replace=False)
    others = [tuple(int(i) for i in np.unravel_index(flat, shape)) for flat in drawn]
    return [origin, *(index for index in others if index != origin)][:_MOST]
