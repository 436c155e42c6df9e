"""Populations to and from the objects of other packages: pynapple, rsatoolbox, scikit-learn.

A population enters and their object leaves, or the other way. Theirs is known by what it has, not by its class; the
package is imported only where an object of it has to be made. For recordings that are not in NWB yet, neuroconv writes
NWB from nearly every format; `population.from_arrays` takes arrays as they are.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from neurosparse import population
from neurosparse.errors import DependencyError, InputError
from neurosparse.population.samples import Nan

_RESERVED = {"unit", "time", "trial", "stimulus", "atom"}


def to_pynapple(x: xr.DataArray) -> Any:
    """A (time, unit) population as a ``pynapple.TsdFrame``.

    Parameters
    ----------
    x : population (time, unit)

    Returns
    -------
    pynapple.TsdFrame
        Times are the bin centres, columns the unit labels, metadata the unit's other coords. Its time support is the
        bins themselves, one epoch for each run without a gap; without a `bin_width` in the attrs, from first to last.

    Raises
    ------
    InputError
        If `x` has other dims: pynapple has no trials dim.
    DependencyError
        If pynapple is not installed.

    Notes
    -----
    Kind, quantity and provenance have no place in a TsdFrame and stay behind.
    """
    population.check(x, dims=[("time", "unit"), ("time", "atom")], name="x")
    nap = _package("pynapple")
    dim, time = str(x.dims[1]), x["time"].values
    return nap.TsdFrame(
        t=time,
        d=np.asarray(x.values),
        columns=x[dim].values,
        time_support=nap.IntervalSet(*_runs(time, x.attrs.get("bin_width"))),
        metadata=_descriptors(x, dim) or None,
    )


def _runs(time: np.ndarray, bin_width: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Starts and ends of the stretches that the bins cover without a gap."""
    if bin_width is None:
        return time[:1], time[-1:]
    # Half a bin of slack: float bin centres are no exact multiples.
    breaks = np.flatnonzero(np.diff(time) > 1.5 * bin_width)
    first, last = np.concatenate([[0], breaks + 1]), np.concatenate([breaks, [len(time) - 1]])
    return time[first] - bin_width / 2, time[last] + bin_width / 2


def from_pynapple(data: Any, *, kind: str | None = None, bin_width: float | None = None, **facts: Any) -> xr.DataArray:
    """A population from a TsGroup (spike times), TsdFrame or Tsd of pynapple.

    Parameters
    ----------
    data : pynapple.TsGroup, TsdFrame or Tsd
        Spike times are counted in bins by pynapple's own ``count``, epoch by epoch.
    kind : {"spikes", "calcium", "activations", "simulated"}, optional
        "spikes" for a TsGroup; must be given otherwise, since a TsdFrame does not say.
    bin_width : float, optional
        Seconds. Needed for spike times; for a frame the step of its times where that is the same throughout.
    **facts
        ``quantity``, ``units``, ``session``, ``source`` as `population.from_arrays` takes them.

    Returns
    -------
    population (time, unit)
        Columns become unit labels, metadata unit coords; one that would hide a reserved name becomes
        ``metadata_<name>``.

    Raises
    ------
    InputError
        If `data` is none of these, or `bin_width` or `kind` is missing.
    """
    # A TsGroup is a mapping, so its `values` is a method.
    if hasattr(data, "time_support") and callable(getattr(data, "values", None)):
        data, facts = _counted(data, bin_width), {"quantity": "spike count", **facts}
        kind = kind or "spikes"
    if not all(hasattr(data, name) for name in ("times", "values", "time_support")) or np.ndim(data.values) > 2:
        raise InputError(f"from_pynapple takes a TsGroup, TsdFrame or Tsd; got {type(data).__name__}.")
    if kind is None:
        raise InputError("a TsdFrame does not say what it holds: give kind='spikes', 'calcium' or 'simulated'.")
    time, values = np.asarray(data.times(), dtype=np.float64), np.asarray(data.values)
    labels = getattr(data, "columns", None)
    metadata = getattr(data, "metadata", None)
    x = population.from_arrays(
        values.reshape(len(time), -1),
        dims=("time", "unit"),
        time=time,
        unit=None if labels is None else np.asarray(labels),
        coords={} if metadata is None else _unit_coords(metadata),
        kind=kind,
        bin_width=_step(time) if bin_width is None else bin_width,
        **facts,
    )
    return population.record(x, "from_pynapple", time_support=np.asarray(data.time_support.values))


def _counted(group: Any, bin_width: float | None) -> Any:
    if bin_width is None:
        raise InputError("spike times are counted in bins: give bin_width= (seconds).")
    return group.count(bin_width)


def _step(time: np.ndarray) -> float | None:
    """The step of an even clock; None where it is uneven."""
    steps = np.diff(time)
    even = len(steps) > 0 and np.allclose(steps, steps[0], rtol=1e-6, atol=0)
    # pynapple keeps times to the nanosecond.
    return round(float(steps.mean()), 9) if even else None


def _unit_coords(metadata: Any) -> dict[str, tuple[str, Any]]:
    names = {str(name): f"metadata_{name}" if str(name) in _RESERVED else str(name) for name in metadata}
    return {new: ("unit", np.asarray(metadata[old])) for old, new in names.items()}


def to_rsatoolbox(x: xr.DataArray) -> Any:
    """A population of trials or stimuli as a dataset of rsatoolbox.

    Parameters
    ----------
    x : population (trial, unit), (stimulus, unit), (trial, time, unit) or (stimulus, time, unit)

    Returns
    -------
    rsatoolbox.data.Dataset or TemporalDataset
        Observations are the first dim and channels the units, each with its coords as descriptors; with a time dim a
        TemporalDataset, whose axes are (observation, channel, time). Session, kind and units of measure are its own.

    Raises
    ------
    InputError
        If `x` has neither trials nor stimuli.
    DependencyError
        If rsatoolbox is not installed.

    Notes
    -----
    NaN goes over as it is: choose what to do about it on either side.
    """
    leading = ("trial", "stimulus")
    shapes = [
        (first, *rest) for first in leading for rest in (("unit",), ("atom",), ("time", "unit"), ("time", "atom"))
    ]
    population.check(x, dims=shapes, name="x")
    data = _package("rsatoolbox.data")
    described = {
        "descriptors": {name: x.attrs.get(name, "") for name in ("session", "kind", "quantity", "units")},
        "obs_descriptors": {str(x.dims[0]): x[x.dims[0]].values, **_descriptors(x, str(x.dims[0]))},
        "channel_descriptors": {str(x.dims[-1]): x[x.dims[-1]].values, **_descriptors(x, str(x.dims[-1]))},
    }
    if "time" not in x.dims:
        return data.Dataset(np.asarray(x.values), **described)
    return data.TemporalDataset(
        np.moveaxis(np.asarray(x.values), 1, 2), time_descriptors={"time": x["time"].values}, **described
    )


def to_sklearn(
    x: xr.DataArray, *, by: str | None = None, n_blocks: int = 10, nan: Nan = "raise"
) -> tuple[np.ndarray, np.ndarray]:
    """The matrix and the groups with which scikit-learn's splitters keep together what belongs together.

    Parameters
    ----------
    x : population
    by : str, optional
        Coord on the first dim whose equal entries share a group; by default `stimulus` where there is one, else
        the trial.
    n_blocks : int
        Of a (time, unit) population: contiguous blocks of time, each a group.
    nan : {"raise", "drop"}
        As in `population.as_matrix`.

    Returns
    -------
    X : (sample, unit) array of float64
        All dims but the last stacked, the last of them fastest.
    groups : (sample,) array
        For ``GroupKFold().split(X, groups=groups)``.

    Raises
    ------
    InputError
        If `x` is no population, holds NaN that must not be there, lacks the coord `by`, or has fewer times than blocks.

    Examples
    --------
    >>> x = population.from_arrays([[1, 0], [2, 3], [4, 5]], dims=("trial", "unit"), stimulus=["a", "b", "a"])
    >>> X, groups = to_sklearn(x)
    >>> X.shape, groups.tolist()
    ((3, 2), ['a', 'b', 'a'])
    """
    matrix = population.as_matrix(x, nan=nan, name="x")
    dim = str(x.dims[0])
    if dim == "time" and by is None:
        if not 1 <= n_blocks <= x.sizes["time"]:
            raise InputError(f"n_blocks must be from 1 to the {x.sizes['time']} times; got {n_blocks}.")
        labels = np.arange(x.sizes["time"]) * n_blocks // x.sizes["time"]
    else:
        by = by or ("stimulus" if "stimulus" in x.coords else dim)
        if by not in x.coords or x[by].dims != (dim,):
            have = sorted(str(name) for name in x.coords if x[name].dims == (dim,))
            raise InputError(f"by={by!r} is no coord on dim {dim!r}; there are {have}. Give one of these.")
        labels = x[by].values
    groups = np.repeat(labels, int(np.prod(x.shape[1:-1], dtype=int)))
    return matrix.values, groups[matrix.kept]


def _descriptors(x: xr.DataArray, dim: str) -> Mapping[str, np.ndarray]:
    """The coords along `dim` save its labels."""
    return {str(name): x[name].values for name in x.coords if x[name].dims == (dim,) and name != dim}


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.split(".")[0]
        raise DependencyError(
            f"this needs {package}, which is not installed. Install it: pip install {package}"
        ) from error
