"""The frames of a series for the units that are asked for, with their coords."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from neurosparse.errors import InputError
from neurosparse.recordings import calcium
from neurosparse.recordings.frames import Frames
from neurosparse.recordings.lazy import Stored
from neurosparse.recordings.load_report import LoadReport
from neurosparse.recordings.presets import chosen_rows
from neurosparse.recordings.series import Series, orient, series_units


def chosen_frames(
    series: Series,
    report: LoadReport,
    *,
    units: Any = None,
    transposed: bool | None = None,
    cells_only: bool = False,
    repair: bool = False,
    chunks: int | str | None = None,
) -> tuple[Frames, dict[str, np.ndarray]]:
    """The frames of the units asked for, and their coords; with `chunks` they outlive the recording."""
    turned, n_times, n_units = orient(series, transposed, report)
    times, kept = (series.times(n_times), None) if not repair else series.mended_times(n_times, report)
    if len(times if kept is None else series.timestamps) != n_times:
        raise InputError(
            f"series {series.path!r} has {n_times} frames and {len(series.timestamps)} timestamps; they must be as "
            "many."
        )
    coords = series_units(series, n_units, report)
    rows = chosen_rows(coords, units, series.path, report)
    if cells_only:
        is_cell = calcium.cells(series.region.target if series.region else None, coords, series.path)
        report.choose(cells_only=[int(is_cell[rows].sum()), len(rows)])
        rows = rows[is_cell[rows]]
        if not len(rows):
            raise InputError(f"no ROI of {series.path!r} is marked as a cell. Leave cells_only out.")
    report.choose(conversion=series.conversion, offset=series.offset, transposed=turned)
    columns = None if np.array_equal(rows, np.arange(n_units)) else rows
    if chunks is not None:  # blocks are read after the recording is closed, and by other processes
        series = replace(series, data=Stored.of(series.data), timestamps=None, region=None)
    return Frames(series, turned, columns, times, kept), {name: values[rows] for name, values in coords.items()}
