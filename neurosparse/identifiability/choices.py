"""Several representations that predict the same targets: the best by training data alone, and paired differences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from neurosparse.backend.resampling import bootstrap_weights, percentile_interval
from neurosparse.errors import InputError
from neurosparse.identifiability.results import HeldOut, as_rows, assemble, median_r, nan_median, select_direction


def paired_difference(
    a: xr.Dataset, b: xr.Dataset, *, direction: str = "x->y", n_bootstraps: int = 1000, random_state: Any = 0
) -> xr.Dataset:
    """How much better `a` predicts the shared targets than `b`: the difference of their median held-out r.

    The same resampled groups of stimuli score both, so what is common to them cancels.

    Parameters
    ----------
    a, b : xarray.Dataset
        Results of `linear_identifiability` or `choose_best` with the same targets, folds and groups.
    direction : {"x->y", "y->x"}
    n_bootstraps : int
    random_state : int, numpy.random.Generator or None

    Returns
    -------
    xarray.Dataset
        ``difference`` (a - b) with ``difference_low`` and ``difference_high`` (95 %), ``median_r_a``, ``median_r_b``.

    Raises
    ------
    InputError
        If targets, samples, folds or groups differ.

    Notes
    -----
    The fitted maps are held fixed, as in the intervals of each result: the interval speaks of other stimuli, not of
    other training sets or animals.
    """
    first, second = select_direction(a, direction), select_direction(b, direction)
    _check_shared({"a": first, "b": second})
    weights = bootstrap_weights(as_rows(first, "group"), n_bootstraps, random_state=random_state)
    value = {name: _median_of(part)[0] for name, part in (("a", first), ("b", second))}
    low, high = percentile_interval(_median_of(first, weights) - _median_of(second, weights))
    result = xr.Dataset(
        {
            "difference": value["a"] - value["b"],
            "difference_low": low,
            "difference_high": high,
            "median_r_a": value["a"],
            "median_r_b": value["b"],
        }
    )
    result.attrs = {
        "direction": "higher is better for a",
        "map": direction,
        "n_samples": first["fold"].size,
        "n_groups": len(np.unique(first["group"])),
        "n_units": first.sizes["unit"],
        "n_bootstraps": n_bootstraps,
        "interval": "95 % percentiles, same groups of held-out predictions resampled for both, maps held fixed",
    }
    return result


def choose_best(
    results: Mapping[str, xr.Dataset], *, direction: str = "x->y", n_bootstraps: int = 1000, random_state: Any = 0
) -> xr.Dataset:
    """The best of several representations, chosen in each outer fold by its score inside the training samples.

    The score is the median over targets of ``inner_r``. The held-out predictions of a fold are those of the
    representation chosen there, so choice and score share no stimulus.

    Parameters
    ----------
    results : mapping of name to xarray.Dataset
        Results of `linear_identifiability` with the same targets, folds and groups: layers, or draws of a control.
    direction : {"x->y", "y->x"}
    n_bootstraps : int
        0 leaves the intervals out.
    random_state : int, numpy.random.Generator or None

    Returns
    -------
    xarray.Dataset
        As `linear_identifiability` gives it, for one direction, with ``choice`` (name, over fold_index) and
        ``inner_median_r`` (representation, fold_index). No p: the choice would have to be made again in every
        permutation; see the results that were chosen from.

    Raises
    ------
    InputError
        If there are no results, or their targets, samples, folds or groups differ.
    """
    if not isinstance(results, Mapping) or not results:
        raise InputError(f"choose_best needs a mapping of names to results, at least one; got {results!r}.")
    parts = {name: select_direction(result, direction) for name, result in results.items()}
    _check_shared(parts)
    names = np.array(list(parts), dtype=np.str_)
    first = next(iter(parts.values()))
    inner = np.stack([nan_median(part["inner_r"].values) for part in parts.values()])  # (representation, fold)
    best = np.nan_to_num(inner, nan=-2.0).argmax(axis=0)
    of_row = best[as_rows(first, "fold")]
    held = HeldOut(
        direction=direction,
        units=first["unit"].values,
        unit_index=first["unit_index"].values,
        observed=as_rows(first, "observed"),
        mapped=_pick([as_rows(part, "prediction") - as_rows(part, "baseline") for part in parts.values()], of_row),
        baseline=as_rows(first, "baseline"),
        inner_r=_pick([part["inner_r"].values for part in parts.values()], best),
        penalty=_pick([part["penalty"].values for part in parts.values()], best),
        null_r=np.empty((0, first.sizes["unit"])),
        ceiling=first["ceiling_r"].values,
        n_targets_available=int(first["n_targets_available"]),
        n_predictors=max(int(part["n_predictors"]) for part in parts.values()),
        notes=(f"best of {len(names)} by training samples; p undecidable: the null of a choice is not computed",),
    )
    composite = assemble(
        [held],
        fold=first["fold"].values.ravel(),
        group=first["group"].values.ravel(),
        coords={str(dim): first[dim].values for dim in first["fold"].dims},
        n_bootstraps=n_bootstraps,
        random_state=random_state,
        attrs={"split": first.attrs["split"], "n_folds": first.attrs["n_folds"], "chosen_from": ", ".join(names)},
    )
    return composite.assign(
        choice=("fold_index", names[best]), inner_median_r=(("representation", "fold_index"), inner)
    ).assign_coords(representation=names)


def _pick(values: list[np.ndarray], index: np.ndarray) -> np.ndarray:
    """Row i of ``values[index[i]]``."""
    return np.stack(values)[index, np.arange(len(index))]


def _median_of(part: xr.Dataset, weights: np.ndarray | None = None) -> np.ndarray:
    baseline = as_rows(part, "baseline")
    return median_r(
        as_rows(part, "prediction") - baseline, baseline, as_rows(part, "observed"), as_rows(part, "fold"), weights
    )


def _check_shared(parts: Mapping[str, xr.Dataset]) -> None:
    """Raise unless all predict the same numbers, divided the same way."""
    (name, first), *others = parts.items()
    for other, part in others:
        samples = [str(dim) for dim in first["fold"].dims]
        if list(part["fold"].dims) != samples or any(
            not np.array_equal(part[dim].values, first[dim].values) for dim in samples
        ):
            raise InputError(f"{other!r} and {name!r} have different samples: {_sizes(part)} and {_sizes(first)}.")
        if not np.array_equal(part["unit"].values, first["unit"].values) or not np.array_equal(
            part["observed"].values, first["observed"].values
        ):
            raise InputError(
                f"{other!r} and {name!r} predict different targets ({part.sizes['unit']} and {first.sizes['unit']} "
                "units). Compare maps to the same population, and with the same random_state and max_targets."
            )
        for what in ("fold", "group"):
            if not np.array_equal(part[what].values, first[what].values):
                raise InputError(
                    f"{other!r} and {name!r} have different {what}s. "
                    "Give both the same groups=, n_folds and random_state."
                )


def _sizes(part: xr.Dataset) -> str:
    return ", ".join(f"{dim}: {part.sizes[dim]}" for dim in part["fold"].dims)
