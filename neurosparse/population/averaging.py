"""Averages over the repeats of a stimulus, and averages in units of the trial noise."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neurosparse.backend.resampling import label_codes, label_means
from neurosparse.errors import DataWarning, EvidenceWarning, InputError
from neurosparse.population.building import to_numpy
from neurosparse.population.checking import check, label_at
from neurosparse.population.history import record

# Values of a population on disk that are averaged at once.
STREAMED = 2**21
_TRIALS = [("trial", "unit"), ("trial", "time", "unit"), ("trial", "atom"), ("trial", "time", "atom")]


def trial_labels(x: xr.DataArray, by: str) -> np.ndarray:
    """The label of each trial, having checked that `x` has trials and this coord on them."""
    if isinstance(x, xr.DataArray) and "stimulus" in x.dims and "trial" not in x.dims:
        raise InputError(
            f"repeats need single trials, dims (trial, unit); got {tuple(map(str, x.dims))}, which is averaged already."
        )
    check(x, dims=_TRIALS)
    if by not in x.coords or x[by].dims != ("trial",):
        known = sorted(str(name) for name in x.coords if x[name].dims == ("trial",))
        raise InputError(
            f"there is no coord {by!r} on the trials, which have {known}. Name the one that says what was shown with "
            "by=, or add it with x.assign_coords(stimulus=('trial', ...))."
        )
    if x.sizes["trial"] == 0 or x.sizes[x.dims[-1]] == 0:
        raise InputError(f"the population is empty: its shape is {x.shape}. There is nothing to average.")
    missing = pd.isnull(x[by].values)
    if missing.any():
        raise InputError(
            f"{int(missing.sum())} of {len(missing)} trials have no {by}, first trial "
            f"{x['trial'].values[missing.argmax()].item()!r}. Leave them out with "
            f'population.select(x, "{by} != None").'
        )
    return np.asarray(x[by].values)


def flat(x: xr.DataArray) -> np.ndarray:
    """(trial, time x unit) float64."""
    return np.asarray(x.values, dtype=np.float64).reshape(x.sizes["trial"], -1)


def average(x: xr.DataArray, by: str = "stimulus", *, weights: Any = None) -> xr.DataArray:
    """The mean over the trials of each stimulus; unobserved values (NaN) do not count.

    Parameters
    ----------
    x : population (trial, unit) or (trial, time, unit)
    by : str
        The trial coord that says what was shown.
    weights : (trial,) array or coord name, optional
        Non-negative weight of each trial.

    Returns
    -------
    population (stimulus, unit) or (stimulus, time, unit), float64
        Stimuli sorted. Coord ``n_repeats`` counts the trials of a stimulus, and with weights ``n_effective`` is
        (sum w)^2 / sum w^2. Trial coords that are constant within every stimulus are kept; the others stand under
        ``dropped_coords`` in the provenance.

    Raises
    ------
    InputError
        If there are no trials, `by` is not a coord on them or misses entries, or weights do not fit.

    Notes
    -----
    A population that dask holds is read block by block; memory is the result twice and a block.

    Warns
    -----
    DataWarning
        If some averages rest on fewer trials than ``n_repeats`` because values are NaN.
    """
    labels = trial_labels(x, by)
    distinct, codes, counts = label_codes(labels, by)
    weight = None if weights is None else _weights(x, weights, codes, distinct)
    if hasattr(x.data, "dask"):
        means = _streamed_means(x, codes, len(distinct), weight)
    else:
        means, _ = label_means(flat(x), codes, len(distinct), weight)
    _warn_unobserved(x, means, by)
    result = labelled(x, by, distinct, codes, means).assign_coords(n_repeats=("stimulus", counts))
    if weight is not None:
        sums, squares = np.bincount(codes, weight), np.bincount(codes, weight**2)
        result = result.assign_coords(n_effective=("stimulus", sums**2 / squares))
    return result


def _streamed_means(x: xr.DataArray, codes: np.ndarray, n_labels: int, weight: np.ndarray | None) -> np.ndarray:
    """`label_means` of a population that dask holds, a few trials at a time: (label, time x unit)."""
    n_values = int(np.prod(x.shape[1:]))
    total, observed = np.zeros((2, n_labels, n_values))
    first, n_nan = 0, 0
    for size in x.data.chunks[0]:
        block = np.asarray(x.data[first : first + size]).reshape(size, n_values)
        rows = max(STREAMED // max(n_values, 1), 1)
        for row in range(0, size, rows):
            part = block[row : row + rows]
            at = slice(first + row, first + row + len(part))
            present, place = np.unique(codes[at], return_inverse=True)
            means, seen = label_means(part, place, len(present), None if weight is None else weight[at])
            total[present] += np.where(seen > 0, means, 0.0) * seen
            observed[present] += seen
            n_nan += int(np.isnan(part).sum()) if part.dtype.kind == "f" else 0
        first += size
    empty = observed == 0
    if n_nan:
        warnings.warn(
            f"{n_nan} of {x.size} values are NaN; averages leave them out, and {int(empty.sum())} of {total.size} "
            "averages are NaN.",
            DataWarning,
            stacklevel=3,
        )
    np.divide(total, observed, out=total, where=~empty)
    total[empty] = np.nan
    return total


def _weights(x: xr.DataArray, weights: Any, codes: np.ndarray, distinct: np.ndarray) -> np.ndarray:
    if isinstance(weights, str):
        if weights not in x.coords or x[weights].dims != ("trial",):
            raise InputError(f"weights names {weights!r}, which is no coord on the trials.")
        weights = x[weights]
    weight = np.asarray(to_numpy(weights), dtype=np.float64)
    if weight.shape != (len(codes),) or not (np.isfinite(weight) & (weight >= 0)).all():
        raise InputError(
            f"weights must be {len(codes)} finite numbers of at least 0, one a trial; got shape {weight.shape} with "
            f"{int((~(np.isfinite(weight) & (weight >= 0))).sum())} that are negative or not finite."
        )
    empty = np.bincount(codes, weight) == 0
    if empty.any():
        raise InputError(f"the weights of {int(empty.sum())} stimuli are all 0, first {distinct[empty].tolist()[0]!r}.")
    return weight


def _warn_unobserved(x: xr.DataArray, means: np.ndarray, by: str) -> None:
    if x.dtype.kind != "f" or hasattr(x.data, "dask"):
        return
    unobserved = np.isnan(x.values)
    if unobserved.any():
        where = label_at(x, np.unravel_index(int(unobserved.argmax()), x.shape))
        warnings.warn(
            f"{int(unobserved.sum())} of {x.size} values are NaN, first at {where}; averages by {by} leave them out, "
            f"and {int(np.isnan(means).sum())} of {means.size} averages are NaN.",
            DataWarning,
            stacklevel=3,
        )


def labelled(x: xr.DataArray, by: str, distinct: np.ndarray, codes: np.ndarray, means: np.ndarray) -> xr.DataArray:
    """`means` with the labels of the stimuli and the coords that survive averaging."""
    first = np.unique(codes, return_index=True)[1]
    coords: dict[str, Any] = {str(name): x[name].variable for name in x.coords if "trial" not in x[name].dims}
    dropped = []
    for name in (str(name) for name in x.coords if "trial" in x[name].dims and name not in ("trial", by)):
        values = x[name].values
        within, _ = pd.factorize(values)
        if name != "stimulus" and (within == within[first][codes]).all():
            coords[name] = ("stimulus", values[first], x[name].attrs)
        else:
            dropped.append(name)
    coords["stimulus"] = ("stimulus", distinct, x[by].attrs)
    shape = (len(distinct), *x.shape[1:])
    result = xr.DataArray(means.reshape(shape), dims=("stimulus", *x.dims[1:]), coords=coords, name=x.name)
    result.attrs = dict(x.attrs)
    return record(result, "average", by=by, n_trials=len(codes), n_stimuli=len(distinct), dropped_coords=dropped)


def scale_by_noise(x: xr.DataArray, by: str = "stimulus") -> xr.DataArray:
    """Averages over repeats in units of the trial noise: m_su / sd_u.

    sd_u^2 is the variance over the trials of a stimulus (ddof 1), pooled over stimuli; it is floored at a tenth of the
    median over units, so that a nearly silent unit is not blown up. Where no stimulus has two trials and the values
    are counts, sd_u = sqrt(mean count + 3/8), the Poisson noise with Anscombe's offset.

    Parameters
    ----------
    x : population (trial, unit) or (trial, time, unit)
    by : str
        The trial coord that says what was shown.

    Returns
    -------
    population (stimulus, unit) or (stimulus, time, unit)
        With the unit coord ``noise_sd``, in the units of `x`; ``attrs["units"]`` is "1". No mean is taken away.

    Raises
    ------
    InputError
        If no unit varies between trials of a stimulus, or there are neither repeats nor counts.

    Warns
    -----
    DataWarning
        How many units stand on the floor, such as silent ones (which stay 0).
    EvidenceWarning
        If there are no repeats, so that Poisson noise is assumed.
    """
    labels = trial_labels(x, by)
    _, codes, counts = label_codes(labels, by)
    n_units = x.shape[-1]
    averaged = average(x, by)
    values = flat(x)
    if counts.max() < 2:
        sd = _poisson_sd(values.reshape(-1, n_units))
        how, n_floored = "sqrt(mean count + 3/8)", 0
    else:
        means, observed = label_means(values, codes, len(counts))
        squares = np.nansum((values - means[codes]) ** 2, axis=0).reshape(-1, n_units).sum(axis=0)
        freedom = np.maximum(observed - 1, 0).sum(axis=0).reshape(-1, n_units).sum(axis=0)
        sd, n_floored = _floored(np.sqrt(squares / np.maximum(freedom, 1)), freedom, x)
        how = "pooled within stimuli, ddof 1"
    result = (averaged / sd).assign_coords(noise_sd=(x.dims[-1], sd))
    result.attrs = {**averaged.attrs, "units": "1"}
    if averaged.attrs.get("quantity"):
        result.attrs["quantity"] = f"{averaged.attrs['quantity']} / noise sd"
    return record(result, "scale_by_noise", noise_sd=how, n_units_on_floor=n_floored)


def _poisson_sd(values: np.ndarray) -> np.ndarray:
    counts = values[~np.isnan(values)]
    if (counts < 0).any() or (counts != np.round(counts)).any():
        raise InputError(
            "noise cannot be measured: no stimulus has two trials, and the values are not counts, so Poisson noise "
            "cannot be assumed either. Give spike counts (reduce='sum'), or trials with repeats."
        )
    warnings.warn(
        "no stimulus has two trials: the noise of each unit is taken to be Poisson, sd = sqrt(mean count + 3/8).",
        EvidenceWarning,
        stacklevel=3,
    )
    seen = (~np.isnan(values)).sum(axis=0)
    return np.sqrt(np.nansum(values, axis=0) / np.maximum(seen, 1) + 0.375)


def _floored(sd: np.ndarray, freedom: np.ndarray, x: xr.DataArray) -> tuple[np.ndarray, int]:
    varies = (freedom > 0) & (sd > 0)
    if not varies.any():
        raise InputError(
            f"none of the {len(sd)} units varies between the trials of a stimulus (all silent or constant), so there "
            "is no noise to scale by. Use population.average, or leave these units out."
        )
    floor = 0.1 * float(np.median(sd[varies]))
    low = ~varies | (sd < floor)
    if low.any():
        dim = x.dims[-1]
        warnings.warn(
            f"{int(low.sum())} of {len(sd)} {dim}s have trial noise below a tenth of the median (silent ones among "
            f"them), first {x[dim].values[low.argmax()].item()!r}; they are scaled by that floor, {floor:.3g}.",
            DataWarning,
            stacklevel=3,
        )
    return np.where(low, floor, sd), int(low.sum())
