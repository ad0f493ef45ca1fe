"""The slow, independent evaluation that the self-check trusts: the user's own model, loss and batches, and nothing of the engine.

What is computed here is what a person would write to see whether a value is right: copy the model, load θ* + Σ c_k δ_k with
`load_state_dict`, call the user's own criterion or loss function on the user's own batches, in the user's own types, add up in float64.
No code that reduces losses, casts, batches, recalibrates or places weights for the sweep is used, so that a fault there shows here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from landscape.core.modules import copy_module
from landscape.errors import users_code
from landscape.problem import Problem
from landscape.reference.reduction import Sums, by_criterion, by_function
from landscape.reference.stored import laid_in, take_apart
from landscape.reference.types import computed_types, converted, main_type, moved, plain_torch

__all__ = ["Reference", "Values"]

Batch = Any
Key = tuple[str, str]  # split, metric
_CALIBRATION_EXAMPLES, _CALIBRATION_BATCH = 2048, 256


@dataclass
class Values:
    """What an evaluation gave: a value for each (split, metric), and what the self-check asks besides.

    Attributes:
        values: (split, metric) → mean per example; for losses of whole batches, the mean over batches weighted by their examples.
        batches: split → the loss of each batch with its weight, in order.
        n_calls: how often the model itself was called.
        outputs: what the model returned for the first batch, None when it was never called.
        whole_numbers: whether every loss seen was a whole number, as counts of errors are.
    """

    values: dict[Key, float] = field(default_factory=dict)
    batches: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    n_calls: int = 0
    outputs: Any = None
    whole_numbers: bool = True

    @property
    def losses(self) -> dict[str, float]:
        """The loss by split."""
        return {split: value for (split, metric), value in self.values.items() if metric == "loss"}


class Reference:
    """Evaluates points of a subspace, one plain loop each.

    Args:
        problem: the user's model and loss as they were given.
        splits: split → the examples, as the user gave them and in their order; axis 0 of every tensor counts them.
        calibration: the training examples that batch norm is recalibrated on at each point; None leaves statistics alone.
        device: where to compute.
        stored: the weights as the model stores them, where those moved are its effective ones: they are laid into the model, and
            weight norm, spectral norm, parametrizations and pruning are taken out of it, by torch's own functions.
    """

    def __init__(
        self,
        problem: Problem,
        splits: Mapping[str, Batch],
        calibration: Batch | None = None,
        device: torch.device | None = None,
        stored: Mapping[str, Tensor] | None = None,
    ) -> None:
        self._problem, self._splits, self._calibration = problem, dict(splits), calibration
        self._device = device or torch.device("cpu")
        self._stored = stored

    def at(
        self,
        origin: Mapping[str, Tensor],
        directions: Sequence[Mapping[str, Tensor]],
        coordinates: Sequence[float],
        batch_size: int,
        *,
        n_examples: int | None = None,
        dtype: torch.dtype | None = None,
    ) -> Values:
        """The loss at θ* + Σ c_k δ_k over the first examples of every split.

        Args:
            origin: θ*, parameters and buffers by name.
            directions: δ_k, likewise; what one lacks stays where it is.
            coordinates: c_k, `(n_directions,)`.
            batch_size: examples computed at once.
            n_examples: how many examples of each split count; all of them for None.
            dtype: compute in this type what the model computes in its main one, to see how much rounding does.

        Raises:
            UserCodeError: when the user's code raises.
        """
        types = computed_types(main_type(self._problem.model), dtype)
        return self.of(moved(origin, directions, coordinates, types), batch_size, n_examples=n_examples, dtype=dtype)

    def of(
        self, weights: Mapping[str, Tensor], batch_size: int, *, n_examples: int | None = None, dtype: torch.dtype | None = None
    ) -> Values:
        """The loss of some weights, parameters and buffers by name; see `at`."""
        main = main_type(self._problem.model)
        types = computed_types(main, dtype)
        with plain_torch(types.get(main, main)):
            model, loss = self._copies(weights, types)
            if self._calibration is not None:
                self._recalibrate(model, loss, types)
            found = Values()
            handle = model.register_forward_hook(_noting(found))
            for split, examples in self._splits.items():
                sums = Sums()
                size = _length(examples) if n_examples is None else min(n_examples, _length(examples))
                for start in range(0, size, batch_size):
                    stop = min(start + batch_size, size)
                    batch = self._batch(examples, start, stop, types)
                    with users_code("the model or loss"):
                        sums.add(self._evaluated(model, loss, batch, stop - start))
                found.values |= {(split, metric): value for metric, value in sums.means().items()}
                found.batches[split] = sums.losses
                found.whole_numbers &= sums.whole_numbers
            handle.remove()
            return found

    def not_finite(
        self,
        origin: Mapping[str, Tensor],
        directions: Sequence[Mapping[str, Tensor]],
        coordinates: Sequence[float],
        split: str,
        batch_size: int,
        n_examples: int,
    ) -> list[int]:
        """The positions among the first examples of a split whose own loss is not finite; whole batches are named by all of theirs."""
        main = main_type(self._problem.model)
        types = computed_types(main, None)
        with plain_torch(types.get(main, main)):
            model, loss = self._copies(moved(origin, directions, coordinates, types), types)
            if self._calibration is not None:
                self._recalibrate(model, loss, types)
            found: list[int] = []
            step = 1 if self._problem.per_example else batch_size
            for start in range(0, min(n_examples, _length(self._splits[split])), step):
                stop = min(start + step, n_examples)
                batch = self._batch(self._splits[split], start, stop, types)
                with users_code("the model or loss"):
                    parts = self._evaluated(model, loss, batch, stop - start)["loss"]
                if not math.isfinite(parts[0]):
                    found += range(start, stop)
            return found

    def _copies(self, weights: Mapping[str, Tensor], types: Mapping[torch.dtype, torch.dtype]) -> tuple[nn.Module, Any]:
        """Private copies of model and loss, the weights loaded, in eval mode."""
        model = copy_module(self._problem.model).eval()
        if self._stored is not None:
            laid_in(model, self._stored)
            take_apart(model)
        model = converted(model, types).to(self._device)
        laid_in(model, weights)
        loss = self._problem.given_loss
        if isinstance(loss, nn.Module):
            loss = converted(copy_module(loss, "loss"), types).to(self._device)
        return model.requires_grad_(False), loss

    def _batch(self, examples: Batch, start: int, stop: int, types: Mapping[torch.dtype, torch.dtype]) -> Batch:
        """The examples from start to stop, in the user's own types, or the wider ones."""
        if isinstance(examples, Tensor):
            part = examples[start:stop].to(self._device, copy=True)
            return part.to(types.get(part.dtype, part.dtype))
        if isinstance(examples, Mapping):
            return {key: self._batch(value, start, stop, types) for key, value in examples.items()}
        parts = [self._batch(value, start, stop, types) for value in examples]
        return type(examples)(*parts) if hasattr(examples, "_fields") else tuple(parts)  # a named tuple stays one

    def _evaluated(self, model: nn.Module, loss: Any, batch: Batch, size: int) -> dict[str, tuple[float, float, bool]]:
        """metric → (Σ, Σ of weights, whether whole numbers) of one batch, by the user's own reduction."""
        with torch.no_grad():
            if isinstance(loss, nn.Module) and hasattr(loss, "reduction"):
                return by_criterion(model, loss, batch, size)
            result = loss(model, batch)
        metrics = result if isinstance(result, Mapping) else {"loss": result}
        return {str(name): by_function(value, size) for name, value in metrics.items()}

    def _recalibrate(self, model: nn.Module, loss: Any, types: Mapping[torch.dtype, torch.dtype]) -> None:
        """New running statistics: the mean of each norm's batch statistics, a batch weighing as many examples as it has."""
        norms: list[Any] = [m for m in model.modules() if getattr(m, "track_running_stats", False) and hasattr(m, "momentum")]
        norms = [norm for norm in norms if norm.running_mean is not None and norm.train().training]  # some refuse, and keep theirs
        model.eval()
        size = min(_CALIBRATION_EXAMPLES, _length(self._calibration))
        seen = [_Seen(norm) for norm in norms]
        for start in range(0, size, _CALIBRATION_BATCH):
            stop = min(start + _CALIBRATION_BATCH, size)
            if stop - start == 1:
                continue  # one example has no variance
            for one in seen:
                one.begin(stop - start)
            with users_code("the model or loss"):
                self._evaluated(model, loss, self._batch(self._calibration, start, stop, types), stop - start)
            for one in seen:
                one.end()
        for one in seen:
            one.close()


class _Seen:
    """What one norm saw in train mode: its statistics by call, each the last batch's alone, and the examples of that batch."""

    def __init__(self, norm: Any) -> None:
        self._norm, self._momentum = norm, norm.momentum
        self._own = norm.running_mean.clone(), norm.running_var.clone()
        self._parts: list[tuple[int, Tensor, Tensor]] = []
        self._n = self._calls = 0
        self._handle = norm.register_forward_hook(self._note)
        norm.training, norm.momentum = True, 1.0

    def begin(self, n: int) -> None:
        self._n, self._calls = n, 0
        self._before = self._norm.running_mean.clone()

    def _note(self, norm: nn.Module, inputs: Any, outputs: Any) -> None:
        self._calls += 1
        self._parts.append((self._n, self._norm.running_mean.double().clone(), self._norm.running_var.double().clone()))

    def end(self) -> None:
        if not self._calls and not torch.equal(self._before, self._norm.running_mean):  # used by a function, not called
            self._note(self._norm, None, None)

    def close(self) -> None:
        self._handle.remove()
        self._norm.training, self._norm.momentum = False, self._momentum
        mean, variance = self._own
        if weight := sum(n for n, _, _ in self._parts):
            mean = sum(n * m for n, m, _ in self._parts) / weight
            variance = sum(n * v for n, _, v in self._parts) / weight
        self._norm.running_mean.copy_(mean)
        self._norm.running_var.copy_(variance)


def _noting(found: Values) -> Callable[[nn.Module, Any, Any], None]:
    def note(model: nn.Module, inputs: Any, outputs: Any) -> None:
        if found.n_calls == 0:
            found.outputs = outputs
        found.n_calls += 1

    return note


def _length(examples: Batch) -> int:
    if isinstance(examples, Tensor):
        return len(examples)
    parts = examples.values() if isinstance(examples, Mapping) else examples
    return _length(next(iter(parts)))
