"""A function of coordinates in place of model, loss and data: what needs no network, in a test or a lecture."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from landscape.errors import InputError
from landscape.problem.problem import Problem

__all__ = ["LambdaObjective"]

_MOST = 2  # coordinates


class LambdaObjective(Problem):
    """A function whose values are the surface: coordinates take the place of weights, and each is a direction of its own.

    It is called with Python's floats, in double precision. There are no weights, so that nothing is drawn, normalized or held fixed,
    and no self-check; a file says so.

    Args:
        function: of one coordinate or two; returns the value, or a dict of values with the key `loss`.
        name: what files and figures call it; the function's own by default.

    Raises:
        InputError: when the function takes another number of arguments.
    """

    def __init__(self, function: Callable[..., float | Mapping[str, float]], name: str | None = None) -> None:
        self.n_coordinates = _n_arguments(function)
        model = _Place(self.n_coordinates)

        def loss(model: nn.Module, batch: Tensor) -> dict[str, Tensor]:
            values = function(*model(batch).tolist())
            named = values if isinstance(values, Mapping) else {"loss": values}
            return {key: torch.tensor([float(value)], dtype=torch.float64) for key, value in named.items()}

        super().__init__(
            model, loss, {"train": torch.zeros(1)}, name=name or getattr(function, "__name__", type(function).__name__)
        )


class _Place(nn.Module):
    """The coordinates, as weights that the engine moves."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.zeros(n, dtype=torch.float64))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.place


def _n_arguments(function: Callable[..., object]) -> int:
    """How many coordinates a function takes."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise InputError("give a function of one coordinate or two, such as lambda x, y: x * x + y * y") from None
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return _MOST
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    n = sum(parameter.kind in kinds and parameter.default is parameter.empty for parameter in parameters)
    if not 1 <= n <= _MOST:
        raise InputError(f"the function takes {n} arguments; give one of one coordinate or two, such as lambda x, y: x * x + y * y")
    return n
