"""Time series as lazy arrays with their clock, scale, orientation and the units they stand for.

pynwb series enter, `Series` leave; calcium and any other (time, unit) series are read through it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pynwb

from neurosparse.errors import FileError, InputError
from neurosparse.recordings.intervals import time_column
from neurosparse.recordings.load_report import LoadReport, some
from neurosparse.recordings.tables import Column, Table, name_coords, read_region
from neurosparse.recordings.units import unit_labels


@dataclass(frozen=True)
class Series:
    """One time series of a file.

    Attributes
    ----------
    path, name, type : str
        Place in the file, name, neurodata type.
    container, container_type : str
        Name and neurodata type of what holds it.
    data : array-like
        Stored values; the first axis is time, save where a writer transposed it.
    rate, start : float or None
        Frames a second and the time of the first, where the clock is regular.
    timestamps : array-like or None
        Time of each frame in seconds, where it is not.
    conversion, offset : float
        A value in `unit` is ``stored * conversion * channel_conversion + offset``.
    channel_conversion : numpy.ndarray or None
        One factor a column.
    region : Column or None
        The table rows (ROIs, electrodes) that the columns stand for.
    area : str
        Where the imaging plane lies, "" where not stated.
    expected_rate : float or None
        Frame rate that the imaging plane states.
    """

    path: str
    name: str
    type: str
    container: str
    container_type: str
    data: Any
    rate: float | None
    start: float
    timestamps: Any
    conversion: float
    offset: float
    channel_conversion: np.ndarray | None
    unit: str
    description: str
    comments: str
    region: Column | None
    area: str
    expected_rate: float | None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape as stored."""
        shape = getattr(self.data, "shape", None)
        return tuple(shape) if shape is not None else np.shape(self.data)

    @property
    def n_times(self) -> int:
        """Number of timestamps, or of frames where the clock is regular."""
        if self.timestamps is not None:
            return len(self.timestamps)
        return self.shape[int(self.looks_transposed)] if self.shape else 0

    @property
    def n_rows(self) -> int | None:
        """Number of table rows (ROIs, electrodes) that the columns stand for; None where none are named."""
        return None if self.region is None else self.region.shape[0]

    @property
    def looks_transposed(self) -> bool:
        """Whether the lengths of rois and timestamps fit (unit, time) alone."""
        if len(self.shape) != 2:
            return False
        upright, turned = self.fits()
        return turned and not upright

    def fits(self) -> tuple[bool, bool]:
        """Whether the lengths of rois and timestamps allow (time, unit), and whether (unit, time)."""
        n_stamps = None if self.timestamps is None else len(self.timestamps)
        upright, turned = (
            self.n_rows in (None, columns) and n_stamps in (None, rows)
            for rows, columns in (self.shape, self.shape[::-1])
        )
        return upright, turned

    def times(self, n_frames: int | None = None) -> np.ndarray:
        """Time of each frame in seconds, float64, shape (frame,).

        Raises
        ------
        FileError
            If the file gives the series no clock, or one that runs backwards or holds NaN.
        """
        if self.timestamps is not None:
            times = np.asarray(self.timestamps[:], dtype=np.float64)
            if not np.isfinite(times).all() or (np.diff(times) < 0).any():
                bad = int(np.sum(~np.isfinite(times)) + np.sum(np.diff(times) < 0))
                raise FileError(
                    f"timestamps of {self.path!r} must rise without NaN; {bad} of {len(times)} do not. "
                    "Give repair=True to leave out frames without a time and put the others in order, or mend the "
                    "clock first."
                )
            return times
        if self.rate is None or not self.rate > 0:
            raise FileError(
                f"series {self.path!r} has neither timestamps nor a positive rate (got {self.rate}), so its values "
                "cannot be placed in time. Read them through recording.nwbfile."
            )
        return self.start + np.arange(self.n_times if n_frames is None else n_frames) / self.rate

    def mended_times(self, n_frames: int, report: LoadReport) -> tuple[np.ndarray, np.ndarray | None]:
        """Times in rising order without NaN or repeats, and the stored frame of each; None where all stays as it is.

        Frames without a time are left out, and of several at one time all but the first; both are counted.
        """
        if self.timestamps is None:
            return self.times(n_frames), None
        stored = np.asarray(self.timestamps[:], dtype=np.float64)
        frames = np.flatnonzero(np.isfinite(stored))
        frames = frames[np.argsort(stored[frames], kind="stable")]
        first = np.diff(stored[frames], prepend=-np.inf) > 0
        moved, lost = int((np.diff(stored) < 0).sum()), len(stored) - len(frames)
        if moved or lost or not first.all():
            report.warn(
                f"the clock of {self.path!r} is mended: {lost} of {len(stored)} frames have no time and are left out, "
                f"{int((~first).sum())} repeat a time and are left out, the clock ran backwards {moved} times and its "
                "frames are put in order. If it was reset within the recording, the times are wrong."
            )
        frames = frames[first]
        return stored[frames], None if np.array_equal(frames, np.arange(len(stored))) else frames

    def extent(self) -> tuple[float, float] | None:
        """Time of the first and last frame in seconds, from two reads; None where there is no clock or no frame."""
        if self.timestamps is not None and self.n_times:
            first, last = float(self.timestamps[0]), float(self.timestamps[self.n_times - 1])
        elif self.rate and self.rate > 0 and self.n_times:
            first, last = self.start, self.start + (self.n_times - 1) / self.rate
        else:
            return None
        return (first, last) if np.isfinite([first, last]).all() else None


def read_series(series: pynwb.TimeSeries, path: str) -> Series:
    """Wrap a pynwb series; `path` is its place in the file. Reads no values."""
    region = getattr(series, "rois", None)
    if region is None:
        region = getattr(series, "electrodes", None)
    plane = getattr(getattr(region, "table", None), "imaging_plane", None)
    parent = series.parent
    factor = getattr(series, "channel_conversion", None)
    start = series.starting_time
    return Series(
        path=path,
        name=series.name,
        type=series.neurodata_type,
        container=getattr(parent, "name", ""),
        container_type=getattr(parent, "neurodata_type", ""),
        data=series.data if series.data is not None else np.empty(0),
        rate=None if series.rate is None else float(series.rate),
        start=0.0 if start is None else float(start),
        timestamps=series.timestamps,
        conversion=_number(series.conversion, 1.0),
        offset=_number(getattr(series, "offset", None), 0.0),
        channel_conversion=None if factor is None else np.asarray(factor[:]),
        unit=str(series.unit or ""),
        description=_stated(series.description),
        comments=_stated(series.comments),
        region=None if region is None else read_region(region),
        area=_stated(getattr(plane, "location", None)),
        expected_rate=_number(getattr(plane, "imaging_rate", None), None),
    )


def _number(value: Any, default: Any) -> Any:
    return default if value is None or not np.isfinite(value) else float(value)


def _stated(text: Any) -> str:
    """`text`, or "" for the phrases that writers put where nothing is stated."""
    text = str(text or "").strip()
    return "" if text.lower() in {"unknown", "no description", "no comments", "none", "n/a", "nan"} else text


def orient(series: Series, transposed: bool | None, report: LoadReport) -> tuple[bool, int, int]:
    """Which axis of the stored values is time.

    Parameters
    ----------
    series : Series
    transposed : bool or None
        Whether the values are stored (unit, time); None to find out from the lengths of `rois` and `timestamps`.
    report : LoadReport

    Returns
    -------
    transposed : bool
    n_times, n_units : int

    Raises
    ------
    InputError
        If the values have no two axes, fit neither way round, or fit both.
    """
    shape = series.shape
    if len(shape) == 1 and shape[0]:
        return False, shape[0], 1
    if len(shape) != 2 or 0 in shape:
        raise InputError(
            f"series {series.path!r} must have one axis of time and one of units; its values have shape {shape}. "
            "Read it through recording.nwbfile."
        )
    if transposed is None:
        transposed = _turned(series, report)
    rows, columns = shape[::-1] if transposed else shape
    return transposed, rows, columns


def _turned(series: Series, report: LoadReport) -> bool:
    upright, turned = series.fits()
    stamps = "a rate and no timestamps" if series.timestamps is None else f"{len(series.timestamps)} timestamps"
    stated = f"{series.n_rows or 'no number of'} units and {stamps}"
    if not upright and not turned:
        raise InputError(
            f"values of {series.path!r} have shape {series.shape}, which fits neither (time, unit) nor (unit, time): "
            f"the file states {stated}. Give transposed=False or True to take the axes as they are."
        )
    if upright and turned and series.n_rows is not None:
        raise InputError(
            f"values of {series.path!r} have shape {series.shape} and the file states {stated}, so time could be "
            "either axis. Give transposed=False for (time, unit) as NWB asks, transposed=True for (unit, time)."
        )
    if turned and not upright:
        report.warn(
            f"series {series.path!r} is stored (unit, time) = {series.shape}: the file states {stated}. "
            "It is transposed."
        )
    return turned and not upright


def series_units(series: Series, n_units: int, report: LoadReport) -> dict[str, np.ndarray]:
    """Coords of the dim `unit`: labels, ids, area and every column of one value of the rows the series stands on."""
    region = series.region
    rows = None if region is None or region.target is None else np.atleast_1d(region.values()).astype(np.int64)
    table = None if region is None else region.target
    if rows is None or table is None or len(rows) != n_units or _beyond(rows, table, series.path, report):
        names = np.array([series.name]) if n_units == 1 else np.arange(n_units)
        return {"unit": names, "unit_id": names, "area": np.full(n_units, series.area)}
    ids = table.ids[rows]
    columns = {**table.scalars(), **cell_columns(table)}
    areas = (
        columns.get("location", np.full(table.n_rows, "")) if not series.area else np.full(table.n_rows, series.area)
    )
    coords = {"unit": unit_labels(ids, table.path, report), "unit_id": ids}
    coords["area"] = (areas if areas.dtype.kind == "U" else np.full(table.n_rows, ""))[rows]
    named = name_coords(columns, table.name, report)
    return coords | {name: values[rows] for name, values in named.items()}


def _beyond(rows: np.ndarray, table: Table, path: str, report: LoadReport) -> bool:
    """Whether some of `rows` are none of the table's: then nothing says which units those are."""
    beyond = rows[(rows < 0) | (rows >= table.n_rows)]
    if len(beyond):
        report.warn(
            f"series {path!r} stands on {len(beyond)} rows that {table.path!r} does not have, first {beyond[0]} where "
            f"there are {table.n_rows}: its units are numbered and have no columns."
        )
    return len(beyond) > 0


def cell_columns(table: Table) -> dict[str, np.ndarray]:
    """`iscell` as a flag, and its second column as `iscell_probability`, where suite2p wrote both in one."""
    column = table.columns.get("iscell")
    if column is None or column.ragged or len(column.shape) != 2 or column.shape[0] != table.n_rows:
        return {}
    values = column.values()
    columns = {"iscell": values[:, 0] > 0.5}
    return columns if values.shape[1] < 2 else {**columns, "iscell_probability": values[:, 1].astype(np.float64)}


def trial_table(series: Series, tables: Sequence[Table]) -> Table | None:
    """The interval table of which `series` holds one sample a row.

    Its timestamps equal a table's start times, or it has as many samples as the table has rows, each inside its own.

    Raises
    ------
    InputError
        If several tables fit equally well.
    """
    n_times = series.n_times
    same_length = [table for table in tables if table.n_rows == n_times > 1 and "start_time" in table.columns]
    if not same_length:
        return None
    try:
        times = series.times()
    except FileError:
        return None
    equal, inside = [], []
    for table in same_length:
        start, stop = time_column(table, "start_time"), time_column(table, "stop_time")
        if np.allclose(times, start, rtol=0, atol=1e-6):
            equal.append(table)
        elif ((times >= start - 1e-6) & (times <= stop + 1e-6)).all():
            inside.append(table)
    best = equal or inside
    if len(best) > 1:
        raise InputError(
            f"series {series.path!r} has one sample a row of {len(best)} interval tables: "
            f"{some([table.path for table in best])}. Give align= with the one meant."
        )
    return best[0] if best else None
