"""Going on with a surface that is partly measured: what has to agree, and what is taken over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from landscape.core.intervals import wilson
from landscape.core.surface import BY_METRIC, Axis, Metric, Surface
from landscape.errors import InputError

if TYPE_CHECKING:  # merging files needs no torch
    from landscape.evaluate import Sample

__all__ = ["blank", "check_same", "describe_changes", "merge", "pending", "positions", "with_intervals"]

_ATTRIBUTES = ("weights_sha256", "ignore", "only", "filters", "bn", "bn_calibration", "precision", "tolerance")
_RUN = ("package_version", "package_commit", "torch", "device", "threads", "engine", "batch_size", "n_ranks")
_SAME_COORDINATE = 1e-12  # relative to the axis's extent


def blank(
    kind: str,
    axes: tuple[Axis, ...],
    metrics: Sequence[Metric],
    samples: Sequence[Sample],
    fractions: Set[str] = frozenset(),
    **described: Any,
) -> Surface:
    """A surface of which nothing is measured yet.

    Args:
        kind: a line or a surface.
        axes: of the grid.
        metrics: what is measured.
        samples: the examples of each split.
        fractions: those metrics that have intervals instead of standard errors.
        described: the rest of the surface.
    """
    shape = tuple(len(axis.values) for axis in axes)
    keys = [metric.key for metric in metrics]
    means = [key for key in keys if key not in fractions]
    drawn = {sample.split for sample in samples if sample.partial}

    def empty(names: Iterable[str]) -> dict[str, np.ndarray]:
        return {key: np.full(shape, np.nan) for key in names}

    return Surface(
        kind=kind,
        axes=axes,
        metrics=dict(zip(keys, metrics, strict=True)),
        values=empty(keys),
        done={key: np.zeros(shape, dtype=bool) for key in keys},
        stderr=empty(means),
        low=empty(key for key in keys if key in fractions),
        high=empty(key for key in keys if key in fractions),
        effective=empty(metric.key for metric in metrics if metric.split in drawn and metric.key in means),
        examples={sample.split: np.zeros(shape, dtype=np.int64) for sample in samples},
        seconds=np.zeros(shape),
        **described,
    )


def describe_changes(run: Mapping[str, Any], before: Mapping[str, Any], what: str = "resuming with") -> str:
    """What differs between two runs without changing what is measured, as one line; empty when nothing does."""
    changes = [
        f"{name} {before[name]} → {run[name]}" for name in _RUN if name in before and name in run and before[name] != run[name]
    ]
    return f"{what} " + ", ".join(changes) + "; last digits may differ" if changes else ""


def merge(old: Surface, new: Surface, place: str) -> Surface:
    """The surface to measure, with what an older one of the same subject holds already.

    Args:
        old: read from the file.
        new: blank, as planned.
        place: the file's name, for messages.

    Raises:
        InputError: when the two are not of one subject; the first difference is named.
    """
    check_same(old, new, place)
    old = with_intervals(old, new.low)
    where = np.ix_(*positions(old, new, place))
    metrics = {**new.metrics, **old.metrics}
    shape = new.shape

    def spread(kind: str) -> dict[str, np.ndarray]:
        """One kind of array over the new grid, for the metrics that have it, holding the old values where there are any."""
        before: Mapping[str, np.ndarray] = getattr(old, kind)
        arrays = {key: np.full(shape, BY_METRIC[kind]) for key in (*getattr(new, kind), *before)}
        for key, values in before.items():
            arrays[key][where] = values
        return arrays

    arrays: dict[str, Any] = {kind: spread(kind) for kind in BY_METRIC}
    examples = {split: np.zeros(shape, dtype=np.int64) for split in (*new.examples, *old.examples)}
    for split, counts in old.examples.items():
        examples[split][where] = counts
    seconds = np.zeros(shape)
    if old.seconds is not None:
        seconds[where] = old.seconds
    return replace(
        new,
        metrics=metrics,
        **arrays,
        examples=examples,
        seconds=seconds,
        data={**old.data, **new.data},
        points=_points(old, new),
        runs=(*old.runs, *new.runs),
    )


def with_intervals(old: Surface, fractions: Iterable[str]) -> Surface:
    """A surface of version 0.1.0 with intervals for its fractions, which had standard errors there: 0 where all or none was right."""
    stderr, low, high = dict(old.stderr), dict(old.low), dict(old.high)
    for key in fractions:
        if key not in stderr:
            continue
        data = old.data.get(old.metrics[key].split, {})
        drawn = not str(data.get("order", "")).startswith("first:")
        population, counts = int(data.get("size", 0)), old.examples[old.metrics[key].split]
        ends = [
            wilson(float(p), int(n), population) if drawn else (np.nan, np.nan)
            for p, n in zip(old.values[key].flat, counts.flat, strict=True)
        ]
        low[key], high[key] = np.array(ends).T.reshape(2, *old.shape)
        del stderr[key]
    return replace(old, stderr=stderr, low=low, high=high)


def pending(surface: Surface, keys: Sequence[str]) -> list[tuple[int, ...]]:
    """The grid points where one of some metrics is not measured yet, coarse to fine."""
    missing = ~np.logical_and.reduce([surface.done[key] for key in keys])
    return [index for index in surface.grid.indices() if missing[index]]


def check_same(
    old: Surface, new: Surface, place: str, now_word: str = "", advice: str = "choose another name, or --overwrite to replace it"
) -> None:
    """Refuse a surface in a file that is of another subject than a new one.

    Args:
        old: read from the file.
        new: the other.
        place: the file's name.
        now_word: what the file is compared with, in words; the run that is planned by default.
        advice: what to do.

    Raises:
        InputError: naming the first difference.
    """

    def check(what: str, before: Any, now: Any) -> None:
        if isinstance(before, float) and isinstance(now, float) and np.isclose(before, now, rtol=1e-12, atol=0):
            return
        if before != now:
            raise InputError(
                f"{place}: was made with another {what} {now_word}{' ' if now_word else ''}({_short(before)}, {'there' if now_word else 'now'} {_short(now)}); {advice}"
            )

    check("kind", old.kind, new.kind)
    check("set of axes", [axis.name for axis in old.axes], [axis.name for axis in new.axes])
    check("model (weights)", old.attributes.get("weights_sha256"), new.attributes.get("weights_sha256"))
    for before, now in zip(old.axes, new.axes, strict=True):
        if before.name == "seed":
            continue
        for name in ("source", "seed", "normalize"):
            check(f"{name} of direction {before.name}", before.attributes.get(name), now.attributes.get(name))
    for name in _ATTRIBUTES[1:]:
        check(name, old.attributes.get(name), new.attributes.get(name))
    if "bn_data_sha256" in old.attributes:  # version 0.1.0 did not store it
        check("training data for recalibration", old.attributes["bn_data_sha256"], new.attributes.get("bn_data_sha256"))
    check("basin level", old.basin_level, new.basin_level)
    for what, before_digest, now_digest in _digests(old, new):
        check(what, before_digest, now_digest)
    if any("batch_size" in surface.attributes for surface in (old, new)):
        check("batch size, on which these values depend,", _batch_size(old), _batch_size(new))
    for split in new.data:
        for name, word in (("sha256", "content"), ("order", "examples")):
            if split in old.data:
                check(f"data split {split} ({word})", old.data[split].get(name), new.data[split].get(name))


def _digests(old: Surface, new: Surface) -> Iterator[tuple[str, Any, Any]]:
    """The digests of each direction in two surfaces, of several draws those of the seeds that both have and know."""
    if old.axes[-1].name != "seed":
        for before, now in zip(old.axes, new.axes, strict=True):
            yield f"direction {before.name}", before.attributes.get("sha256"), now.attributes.get("sha256")
        return
    first, second = (_by_seed(surface) for surface in (old, new))
    for seed in first.keys() & second.keys():
        yield f"direction of seed {seed}", first[seed], second[seed]


def _by_seed(surface: Surface) -> dict[int, Any]:
    digests = surface.axes[0].attributes.get("sha256")
    seeds = [int(seed) for seed in surface.axes[1].values]
    return dict(zip(seeds, digests, strict=True)) if isinstance(digests, list) and len(digests) == len(seeds) else {}


def _batch_size(surface: Surface) -> Any:
    """The batch size that belongs to what was measured; files of 0.1.0 tell of it in their runs alone."""
    return surface.attributes.get("batch_size", surface.runs[-1].get("batch_size") if surface.runs else None)


def _short(value: Any) -> str:
    text = str(value)
    return text[:12] + "…" if len(text) == 64 else text if len(text) <= 80 else text[:77] + "…"


def positions(old: Surface, new: Surface, place: str) -> list[np.ndarray]:
    """Where the old axes' coordinates lie on the new ones, as indices of each axis.

    Raises:
        InputError: when the new axes do not contain the old ones.
    """
    found = []
    for before, now in zip(old.axes, new.axes, strict=True):
        extent = max(float(np.ptp(now.values)), float(np.abs(now.values).max()), 1e-300)
        order = np.argsort(now.values, kind="stable")  # draws come in any order
        ordered = now.values[order]
        right = np.searchsorted(ordered, before.values).clip(max=len(ordered) - 1)
        left = (right - 1).clip(min=0)
        nearest = np.where(np.abs(before.values - ordered[left]) <= np.abs(before.values - ordered[right]), left, right)
        if float(np.abs(before.values - ordered[nearest]).max()) > _SAME_COORDINATE * extent:
            raise InputError(
                f"{place}: its {before.name} axis ({before.text}) is not contained in the one asked for ({now.text}); "
                "ask for one that contains it, choose another name, or --overwrite to replace it"
            )
        found.append(order[nearest])
    return found


def _points(old: Surface, new: Surface) -> tuple[Any, ...]:
    """The models in the plane, with the values older runs measured of them on other splits."""
    before = {point.name: point.values for point in old.points}
    return tuple(replace(point, values={**before.get(point.name, {}), **point.values}) for point in new.points)
