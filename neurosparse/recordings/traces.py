"""A time series as a population: over time, in windows, or one sample a trial.

`Series` and `Request` enter, populations leave.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from neurosparse.errors import InputError
from neurosparse.recordings import calcium
from neurosparse.recordings.assembly import Measure, Origin, assemble
from neurosparse.recordings.frames import Frames, aligned_frames, frame_width, reduced_frames
from neurosparse.recordings.intervals import Request, Windows, time_column
from neurosparse.recordings.load_report import LoadReport
from neurosparse.recordings.series import Series, orient, series_units
from neurosparse.recordings.tables import Table
from neurosparse.recordings.units import match_ids


def load_series(
    series: Series,
    request: Request,
    *,
    find_intervals: Callable[[str], Table],
    origin: Origin,
    report: LoadReport,
    transposed: bool | None = None,
    cells_only: bool = False,
) -> xr.DataArray:
    """What `Recording.calcium` and `Recording.series` give, from one series.

    Parameters
    ----------
    series : Series
    request : Request
    find_intervals : callable
        Gives the interval table of a name.
    origin : Origin
    report : LoadReport
        Gets what was chosen, assumed and dropped.
    transposed : bool or None
        Whether values are stored (unit, time); None to find out.
    cells_only : bool
    """
    frames, coords = _frames(series, request.units, transposed, cells_only, report)
    report.choose(reduce=request.reduce)
    windows, time, measure = None, None, measure_of(series)
    if request.align is None:
        first, last = _between(frames, request.window)
        values, time = frames.read(first, last), frames.times[first:last]
    else:
        windows = request.windows(find_intervals, report)
        if request.reduce is None:
            values, time = aligned_frames(frames, windows, report)
        else:
            values = reduced_frames(frames, windows, request.reduce, report)
    if request.reduce == "rate":
        measure = Measure(measure.kind, f"{measure.quantity} a second", f"{measure.units} s-1")
    return assemble(
        values,
        unit_coords=coords,
        origin=origin,
        measure=measure,
        report=report,
        windows=windows,
        stimulus=request.stimulus,
        time=time,
        bin_width=None if time is None else frame_width(frames.times) or None,
    )


def load_rois(series: Series, request: Request, *, report: LoadReport, **options: Any) -> xr.DataArray:
    """`load_series` of a ROI series: its kind is reported, and a frame rate that is likely made up."""
    calcium.check_rate(series, report)
    report.choose(kind=calcium.kind_of(series))
    return load_series(series, request, report=report, **options)


def load_trials(
    series: Series,
    request: Request,
    *,
    table: Table,
    find_intervals: Callable[[str], Table],
    origin: Origin,
    report: LoadReport,
    transposed: bool | None = None,
) -> xr.DataArray:
    """A series with one sample a row of `table` as one vector a trial, (trial, unit); finds no other table."""
    frames, coords = _frames(series, request.units, transposed, False, report)
    report.choose(align=table.path, one_sample_a_row=True)
    start, stop = time_column(table, "start_time"), time_column(table, "stop_time")
    return assemble(
        frames.read(0, len(frames.times)),
        unit_coords=coords,
        origin=origin,
        measure=measure_of(series),
        report=report,
        windows=Windows(table, np.arange(table.n_rows), start, stop, np.nan),
        stimulus=request.stimulus,
    )


def _frames(
    series: Series, units: Any, transposed: bool | None, cells_only: bool, report: LoadReport
) -> tuple[Frames, dict[str, np.ndarray]]:
    """The frames of the units asked for, and their coords."""
    turned, n_times, n_units = orient(series, transposed, report)
    times = series.times(n_times)
    if len(times) != n_times:
        raise InputError(
            f"series {series.path!r} has {n_times} frames and {len(times)} timestamps; they must be as many."
        )
    coords = series_units(series, n_units, report)
    rows = match_ids(coords, units, series.path)
    if cells_only:
        is_cell = calcium.cells(series.region.target if series.region else None, coords, series.path)
        report.choose(cells_only=[int(is_cell[rows].sum()), len(rows)])
        rows = rows[is_cell[rows]]
        if not len(rows):
            raise InputError(f"no ROI of {series.path!r} is marked as a cell. Leave cells_only out.")
    if units is not None:
        report.choose(units=units if isinstance(units, str) else list(units), n_units=[len(rows), n_units])
    report.choose(conversion=series.conversion, offset=series.offset, transposed=turned)
    columns = None if np.array_equal(rows, np.arange(n_units)) else rows
    return Frames(series, turned, columns, times), {name: values[rows] for name, values in coords.items()}


def _between(frames: Frames, window: Any) -> tuple[int, int]:
    """Frames of a window in seconds of the recording."""
    if window is None:
        return 0, len(frames.times)
    first, last = np.searchsorted(frames.times, [float(edge) for edge in window])
    if first == last:
        raise InputError(
            f"window={tuple(window)} holds no frame of {frames.path!r}, which runs from {frames.times[0]:g} to "
            f"{frames.times[-1]:g} s."
        )
    return int(first), int(last)


def measure_of(series: Series) -> Measure:
    """What the values of a series are, as far as its type, name and unit of measure tell."""
    if series.type == "RoiResponseSeries":
        return calcium.measure_of(series)
    said = f"{series.name} {series.unit}".lower()
    if "spike" in said and ("count" in said or series.unit.lower() in ("spikes", "spike", "1")):
        return Measure("spikes", "spike count", "1")
    return Measure("", series.name, series.unit or "unknown")
