"""r and R2 of held-out predictions, within folds, with or without bootstrap weights."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

CHUNK_BYTES = 200e6


def chunks(n: int, bytes_each: float) -> Iterator[slice]:
    """Slices of ``range(n)`` that need at most `CHUNK_BYTES` each, one entry at the least."""
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


def residuals(target: Array, baseline: Array) -> Array:
    """``target - baseline``, (m, t); exactly 0 where rounding alone is left, so that a constant target stays constant.

    Parameters
    ----------
    target, baseline : (m, t) float64 arrays
    """
    left = target - baseline
    dust = 1e-12 * np.abs(target).max(axis=0, initial=0.0)
    return np.where(np.abs(left) > dust, left, 0.0)


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
    left = residuals(target, baseline)
    r, r2 = np.empty((2, len(w), target.shape[1]))
    for rows in chunks(len(w), bytes_each=80 * target.shape[1]):
        r[rows], r2[rows] = _scores_by_fold(mapped, left, fold, w[rows])
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
