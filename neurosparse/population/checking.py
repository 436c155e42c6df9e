"""Say what is wrong with a population, and how to mend it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neurosparse.errors import InputError

DIMS = (
    ("time", "unit"),
    ("trial", "unit"),
    ("trial", "time", "unit"),
    ("stimulus", "unit"),
    ("stimulus", "time", "unit"),
)
KINDS = ("spikes", "calcium", "activations", "simulated")


def show_dims(dims: Sequence[Any]) -> str:
    return "(" + ", ".join(str(dim) for dim in dims) + ")"


def check(x: Any, *, dims: Sequence[Any] | None = None, name: str = "population") -> None:
    """Raise if `x` is not a population, saying what is wrong and how to mend it.

    Parameters
    ----------
    x : DataArray
    dims : tuple of str, or list of such tuples, optional
        The dims that are allowed here; any of ``population.DIMS``, or these with ``atom`` last, if not given.
    name : str
        What to call `x` in the message.

    Raises
    ------
    InputError
        If dims, labels, coords, values or attrs are not those of a population.

    Notes
    -----
    One pass over the values, for infinities (NaN is allowed: unobserved); values that dask holds are not read.
    """
    if not isinstance(x, xr.DataArray):
        raise InputError(
            f"{name} must be an xarray.DataArray; got {type(x).__name__}. Make one with population.from_arrays."
        )
    _check_dims(x, dims, name)
    for dim in x.dims:
        _check_labels(x, str(dim), name)
    for coord in x.coords:
        _check_coord(x, coord, name)
    _check_values(x, name)
    _check_attrs(x.attrs, name)


def _check_dims(x: xr.DataArray, dims: Sequence[Any] | None, name: str) -> None:
    if dims is None:
        allowed = [*DIMS, *((*leading, "atom") for *leading, _ in DIMS)]
    else:
        allowed = [tuple(dims)] if isinstance(dims[0], str) else [tuple(one) for one in dims]
    if x.dims in allowed:
        return
    shown = " or ".join(show_dims(one) for one in (allowed if dims is not None else DIMS))
    raise InputError(f"{name} needs dims {shown}; got {show_dims(x.dims)}. {_mend_dims(x.dims, allowed)}")


def _mend_dims(got: tuple[Any, ...], allowed: list[tuple[str, ...]]) -> str:
    for want in allowed:
        if sorted(map(str, got)) == sorted(want):
            return "Reorder with x.transpose(" + ", ".join(f'"{dim}"' for dim in want) + ")."
    if "trial" in got and len(got) > 1 and ("stimulus", *(dim for dim in got if dim != "trial")) in allowed:
        return "Average the repeats with population.average(x)."
    renames = {
        (*(dim for dim in got if dim not in want), *(dim for dim in want if dim not in got))
        for want in allowed
        if len(want) == len(got) and len(set(want) - set(got)) == 1
    }
    meant = sorted(new for _, new in renames if new != "atom" or len(renames) == 1)
    if len(meant) == 1:
        old = next(old for old, new in renames if new == meant[0])
        pair = f'{old}="{meant[0]}"' if str(old).isidentifier() else f'{{{old!r}: "{meant[0]}"}}'
        return f"Rename with x.rename({pair})."
    if meant:
        return f"Rename {next(iter(renames))[0]!r} to what it is, {' or '.join(meant)}, with x.rename."
    return "Select, average or stack the other dims away, or make it with population.from_arrays."


def _check_labels(x: xr.DataArray, dim: str, name: str) -> None:
    if dim not in x.coords:
        raise InputError(
            f"{name} has no labels on its dim {dim!r}. Add them with x.assign_coords({dim}=np.arange({x.sizes[dim]}))."
        )
    index = x.indexes[dim]
    if isinstance(index, pd.MultiIndex):
        raise InputError(
            f"{name} has a MultiIndex on {dim!r} (levels {list(index.names)}). "
            f'Make its levels plain coords with x.reset_index("{dim}"), then label {dim} anew.'
        )
    if dim == "time":
        return _check_time(x["time"].values, name)
    if index.hasnans:
        raise InputError(f"{name} has {int(index.isna().sum())} missing {dim} labels. Every {dim} needs a label.")
    if index.has_duplicates:
        twice = index[index.duplicated()].tolist()
        raise InputError(
            f"{name} has duplicated {dim} labels: {len(twice)} of {len(index)}, first {twice[0]!r}. "
            f"Label them uniquely with x.assign_coords({dim}=...)."
        )
    return None


def _check_time(time: np.ndarray, name: str) -> None:
    if time.dtype != np.float64:
        raise InputError(
            f"{name} has time of dtype {time.dtype}; it must be seconds as float64 (dates and float32 lose precision). "
            "Give seconds with x.assign_coords(time=...)."
        )
    bad = ~np.isfinite(time)
    if bad.any():
        raise InputError(f"{name} has {int(bad.sum())} time labels that are not finite, first at {int(bad.argmax())}.")
    backward = np.diff(time) <= 0
    if backward.any():
        at = int(backward.argmax())
        raise InputError(
            f"{name} has time that does not increase, first from {time[at]} to {time[at + 1]}. "
            'Sort with x.sortby("time") and drop repeats with x.drop_duplicates("time").'
        )


def _check_coord(x: xr.DataArray, coord: Any, name: str) -> None:
    variable = x[coord].variable
    if not isinstance(coord, str):
        raise InputError(f"{name} has a coord whose name is {coord!r}, not a str. Rename it.")
    if variable.ndim > 1:
        raise InputError(
            f"{name} has a coord {coord!r} with dims {show_dims(variable.dims)}; coords have one dim. "
            f'Drop it with x.drop_vars("{coord}") and keep it in an array of its own.'
        )
    dtype = variable.dtype
    if dtype.kind in "biuU" or (dtype.kind == "f" and dtype.itemsize >= 4):
        return
    mend = f"x.assign_coords({coord}=...)"
    if dtype.kind in "mM":
        raise InputError(f"{name} has dates in coord {coord!r} ({dtype}). Give seconds as float with {mend}.")
    if dtype.kind == "O":
        wrong = [value for value in variable.values.ravel().tolist() if not _text_or_missing(value)]
        if not wrong:
            return
        raise InputError(
            f"{name} has a coord {coord!r} of mixed types: {wrong[0]!r} ({type(wrong[0]).__name__}) among text and "
            f"missing entries. Make it all text or all numbers (NaN where missing) with {mend}."
        )
    raise InputError(f"{name} has a coord {coord!r} of dtype {dtype}; coords hold numbers, bool or text. Use {mend}.")


def _text_or_missing(value: Any) -> bool:
    return value is None or isinstance(value, str) or (isinstance(value, float) and value != value)


def _check_values(x: xr.DataArray, name: str) -> None:
    if x.dtype.kind not in "biuf":
        raise InputError(f"{name} has values of dtype {x.dtype}; expected numbers. Convert with x.astype(float).")
    if x.dtype.kind != "f" or hasattr(x.data, "dask"):
        return
    if any(map(_any_infinite, _parts(x.values))):
        infinite = np.isinf(x.values)
        where = label_at(x, np.unravel_index(int(infinite.argmax()), x.shape))
        raise InputError(
            f"{name} has {int(infinite.sum())} infinite values, first at {where}. "
            "Mark unobserved values NaN with x.where(np.isfinite(x))."
        )


def _parts(values: np.ndarray) -> Iterator[np.ndarray]:
    """Runs of the first axis of about a megabyte, so that a check of them stays in the cache and makes no copy."""
    step = max(2**18 // max(int(np.prod(values.shape[1:])), 1), 1)
    return (values[first : first + step] for first in range(0, len(values), step))


def _any_infinite(part: np.ndarray) -> bool:
    # The sum of squares is finite only where every value is, and costs half of what a mask does.
    if part.flags.c_contiguous and np.isfinite(np.vdot(part, part)):
        return False
    return bool(np.isinf(part).any())


def label_at(x: xr.DataArray, place: Sequence[Any]) -> str:
    """The labels of one element, for messages: ``trial=3, unit='u7'``."""
    return ", ".join(f"{dim}={x[dim].values[i].item()!r}" for dim, i in zip(x.dims, place, strict=True))


def _check_attrs(attrs: Mapping[Any, Any], name: str) -> None:
    for key, value in attrs.items():
        if not isinstance(key, str) or isinstance(value, bool) or not isinstance(value, str | int | float):
            raise InputError(
                f"{name} has attrs[{key!r}] = {value!r} of type {type(value).__name__}; attrs hold str, int and float "
                "only. Convert it, or keep it with population.record."
            )
    kind = attrs.get("kind", KINDS[0])
    if kind not in KINDS:
        raise InputError(f"{name} has attrs['kind'] = {kind!r}; expected one of {', '.join(KINDS)}.")
    if attrs.get("provenance"):
        try:
            valid = isinstance(json.loads(attrs["provenance"]), dict)
        except (TypeError, ValueError):
            valid = False
        if not valid:
            raise InputError(f"{name} has attrs['provenance'] that is not a JSON object. Use population.record.")
