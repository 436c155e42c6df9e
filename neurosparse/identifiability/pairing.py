"""Two representations brought to the same samples: averaged over repeats, joined on their ids, freed of NaN.

Populations, arrays or tensors enter; a `Pair` of matrices with the labels of both sides leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurosparse import population
from neurosparse.backend.resampling import label_codes
from neurosparse.errors import InputError

Nan = Literal["raise", "drop"]
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Side:
    """One representation as a matrix, with what its repeats allow.

    Attributes
    ----------
    values : (sample, unit) float64
    units : (unit,) str
    ceiling : (unit,) float64
        sqrt of the reliability of its averages; NaN where unknown.
    no_ceiling : str
        Why it is unknown; empty where it is known.
    provenance : dict
    """

    values: Array
    units: NDArray[np.str_]
    ceiling: Array
    no_ceiling: str
    provenance: dict[str, Any]


@dataclass(frozen=True)
class Pair:
    """The two sides on the same samples.

    Attributes
    ----------
    x, y : Side
    coords : dict of dim -> labels
        The sample dims in order; their product is the number of samples.
    groups : (sample,) array or None
        What must stay together; None for a time series without sessions.
    given : bool
        Whether the caller gave the groups.
    """

    x: Side
    y: Side
    coords: dict[str, NDArray[Any]]
    groups: NDArray[np.int64] | None
    given: bool


def pair(x: Any, y: Any, *, groups: Any, nan: Nan, n_splits: int, random_state: Any, ceilings: bool = True) -> Pair:
    """`x` and `y` as matrices of the same samples; see `linear_identifiability` for what may enter.

    Without `ceilings` the reliability of single units is not estimated: theirs are NaN.
    """
    sides = {"x": x, "y": y}
    for name, side in sides.items():
        _check_matrix(side, name)
    n_splits = n_splits if ceilings else 0
    repeats = {name: _repeats(side, name, nan, n_splits, random_state) for name, side in sides.items()}
    averaged = {name: found[0] for name, found in repeats.items()}
    lead, first, second = _aligned(
        averaged["x"], averaged["y"], {name: found[0] is not sides[name] for name, found in repeats.items()}
    )
    coords = _sample_coords(first, second)
    labels = _groups(groups, lead, first, second)
    matrices = [
        population.as_matrix(side, nan=nan, name=name) for name, side in zip("xy", (first, second), strict=True)
    ]
    shape = tuple(len(values) for values in coords.values())
    kept = (matrices[0].kept & matrices[1].kept).reshape(shape[0], -1).all(axis=1)
    rows = np.repeat(kept, int(np.prod(shape[1:], dtype=int)))
    made = []
    for name, side, matrix in zip("xy", (first, second), matrices, strict=True):
        values = np.full((len(rows), matrix.shape[1]), np.nan)
        values[matrix.kept] = matrix.values
        made.append(_side(name, side, values[rows], repeats[name][1:]))
    coords[lead] = coords[lead][kept]
    per_row = None if labels is None else label_codes(np.repeat(labels[kept], len(rows) // len(kept)), "groups")[1]
    return Pair(made[0], made[1], coords, per_row, groups is not None)


def _check_matrix(side: Any, name: str) -> None:
    """Raise where there are no rows to count: None, text, a Dataset, rows of unequal length."""
    try:
        there = np.ndim(side) > 0
    except (TypeError, ValueError):
        there = False
    if not there:
        raise InputError(
            f"{name} must be a population or a (sample, unit) matrix of numbers; got a {type(side).__name__} that is "
            "neither."
        )


def _repeats(side: Any, name: str, nan: Nan, n_splits: int, random_state: Any) -> tuple[Any, Array | None, str]:
    """The side averaged over the trials of each stimulus where it has them; its ceiling, or why there is none."""
    if not isinstance(side, xr.DataArray):
        return side, None, "plain array: give trials with repeats"
    population.check(side, name=name)
    if side.dims[0] != "trial" or "stimulus" not in side.coords or side["stimulus"].dims != ("trial",):
        return side, None, "no repeats: give a (trial, unit) population with a stimulus coord"
    kept = population.as_matrix(side, nan=nan, name=name).kept.reshape(side.sizes["trial"], -1).all(axis=1)
    side = side.isel(trial=np.flatnonzero(kept))
    averaged = population.average(side)
    n_repeated = int((averaged["n_repeats"] > 1).sum())
    if "time" in side.dims:
        return averaged, None, "reliability over time bins is not estimated: reduce time first"
    if n_repeated < 3:
        return averaged, None, f"only {n_repeated} stimuli were repeated"
    if n_splits == 0:
        return averaged, None, ""
    found = population.reliability(side, n_splits=n_splits, random_state=random_state)
    return averaged, found["ceiling"].values, ""


def _aligned(x: Any, y: Any, was_averaged: dict[str, bool]) -> tuple[str, Any, Any]:
    """Name of the first sample dim, and both sides in the same order along it."""
    labelled = [side for side in (x, y) if isinstance(side, xr.DataArray)]
    if len(labelled) == 2:
        return _joined(x, y)
    for name, averaged in was_averaged.items():
        if averaged:
            raise InputError(
                f"{name} has trials, the other side is a plain array that names no stimuli, so rows cannot be matched. "
                'Make it a population with population.from_arrays(..., dims=("stimulus", "unit"), stimulus=ids).'
            )
    lengths = [_length(side) for side in (x, y)]
    if lengths[0] != lengths[1]:
        raise InputError(
            f"x and y must have the same samples; got {lengths[0]} and {lengths[1]} rows. Give equal rows in the same "
            "order, or populations with stimulus ids."
        )
    return (str(labelled[0].dims[0]) if labelled else "stimulus"), x, y


def _length(side: Any) -> int:
    if isinstance(side, xr.DataArray):
        return int(np.prod(side.shape[:-1], dtype=int))
    return np.shape(side)[0] if np.ndim(side) else 0


def _joined(x: xr.DataArray, y: xr.DataArray) -> tuple[str, xr.DataArray, xr.DataArray]:
    lead = str(x.dims[0])
    if x.dims[:-1] != y.dims[:-1]:
        raise InputError(
            f"x and y must have the same sample dims; got x {_show(x)} and y {_show(y)}. Trials need a stimulus coord "
            "to be averaged and joined with stimuli; time must be reduced, or be there on both sides."
        )
    x, y = population.join(x, y, on=lead)
    if lead != "time":
        # Sorted, so that folds and groups do not depend on which side came first.
        order = np.argsort(x[lead].values, kind="stable")
        x, y = x.isel({lead: order}), y.isel({lead: order})
    for dim in x.dims[1:-1]:
        if not np.array_equal(x[dim].values, y[dim].values):
            raise InputError(f"x and y have different {dim} labels; bring both to the same bins first.")
    return lead, x, y


def _show(x: xr.DataArray) -> str:
    return "(" + ", ".join(map(str, x.dims)) + ")"


def _sample_coords(x: Any, y: Any) -> dict[str, NDArray[Any]]:
    labelled = next((side for side in (x, y) if isinstance(side, xr.DataArray)), None)
    if labelled is None:
        return {"stimulus": np.arange(_length(x))}
    return {str(dim): np.asarray(labelled[dim].values) for dim in labelled.dims[:-1]}


def _groups(groups: Any, lead: str, x: Any, y: Any) -> NDArray[Any] | None:
    """One label for each entry of the first sample dim; None for a time series without sessions."""
    labelled = [side for side in (x, y) if isinstance(side, xr.DataArray)]
    n = labelled[0].sizes[lead] if labelled else _length(x)
    if groups is None:
        return None if lead == "time" else np.arange(n)
    if isinstance(groups, str):
        holder = next((side for side in labelled if groups in side.coords and side[groups].dims == (lead,)), None)
        if holder is None:
            raise InputError(f"groups names {groups!r}, which is no coord on dim {lead!r} of x or y.")
        groups = holder[groups]
    if isinstance(groups, xr.DataArray) and groups.dims == (lead,) and lead in groups.coords and labelled:
        wanted = labelled[0][lead].values
        missing = [label for label in wanted.tolist() if label not in set(groups[lead].values.tolist())]
        if missing:
            raise InputError(f"groups has no entry for {len(missing)} of {n} {lead} ids, first {missing[0]!r}.")
        groups = groups.sel({lead: wanted})
    try:
        labels = np.asarray(groups)
    except ValueError:  # of unequal lengths
        labels = np.empty(0)
    if labels.shape != (n,):
        raise InputError(
            f"groups must have one label for each of the {n} {lead} entries, sorted by id; got shape {labels.shape}. "
            f"A DataArray over {lead} is matched by id."
        )
    return labels


def _side(name: str, source: Any, values: Array, repeats: tuple[Array | None, str]) -> Side:
    n_units = values.shape[1]
    if not (np.ptp(values, axis=0) > 0).any():
        raise InputError(
            f"{name} does not vary: all {n_units} of its units are constant over {len(values)} samples (silent?), so "
            "nothing can be mapped."
        )
    ceiling, why = repeats
    labelled = isinstance(source, xr.DataArray)
    units = source[source.dims[-1]].values if labelled else np.arange(n_units)
    return Side(
        values,
        units.astype(np.str_),
        np.full(n_units, np.nan) if ceiling is None else ceiling,
        why,
        population.provenance(source) if labelled else {},
    )
