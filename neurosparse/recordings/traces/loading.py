"""What `Recording.series` and `Recording.calcium` give: frames chosen, changed by the steps asked for, and placed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from neurosparse.recordings import calcium, steps
from neurosparse.recordings.assembly import Measure, Origin, assemble
from neurosparse.recordings.frames import Source
from neurosparse.recordings.intervals import Request, Windows, time_column
from neurosparse.recordings.load_report import LoadReport
from neurosparse.recordings.series import Series
from neurosparse.recordings.tables import Table
from neurosparse.recordings.traces.choosing import chosen_frames
from neurosparse.recordings.traces.placing import place
from neurosparse.recordings.traces.planes import on_one_clock


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
        `find_intervals`, `origin`, `bin_width` and `chunks` of `placing.place`.
    """
    options: dict[str, Any] = {"transposed": transposed, "repair": repair, "chunks": placing.get("chunks")}
    frames, coords = chosen_frames(series, report, units=request.units, **options)
    return place(frames, coords, measure_of(series), request, report=report, **placing)


def load_rois(
    planes: Sequence[Series],
    request: Request,
    *,
    report: LoadReport,
    transposed: bool | None = None,
    cells_only: bool = False,
    repair: bool = False,
    neuropil: tuple[Sequence[Series], float] | None = None,
    baseline: tuple[float, float] | None = None,
    deconvolve: Any = None,
    clock: str | None = None,
    **placing: Any,
) -> xr.DataArray:
    """What `Recording.calcium` gives: ROI series with the steps asked for, several on one clock.

    `neuropil` holds a series for each plane, and the factor for all.
    """
    options: dict[str, Any] = {"transposed": transposed, "repair": repair, "chunks": placing.get("chunks")}
    made = []
    for i, series in enumerate(planes):
        calcium.check_rate(series, report)
        frames, coords = chosen_frames(series, report, units=request.units, cells_only=cells_only, **options)
        source: Source = frames
        if neuropil is not None:
            around, _ = chosen_frames(neuropil[0][i], LoadReport(), **options)
            source = steps.correct(source, replace(around, columns=frames.columns), neuropil[1], report)
        source = source if baseline is None else steps.relate(source, baseline, report)
        source = source if deconvolve is None else steps.infer(source, deconvolve, report)
        made.append((source, coords))
    kinds = [calcium.kind_of(series) for series in planes]
    report.choose(kind=kinds[0] if len(set(kinds)) == 1 else kinds)
    measure = _measure_after(measure_of(planes[0]), neuropil, baseline, deconvolve)
    source, coords = made[0] if len(made) == 1 else on_one_clock(made, planes, clock, report)
    return place(source, coords, measure, request, report=report, **placing)


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
    frames, coords = chosen_frames(series, report, units=request.units, transposed=transposed)
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


def measure_of(series: Series) -> Measure:
    """What the values of a series are, as far as its type, name and unit of measure tell."""
    if series.type == "RoiResponseSeries":
        return calcium.measure_of(series)
    said = f"{series.name} {series.unit}".lower()
    if "spike" in said and ("count" in said or series.unit.lower() in ("spikes", "spike", "1")):
        return Measure("spikes", "spike count", "1")
    return Measure("", series.name, series.unit or "unknown")
