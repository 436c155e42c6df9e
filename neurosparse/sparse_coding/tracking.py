"""Codes that follow what is no stimulus: the order of the trials, how fast the animal ran or moved."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

# A quarter of the ranks' variance.
FOLLOWS = 0.5
# Names of coords, or parts of them, that tell a state of the animal.
STATES = ("speed", "motion", "running", "movement")


def followed(codes: np.ndarray, X: Any, kept: np.ndarray) -> list[str]:
    """What at least one atom's codes follow, by rank correlation over samples, and how many do.

    Parameters
    ----------
    codes : (sample, atom) array
        Of the samples kept.
    X : population or array
        Only a population of trials or of time has an order and coords to follow.
    kept : (sample,) bool array
        Samples of `X`, all leading dims stacked, that have codes.
    """
    if not isinstance(X, xr.DataArray):
        return []
    shape, found = tuple(X.sizes[dim] for dim in X.dims[:-1]), []
    for name, (axis, values) in _signals(X).items():
        one = np.expand_dims(values, [other for other in range(len(shape)) if other != axis])
        signal = np.broadcast_to(one, shape).ravel()[kept]
        observed = np.isfinite(signal)
        if observed.sum() < 3 or not np.ptp(signal[observed]) > 0:
            continue
        active = np.ptp(codes[observed], axis=0) > 0
        ranks = stats.rankdata(codes[observed][:, active], axis=0)
        r = _correlations(ranks, stats.rankdata(signal[observed]))
        n = int((np.abs(r) >= FOLLOWS).sum())
        if n:
            found.append(f"{n} of {codes.shape[1]} atoms follow {name}")
    return found


def _signals(X: xr.DataArray) -> dict[str, tuple[int, np.ndarray]]:
    """Name, leading dim it runs along, and values."""
    first = X.dims[0]
    found = {}
    if first in ("trial", "time"):
        found[f"the order of {'trials' if first == 'trial' else 'time'}"] = 0, np.arange(X.sizes[first], dtype=float)
    for label, coord in X.coords.items():
        along = coord.dims[0] if coord.ndim == 1 and coord.dtype.kind in "fiu" else None
        if along in X.dims[:-1] and any(state in str(label).lower() for state in STATES):
            found[str(label)] = X.dims.index(along), coord.values.astype(float)
    return found


def _correlations(columns: np.ndarray, signal: np.ndarray) -> np.ndarray:
    """Of each column with the signal; none is constant."""
    columns, signal = columns - columns.mean(0), signal - signal.mean()
    return np.asarray(signal @ columns / np.sqrt(np.square(columns).sum(0) * np.square(signal).sum()))
