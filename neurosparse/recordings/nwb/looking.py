"""A first look at one part: its units by themselves, and their responses to trials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from neurosparse.recordings import quality
from neurosparse.recordings.assembly import Load
from neurosparse.recordings.contents import Contents, Part
from neurosparse.recordings.intervals import Request
from neurosparse.recordings.load_report import LoadReport
from neurosparse.recordings.spans import session_span
from neurosparse.recordings.spikes import load_spikes
from neurosparse.recordings.traces import load_series, load_trials
from neurosparse.recordings.trains import choose_units, read_trains

# Groups of parts whose values are a trace, not spikes.
SERIES = ("series", "signals", "rois")


def unit_facts(
    held: Contents, part: Part, units: Any, report: LoadReport
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What can be told of each unit without trials, and the coords of the dim `unit`."""
    if part.group in SERIES:
        return quality.of_series(part.series, units, report)
    rows, coords = choose_units(part.table, units, report)
    trains = read_trains(part.table, rows, coords["unit"], report)
    span = session_span(trains, held.extents(), report) or (0.0, 0.0)
    return quality.of_trains(trains, coords["unit"], span), coords


def responses(
    held: Contents,
    part: Part,
    asked: Callable[[Request], Load],
    request: Request,
    baseline: tuple[float, float] | None,
) -> tuple[xr.DataArray | None, xr.DataArray | None]:
    """(trial, unit) responses and baselines, None where there is nothing of trials; a load of its own says warnings.

    Parameters
    ----------
    held : Contents
    part : Part
    asked : callable
        Gives the load of a request.
    request : Request
        `align`, `window`, `units` and `stimulus` of `Recording.quality`.
    baseline : (float, float) or None
        As in `Recording.quality`.
    """
    spiking, align, window = part.group not in SERIES, request.align, request.window
    if not spiking and window is None:
        rows = held.sampled_rows(part, align if isinstance(align, str) else None)
        if rows is not None:
            return load_trials(part.series, asked(request), table=rows), None
        if align is None:
            return None, None

    def load(span: tuple[float, float] | None, reduce: str) -> xr.DataArray:
        one = asked(replace(request, window=span, reduce=reduce).checked())
        if not spiking:
            return load_series(part.series, one)
        return load_spikes(part.table, one, bin_width=None, sampling_rate=None, extents=held.extents())

    if window is None:
        return load(None, "sum" if spiking else "mean"), None
    before = baseline or (2 * window[0] - window[1], window[0])
    scale = (window[1] - window[0]) / (before[1] - before[0]) if spiking else 1.0
    reduce = "sum" if spiking else "mean"
    return load(window, reduce), load(before, reduce) * scale
