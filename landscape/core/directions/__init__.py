"""Directions: random, between checkpoints or from a file; their normalization and orthogonalization.

`filters` decides which parameters move and along which axis a tensor's filters lie; `random` draws and normalizes.
"""

from __future__ import annotations

from landscape.core.directions.direction import Direction, between, check_finite, cosine, from_arrays, orthogonalize
from landscape.core.directions.filters import Only, Role, roles, select_parameters
from landscape.core.directions.offload import offload_to_host
from landscape.core.directions.random import Normalization, cosine_spread, normalization_name, normals, random_direction

__all__ = [
    "Direction",
    "Normalization",
    "Only",
    "Role",
    "between",
    "check_finite",
    "cosine",
    "cosine_spread",
    "from_arrays",
    "normalization_name",
    "normals",
    "offload_to_host",
    "orthogonalize",
    "random_direction",
    "roles",
    "select_parameters",
]
