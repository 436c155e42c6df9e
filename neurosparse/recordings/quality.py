"""A first look at a recording: each unit in numbers, and which questions so many stimuli and repeats can carry.

Spike trains and a (trial, unit) population enter, an xarray Dataset over units leaves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numba import njit
from scipy import stats

from neurosparse.backend.resampling import (
    bootstrap_weights,
    label_codes,
    random_halves,
    repeated,
    spearman_brown,
    split_half_reliability,
)
from neurosparse.recordings.frames import passes
from neurosparse.recordings.load_report import LoadReport
from neurosparse.recordings.series import Series
from neurosparse.recordings.traces import chosen_frames
from neurosparse.recordings.trains import Trains, mean_rates

# Two spikes of different units this near, in seconds, are one event seen twice.
COINCIDENT = 5e-4
# Units share more than this part of the smaller one's spikes, beyond chance: one of them is a duplicate.
DUPLICATE = 0.5
# Intervals below this, in seconds, are shorter than a neuron's refractory period.
REFRACTORY = 1.5e-3
# Blocks of the session between which drift is measured.
N_BLOCKS = 20
# Rules of evidence: stimuli below which a dictionary is not asked for; events an atom; reliability of the calibration.
FEW_STIMULI, EVENTS_AN_ATOM, RELIABLE, NOISY = 300, 30, 0.75, 0.3


def of_trains(trains: Trains, labels: np.ndarray, span: tuple[float, float]) -> dict[str, Any]:
    """What spike trains alone tell, as variables over `unit`.

    Parameters
    ----------
    trains : Trains
    labels : (unit,) array
    span : (float, float)
        First and last second of the session.

    Returns
    -------
    dict
        ``n_spikes``; ``rate`` (Hz, over the time observed); ``refractory``, the share of intervals below 1.5 ms;
        ``drift``, the change of the rate over the session as a share of its mean, from a line through the rates of 20
        blocks, with the line's 95 % interval (blocks taken as independent, so that slow waves make it too narrow);
        ``coincidence``, the largest share of a unit's spikes that another fired within 0.5 ms, less chance (of the
        smaller of the two trains), and ``duplicate_of``, that unit's label where the share is above one half.
    """
    counts = np.array([len(train) for train in trains.times])
    short = [float((np.diff(train) < REFRACTORY).mean()) if len(train) > 1 else np.nan for train in trains.times]
    drift, low, high = drifts(trains, span)
    share, partner = coincidences(trains, span)
    twin = np.where(share > DUPLICATE, labels[partner].astype(str), "")
    return {
        "n_spikes": counts,
        "rate": mean_rates(trains, span),
        "refractory": np.array(short),
        "drift": drift,
        "drift_low": low,
        "drift_high": high,
        "coincidence": share,
        "duplicate_of": twin,
    }


def of_series(series: Series, units: Any, report: LoadReport) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """What a (time, unit) series alone tells: ``mean``, ``sd`` and ``nan_share`` of each unit; and the units' coords.

    Read in blocks of bounded size.
    """
    frames, coords = chosen_frames(series, report, units=units)
    n_frames = len(frames.times)
    n, total, squares = np.zeros((3, frames.n_units))
    centre = np.nan_to_num(frames.read(0, min(n_frames, 1)).astype(np.float64)).sum(0)  # keeps the squares small
    for _, block, _ in passes(frames, np.array([0]), np.array([n_frames])):
        seen = ~np.isnan(block)
        n += seen.sum(0)
        total += np.where(seen, block - centre, 0.0).sum(0)
        squares += np.where(seen, (block - centre) ** 2, 0.0).sum(0)
    mean = np.divide(total, n, out=np.full(len(n), np.nan), where=n > 0)
    sd = np.sqrt(np.maximum(np.divide(squares, n, out=np.full(len(n), np.nan), where=n > 0) - mean**2, 0.0))
    return {"mean": mean + centre, "sd": sd, "nan_share": 1 - n / max(n_frames, 1)}, coords


def drifts(trains: Trains, span: tuple[float, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Change of each rate over the session as a share of its mean, and the 95 % interval of the line; NaN if silent.

    Blocks that are not fully observed are left out.
    """
    edges = np.linspace(*span, N_BLOCKS + 1)
    centre = (np.arange(N_BLOCKS) + 0.5) / N_BLOCKS
    found = np.full((3, len(trains.times)), np.nan)
    for unit, train in enumerate(trains.times):
        stated = None if trains.observed is None else trains.observed[unit]
        rates = np.histogram(train, edges)[0].astype(float)
        seen = np.ones(N_BLOCKS, dtype=bool)
        if stated is not None and len(stated):
            begin, end = np.sort(stated[:, 0]), np.sort(stated[:, 1])
            seen = np.searchsorted(begin, edges[:-1], side="right") > np.searchsorted(end, edges[1:] - 1e-6)
        if seen.sum() < 4 or not rates[seen].any():
            continue
        line = stats.linregress(centre[seen], rates[seen] / rates[seen].mean())
        reach = stats.t.ppf(0.975, seen.sum() - 2) * line.stderr
        found[:, unit] = line.slope, line.slope - reach, line.slope + reach
    return found[0], found[1], found[2]


def coincidences(trains: Trains, span: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """For each unit the largest share of coincident spikes with another, beyond chance, and which unit that is."""
    n_units = len(trains.times)
    counts = np.array([len(train) for train in trains.times])
    if n_units < 2 or not counts.any():
        return np.zeros(n_units), np.zeros(n_units, dtype=np.int64)
    times = np.concatenate(trains.times)
    order = np.argsort(times, kind="stable")
    owner = np.repeat(np.arange(n_units, dtype=np.int32), counts)[order]
    together = _together(times[order], owner, n_units, COINCIDENT).astype(np.float64)
    together += together.T
    chance = np.outer(counts, counts) * 2 * COINCIDENT / max(span[1] - span[0], COINCIDENT)
    smaller = np.maximum(np.minimum.outer(counts, counts), 1)
    share = np.clip((together - chance) / smaller, 0.0, 1.0)
    np.fill_diagonal(share, -1.0)
    partner = share.argmax(axis=1)
    return np.maximum(share[np.arange(n_units), partner], 0.0), partner


@njit(cache=True)
def _together(times: np.ndarray, owner: np.ndarray, n_units: int, reach: float) -> np.ndarray:  # pragma: no cover
    """How often unit v fires within `reach` seconds after unit u, (u, v); times of all units rise."""
    pairs = np.zeros((n_units, n_units), np.int32)
    for i in range(len(times)):
        for j in range(i + 1, len(times)):
            if times[j] - times[i] > reach:
                break
            if owner[i] != owner[j]:
                pairs[owner[i], owner[j]] += 1
    return pairs


def of_trials(x: xr.DataArray, before: xr.DataArray | None, random_state: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a (trial, unit) population tells, as variables over `unit`, and facts of its stimuli.

    Parameters
    ----------
    x : population (trial, unit)
    before : population (trial, unit), optional
        The same trials' baselines, of the same length.
    random_state : int or Generator

    Returns
    -------
    variables : dict
        With a `stimulus` coord and at least three repeated stimuli: ``reliability`` of the average over all repeats
        (100 random halves, Spearman-Brown), with the 95 % interval over resampled stimuli, halves fixed; ``fano``,
        variance over mean of the counts of a stimulus, averaged over stimuli, for spikes. With `before`: ``response_p``
        (Wilcoxon signed ranks of trial against baseline, two-sided) and ``responsive``, where false discoveries are
        held at 5 % over units.
    facts : dict
        n_trials, n_stimuli, n_repeats (least, median, most), n_repeated.
    """
    values = np.asarray(x.values, dtype=np.float64)
    kept = ~np.isnan(values).any(axis=1)
    variables: dict[str, Any] = {}
    facts: dict[str, Any] = {"n_trials": int(kept.sum()), "n_trials_unobserved": int((~kept).sum())}
    if before is not None:
        variables |= responses(values, np.asarray(before.values, dtype=np.float64))
    if "stimulus" not in x.coords:
        return variables, facts
    labels = x["stimulus"].values
    kept &= ~pd.isnull(labels)
    labels, values = labels[kept], values[kept]
    if not len(labels):
        return variables, facts
    _, codes, counts = label_codes(labels, "stimulus")
    least, middle, most = int(counts.min()), float(np.median(counts)), int(counts.max())
    facts |= {"n_stimuli": len(counts), "n_repeats": [least, middle, most], "n_repeated": int((counts > 1).sum())}
    if (counts > 1).sum() >= 3:
        variables |= reliabilities(values, labels, random_state)
        if x.attrs.get("kind") == "spikes":
            variables["fano"] = fano(values, codes, counts)
    return variables, facts


def responses(values: np.ndarray, before: np.ndarray) -> dict[str, np.ndarray]:
    """p of each unit's difference between trial and baseline, and which are responsive at 5 % false discoveries."""
    p = np.full(values.shape[1], np.nan)
    for unit in range(values.shape[1]):
        difference = values[:, unit] - before[:, unit]
        difference = difference[np.isfinite(difference)]
        if len(difference) >= 6 and difference.any():
            p[unit] = stats.wilcoxon(difference, zero_method="zsplit", method="approx").pvalue
        elif len(difference) >= 6:
            p[unit] = 1.0
    found = np.zeros(len(p), dtype=bool)
    known = ~np.isnan(p)
    if known.any():
        found[known] = stats.false_discovery_control(p[known]) < 0.05
    return {"response_p": p, "responsive": found}


def reliabilities(values: np.ndarray, labels: np.ndarray, random_state: Any) -> dict[str, np.ndarray]:
    """Reliability of the averages and its 95 % interval over stimuli, which covers 92 to 94 % at 80 stimuli."""
    distinct, at, counts = np.unique(labels, return_inverse=True, return_counts=True)
    labels, values = labels[counts[at] > 1], values[counts[at] > 1]
    rows, distinct, codes, counts = repeated(labels)
    _, lifted = split_half_reliability(values[rows], labels[rows], random_state=random_state)
    rng = np.random.default_rng(random_state)
    weights = bootstrap_weights(np.arange(len(distinct)), 200, random_state=rng)
    draws = np.zeros((len(weights), values.shape[1]))
    n_halves = 20
    for in_first in random_halves(codes, counts, n_halves, random_state=rng):
        halves = [_means(values[rows][part], codes[part], len(distinct)) for part in (in_first, ~in_first)]
        draws += _weighted_r(halves[0], halves[1], weights) / n_halves
    low, high = np.nanpercentile(spearman_brown(draws), [2.5, 97.5], axis=0)
    constant = np.isnan(lifted)
    return {
        "reliability": lifted,
        "reliability_low": np.where(constant, np.nan, np.minimum(low, lifted)),
        "reliability_high": np.where(constant, np.nan, np.maximum(high, lifted)),
    }


def _means(values: np.ndarray, codes: np.ndarray, n: int) -> np.ndarray:
    sums = np.zeros((n, values.shape[1]))
    np.add.at(sums, codes, values)
    return sums / np.bincount(codes, minlength=n)[:, None]


def _weighted_r(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Correlation of matching columns under each row of weights, (draw, unit); 0 where a column is constant."""
    share = weights / weights.sum(axis=1, keepdims=True)
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    ma, mb = share @ a, share @ b
    va, vb = share @ a**2 - ma**2, share @ b**2 - mb**2
    scale = np.sqrt(np.maximum(va * vb, 0.0))
    covariance = share @ (a * b) - ma * mb
    return np.divide(covariance, scale, out=np.zeros_like(scale), where=scale > 1e-12)


def fano(values: np.ndarray, codes: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Variance (ddof 1) over mean of a stimulus' counts, averaged over repeated stimuli with spikes; NaN if none."""
    n = len(counts)
    means = _means(values, codes, n)
    squares = np.zeros_like(means)
    np.add.at(squares, codes, (values - means[codes]) ** 2)
    variance = squares / np.maximum(counts - 1, 1)[:, None]
    usable = (counts > 1)[:, None] & (means > 0)
    ratio = np.divide(variance, means, out=np.zeros_like(means), where=usable)
    total = usable.sum(axis=0)
    return np.divide(ratio.sum(axis=0), total, out=np.full(len(total), np.nan), where=total > 0)


def questions(facts: Mapping[str, Any], variables: Mapping[str, np.ndarray], n_units: int) -> list[str]:
    """What so many stimuli, repeats and units can carry, one sentence a question."""
    n = facts.get("n_stimuli")
    if not n:
        return [
            "Noise ceilings, linear identifiability and dictionaries of stimuli need trials with a stimulus: "
            "give align= and stimulus=."
        ]
    said = []
    enough = facts["n_repeated"] >= 3
    ceilings = f"{facts['n_repeated']} of {n} stimuli have repeats"
    said.append(f"Noise ceilings: {'yes' if enough else 'no'}, {ceilings}{'' if enough else ' (3 are needed)'}.")
    folds = "yes" if n >= 2 * n_units else "with care" if n >= 50 else "no"
    why = {"yes": "", "with care": " (fewer than two a unit: a nonlinear gap may be beyond this n)", "no": " (< 50)"}
    said.append(f"Linear maps from {n_units} units, held out: {folds}, {n} stimuli{why[folds]}.")
    if n < FEW_STIMULI:
        return [*said, f"A dictionary of stimulus averages: no, {n} stimuli; {FEW_STIMULI} are needed."]
    reliability = float(np.nanmedian(variables["reliability"])) if "reliability" in variables else np.nan
    atoms = min(n_units, max(n // EVENTS_AN_ATOM, 1))
    grade = "yes" if reliability >= RELIABLE else "in part" if reliability >= NOISY else "no"
    known = "unknown without repeats" if np.isnan(reliability) else f"{reliability:.2f} in the median"
    said.append(
        f"A dictionary of stimulus averages: {grade}, about {atoms} atoms to begin with; reliability {known} "
        f"({RELIABLE} recovers planted atoms, below {NOISY} none); it must still beat its Gaussian surrogate."
    )
    return said


def as_dataset(
    variables: Mapping[str, Any], coords: Mapping[str, np.ndarray], facts: Mapping[str, Any], attrs: Mapping[str, str]
) -> xr.Dataset:
    """Variables over `unit` with the units' labels; the answers to what n supports stand in ``attrs["questions"]``."""
    labels = {name: ("unit", coords[name]) for name in ("unit", "unit_id", "area", "plane") if name in coords}
    made = xr.Dataset({name: ("unit", values) for name, values in variables.items()}, coords=labels)
    for name, unit in _UNITS.items():
        if name in made:
            made[name].attrs["units"] = unit
    counted = {name: value for name, value in facts.items() if not isinstance(value, list)}
    if "n_repeats" in facts:
        least, middle, most = facts["n_repeats"]
        counted["n_repeats"] = f"{least} to {most}, median {middle:g}"
    said = questions(facts, variables, made.sizes["unit"])
    made.attrs = {"n_units": made.sizes["unit"], **counted, **attrs, "questions": "\n".join(said)}
    return made


_UNITS = {"rate": "Hz", "n_spikes": "1", "refractory": "1", "drift": "1", "reliability": "1", "fano": "1"}


def told(quality: xr.Dataset) -> str:
    """The numbers of all units in a few lines, for a person."""
    lines = [f"quality of {quality.sizes['unit']} units" + _facts(quality)]
    for name, text in _LINES.items():
        if name in quality and np.isfinite(quality[name]).any():
            low, middle, high = np.nanpercentile(quality[name], [5, 50, 95])
            lines.append(f"  {text}: median {middle:.3g}, 90 % of units {low:.3g} to {high:.3g}")
    lines += [f"  ! {text}" for text in _doubts(quality)]
    return "\n".join([*lines, *(f"  {line}" for line in quality.attrs["questions"].splitlines())])


_LINES = {
    "rate": "rate (Hz)",
    "reliability": "reliability",
    "fano": "Fano factor",
    "drift": "drift over the session (share of the mean)",
}


def _facts(quality: xr.Dataset) -> str:
    if "n_stimuli" not in quality.attrs:
        return ""
    return f", {quality.attrs['n_trials']} trials of {quality.attrs['n_stimuli']} stimuli"


def _doubts(quality: xr.Dataset) -> Sequence[str]:
    """Units that a reader must know of, counted."""
    n = quality.sizes["unit"]
    found = []
    if "n_spikes" in quality:
        found += [
            (int((quality["n_spikes"] == 0).sum()), "silent"),
            (int((quality["duplicate_of"] != "").sum()), "duplicates of another"),
            (int((quality["refractory"] > 0.01).sum()), "with over 1 % of intervals below 1.5 ms"),
            (_drifting(quality), "that drift, the interval without 0"),
        ]
    if "responsive" in quality:
        found.append((int((~quality["responsive"]).sum()), "not responsive"))
    return [f"{count} of {n} units {text}" for count, text in found if count]


def _drifting(quality: xr.Dataset) -> int:
    return int(((quality["drift_low"] > 0) | (quality["drift_high"] < 0)).sum()) if "drift" in quality else 0
