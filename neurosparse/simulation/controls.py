"""Populations that share a recording's mean and covariance and nothing else: the control of every sparse claim.

A population enters, a population leaves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurosparse import population
from neurosparse.errors import InputError


def gaussian_like(x: xr.DataArray, *, random_state: Any = 0) -> xr.DataArray:
    """Draw a Gaussian population with the mean and covariance over samples of `x`, and its labels.

    Samples are independent draws from ``N(mean(x), cov(x))``, so their own covariance scatters about that of `x`.

    Parameters
    ----------
    x : DataArray (..., unit)
        A population without NaN; all dims but the last are samples. At least 2 samples.
    random_state : int, numpy SeedSequence or Generator, or None
        Seed.

    Returns
    -------
    DataArray
        Dims, coords and attrs of `x`, `kind` set to ``simulated`` and the step recorded in `provenance`.

    Raises
    ------
    InputError
        If `x` holds NaN or fewer than 2 samples.

    Notes
    -----
    Cost: one singular value decomposition of (sample, unit); the covariance itself is never formed, so more units than
    samples are no trouble.
    """
    population.check(x)
    values = x.to_numpy().astype(float)
    samples = values.reshape(-1, values.shape[-1])  # (sample, unit)
    if np.isnan(samples).any():
        raise InputError(f"x needs values without NaN; got {int(np.isnan(samples).sum())}. Drop those samples first.")
    if len(samples) < 2:
        raise InputError(f"x needs at least 2 samples for a covariance; got dims {x.dims} of shape {x.shape}.")
    mean = samples.mean(axis=0)
    _, scales, directions = np.linalg.svd(samples - mean, full_matrices=False)
    white = np.random.default_rng(random_state).standard_normal((len(samples), len(scales)))
    drawn = mean + white * (scales / np.sqrt(len(samples) - 1)) @ directions
    surrogate = x.copy(data=drawn.reshape(values.shape))
    surrogate.attrs["kind"] = "simulated"
    return population.record(surrogate, "gaussian_like", random_state=str(random_state))
