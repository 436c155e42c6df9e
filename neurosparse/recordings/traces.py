"""A time series as a population: over time, in windows, or one sample a trial.

`Series` and `Request` enter, populations leave.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from neurosparse.errors import FileError, InputError
from neurosparse.recordings import calcium, steps
from neurosparse.recordings.assembly import Measure, Origin, assemble
from neurosparse.recordings.frames import Frames, Source, aligned_frames, binned_frames, frame_width, reduced_frames
from neurosparse.recordings.intervals import Request, Windows, time_column
from neurosparse.recordings.lazy import Blocks, Stored, as_dask
from neurosparse.recordings.load_report import LoadReport
from neurosparse.recordings.series import Series, orient, series_units
from neurosparse.recordings.spikes import n_whole_bins
from neurosparse.recordings.tables import Table
from neurosparse.recordings.units import match_ids


def load_series(
    series: Series,
    request: Request,
    *,
    report: LoadReport,
    transposed: bool | None = None,
    repair: bool = False,
    **placing: Any,
) -> xr.DataArray:
    """What `Recording.series` gives, from one series.

    Parameters
    ----------
    series : Series
    request : Request
    report : LoadReport
        Gets what was chosen, assumed and dropped.
    transposed : bool or None
        Whether values are stored (unit, time); None to find out.
    repair : bool
        Whether a clock that does not rise is put in order.
    **placing
        `find_intervals`, `origin`, `bin_width` and `chunks` of `_population`.
    """
    frames, coords = _frames(series, request.units, transposed, False, report, repair, placing.get("chunks"))
    return _population(frames, coords, measure_of(series), request, report=report, **placing)


def load_rois(
    planes: Sequence[Series],
    request: Request,
    *,
    report: LoadReport,
    transposed: bool | None = None,
    cells_only: bool = False,
    repair: bool = False,
    neuropil: tuple[Series, float] | None = None,
    baseline: tuple[float, float] | None = None,
    deconvolve: Any = None,
    clock: str | None = None,
    **placing: Any,
) -> xr.DataArray:
    """What `Recording.calcium` gives: ROI series with the steps asked for, several on one clock."""
    if neuropil is not None and len(planes) > 1:
        raise InputError("neuropil= goes with one series at a time. Load the planes one by one.")
    made = []
    for series in planes:
        calcium.check_rate(series, report)
        options = (request.units, transposed, cells_only, report, repair, placing.get("chunks"))
        frames, coords = _frames(series, *options)
        source: Source = frames
        if neuropil is not None:
            quiet = LoadReport()
            around = replace(_frames(neuropil[0], None, transposed, False, quiet, repair, placing.get("chunks"))[0])
            source = steps.correct(source, replace(around, columns=frames.columns), neuropil[1], report)
        source = source if baseline is None else steps.relate(source, baseline, report)
        source = source if deconvolve is None else steps.infer(source, deconvolve, report)
        made.append((source, coords))
    kinds = [calcium.kind_of(series) for series in planes]
    report.choose(kind=kinds[0] if len(set(kinds)) == 1 else kinds)
    measure = _measure_after(measure_of(planes[0]), neuropil, baseline, deconvolve)
    source, coords = made[0] if len(made) == 1 else _on_one_clock(made, planes, clock, report)
    return _population(source, coords, measure, request, report=report, **placing)


def _measure_after(measure: Measure, neuropil: Any, baseline: Any, deconvolve: Any) -> Measure:
    """What the steps make of a measure."""
    quantity, units = measure.quantity, measure.units
    if neuropil is not None:
        quantity = f"{quantity}, neuropil subtracted"
    if baseline is not None:
        quantity, units = "dF/F", "1"
    if deconvolve is not None:
        quantity = "deconvolved activity"
    return Measure(measure.kind, quantity, units)


def _on_one_clock(
    made: Sequence[tuple[Source, dict[str, np.ndarray]]], planes: Sequence[Series], clock: Any, report: LoadReport
) -> tuple[Source, dict[str, np.ndarray]]:
    """Several planes on the clock of the first; units get the coords `plane` and `time_offset`."""
    if clock not in steps.CLOCKS:
        raise InputError(
            f"{len(planes)} ROI series have a clock each: clock= says how they are brought to that of the first, one "
            f"of {', '.join(steps.CLOCKS)}; got {clock!r}. Or load them one by one."
        )
    sources = [source for source, _ in made]
    names = [series.name for series in planes]
    if len(set(names)) < len(names):
        names = [series.path for series in planes]
    columns = []
    for (source, coords), name in zip(made, names, strict=True):
        n = source.n_units
        offset = steps.typical_offset(source.times, sources[0].times)
        labels = np.array([f"{name}:{unit}" for unit in coords["unit"]])
        columns.append(coords | {"unit": labels, "plane": np.full(n, name), "time_offset": np.full(n, offset)})
    shared = [name for name in columns[0] if all(name in one for one in columns)]
    left_out = sorted({name for one in columns for name in one} - set(shared))
    report.choose(clock={"how": clock, "of": planes[0].path, "planes": [series.path for series in planes]})
    if left_out:
        report.choose(columns_left_out=left_out)
    return steps.Planes(sources, clock), {name: np.concatenate([one[name] for one in columns]) for name in shared}


def _population(
    frames: Source,
    coords: dict[str, np.ndarray],
    measure: Measure,
    request: Request,
    *,
    find_intervals: Callable[[str], Table],
    origin: Origin,
    report: LoadReport,
    bin_width: float | None = None,
    chunks: int | str | None = None,
) -> xr.DataArray:
    """Frames over time, in windows or one vector a window, as a population.

    Parameters
    ----------
    frames : Source
    coords : dict
        Of the dim `unit`.
    measure : Measure
    request : Request
    find_intervals : callable
        Gives the interval table of a name.
    origin : Origin
    report : LoadReport
    bin_width : float or None
        Seconds over which frames are averaged; None for the frames as they are.
    chunks : int, "auto" or None
        Entries of the first dim a block of a dask array.
    """
    report.choose(reduce=request.reduce, bin_width=bin_width)
    if bin_width is not None and request.reduce is not None:
        raise InputError(f"bin_width is of bins; with reduce={request.reduce!r} there are none. Leave one of them out.")
    _check_clock(frames)
    windows, time = None, None
    if request.align is None:
        values, time = _running(frames, request.window, bin_width, report, chunks)
    else:
        windows = request.windows(find_intervals, report)
        if request.reduce is not None:
            values = reduced_frames(frames, windows, request.reduce, report, chunks)
        elif bin_width is None:
            values, time = aligned_frames(frames, windows, report, chunks)
        else:
            n_bins = n_whole_bins(windows.length, bin_width)
            values = binned_frames(frames, windows.starts, n_bins, bin_width, report, chunks)
            time = windows.offset + (np.arange(n_bins) + 0.5) * bin_width
            values = values.reshape(len(windows.starts), n_bins, -1)  # of one trial too
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
        bin_width=None if time is None else bin_width or frame_width(frames.times) or None,
    )


def _running(
    frames: Source, window: Any, bin_width: float | None, report: LoadReport, chunks: int | str | None
) -> tuple[Any, np.ndarray]:
    """Frames, or bins of them, over the recording or a window of it: values (time, unit) and their times."""
    if bin_width is None:
        first, last = _between(frames, window)
        if chunks is None:
            return frames.read(first, last), frames.times[first:last]
        shape, dtype = (last - first, frames.n_units), frames.read(first, first + 1).dtype
        return as_dask(Blocks(shape, dtype, partial(_shifted, frames, first)), chunks), frames.times[first:last]
    n_whole_bins(bin_width, bin_width)
    if window is None:
        start = float(np.floor(frames.times[0] / bin_width + 1e-9) * bin_width)
        n_bins = int((frames.times[-1] - start) / bin_width + 1e-9) + 1
    else:
        start, n_bins = float(window[0]), n_whole_bins(float(window[1]) - float(window[0]), bin_width)
    values = binned_frames(frames, np.array([start]), n_bins, bin_width, report, chunks)
    return values, start + (np.arange(n_bins) + 0.5) * bin_width


def _shifted(frames: Source, by: int, first: int, last: int) -> np.ndarray:
    return frames.read(by + first, by + last)


def _check_clock(frames: Source) -> None:
    repeats = int((np.diff(frames.times) <= 0).sum())
    if repeats:
        raise FileError(
            f"timestamps of {frames.path!r} must rise; {repeats} of {len(frames.times)} equal the one before. Give "
            "repair=True to keep the first frame of each time."
        )


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
    frames, coords = _frames(series, request.units, transposed, False, report, False, None)
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


def read_frames(series: Series, units: Any, report: LoadReport) -> tuple[Frames, dict[str, np.ndarray]]:
    """The frames of a series as they are stored, for the units asked for, and their coords."""
    return _frames(series, units, None, False, report, False, None)


def _frames(
    series: Series,
    units: Any,
    transposed: bool | None,
    cells_only: bool,
    report: LoadReport,
    repair: bool,
    chunks: int | str | None,
) -> tuple[Frames, dict[str, np.ndarray]]:
    """The frames of the units asked for, and their coords."""
    turned, n_times, n_units = orient(series, transposed, report)
    times, kept = (series.times(n_times), None) if not repair else series.mended_times(n_times, report)
    if len(times if kept is None else series.timestamps) != n_times:
        raise InputError(
            f"series {series.path!r} has {n_times} frames and {len(series.timestamps)} timestamps; they must be as "
            "many."
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
    if chunks is not None:  # blocks are read after the recording is closed, and by other processes
        series = replace(series, data=Stored.of(series.data), timestamps=None, region=None)
    return Frames(series, turned, columns, times, kept), {name: values[rows] for name, values in coords.items()}


def _between(frames: Source, window: Any) -> tuple[int, int]:
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
