"""From the frames of a series to values in windows: read in slices, scaled, on the windows' clock.

`Series` and `Windows` enter, arrays leave.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from neurosparse.errors import InputError
from neurosparse.recordings.intervals import Windows
from neurosparse.recordings.lazy import Blocks, as_dask
from neurosparse.recordings.load_report import LoadReport
from neurosparse.recordings.series import Series

# A frame this near an edge, in frames, stands on it: clocks are stored rounded and computed in float64.
SLACK = 1e-3
# Two frames further apart than this many typical steps have a missing one between them.
GAP = 1.5
# Bytes of frames that are read at once where windows overlap.
BLOCK = 2**24
# Windows fewer frames apart than this are read together: a read costs more than a few frames that nobody needs.
NEAR = 32


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
        local = hasattr(data, "read_direct") and getattr(data, "compression", None) is None and not _remote(data)
        return as_stored and unscaled and local

    def read_into(self, values: np.ndarray, first: int) -> None:
        """Frames from `first` on into `values` (time, unit), where they are `direct`."""
        self.series.data.read_direct(values, np.s_[first : first + len(values)])


def _remote(data: Any) -> bool:
    return getattr(getattr(data, "file", None), "driver", "") == "fileobj"


def passes(
    frames: Source, lows: np.ndarray, highs: np.ndarray, gap: int = NEAR
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Each frame that lies in some window ``low <= frame < high``, read once, in blocks of bounded size.

    Parameters
    ----------
    frames : Source
    lows, highs : (window,) arrays of int
    gap : int
        Windows no further apart than this many frames are read together.

    Yields
    ------
    first : int
        The first frame of the block.
    block : numpy.ndarray
        Shape (time, unit).
    windows : numpy.ndarray of int
        The windows that reach into it.
    """
    size = max(BLOCK // max(8 * frames.n_units, 1), 1)
    grain = getattr(frames, "grain", 1)
    for windows in joined(lows, highs, gap):
        first, end = int(lows[windows[0]]), int(highs[windows].max())
        while first < end:
            last = min(-(-(first + size) // grain) * grain, end)
            inside = windows[(lows[windows] < last) & (highs[windows] > first)]
            yield first, frames.read(first, last), inside
            first = last


def joined(lows: np.ndarray, highs: np.ndarray, gap: int = 0) -> list[np.ndarray]:
    """Windows that overlap, or lie within `gap` frames, in groups by rising `lows`; empty windows are in none."""
    order = np.argsort(lows, kind="stable")
    order = order[highs[order] > lows[order]]
    if not len(order):
        return []
    reach = np.maximum.accumulate(highs[order])
    return np.split(order, np.flatnonzero(lows[order][1:] >= reach[:-1] + gap) + 1)


def frame_width(times: np.ndarray) -> float:
    """Typical time from one frame to the next in seconds: the median difference; 0 for fewer than two frames."""
    return float(np.median(np.diff(times))) if len(times) > 1 else 0.0


def aligned_frames(
    frames: Source, windows: Windows, report: LoadReport, chunks: int | str | None = None
) -> tuple[Any, np.ndarray]:
    """The frames of each window on a common clock.

    The first frame at or after the start of a window sets its phase; bin k holds the frame nearest to k steps later,
    so a frame on an edge belongs to the bin that starts there and a jittering clock loses none. A bin with no frame
    within half a step (a gap, the ends of the recording) is NaN.

    Parameters
    ----------
    frames : Frames
    windows : Windows
        All of one length.
    report : LoadReport
        Gets the count of trials with NaN bins.
    chunks : int, "auto" or None
        Trials a block of a dask array; None for values in memory.

    Returns
    -------
    values : numpy.ndarray or dask array
        Shape (trial, time, unit).
    time : numpy.ndarray
        Bin centres in seconds from the event, float64, shape (time,).

    Notes
    -----
    Of compressed or scaled data a frame is read once though several windows hold it. Memory is the result and a
    block of about 16 MB.
    """
    width = frame_width(frames.times)
    n_bins = _whole_bins(windows.length, width, frames.path)
    index, present = _nearest_frames(frames.times, windows.starts, width, n_bins)
    dtype = frames.read(0, 1).dtype
    if not present.all():
        dtype = np.result_type(dtype, np.float32)
        report.warn(
            f"{int((~present.all(1)).sum())} of {len(present)} windows reach beyond the frames of "
            f"{frames.path!r} or across a gap in them: {int((~present).sum())} bins are NaN."
        )
    time = windows.offset + (np.arange(n_bins) + 0.5) * width
    read = partial(_gather, frames, index, present, dtype)
    if chunks is None:
        return read(0, len(index)), time
    return as_dask(Blocks((*index.shape, frames.n_units), dtype, read), chunks), time


def _whole_bins(length: float, width: float, path: str) -> int:
    n_bins = round(length / width) if width > 0 else 0
    if n_bins < 1:
        raise InputError(
            f"window must be at least one frame of {path!r} long ({width:g} s); got {length:g} s. Widen the window."
        )
    return n_bins


def _nearest_frames(times: np.ndarray, starts: np.ndarray, width: float, n_bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Index of each bin's frame, (trial, time), and whether it has one."""
    last = len(times) - 1
    leading = np.minimum(np.searchsorted(times, starts - SLACK * width), last)
    phase = np.maximum(times[leading] - starts, 0.0) % width
    expected = (starts + phase)[:, None] + np.arange(n_bins) * width  # (trial, time)
    after = np.clip(np.searchsorted(times, expected), 1, last)
    index = after - (expected - times[after - 1] < times[after] - expected)
    return index, np.abs(times[index] - expected) < 0.5 * width


def _gather(
    frames: Source, index: np.ndarray, present: np.ndarray, dtype: np.dtype, start: int, stop: int
) -> np.ndarray:
    """Frames at `index` (trial, time) of trials `start` to `stop`, NaN where not `present`: (trial, time, unit)."""
    index, present = index[start:stop], present[start:stop]
    values = np.empty((*index.shape, frames.n_units), dtype)
    lows, highs = index[:, 0], index[:, -1] + 1
    steady = (np.diff(index, axis=1) == 1).all(1)
    direct = steady & bool(isinstance(frames, Frames) and frames.direct)
    for trial in np.flatnonzero(direct):
        frames.read_into(values[trial], int(lows[trial]))  # type: ignore[attr-defined]
    for first, block, trials in passes(frames, lows, np.where(direct, lows, highs), gap=0):
        for trial in trials:
            if steady[trial]:
                a, b = max(lows[trial], first), min(highs[trial], first + len(block))
                values[trial, a - lows[trial] : b - lows[trial]] = block[a - first : b - first]
            else:
                here = (index[trial] >= first) & (index[trial] < first + len(block))
                values[trial, here] = block[index[trial, here] - first]
    for trial in np.flatnonzero(~present.all(1)):
        values[trial, ~present[trial]] = np.nan
    return values


def reduced_frames(
    frames: Source, windows: Windows, reduce: str, report: LoadReport, chunks: int | str | None = None
) -> Any:
    """One vector a window: the sum, the mean or the sum a second of its frames, shape (trial, unit), float64.

    A frame on an edge belongs to the window that starts there. Windows that hold no frame or leave the recording are
    NaN, and counted.
    """
    first, last, kept = _frames_inside(frames.times, windows)
    if not kept.all():
        report.warn(
            f"{int((~kept).sum())} of {len(kept)} windows hold no frame of {frames.path!r}, reach beyond its "
            "first or last or across a gap: their rows are NaN."
        )
    weight = {"sum": np.ones(len(kept)), "mean": last - first, "rate": windows.stops - windows.starts}[reduce]
    read = partial(_summed, frames, first, np.where(kept, last, first), np.where(kept, weight, np.nan))
    if chunks is None:
        return read(0, len(kept))
    return as_dask(Blocks((len(kept), frames.n_units), np.dtype(np.float64), read), chunks)


def _summed(
    frames: Source, lows: np.ndarray, highs: np.ndarray, weight: np.ndarray, start: int, stop: int
) -> np.ndarray:
    """Sums of the frames of windows `start` to `stop`, each over its weight, (window, unit); NaN where that is."""
    lows, highs = lows[start:stop], highs[start:stop]
    values = np.zeros((len(lows), frames.n_units))
    for first, block, windows in passes(frames, lows, highs):
        for window in windows:
            inside = block[max(lows[window] - first, 0) : highs[window] - first]
            values[window] += inside.sum(0, dtype=np.float64)
    return values / weight[start:stop, None]


def binned_frames(
    frames: Source, starts: np.ndarray, n_bins: int, bin_width: float, report: LoadReport, chunks: int | str | None
) -> Any:
    """The mean of the frames in each bin ``[start + k * bin_width, start + (k + 1) * bin_width)``.

    Parameters
    ----------
    frames : Source
    starts : (trial,) array
        Seconds.
    n_bins : int
    bin_width : float
        Seconds, at least a frame's.
    report : LoadReport
        Gets the count of bins that hold no frame; they are NaN.
    chunks : int, "auto" or None
        Trials a block of a dask array, or bins where there is one window; None for values in memory.

    Returns
    -------
    numpy.ndarray or dask array
        Shape (trial, time, unit), or (time, unit) for one window; float64.
    """
    times, width = frames.times, frame_width(frames.times)
    if bin_width < width * (1 - SLACK):
        raise InputError(
            f"bin_width must be at least a frame of {frames.path!r}, {width:g} s; got {bin_width:g} s. Leave it out to "
            "have the frames as they are."
        )
    edges = starts[:, None] + np.arange(n_bins + 1) * bin_width - SLACK * width
    at = np.searchsorted(times, edges)  # (trial, edge)
    lows, n_inside = at[:, :-1].ravel(), np.diff(at, axis=1).ravel()
    if (n_inside == 0).any():
        report.warn(f"{int((n_inside == 0).sum())} of {n_inside.size} bins hold no frame of {frames.path!r}: NaN.")
    weight = np.where(n_inside, n_inside, np.nan)
    if len(starts) == 1:
        shape: tuple[int, ...] = (n_bins, frames.n_units)
        read = partial(_summed, frames, lows, lows + n_inside, weight)
    else:
        shape = (len(starts), n_bins, frames.n_units)
        read = partial(_binned_trials, frames, lows, lows + n_inside, weight, n_bins)
    return read(0, shape[0]) if chunks is None else as_dask(Blocks(shape, np.dtype(np.float64), read), chunks)


def _binned_trials(
    frames: Source, lows: np.ndarray, highs: np.ndarray, weight: np.ndarray, n_bins: int, start: int, stop: int
) -> np.ndarray:
    return _summed(frames, lows, highs, weight, start * n_bins, stop * n_bins).reshape(stop - start, n_bins, -1)


def _frames_inside(times: np.ndarray, windows: Windows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First frame of each window, the one after its last, and whether none is missing."""
    width = frame_width(times)
    slack = SLACK * width
    first = np.searchsorted(times, windows.starts - slack)
    last = np.searchsorted(times, windows.stops - slack)
    filled = last > first
    gaps = np.concatenate([[0], np.cumsum(np.diff(times) > GAP * width)])  # gaps before each frame
    a, b = np.where(filled, first, 0), np.where(filled, last - 1, 0)
    no_gap = (gaps[a] == gaps[b]) & (times[a] - windows.starts < GAP * width + slack)
    no_gap &= windows.stops - times[b] < GAP * width + slack
    inside = (windows.starts > times[0] - width + slack) & (windows.stops <= times[-1] + width + slack)
    return first, last, filled & inside & (no_gap | (width == 0))
