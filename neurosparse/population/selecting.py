"""Choose units, trials, stimuli and times: by a query, by intervals, by a covariate, at random."""

from __future__ import annotations

import ast
import warnings
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neurosparse.errors import DataWarning, InputError, MissingError
from neurosparse.population import query as queries
from neurosparse.population.building import to_numpy
from neurosparse.population.checking import check
from neurosparse.population.history import record


def select(x: xr.DataArray, query: str) -> xr.DataArray:
    """The part of a population for which a query on its coords holds.

    Parameters
    ----------
    x : population
    query : str
        Comparisons of coords, as in ``"area == 'V4' and quality in ['good', 'ok'] and 0 < snr < 5"``. Coords of
        different dims may be joined by ``and``, which selects on each dim; other names stand in backticks.
        ``area == None`` finds missing entries; any other comparison with a missing one is false, save ``!=``.

    Returns
    -------
    population
        In the original order; the counts kept stand in the provenance.

    Raises
    ------
    MissingError
        If a name is no coord of `x`.
    InputError
        If a part mixes dims, cannot be read, or nothing is left.

    Notes
    -----
    The query is parsed, never run as code: calls, attributes and indexing are refused.
    """
    check(x)
    parts, quoted = queries.parse(query)
    keep = {str(dim): np.ones(size, dtype=bool) for dim, size in x.sizes.items()}
    for part in parts:
        dim, table = _table_of(x, part, quoted)
        keep[dim] &= queries.evaluate(part, table)
    kept = {dim: [int(mask.sum()), len(mask)] for dim, mask in keep.items() if not mask.all()}
    for dim, (count, total) in kept.items():
        if count == 0:
            raise InputError(f"the query {query!r} keeps none of {total} {dim}s. {_values_of(x, parts, quoted, dim)}")
    result = x.isel({dim: np.flatnonzero(keep[dim]) for dim in kept})
    return record(result, "select", query=query, kept=kept)


def _table_of(x: xr.DataArray, part: ast.expr, quoted: dict[str, str]) -> tuple[str, dict[str, np.ndarray]]:
    """The dim that one part selects on, and the coords it names."""
    shown = ast.unparse(part)
    table, dims = {}, []
    for name in queries.names(part):
        coord = quoted.get(name, name)
        shown = shown.replace(name, f"`{coord}`") if name in quoted else shown
        if coord not in x.coords or x[coord].ndim != 1:
            known = "; ".join(f"{dim}: {', '.join(_names_on(x, dim))}" for dim in x.dims)
            raise MissingError(f"{coord!r} is no coord of this population. There are {known}.")
        table[name] = x[coord].values
        dims.append(str(x[coord].dims[0]))
    if len(set(dims)) != 1:
        raise InputError(
            f"the part {shown!r} of the query "
            + (f"mixes the dims {', '.join(sorted(set(dims)))}" if dims else "names no coord")
            + ". Each part must ask of one dim; join parts on different dims by and."
        )
    return dims[0], table


def _names_on(x: xr.DataArray, dim: Any) -> list[str]:
    return sorted(str(name) for name in x.coords if x[name].dims == (dim,))


def _values_of(x: xr.DataArray, parts: list[ast.expr], quoted: dict[str, str], dim: str) -> str:
    """What the coords of a fruitless query do hold, for the message."""
    said = []
    names = dict.fromkeys(quoted.get(name, name) for part in parts for name in queries.names(part))
    for name in (name for name in names if x[name].dims == (dim,)):
        values = pd.Series(x[name].values).value_counts(dropna=False)
        if len(values) <= 8:
            said.append(f"{name} has " + ", ".join(f"{value!r} ({count})" for value, count in values.items()))
        elif x[name].dtype.kind in "iuf":
            said.append(f"{name} lies in {float(x[name].min())} to {float(x[name].max())}")
        else:
            said.append(f"{name} has {len(values)} values, such as {values.index[0]!r}")
    return "; ".join(said) + "."


def restrict(
    x: xr.DataArray,
    intervals: Any = None,
    *,
    covariate: Any = None,
    above: float | None = None,
    below: float | None = None,
) -> xr.DataArray:
    """The samples inside intervals of time, or where a covariate lies in a range, or both.

    Parameters
    ----------
    x : population
        With a time dim first, bins are kept whose centre lies in an interval; with a trial dim first, trials whose
        ``start_time`` does.
    intervals : DataFrame with ``start_time`` and ``stop_time``, or (n, 2) array, optional
        Seconds, start included and stop excluded; they may overlap.
    covariate : array or DataArray, optional
        One value a sample of the first dim. A DataArray must carry the population's labels; it may lie on any one
        sample dim, or on trial and time both: values outside the range are then NaN, and trials without any inside
        are left out.
    above, below : float, optional
        Keep samples whose covariate is > `above` and < `below`. A NaN covariate is not kept, and counted.

    Returns
    -------
    population

    Raises
    ------
    InputError
        If nothing is asked, an interval is reversed or NaN, the covariate does not fit, or nothing is left.
    """
    check(x)
    if intervals is None and covariate is None:
        raise InputError("restrict needs intervals, or a covariate with above= or below=.")
    result = x
    if covariate is not None:
        dim, mask = _within_range(x, covariate, above, below)
        facts = {"covariate": str(getattr(covariate, "name", None) or ""), "above": above, "below": below}
        if mask.ndim == 2:
            result, mask = _blanked(result, mask, facts), np.logical_or.reduce(mask, axis=1)
        result = _keep(result, dim, mask, covariate_on=dim, **facts)
    elif above is not None or below is not None:
        raise InputError("above and below are limits of a covariate; give covariate= too.")
    if intervals is not None:
        pairs = _pairs(intervals)
        dim = str(x.dims[0])
        result = _keep(result, dim, _inside(_clock(result), pairs), n_intervals=len(pairs))
    return result


def _keep(x: xr.DataArray, dim: str, mask: np.ndarray, **facts: Any) -> xr.DataArray:
    if not mask.any():
        raise InputError(
            f"restrict keeps none of the {len(mask)} {dim} samples. Are both on the same clock and in the same units?"
        )
    return record(x.isel({dim: np.flatnonzero(mask)}), "restrict", kept=[int(mask.sum()), len(mask)], **facts)


def _blanked(x: xr.DataArray, mask: np.ndarray, facts: dict[str, Any]) -> xr.DataArray:
    """`x` (trial, time, unit) with NaN where `mask` (trial, time) is false."""
    if mask.all():
        return x
    where = xr.DataArray(mask, dims=x.dims[:-1])
    blanked = x.astype(np.result_type(x.dtype, np.float32)).where(where)
    blanked.attrs = dict(x.attrs)
    return record(blanked, "restrict", bins_kept=[int(mask.sum()), mask.size], **facts)


def _pairs(intervals: Any) -> np.ndarray:
    """Intervals as an (n, 2) float array with start <= stop."""
    if isinstance(intervals, pd.DataFrame):
        lacking = {"start_time", "stop_time"} - set(intervals.columns)
        if lacking:
            raise InputError(
                f"intervals need columns start_time and stop_time; {sorted(lacking)} missing among "
                f"{list(intervals.columns)}."
            )
        intervals = intervals[["start_time", "stop_time"]].to_numpy(dtype=float)
    pairs = np.asarray(intervals, dtype=np.float64)
    pairs = pairs[None] if pairs.shape == (2,) else pairs
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise InputError(f"intervals must be a DataFrame or (start, stop) pairs; got shape {pairs.shape}.")
    bad = ~(pairs[:, 0] <= pairs[:, 1])
    if bad.any():
        row = int(bad.argmax())
        raise InputError(
            f"{int(bad.sum())} of {len(pairs)} intervals are NaN or end before they start, first row {row}: "
            f"{pairs[row, 0]} to {pairs[row, 1]}. Drop or mend them."
        )
    return pairs


def _clock(x: xr.DataArray) -> np.ndarray:
    """The session time of each sample of the first dim."""
    if x.dims[0] == "time":
        return x["time"].values
    if x.dims[0] == "trial" and "start_time" in x.coords:
        return x["start_time"].values
    raise InputError(
        f"intervals need a time dim first, or trials with a start_time coord; got dims {tuple(map(str, x.dims))} "
        f"and coords {_names_on(x, x.dims[0])}."
    )


def _inside(clock: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Which times lie in at least one interval: starts passed so far, less stops passed so far."""
    starts, stops = np.sort(pairs[:, 0]), np.sort(pairs[:, 1])
    return np.searchsorted(starts, clock, side="right") > np.searchsorted(stops, clock, side="right")


def _within_range(x: xr.DataArray, covariate: Any, above: float | None, below: float | None) -> tuple[str, np.ndarray]:
    if above is None and below is None:
        raise InputError("a covariate needs above= or below=, or both.")
    dims: tuple[str, ...] = (str(x.dims[0]),)
    if isinstance(covariate, xr.DataArray) and covariate.dims == ("trial", "time"):
        dims = ("trial", "time")
    elif isinstance(covariate, xr.DataArray) and covariate.ndim == 1:
        dims = (str(covariate.dims[0]),)
    fits = all(dim in x.dims[:-1] for dim in dims) and np.shape(covariate) == tuple(x.sizes[dim] for dim in dims)
    if not fits:
        raise InputError(
            f"covariate must have one value for each of the {x.sizes[x.dims[0]]} {x.dims[0]} samples; got shape "
            f"{np.shape(covariate)}" + (f" on dims {covariate.dims}." if isinstance(covariate, xr.DataArray) else ".")
        )
    for dim in dims if isinstance(covariate, xr.DataArray) else ():
        if dim in covariate.coords and not np.array_equal(covariate[dim].values, x[dim].values):
            raise InputError(
                f"covariate and population have different {dim} labels. Bring it over first, as in "
                f"recording.covariate(name, like=x), covariate.interp({dim}=x.{dim}) or covariate.sel({dim}=x.{dim})."
            )
    values = np.asarray(to_numpy(covariate), dtype=np.float64)
    unknown = np.isnan(values)
    if unknown.any():
        warnings.warn(
            f"the covariate is NaN in {int(unknown.sum())} of {values.size} {' x '.join(dims)} samples; they are not "
            "kept.",
            DataWarning,
            stacklevel=3,
        )
    low, high = -np.inf if above is None else above, np.inf if below is None else below
    return dims[0], (values > low) & (values < high)


def subsample_units(x: xr.DataArray, n_units: int, *, random_state: Any = 0) -> xr.DataArray:
    """`n_units` units drawn at random without replacement, in their original order.

    Parameters
    ----------
    x : population
    n_units : int
        From 1 to the number of units.
    random_state : int, numpy.random.Generator or None

    Returns
    -------
    population

    Raises
    ------
    InputError
        If there are not that many units.
    """
    check(x)
    dim = str(x.dims[-1])
    if int(n_units) != n_units or not 1 <= n_units <= x.sizes[dim]:
        raise InputError(f"n_units must lie between 1 and the {x.sizes[dim]} units there are; got {n_units!r}.")
    chosen = np.random.default_rng(random_state).choice(x.sizes[dim], size=int(n_units), replace=False)
    return record(x.isel({dim: np.sort(chosen)}), "subsample_units", kept=[int(n_units), x.sizes[dim]])
