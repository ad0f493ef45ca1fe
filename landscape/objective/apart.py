"""The plain way to measure a model's loss, for checking the engine: one loop, contiguous tensors, sums in Python."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from landscape.modules import computed_type, converted, copy_module
from landscape.objective.norms import Recalibration, calibration_spans
from landscape.objective.sample import Sample
from landscape.problem import Problem
from landscape.problem.data import Batch, Examples, map_tensors
from landscape.weights import Weights

__all__ = ["measure_apart"]


def measure_apart(
    problem: Problem,
    weights: Weights,
    samples: Sequence[Sample],
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    calibration: Examples | None = None,
    batch_size: int = 100,
) -> dict[str, float]:
    """A model's own metrics over some samples, by name `<split>_<metric>`, in full precision.

    Nothing of the engine is used: no subspace, no memory layout, no running sums, and as a rule another batch size; only losses of
    whole batches, which depend on it, want the engine's own.
    """
    model = converted(copy_module(problem.model), device, dtype).eval()
    loss = problem.loss.to(device, dtype)

    def prepared(batch: Batch) -> Batch:
        return map_tensors(lambda t: t.to(device, computed_type(t.dtype, dtype), copy=True), batch)

    result: dict[str, float] = {}
    with torch.no_grad():
        named = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        for name, tensor in weights.items():
            named[name].copy_(tensor)
        if calibration is not None:
            batches = (
                (prepared(calibration.batch(start, stop)), stop - start) for start, stop in calibration_spans(calibration.size)
            )
            Recalibration(model)(batches, loss)
        for sample in samples:
            parts: dict[str, tuple[list[float], list[float]]] = {}
            for start in range(0, sample.size, batch_size):
                stop = min(start + batch_size, sample.size)
                for metric, (sums, shares) in loss(model, prepared(sample.examples.batch(start, stop)), stop - start).items():
                    above, below = parts.setdefault(metric, ([], []))
                    above.append(float(sums.double().sum()))
                    below.append(float(stop - start) if shares is None else float(shares.double().sum()))
            for metric, (above, below) in parts.items():
                result[f"{sample.split}_{metric}"] = _ratio(above, below)
    return result


def _ratio(above: list[float], below: list[float]) -> float:
    total = math.fsum(below)
    return sum(above) / total if total else math.nan
