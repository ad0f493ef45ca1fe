"""Matplotlib, loaded whatever MPLBACKEND says: no figure here needs the backend it names, and it may name one that is not there."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

__all__: list[str] = []


def _load() -> None:
    """Load matplotlib, which refuses to be loaded where the environment names no backend of its own."""
    backend = os.environ.pop("MPLBACKEND", None) if "matplotlib" not in sys.modules else None
    try:
        import matplotlib
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    if backend:
        with suppress(ValueError):  # the user's own pyplot would say so
            matplotlib.rcParams["backend"] = backend


_load()
