"""Codes of constituents and of both together, brought to the same pairs, with their halves and blanks.

Populations or arrays enter, matrices over (pair, unit) leave.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurosparse import population
from neurosparse.backend.resampling import label_codes
from neurosparse.errors import EvidenceWarning, InputError

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Terms:
    """a, b and ab on the same pairs.

    Attributes
    ----------
    parts : [a, b, ab], each (pair, unit)
    halves : list of lists of pairs of (pair, unit) arrays
        For each of a, b and ab its random halvings; empty where not all three have repeats.
    units, pairs : label arrays
    notes : list of str
        What a reader must know.
    """

    parts: list[Array]
    halves: list[list[tuple[Array, Array]]]
    units: NDArray[Any]
    pairs: NDArray[Any]
    notes: list[str]


def terms_of(given: dict[str, Any], scale: str, n_splits: int, seed: int) -> Terms:
    """What `additivity` was given, as matrices."""
    if scale not in ("auto", "noise", "none"):
        raise InputError(f"scale must be 'auto', 'noise' or 'none'; got {scale!r}.")
    labelled = [isinstance(one, xr.DataArray) for one in given.values()]
    if any(labelled) and not all(labelled):
        raise InputError("a, b and ab must all be arrays, or all be populations whose stimulus names the pair.")
    if not all(labelled):
        parts = [finite_rows(one, name) for name, one in given.items()]
        shapes = {part.shape for part in parts}
        if len(shapes) > 1 or len(parts[0]) < 4:
            raise InputError(
                f"a, b and ab need the same shape (pair, unit) with at least 4 pairs; got {sorted(shapes)}."
            )
        if scale == "noise":
            raise InputError("scaling by noise needs trials with repeats; got arrays of averages.")
        return Terms(parts, [], np.arange(parts[0].shape[1]), np.arange(len(parts[0])), [])
    return _populations(given, scale, n_splits, seed)


def _populations(given: dict[str, Any], scale: str, n_splits: int, seed: int) -> Terms:
    repeated = {}
    for name, one in given.items():
        population.check(one, dims=[("trial", "unit"), ("stimulus", "unit")], name=name)
        if "stimulus" not in one.coords:
            raise InputError(f"{name} has trials without a coord 'stimulus' to name the pair.")
        counts = np.unique(one["stimulus"].values, return_counts=True)[1]
        repeated[name] = one.dims[0] == "trial" and counts.min() >= 2
    averaged = [population.average(one) if one.dims[0] == "trial" else one for one in given.values()]
    pairs = averaged[0]["stimulus"].values
    pairs = np.array(
        [label for label in pairs.tolist() if all(label in set(x["stimulus"].values.tolist()) for x in averaged)]
    )
    units = averaged[0]["unit"].values
    if len(pairs) < 4 or any(not np.array_equal(one["unit"].values, units) for one in averaged):
        raise InputError(f"a, b and ab need the same units and at least 4 pairs in common; got {len(pairs)} pairs.")
    parts = [finite_rows(one.sel(stimulus=pairs), name) for one, name in zip(averaged, given, strict=True)]
    notes = [] if len(pairs) == averaged[0].sizes["stimulus"] else [f"{len(pairs)} pairs in common"]
    if not all(repeated.values()):
        if scale == "noise":
            raise InputError("scaling by noise needs two trials of every pair in a, b and ab.")
        return Terms(parts, [], units, pairs, notes)
    sd = np.ones(len(units)) if scale == "none" else _noise_sd(list(given.values()))
    halves = []
    for offset, one in enumerate(given.values()):
        splits = population.split_halves(one, n_splits=n_splits, random_state=seed + offset)
        halves.append([tuple(half.sel(stimulus=pairs).values / sd for half in pair) for pair in splits])
    return Terms([part / sd for part in parts], halves, units, pairs, notes)  # type: ignore[arg-type]


def _noise_sd(trials: list[xr.DataArray]) -> Array:
    """Pooled sd of trials about their stimulus mean, floored at a tenth of its median."""
    squares, freedom = np.zeros(trials[0].sizes["unit"]), 0
    for one in trials:
        values = np.asarray(one.values, dtype=np.float64)
        _, codes, counts = label_codes(one["stimulus"].values, "stimulus")
        means = np.zeros((len(counts), values.shape[1]))
        np.add.at(means, codes, values)
        squares += ((values - (means / counts[:, None])[codes]) ** 2).sum(axis=0)
        freedom += len(values) - len(counts)
    sd = np.sqrt(squares / max(freedom, 1))
    floor = 0.1 * float(np.median(sd[sd > 0])) if (sd > 0).any() else 1.0
    return np.maximum(sd, floor)


def finite_rows(values: Any, name: str, dims: str = "(pair, unit)") -> Array:
    """`values` as a finite float64 matrix, or an InputError."""
    array = np.asarray(values)
    if array.ndim != 2 or array.dtype.kind not in "biuf":
        raise InputError(f"{name} needs a matrix {dims} of numbers; got shape {array.shape} of {array.dtype}.")
    bad = ~np.isfinite(array)
    if bad.any():
        raise InputError(
            f"{name} needs finite numbers; got {int(bad.sum())} NaN or infinite ones, first in row "
            f"{int(bad.any(axis=1).argmax())}. Leave those out."
        )
    return array.astype(np.float64)


def constituent_codes(given: Any, n: int) -> tuple[Ints, Ints]:
    """One code a constituent, the same on both sides; without labels every constituent is its own."""
    if given is None:
        return np.arange(n), np.arange(n) + n
    labels = [np.asarray(one) for one in given] if isinstance(given, (tuple, list)) else []
    if len(labels) != 2 or any(one.shape != (n,) for one in labels):
        raise InputError(
            f"constituents must be two lists of {n} labels, of a and of b; got {[one.shape for one in labels]}."
        )
    codes = label_codes(np.concatenate(labels).astype(str), "constituents")[1]
    return codes[:n], codes[n:]


def sharing_groups(first: Ints, second: Ints) -> Ints:
    """A group for each pair: pairs with the same constituents; all pairs of one constituent leave each other's mean."""
    shared = len(np.unique(first)) < len(first) or len(np.unique(second)) < len(second)
    return np.arange(len(first)) if not shared else np.unique(first, return_inverse=True)[1]


def blank_thirds(blank: Any, terms: Terms, rng: np.random.Generator) -> list[Array]:
    """Means of three disjoint thirds of the blank trials."""
    rows = np.atleast_2d(np.asarray(blank))
    if rows.dtype.kind not in "biuf":
        raise InputError(f"blank needs trials (trial, unit) of numbers; got {type(blank).__name__} of {rows.dtype}.")
    rows = rows.astype(np.float64)
    if rows.ndim != 2 or rows.shape[1] != len(terms.units) or not np.isfinite(rows).all():
        raise InputError(f"blank needs finite trials of {len(terms.units)} units; got shape {rows.shape}.")
    if len(rows) < 3:
        warnings.warn(
            f"{len(rows)} blank trial(s) must serve all three terms: their noise is shared and lifts the cosine of "
            "unrelated codes. Give three or more.",
            EvidenceWarning,
            stacklevel=3,
        )
        return [rows.mean(axis=0)] * 3
    return [rows[part].mean(axis=0) for part in np.array_split(rng.permutation(len(rows)), 3)]
