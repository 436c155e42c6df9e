"""Tables that a file keeps as something else: presentations of images, threshold crossings, older kinds of events.

Clocks and positions enter, `Table`s leave, so that aligning and counting know one thing alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neurosparse.recordings.series import Series
from neurosparse.recordings.tables import Column, Table, plain


def as_table(series: Series, shown: Table | None) -> Table:
    """An IndexSeries as a table of presentations: `timestamp`, `index` and, where images are named, `image_name`.

    Parameters
    ----------
    series : Series
        Its values are positions in a set of images; -1, and whatever else is no position, is a blank.
    shown : Table or None
        The images, a row each; what `index` numbers.
    """
    index = np.asarray(series.data[:])
    times = series.times(len(index))
    columns = {"timestamp": Column("timestamp", times), "index": Column("index", index, target=shown)}
    if shown is not None and "image_name" in shown.columns and index.dtype.kind in "iu":
        names = shown.columns["image_name"].values()
        inside = (index >= 0) & (index < len(names))
        named = np.full(len(index), "blank", dtype=np.result_type(names.dtype, "U5"))
        named[inside] = names[index[inside].astype(np.int64)]
        columns["image_name"] = Column("image_name", named)
    return Table(series.path, series.name, np.arange(len(index)), columns)


def templates(name: str, n_images: int, names: np.ndarray | None) -> Table:
    """A set of images as a table of one row an image."""
    columns = {} if names is None else {"image_name": Column("image_name", names)}
    return Table(name, name, np.arange(n_images), columns)


def as_unit(series: Series) -> Table:
    """The times of a SpikeEventSeries as a table of one unit: all threshold crossings of its electrodes together."""
    times = series.times()
    columns = {"spike_times": Column("spike_times", times, (np.array([len(times)]),))}
    region = series.region
    if region is not None:
        everything = np.array([region.shape[0]])
        columns["electrodes"] = Column("electrodes", region.data, (everything,), region.target)
    return Table(series.path, series.name, np.array([series.name]), columns)


def as_events(path: str, times: Any, codes: Any = None, labels: Any = None) -> Table:
    """Events, LabeledEvents or TTLs of ndx-events before 0.4 as a table: `timestamp`, and of those with codes the code,
    `data` as in the file, and the `label` that it stands for, "" where it has none.

    Parameters
    ----------
    path : str
    times : array-like
        Seconds, shape (event,).
    codes : array-like of int, optional
        Positions in `labels`, shape (event,).
    labels : sequence of str, optional
    """
    columns = {"timestamp": Column("timestamp", times)}
    if codes is not None:
        codes = np.asarray(codes[:])
        columns["data"] = Column("data", codes)
        if labels is not None:
            names = np.append(plain(np.atleast_1d(labels)), "")
            numbers = np.where((codes >= 0) & (codes < len(names) - 1), codes, len(names) - 1).astype(np.int64)
            columns["label"] = Column("label", names[numbers])
    return Table(path, path.rpartition("/")[2], np.arange(len(times)), columns)


def is_annotated(table: Table) -> bool:
    """Whether the rows of a table are kinds of events, each with all its times."""
    names = table.columns
    return "event_times" in names and names["event_times"].ragged and not {"timestamp", "start_time"} & set(names)


def one_a_row(table: Table) -> Table:
    """An AnnotatedEventsTable of ndx-events before 0.4, a row a kind of event with all its times, as one row an event.

    Columns of one value an event are taken apart as the times are; others are repeated for each event of their kind.
    The order stays the file's, kind by kind; row ids are new.
    """
    bounds = table.columns["event_times"].bounds()
    kinds = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
    columns = {"timestamp": Column("timestamp", table.columns["event_times"].data)}
    for name, column in table.columns.items():
        if name == "event_times" or len(column.ends) > 1:
            continue
        if column.ragged and np.array_equal(column.bounds(), bounds):
            columns[name] = Column(name, column.data, (), column.target, column.by_id)
        elif column.ragged:
            lists = [column.rows()[kind] for kind in kinds]
            ends = np.cumsum([len(one) for one in lists])
            columns[name] = Column(name, np.concatenate([*lists, column.data[:0]]), (ends,), column.target)
        else:
            columns[name] = Column(name, column.values()[kinds], (), column.target, column.by_id)
    return Table(table.path, table.name, np.arange(len(kinds)), columns, parameters=table.parameters)
