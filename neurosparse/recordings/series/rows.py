"""The table rows that a series stands on: ROIs or electrodes as units, intervals as trials."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurosparse.errors import FileError, InputError
from neurosparse.recordings.intervals import time_column
from neurosparse.recordings.load_report import LoadReport, some
from neurosparse.recordings.series.stored import Series
from neurosparse.recordings.tables import Table, name_coords
from neurosparse.recordings.units import unit_labels


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
