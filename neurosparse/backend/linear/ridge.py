"""Ridge on one training set, factorised once for any targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurosparse.backend.linear.scoring import Array

Fold = tuple[NDArray[np.int64], NDArray[np.int64]]
Folds = Sequence[Fold]


@dataclass(frozen=True)
class RidgeFold:
    """Ridge on one training set, factorised once: any targets then cost a few matrix products.

    Attributes
    ----------
    base, base_test : (n, k), (m, k) float64
        Orthonormal basis of the unpenalised columns on the training rows, and the same columns on the test rows.
    basis, basis_test : (n, d), (m, d) float64
        Left singular vectors U of the predictors after `base` is regressed out, and the test rows in the same
        coordinates: the ridge fit is ``basis @ (shrink * (basis.T @ y))``.
    eigenvalues : (d,) float64
        Squared singular values s.
    penalties : (l,) float64
        Absolute penalties lambda: the grid times the mean of `eigenvalues`.
    inner : list of (train, test)
        Folds of the training rows, as indices into them. Rows in neither part (gaps) are left out of the fit.
    """

    base: Array
    base_test: Array
    basis: Array
    basis_test: Array
    eigenvalues: Array
    penalties: Array
    inner: Folds

    @property
    def shrink(self) -> Array:
        """s / (s + lambda), (l, d)."""
        return self.eigenvalues / (self.eigenvalues + self.penalties[:, None])


def isometric(x: Array) -> Array:
    """Predictors with the same inner products in at most n columns: X~ X~^T = Xc Xc^T, Xc centred over rows.

    Ridge with an intercept is the same on both, so p >> n predictors are paid for once, not in every fold.

    Parameters
    ----------
    x : (n, p) array

    Returns
    -------
    (n, min(n, p)) float64 array

    Notes
    -----
    2 n^2 p + O(n^3) flops where p > n; otherwise a centred copy. Directions below 1e-13 of the largest eigenvalue
    are lost to rounding.
    """
    x = np.asarray(x, dtype=np.float64)
    x = x - x.mean(axis=0)
    if x.shape[1] <= x.shape[0]:
        return x
    values, vectors = np.linalg.eigh(x @ x.T)
    return vectors * np.sqrt(np.maximum(values, 0.0))


def ridge_fold(
    x: Array, train: NDArray[np.int64], test: NDArray[np.int64], inner: Folds, *, penalties: Array, nuisance: Array
) -> RidgeFold:
    """Factorise the ridge of the rows `train`: min_w,c |y - nuisance c - x w|^2 + lambda |w|^2.

    Parameters
    ----------
    x : (sample, p) array
    train, test : index arrays
        Rows that are fitted, and rows that are predicted.
    inner : list of (train, test)
        Folds of ``range(len(train))`` in which the penalty is chosen.
    penalties : (l,) array
        Positive multiples of the mean eigenvalue of the training rows' kernel, so scale-free.
    nuisance : (sample, k) array
        Unpenalised columns, the intercept among them.

    Returns
    -------
    RidgeFold

    Notes
    -----
    One eigendecomposition of the smaller of kernel (n x n) and scatter (p x p), about 9 min(n, p)^3 flops, and
    2 n p min(n, p) for the products.
    """
    base, triangle = np.linalg.qr(nuisance[train])
    base_test = np.linalg.solve(triangle.T, nuisance[test].T).T
    removed = base.T @ x[train]  # (k, p)
    rows, rows_test = x[train] - base @ removed, x[test] - base_test @ removed
    n, p = rows.shape
    if p < n:
        values, vectors = np.linalg.eigh(rows.T @ rows)
        keep = values > 10 * n * np.finfo(float).eps * values.max()
        values, right = values[keep], vectors[:, keep] / np.sqrt(values[keep])
        basis, basis_test = rows @ right, rows_test @ right
    else:
        values, vectors = np.linalg.eigh(rows @ rows.T)
        keep = values > 10 * n * np.finfo(float).eps * values.max()
        values, basis = values[keep], vectors[:, keep]
        basis_test = (rows_test @ rows.T) @ (basis / values)
    mean = values.mean() if values.size else 1.0
    return RidgeFold(base, base_test, basis, basis_test, values, np.asarray(penalties) * mean, list(inner))


def ridge_predict(fold: RidgeFold, y: Array, choice: NDArray[np.int64]) -> tuple[Array, Array]:
    """Predictions of the test rows in two parts whose sum is the ridge prediction.

    Parameters
    ----------
    fold : RidgeFold
    y : (n, t) array
        Targets on the training rows.
    choice : (t,) int array
        Index into ``fold.penalties`` for each target.

    Returns
    -------
    mapped : (m, t) array
        The predictors' part.
    baseline : (m, t) array
        The unpenalised columns' part: with an intercept alone, the mean of the training rows.

    Notes
    -----
    2 (n + m)(d + k) t flops, whatever the number of penalties.
    """
    shrink, base, base_test, basis, basis_test = (
        part.astype(y.dtype, copy=False)
        for part in (fold.shrink, fold.base, fold.base_test, fold.basis, fold.basis_test)
    )
    return basis_test @ (shrink[choice].T * (basis.T @ y)), base_test @ (base.T @ y)
