"""What `Recording.series` and `Recording.calcium` give: frames chosen, changed by the steps asked for, and placed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from neurosparse.recordings import calcium, steps
from neurosparse.recordings.assembly import Load, Measure, assemble
from neurosparse.recordings.frames import Source
from neurosparse.recordings.intervals import Windows, time_column
from neurosparse.recordings.load_report import LoadReport
from neurosparse.recordings.series import Series
from neurosparse.recordings.tables import Table
from neurosparse.recordings.traces.choosing import chosen_frames
from neurosparse.recordings.traces.placing import place
from neurosparse.recordings.traces.planes import on_one_clock


def load_series(
    series: Series,
    load: Load,
    *,
    transposed: bool | None = None,
    repair: bool = False,
    **placing: Any,
) -> xr.DataArray:
    """What `Recording.series` gives, from one series.

    Parameters
    ----------
    series : Series
    load : Load
    transposed : bool or None
        Whether values are stored (unit, time); None to find out.
    repair : bool
        Whether a clock that does not rise is put in order.
    **placing
        `bin_width` and `chunks` of `placing.place`.
    """
    options: dict[str, Any] = {"transposed": transposed, "repair": repair, "chunks": placing.get("chunks")}
    frames, coords = chosen_frames(series, load.report, units=load.request.units, **options)
    return place(frames, coords, measure_of(series), load, **placing)


def load_rois(
    planes: Sequence[Series],
    load: Load,
    *,
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
    made, report = [], load.report
    for i, series in enumerate(planes):
        calcium.check_rate(series, report)
        frames, coords = chosen_frames(series, report, units=load.request.units, cells_only=cells_only, **options)
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
    return place(source, coords, measure, load, **placing)


def load_trials(series: Series, load: Load, *, table: Table, transposed: bool | None = None) -> xr.DataArray:
    """A series with one sample a row of `table` as one vector a trial, (trial, unit); finds no other table."""
    frames, coords = chosen_frames(series, load.report, units=load.request.units, transposed=transposed)
    load.report.choose(align=table.path, one_sample_a_row=True)
    start, stop = time_column(table, "start_time"), time_column(table, "stop_time")
    windows = Windows(table, np.arange(table.n_rows), start, stop, np.nan)
    return assemble(load, frames.read(0, len(frames.times)), coords, measure_of(series), windows=windows)


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
