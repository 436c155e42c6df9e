"""Held-out linear maps: cross-validated ridge, its penalty chosen inside the training rows, and its null.

Float arrays with samples in rows enter and arrays leave. Imports numpy and the backend's resampling alone; anyone above
the backend may import it. Symbols: n training rows, m test rows, d rank of the predictors, k unpenalised columns
(the intercept, and drift where there is one), t targets, l penalties, g inner folds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from neurosparse.errors import InputError

Array = NDArray[np.floating]
Folds = Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]

PENALTIES = np.logspace(-5, 4, 10)  # in units of the mean eigenvalue of the training rows' kernel
CHUNK_BYTES = 200e6


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


@dataclass(frozen=True)
class RidgeScores:
    """What `cross_validated_ridge` found; rows as they entered, p_i = baseline_i + mapped_i the held-out prediction.

    Attributes
    ----------
    mapped, baseline : (sample, t) float64
        The predictors' part of the held-out prediction, and that of the unpenalised columns: without drift the
        mean of the training rows.
    fold : (sample,) int64
        Outer fold in which the row was held out.
    penalty : (fold, t) float64
        Chosen multiple of the mean eigenvalue.
    inner_r : (fold, t) float64
        r of the inner held-out predictions at the chosen penalty: seen in training rows alone.
    null_r : (permutation, t) float64
        r of each rearranged copy of the targets, its penalty chosen again.
    """

    mapped: Array
    baseline: Array
    fold: NDArray[np.int64]
    penalty: Array
    inner_r: Array
    null_r: Array


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
    Few samples (n^2 <= 2 g d^2): one n x n matrix a penalty gives all residuals at once, l (2 n^2 t + 2 n^2 d) flops,
    3 n^2 doubles. Many samples: coefficients instead of residuals, l g (4 d^2 t + 2 d^3) + 2 n d t flops, d^2 doubles.
    """
    n, d = fold.basis.shape
    return _errors_from_coefficients(fold, y) if 2 * len(fold.inner) * d**2 < n**2 else _errors_from_residuals(fold, y)


def _errors_from_residuals(fold: RidgeFold, y: Array) -> Array:
    n = len(fold.basis)
    outside = np.eye(n) - fold.base @ fold.base.T - fold.basis @ fold.basis.T
    errors = np.empty((len(fold.penalties), y.shape[1]), dtype=y.dtype)
    for level, shrink in enumerate(fold.shrink):
        kept = fold.basis * np.sqrt(1.0 - shrink)
        residual = outside + kept @ kept.T  # I - H, without the cancellation of that form
        blocks = []
        for train, test in fold.inner:
            left = _left_out(n, train)
            solved = np.linalg.solve(residual[np.ix_(left, left)], residual[left])
            blocks.append(solved[np.isin(left, test)])
        held_out = np.concatenate(blocks).astype(y.dtype) @ y
        errors[level] = np.einsum("ij,ij->j", held_out, held_out)
    return errors


def _errors_from_coefficients(fold: RidgeFold, y: Array) -> Array:
    design = np.hstack([fold.base, fold.basis])  # (n, k + d)
    total = design.T.astype(y.dtype) @ y
    errors = np.zeros((len(fold.penalties), y.shape[1]), dtype=y.dtype)
    identity = np.eye(design.shape[1])
    for train, test in fold.inner:
        left = design[_left_out(len(design), train)]
        scatter_left = left.T @ left
        fitted = total - left.T.astype(y.dtype) @ y[_left_out(len(design), train)]
        cross = design[test].T.astype(y.dtype) @ y[test]
        scatter = (design[test].T @ design[test]).astype(y.dtype)
        power = np.einsum("ij,ij->j", y[test], y[test])
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


def cross_validated_ridge(
    x: Array,
    y: Array,
    folds: Folds,
    inner_folds: Sequence[Folds],
    *,
    penalties: Array | None = None,
    nuisance: Array | None = None,
    rearrangements: NDArray[np.int64] | None = None,
) -> RidgeScores:
    """Held-out ridge from `x` to every column of `y`, penalty chosen per target inside the training rows; and its null.

    Each outer fold is factorised once; the rearranged copies of `y` are more columns of the same products, and each
    column has its penalty chosen anew.

    Parameters
    ----------
    x : (sample, p) array
        Finite predictors, used as scaled: centred on the training rows, never divided by their sd.
    y : (sample, t) array
        Finite targets.
    folds : list of (train, test)
        Outer folds; each row is held out at most once.
    inner_folds : list of folds, one for each outer fold
        As indices into that fold's `train`.
    penalties : (l,) array, optional
        Multiples of the mean eigenvalue of the training rows' kernel; by default ten from 1e-5 to 1e4.
    nuisance : (sample, k) array, optional
        Unpenalised columns besides the intercept (slow drift), regressed on training rows out of both sides.
    rearrangements : (permutation, sample) int array, optional
        Row orders of `y` under the null.

    Returns
    -------
    RidgeScores

    Raises
    ------
    InputError
        If the row counts differ, or a penalty is below 1e-8 or not finite.

    Notes
    -----
    For T = t (1 + permutations) columns and n training rows a fold costs, beside its eigendecomposition, the inner
    errors (`inner_errors`) and 2 (n + m) d T flops. The null runs in float32 in chunks of at most 200 MB; the observed
    targets in float64. At n = 640, p = 5,120, t = 50, 200 permutations, ten penalties and five folds: 0.3 Tflop.
    """
    n = len(x)
    penalties = PENALTIES if penalties is None else np.sort(np.asarray(penalties, dtype=np.float64))
    if len(y) != n:
        raise InputError(f"x and y need the same rows; got {n} and {len(y)}.")
    if penalties.ndim != 1 or penalties.size == 0 or not np.all((penalties >= 1e-8) & np.isfinite(penalties)):
        raise InputError(
            "penalties must be a list of multiples of the mean eigenvalue, at least 1e-8 (below it rounding decides), "
            f"such as [0.01, 1, 100]; got {penalties.tolist()}."
        )
    x, ones = isometric(x), np.ones((n, 1))
    nuisance = ones if nuisance is None else np.hstack([ones, nuisance])
    scaled = _standardised(y).astype(np.float32)
    mapped, baseline = np.full(y.shape, np.nan), np.full(y.shape, np.nan)
    fold_of = np.full(n, -1, dtype=np.int64)
    penalty, inner_r, null_z = [], [], []
    for index, ((train, test), inner) in enumerate(zip(folds, inner_folds, strict=True)):
        fold = ridge_fold(x, train, test, inner, penalties=penalties, nuisance=nuisance)
        choice = inner_errors(fold, y[train]).argmin(axis=0)
        mapped[test], baseline[test] = ridge_predict(fold, y[train], choice)
        fold_of[test] = index
        penalty.append(penalties[choice])
        inner_r.append(inner_correlations(fold, y[train], choice))
        if rearrangements is not None:
            null_z.append(_null_correlations(fold, scaled, train, test, rearrangements))
    null_r = fisher_mean(np.stack(null_z)) if null_z else np.empty((0, y.shape[1]))
    return RidgeScores(mapped, baseline, fold_of, np.stack(penalty), np.stack(inner_r), null_r)


def _standardised(y: Array) -> Array:
    """Columns with mean 0 and sd 1: changes neither r nor the choice of penalty, and keeps float32 exact enough."""
    centred = y - y.mean(axis=0)
    sd = centred.std(axis=0)
    return centred / np.where(sd > 0, sd, 1.0)


def _null_correlations(
    fold: RidgeFold, y: Array, train: NDArray[np.int64], test: NDArray[np.int64], rearrangements: NDArray[np.int64]
) -> Array:
    """r on the test rows of one fold for every rearranged copy of `y`, (permutation, t)."""
    n_targets = y.shape[1]
    r = np.empty((len(rearrangements), n_targets))
    for rows in _chunks(len(rearrangements), bytes_each=3 * y.nbytes):
        # (row, permutation, t) -> (row, permutation * t): every copy is a set of further target columns
        known = y[rearrangements[rows][:, train].T].reshape(len(train), -1)
        hidden = y[rearrangements[rows][:, test].T].reshape(len(test), -1)
        choice = inner_errors(fold, known).argmin(axis=0)
        mapped, baseline = ridge_predict(fold, known, choice)
        r[rows] = correlations(mapped, hidden - baseline).reshape(-1, n_targets)
    return r


def _chunks(n: int, bytes_each: float) -> Iterator[slice]:
    step = max(1, int(CHUNK_BYTES // max(bytes_each, 1)))
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def correlations(prediction: Array, target: Array, weights: Array | None = None) -> Array:
    """Pearson r of the columns; weighted by rows where `weights` is given.

    Parameters
    ----------
    prediction, target : (m, t) arrays
    weights : (b, m) array, optional
        Non-negative; one set a row.

    Returns
    -------
    (t,) array, or (b, t) with `weights`
        NaN where the target does not vary; 0 where it does and the prediction does not, which predicts nothing.
    """
    p, p_varies = _unit_sd(prediction)
    y, y_varies = _unit_sd(target)
    w = np.ones((1, len(p)), dtype=p.dtype) if weights is None else weights
    with np.errstate(divide="ignore", invalid="ignore"):
        w = w / w.sum(axis=1, keepdims=True)
        mean_p, mean_y = w @ p, w @ y
        var_p, var_y = w @ p**2 - mean_p**2, w @ y**2 - mean_y**2
        r = (w @ (p * y) - mean_p * mean_y) / np.sqrt(np.maximum(var_p, 0) * np.maximum(var_y, 0))
    tiny = 1e-10
    r = np.where(p_varies & (var_p > tiny), np.clip(r, -1, 1), 0.0)
    r = np.where(y_varies & (var_y > tiny), r, np.nan)
    return r[0] if weights is None else r


def _unit_sd(values: Array) -> tuple[Array, NDArray[np.bool_]]:
    centred = values - values.mean(axis=0)
    sd = centred.std(axis=0)
    varies = sd > 1e-6 * np.abs(values).max(axis=0, initial=0.0)  # above float32 rounding of a constant
    return centred / np.where(varies, sd, 1.0), varies


def fisher_mean(r: Array, axis: int = 0) -> Array:
    """tanh of the mean of atanh(r) over `axis`; NaN entries are left out, all-NaN gives NaN."""
    z = np.arctanh(np.clip(np.asarray(r, dtype=np.float64), -1 + 1e-12, 1 - 1e-12))
    counts = np.sum(~np.isnan(z), axis=axis)
    return np.where(counts > 0, np.tanh(np.nansum(z, axis=axis) / np.maximum(counts, 1)), np.nan)


def held_out_scores(
    mapped: Array, baseline: Array, target: Array, fold: NDArray[np.int64], weights: Array | None = None
) -> tuple[Array, Array]:
    """r and R2 of held-out predictions, computed within each fold.

    r: Pearson correlation of `mapped` with ``target - baseline``, Fisher-averaged over folds.
    R2 = 1 - sum (target - baseline - mapped)^2 / sum (target - baseline)^2, averaged over folds: the baseline is what
    the training rows predict without the map, their mean.

    Parameters
    ----------
    mapped, baseline, target : (sample, t) arrays
    fold : (sample,) int array
        Fold in which each row was held out; -1 for rows that never were.
    weights : (b, sample) array, optional
        Bootstrap weights; the fitted models stay as they are.

    Returns
    -------
    r, R2 : (t,) float64 arrays, or (b, t) with `weights`
        A fold in which the target does not vary is left out; NaN where none is left.

    Notes
    -----
    10 b m t flops a fold, in chunks of at most 200 MB.
    """
    w = np.ones((1, len(fold))) if weights is None else weights
    r, r2 = np.empty((2, len(w), target.shape[1]))
    for rows in _chunks(len(w), bytes_each=80 * target.shape[1]):
        r[rows], r2[rows] = _scores_by_fold(mapped, target - baseline, fold, w[rows])
    return (r[0], r2[0]) if weights is None else (r, r2)


def _scores_by_fold(mapped: Array, target: Array, fold: NDArray[np.int64], weights: Array) -> tuple[Array, Array]:
    r, r2 = [], []
    for index in np.unique(fold[fold >= 0]):
        rows = fold == index
        p, y, w = mapped[rows], target[rows], weights[:, rows]
        r.append(correlations(p, y, w))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = (w @ (y - p) ** 2) / (w @ y**2)
        r2.append(np.where(np.isnan(r[-1]), np.nan, 1.0 - ratio))
    stacked = np.stack(r2)
    counts = np.sum(~np.isnan(stacked), axis=0)
    mean = np.where(counts > 0, np.nansum(stacked, axis=0) / np.maximum(counts, 1), np.nan)
    return fisher_mean(np.stack(r)), mean
