"""The store: surface files written, read, imported and exported. The only home of h5py."""

from __future__ import annotations

from landscape.io import tomgoldstein
from landscape.io.directions import read_directions
from landscape.io.export import export
from landscape.io.file_writer import DisplacedError, FileWriter
from landscape.io.importing import any_directions, import_surface
from landscape.io.lock import check_free, check_untouched, writing
from landscape.io.reading import read
from landscape.io.writing import FORMAT, FORMAT_VERSION, write

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "DisplacedError",
    "FileWriter",
    "any_directions",
    "check_free",
    "check_untouched",
    "export",
    "import_surface",
    "read",
    "read_directions",
    "tomgoldstein",
    "write",
    "writing",
]
