"""Frames as they lie in the file: read in slices in one orientation, scaled as they are read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import h5py
import numpy as np

from neurosparse.recordings.lazy import Stored
from neurosparse.recordings.series import Series

# A frame this near an edge, in frames, stands on it: clocks are stored rounded and computed in float64.
SLACK = 1e-3


class Source(Protocol):
    """Frames (time, unit) that are read in slices: stored ones, or what a step makes of others.

    Attributes
    ----------
    path : str
        Place in the file, for messages.
    times : numpy.ndarray
        Time of each frame in seconds, rising.
    n_units : int
    """

    @property
    def path(self) -> str: ...
    @property
    def times(self) -> np.ndarray: ...
    @property
    def n_units(self) -> int: ...

    def read(self, first: int, last: int) -> np.ndarray:
        """Frames `first` to `last` (left out), shape (time, unit)."""


@dataclass(frozen=True)
class Frames:
    """The frames of a stored series in one orientation: (time, unit), scaled as they are read.

    Attributes
    ----------
    series : Series
    transposed : bool
    columns : numpy.ndarray or None
        Units that are kept; None for all.
    times : numpy.ndarray
    rows : numpy.ndarray or None
        Stored frame of each time, where a clock was mended; None where they are in order.
    """

    series: Series
    transposed: bool
    columns: np.ndarray | None
    times: np.ndarray
    rows: np.ndarray | None = None

    @property
    def path(self) -> str:
        """Place in the file."""
        return self.series.path

    @property
    def n_units(self) -> int:
        """Number of columns that are kept."""
        if self.columns is not None:
            return len(self.columns)
        shape = self.series.shape
        return 1 if len(shape) == 1 else shape[0 if self.transposed else 1]

    def read(self, first: int, last: int) -> np.ndarray:
        """Frames `first` to `last` (left out), shape (time, unit), in the series' own unit of measure.

        Stored numbers keep their dtype where no conversion applies; scaled integers become float64.
        """
        if self.rows is None:
            return self._stored(first, last)
        rows = self.rows[first:last]
        low, high = (int(rows.min()), int(rows.max()) + 1) if len(rows) else (0, 0)
        return self._stored(low, high)[rows - low]

    def _stored(self, first: int, last: int) -> np.ndarray:
        data = self.series.data
        if self.series.shape[0:] and len(self.series.shape) == 1:
            values = np.asarray(data[first:last])[:, None]
        elif self.transposed:
            values = np.asarray(data[:, first:last]).T
        else:
            values = np.asarray(data[first:last])
        factor = self.series.channel_conversion
        if factor is not None:
            values = values * factor.astype(values.dtype if values.dtype.kind == "f" else float)
        if self.columns is not None:
            values = values[:, self.columns]
        if self.series.conversion != 1.0:
            values = values * self.series.conversion
        if self.series.offset != 0.0:
            values = values + self.series.offset
        return values

    @property
    def grain(self) -> int:
        """Frames that are stored in one piece: reading half of it costs as much as all."""
        chunks = getattr(self.series.data, "chunks", None)
        return chunks[1 if self.transposed else 0] if chunks and len(chunks) == 2 else 1

    @property
    def direct(self) -> bool:
        """Whether frames can be read into a result as they are, and reading some twice costs little."""
        series, data = self.series, self.series.data
        as_stored = self.rows is None and self.columns is None and len(series.shape) == 2 and not self.transposed
        unscaled = series.channel_conversion is None and series.conversion == 1.0 and series.offset == 0.0
        local = isinstance(data, h5py.Dataset | Stored) and data.compression is None and not _remote(data)
        return as_stored and unscaled and local

    @contextmanager
    def held(self) -> Iterator[Frames]:
        """The same frames, of a file that is opened anew for each read with the file open for many."""
        if not isinstance(self.series.data, Stored):
            yield self
            return
        with self.series.data.open() as data:
            yield replace(self, series=replace(self.series, data=data))

    def read_into(self, values: np.ndarray, first: int) -> None:
        """Frames from `first` on into `values` (time, unit), where they are `direct` and `held`."""
        data = self.series.data
        stored = data.id.get_space()  # read_direct takes longer to work out the same
        stored.select_hyperslab((first, 0), values.shape)
        data.id.read(h5py.h5s.create_simple(values.shape), stored, values)


def _remote(data: Any) -> bool:
    return getattr(getattr(data, "file", None), "driver", "") == "fileobj"


def frame_width(times: np.ndarray) -> float:
    """Typical time from one frame to the next in seconds: the median difference; 0 for fewer than two frames."""
    return float(np.median(np.diff(times))) if len(times) > 1 else 0.0
