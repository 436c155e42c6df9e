"""Permutation and shift nulls, p-values and the autocorrelation time that decides whether a shift is allowed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosparse.backend.resampling.checks import finite_matrix, generator, label_codes, whole_number
from neurosparse.errors import InputError


def permutations(
    n: int, n_permutations: int, *, strata: ArrayLike | None = None, random_state: Any = 0
) -> NDArray[np.int64]:
    """Random permutations of `n` rows, within strata where they are given.

    Parameters
    ----------
    n : int
        Rows to permute.
    n_permutations : int
    strata : (n,) array of labels, optional
        A row only ever changes place with rows of its own stratum.
    random_state : int, numpy.random.Generator or None

    Returns
    -------
    (permutation, n) int64 array
        ``values[result[b]]`` is the b-th permuted copy.

    Raises
    ------
    InputError
        If nothing can change place: fewer than two rows, or every stratum has one row.

    Notes
    -----
    Holds (permutation, n) floats while it works. The identity is not excluded; `p_value` counts the observed order.
    """
    n_permutations = whole_number(n_permutations, "n_permutations")
    codes = np.zeros(n, dtype=np.int64)
    if strata is not None:
        _, codes, _ = label_codes(strata, "strata")
        if len(codes) != n:
            raise InputError(f"strata must have one label for each of the {n} rows; got {len(codes)}.")
    if n < 2 or np.bincount(codes).max() < 2:
        raise InputError(
            f"nothing can be permuted: {n} row(s) in {len(np.unique(codes))} strata of one row each. "
            "Give coarser strata, or more rows."
        )
    keys = generator(random_state).random((n_permutations, n))
    result = np.empty((n_permutations, n), dtype=np.int64)
    # Sorted by stratum both the places and the random order line up, so each stratum fills its own places.
    result[:, np.argsort(codes, kind="stable")] = np.argsort(codes + keys, axis=1)
    return result


def circular_shifts(n: int, n_shifts: int, *, minimum: int, random_state: Any = 0) -> NDArray[np.int64]:
    """Row indices of circular shifts by at least `minimum` samples either way, all different.

    Parameters
    ----------
    n : int
        Samples in the series.
    n_shifts : int
        Shifts to draw, without replacement.
    minimum : int
        Least shift in samples, 1 or more; several autocorrelation times.
    random_state : int, numpy.random.Generator or None

    Returns
    -------
    (n_shifts, n) int64 array
        ``values[result[b]]`` is the series that starts `shift` samples later and wraps around.

    Raises
    ------
    InputError
        If fewer than `n_shifts` different shifts exist.

    Notes
    -----
    Calibrated for nearly stationary series only: where the series has 50 or more autocorrelation times.
    """
    n_shifts, minimum = whole_number(n_shifts, "n_shifts"), whole_number(minimum, "minimum")
    available = n - 2 * minimum + 1
    if available < n_shifts:
        raise InputError(
            f"{n} samples have {max(available, 0)} circular shifts of at least {minimum} samples either way; "
            f"{n_shifts} were asked for. Ask for fewer, or use trial permutation."
        )
    shifts = minimum + generator(random_state).choice(available, size=n_shifts, replace=False)
    return (np.arange(n)[None, :] + shifts[:, None]) % n


def p_value(observed: ArrayLike, null: ArrayLike, axis: int = 0) -> NDArray[np.float64]:
    """One-sided Monte Carlo p-value, p = (1 + #{null >= observed}) / (1 + B).

    Parameters
    ----------
    observed : array of shape S
        The statistic; larger is stronger evidence.
    null : array of shape S with an axis of length B added
        The statistic of B null draws.
    axis : int
        The axis of `null` that holds the draws.

    Returns
    -------
    float64 array of shape S
        In [1 / (1 + B), 1]; NaN where `observed` is NaN.

    Raises
    ------
    InputError
        If there are no draws, or the shapes do not fit.

    Notes
    -----
    A null draw that is NaN counts as at least as large, and so does one that is equal to within rounding: both keep
    the p-value from being too small.
    """
    observed, null = np.asarray(observed, dtype=np.float64), np.asarray(null, dtype=np.float64)
    if null.ndim == 0 or null.shape[axis] == 0:
        raise InputError(f"a p-value needs at least one null draw; got a null of shape {null.shape}.")
    draws = np.moveaxis(null, axis, 0)
    if draws.shape[1:] != observed.shape:
        raise InputError(
            f"null without its axis {axis} must have the shape of observed, {observed.shape}; got {draws.shape[1:]}."
        )
    slack = 1e-12 * np.maximum(1.0, np.abs(observed))
    exceed = ~(draws < observed - slack)
    p = (1.0 + exceed.sum(axis=0)) / (1.0 + len(draws))
    return np.where(np.isnan(observed), np.nan, p)


def autocorrelation_time(values: ArrayLike) -> float:
    """Integrated autocorrelation time in samples, tau = 1 + 2 sum_k rho_k; the median over columns.

    The sum stops by Geyer's initial positive sequence: at the first pair rho_2k + rho_2k+1 that is not positive.

    Parameters
    ----------
    values : (n, p) or (n,) array
        Series in columns. Constant columns have no autocorrelation and are left out.

    Returns
    -------
    float
        tau in samples, positive; 1 for white noise, (1 + a) / (1 - a) for a first-order autoregression.

    Raises
    ------
    InputError
        If there are fewer than 4 samples, a value is not finite, or every column is constant.

    Notes
    -----
    O(p n log n) by the FFT. The effective number of samples for a mean is n / tau.

    References
    ----------
    C. J. Geyer, Practical Markov chain Monte Carlo, Statistical Science 7:473-483 (1992), section 3.3.
    """
    series = np.asarray(values)
    series = finite_matrix(series[:, None] if series.ndim == 1 else series)
    n = len(series)
    if n < 4:
        raise InputError(f"an autocorrelation time needs at least 4 samples; got {n}.")
    centred = (series - series.mean(axis=0))[:, np.ptp(series, axis=0) > 0]
    if centred.shape[1] == 0:
        raise InputError(f"all {series.shape[1]} columns are constant: silent units have no autocorrelation time.")
    spectrum = np.fft.rfft(centred, n=2 * n, axis=0)  # padded, so that the product does not wrap around
    covariance = np.fft.irfft(spectrum * spectrum.conj(), axis=0)[: n - n % 2]  # (lag, column)
    pairs = (covariance / covariance[0]).reshape(-1, 2, centred.shape[1]).sum(axis=1)
    kept = np.logical_and.accumulate(pairs > 0, axis=0)
    tau = -1.0 + 2.0 * np.where(kept, pairs, 0.0).sum(axis=0)
    return float(np.median(np.maximum(tau, 1.0 / n)))
