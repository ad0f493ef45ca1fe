"""The store: surface files written, read, imported and exported. The only home of h5py."""

from __future__ import annotations

from landscape.store import goldstein
from landscape.store.directions import read_directions
from landscape.store.exchange import adopt, any_directions
from landscape.store.export import export
from landscape.store.lock import check_free, check_untouched, writing
from landscape.store.reading import read
from landscape.store.recorder import DisplacedError, Recorder
from landscape.store.writing import FORMAT, FORMAT_VERSION, write

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "DisplacedError",
    "Recorder",
    "adopt",
    "any_directions",
    "check_free",
    "check_untouched",
    "export",
    "goldstein",
    "read",
    "read_directions",
    "write",
    "writing",
]
