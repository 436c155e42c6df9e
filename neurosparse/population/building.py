"""Make a population from arrays."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

import neurosparse
from neurosparse.errors import InputError
from neurosparse.population.checking import check, show_dims
from neurosparse.population.history import to_json


def to_numpy(values: Any) -> Any:
    """`values` as an array; a torch tensor is detached and brought to the CPU, a dask array stays what it is."""
    torch = sys.modules.get("torch")  # never imported here: a tensor can only come from code that did
    if torch is not None and isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        return (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    if isinstance(values, xr.DataArray):
        values = values.data
    return values if hasattr(values, "dask") else np.asarray(values)


def coord_values(values: Any) -> np.ndarray:
    """One coordinate as numpy keeps it: text with missing entries becomes objects, pandas types become plain ones."""
    if isinstance(values, xr.DataArray):
        values = values.values
    if isinstance(values, pd.Index | pd.Series | pd.api.extensions.ExtensionArray):
        array = np.asarray(values)
    else:
        values = values if isinstance(values, np.ndarray) else list(values)
        missing = not isinstance(values, np.ndarray) and any(value is None for value in values)
        text = not isinstance(values, np.ndarray) and any(isinstance(value, str) for value in values)
        # np.array would turn None beside numbers into objects too, which `check` explains, and 1 beside "a" into text.
        mixed = text and not all(isinstance(value, str) for value in values)
        array = np.array(values, dtype=object) if missing or mixed else np.asarray(values)
    return array.astype(object) if array.dtype.kind == "T" else array


def from_arrays(
    values: Any,
    *,
    dims: Sequence[str],
    unit: Any = None,
    stimulus: Any = None,
    time: Any = None,
    coords: Mapping[str, tuple[str, Any]] | None = None,
    kind: str = "simulated",
    quantity: str = "",
    units: str = "1",
    session: str = "",
    source: str = "",
    bin_width: float | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> xr.DataArray:
    """A population from plain arrays, checked.

    Parameters
    ----------
    values : array of numbers or bool, torch tensor or dask array
        With the axes that `dims` names, units last. Unobserved is NaN, silent is 0.
    dims : sequence of str
        One of ``population.DIMS``, such as ``("trial", "unit")``; ``atom`` may stand for ``unit``.
    unit : (unit,) array, optional
        Unique labels; 0, 1, 2, ... if not given.
    stimulus : array, optional
        With a stimulus dim its unique labels, with a trial dim the stimulus of each trial.
    time : (time,) array of float, optional
        Bin centres in seconds; from `bin_width` and starting at 0 if not given.
    coords : dict of name -> (dim, values), optional
        Further labels along one dim each: ``{"area": ("unit", areas)}``.
    kind : {"spikes", "calcium", "activations", "simulated"}
    quantity, units, session, source : str
        What is measured, its unit of measure ("1", "Hz"), and where it comes from.
    bin_width : float, optional
        Seconds.
    provenance : dict, optional
        Facts about the origin, kept as JSON beside the versions.

    Returns
    -------
    DataArray

    Raises
    ------
    InputError
        If the result is not a population; see `check`.

    Examples
    --------
    >>> x = from_arrays([[1, 0], [2, 3]], dims=("trial", "unit"), stimulus=["a", "b"])
    >>> x.sizes["unit"]
    2
    """
    values, dims = to_numpy(values), tuple(dims)
    if values.ndim != len(dims):
        raise InputError(f"dims {show_dims(dims)} name {len(dims)} axes; values has shape {values.shape}.")
    size = dict(zip(dims, values.shape, strict=True))
    labels: dict[str, tuple[str, Any]] = {dim: (dim, np.arange(size[dim])) for dim in dims if dim != "time"}
    if unit is not None:
        labels[dims[-1]] = (dims[-1], unit)
    if "time" in dims:
        labels["time"] = ("time", _bin_centres(time, bin_width, size["time"]))
    elif time is not None:
        raise InputError(f"time was given, but dims {show_dims(dims)} have no time. Add it to dims or leave it out.")
    if stimulus is not None:
        on = next((dim for dim in ("stimulus", "trial") if dim in dims), None)
        if on is None:
            raise InputError(f"stimulus labels need a stimulus or trial dim; got dims {show_dims(dims)}.")
        labels["stimulus"] = (on, stimulus)
    labels |= dict(coords or {})
    checked = {name: (dim, _fitting(name, dim, entries, size)) for name, (dim, entries) in labels.items()}
    attrs: dict[str, Any] = {"kind": kind, "quantity": quantity, "units": units, "session": session, "source": source}
    if bin_width is not None:
        attrs["bin_width"] = float(bin_width)
    versions = {"neurosparse": neurosparse.__version__, "numpy": np.__version__, "xarray": xr.__version__}
    attrs["provenance"] = to_json({"versions": versions, **(provenance or {})})
    x = xr.DataArray(values, dims=dims, coords=checked, attrs=attrs, name="population")
    if "time" in dims:
        x["time"].attrs["units"] = "s"
    check(x)
    return x


def _bin_centres(time: Any, bin_width: float | None, n: int) -> np.ndarray:
    if time is not None:
        return np.asarray(to_numpy(time), dtype=np.float64)
    if bin_width is None:
        raise InputError("a time dim needs time= (bin centres in seconds) or bin_width= (seconds).")
    return (np.arange(n) + 0.5) * float(bin_width)


def _fitting(name: str, dim: str, entries: Any, size: dict[str, int]) -> np.ndarray:
    array = coord_values(entries)
    if dim not in size:
        raise InputError(f"coord {name!r} is on dim {dim!r}, which is not one of {show_dims(tuple(size))}.")
    if array.shape != (size[dim],):
        raise InputError(f"coord {name!r} must have shape ({size[dim]},), one entry a {dim}; got {array.shape}.")
    return array
