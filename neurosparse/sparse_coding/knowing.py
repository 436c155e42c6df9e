"""What is known of samples before they are fitted: how many, which variance is signal, how slow."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from neurosparse import population
from neurosparse.backend.resampling import autocorrelation_time, label_codes, label_means
from neurosparse.errors import InputError
from neurosparse.population import as_matrix

# Share of the variance that counts as signal where the noise leaves none.
LEAST_SIGNAL = 1e-3


class Data(NamedTuple):
    """What is known of samples that nobody has fitted yet: size, covariances of signal and noise, tau."""

    n_samples: int
    signal: np.ndarray
    noise: np.ndarray
    tau: float
    known_from: str


def given(n_units: Any, n_samples: Any, reliability: Any, tau: Any) -> Data:
    """Of numbers alone: signal and noise alike in all directions."""
    if n_units is None or n_samples is None:
        raise InputError("recoverability needs x, or both n_units and n_samples.")
    if min(n_units, n_samples) < 2:
        raise InputError(f"n_units and n_samples must be at least 2; got {n_units} and {n_samples}.")
    share = np.diag(_shares(1.0 if reliability is None else reliability, int(n_units)))
    known_from = "unknown, taken as 1" if reliability is None else "given"
    return Data(int(n_samples), share, np.eye(int(n_units)) - share, 1.0 if tau is None else float(tau), known_from)


def measured(x: Any, reliability: Any, tau: Any, nan: str) -> Data:
    """Of a population or array; what is not noise is signal."""
    noise, known_from, trials = None, "unknown, taken as 1", None
    if isinstance(x, xr.DataArray) and "trial" in x.dims and x.ndim == 2 and "stimulus" in x.coords:
        _, stimulus, counts = label_codes(x["stimulus"].values, "stimulus")
        if counts.max() > 1:
            trials, x = x, population.average(x)
    values = as_matrix(x, nan=nan, name="x").values  # type: ignore[arg-type]
    if not np.ptp(values, axis=0).any():
        raise InputError(
            f"x has {len(values)} samples that are all alike: nothing varies, so there is nothing to find."
        )
    covariance = np.atleast_2d(np.cov(values.T))
    if reliability is not None:
        share = _shares(reliability, len(covariance))
        noise, known_from = np.diag((1 - share) * np.diag(covariance)), "given"
    elif trials is not None:
        noise, known_from = _trial_noise(trials, stimulus, counts), "trials of one stimulus"
    elif isinstance(x, xr.DataArray) and "noise_sd" in x.coords and "n_repeats" in x.coords:
        noise, known_from = np.eye(len(covariance)) * np.mean(1 / x["n_repeats"].values), "noise sd and repeats"
    noise = np.zeros_like(covariance) if noise is None else noise
    signal = covariance - noise
    if np.trace(signal) < LEAST_SIGNAL * np.trace(covariance):
        signal = LEAST_SIGNAL * covariance
    return Data(len(values), signal, noise, _tau(x) if tau is None else float(tau), known_from)


def _shares(reliability: Any, n_units: int) -> np.ndarray:
    share = np.asarray(reliability, dtype=float)
    if share.shape not in ((), (n_units,)) or not ((share >= 0) & (share <= 1)).all() or not share.any():
        raise InputError(
            f"reliability needs one number from 0 to 1, or one for each of {n_units} units, above 0 in some; got "
            f"{reliability!r}."
        )
    return np.broadcast_to(share, n_units)


def _trial_noise(trials: xr.DataArray, stimulus: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Covariance of the noise in averages: pooled within stimuli, over the mean number of repeats (harmonic)."""
    values = np.nan_to_num(np.asarray(trials.transpose("trial", ...).values, dtype=float))
    means = label_means(values, stimulus, len(counts))[0]
    left = values - means[stimulus]
    return np.asarray(left.T @ left / max(len(left) - len(counts), 1) * np.mean(1 / counts))


def _tau(x: Any) -> float:
    """Autocorrelation time along ``time``, at least 1; 1 where there is none."""
    if not isinstance(x, xr.DataArray) or "time" not in x.dims or x.sizes["time"] < 4:
        return 1.0
    series = np.asarray(x.transpose("time", ...).values, dtype=float).reshape(x.sizes["time"], -1)
    series = series[:, np.isfinite(series).all(axis=0)]
    return max(1.0, autocorrelation_time(series)) if series.size and np.ptp(series, axis=0).any() else 1.0
