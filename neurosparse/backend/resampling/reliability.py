"""What repeats of a stimulus tell: reliability, and the power of the noise-free signal."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from neurosparse.backend.resampling.checks import finite_matrix, whole_number
from neurosparse.backend.resampling.halves import adder_of, means_of_halves, repeated, same_length
from neurosparse.errors import InputError


def spearman_brown(r: ArrayLike, factor: float = 2.0) -> Any:
    """Reliability of an average of `factor` times as many repeats, f r / (1 + (f - 1) r).

    Parameters
    ----------
    r : float or array
        Correlation of two independent halves.
    factor : float
        Repeats of the average over repeats of a half; 2 for equal halves.

    Returns
    -------
    float or array
        NaN where 1 + (f - 1) r <= 0, where the formula has no meaning.

    References
    ----------
    C. Spearman and W. Brown, British Journal of Psychology 3:271-322 (1910).
    """
    if not factor > 0:
        raise InputError(f"factor must be positive; got {factor!r}.")
    r = np.asarray(r, dtype=np.float64)
    below = 1.0 + (factor - 1.0) * r
    result = np.where(below > 0, factor * r / np.where(below > 0, below, 1.0), np.nan)
    return result if result.ndim else float(result)


def split_half_reliability(
    values: ArrayLike, labels: ArrayLike, *, n_splits: int = 100, random_state: Any = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Split-half correlation of each unit and the reliability of its average over all repeats.

    r_half is the mean over splits of the correlation, across labels, of two half averages; only then does
    Spearman-Brown lift it to all repeats, with factor f = mean_s(1 / h_s) / mean_s(1 / R_s) for R_s repeats and h_s of
    them in a half: 2 when all repeats are even.

    Parameters
    ----------
    values : (trial, unit) array
    labels : (trial,) array
        Stimulus of each trial; those with one repeat are left out and counted in a warning.
    n_splits : int
        Random splits; 100 or more (one split alone is too noisy).
    random_state : int, numpy.random.Generator or None

    Returns
    -------
    r_half : (unit,) float64
    reliability : (unit,) float64
        NaN for units that never vary. The ceiling on r of a noise-free predictor is its square root.

    Raises
    ------
    InputError
        If fewer than three labels have two repeats, or values are not finite.

    Notes
    -----
    A split in which one half of a varying unit is constant counts as r = 0: leaving it out would call a unit that fired
    in two trials of one stimulus perfectly reliable. The factor assumes noise of equal variance for all labels.
    """
    matrix = finite_matrix(values)
    n_splits = whole_number(n_splits, "n_splits")
    same_length(matrix, labels)
    rows, distinct, codes, counts = repeated(labels)
    if len(distinct) < 3:
        raise InputError(f"a correlation across labels needs at least 3 with two repeats; got {len(distinct)}.")
    matrix = matrix[rows]
    splits = means_of_halves(matrix, codes, counts, n_splits, random_state)
    r_half = np.mean([np.nan_to_num(column_correlations(first, second)) for first, second in splits], axis=0)
    r_half = np.where(np.ptp(matrix, axis=0) > 0, r_half, np.nan)
    of_a_half = 0.5 * (1.0 / (counts // 2) + 1.0 / (counts - counts // 2))
    return r_half, spearman_brown(r_half, float(of_a_half.mean() / (1.0 / counts).mean()))


def signal_power(values: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Variance of each unit's noise-free tuning, and a lower 95 % bound.

    SP = Var_s(m_s) - mean_s(v_s / R_s), where m_s and v_s are mean and variance (both ddof 1) over the R_s repeats of
    label s; unbiased for ragged repeats and for noise that differs between labels.

    Parameters
    ----------
    values : (trial, unit) array
    labels : (trial,) array
        Those with one repeat are left out and counted in a warning.

    Returns
    -------
    power : (unit,) float64
        Squared units of `values`; may be negative where there is no signal.
    lower : (unit,) float64
        One-sided 95 % bound: SP minus Student's t times the standard error of its label-wise terms.

    Raises
    ------
    InputError
        If fewer than three labels have two repeats, or values are not finite.

    References
    ----------
    M. Sahani and J. Linden, NIPS 15 (2003); O. Schoppe et al., Frontiers in Computational Neuroscience 10:10 (2016).
    Repeats may be ragged here.
    """
    matrix = finite_matrix(values)
    same_length(matrix, labels)
    rows, distinct, codes, counts = repeated(labels)
    n_labels = len(distinct)
    if n_labels < 3:
        raise InputError(f"a variance across labels needs at least 3 with two repeats; got {n_labels}.")
    matrix, adder = matrix[rows], adder_of(codes, n_labels)
    means = (adder @ matrix) / counts[:, None]
    noise = (adder @ (matrix - means[codes]) ** 2) / ((counts - 1) * counts)[:, None]  # v_s / R_s
    terms = n_labels / (n_labels - 1) * (means - means.mean(axis=0)) ** 2 - noise  # (label, unit), their mean is SP
    power = terms.mean(axis=0)
    error = terms.std(axis=0, ddof=1) / np.sqrt(n_labels)
    return power, power - stats.t.ppf(0.95, n_labels - 1) * error


def column_correlations(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson r of matching columns of two (sample, unit) matrices; NaN where either column is constant."""
    # A constant column leaves rounding dust once its mean is taken away: constant means constant to rounding.
    varies = (np.ptp(x, axis=0) > 1e-12 * np.abs(x).max(axis=0)) & (np.ptp(y, axis=0) > 1e-12 * np.abs(y).max(axis=0))
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    scale = np.sqrt((x**2).sum(axis=0)) * np.sqrt((y**2).sum(axis=0))
    return np.where(varies, (x * y).sum(axis=0) / np.where(varies, scale, 1.0), np.nan)
