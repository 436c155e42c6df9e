"""How much of the targets' variance is a polynomial of the predictors beyond what is linear, without fitting one.

A fitted map finds little of a quadratic form with more coefficients than there are samples; its share of the variance
can be estimated all the same, because coefficients enter the covariance of samples through one kernel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from neurosparse.backend.linear import Share, isometric
from neurosparse.backend.linear.share import MOST_DIRECTIONS, UNKNOWN, orthonormal, share_of_pairs
from neurosparse.backend.resampling import label_codes

Array = NDArray[np.floating]

N_SWEEPS = 300
TOLERANCE = 1e-6


def nonlinear_shares(
    x: Array,
    targets: Sequence[Array],
    groups: NDArray[np.int64],
    orders: tuple[int, ...],
    *,
    nuisance: Array | None = None,
) -> dict[int, list[Share]]:
    """Share of the variance of targets (mean over each set) that is a form of these orders in `x` and not linear in it.

    With e what least squares on [1, nuisance, x] leaves of the targets, each over its sd, and M that projection,

    ``share = e' A e tr(M K M) / (tr(A K) (n - k))``, K_ij = <x_i, x_j>^order,

    where A is the matrix nearest to M K M that has M A M = A and no entry within a group. So noise has mean zero in
    it, whatever its variance at each sample and its correlation within groups, and forms whose coefficients are drawn
    independently have their own share for mean.

    Parameters
    ----------
    x : (n, p) array
        Used as scaled.
    targets : sequence of (n, t) arrays
        Each target must vary. Further sets cost a few products.
    groups : (n,) int array
        Samples that may share noise.
    orders : tuple of int
        2 for quadratic forms, 3 for cubic ones.
    nuisance : (n, k) array, optional
        What else is regressed out, such as drift.

    Returns
    -------
    dict of order -> list of Share, one a set
        Errors are of the mean over targets, which may share noise. NaN where there are more linear directions than
        half of the samples, or where groups leave no pairs to compare.

    Notes
    -----
    Nothing is fitted but the linear map, so nothing needs to be held out: under pure noise the mean is 0. A form's own
    share is a ratio, low by a tenth to a fifth at 50-100 samples, by less beyond. Error: the
    sum over groups of squared influences, less what they count twice in a form of two samples (Efron and Stein 1981).
    n^3 flops and three n x n matrices an order, and some tens of n^2 k.

    References
    ----------
    J. Haseman and R. Elston, Behavior Genetics 2:3-19 (1972), for moments of pairs; P. Kline, R. Saggio, M. Solvsten,
    Econometrica 88:1859-1898 (2020), for noise that differs between samples. The exclusion of groups is this
    package's.
    """
    x = isometric(x)
    n = len(x)
    basis = orthonormal(np.ones((n, 1)), nuisance, x)
    if basis.shape[1] > MOST_DIRECTIONS * n:
        return {order: [UNKNOWN] * len(targets) for order in orders}
    codes = label_codes(groups, "groups")[1]
    products = x @ x.T
    products /= np.trace(products) / n
    found: dict[int, list[Share]] = {}
    for order in orders:
        kernel = _without(products**order, basis)
        between = _between_groups(kernel, basis, codes)
        found[order] = [
            UNKNOWN if between is None else _share(kernel, between, _alike(y, basis), basis.shape[1], codes)
            for y in targets
        ]
    return found


def _alike(y: Array, basis: Array) -> Array:
    """Products of residuals of every two samples, averaged over targets."""
    rest = (y - y.mean(axis=0)) / y.std(axis=0)
    rest = rest - basis @ (basis.T @ rest)
    return np.asarray(rest @ rest.T / y.shape[1])


def _share(kernel: Array, between: Array, alike: Array, n_linear: int, codes: NDArray[np.int64]) -> Share:
    scale = float(np.trace(kernel)) / (len(kernel) - n_linear) / float(np.vdot(between, kernel))
    return share_of_pairs(between * alike, codes, scale)


def _between_groups(kernel: Array, basis: Array, codes: NDArray[np.int64]) -> Array | None:
    """The matrix A nearest to `kernel` with M A M = A and no entry within a group: projections in turn."""
    size = float(np.linalg.norm(kernel))
    found = kernel
    within = codes[:, None] == codes if codes.max() + 1 < len(codes) else np.eye(len(codes), dtype=bool)
    for _ in range(N_SWEEPS):
        found = np.where(within, 0.0, found)
        found = _without(found, basis)
        inside = float(np.linalg.norm(found[within]))
        if inside <= TOLERANCE * size:
            return found if np.vdot(found, kernel) > TOLERANCE * size**2 else None
    return None


def _without(square: Array, basis: Array) -> Array:
    """M S M with M = I - B B', S symmetric."""
    half = basis.T @ square
    square = square - basis @ half
    return np.asarray(square - (square @ basis) @ basis.T)
