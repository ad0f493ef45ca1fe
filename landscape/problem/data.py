"""Examples: one split of the data, read once and in order, digested, and handed out in batches of any size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, default_collate

from landscape.core.weights import digest
from landscape.errors import InputError, UserCodeError, in_a_line, users_code

__all__ = ["Batch", "Examples", "map_tensors"]

Batch = Any  # a tensor, or a tuple, named tuple or dict of batches; axis 0 of every tensor counts examples


@dataclass(frozen=True, eq=False)
class Examples:
    """One split: tensors whose axis 0 counts examples, in the structure the model's batches have."""

    split: str
    tensors: Batch

    @classmethod
    def read(cls, split: str, source: Any) -> Examples:
        """Read a split once, in its order.

        Args:
            split: its name.
            source: a tensor, a tuple or dict of tensors, a map-style Dataset, or an iterable of batches.

        Raises:
            InputError: when it is empty, of another kind, or when its parts count different numbers of examples.
            UserCodeError: when the user's own data set raises something.
        """
        reading = users_code(f'reading the data split "{split}"')
        with torch.random.fork_rng(devices=[]), reading:  # a DataLoader draws from the global generator, which is the user's
            tensors = _read(split, source)
        sizes = {len(tensor) if tensor.dim() else 0 for tensor in _flatten(tensors).values()}
        if not sizes or sizes == {0}:
            raise InputError(f'the data split "{split}" is empty; give it at least one example')
        if len(sizes) > 1:
            raise InputError(
                f'the parts of data split "{split}" differ in length ({sorted(sizes)}); axis 0 of each tensor counts examples'
            )
        return cls(split, tensors)

    @property
    def size(self) -> int:
        """How many examples there are."""
        return len(next(iter(_flatten(self.tensors).values())))

    @property
    def sha256(self) -> str:
        """The digest of all examples in order, as they are now: tensors may be the user's own, and change."""
        return digest(_flatten(self.tensors))

    def select(self, indices: np.ndarray | None) -> Examples:
        """The examples at some indices `(n,)`, in that order; all of them for None."""
        if indices is None:
            return self
        chosen = torch.from_numpy(np.asarray(indices, dtype=np.int64))
        return Examples(self.split, map_tensors(lambda tensor: tensor[chosen], self.tensors))

    def batch(self, start: int, stop: int) -> Batch:
        """The examples from `start` to `stop`, as the model takes them."""
        return map_tensors(lambda tensor: tensor[start:stop], self.tensors)


def map_tensors(function: Callable[[Tensor], Tensor], batch: Batch) -> Batch:
    """Apply a function to each tensor of a batch, keeping its structure."""
    if isinstance(batch, Tensor):
        return function(batch)
    if isinstance(batch, Mapping):
        return {key: map_tensors(function, value) for key, value in batch.items()}
    return _like(batch, (map_tensors(function, value) for value in batch))


def _like(batch: Sequence[Any], parts: Iterable[Any]) -> Batch:
    """Parts as a tuple, or as the named tuple that a batch is: losses read its fields."""
    kind: Any = type(batch)
    return kind(*parts) if isinstance(batch, tuple) and hasattr(batch, "_fields") else tuple(parts)


def _flatten(batch: Batch, prefix: str = "") -> dict[str, Tensor]:
    if isinstance(batch, Tensor):
        return {prefix: batch}
    items: Iterable[tuple[Any, Any]] = batch.items() if isinstance(batch, Mapping) else enumerate(batch)
    return {name: tensor for key, value in items for name, tensor in _flatten(value, f"{prefix}/{key}").items()}


def _read(split: str, source: Any) -> Batch:
    if type(source) is TensorDataset:  # one derived from it may give other examples than it holds
        return tuple(tensor.detach() for tensor in source.tensors)
    if isinstance(source, Tensor | np.ndarray | Mapping) or _is_tuple_of_tensors(source):
        return _tensors(split, source)
    if isinstance(source, Dataset) and hasattr(source, "__len__") and not isinstance(source, DataLoader):
        source = _chunks(split, source)
    if not isinstance(source, Iterable) or isinstance(source, str):
        raise InputError(
            f'the data split "{split}" is a {type(source).__name__}; give tensors, a tuple or dict of tensors, a Dataset, or an iterable of batches'
        )
    if isinstance(source, list) and len(source) > 1 and all(isinstance(part, Tensor | np.ndarray) for part in source):
        raise InputError(
            f'the data split "{split}" is a list of tensors, which may be batches or the parts of examples; '
            "give a tuple (inputs, targets) for parts, and batches as a list of tuples, a generator or a DataLoader"
        )
    batches = [_tensors(split, batch) for batch in source]
    if isinstance(source, DataLoader):
        _check_whole(split, source, len(batches))
    if not batches:
        raise InputError(f'the data split "{split}" is empty; give it at least one example')
    return _join(split, batches)


def _is_tuple_of_tensors(source: Any) -> bool:
    return isinstance(source, tuple) and all(isinstance(part, Tensor | np.ndarray | Mapping | tuple) for part in source)


def _chunks(split: str, dataset: Dataset[Any]) -> list[Batch]:
    n = len(dataset)  # type: ignore[arg-type]  # checked by the caller
    spans = [range(start, min(start + 1024, n)) for start in range(0, n, 1024)]
    return [_collated(split, [dataset[i] for i in span]) for span in spans]


def _collated(split: str, items: list[Any]) -> Batch:
    try:
        return default_collate(items)
    except (TypeError, RuntimeError) as error:
        raise InputError(
            f'the examples of data split "{split}" make no batch ({in_a_line(error)}); give a DataLoader with its own collate_fn'
        ) from error


def _check_whole(split: str, loader: DataLoader[Any], n_batches: int) -> None:
    """A StopIteration out of a data set or collate function ends a loop over a DataLoader without a word.

    Raises:
        UserCodeError: when batches are missing.
    """
    if not isinstance(loader.dataset, IterableDataset) and n_batches < len(loader):
        raise UserCodeError(f'reading the data split "{split}" raised StopIteration after {n_batches} of {len(loader)} batches')


def _tensors(split: str, batch: Any) -> Batch:
    if isinstance(batch, Tensor):
        return batch.detach().cpu()
    if isinstance(batch, np.ndarray):
        return torch.from_numpy(np.ascontiguousarray(batch))
    if isinstance(batch, Mapping):
        return {key: _tensors(split, value) for key, value in batch.items()}
    if isinstance(batch, Sequence) and not isinstance(batch, str):
        return _like(batch, (_tensors(split, value) for value in batch))
    raise InputError(
        f'the data split "{split}" holds a {type(batch).__name__} where a tensor is expected; let its batches be tensors, tuples or dicts'
    )


def _join(split: str, batches: list[Batch]) -> Batch:
    first = batches[0]
    try:
        if isinstance(first, Tensor):
            return torch.cat(batches)
        if isinstance(first, Mapping):
            return {key: _join(split, [batch[key] for batch in batches]) for key in first}
        return _like(first, (_join(split, list(parts)) for parts in zip(*batches, strict=True)))
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f'the batches of data split "{split}" do not fit together ({str(error).splitlines()[0]}); pad the examples to one shape'
        ) from error
