"""A units table as a population: spikes counted over the session, in windows, or once a window, right to the sample.

`Table` and `Request` enter, populations leave. Unobserved bins are NaN, silent ones 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from neurosparse.errors import InputError
from neurosparse.recordings.assembly import Load, Measure, assemble
from neurosparse.recordings.binning import Bins, Span, hidden_bins, report_hidden
from neurosparse.recordings.counting import Clock, count_windows, fits_rate
from neurosparse.recordings.intervals import Request, Windows
from neurosparse.recordings.kernels import make_kernel
from neurosparse.recordings.lazy import Blocks, as_dask
from neurosparse.recordings.load_report import LoadReport
from neurosparse.recordings.spans import drop_quiet, session_span
from neurosparse.recordings.tables import Table
from neurosparse.recordings.trains import Trains, choose_units, read_trains

# Bytes of counts that a span nobody asked for may take: a single wrong time stamp makes a session of years.
LARGEST = 2**32


def load_spikes(
    table: Table,
    load: Load,
    *,
    bin_width: float | None,
    sampling_rate: float | None,
    extents: Sequence[tuple[float, float]],
    quantity: str = "count",
    kernel: Any = None,
    min_rate: float = 0.0,
    chunks: int | str | None = None,
) -> xr.DataArray:
    """What `Recording.spikes` gives, from one units table.

    Parameters
    ----------
    table : Table
    load : Load
    bin_width, sampling_rate : float or None
        Seconds; samples a second.
    extents : sequence of (float, float)
        Extents of the other parts of the file, in seconds, that bound the session.
    quantity, kernel, min_rate, chunks
        As in `Recording.spikes`.
    """
    request, report = load.request, load.report
    _check_options(request, bin_width, quantity, kernel, chunks)
    rows, coords = choose_units(table, request.units, report)
    trains = read_trains(table, rows, coords["unit"], report)
    clock = spike_clock(trains, sampling_rate, report)
    report.choose(bin_width=bin_width, reduce=request.reduce)
    windows = load.windows()
    asked = request.window if windows is None else None
    span = None if asked and not (min_rate or kernel) else session_span(trains, extents, report)
    if min_rate:
        trains, coords = drop_quiet(trains, coords, min_rate, span, report)
    time = None
    measure = _MEASURES.get(request.reduce, _COUNT)
    if request.reduce is not None and windows is not None:
        values = reduced_counts(trains, windows, request.reduce, bin_width, span, clock, report)
    else:
        if windows is None:
            bins, time = running_bins(trains, asked or span, bool(asked), bin_width or 0.0, clock)
        else:
            bins, time = aligned_bins(trains, windows, bin_width or 0.0, span, clock)
        if quantity == "rate" or kernel is not None:
            bins, measure = _as_rate(bins, kernel, span, report), _MEASURES["rate"]
        values = bin_values(bins, windows is None, chunks, report)
    width = None if request.reduce in ("sum", "rate") else bin_width
    return assemble(load, values, coords, measure, windows=windows, time=time, bin_width=width)


_COUNT = Measure("spikes", "spike count", "1")
_MEASURES = {"mean": Measure("spikes", "mean spike count a bin", "1"), "rate": Measure("spikes", "firing rate", "Hz")}


def _check_options(request: Request, bin_width: float | None, quantity: str, kernel: Any, chunks: Any) -> None:
    if bin_width is None and request.reduce not in ("sum", "rate"):
        raise InputError(
            "spikes needs bin_width (seconds): of the bins, or with reduce='mean' of those that the mean is over. "
            "Give it, or align= with reduce='sum' (spikes in the window) or 'rate' (spikes a second)."
        )
    if quantity not in ("count", "rate"):
        raise InputError(f"quantity must be 'count' or 'rate'; got {quantity!r}.")
    if request.reduce is not None and (quantity != "count" or kernel is not None or chunks is not None):
        raise InputError(
            f"quantity, kernel and chunks are of bins; with reduce={request.reduce!r} there are none. Leave them out; "
            "reduce='rate' gives spikes a second."
        )


def _as_rate(bins: Bins, kernel: Any, span: Span, report: LoadReport) -> Bins:
    """Rates of `bins`; a kernel leaves out what lies before the session or the bins asked for, and after them."""
    if kernel is None:
        return replace(bins, rate=True)
    made = make_kernel(kernel, bins.width)
    report.choose(kernel=made.name, kernel_seconds=made.seconds, kernel_bins=[made.before, made.after])
    if bins.span is None and span is not None:
        begins, ends = bins.edges()
        bins = replace(bins, span=(min(float(begins.min()), span[0]), max(float(ends.max()), span[1])))
    return replace(bins, rate=True, kernel=made)


def bin_values(bins: Bins, running: bool, chunks: int | str | None, report: LoadReport) -> Any:
    """Values of all bins, (time, unit) of one running window or (trial, time, unit); with `chunks` a dask array."""
    report_hidden(hidden_bins(bins.trains, bins.span, *bins.edges()), bins.trains, bins.span, report)
    if chunks is None:
        values = bins.values(spend=True)
        return values[:, 0].T if running else np.moveaxis(values, 0, -1)
    n_units = len(bins.trains.times)
    shape = (bins.n_bins, n_units) if running else (len(bins.starts), bins.n_bins, n_units)
    dtype = bins.dtype()
    return as_dask(Blocks(shape, dtype, partial(bins.blocks, running, dtype)), chunks)


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


def running_bins(trains: Trains, span: Span, exact: bool, bin_width: float, clock: Clock) -> tuple[Bins, np.ndarray]:
    """Bins over the whole session.

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

    Returns
    -------
    bins : Bins
        One window.
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
        if n_bins * (2 * len(trains.times) + 8) > LARGEST:  # the counts and the bin centres
            raise InputError(
                f"the session spans {stop - start:g} s by what the file holds: {n_bins} bins of {bin_width:g} s for "
                f"{len(trains.times)} units. Give window=(start, stop) in seconds of the recording, or wider bins."
            )
    bins = Bins(trains, np.array([start]), bin_width, n_bins, clock, None)
    return bins, start + (np.arange(n_bins) + 0.5) * bin_width


def aligned_bins(
    trains: Trains, windows: Windows, bin_width: float, span: Span, clock: Clock
) -> tuple[Bins, np.ndarray]:
    """The bins of each window, and their centres in seconds from the event."""
    n_bins = n_whole_bins(windows.length, bin_width)
    time = windows.offset + (np.arange(n_bins) + 0.5) * bin_width
    return Bins(trains, windows.starts, bin_width, n_bins, clock, span), time


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
    counts: np.ndarray = count_windows(trains.times, windows.starts, windows.stops, clock)  # (unit, trial)
    hidden = hidden_bins(trains, span, windows.starts[:, None], windows.stops[:, None])
    report_hidden(hidden, trains, span, report)
    small = np.uint16 if counts.max(initial=0) <= np.iinfo(np.uint16).max else np.uint32
    counts = counts.astype(np.float32 if any(mask is not None for mask in hidden) else small)
    for unit, mask in enumerate(hidden):
        if mask is not None:
            counts[unit, mask[:, 0]] = np.nan
    counts = counts.T
    if reduce == "sum":
        return counts
    duration = windows.stops - windows.starts
    if reduce == "mean" and bin_width is not None:
        duration = duration / bin_width
    empty = duration <= 0
    if empty.any():
        report.warn(f"{int(empty.sum())} of {len(empty)} windows are of zero length: their {reduce} is NaN.")
    return np.divide(counts, duration[:, None], out=np.full(counts.shape, np.nan), where=~empty[:, None])
