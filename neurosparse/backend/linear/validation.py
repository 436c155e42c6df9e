"""Cross-validated ridge: outer folds, penalties chosen inside them, and the null of rearranged targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.backend.linear.inner import inner_choice, inner_errors
from neurosparse.backend.linear.ridge import Fold, Folds, RidgeFold, isometric, ridge_fold, ridge_predict
from neurosparse.backend.linear.scoring import Array, chunks, correlations, fisher_mean
from neurosparse.backend.threads import side_by_side
from neurosparse.errors import InputError

PENALTIES = np.logspace(-5, 4, 10)  # in units of the mean eigenvalue of the training rows' kernel


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
    n, penalties = len(x), sorted_penalties(penalties)
    if len(y) != n:
        raise InputError(f"x and y need the same rows; got {n} and {len(y)}.")
    x, ones = isometric(x), np.ones((n, 1))
    nuisance = ones if nuisance is None else np.hstack([ones, nuisance])
    scaled = None if rearrangements is None else _standardised(y).astype(np.float32)
    mapped, baseline = np.full(y.shape, np.nan), np.full(y.shape, np.nan)
    fold_of = np.full(n, -1, dtype=np.int64)

    def score(item: tuple[int, tuple[Fold, Folds]]) -> tuple[Array, Array, Array]:
        index, ((train, test), inner) = item
        fold = ridge_fold(x, train, test, inner, penalties=penalties, nuisance=nuisance)
        choice, inner_r = inner_choice(fold, y[train])
        mapped[test], baseline[test] = ridge_predict(fold, y[train], choice)
        fold_of[test] = index
        null: Array = np.empty((0, y.shape[1]))
        if rearrangements is not None and scaled is not None:
            null = _null_correlations(fold, scaled, train, test, rearrangements)
        return penalties[choice], inner_r, null

    found = side_by_side(score, enumerate(zip(folds, inner_folds, strict=True)))
    penalty, inner_r, null_z = zip(*found, strict=True)
    return RidgeScores(mapped, baseline, fold_of, np.stack(penalty), np.stack(inner_r), fisher_mean(np.stack(null_z)))


def sorted_penalties(given: Any) -> Array:
    """`PENALTIES` or those given, smallest first; InputError where they are none."""
    if given is None:
        return PENALTIES
    try:
        values = np.asarray(given)
    except ValueError:  # rows of unequal length
        values = np.empty(0)
    if values.ndim != 1 or not values.size or values.dtype.kind not in "iuf" or not (values >= 1e-8).all():
        raise InputError(
            "penalties must be a list of multiples of the mean eigenvalue, at least 1e-8 (below it rounding decides), "
            f"such as [0.01, 1, 100]; got {given!r}."
        )
    if not np.isfinite(values).all():
        raise InputError(f"penalties must be finite; got {given!r}.")
    return np.sort(values.astype(np.float64))


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
    for rows in chunks(len(rearrangements), bytes_each=3 * y.nbytes):
        # (row, permutation, t) -> (row, permutation * t): every copy is a set of further target columns
        known = y[rearrangements[rows][:, train].T].reshape(len(train), -1)
        hidden = y[rearrangements[rows][:, test].T].reshape(len(test), -1)
        choice = inner_errors(fold, known).argmin(axis=0)
        mapped, baseline = ridge_predict(fold, known, choice)
        r[rows] = correlations(mapped, hidden - baseline).reshape(-1, n_targets)
    return r
