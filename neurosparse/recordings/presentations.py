"""Tables that a file keeps as something else: presentations of images, threshold crossings.

Clocks and positions enter, `Table`s leave, so that aligning and counting know one thing alone.
"""

from __future__ import annotations

import numpy as np

from neurosparse.recordings.series import Series
from neurosparse.recordings.tables import Column, Table


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
