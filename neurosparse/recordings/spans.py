"""How long units were observed: the session's span, rates over the time observed, and units that fire too little.

`Trains` enter, seconds and rates leave.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurosparse.errors import InputError
from neurosparse.recordings.load_report import LoadReport
from neurosparse.recordings.trains import Trains

# An extent this far from the spikes, in seconds, is a wrong time stamp and no part of the session.
MONTH = 30 * 86400.0


def drop_quiet(
    trains: Trains, coords: dict[str, np.ndarray], min_rate: float, span: tuple[float, float] | None, report: LoadReport
) -> tuple[Trains, dict[str, np.ndarray]]:
    """The units that fire at `min_rate` (Hz) or more over the time they were observed, and their coords.

    Raises
    ------
    InputError
        If `min_rate` is no positive number, or no unit fires as much.
    """
    if not (np.isfinite(min_rate) and min_rate > 0):
        raise InputError(f"min_rate must be a positive number of spikes a second; got {min_rate!r}.")
    rates = mean_rates(trains, span)
    kept = np.flatnonzero(rates >= min_rate)
    if not len(kept):
        raise InputError(
            f"none of {len(rates)} units fires at min_rate={min_rate:g} Hz; the most is {rates.max():g} Hz."
        )
    report.choose(min_rate=min_rate, n_units_at_min_rate=[len(kept), len(rates)])
    seen = None if trains.observed is None else [trains.observed[unit] for unit in kept]
    left = Trains([trains.times[unit] for unit in kept], seen, trains.resolution)
    return left, {name: values[kept] for name, values in coords.items()}


def mean_rates(trains: Trains, span: tuple[float, float] | None) -> np.ndarray:
    """Spikes a second of each unit over the union of its obs_intervals, else over `span`; 0 where it lasts no time."""
    rates = np.zeros(len(trains.times))
    for unit, train in enumerate(trains.times):
        stated = None if trains.observed is None else trains.observed[unit]
        pairs = stated if stated is not None and len(stated) else np.array([span or (0.0, 0.0)])
        pairs = pairs[np.argsort(pairs[:, 0])]
        reach = np.maximum.accumulate(np.concatenate([pairs[:1, 0], pairs[:, 1]]))
        seconds = float(np.maximum(pairs[:, 1] - np.maximum(pairs[:, 0], reach[:-1]), 0.0).sum())
        rates[unit] = len(train) / seconds if seconds else 0.0
    return rates


def session_span(
    trains: Trains, extents: Sequence[tuple[float, float]], report: LoadReport
) -> tuple[float, float] | None:
    """First and last second of the session: NWB states neither, so the widest reach of what the file holds.

    Parameters
    ----------
    trains : Trains
    extents : sequence of (float, float)
        Extents of the interval tables and time series of the file.
    report : LoadReport
        Gets the rule used, and extents left out because they lie more than 30 days from the spikes.

    Returns
    -------
    (float, float) or None
        None where the file holds no time at all.
    """
    anchor = trains.extent()
    known = [tuple(map(float, one)) for one in extents]
    if trains.observed is not None:
        known += [(float(one.min()), float(one.max())) for one in trains.observed if len(one)]
    if anchor is not None:
        near = [one for one in known if anchor[0] - MONTH < one[0] and one[1] < anchor[1] + MONTH]
        if len(near) < len(known):
            report.assume(f"{len(known) - len(near)} extents of series or tables more than 30 days off are no session.")
        known = [anchor, *near]
    if not known:
        return None
    report.assume("the session spans all spikes, observation intervals, interval tables and time series of the file")
    return min(one[0] for one in known), max(one[1] for one in known)
