"""Canonical correlations: in sample from scatter matrices, and held out after principal components."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neurosparse.backend.linear import correlations
from neurosparse.errors import InputError

Array = NDArray[np.float64]


def canonical_correlations(x: Array, y: Array, *, tol: float = 1e-10) -> Array:
    """All canonical correlations of two matrices of the same samples, largest first, in sample.

    Parameters
    ----------
    x : (n, p) array
    y : (n, q) array
    tol : float
        Directions with less than this share of the largest variance are left out.

    Returns
    -------
    (min(p, q),) float64 array
        Fewer where a side has fewer directions. All 1 once p + q exceeds n: see `held_out_canonical`.

    Notes
    -----
    Singular values of ``Cx^(-1/2) Cxy Cy^(-1/2)``: n (p^2 + q^2 + p q) flops and cubes of p and q. Variances below
    1e-12 of the largest are lost in forming the scatter matrices, so correlations are exact to about 1e-6.
    """
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    roots = [_inverse_root(side.T @ side, tol) for side in (x, y)]
    return np.minimum(np.linalg.svd(roots[0].T @ (x.T @ y) @ roots[1], compute_uv=False), 1.0)


def _inverse_root(scatter: Array, tol: float) -> Array:
    values, vectors = np.linalg.eigh(scatter)
    keep = values > tol * values[-1]
    return vectors[:, keep] / np.sqrt(values[keep])


def principal_scores(train: Array, test: Array, components: float | int) -> tuple[Array, Array]:
    """White principal components of the training samples, and the test samples in the same coordinates.

    Parameters
    ----------
    train, test : (n, p), (m, p) arrays
    components : int, or float in (0, 1]
        How many, or the share of training variance they must hold; never more than a tenth of the training samples,
        so that canonical directions are not fitted to noise.

    Returns
    -------
    (n, k), (m, k) arrays

    Raises
    ------
    InputError
        If `components` is neither.
    """
    mean = train.mean(axis=0)
    left, size, right = np.linalg.svd(train - mean, full_matrices=False)
    variance = size**2
    if isinstance(components, (int, np.integer)) and not isinstance(components, bool) and components >= 1:
        k = int(components)
    elif isinstance(components, float) and 0 < components <= 1:
        k = 1 + int(np.searchsorted(np.cumsum(variance) / variance.sum(), components - 1e-12))
    else:
        raise InputError(f"components must be an integer of at least 1 or a share in (0, 1]; got {components!r}.")
    rank = int((variance > 1e-12 * variance[0]).sum())
    k = max(1, min(k, rank, len(train) // 10))
    return left[:, :k], (test - mean) @ (right[:k].T / size[:k])


def held_out_canonical(x: tuple[Array, Array], y: tuple[Array, Array]) -> Array:
    """Correlation on the test samples of each pair of canonical directions of the training samples.

    Parameters
    ----------
    x, y : pairs of (training, test) arrays
        From `principal_scores`.

    Returns
    -------
    (min(p, q),) float64 array
        In the order of the training correlations; 0 on average for independent codes.
    """
    left, _, right = np.linalg.svd(x[0].T @ y[0], full_matrices=False)
    return np.asarray(correlations(x[1] @ left, y[1] @ right.T))
