"""Which stimulus each trial showed: a column, several columns together, or what was on when the trial began.

An interval `Table` and the tables of presentations on its clock enter; the coord `stimulus` leaves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from neurosparse.errors import InputError
from neurosparse.recordings.load_report import LoadReport, some
from neurosparse.recordings.tables import BLANK, Table

# Columns that name what was shown, best first.
COLUMNS = ("stimulus", "stimulus_id", "image_name", "stimulus_condition_id", "frame")
NOTHING = "blank"


def stimulus_of(table: Table, rows: np.ndarray, stimulus: Any, report: LoadReport) -> np.ndarray | None:
    """What the trials showed, shape (trial,), or None where nothing says it.

    Parameters
    ----------
    table : Table
    rows : numpy.ndarray of int
        The rows that became trials.
    stimulus : str, sequence of str or None
        Column whose values name the stimulus; several make one label a combination. None: the first of the columns
        stimulus, stimulus_id, image_name, stimulus_condition_id and frame that names one in every row, else the
        position of the image that an IndexSeries shows in the row.
    report : LoadReport
        Gets the rule that was used, and images that were never shown.

    Raises
    ------
    MissingError
        If there is no column of that name.
    InputError
        If a row of it holds a list.
    """
    if isinstance(stimulus, str):
        report.choose(stimulus=stimulus)
        return named_column(table, stimulus)[rows]
    if stimulus is not None:
        report.choose(stimulus=list(stimulus))
        return combination({name: named_column(table, name)[rows] for name in stimulus})
    for name in COLUMNS:
        values = table.scalar(name) if name in table.columns else None
        if values is not None and not _blank(values[rows]).any():
            report.choose(stimulus=name)
            if name != "stimulus":
                report.assume(f"stimulus is column {name!r} of {table.path!r}, by its name; stimulus= names another.")
            return values[rows]
    if "index" in table.columns and table.columns["index"].target is not None:
        report.choose(stimulus="index")
        _unmatched(table, table.columns["index"].values()[rows], report)
        return table.columns["index"].values()[rows]
    return _presented(table, rows, report)


def named_column(table: Table, name: str) -> np.ndarray:
    """Column `name`, one value a row."""
    values = table.scalar(name) if name in table.columns else table.column(name).values()
    if values is None or values.ndim != 1:
        raise InputError(
            f"column {name!r} of table {table.path!r} must hold one value a row to name the stimulus; a row holds a "
            f"list. Choose one of {some(table.scalars(), 30)}."
        )
    return values


def combination(columns: dict[str, np.ndarray]) -> np.ndarray:
    """One label a row: ``orientation=90, contrast=0.8``; a parameter without a value is left out of it.

    A row in which none has a value showed nothing, and is the condition "blank".
    """
    absent = {name: _blank(values) for name, values in columns.items()}
    labels = []
    for row in range(len(next(iter(columns.values())))):
        told = [f"{name}={_said(values[row])}" for name, values in columns.items() if not absent[name][row]]
        labels.append(", ".join(told) or NOTHING)
    return np.array(labels, dtype=str)


def _said(value: Any) -> str:
    return f"{value:.12g}" if isinstance(value, float | np.floating) else str(value)


def _blank(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "U":
        return np.array([text.strip().lower() in BLANK for text in values], dtype=bool)
    return np.asarray(pd.isnull(values))


def _presented(table: Table, rows: np.ndarray, report: LoadReport) -> np.ndarray | None:
    """The image that an IndexSeries shows in each row; None where there is none, or a row has not exactly one."""
    fits: dict[str, tuple[Table, np.ndarray]] = {}
    for shown in table.presentations():
        index = _index_in_rows(table, rows, shown)
        if index is not None:
            fits[shown.path] = shown, index
    if len(fits) != 1:
        if fits:
            report.assume(f"which image a row of {table.path!r} showed is left open: {some(fits)} each show one.")
        return None
    path, (shown, index) = next(iter(fits.items()))
    report.choose(stimulus=path)
    report.assume(f"stimulus is the image that {path!r} shows within each row, by its position.")
    _unmatched(shown, index, report)
    return index


def _index_in_rows(table: Table, rows: np.ndarray, shown: Table) -> np.ndarray | None:
    start, stop = (table.scalar(name) if name in table.columns else None for name in ("start_time", "stop_time"))
    if start is None or stop is None or not shown.n_rows:
        return None
    times = shown.columns["timestamp"].values()
    order = np.argsort(times, kind="stable")
    # A presentation that starts with its row may be stamped a rounding error before it.
    first = np.searchsorted(times[order], start[rows] - 1e-6)
    last = np.searchsorted(times[order], np.maximum(stop[rows] - 1e-6, start[rows] + 1e-6))
    if not len(rows) or not (last - first == 1).all():
        return None
    return shown.columns["index"].values()[order][first]


def _unmatched(shown: Table, index: np.ndarray, report: LoadReport) -> None:
    """Report images that no trial showed, and positions at which there is no image."""
    images = shown.columns["index"].target
    if images is None or index.dtype.kind not in "iu":
        return
    seen = np.unique(index)
    inside = seen[(seen >= 0) & (seen < images.n_rows)]
    report.find(templates=images.path, templates_shown=[len(inside), images.n_rows])
    beyond = seen[seen >= images.n_rows]
    if len(beyond):
        report.warn(
            f"{shown.path!r} shows {len(beyond)} images that {images.path!r} does not hold, first {beyond[0]}; it has "
            f"{images.n_rows}."
        )
