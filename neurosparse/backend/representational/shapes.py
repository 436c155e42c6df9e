"""Generalised shape metrics: what is left of a difference after the best rotation of partly whitened codes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neurosparse.backend.resampling import is_real
from neurosparse.errors import InputError

Array = NDArray[np.float64]


def whitening(scatter: Array, alpha: float) -> Array:
    """``alpha I + (1 - alpha) C^(-1/2)``, C being `scatter` (p, p) scaled to a mean eigenvalue of 1.

    Directions below 1e-10 of the largest eigenvalue are left out where alpha < 1.

    Raises
    ------
    InputError
        If `alpha` is outside [0, 1].
    """
    if not is_real(alpha) or not 0 <= alpha <= 1:
        raise InputError(f"alpha must lie between 0 (any linear map) and 1 (rotations); got {alpha!r}.")
    if alpha == 1:
        return np.eye(len(scatter))
    values, vectors = np.linalg.eigh(scatter)
    keep = values > 1e-10 * values[-1]
    values, vectors = values[keep] / max(values.mean(), np.finfo(float).tiny), vectors[:, keep]
    return (vectors * (alpha + (1 - alpha) / np.sqrt(values))) @ vectors.T


def shape_similarity(x: Array, y: Array, alpha: float = 1.0) -> float:
    """Cosine of the angular shape distance, ``|Zx' Zy|_* / (|Zx| |Zy|)`` of the partly whitened codes, in sample.

    Parameters
    ----------
    x : (n, p) array
    y : (n, q) array
        Different numbers of units count as units that are silent on one side.
    alpha : float
        1: rotations are free (angular Procrustes). 0: any invertible linear map is, and the value is the sum of the
        canonical correlations over ``sqrt(p q)``.

    Returns
    -------
    float in [0, 1]
        Its arccos is a metric. Near 1 for anything once units outnumber samples: score on other samples
        (`held_out_shape`).

    Notes
    -----
    Only the three scatter matrices touch the samples: n (p^2 + q^2 + p q) flops, then cubes of p and q.

    References
    ----------
    A. Williams et al., Generalized shape metrics on neural representations, NeurIPS (2021), section 2.3. Scatter is
    scaled to a mean eigenvalue of 1 before it is mixed with the identity, so that units of measure do not matter.
    """
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    sides = [(scatter, whitening(scatter, alpha)) for scatter in (x.T @ x, y.T @ y)]
    # |X Z|^2 = tr(Z C Z)
    sizes = [np.sqrt(np.vdot(scatter @ white, white)) for scatter, white in sides]
    cross = sides[0][1] @ (x.T @ y) @ sides[1][1]
    return float(np.linalg.svd(cross, compute_uv=False).sum() / (sizes[0] * sizes[1]))


def held_out_shape(x: tuple[Array, Array], y: tuple[Array, Array]) -> float:
    """Cosine on test samples of codes turned by the rotation that fits the training samples best.

    Parameters
    ----------
    x, y : pairs of (training, test) arrays
        Whitened and centred by the training samples (`prepared`).

    Returns
    -------
    float
        At most 1, 0 on average for independent codes; NaN where a side does not vary on the test samples.
    """
    left, _, right = np.linalg.svd(x[0].T @ y[0], full_matrices=False)
    size = float(np.linalg.norm(x[1]) * np.linalg.norm(y[1]))
    return float(np.vdot(x[1] @ left, y[1] @ right.T)) / size if size > 0 else float("nan")


def prepared(train: Array, test: Array, alpha: float) -> tuple[Array, Array]:
    """Both parts, centred and partly whitened by the training part."""
    mean = train.mean(axis=0)
    train, test = train - mean, test - mean
    white = whitening(train.T @ train, alpha)
    return train @ white, test @ white
