"""From draws to a labelled Dataset: each score beside its interval, its null and its median."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurosparse.backend.psychophysics import randomised_p_value
from neurosparse.backend.resampling import p_value, percentile_interval
from neurosparse.interpretability.about import ABOUT
from neurosparse.interpretability.asking import Question
from neurosparse.interpretability.draws import Draws, quiet_mean
from neurosparse.interpretability.profiles import Profiles
from neurosparse.interpretability.similarity import Judge


def summary(scores: xr.Dataset) -> dict[str, float]:
    """One row for a table: the median over profiles of each score (over samples for the population's).

    Parameters
    ----------
    scores : Dataset
        As `interpretability_scores` gives it.

    Returns
    -------
    dict of str -> float
        For each score its median under its own name, and ``_low``, ``_high``, ``_null``, ``_p`` of that median.
    """
    suffixes = ("", "_low", "_high", "_null", "_p")
    names = [name for name in ABOUT if f"{name}_median" in scores]
    return {f"{name}{suffix}": float(scores[f"{name}_median{suffix}"]) for name in names for suffix in suffixes}


def variables(name: str, draws: Draws, dim: str, rng: np.random.Generator) -> dict[str, tuple[Any, ...]]:
    """A score and all that stands beside it, as variables of the result."""
    about = {**ABOUT[name], "null": draws.how}
    size = len(draws.value)
    medians = draws.median if draws.bootstrap is None else median_over(draws.bootstrap)
    null_medians = median_over(draws.null)
    median = median_over(draws.value[None])
    entries: dict[str, tuple[Any, ...]] = {name: (dim, draws.value, about)}
    if draws.bootstrap is not None:
        low, high = _interval(draws.bootstrap, (size,))
        if draws.least is not None:
            low, high = np.minimum(low, draws.least[0]), np.maximum(high, draws.least[1])
        entries |= _two(name, (low, high), dim, "")
    entries |= _null(name, draws.value, draws.null, dim)
    entries[f"{name}_median"] = ((), median[0])
    entries |= _two(f"{name}_median", _interval(medians, ()), (), "")
    entries |= _null(f"{name}_median", median[0], null_medians, ())
    if name == "lifetime_sparseness":
        bias = np.full(size, np.nan) if draws.bias is None else draws.bias
        entries[f"{name}_bias"] = (dim, bias, {"long_name": "mean rise when the averages are drawn again by Poisson"})
    if draws.least is not None:
        p = randomised_p_value(draws.value, draws.null, rng) if len(draws.null) else np.full(size, np.nan)
        entries[f"{name}_p_randomised"] = (dim, p)
    if draws.n_tasks is not None and name != "soft_mis":
        entries[f"{name}_n_tasks"] = (dim, draws.n_tasks)
    return entries


def _null(name: str, value: Any, null: Any, dim: Any) -> dict[str, tuple[Any, ...]]:
    shape = np.shape(value)
    if len(null) == 0:
        nothing = np.full(shape, np.nan)
        return {f"{name}_{part}": (dim, nothing) for part in ("null", "null_low", "null_high", "p")}
    p = np.where(np.isnan(null).all(axis=0), np.nan, p_value(value, null))
    return {
        f"{name}_null": (dim, quiet_mean(null)),
        **_two(name, _interval(null, shape), dim, "_null"),
        f"{name}_p": (dim, p),
    }


def _two(name: str, interval: tuple[Any, Any], dim: Any, part: str) -> dict[str, tuple[Any, ...]]:
    return {f"{name}{part}_low": (dim, interval[0]), f"{name}{part}_high": (dim, interval[1])}


def _interval(draws: Any, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """95 % interval of the draws that could be made."""
    if draws is None or len(draws) == 0:
        return np.full(shape, np.nan), np.full(shape, np.nan)
    if np.isfinite(draws).all():
        return percentile_interval(draws)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # all draws NaN: the interval is NaN too
        low, high = np.nanquantile(draws, [0.025, 0.975], axis=0)
    return low, high


def median_over(draws: Any) -> NDArray[np.float64]:
    """Median over profiles of each draw, of those that have the score."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # no profile has it: the median is NaN too
        return np.nanmedian(draws, axis=1)


def coords(profiles: Profiles) -> dict[str, Any]:
    x = profiles.source
    coords: dict[str, Any] = {str(name): x[name].variable for name in x.coords if x[name].dims == (profiles.last,)}
    return coords | {profiles.dim: (profiles.dim, profiles.labels)}


def attributes(asked: Question, scores: dict[str, Draws], note: str, random_state: Any) -> dict[str, Any]:
    profiles, draw = asked.samples, asked.draw
    n, p = profiles.values.shape
    constant = int((np.ptp(profiles.values, axis=0) < 1e-8).sum())
    first = next(scores[name] for name in asked.names if ABOUT[name]["long_name"])
    scored = int(np.isfinite(first.value).sum())
    result = {
        "scores": ", ".join(asked.names),
        "n_samples": n,
        "n_units": p,
        "n_scored": scored,
        "n_constant": constant,
        "n_not_asked": max(p - scored - constant, 0),
        "n_groups": len(np.unique(profiles.groups)),
        "interval": f"95 % bootstrap over {_resampled(profiles)}, responses and dictionary fixed",
        "n_permutations": len(asked.permuted),
        "n_bootstraps": len(asked.weights),
        "tau": profiles.tau,
        "p_note": note or "one-sided, (1 + b) / (1 + B)",
        "random_state": str(random_state),
        "provenance": str(profiles.source.attrs.get("provenance", json.dumps({}))),
    }
    if asked.judge is None:
        return result | asked.notes
    return {
        **result,
        "similarity": asked.judge.what,
        "similarity_from_profiles": asked.judge.from_profiles,
        "split": _split(profiles, asked.judge),
        "n_tasks": draw.n_tasks,
        "n_explanations": draw.n_explanations,
        "quantile": draw.quantile,
        "pool_size": draw.pool_size(n),
        "query": f"{draw.query} extreme",
        **asked.notes,
    }


def _resampled(profiles: Profiles) -> str:
    if profiles.dim == "time":
        return f"blocks of {profiles.gap} samples"
    return "stimuli" if len(np.unique(profiles.groups)) == len(profiles.labels) else "groups of near-duplicate stimuli"


def _split(profiles: Profiles, judge: Judge) -> str:
    if profiles.trials is None:
        return "none: ranked and judged on the same responses" + (
            ", of averages" if profiles.repeats.max(initial=1) > 1 else ""
        )
    if judge.fixed is not None:
        return "random halves of the trials of each stimulus: one ranks, the other judges"
    return "random halves of the trials of each stimulus: one ranks, the other gives the similarities"
