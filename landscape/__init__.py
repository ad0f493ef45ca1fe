"""Loss landscapes of PyTorch models: lines and planes through weight space, measured right and drawn honestly.

problem = landscape.Problem(model, nn.CrossEntropyLoss(), data={"train": dataset})
surface = landscape.surface(problem, x=(-1, 1, 51), y=(-1, 1, 51), to="net.h5")
landscape.plotting.relief(surface)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from landscape.report import description as _description  # noqa: F401  # gives `Surface.show` its words

if TYPE_CHECKING:
    from landscape import plotting, viewer, zoo
    from landscape.core.surface import Surface
    from landscape.errors import InputError, LandscapeError, RunError, SelfCheckError, SelfCheckWarning
    from landscape.io import read
    from landscape.measures import measure
    from landscape.problem import LambdaObjective, Problem
    from landscape.sweep.functions import line, stream, surface
    from landscape.sweep.merge_files import merge

__all__ = [
    "InputError",
    "LambdaObjective",
    "LandscapeError",
    "Problem",
    "RunError",
    "SelfCheckError",
    "SelfCheckWarning",
    "Surface",
    "line",
    "measure",
    "merge",
    "plotting",
    "read",
    "stream",
    "surface",
    "viewer",
    "zoo",
]

# Where each name comes from. Nothing is imported before it is used: drawing a file needs no torch, measuring no matplotlib.
_HOMES = {
    "InputError": "errors",
    "LambdaObjective": "problem",
    "LandscapeError": "errors",
    "Problem": "problem",
    "RunError": "errors",
    "SelfCheckError": "errors",
    "SelfCheckWarning": "errors",
    "Surface": "core.surface",
    "line": "sweep.functions",
    "measure": "measures",
    "merge": "sweep.merge_files",
    "read": "io",
    "stream": "sweep.functions",
    "surface": "sweep.functions",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"landscape.{_HOMES[name]}"), name)
    if name in __all__:
        return importlib.import_module(f"landscape.{name}")
    raise AttributeError(f"module 'landscape' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
