"""From held-out predictions to a labelled result: scores, intervals, chance levels, ceilings and verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurosparse.backend.linear import held_out_scores
from neurosparse.backend.resampling import bootstrap_weights, p_value, percentile_interval
from neurosparse.errors import InputError

Array = NDArray[np.floating]

DIRECTIONS = ("x->y", "y->x")
LEVEL = 0.05
ROUNDING = 1e-5  # the null is computed in float32; a tie must count against the claim


@dataclass(frozen=True)
class HeldOut:
    """Held-out predictions of one direction and what belongs to them; t targets, shapes as in `RidgeScores`."""

    direction: str
    units: NDArray[np.str_]
    unit_index: NDArray[np.int64]
    observed: Array
    mapped: Array
    baseline: Array
    inner_r: Array
    penalty: Array
    null_r: Array
    ceiling: Array
    n_targets_available: int
    n_predictors: int
    notes: tuple[str, ...]
    rank: NDArray[np.int64] | None = None


def assemble(
    parts: Sequence[HeldOut],
    *,
    fold: NDArray[np.int64],
    group: NDArray[np.int64],
    coords: Mapping[str, NDArray[Any]],
    n_bootstraps: int,
    random_state: Any,
    attrs: Mapping[str, Any],
) -> xr.Dataset:
    """The Dataset that `linear_identifiability` documents."""
    weights = bootstrap_weights(group, n_bootstraps, random_state=random_state) if n_bootstraps else None
    rows = [_one_direction(part, fold, weights) for part in parts]
    shape, dims = tuple(len(labels) for labels in coords.values()), tuple(coords)
    per_target = {name: ("target", np.concatenate([row[0][name] for row in rows])) for name in rows[0][0]}
    per_direction = {name: ("direction", np.array([row[1][name] for row in rows])) for name in rows[0][1]}
    stacked = {
        "prediction": np.hstack([part.baseline + part.mapped for part in parts]),
        "baseline": np.hstack([part.baseline for part in parts]),
        "observed": np.hstack([part.observed for part in parts]),
    }
    per_sample = {name: ((*dims, "target"), values.reshape(*shape, -1)) for name, values in stacked.items()}
    sizes = [len(part.units) for part in parts]
    ranks = [part.rank for part in parts if part.rank is not None]
    result = xr.Dataset(
        per_target
        | {
            "inner_r": (("fold_index", "target"), np.hstack([part.inner_r for part in parts])),
            "penalty": (("fold_index", "target"), np.hstack([part.penalty for part in parts])),
        }
        | per_direction
        | ({"rank": (("direction", "fold_index"), np.stack(ranks))} if ranks else {})
        | {"null_median_r": (("direction", "permutation"), np.stack([nan_median(part.null_r) for part in parts]))}
        | per_sample
        | {"fold": (dims, fold.reshape(shape)), "group": (dims, group.reshape(shape))},
        coords={
            **{dim: (dim, labels) for dim, labels in coords.items()},
            "direction": ("direction", np.array([part.direction for part in parts])),
            "target_direction": ("target", np.repeat([part.direction for part in parts], sizes)),
            "unit": ("target", np.concatenate([part.units for part in parts])),
            "unit_index": ("target", np.concatenate([part.unit_index for part in parts])),
        },
    )
    result.attrs = {
        "n_samples": len(fold),
        "direction": "higher is better",
        "equivalence_class": "up to an invertible linear map (with offset)",
        "r": "Pearson, within each fold, Fisher-averaged",
        "R2_baseline": "training-fold mean",
        "interval": "95 % percentiles about the score, groups of held-out samples resampled, fitted maps held fixed",
        "n_bootstraps": n_bootstraps,
        "n_permutations": result.sizes["permutation"],
        **attrs,
    }
    return result


def _one_direction(
    part: HeldOut, fold: NDArray[np.int64], weights: Array | None
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Variables over target, and variables over direction."""
    r, r2 = held_out_scores(part.mapped, part.baseline, part.observed, fold)
    pooled, pooled_r2 = float(nan_median(r[None])[0]), float(nan_median(r2[None])[0])
    low = high = np.full(len(r), np.nan)
    medians = {"r": (np.nan, np.nan), "R2": (np.nan, np.nan)}
    if weights is not None:
        again_r, again_r2 = held_out_scores(part.mapped, part.baseline, part.observed, fold, weights)
        low, high = _interval(again_r, r)
        medians = {"r": _interval(nan_median(again_r), pooled), "R2": _interval(nan_median(again_r2), pooled_r2)}
    n_null = len(part.null_r)
    p = p_value(r - ROUNDING, part.null_r) if n_null else np.full(len(r), np.nan)
    p_pooled = float(p_value(pooled - ROUNDING, nan_median(part.null_r))) if n_null else np.nan
    per_target = {
        "r": r,
        "r_low": low,
        "r_high": high,
        "R2": r2,
        "p": p,
        "null_r": _mean(part.null_r, len(r)),
        "ceiling_r": part.ceiling,
    }
    n_scored = int(np.isfinite(r).sum())
    notes = [*part.notes]
    if n_scored < len(r):
        notes.append(f"{len(r) - n_scored} constant targets have no score")
    per_direction = {
        "median_r": pooled,
        "median_r_low": medians["r"][0],
        "median_r_high": medians["r"][1],
        "median_R2": pooled_r2,
        "median_R2_low": medians["R2"][0],
        "median_R2_high": medians["R2"][1],
        "median_null_r": float(nan_median(part.null_r).mean()) if n_null else np.nan,
        "median_ceiling_r": float(nan_median(part.ceiling[None])[0]),
        "pooled_p": p_pooled,
        "n_predictors": part.n_predictors,
        "n_targets": len(r),
        "n_targets_available": part.n_targets_available,
        "n_scored": n_scored,
        "verdict": chance_verdict(p_pooled),
        "note": "; ".join(notes),
    }
    return per_target, per_direction


def _interval(samples: Array, observed: Any) -> tuple[Any, Any]:
    """95 % percentiles of the bootstrap samples about the observed score, at most 1.

    Scores within small folds are biased a little (R2 down, |r| up) and resampling adds that bias once more: without
    moving the samples back the interval covered R2 76-79 % of the time at 120 stimuli, with it 84-92 %.
    """
    low, high = percentile_interval(samples - samples.mean(axis=0) + observed)
    return np.minimum(low, 1.0), np.minimum(high, 1.0)


def chance_verdict(p: float) -> str:
    """What a p-value says at level .05."""
    if np.isnan(p):
        return "undecidable"
    return "above chance" if p <= LEVEL else "not above chance"


def nan_median(values: Array) -> Array:
    """Median over the last axis of what is not NaN; NaN where nothing is left."""
    some = np.isfinite(values).any(axis=-1)
    medians = np.full(values.shape[:-1], np.nan)
    medians[some] = np.nanmedian(values[some], axis=-1)
    return medians


def _mean(null_r: Array, n_targets: int) -> Array:
    return null_r.mean(axis=0) if len(null_r) else np.full(n_targets, np.nan)


def median_r(mapped: Array, baseline: Array, observed: Array, fold: Any, weights: Array | None = None) -> Array:
    """Median over targets of the held-out r; (b,) with bootstrap weights."""
    r, _ = held_out_scores(mapped, baseline, observed, fold, weights)
    return nan_median(np.atleast_2d(r))


def select_direction(result: xr.Dataset, direction: str = "x->y") -> xr.Dataset:
    """One direction of a result as a table over `unit`.

    Parameters
    ----------
    result : xarray.Dataset
        What `linear_identifiability` returns.
    direction : {"x->y", "y->x"}

    Returns
    -------
    xarray.Dataset
        Per-target variables over dim ``unit``, summaries without the dim ``direction``.

    Raises
    ------
    InputError
        If `result` is no such result, or lacks the direction.
    """
    if not isinstance(result, xr.Dataset) or "target_direction" not in result.coords:
        raise InputError(
            f"expected a result of linear_identifiability; got {type(result).__name__} without target_direction."
        )
    known = result["direction"].values.tolist()
    if direction not in known:
        raise InputError(f"the result holds the directions {known}; got {direction!r}.")
    chosen = result.isel(target=np.flatnonzero(result["target_direction"].values == direction))
    chosen = chosen.sel(direction=direction).drop_vars("target_direction")
    return chosen.swap_dims(target="unit")


def as_rows(part: xr.Dataset, name: str) -> Array:
    """A variable over the sample dims and maybe a last one, with the sample dims of ``fold`` stacked."""
    values = part[name].values
    return values.reshape(part["fold"].size, *values.shape[part["fold"].ndim :])
