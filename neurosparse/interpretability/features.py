"""What one feature is, in numbers: what a card shows of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurosparse.backend.psychophysics import bin_codes, rank_order, repeat_reliability, tuning_maps
from neurosparse.errors import InputError, MissingError
from neurosparse.interpretability.about import ABOUT
from neurosparse.interpretability.asking import read_covariate
from neurosparse.interpretability.profiles import Profiles, read_profiles
from neurosparse.interpretability.similarity import places

Floats = NDArray[np.float64]


def describe_feature(
    codes: xr.DataArray,
    feature: Any,
    *,
    stimuli: xr.DataArray | None = None,
    dictionary: xr.DataArray | None = None,
    covariate: Any = None,
    period: float | None = None,
    n_bins: int = 20,
    scores: xr.Dataset | None = None,
    n_shown: int = 5,
    nan: str = "raise",
) -> dict[str, Any]:
    """Gather what is known of one feature; `plots.card_feature` draws it.

    Parameters
    ----------
    codes : DataArray (stimulus, atom), (trial, atom) or (time, atom), or with ``unit`` last
    feature : label
        Of the last dim of `codes`.
    stimuli : DataArray (stimulus, row, column[, channel]), optional
        Images, to be shown at the top and the bottom.
    dictionary : DataArray (atom, unit), optional
        Its row gives the weights, with the unit coords ``area``, or ``channel``, ``row`` and ``column``.
    covariate, period, n_bins
        As for `interpretability_scores`; at most two dimensions.
    scores : Dataset, optional
        As `interpretability_scores` gives it, of the same features.
    n_shown : int
        Stimuli shown at each end.
    nan : {"raise", "drop"}

    Returns
    -------
    dict
        ``feature``, ``n_samples``, ``active_share``; ``top`` and ``bottom``: ``{"labels", "responses", "images"}``;
        ``responses`` (sample,) and ``over`` (labels: times, stimuli, or onsets of trials) with ``over_what``;
        ``tuning`` ``{"centres", "map", "occupancy", "period"}``; ``weights`` ``{"unit", "weight", "area" | "row",
        "column", "channel"}``; ``reliability`` and ``halves`` (stimulus, 2), the means of odd and of even repeats;
        ``scores``, ``{name: {"value", "low", "high", "null", "p", "direction"}}``. What was not given is None.

    Raises
    ------
    MissingError
        If the feature is not there.
    InputError
        If inputs do not fit each other.
    """
    if not isinstance(codes, xr.DataArray) or codes.ndim != 2:
        got = codes.dims if isinstance(codes, xr.DataArray) else type(codes).__name__
        raise InputError(f"codes needs dims (stimulus, atom), (trial, atom) or (time, atom); got {got}.")
    last = str(codes.dims[-1])
    labels = codes[last].values.tolist()
    if feature not in labels:
        raise MissingError(f"codes has no {last} {feature!r}; it has {len(labels)}, such as {labels[:5]}.")
    samples = read_profiles(codes.isel({last: [labels.index(feature)]}), nan)
    values = samples.values[:, 0]
    place = read_covariate(covariate, samples, period)
    reliability, halves = _repeats(samples)
    return {
        "feature": feature,
        "kind": last,
        "n_samples": len(values),
        "active_share": float((values > min(values.min(), 0.0)).mean()),
        **_ends(samples, stimuli, n_shown),
        **_over(codes, samples, last, feature),
        "tuning": None if place is None else _tuning(values, place, period, n_bins),
        "weights": None if dictionary is None else _weights(dictionary, feature),
        "reliability": reliability,
        "halves": halves,
        "scores": None if scores is None else _scores(scores, last, feature),
    }


def _ends(samples: Profiles, stimuli: xr.DataArray | None, n_shown: int) -> dict[str, Any]:
    order = rank_order(samples.values, np.random.default_rng(0))[0]
    images = None
    if stimuli is not None:
        images = stimuli.isel(stimulus=places(samples, stimuli["stimulus"].values, "stimuli"))
    result = {}
    for name, rows in (("top", order[::-1][:n_shown]), ("bottom", order[:n_shown])):
        result[name] = {
            "labels": samples.labels[rows].tolist(),
            "responses": samples.values[rows, 0],
            "images": None if images is None else np.asarray(images.values[rows]),
        }
    return result


def _over(codes: xr.DataArray, samples: Profiles, last: str, feature: Any) -> dict[str, Any]:
    """The code in the order in which it was recorded, or from its largest to its least where no order is known."""
    one = codes.sel({last: feature})
    if codes.dims[0] == "time":
        return {"responses": samples.values[:, 0], "over": samples.labels, "over_what": "time (s)"}
    if codes.dims[0] == "trial" and "start_time" in codes.coords:
        onsets = codes["start_time"].values[samples.trials.rows if samples.trials else samples.rows]
        rows = samples.trials.rows if samples.trials else samples.rows
        order = np.argsort(onsets, kind="stable")
        return {"responses": one.values[rows][order], "over": onsets[order], "over_what": "start of trial (s)"}
    values = np.sort(samples.values[:, 0])[::-1]
    return {"responses": values, "over": np.arange(len(values)), "over_what": "stimuli, from the strongest"}


def _tuning(values: Floats, place: Floats, period: float | None, n_bins: int) -> dict[str, Any]:
    if place.shape[1] > 2:
        raise InputError(f"covariate has {place.shape[1]} dimensions; a card shows one or two.")
    codes, centres = bin_codes(place, n_bins, period)
    maps, occupancy = tuning_maps(values[:, None], codes, len(centres))
    return {"centres": centres, "map": maps[:, 0], "occupancy": occupancy, "period": period}


def _weights(dictionary: xr.DataArray, feature: Any) -> dict[str, Any]:
    if dictionary.dims != ("atom", "unit") or feature not in dictionary["atom"].values.tolist():
        raise InputError(f"dictionary needs dims (atom, unit) and an atom {feature!r}; got {dictionary.dims}.")
    row = dictionary.sel(atom=feature)
    told = [name for name in ("area", "channel", "row", "column") if name in row.coords]
    known = [name for name in told if row[name].dims == ("unit",)]
    return {"unit": row["unit"].values, "weight": row.values} | {name: row[name].values for name in known}


def _repeats(samples: Profiles) -> tuple[float | None, Floats | None]:
    if samples.trials is None:
        return None, None
    trials, n = samples.trials, len(samples.labels)
    reliability, _ = repeat_reliability(trials.values, trials.codes, n)
    order = np.argsort(trials.codes, kind="stable")
    counts = np.bincount(trials.codes)
    nth = np.empty(len(order), dtype=np.int64)
    nth[order] = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    halves = [
        np.bincount(trials.codes, trials.values[:, 0] * part, n) / np.bincount(trials.codes, part, n)
        for part in (nth % 2 == 0, nth % 2 == 1)
    ]
    return float(reliability[0]), np.stack(halves, axis=1)


def _scores(scores: xr.Dataset, last: str, feature: Any) -> dict[str, dict[str, Any]]:
    found = {}
    for name in ABOUT:
        if name in scores and scores[name].dims == (last,):
            one = scores.sel({last: feature})
            beside = [part for part in ("low", "high", "null", "p") if f"{name}_{part}" in one]
            parts = {part: float(one[f"{name}_{part}"]) for part in beside}
            found[name] = {"value": float(one[name]), **parts, "direction": ABOUT[name]["direction"]}
    return found
