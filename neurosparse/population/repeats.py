"""What the repeats of a stimulus tell: random halves, reliability and ceilings."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from neurosparse.backend.resampling import label_means, random_halves, repeated, signal_power, split_half_reliability
from neurosparse.errors import EvidenceWarning, InputError
from neurosparse.population.averaging import flat, labelled, trial_labels
from neurosparse.population.history import record
from neurosparse.population.samples import Nan, complete


def split_halves(
    x: xr.DataArray, by: str = "stimulus", *, n_splits: int = 100, random_state: Any = 0, nan: Nan = "raise"
) -> Iterator[tuple[xr.DataArray, xr.DataArray]]:
    """Pairs of averages over two random halves of the repeats of each stimulus.

    Parameters
    ----------
    x : population (trial, unit) or (trial, time, unit)
    by : str
        The trial coord that says what was shown. Stimuli with one trial are left out, with a warning that counts.
    n_splits : int
        How many random halvings; a score takes 100 or more and averages.
    random_state : int, numpy.random.Generator or None
    nan : {"raise", "drop"}
        Raise on NaN, or leave those trials out with a warning.

    Yields
    ------
    first, second : populations (stimulus, ...)
        Every trial enters one of them; of an odd number a coin gives one half one more. ``n_repeats`` counts.

    Raises
    ------
    InputError
        At the call, if no stimulus has two trials or values are NaN.
    """
    if int(n_splits) != n_splits or n_splits < 1:
        raise InputError(f"n_splits must be a positive integer; got {n_splits!r}.")
    trial_labels(x, by)
    x = complete(x, nan)
    rows, distinct, codes, counts = repeated(x[by].values)
    x = x.isel(trial=rows)
    values = flat(x)
    template = labelled(x, by, distinct, codes, np.zeros((len(distinct), values.shape[1])))
    template = record(template, "split_halves", n_splits=n_splits)

    def half(rows: np.ndarray) -> xr.DataArray:
        means, n_rows = label_means(values[rows], codes[rows], len(distinct))
        result = template.copy(data=means.reshape(template.shape))
        return result.assign_coords(n_repeats=("stimulus", n_rows[:, 0].astype(np.int64)))

    halves = random_halves(codes, counts, n_splits, random_state=random_state)
    return ((half(in_first), half(~in_first)) for in_first in halves)


def reliability(
    x: xr.DataArray, by: str = "stimulus", *, n_splits: int = 100, random_state: Any = 0, nan: Nan = "raise"
) -> xr.Dataset:
    """How well each unit repeats itself, and what that allows a predictor to reach.

    Parameters
    ----------
    x : population (trial, unit)
    by : str
        The trial coord that says what was shown. Stimuli with one trial are left out, with a warning that counts.
    n_splits : int
        Random halvings of the repeats, 100 or more.
    random_state : int, numpy.random.Generator or None
    nan : {"raise", "drop"}
        Raise on NaN, or leave those trials out with a warning.

    Returns
    -------
    Dataset over unit
        ``split_half_r`` (mean over halvings), ``reliability`` of the average over all repeats (Spearman-Brown),
        ``ceiling`` on r of a noise-free predictor of that average, sqrt(reliability), and ``signal_power`` with its
        one-sided lower 95 % bound ``signal_power_lower``. The ceiling is NaN where that bound is not above 0.

    Raises
    ------
    InputError
        If fewer than three stimuli have two trials, or values are NaN.

    Warns
    -----
    EvidenceWarning
        How many units have no ceiling, because no signal is seen in them.
    """
    trial_labels(x, by)
    if "time" in x.dims:
        raise InputError(
            f"reliability needs dims (trial, unit); got {tuple(map(str, x.dims))}. Reduce time first, as in "
            'x.mean("time") or x.isel(time=0, drop=True).'
        )
    x = complete(x, nan)
    rows, distinct, _, counts = repeated(x[by].values)
    values, labels = flat(x)[rows], x[by].values[rows]
    r_half, lifted = split_half_reliability(values, labels, n_splits=n_splits, random_state=random_state)
    power, lower = signal_power(values, labels)
    usable = (lower > 0) & (lifted > 0)
    ceiling = np.where(usable, np.sqrt(np.where(usable, lifted, 1.0)), np.nan)
    dim = str(x.dims[-1])
    if not usable.all():
        warnings.warn(
            f"{int((~usable).sum())} of {len(usable)} {dim}s have no ceiling: their signal power is not above 0 with "
            f"95 % confidence, first {x[dim].values[int((~usable).argmax())].item()!r}.",
            EvidenceWarning,
            stacklevel=2,
        )
    named = {"split_half_r": r_half, "reliability": lifted, "ceiling": ceiling, "signal_power": power}
    variables = {name: (dim, entries) for name, entries in (named | {"signal_power_lower": lower}).items()}
    coords = {name: x[name].variable for name in x.coords if x[name].dims == (dim,)}
    attrs = {
        "n_samples": len(distinct),
        "n_trials": len(rows),
        "n_units": len(power),
        "mean_repeats": float(counts.mean()),
        "split": f"{n_splits} random halves of the trials of each {by}",
        "direction": "higher is better",
        "provenance": x.attrs.get("provenance", ""),
    }
    return xr.Dataset(variables, coords=coords, attrs=attrs)
