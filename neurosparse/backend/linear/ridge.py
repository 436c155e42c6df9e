"""Ridge on one training set, factorised once for any targets, and its exact inner held-out errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from neurosparse.backend.linear.scoring import Array, correlations, fisher_mean

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


def inner_errors(fold: RidgeFold, y: Array) -> Array:
    """Sum of squared errors of the inner held-out predictions, for every penalty and target.

    With H the hat matrix of all training rows, unpenalised columns included, the residuals of rows G that were left
    out of the fit are exactly e_G = (I - H_GG)^-1 [(I - H) y]_G: no refits.

    Parameters
    ----------
    fold : RidgeFold
    y : (n, t) array
        Targets on the training rows; the products run in its dtype, the factors are made in float64.

    Returns
    -------
    (l, t) array

    Notes
    -----
    Few samples (n^2 <= 2 g d^2): residuals, l (2 n d t + 2 n^2 d / g) flops; from n targets on through the n x n matrix
    that gives those of any target, l (2 n^2 t + 2 n^2 d); 3 n^2 doubles. Many samples: coefficients instead,
    l g (4 d^2 t + 2 d^3) + 2 n d t flops, d^2 doubles.
    """
    n, d = fold.basis.shape
    return _errors_from_coefficients(fold, y) if 2 * len(fold.inner) * d**2 < n**2 else _errors_from_residuals(fold, y)


def _errors_from_residuals(fold: RidgeFold, y: Array) -> Array:
    n, few = len(fold.basis), y.shape[1] < len(fold.basis)
    outside = np.eye(n) - fold.base @ fold.base.T - fold.basis @ fold.basis.T
    untouched, scores = (outside @ y, fold.basis.T @ y) if few else (y, y)
    places = [(left, np.isin(left, test)) for left, test in ((_left_out(n, one), other) for one, other in fold.inner)]
    errors = np.zeros((len(fold.penalties), y.shape[1]), dtype=y.dtype)
    for level, shrink in enumerate(fold.shrink):
        # I - H = outside + kept kept', without the cancellation of that form: times y, or itself
        kept = fold.basis * np.sqrt(1.0 - shrink)
        residual = untouched + fold.basis @ ((1.0 - shrink)[:, None] * scores) if few else outside + kept @ kept.T
        solved = []
        for left, scored in places:
            own = outside[np.ix_(left, left)] + kept[left] @ kept[left].T
            solved.append(np.linalg.solve(own, residual[left])[scored])
        held_out = np.concatenate(solved).astype(y.dtype)
        held_out = held_out if few else held_out @ y
        errors[level] = np.einsum("ij,ij->j", held_out, held_out)
    return errors


def _errors_from_coefficients(fold: RidgeFold, y: Array) -> Array:
    design = np.hstack([fold.base, fold.basis])  # (n, k + d)
    total = design.T.astype(y.dtype) @ y
    errors = np.zeros((len(fold.penalties), y.shape[1]), dtype=y.dtype)
    identity = np.eye(design.shape[1])
    for train, test in fold.inner:
        left, hidden = _left_out(len(design), train), y[test]
        scatter_left = design[left].T @ design[left]
        scatter = (design[test].T @ design[test]).astype(y.dtype)
        cross = design[test].T.astype(y.dtype) @ hidden
        beside = np.setdiff1d(left, test)  # gaps: left out of the fit, and not scored
        fitted = total - cross - design[beside].T.astype(y.dtype) @ y[beside]
        power = np.einsum("ij,ij->j", hidden, hidden)
        for level in range(len(fold.penalties)):
            coefficients = _solve_without(fold, scatter_left, level, identity).astype(y.dtype) @ fitted
            # |y - W b|^2 = |y|^2 - b.(2 W'y - W'W b): no (n, t) array a penalty
            errors[level] += power - np.einsum("ij,ij->j", coefficients, 2 * cross - scatter @ coefficients)
    return errors


def _left_out(n: int, train: NDArray[np.int64]) -> NDArray[np.int64]:
    outside = np.ones(n, dtype=bool)
    outside[train] = False
    return np.flatnonzero(outside)


def _solve_without(fold: RidgeFold, scatter: Array, level: int, right: Array) -> Array:
    """(W_-G' W_-G + penalty)^-1 right, with W = [base, basis] orthonormal and `scatter` = W_G' W_G."""
    unpenalised = np.ones(fold.base.shape[1])
    diagonal = np.concatenate([unpenalised, 1.0 + fold.penalties[level] / fold.eigenvalues])
    return cho_solve(cho_factor(np.diag(diagonal) - scatter, check_finite=False), right, check_finite=False)


def inner_correlations(fold: RidgeFold, y: Array, choice: NDArray[np.int64]) -> Array:
    """r of the inner held-out predictions at the chosen penalties, Fisher-averaged over the inner folds.

    Parameters
    ----------
    fold : RidgeFold
    y : (n, t) array
        Targets on the training rows.
    choice : (t,) int array
        Index into ``fold.penalties`` for each target.

    Returns
    -------
    (t,) float64 array
    """
    k = fold.base.shape[1]
    design = np.hstack([fold.base, fold.basis])
    r = np.full((len(fold.inner), y.shape[1]), np.nan)
    for index, (train, test) in enumerate(fold.inner):
        left = design[_left_out(len(design), train)]
        scatter, fitted = left.T @ left, design[train].T @ y[train]
        for level in np.unique(choice):
            chosen = choice == level
            b = _solve_without(fold, scatter, level, fitted[:, chosen])
            target = y[np.ix_(test, chosen)] - fold.base[test] @ b[:k]
            r[index, chosen] = correlations(fold.basis[test] @ b[k:], target)
    return fisher_mean(r)


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
    cast = y.dtype
    scores = fold.shrink.astype(cast)[choice].T * (fold.basis.T.astype(cast) @ y)  # (d, t)
    return fold.basis_test.astype(cast) @ scores, fold.base_test.astype(cast) @ (fold.base.T.astype(cast) @ y)
