"""Numbers of a surface: basin, bump, convexity, roughness, minimum, each with its formula.

Belongs here: functions from a `Surface` to numbers, with what is known of their noise. Does not: torch, files, wording (`report`).
"""

from landscape.measures.basin import basin_radius, basin_radius_weights, basin_share
from landscape.measures.curvature import convexity, least_second_difference, min_curvature
from landscape.measures.exactness import Exactness, describe_audit, describe_errors, exactness
from landscape.measures.extrema import minima, minimum
from landscape.measures.interpolation import alpha_half, barrier, bump, climb
from landscape.measures.noise import Noise, Paired, Rounding, Unknown, noise_without_losses, rounding_noise
from landscape.measures.summary import measure
from landscape.measures.turning import turning_points, turning_points_between
from landscape.measures.values import draws

__all__ = [
    "Exactness",
    "Noise",
    "Paired",
    "Rounding",
    "Unknown",
    "alpha_half",
    "barrier",
    "basin_radius",
    "basin_radius_weights",
    "basin_share",
    "bump",
    "climb",
    "convexity",
    "describe_audit",
    "describe_errors",
    "draws",
    "exactness",
    "least_second_difference",
    "measure",
    "min_curvature",
    "minima",
    "minimum",
    "noise_without_losses",
    "rounding_noise",
    "turning_points",
    "turning_points_between",
]
