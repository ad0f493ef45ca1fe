"""Problem: the model, the loss and the data splits; and finding one by its import string."""

from __future__ import annotations

import copy
import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

import torch
from torch import nn

from landscape.core.modules import copy_module
from landscape.core.shared_memory import shared_memory
from landscape.errors import InputError, LandscapeError, UserCodeError, did_you_mean, in_a_line, users_code
from landscape.problem.data import Batch, Examples, map_tensors
from landscape.problem.losses import Loss, PerExample, apply

__all__ = ["Problem", "resolve"]


class Problem:
    """A model, its loss and its data.

    Args:
        model: any module; it is never changed.
        loss: a torch.nn criterion (its reduction is taken over; batches are `(inputs, targets)`; accuracy is added for class targets),
            or a function `loss(model, batch)` that returns a tensor `(n,)` of losses by example, or a dict of such tensors with the
            key `loss`, the others becoming metrics. An item may be a pair `(sums, weights)` by example: the value is Σ sums / Σ weights.
        data: split name → a tensor, a tuple or dict of tensors (axis 0 counts examples), a map-style Dataset, or an iterable of batches.
            Each split is read once, in order, when it is first needed.
        per_example: False accepts a loss that is a scalar for each batch; then there is no standard error and no tolerance.
        name: what files and figures call it.
        filters: where the outputs of a parameter lie, for filter normalization: glob over parameter names → an axis, or a tuple of
            axes whose every index is a filter, `{"blocks.*.w": 1}` for a layer of one's own that computes x @ w, `(0, 1)` for a stack
            of experts. Layers of torch.nn need no word; other tensors are filtered along their first axis.

    Raises:
        InputError: when model, loss or data are of another kind.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        data: Mapping[str, Any],
        per_example: bool = True,
        name: str | None = None,
        filters: Mapping[str, int | Sequence[int]] | None = None,
    ) -> None:
        if not isinstance(model, nn.Module):
            raise InputError(f"the model is a {type(model).__name__}, not a torch.nn.Module")
        if not isinstance(data, Mapping) or not data:
            raise InputError('the data are a mapping from split names to examples, for instance {"train": dataset}')
        lazy = next((n for n, p in model.named_parameters() if isinstance(p, nn.parameter.UninitializedParameter)), None)
        if lazy is not None:
            raise InputError(f"the model's parameter {lazy} has no shape yet; run one batch through the model first")
        _check_memory(model)
        for split in data:
            if not isinstance(split, str) or not split.isidentifier():
                raise InputError(f"a data split's name is a word such as train or test, not {split!r}")
        self.model = model
        self.given_loss = loss
        self.per_example = per_example
        self.loss = PerExample(loss, per_example)
        self.data = dict(data)
        self.name = name or type(model).__name__
        self.filters = _checked_filters(filters or {})
        self.source = ""  # its import string, where it has one
        self._read: dict[str, Examples] = {}

    @property
    def splits(self) -> list[str]:
        """The names of the data splits."""
        return list(self.data)

    def with_model(self, model: nn.Module) -> Problem:
        """The same problem with another model that takes and gives the same; what was read of the data is shared."""
        other = copy.copy(self)
        other.model = model
        return other

    def without_data(self) -> Problem:
        """The same problem where its examples are known already: what travels to other processes."""
        other = copy.copy(self)
        other.data, other._read = dict.fromkeys(self.data), {}
        return other

    def examples(self, split: str) -> Examples:
        """One split, read at the first call.

        Raises:
            InputError: for an unknown or empty split, data of another kind, or class targets the model has no output for.
        """
        if split not in self.data:
            raise InputError(f'no data split "{split}": {did_you_mean(split, self.data)}')
        if split not in self._read:
            examples = Examples.read(split, self.data[split])
            self._check_targets(examples)
            self._read[split] = examples
        return self._read[split]

    def _check_targets(self, examples: Examples) -> None:
        """Find labels out of range here, where they can be named, and not inside a GPU kernel."""
        criterion, tensors = self.loss.criterion, examples.tensors
        if not isinstance(criterion, nn.CrossEntropyLoss | nn.NLLLoss) or not isinstance(tensors, tuple) or len(tensors) != 2:
            return
        targets = tensors[1]
        if not isinstance(targets, torch.Tensor) or targets.is_floating_point():
            return
        kept = targets[targets != criterion.ignore_index]
        try:
            with users_code("the model"):
                n_classes = _output_width(self.model, examples.batch(0, 1)[0])
        except UserCodeError as error:
            if not isinstance(error.__cause__, RuntimeError | TypeError | ValueError | IndexError):
                raise
            raise InputError(
                f'the model {type(self.model).__name__} does not take the first example of data split "{examples.split}": '
                f"{in_a_line(error.__cause__)}"
            ) from error.__cause__
        wrong = kept[(kept < 0) | (kept >= n_classes)]
        if wrong.numel():
            raise InputError(
                f'the data split "{examples.split}" has the label {int(wrong[0])}, the model has {n_classes} classes '
                f"(0 to {n_classes - 1}); count labels from 0, or set the criterion's ignore_index"
            )


def _checked_filters(filters: Mapping[str, int | Sequence[int]]) -> dict[str, tuple[int, ...]]:
    checked = {}
    for glob, given in filters.items():
        axes = (given,) if isinstance(given, int) else given
        if not isinstance(axes, Sequence) or not all(type(axis) is int for axis in axes):
            raise InputError(f'filters: "{glob}" has {given!r}; give an axis such as 1, or a tuple of axes such as (0, 1)')
        checked[str(glob)] = tuple(axes)
    return checked


def _check_memory(model: nn.Module) -> None:
    """A copy of a model has all its tensors apart, so that those in one memory would move each by itself there."""
    found = shared_memory(model)
    if found is None:
        return
    first, second = found
    if first == second:
        raise InputError(
            f"the model's parameter {first} has several entries in one place in memory, as expand() leaves it; give it memory of its own "
            "with .clone()"
        )
    raise InputError(
        f"the model's {first} and {second} lie in one memory and are two tensors, so that it cannot be told whether they move together; "
        "tie parameters by assigning the parameter itself, not its .data, and give a buffer a .clone()"
    )


def _output_width(model: nn.Module, inputs: Batch) -> int:
    """The size of axis 1 of the model's output for one example: how many classes it tells apart."""
    private = copy_module(model).eval()
    place = next(private.parameters(), torch.zeros(()))
    with torch.no_grad():
        outputs = apply(private, map_tensors(lambda t: t.to(place.device, copy=True), inputs))
    return int(outputs.shape[1])


def resolve(text: str) -> Problem:
    """The problem an import string `package.module:factory` names; the factory is called without arguments.

    Raises:
        InputError: when the module or factory is missing, is not callable, fails, or returns something else.
    """
    module_name, _, attribute = text.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), attribute)):
        raise InputError(
            f'"{text}" is not package.module:factory; for a file experiment.py with a function make, say experiment:make'
        )
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    module = _asked(f'importing "{module_name}"', lambda: _imported(module_name))
    factory = _asked(f'"{text}"', lambda: getattr(module, attribute, None))
    if factory is None:
        public = [name for name, item in vars(module).items() if name[0] != "_" and getattr(item, "__module__", "") == module_name]
        raise InputError(f'"{module_name}" has no "{attribute}": {did_you_mean(attribute, public)}')
    if not callable(factory):
        raise InputError(f'"{text}" is a {type(factory).__name__}, not a function that returns a landscape.Problem')
    problem = _asked(f'"{text}"', factory)
    if not isinstance(problem, Problem):
        raise InputError(f'"{text}" returned a {type(problem).__name__}, not a landscape.Problem')
    problem.name = problem.source = text
    return problem


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise InputError(
                f'no module "{name}" here or among the installed packages; run from its folder or set PYTHONPATH'
            ) from error
        raise


def _asked(what: str, ask: Callable[[], Any]) -> Any:
    """What the user's module or factory gives; nothing was measured yet, so that all it raises counts as wrong input.

    Raises:
        InputError: whatever it raised: a script without a main guard may well leave.
    """
    try:
        return ask()
    except (KeyboardInterrupt, LandscapeError):
        raise
    except BaseException as error:
        raise InputError(f"{what} failed: {in_a_line(error)}") from error
