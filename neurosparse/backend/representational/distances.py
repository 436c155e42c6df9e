"""Dissimilarities of pairs of stimuli, and second moments that carry the same information without their noise bias."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from neurosparse.backend.representational.kernels import Kernel
from neurosparse.errors import InputError

Array = NDArray[np.float64]


def correlation_distances(x: Array) -> Kernel:
    """Ranks of ``1 - r`` between the patterns of every two samples, centred, so that a cosine of two is Spearman's rho.

    Parameters
    ----------
    x : (n, p) array
        At least 3 samples of at least 3 units. A pattern that is constant over units is at distance 1 from all others.

    Returns
    -------
    Kernel
        A Gram form (n, n) with a diagonal of zeros.

    Raises
    ------
    InputError
        If there are too few samples or units.

    Notes
    -----
    n^2 p flops, n^2 log n for the ranks, 8 n^2 bytes.

    References
    ----------
    N. Kriegeskorte, M. Mur, P. Bandettini, Frontiers in Systems Neuroscience 2:4 (2008).
    """
    n, p = x.shape
    if n < 3 or p < 3:
        raise InputError(f"correlation distances need at least 3 samples of 3 units; got {n} samples of {p} units.")
    patterns = x - x.mean(axis=1, keepdims=True)
    size = np.linalg.norm(patterns, axis=1, keepdims=True)
    patterns = np.divide(patterns, size, out=np.zeros_like(patterns), where=size > 1e-12 * np.abs(x).max())
    upper = np.triu_indices(n, 1)
    # Rounding must not decide between equal distances
    ranks = rankdata(np.round(1.0 - (patterns @ patterns.T)[upper], 12))
    square = np.zeros((n, n))
    square[upper] = ranks - ranks.mean()
    return Kernel(square + square.T, True, np.zeros(n))


def whitened_second_moment(halves: Sequence[tuple[Array, Array]], noise: Array | None = None) -> Kernel:
    """Second moment of stimulus patterns between independent halves, ``sym(H X1 W X2' H) / p``, averaged over splits.

    The crossnobis distances are linear in it, d_ij = G_ii + G_jj - 2 G_ij, and the cosine of two such matrices is the
    whitened cosine of the two sets of distances.

    Parameters
    ----------
    halves : sequence of pairs of (n, p) arrays
        Averages over disjoint repeats of the same samples; a pair of the same array twice for a side without noise.
    noise : (p, p) array, optional
        Covariance of single trials about their stimulus mean, W its inverse; by default W is the identity.

    Returns
    -------
    Kernel
        Gram form (n, n). Unbiased: independent noise of the halves has mean zero in it.

    References
    ----------
    J. Diedrichsen et al., Comparing representational geometries using whitened unbiased-distance-matrix similarity,
    Neurons, Behavior, Data analysis and Theory 5(3) (2021), equations 4 and 12.
    """
    total = np.zeros((len(halves[0][0]),) * 2)
    for first, second in halves:
        a, b = first - first.mean(axis=0), second - second.mean(axis=0)
        product = a @ (b.T if noise is None else np.linalg.solve(noise, b.T))
        total += 0.5 * (product + product.T)
    total /= len(halves) * halves[0][0].shape[1]
    return Kernel(total, True, np.diag(total).copy())
