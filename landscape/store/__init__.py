"""The store: surface files written, read, imported and exported. The only home of h5py."""

from __future__ import annotations

from landscape.store import goldstein
from landscape.store.export import export
from landscape.store.file import FORMAT, FORMAT_VERSION, Recorder, adopt, any_directions, read, read_directions, write

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "Recorder",
    "adopt",
    "any_directions",
    "export",
    "goldstein",
    "read",
    "read_directions",
    "write",
]
