"""Interval tables as frames of rows, and the windows and trial coords that come of aligning to them.

`Table` enters; a pandas DataFrame, or `Windows` in seconds of the recording, leave. A row is a trial: overlapping,
nested, contiguous, unsorted and zero-length rows stay rows of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from neurosparse.errors import InputError
from neurosparse.recordings.load_report import LoadReport, some
from neurosparse.recordings.shown import stimulus_of
from neurosparse.recordings.tables import Table, name_coords

REDUCTIONS = ("sum", "mean", "rate")


@dataclass(frozen=True)
class Request:
    """What every loader is asked alike; the parameters of `Recording.spikes`.

    Attributes
    ----------
    align : str, (str, str) or None
        Interval table, or table and column.
    window : (float, float) or None
        Seconds around the event, or of the recording where `align` is None.
    reduce : {"sum", "mean", "rate"} or None
    units : str, sequence or None
        Query or ids.
    stimulus : str, sequence of str or None
        Column or columns of the interval table.
    """

    align: Any = None
    window: Any = None
    reduce: Any = None
    units: Any = None
    stimulus: Any = None

    def checked(self) -> Request:
        """The request itself, or an `InputError` where its parts do not fit together."""
        align, pair = self.align, isinstance(self.align, tuple | list) and len(self.align) == 2
        if align is not None and not isinstance(align, str) and not (pair and all(isinstance(a, str) for a in align)):
            raise InputError(f'align must be the name of an interval table or ("table", "column"); got {align!r}.')
        named = [self.stimulus] if self.stimulus is None or isinstance(self.stimulus, str) else list(self.stimulus)
        if not named or not all(name is None or isinstance(name, str) for name in named):
            raise InputError(
                f"stimulus must be a column of the interval table or a list of one or more; got {self.stimulus!r}."
            )
        if self.reduce is not None and self.reduce not in REDUCTIONS:
            raise InputError(f"reduce must be one of {', '.join(REDUCTIONS)}; got {self.reduce!r}.")
        for name in ("reduce", "stimulus"):
            value = getattr(self, name)
            if value is not None and align is None:
                raise InputError(
                    f"{name}={value!r} needs align= with the interval table whose rows are trials, such as 'trials'."
                )
        if align is not None and self.window is None and self.reduce is None:
            raise InputError(
                f"align={align!r} needs window=(start, stop) in seconds around the event; "
                "with reduce= it may be left out for each row's own extent."
            )
        if self.window is not None:
            check_window(self.window)
        return self

    def windows(self, find: Callable[[str], Table], report: LoadReport) -> Windows:
        """The windows asked for; `find` gives the interval table of a name."""
        name, column = (self.align, None) if isinstance(self.align, str) else self.align
        table = find(name)
        return make_windows(table, column or table.event, self.window, report)


@dataclass(frozen=True)
class Windows:
    """Where each trial's window lies.

    Attributes
    ----------
    table : Table
    rows : numpy.ndarray of int
        Row of `table` that each window belongs to, shape (trial,).
    starts, stops : numpy.ndarray of float
        Its edges in seconds of the recording, shape (trial,); the stop is left out.
    offset : float
        Seconds from the event to the start; NaN where each row has its own extent.
    """

    table: Table
    rows: np.ndarray
    starts: np.ndarray
    stops: np.ndarray
    offset: float

    @property
    def length(self) -> float:
        """Common length in seconds."""
        return float(self.stops[0] - self.starts[0]) if len(self.rows) else 0.0


def as_frame(table: Table) -> pd.DataFrame:
    """The whole table, one row an interval, its ids as index; ragged cells hold arrays, bytes are text."""
    columns = {}
    for name, column in table.columns.items():
        scalar = table.scalar(name)
        columns[name] = pd.Series(column.rows() if scalar is None else scalar, index=table.ids)
    frame = pd.DataFrame(columns, index=table.ids)
    frame.index.name = "id"
    return frame


def time_column(table: Table, name: str) -> np.ndarray:
    """Column `name` of `table` as seconds, float64, shape (row,)."""
    values = table.scalar(name) if name in table.columns else table.column(name).values()
    if values is None or values.dtype.kind not in "iuf":
        raise InputError(
            f"column {name!r} of table {table.path!r} must hold one time in seconds a row to align to; it holds "
            f"{'lists' if values is None else values.dtype}. Choose a column of times, such as 'start_time'."
        )
    return values.astype(np.float64)


def stop_times(table: Table) -> np.ndarray:
    """When each row ends, in seconds: `stop_time`, or for events `timestamp` and `duration` together.

    Raises
    ------
    InputError
        If nothing says it.
    """
    if "stop_time" in table.columns:
        return time_column(table, "stop_time")
    if "duration" in table.columns:
        return time_column(table, table.event) + time_column(table, "duration")
    raise InputError(
        f"rows of table {table.path!r} have no extent of their own: it has neither stop_time nor duration, only "
        f"{some(table.columns, 30)}. Give window=(start, stop) in seconds around {table.event!r}."
    )


def check_window(window: object) -> tuple[float, float]:
    """`window` as two finite numbers, the first below the second."""
    try:
        start, stop = (float(edge) for edge in window)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        start, stop = np.nan, np.nan
    if not (np.isfinite([start, stop]).all() and start < stop):
        raise InputError(f"window must be two numbers of seconds, (start, stop) with start < stop; got {window!r}.")
    return start, stop


def make_windows(table: Table, column: str, window: object, report: LoadReport) -> Windows:
    """A window a row: `window` seconds around `column`, or the row's own start to stop where `window` is None.

    Rows whose times are NaN are dropped, and counted.
    """
    if window is None:
        starts, stops, offset = time_column(table, column), stop_times(table), np.nan
        backwards = int((stops < starts).sum())
        if backwards:
            raise InputError(
                f"{backwards} of {table.n_rows} rows of {table.path!r} stop before they start. "
                "Give window=(start, stop) in seconds around one of the times."
            )
    else:
        offset, end = check_window(window)
        event = time_column(table, column)
        starts, stops = event + offset, event + end
    rows = np.flatnonzero(np.isfinite(starts) & np.isfinite(stops))
    if len(rows) < table.n_rows:
        report.warn(
            f"{table.n_rows - len(rows)} of {table.n_rows} rows of {table.path!r} have no finite {column!r} "
            "and are dropped."
        )
    if not len(rows):
        raise InputError(
            f"no row of {table.path!r} has a finite {column!r} to align to ({table.n_rows} rows). "
            "Choose another table or column."
        )
    report.choose(
        align=table.path, align_column=column, window="row" if window is None else [float(offset), float(end)]
    )
    return Windows(table, rows, starts[rows], stops[rows], float(offset))


def trial_coords(
    table: Table, rows: np.ndarray, stimulus: Any, taken: Collection[str], report: LoadReport
) -> dict[str, np.ndarray]:
    """Coords of the dim `trial`: the row ids, every column of one value a row, and `stimulus`.

    Parameters
    ----------
    table : Table
    rows : numpy.ndarray of int
        The rows that became trials.
    stimulus : str, sequence of str or None
        As `shown.stimulus_of` takes it.
    taken : collection of str
        Coord names of the units.
    report : LoadReport
        Gets columns that were renamed, or left out because a row holds a list.
    """
    columns = table.scalars()
    left_out = [name for name in table.columns if name not in columns]
    if left_out:
        report.choose(**{f"{table.name}_columns_left_out": left_out})
    parsed = [name for name in columns if table.parsed(name, columns[name])]
    if parsed:
        report.choose(**{f"{table.name}_columns_parsed": parsed})
    own = _times(table, columns)
    shown = stimulus_of(table, rows, stimulus, report)
    if report.chosen.get("stimulus") == "stimulus":
        columns.pop("stimulus", None)  # it is the coord already
    ids = table.ids if len(np.unique(table.ids)) == table.n_rows else np.arange(table.n_rows)
    coords = {"trial": ids, **own, **name_coords(columns, table.name, report, taken)}
    coords = {name: values[rows] for name, values in coords.items()}
    return coords if shown is None else coords | {"stimulus": shown}


def _times(table: Table, columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """`start_time` and `stop_time`, taken out of `columns`; an event starts at its time stamp, which it keeps too."""
    if "start_time" not in table.columns and table.event in columns:
        times = {"start_time": columns[table.event]}
        return times | ({"stop_time": stop_times(table)} if "duration" in columns else {})
    return {name: columns.pop(name) for name in ("start_time", "stop_time") if name in columns}
