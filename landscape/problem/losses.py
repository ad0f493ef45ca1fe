"""Losses by example: what a criterion or a loss function says of one batch, as sums and weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from landscape.core.modules import copy_module
from landscape.errors import InputError, users_code
from landscape.problem.data import Batch, map_tensors

__all__ = ["Loss", "PerExample", "Sums", "apply"]

Loss = nn.Module | Callable[[nn.Module, Batch], Any]
Sums = dict[str, tuple[Tensor, Tensor | None]]  # metric -> per example (sums, weights), each `(n,)`; weights None: 1 each

_IN_NATS = (nn.CrossEntropyLoss, nn.NLLLoss, nn.BCELoss, nn.BCEWithLogitsLoss, nn.KLDivLoss, nn.PoissonNLLLoss)
_USERS = "the model or loss"
_OF_TYPES = ("dtype", "scalar type", "FloatTensor", "DoubleTensor", "(float)", "(double)")  # words of torch's complaints
_FIX = "return one loss per example, for instance with reduction='none', or say Problem(..., per_example=False)"


class PerExample:
    """A loss by example: `(model, batch) -> {"loss": (sums, weights), ...}`, the mean being Σ sums / Σ weights.

    A torch.nn criterion's reduction is taken over, batches then being `(inputs, targets)`; accuracy is added for class targets.
    A function `loss(model, batch)` gives a tensor `(n,)`, or a dict of such tensors with the key `loss`; an item may be (sums, weights).
    Without `per_example` an item may be a scalar, the mean over the batch, or a pair of scalars, the batch's sum and its weight.
    """

    def __init__(self, loss: Loss, per_example: bool = True) -> None:
        self.per_example = per_example
        self._all_count = False  # whether every class target counts: known once the examples are
        self.criterion: nn.Module | None = None
        if isinstance(loss, nn.Module) and hasattr(loss, "reduction"):
            self.criterion = copy_module(loss, "loss")
            self.reduction = str(loss.reduction)
            setattr(self.criterion, "reduction", "none")  # noqa: B010  # nn.Module's stubs know only tensors and modules
        elif callable(loss):
            self.function = loss
        else:
            raise InputError(f"the loss is a {type(loss).__name__}; give a torch.nn criterion or a function loss(model, batch)")

    def unit(self, metric: str) -> str:
        """The unit of a metric: nats for the likelihoods of torch.nn, a loss function's own word in its attribute `units`, else none."""
        if metric == "accuracy":
            return "fraction"
        if self.criterion is not None:
            return "nat" if isinstance(self.criterion, _IN_NATS) else ""
        units = getattr(self.function, "units", {})
        return str(units.get(metric, "")) if isinstance(units, Mapping) else ""

    def to(self, device: torch.device, dtype: torch.dtype, main: torch.dtype | None = None) -> PerExample:
        """A loss whose own tensors (class weights and the like) are on the device, and of the type computed in.

        A criterion, or a module that is the loss, is copied. A function is called as it is: it may be a method of an object that holds a
        data set, or the model. With `main` only tensors of that type become `dtype`, others keep theirs.
        """
        moved = copy.copy(self)
        if self.criterion is not None:
            module = moved.criterion = copy_module(self.criterion, "loss")
        elif isinstance(self.function, nn.Module):
            module = moved.function = copy_module(self.function, "loss")
        else:
            return moved
        module._apply(lambda t: t.to(device, dtype if t.is_floating_point() and main in (None, t.dtype) else t.dtype))  # type: ignore[no-untyped-call]
        return moved

    def settled(self, batches: Iterable[Batch]) -> PerExample:
        """The loss itself, told which examples it will see: where none has the index ignored, no batch need be asked for it."""
        targets = [batch[1] for batch in batches if isinstance(batch, tuple) and len(batch) == 2]
        kept = [_kept(self.criterion, t) for t in targets if self.criterion is not None and isinstance(t, Tensor)]
        self._all_count = bool(kept) and all(mask is not None and bool(mask.all()) for mask in kept)
        return self

    def __call__(self, model: nn.Module, batch: Batch, size: int) -> Sums:
        """The sums and weights of each of the `size` examples in a batch.

        Raises:
            InputError: when the loss is a scalar, or not one number for each example.
        """
        if self.criterion is not None:
            return self._criterion(self.criterion, model, batch)
        with users_code(_USERS), _types_told(model, batch):
            result = self.function(model, batch)
        metrics = result if isinstance(result, Mapping) else {"loss": result}
        if "loss" not in metrics:
            raise InputError(f'the loss function returned a dict without the key "loss", only {sorted(map(str, metrics))}')
        odd = next((str(name) for name in metrics if not str(name).isidentifier()), None)
        if odd is not None:
            raise InputError(f'the loss function returned a metric named "{odd}"; files want a word such as top5 or loss_next')
        return {str(name): self._item(str(name), value, size) for name, value in metrics.items()}

    def _item(self, name: str, value: Any, size: int) -> tuple[Tensor, Tensor | None]:
        sums, weights = value if isinstance(value, tuple) and len(value) == 2 else (value, None)
        for part in (sums,) if weights is None else (sums, weights):
            if not isinstance(part, Tensor):
                kind = "None" if part is None else f"a {type(part).__name__}"
                raise InputError(f"the loss function returned {kind} as {name}, not a tensor; {_FIX}")
            _check_real(part, f"the loss function returned {name}")
            if part.dim() == 0 and not self.per_example:
                continue
            if part.dim() == 0:
                raise InputError(f"the loss function returned a scalar as {name}; {_FIX}")
            if part.shape != (size,):
                raise InputError(
                    f"the loss function returned {name} of shape {tuple(part.shape)} for {size} examples, not ({size},); {_FIX}"
                )
        if weights is not None and weights.dim() != sums.dim():
            raise InputError(
                f"the loss function returned sums of shape {tuple(sums.shape)} and weights of shape {tuple(weights.shape)} as {name}; "
                "give both by example, or both of the whole batch"
            )
        if sums.dim() == 0 and weights is None:  # the mean over a batch
            return sums.double() * size, torch.full_like(sums, size, dtype=torch.float64)
        return sums, weights

    def _criterion(self, criterion: nn.Module, model: nn.Module, batch: Batch) -> Sums:
        inputs, targets = _pair(batch)
        with users_code(_USERS), _types_told(model, inputs):
            outputs = apply(model, inputs)
            losses = criterion(outputs, targets)
        if not isinstance(losses, Tensor) or losses.dim() == 0:
            raise InputError(
                f"the criterion {type(criterion).__name__} gives a scalar even with reduction='none'; give a function loss(model, batch)"
            )
        _check_real(losses, f"the criterion {type(criterion).__name__} returned losses")
        if self._all_count and losses.dim() == 1 and getattr(criterion, "weight", None) is None and self.reduction == "mean":
            return {"loss": (losses, None), "accuracy": (outputs.argmax(dim=1) == targets, None)}  # most problems: no masks
        kept = _kept(criterion, targets)
        metrics: Sums = {"loss": self._reduce(criterion, losses, targets, kept)}
        if kept is not None:
            right = outputs.argmax(dim=1) == targets
            metrics["accuracy"] = (_flat_sum(right & kept), _flat_sum(kept))
        return metrics

    def _reduce(self, criterion: nn.Module, losses: Tensor, targets: Tensor, kept: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The criterion's own mean over a batch, taken apart by example; nothing here waits for the device."""
        class_weights = getattr(criterion, "weight", None)
        sums = _flat_sum(losses)
        if self.reduction in ("sum", "batchmean"):
            return sums, None
        if kept is not None and (class_weights is not None or losses.dim() > 1 or not self._all_count):
            share = kept.double()
            if class_weights is not None:
                share = share * class_weights[torch.where(kept, targets, torch.zeros_like(targets))].double()
            return sums, _flat_sum(share)
        if losses.dim() > 1:
            return sums, torch.full_like(sums, losses[0].numel())
        return sums, None


def apply(model: nn.Module, inputs: Batch) -> Tensor:
    """The model's output: a tuple of inputs is spread over its arguments, a dict over its keywords."""
    positional, named = ((), inputs) if isinstance(inputs, Mapping) else ((inputs,) if isinstance(inputs, Tensor) else inputs, {})
    outputs = model(*positional, **named)
    if not isinstance(outputs, Tensor):
        raise InputError(
            f"the model returns a {type(outputs).__name__}, a criterion wants a tensor; give a function loss(model, batch) instead"
        )
    return outputs


@contextmanager
def _types_told(model: nn.Module, batch: Batch) -> Iterator[None]:
    """Add to torch's complaint about types which of them differ: float64 is what arrays have, float32 what models have."""
    try:
        yield
    except RuntimeError as error:
        wanted = {parameter.dtype for parameter in model.parameters() if parameter.is_floating_point()}
        given: set[torch.dtype] = set()

        def note(tensor: Tensor) -> Tensor:
            given.add(tensor.dtype)
            return tensor

        map_tensors(note, batch)
        strange = {kind for kind in given if kind.is_floating_point} - wanted
        if not strange or not wanted or not any(word in str(error) for word in _OF_TYPES):
            raise
        words = [" and ".join(sorted(str(kind).removeprefix("torch.") for kind in kinds)) for kinds in (strange, wanted)]
        said = str(error).strip().splitlines()[0]
        raise RuntimeError(
            f"{said} (the data hold {words[0]}, the model {words[1]}: convert the data, types are not changed here)"
        ) from error


def _pair(batch: Batch) -> tuple[Batch, Tensor]:
    if not (isinstance(batch, tuple) and len(batch) == 2 and isinstance(batch[1], Tensor)):
        raise InputError("a criterion needs batches (inputs, targets); give a function loss(model, batch) for other batches")
    return batch[0], batch[1]


def _check_real(losses: Tensor, what: str) -> None:
    """Refuse complex losses, of which no order tells the lower.

    Raises:
        InputError: saying what to return.
    """
    if losses.is_complex():
        raise InputError(f"{what} in complex numbers; a loss is real: return its .abs(), .abs() ** 2 or .real")


def _kept(criterion: nn.Module, targets: Tensor) -> Tensor | None:
    """Which class targets count, by `ignore_index`; None where targets are not classes."""
    if not isinstance(criterion, nn.CrossEntropyLoss | nn.NLLLoss) or targets.is_floating_point():
        return None
    return targets != criterion.ignore_index


def _flat_sum(values: Tensor) -> Tensor:
    return values.double().flatten(1).sum(dim=1) if values.dim() > 1 else values
