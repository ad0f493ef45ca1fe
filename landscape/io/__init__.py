"""Surface files: written, locked, read, imported and exported. The only home of h5py.

Belongs here: what stands in a file, and reading files of unknown origin. Does not: what the values mean, or whether a run may resume.
"""

from __future__ import annotations

from landscape.io import tomgoldstein
from landscape.io.directions import read_directions
from landscape.io.export import export
from landscape.io.file_writer import DisplacedError, FileWriter
from landscape.io.importing import any_directions, import_surface
from landscape.io.lock import check_free, check_untouched, lock_for_writing
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
    "lock_for_writing",
    "read",
    "read_directions",
    "tomgoldstein",
    "write",
]
