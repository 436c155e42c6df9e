"""A units table as a population: spikes counted over the session, in windows, or once a window, right to the sample.

`Table` and `Request` enter, populations leave. Unobserved bins are NaN, silent ones 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr

from neurosparse.errors import InputError
from neurosparse.recordings.assembly import Measure, Origin, assemble
from neurosparse.recordings.counting import Clock, count_bins, count_windows, fits_rate, observed
from neurosparse.recordings.intervals import Request, Windows
from neurosparse.recordings.load_report import LoadReport
from neurosparse.recordings.tables import Table
from neurosparse.recordings.trains import Trains, choose_units, read_trains, session_span

Span = tuple[float, float] | None
# Bytes of counts that a span nobody asked for may take: a single wrong time stamp makes a session of years.
LARGEST = 2**32


def load_spikes(
    table: Table,
    request: Request,
    *,
    bin_width: float | None,
    sampling_rate: float | None,
    find_intervals: Callable[[str], Table],
    extents: Sequence[tuple[float, float]],
    origin: Origin,
    report: LoadReport,
) -> xr.DataArray:
    """What `Recording.spikes` gives, from one units table.

    Parameters
    ----------
    table : Table
    request : Request
    bin_width, sampling_rate : float or None
        Seconds; samples a second.
    find_intervals : callable
        Gives the interval table of a name.
    extents : sequence of (float, float)
        Extents of the other parts of the file, in seconds, that bound the session.
    origin : Origin
    report : LoadReport
        Gets what was chosen, assumed and dropped.
    """
    if bin_width is None and request.reduce not in ("sum", "rate"):
        raise InputError(
            "spikes needs bin_width (seconds): of the bins, or with reduce='mean' of those that the mean is over. "
            "Give it, or align= with reduce='sum' (spikes in the window) or 'rate' (spikes a second)."
        )
    rows, coords = choose_units(table, request.units, report)
    trains = read_trains(table, rows, coords["unit"], report)
    clock = spike_clock(trains, sampling_rate, report)
    report.choose(bin_width=bin_width, reduce=request.reduce)
    windows, time = None, None
    if request.align is None:
        span = request.window or session_span(trains, extents, report)
        values, time = running_counts(trains, span, request.window is not None, bin_width or 0.0, clock, report)
    else:
        windows = request.windows(find_intervals, report)
        span = session_span(trains, extents, report)
        if request.reduce is None:
            values, time = aligned_counts(trains, windows, bin_width or 0.0, span, clock, report)
        else:
            values = reduced_counts(trains, windows, request.reduce, bin_width, span, clock, report)
    measure = _MEASURES.get(request.reduce, _COUNT)
    return assemble(
        values,
        unit_coords=coords,
        origin=origin,
        measure=measure,
        report=report,
        windows=windows,
        stimulus=request.stimulus,
        time=time,
        bin_width=None if request.reduce in ("sum", "rate") else bin_width,
    )


_COUNT = Measure("spikes", "spike count", "1")
_MEASURES = {"mean": Measure("spikes", "mean spike count a bin", "1"), "rate": Measure("spikes", "firing rate", "Hz")}


def spike_clock(trains: Trains, sampling_rate: float | None, report: LoadReport) -> Clock:
    """Whole samples where `sampling_rate` (Hz) is given or the file states a resolution that its times keep to."""
    if sampling_rate is not None:
        if not (np.isfinite(sampling_rate) and sampling_rate > 0):
            raise InputError(f"sampling_rate must be a positive number of samples a second; got {sampling_rate!r}.")
        rate: float | None = float(sampling_rate)
        if not fits_rate(trains.times, float(sampling_rate)):
            raise InputError(
                f"spike times are no whole samples at sampling_rate={sampling_rate:g} Hz. "
                "Give the rate they were recorded at, or leave it out to compare times to within a nanosecond."
            )
    else:
        rate = None if trains.resolution is None else 1 / trains.resolution
        if rate is not None and not fits_rate(trains.times, rate):
            report.warn(
                f"the file states a resolution of {trains.resolution:g} s, but its spike times are no multiples of it; "
                "it is not used."
            )
            rate = None
    report.choose(clock="seconds" if rate is None else f"samples at {rate:g} Hz")
    return Clock.of(trains.times, rate)


def n_whole_bins(length: float, bin_width: float) -> int:
    """Number of bins of `bin_width` seconds in a window of `length` seconds.

    Raises
    ------
    InputError
        If it is no whole number.
    """
    if not (np.isfinite(bin_width) and bin_width > 0):
        raise InputError(f"bin_width must be a positive number of seconds; got {bin_width!r}.")
    exact = length / bin_width
    n_bins = round(exact)
    if n_bins < 1 or abs(exact - n_bins) > 1e-6 * n_bins:
        below = max(int(exact), 1) * bin_width
        raise InputError(
            f"window of {length:g} s is no whole number of bins of {bin_width:g} s ({exact:.4g}). "
            f"Use a window of {below:g} s or of {below + bin_width:g} s, or another bin_width."
        )
    return n_bins


def running_counts(
    trains: Trains, span: Span, exact: bool, bin_width: float, clock: Clock, report: LoadReport
) -> tuple[np.ndarray, np.ndarray]:
    """Counts over the whole session.

    Parameters
    ----------
    trains : Trains
    span : (float, float) or None
        Seconds.
    exact : bool
        Whether `span` must hold whole bins; otherwise bins start at a multiple of `bin_width` and cover it.
    bin_width : float
        Seconds.
    clock : Clock
    report : LoadReport

    Returns
    -------
    counts : numpy.ndarray
        Shape (time, unit); uint16 or uint32, float32 where a bin is not fully observed and so NaN.
    time : numpy.ndarray
        Bin centres in seconds, float64.
    """
    if span is None:
        raise InputError("the file states no time at all: no spikes, intervals or series. Give window=(start, stop).")
    start, stop = span
    if exact:
        n_bins = n_whole_bins(stop - start, bin_width)
    else:
        n_whole_bins(bin_width, bin_width)
        start = float(np.floor(start / bin_width + 1e-9) * bin_width)
        n_bins = max(int(np.ceil((stop - start) / bin_width - 1e-9)), 1)
        last = trains.extent()
        if last is not None and last[1] >= start + n_bins * bin_width - 1e-9:
            n_bins += 1  # a last spike on an edge belongs to the bin that starts there
        if n_bins * (2 * len(trains.times) + 8) > LARGEST:  # the counts, and one unit of them as int64
            raise InputError(
                f"the session spans {stop - start:g} s by what the file holds: {n_bins} bins of {bin_width:g} s for "
                f"{len(trains.times)} units. Give window=(start, stop) in seconds of the recording, or wider bins."
            )
    counts = count_bins(trains.times, np.array([start]), bin_width, n_bins, clock)
    edges = start + np.arange(n_bins + 1) * bin_width
    counts = _mask(counts, trains.observed, edges[None, :-1], edges[None, 1:], None, report)
    return counts[:, 0].T, edges[:-1] + bin_width / 2


def aligned_counts(
    trains: Trains,
    windows: Windows,
    bin_width: float,
    span: Span,
    clock: Clock,
    report: LoadReport,
) -> tuple[np.ndarray, np.ndarray]:
    """Counts in the bins of each window: (trial, time, unit), and bin centres in seconds from the event."""
    n_bins = n_whole_bins(windows.length, bin_width)
    counts = count_bins(trains.times, windows.starts, bin_width, n_bins, clock)
    edges = windows.starts[:, None] + np.arange(n_bins + 1) * bin_width
    counts = _mask(counts, trains.observed, edges[:, :-1], edges[:, 1:], span, report)
    return np.moveaxis(counts, 0, -1), windows.offset + (np.arange(n_bins) + 0.5) * bin_width


def reduced_counts(
    trains: Trains,
    windows: Windows,
    reduce: str,
    bin_width: float | None,
    span: Span,
    clock: Clock,
    report: LoadReport,
) -> np.ndarray:
    """One number a window and unit, shape (trial, unit): the count, the mean count a bin, or spikes a second.

    A window that is not fully observed is NaN. Counts are uint16 or uint32 until one is NaN.
    """
    counts = count_windows(trains.times, windows.starts, windows.stops, clock)
    small = np.uint16 if counts.max(initial=0) <= np.iinfo(np.uint16).max else np.uint32
    counts = _mask(
        counts.astype(small)[..., None], trains.observed, windows.starts[:, None], windows.stops[:, None], span, report
    )[..., 0].T
    if reduce == "sum":
        return counts
    duration = windows.stops - windows.starts
    if reduce == "mean" and bin_width is not None:
        duration = duration / bin_width
    empty = duration <= 0
    if empty.any():
        report.warn(f"{int(empty.sum())} of {len(empty)} windows are of zero length: their {reduce} is NaN.")
    return np.divide(counts, duration[:, None], out=np.full(counts.shape, np.nan), where=~empty[:, None])


def _mask(
    counts: np.ndarray,
    observations: list[np.ndarray] | None,
    starts: np.ndarray,
    stops: np.ndarray,
    span: Span,
    report: LoadReport,
) -> np.ndarray:
    """`counts` (unit, trial, time) with NaN where a bin is not fully inside a unit's observation intervals.

    A unit that states none was observed throughout `span`; throughout all bins where that is None too.
    """
    default = None if span is None else np.array([span])
    masks: dict[bytes, np.ndarray] = {}
    hidden = np.zeros(len(counts), dtype=bool)
    for unit in range(len(counts)):
        stated = None if observations is None or not len(observations[unit]) else observations[unit]
        intervals = default if stated is None else stated
        if intervals is None:
            continue
        key = intervals.tobytes()
        if key not in masks:
            masks[key] = ~observed(intervals, starts, stops)
        if masks[key].any():
            if not hidden.any():
                counts = counts.astype(np.float32)
            hidden[unit] = True
            counts[unit, masks[key]] = np.nan
    if hidden.any():
        unseen = np.isnan(counts)
        where = f"in {int(hidden.sum())} of {len(counts)} units"
        if counts.shape[1] > 1:
            where += f" and {int(unseen.any(axis=(0, 2)).sum())} of {counts.shape[1]} trials"
        reason = (
            "obs_intervals" if span is None else f"the session ({span[0]:g} to {span[1]:g} s, by what the file holds)"
        )
        if observations is not None and span is not None:
            reason = "the obs_intervals, or the session where a unit has none"
        report.warn(
            f"{int(unseen.sum())} of {counts.size} counts are NaN, {where}: their bins are not fully inside {reason}."
        )
    return counts
