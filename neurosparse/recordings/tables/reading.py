"""pynwb tables as `Table`."""

from __future__ import annotations

from typing import Any

import numpy as np
from hdmf.common import DynamicTable, DynamicTableRegion, VectorIndex

from neurosparse.recordings.tables.stored import Column, Table
from neurosparse.recordings.tables.values import plain


def read_table(table: DynamicTable, path: str, *, parameters: bool = False) -> Table:
    """Wrap a pynwb table; `path` is its place in the file. Reads the row ids alone."""
    columns = {name: _column(name, table[name]) for name in table.colnames if not _pickled(table[name])}
    ids = plain(table.id.data[:])
    return Table(path, table.name, ids, columns, stated_resolution(getattr(table, "resolution", None)), parameters)


def read_region(region: DynamicTableRegion) -> Column:
    """Wrap a pynwb row region that stands outside a table, such as the `rois` of a series."""
    return _column(region.name, region)


def stated_resolution(seconds: Any) -> float | None:
    """`seconds` as a number, None for what writers put where it is not known: -1, NaN or nothing."""
    return float(seconds) if seconds is not None and np.isfinite(seconds) and seconds > 0 else None


def _column(name: str, stored: Any) -> Column:
    ends = []
    while isinstance(stored, VectorIndex):
        ends.append(sized(stored.data))
        stored = stored.target
    target = None
    if isinstance(stored, DynamicTableRegion):
        target = read_table(stored.table, _place(stored.table))
    return Column(name, sized(stored.data), tuple(ends), target)


def _place(table: DynamicTable) -> str:
    """Names of a table and what holds it, the file left out, by which two of the same name are told apart."""
    names, parent = [table.name], table.parent
    while parent is not None and parent.parent is not None:
        names.append(parent.name)
        parent = parent.parent
    return "/".join(reversed(names))


def _pickled(stored: Any) -> bool:
    """Whether a column holds the references of a Zarr store, which are pickles: reading those can run code."""
    return "ZarrReferenceDataset" in type(stored.data).__name__


def sized(data: Any) -> Any:
    """Data that can be asked for its shape: what pynwb wraps for writing is unwrapped, nested lists become arrays."""
    if hasattr(data, "io_settings"):
        data = data.data  # H5DataIO
    if isinstance(data, list | tuple) and data and isinstance(data[0], list | tuple | np.ndarray | float | int):
        one_shape = len({np.shape(row) for row in data}) == 1
        return np.asarray(data) if one_shape else data
    return np.empty(0) if data is None else data
