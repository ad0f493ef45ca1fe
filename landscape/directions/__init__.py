"""Directions: random, between checkpoints or from a file; their normalization and orthogonalization."""

from __future__ import annotations

from landscape.directions.direction import Direction, between, check_finite, cosine, from_arrays, orthogonalize
from landscape.directions.host import off_device
from landscape.directions.random import NORMALIZATIONS, cosine_spread, normals, random_direction
from landscape.directions.roles import IGNORABLE, Role, moving, roles

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
