"""What can be told of each unit without trials: rates, refractory lapses, drift, duplicates; means of a series."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from scipy import stats

from neurosparse.recordings.frames import passes
from neurosparse.recordings.load_report import LoadReport
from neurosparse.recordings.series import Series
from neurosparse.recordings.spans import mean_rates
from neurosparse.recordings.traces import chosen_frames
from neurosparse.recordings.trains import Trains

# Two spikes of different units this near, in seconds, are one event seen twice.
COINCIDENT = 5e-4
# Units share more than this part of the smaller one's spikes, beyond chance: one of them is a duplicate.
DUPLICATE = 0.5
# Intervals below this, in seconds, are shorter than a neuron's refractory period.
REFRACTORY = 1.5e-3
# Blocks of the session between which drift is measured.
N_BLOCKS = 20


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
