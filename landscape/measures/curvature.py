"""Where the surface curves upwards in every direction of the line or plane."""

from __future__ import annotations

import math
from itertools import product

import numpy as np

from landscape.core.surface import Number, Surface
from landscape.measures.noise import SIGNIFICANT, Noise, noise_without_losses
from landscape.measures.values import measured

__all__ = ["convexity", "least_second_difference", "min_curvature", "second_difference", "smaller_eigenvalue"]


def convexity(surface: Surface, key: str | None = None, noise: Noise | None = None) -> Number | None:
    """The share of interior points where the smaller eigenvalue of the 2×2 difference Hessian is positive beyond 3 of its noise.

    For a line, the share where the second difference is. Points with a neighbour that is not finite or not measured yet are not
    counted. None where no point is left, and where an axis has fewer than 3 points. Withheld where the noise is not known. The sign
    depends neither on the unit nor on the sense of the axes.

    Args:
        surface: a line of one draw, or a plane.
        key: the values to measure; the training loss without one.
        noise: of the values; without it, what is known from the surface alone.
    """
    metric = surface.metric(key)
    values, _ = measured(surface, metric.key)
    if min(values.shape) < 3:
        return None
    noise = noise_without_losses(surface, metric.key) if noise is None else noise
    values, _ = noise.compared(values, surface.origin(metric.key))
    curvature, coefficients = _curvature(surface, values)
    counted = np.isfinite(curvature)
    if not counted.any():
        return None
    unit = "fraction of the points"
    if noise.withheld:
        return Number(math.nan, unit, withheld=noise.withheld)
    own = noise.of(coefficients[counted], _windows(np.arange(values.size).reshape(values.shape))[counted])
    return Number(float(np.mean(curvature[counted] > SIGNIFICANT * own)), unit)


def min_curvature(surface: Surface, key: str | None = None) -> Number | None:
    """The smallest second derivative in any direction of the line or plane, over its interior points.

    Of a plane the smaller eigenvalue of the difference Hessian, of a line the second difference; a function that is convex and smooth
    on the scale of the grid has none below 0. None where no point has finite neighbours on all sides.
    """
    metric = surface.metric(key)
    values, _ = measured(surface, metric.key)
    if min(values.shape) < 3:
        return None
    curvature, _ = _curvature(surface, values)
    counted = curvature[np.isfinite(curvature)]
    unit = f"{metric.unit} by squared unit of the axes".lstrip()
    return Number(float(counted.min()), unit) if counted.size else None


def least_second_difference(surface: Surface, key: str | None = None) -> Number | None:
    """The smallest L(p - h) - 2·L(p) + L(p + h) along rows, columns and both diagonals of an even grid.

    For a convex function none is negative, however coarse the grid; its difference Hessian may have negative eigenvalues where a valley
    is narrower than a cell. None where no point has finite neighbours on both sides, and where axes are not evenly spaced.
    """
    metric = surface.metric(key)
    values, _ = measured(surface, metric.key)
    if min(values.shape) < 3 or not all(_is_even(axis.values) for axis in surface.axes):
        return None
    finite = np.where(np.isfinite(values), values, np.nan)
    steps = [(1, 0), (0, 1), (1, 1), (1, -1)] if values.ndim == 2 else [(1,)]
    padded = np.pad(finite, 1, constant_values=np.nan)
    axes = tuple(range(values.ndim))
    differences = [
        (np.roll(padded, step, axes) - 2 * padded + np.roll(padded, tuple(-part for part in step), axes)) for step in steps
    ]
    counted = np.concatenate([difference[np.isfinite(difference)] for difference in differences])
    return Number(float(counted.min()), metric.unit) if counted.size else None


def _is_even(axis: np.ndarray) -> bool:
    return bool(np.allclose(np.diff(axis), axis[1] - axis[0], rtol=1e-9, atol=0))


def second_difference(x: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Second derivative at the interior nodes of a line, `(n-2,)`, and its coefficients, `(n-2, 3)`; exact for parabolas on any spacing.

    L'' ≈ Σ_k w_k L_{i-1+k}, w = 2·[1/(p(p+q)), -1/(pq), 1/(q(p+q))] with the spacings p before and q after the node.

    >>> second_difference(np.array([0.0, 1.0, 3.0]), np.array([0.0, 1.0, 9.0]))[0].tolist()
    [2.0]
    """
    weights = _weights(x)
    return (weights * _windows(values)).sum(axis=1), weights


def smaller_eigenvalue(x: np.ndarray, y: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smaller eigenvalue λ of the difference Hessian at the interior nodes, `(nx-2, ny-2)`, and its derivatives, `(nx-2, ny-2, 9)`.

    L_xx and L_yy are the second differences of `second_difference`; L_xy is the difference of the four diagonal neighbours,
    (L_++ - L_+- - L_-+ + L_--) / ((x_+ - x_-)(y_+ - y_-)). All three are exact for quadratics on any spacing.
    λ = (L_xx + L_yy)/2 - √(((L_xx - L_yy)/2)² + L_xy²). To first order δλ = v_x² δL_xx + 2 v_x v_y δL_xy + v_y² δL_yy with the unit
    eigenvector v of λ, which is linear in the nine nodes of the stencil; the derivatives by them are in grid order, the middle
    node's being that of L_xx and L_yy together.
    """
    nodes = np.lib.stride_tricks.sliding_window_view(values, (3, 3))
    weights_x, weights_y = _weights(x)[:, None, :], _weights(y)[None, :, :]
    corner = 1 / np.multiply.outer(x[2:] - x[:-2], y[2:] - y[:-2])
    xx = (weights_x * nodes[:, :, :, 1]).sum(axis=2)
    yy = (weights_y * nodes[:, :, 1, :]).sum(axis=2)
    xy = corner * ((nodes[:, :, 2, 2] + nodes[:, :, 0, 0]) - (nodes[:, :, 2, 0] + nodes[:, :, 0, 2]))
    eigenvalue = (xx + yy) / 2 - np.hypot((xx - yy) / 2, xy)
    angle = np.arctan2(2 * xy, xx - yy) / 2  # of the larger eigenvalue's vector
    v_x, v_y = -np.sin(angle), np.cos(angle)
    coefficients = np.zeros((*eigenvalue.shape, 3, 3))
    for p, q in product((0, 2), repeat=2):
        coefficients[:, :, p, q] = 2 * v_x * v_y * corner * ((p - 1) * (q - 1))
    coefficients[:, :, :, 1] += (v_x**2)[:, :, None] * weights_x
    coefficients[:, :, 1, :] += (v_y**2)[:, :, None] * weights_y
    return eigenvalue, coefficients.reshape(*eigenvalue.shape, 9)


def _curvature(surface: Surface, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What `second_difference` or `smaller_eigenvalue` finds, NaN where a neighbour is not finite."""
    finite = np.where(np.isfinite(values), values, np.nan)
    return second_difference(surface.x, finite) if surface.kind == "line" else smaller_eigenvalue(surface.x, surface.y, finite)


def _windows(values: np.ndarray) -> np.ndarray:
    """Of each interior node its neighbourhood, in grid order: `(n-2, 3)` or `(nx-2, ny-2, 9)`."""
    windows = np.lib.stride_tricks.sliding_window_view(values, (3,) * values.ndim)
    return windows.reshape(*windows.shape[: values.ndim], -1)


def _weights(axis: np.ndarray) -> np.ndarray:
    """Weights of the second difference at each interior node, `(n-2, 3)`."""
    p, q = np.diff(axis)[:-1], np.diff(axis)[1:]
    return 2 * np.stack([1 / (p * (p + q)), -1 / (p * q), 1 / (q * (p + q))], axis=1)
