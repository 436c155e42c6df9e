"""Bring populations together: the same stimuli in the same order, sessions side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from neurosparse.errors import InputError
from neurosparse.population.checking import check
from neurosparse.population.history import plain, provenance, record


def join(
    x: xr.DataArray, y: xr.DataArray, on: str = "stimulus", *, order: Literal["align", "strict"] = "align"
) -> tuple[xr.DataArray, xr.DataArray]:
    """Two populations with the same samples in the same order, that of `x`.

    Parameters
    ----------
    x, y : populations
        With the coord `on` on the first dim of each, every id once.
    on : str
        The coord that names a sample.
    order : {"align", "strict"}
        ``align`` brings `y` into the order of `x` and notes that in its provenance; ``strict`` raises where they
        differ.

    Returns
    -------
    x, y : populations

    Raises
    ------
    InputError
        If ids are missing on one side, duplicated, of another type, or (strict) in another order; it names and
        counts them.
    """
    if order not in ("align", "strict"):
        raise InputError(f"order must be 'align' or 'strict'; got {order!r}.")
    left, right = _ids(x, on, "x"), _ids(y, on, "y")
    _same_ids(left, right, on)
    place = pd.Index(right).get_indexer(pd.Index(left))
    moved = place != np.arange(len(place))
    if not moved.any():
        return x, y
    if order == "strict":
        at = int(moved.argmax())
        raise InputError(
            f"x and y have the same {len(left)} {on} ids in another order: {int(moved.sum())} differ, first at {at}, "
            f"{left[at]!r} in x and {right[at]!r} in y. Pass order='align' to bring y into the order of x."
        )
    return x, record(y.isel({y.dims[0]: place}), "join", on=on, n_moved=int(moved.sum()))


def _ids(x: xr.DataArray, on: str, name: str) -> list[Any]:
    check(x, name=name)
    dim = x.dims[0]
    if on not in x.coords or x[on].dims != (dim,):
        raise InputError(
            f"{name} has no coord {on!r} on its first dim {dim!r}, only "
            f"{sorted(str(known) for known in x.coords if x[known].dims == (dim,))}. Name the one to join on with on=."
        )
    ids = x[on].values.tolist()
    missing = pd.isnull(x[on].values)
    if missing.any():
        raise InputError(
            f"{name} has {int(missing.sum())} of {len(ids)} samples without {on}, first at {missing.argmax()}."
        )
    twice = pd.Index(ids)[pd.Index(ids).duplicated()].unique().tolist()
    if twice:
        raise InputError(
            f"{name} has {len(twice)} {on} ids more than once, first {twice[0]!r}. "
            "Average the repeats first with population.average."
        )
    return ids


def _same_ids(left: list[Any], right: list[Any], on: str) -> None:
    known = {"x": set(left), "y": set(right)}
    lacking = {
        "y": [key for key in left if key not in known["y"]],
        "x": [key for key in right if key not in known["x"]],
    }
    if not any(lacking.values()):
        return
    said = [
        f"{len(keys)} ids missing in {name}, such as {', '.join(map(repr, keys[:3]))}"
        for name, keys in lacking.items()
        if keys
    ]
    types = {type(key).__name__ for key in left}, {type(key).__name__ for key in right}
    mend = "Select the shared ones first with population.select."
    if types[0] != types[1]:
        mend = f"In x they are {', '.join(sorted(types[0]))}, in y {', '.join(sorted(types[1]))}: make them one type."
    raise InputError(f"x has {len(left)} and y has {len(right)} {on} ids, which differ: {'; '.join(said)}. {mend}")


def concat(populations: Sequence[xr.DataArray]) -> xr.DataArray:
    """The units of several sessions side by side, on the samples they share.

    Parameters
    ----------
    populations : sequence of populations
        Same dims, same samples (in any order of the first dim), same quantity, units, kind and bin width; each with a
        different ``attrs["session"]``.

    Returns
    -------
    population
        Samples in the order of the first. Unit labels become ``session:unit``; coords ``session`` and ``unit_id`` keep
        the parts. A unit coord that a session lacks is None (text) or NaN (numbers) there; sample coords that differ
        between sessions are dropped and stand in the provenance.

    Raises
    ------
    InputError
        If sessions are unnamed or named alike, or dims, samples or what is measured differ.
    """
    parts = list(populations)
    if not parts:
        raise InputError("concat needs at least one population; got none.")
    for i, part in enumerate(parts):
        check(part, name=f"population {i}")
    sessions = _sessions(parts)
    _same_measure(parts)
    aligned = [parts[0], *(_on_shared_samples(parts[0], part, i) for i, part in enumerate(parts[1:], 1))]
    dropped = _differing(aligned)
    merged = [
        _prefixed(part.drop_vars(dropped, errors="ignore"), name) for part, name in zip(aligned, sessions, strict=True)
    ]
    dim = parts[0].dims[-1]
    table = {name: _column(name, merged) for name in _names(merged, dim)}
    samples = {str(name): merged[0][name].variable for name in merged[0].coords if dim not in merged[0][name].dims}
    values = np.concatenate([part.values for part in merged], axis=-1)
    coords = samples | {name: (dim, entries) for name, entries in table.items()}
    attrs = {key: value for key, value in parts[0].attrs.items() if all(part.attrs.get(key) == value for part in parts)}
    attrs.pop("provenance", None)
    result = xr.DataArray(values, dims=parts[0].dims, coords=coords, name=parts[0].name)
    result.attrs = attrs | {"session": "+".join(sessions)}
    origins = [plain(provenance(part)) for part in parts]
    return record(result, "concat", sessions=sessions, dropped_coords=dropped, provenance=origins)


def _sessions(parts: list[xr.DataArray]) -> list[str]:
    names = [str(part.attrs.get("session", "")) for part in parts]
    if "" in names or len(set(names)) < len(names):
        raise InputError(
            f"each population needs a session name of its own to label its units; got {names}. "
            "Set x.attrs['session'] first."
        )
    return names


def _same_measure(parts: list[xr.DataArray]) -> None:
    for i, part in enumerate(parts[1:], 1):
        if part.dims != parts[0].dims:
            raise InputError(f"populations 0 and {i} have dims {parts[0].dims} and {part.dims}; they must be the same.")
        for key in ("kind", "quantity", "units", "bin_width"):
            first, other = parts[0].attrs.get(key), part.attrs.get(key)
            if first != other:
                raise InputError(
                    f"populations 0 and {i} differ in attrs[{key!r}]: {first!r} and {other!r}. Units of one population "
                    "are measured alike; convert one of them."
                )


def _on_shared_samples(first: xr.DataArray, part: xr.DataArray, i: int) -> xr.DataArray:
    lead = str(first.dims[0])
    try:
        part = join(first, part, on=lead)[1]
    except InputError as error:
        raise InputError(
            f"population {i} has other samples than population 0, where x is 0 and y is {i}: {error}"
        ) from None
    for dim in first.dims[1:-1]:
        if not np.array_equal(first[dim].values, part[dim].values):
            raise InputError(f"populations 0 and {i} have different {dim} labels; bring them to the same {dim} first.")
    return part


def _differing(parts: list[xr.DataArray]) -> list[str]:
    """Coords of the samples that are not the same in all parts."""
    dim = parts[0].dims[-1]
    names = dict.fromkeys(str(name) for part in parts for name in part.coords if dim not in part[name].dims)

    def same(name: str) -> bool:
        return all(name in part.coords and part[name].variable.equals(parts[0][name].variable) for part in parts)

    return [name for name in names if not (name in parts[0].coords and same(name))]


def _prefixed(part: xr.DataArray, session: str) -> xr.DataArray:
    dim = part.dims[-1]
    labels = part[dim].values
    extra = {"session": (dim, np.full(len(labels), session))}
    if "unit_id" not in part.coords:
        extra["unit_id"] = (dim, labels)
    unique = np.array([f"{session}:{label}" for label in labels], dtype=np.str_)
    return part.assign_coords(extra | {str(dim): (dim, unique)})


def _names(parts: list[xr.DataArray], dim: Any) -> list[str]:
    return list(dict.fromkeys(str(name) for part in parts for name in part.coords if part[name].dims == (dim,)))


def _column(name: str, parts: list[xr.DataArray]) -> np.ndarray:
    """One unit coord over all sessions, missing where a session does not have it."""
    present = [part[name].values for part in parts if name in part.coords]
    sorts = {"text" if values.dtype.kind in "UO" else "numbers" for values in present}
    if len(sorts) > 1:
        raise InputError(f"coord {name!r} is text in one session and numbers in another. Convert or drop it first.")
    if len(present) == len(parts):
        return np.concatenate(present)
    fill, dtype = (None, object) if sorts == {"text"} else (np.nan, float)
    columns = [
        part[name].values if name in part.coords else np.full(part.shape[-1], fill, dtype=dtype) for part in parts
    ]
    return np.concatenate(columns)
