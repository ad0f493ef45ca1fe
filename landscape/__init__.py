"""Loss landscapes of PyTorch models: lines and planes through weight space, measured right and drawn honestly.

problem = landscape.Problem(model, nn.CrossEntropyLoss(), data={"train": dataset})
surface = landscape.surface(problem, x=(-1, 1, 51), y=(-1, 1, 51), to="net.h5")
landscape.plotting.relief(surface)
"""

from __future__ import annotations

import importlib
import os
from types import ModuleType as _ModuleType

from landscape.errors import InputError, LandscapeError, RunError
from landscape.measures import measure
from landscape.problem import Problem
from landscape.surface import Surface
from landscape.sweep import (  # after the import of the module landscape.surface, whose name the function takes over
    line,
    merge,
    surface,
)

__all__ = [
    "InputError",
    "LandscapeError",
    "Problem",
    "RunError",
    "Surface",
    "line",
    "measure",
    "merge",
    "plotting",
    "read",
    "surface",
    "zoo",
]


def read(path: str | os.PathLike[str]) -> Surface:
    """Read a surface file.

    Raises:
        InputError: when it is missing, damaged, of another kind, or of a newer format.
    """
    from landscape import store

    return store.read(path)


def __getattr__(name: str) -> _ModuleType:
    # The figures need matplotlib and the zoo its data; neither is loaded before it is used.
    if name in ("plotting", "zoo"):
        return importlib.import_module(f"landscape.{name}")
    raise AttributeError(f"module 'landscape' has no attribute {name!r}")
