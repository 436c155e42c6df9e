"""Inner held-out errors and correlations of ridge, exactly and without refits: what the penalty is chosen by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from neurosparse.backend.linear.ridge import RidgeFold
from neurosparse.backend.linear.scoring import Array, correlations, fisher_mean, residuals

ROUNDING = 1e-12  # of a mean square: less variance is what sums over rows leave of a constant


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
    return _errors_from_coefficients(fold, y)[0] if _many_samples(fold) else _errors_from_residuals(fold, y)


def inner_choice(fold: RidgeFold, y: Array) -> tuple[NDArray[np.int64], Array]:
    """The penalty of least inner error for each target, and r of the inner held-out predictions there.

    Parameters
    ----------
    fold : RidgeFold
    y : (n, t) array
        Targets on the training rows.

    Returns
    -------
    choice : (t,) int64
        Index into ``fold.penalties``.
    r : (t,) float64
        Fisher-averaged over the inner folds, as `inner_correlations`.
    """
    if not _many_samples(fold):
        choice = inner_errors(fold, y).argmin(axis=0)
        return choice, inner_correlations(fold, y, choice)
    errors, r = _errors_from_coefficients(fold, y, correlated=True)
    choice = errors.argmin(axis=0)
    return choice, fisher_mean(np.take_along_axis(r, choice[None, None], axis=1)[:, 0])


def _many_samples(fold: RidgeFold) -> bool:
    n, d = fold.basis.shape
    return 2 * len(fold.inner) * d**2 < n**2


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


def _errors_from_coefficients(fold: RidgeFold, y: Array, *, correlated: bool = False) -> tuple[Array, Array]:
    """Errors; where `correlated`, r of every inner fold and penalty, (g, l, t). No (n, t) array a penalty."""
    design = np.hstack([fold.base, fold.basis])  # (n, k + d)
    total = design.T.astype(y.dtype, copy=False) @ y
    few, identity = y.shape[1] <= design.shape[1], np.eye(design.shape[1])
    errors = np.zeros((len(fold.penalties), y.shape[1]), dtype=y.dtype)
    r = np.empty((len(fold.inner), *errors.shape)) if correlated else np.empty(0)
    for index, (train, test) in enumerate(fold.inner):
        held = _moments(design[test], y[test])
        rows = np.setdiff1d(_left_out(len(design), train), test)  # gaps: left out of the fit, and not scored
        beside = design[rows]
        left = held.scatter + beside.T @ beside
        fitted = total - held.cross - beside.T.astype(y.dtype, copy=False) @ y[rows]
        for level in range(len(fold.penalties)):
            # for many targets the inverse, and their product with it in their own dtype
            b = _solve_without(fold, left, level, fitted if few else identity).astype(y.dtype, copy=False)
            b = b if few else b @ fitted
            mapped = held.scatter.astype(y.dtype, copy=False) @ b
            # |y - W b|^2 = |y|^2 - b.(2 W'y - W'W b)
            errors[level] += held.power - np.einsum("ij,ij->j", b, 2 * held.cross - mapped)
            if correlated:
                r[index, level] = _r_of_moments(held, b, mapped, fold.base.shape[1])
    return errors, r


@dataclass(frozen=True)
class _Moments:
    """Sums over the m scored rows of W = [base, basis] and y: W'W, W'y, |y|^2, 1'W and 1'y."""

    m: int
    scatter: Array
    cross: Array
    power: Array
    sums: Array
    target_sums: Array


def _moments(design: Array, y: Array) -> _Moments:
    cross = design.T.astype(y.dtype, copy=False) @ y
    return _Moments(len(y), design.T @ design, cross, np.einsum("ij,ij->j", y, y), design.sum(axis=0), y.sum(axis=0))


def _r_of_moments(held: _Moments, b: Array, mapped: Array, k: int) -> Array:
    """r of the predictors' part ``W_q b_q`` with ``y - W_0 b_0``, the first k of W being W_0; `mapped` is W'W b."""
    base, own = b[:k], b[k:]
    beside = held.scatter[k:, :k] @ base  # W_q' W_0 b_0
    mean_p = held.sums[k:] @ own / held.m
    mean_y = (held.target_sums - held.sums[:k] @ base) / held.m
    square_p = np.einsum("ij,ij->j", own, mapped[k:] - beside) / held.m
    square_y = held.power - np.einsum("ij,ij->j", base, 2 * held.cross[:k] - held.scatter[:k, :k] @ base)
    var_p, var_y, size = square_p - mean_p**2, square_y / held.m - mean_y**2, held.power / held.m
    shared = np.einsum("ij,ij->j", own, held.cross[k:] - beside) / held.m - mean_p * mean_y
    predicts = var_p > ROUNDING * square_p + ROUNDING**2 * size
    with np.errstate(divide="ignore", invalid="ignore"):
        r = np.where(predicts, np.clip(shared / np.sqrt(var_p * var_y), -1.0, 1.0), 0.0)
    return np.where(var_y > ROUNDING * size, r, np.nan)


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
    total = design.T @ y
    r = np.full((len(fold.inner), y.shape[1]), np.nan)
    for index, (train, test) in enumerate(fold.inner):
        rows = _left_out(len(design), train)
        left = design[rows]
        scatter, fitted = left.T @ left, total - left.T @ y[rows]
        for level in np.unique(choice):
            chosen = choice == level
            b = _solve_without(fold, scatter, level, fitted[:, chosen])
            target = residuals(y[np.ix_(test, chosen)], fold.base[test] @ b[:k])
            r[index, chosen] = correlations(fold.basis[test] @ b[k:], target)
    return fisher_mean(r)
