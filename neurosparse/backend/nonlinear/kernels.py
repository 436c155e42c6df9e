"""Features whose inner products are a nonlinear kernel, so that ridge on them is kernel ridge."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

LARGEST = 4000  # samples beyond which an n x n eigendecomposition is not worth its time


def radial_features(x: Array, width: float) -> Array:
    """Features of ``exp(-d^2 / (2 s^2))``, s^2 = `width`^2 times the median squared distance, (n, n).

    Parameters
    ----------
    x : (n, p) array
    width : float
        In units of the median distance of two samples.
    """
    return _factor(radial_kernel(x, width))


def bumps_on_a_plane(x: Array, width: float, linear: float) -> Array:
    """Features of a linear kernel with a radial one added, for a map that is linear but for local bumps, (n, n).

    Parameters
    ----------
    x, width
        As in `radial_features`.
    linear : float
        Variance of the linear kernel over that of the radial one, both centred.
    """
    x = x - x.mean(axis=0)
    plane, bumps = x @ x.T, radial_kernel(x, width)
    spread = float(np.trace(bumps) - bumps.mean() * len(x))
    return _factor(bumps + linear * spread / max(float(np.trace(plane)), np.finfo(float).tiny) * plane)


def quadratic_features(x: Array) -> Array:
    """Features of ``(1 + <x, x'> / s^2)^2``, s^2 the mean squared norm of centred samples, (n, n).

    All products of two units, and the units themselves, without forming them.
    """
    x = x - x.mean(axis=0)
    gram = x @ x.T
    scale = max(float(np.trace(gram)) / len(x), np.finfo(float).tiny)
    return _factor((1.0 + gram / scale) ** 2)


def radial_kernel(x: Array, width: float) -> Array:
    """``exp(-d^2 / (2 s^2))`` as in `radial_features`, (n, n)."""
    squares = _squared_distances(x)
    middle = float(np.median(squares[np.triu_indices(len(x), 1)]))
    return np.asarray(np.exp(-squares / (2 * width**2 * max(middle, np.finfo(float).tiny))))


def _squared_distances(x: Array) -> Array:
    x = x - x.mean(axis=0)
    norms = np.einsum("ij,ij->i", x, x)
    return np.maximum(norms[:, None] + norms - 2 * (x @ x.T), 0.0)


def _factor(kernel: Array) -> Array:
    """F with F F' = kernel."""
    values, vectors = np.linalg.eigh(kernel)
    keep = values > 1e-9 * values[-1]
    return np.asarray(vectors[:, keep] * np.sqrt(values[keep]))
