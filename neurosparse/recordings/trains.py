"""Spike trains of a units table: read in one go and cleaned, with their observation intervals.

`Table` enters, `Trains` and unit coords leave.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from neurosparse.errors import FileError, MissingError
from neurosparse.recordings.counting import flaws
from neurosparse.recordings.load_report import LoadReport, some
from neurosparse.recordings.presets import chosen_rows
from neurosparse.recordings.tables import Column, Table, name_coords
from neurosparse.recordings.units import AREA_COLUMNS, unit_areas, unit_labels

# Spike times that are read at once: 4 MB, few enough reads for a remote file and little enough memory beside a result.
BLOCK = 2**19


@dataclass(frozen=True)
class Trains:
    """Spike times of the units, cleaned.

    Attributes
    ----------
    times : list of numpy.ndarray
        One rising float64 array a unit, in seconds.
    observed : list of numpy.ndarray or None
        Observation intervals of each unit, shape (interval, 2); None where the table has no such column.
    resolution : float or None
        Seconds between samples of the recording, where the file states them.
    """

    times: list[np.ndarray]
    observed: list[np.ndarray] | None
    resolution: float | None

    def extent(self) -> tuple[float, float] | None:
        """First and last spike of all, None where there is none."""
        fired = [train for train in self.times if len(train)]
        if not fired:
            return None
        return float(min(train[0] for train in fired)), float(max(train[-1] for train in fired))


def choose_units(table: Table, units: str | Sequence[Any] | None, report: LoadReport) -> tuple[np.ndarray, dict]:
    """Rows of the table that are asked for, and the coords of the dim `unit` for them.

    Parameters
    ----------
    table : Table
    units : str, sequence of ids or None
        A query on the unit coords (``"area == 'V4' and quality == 'good'"``), a name of `presets.PRESETS`, or ids as
        the file has them.
    report : LoadReport

    Returns
    -------
    rows : numpy.ndarray of int
    coords : dict
        ``unit``, ``unit_id``, ``area`` and every column of one value a row; arrays of shape (unit,).
    """
    columns = table.scalars(skip=("spike_times", "obs_intervals"))
    areas, source = unit_areas(table, report)
    if source in AREA_COLUMNS[:1]:
        columns.pop(source, None)
    report.choose(units_table=table.path, area_source=source or "not stated")
    coords = {"unit": unit_labels(table.ids, table.path, report), "unit_id": table.ids, "area": areas}
    coords |= name_coords(columns, table.name, report)
    rows = chosen_rows(coords, units, table.path, report)
    return rows, {name: values[rows] for name, values in coords.items()}


def read_trains(table: Table, rows: np.ndarray, labels: np.ndarray, report: LoadReport) -> Trains:
    """Spike times of `rows` in bulk reads; not finite ones dropped, unsorted ones sorted, repeats kept, all counted.

    Raises
    ------
    MissingError
        If the table has no spike times.
    FileError
        If its index does not fit them.
    """
    if "spike_times" not in table.columns:
        raise MissingError(
            f"table {table.path!r} has {table.n_rows} rows but no spike_times; its columns are "
            f"{some(table.columns, 30) or 'none'}."
        )
    column = table.columns["spike_times"]
    bounds = column.bounds() if column.ragged else np.arange(column.shape[0] + 1)
    if len(bounds) != table.n_rows + 1:
        raise FileError(
            f"spike_times of {table.path!r} has {len(bounds) - 1} rows for {table.n_rows} units. The file is damaged."
        )
    trains = _cleaned(_read(column, bounds, rows), labels, report)
    return Trains(trains, _obs_intervals(table, rows, report), table.resolution)


def _read(column: Column, bounds: np.ndarray, rows: np.ndarray) -> list[np.ndarray]:
    """Times of each of `rows`, in reads of neighbouring rows of up to `BLOCK` times.

    Each read is an array of its own, so that the times of units that were counted can be let go one after another.
    """
    trains: dict[int, np.ndarray] = {}
    wanted = np.unique(rows)
    with _without_cache(column.data) as data:
        while len(wanted):
            start = bounds[wanted[0]]
            n_near = np.searchsorted(bounds[wanted + 1], start + BLOCK, side="right")
            near, wanted = np.split(wanted, [max(n_near, 1)])
            block = _own_pages(data, int(start), int(bounds[near[-1] + 1]))
            trains |= {int(row): block[bounds[row] - start : bounds[row + 1] - start] for row in near}
    return [trains[int(row)] for row in rows]


@contextmanager
def _without_cache(data: Any) -> Iterator[Any]:
    """`data`; of an HDF5 dataset of plain chunks a handle of its own, since the open one keeps 32 MB of those read.

    The other driver makes HDF5 take it for another file. ``refresh()`` would let go of the chunks too, but breaks every
    other handle to the dataset, such as a second recording's of the same file.
    """
    if not (isinstance(data, h5py.Dataset) and data.chunks and _plain_on_disk(data)):
        yield data
        return
    with h5py.File(data.file.filename, "r", driver="stdio", rdcc_nbytes=0) as file:
        yield file[data.name]


def _plain_on_disk(data: h5py.Dataset) -> bool:
    """Whether chunks lie in a file as they are; of filtered ones, those that two reads share would be decoded twice."""
    readable = data.file.driver == "sec2" and data.file.mode == "r" and Path(data.file.filename).is_file()
    return readable and not data.id.get_create_plist().get_nfilters()


def _own_pages(data: Any, start: int, stop: int) -> np.ndarray:
    """Times `start` to `stop` of `data` as float64, in memory that goes back to the system with the array.

    malloc would keep it. Large pages, where the system has them, are given in less time than many small ones.
    """
    if start == stop:
        return np.empty(0)
    pages = mmap.mmap(-1, 8 * (stop - start))
    if hasattr(mmap, "MADV_HUGEPAGE"):
        pages.madvise(mmap.MADV_HUGEPAGE)
    values = np.frombuffer(pages, dtype=np.float64)
    if isinstance(data, h5py.Dataset) and data.dtype == values.dtype:
        data.read_direct(values, np.s_[start:stop])
    else:
        values[:] = data[start:stop]
    return values


def _cleaned(trains: list[np.ndarray], labels: np.ndarray, report: LoadReport) -> list[np.ndarray]:
    """Finite times in rising order; those that repeat the one before stay and are counted."""
    found = np.array([flaws(train) for train in trains], dtype=np.int64).reshape(-1, 3)
    unreal, falls, _ = found.T
    for unit in np.flatnonzero(unreal):
        trains[unit] = trains[unit][np.isfinite(trains[unit])]
        falls[unit] = flaws(trains[unit])[1]
    for unit in np.flatnonzero(falls):
        trains[unit] = np.sort(trains[unit])
    for unit in np.flatnonzero(unreal + falls):
        found[unit, 2] = flaws(trains[unit])[2]
    _report_flaws(found, labels, report)
    return trains


def _report_flaws(found: np.ndarray, labels: np.ndarray, report: LoadReport) -> None:
    unreal, falls, repeats = found.T
    if unreal.any():
        report.warn(
            f"{unreal.sum()} spike times of {(unreal > 0).sum()} units are NaN or infinite and are dropped "
            f"(units {some(labels[unreal > 0])})."
        )
    if falls.any():
        report.warn(
            f"spike times of {(falls > 0).sum()} of {len(found)} units are not in rising order and are sorted "
            f"(units {some(labels[falls > 0])}). If a clock was reset within the recording, the times are wrong."
        )
    if repeats.any():
        report.warn(
            f"{repeats.sum()} spike times of {(repeats > 0).sum()} units equal the one before and are counted as "
            f"spikes (units {some(labels[repeats > 0])}): times of a coarse clock, or one spike sorted twice."
        )


def _obs_intervals(table: Table, rows: np.ndarray, report: LoadReport) -> list[np.ndarray] | None:
    column = table.columns.get("obs_intervals")
    if column is None:
        return None
    pairs = np.asarray(column.data[:], dtype=np.float64).reshape(-1, 2)
    bounds = column.bounds() if column.ragged else np.arange(len(pairs) + 1)
    intervals = [pairs[bounds[row] : bounds[row + 1]] for row in rows]
    empty = sum(not len(one) for one in intervals)
    if empty == len(intervals):
        return None
    if empty:
        report.warn(f"{empty} of {len(intervals)} units state no obs_intervals: they count as observed throughout.")
    return intervals
