"""Taking in what tomgoldstein/loss-landscape wrote: its surfaces as files of ours, its directions beside ours."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from landscape.core.surface import Number, Surface
from landscape.io import tomgoldstein
from landscape.io.directions import read_directions
from landscape.io.lock import lock_for_writing
from landscape.io.safe_hdf5 import open_checked
from landscape.io.writing import write

__all__ = ["any_directions", "import_surface"]


def any_directions(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The directions in a file of ours (by parameter name) or of tomgoldstein/loss-landscape (in order), by axis name.

    Raises:
        InputError: when the file is neither.
    """
    path = Path(path)
    with open_checked(path) as file:
        ours = "format" in file.attrs
    if ours:
        return dict(read_directions(path))
    found = tomgoldstein.read_directions(path)
    return {"x": found.x} if found.y is None else {"x": found.x, "y": found.y}


def import_surface(
    source: str | os.PathLike[str],
    path: str | os.PathLike[str],
    directions: str | os.PathLike[str] | None,
    command: str,
    measure: Callable[[Surface], Mapping[str, Number]],
) -> Surface:
    """Write a surface of tomgoldstein/loss-landscape as a file of ours, with its numbers; where it comes from is kept.

    Returns:
        The surface, unfinished where theirs was.

    Raises:
        InputError: when it cannot be read, or the file not be written.
    """
    with lock_for_writing(path):
        surface = tomgoldstein.read_surface(source, directions)
        surface = replace(surface, attributes={"problem": Path(source).stem, **surface.attributes}, runs=({"command": command},))
        surface = replace(surface, numbers=measure(surface))
        write(surface, path)
    return surface
