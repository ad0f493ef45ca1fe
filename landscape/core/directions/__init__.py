"""Directions: random, between checkpoints or from a file; their normalization and orthogonalization."""

from __future__ import annotations

from landscape.core.directions.direction import Direction, between, check_finite, cosine, from_arrays, orthogonalize
from landscape.core.directions.filters import IGNORABLE, Role, moving, roles
from landscape.core.directions.offload import off_device
from landscape.core.directions.random import NORMALIZATIONS, cosine_spread, normals, random_direction

__all__ = [
    "IGNORABLE",
    "NORMALIZATIONS",
    "Direction",
    "Role",
    "between",
    "check_finite",
    "cosine",
    "cosine_spread",
    "from_arrays",
    "moving",
    "normals",
    "off_device",
    "orthogonalize",
    "random_direction",
    "roles",
]
