"""From the frames of a series to values in windows: read in slices, scaled, on the windows' clock.

`Series` and `Windows` enter, arrays leave.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from neurosparse.errors import InputError
from neurosparse.recordings.intervals import Windows
from neurosparse.recordings.load_report import LoadReport
from neurosparse.recordings.series import Series

# A frame this near an edge, in frames, stands on it: clocks are stored rounded and computed in float64.
SLACK = 1e-3
# Two frames further apart than this many typical steps have a missing one between them.
GAP = 1.5


@dataclass(frozen=True)
class Frames:
    """The frames of a series in one orientation: (time, unit), scaled as they are read."""

    series: Series
    transposed: bool
    columns: np.ndarray | None
    times: np.ndarray

    def read(self, first: int, last: int) -> np.ndarray:
        """Frames `first` to `last` (left out), shape (time, unit), in the series' own unit of measure.

        Stored numbers keep their dtype where no conversion applies; scaled integers become float64.
        """
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


def frame_width(times: np.ndarray) -> float:
    """Typical time from one frame to the next in seconds: the median difference; 0 for fewer than two frames."""
    return float(np.median(np.diff(times))) if len(times) > 1 else 0.0


def aligned_frames(frames: Frames, windows: Windows, report: LoadReport) -> tuple[np.ndarray, np.ndarray]:
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

    Returns
    -------
    values : numpy.ndarray
        Shape (trial, time, unit).
    time : numpy.ndarray
        Bin centres in seconds from the event, float64, shape (time,).

    Notes
    -----
    Memory is the result, plus all frames once where the windows together are longer than the recording.
    """
    width = frame_width(frames.times)
    n_bins = _whole_bins(windows.length, width, frames.series)
    index, present = _nearest_frames(frames.times, windows.starts, width, n_bins)
    values = _gather(frames, index, present)
    if not present.all():
        report.warn(
            f"{int((~present.all(1)).sum())} of {len(present)} windows reach beyond the frames of "
            f"{frames.series.path!r} or across a gap in them: {int((~present).sum())} bins are NaN."
        )
    return values, windows.offset + (np.arange(n_bins) + 0.5) * width


def _whole_bins(length: float, width: float, series: Series) -> int:
    n_bins = round(length / width) if width > 0 else 0
    if n_bins < 1:
        raise InputError(
            f"window must be at least one frame of {series.path!r} long ({width:g} s); got {length:g} s. "
            "Widen the window."
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


def _gather(frames: Frames, index: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Frames at `index` (trial, time), NaN where not `present`."""
    n_trials, n_bins = index.shape
    whole = frames.read(0, len(frames.times)) if index.size > len(frames.times) else None
    sample = frames.read(0, 1)
    dtype = sample.dtype if present.all() else np.result_type(sample.dtype, np.float32)
    values = np.empty((n_trials, n_bins, sample.shape[1]), dtype)
    for trial, rows in enumerate(index):
        first, last = int(rows.min()), int(rows.max()) + 1
        block = frames.read(first, last) if whole is None else whole[first:last]
        values[trial] = block[rows - first]
        if not present[trial].all():
            values[trial, ~present[trial]] = np.nan
    return values


REDUCERS: Mapping[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "sum": lambda values, _: values.sum(0),
    "mean": lambda values, _: values.mean(0),
    "rate": lambda values, duration: values.sum(0) / duration,
}


def reduced_frames(frames: Frames, windows: Windows, reduce: str, report: LoadReport) -> np.ndarray:
    """One vector a window: the sum, the mean or the sum a second of its frames, shape (trial, unit), float64.

    A frame on an edge belongs to the window that starts there. Windows that hold no frame or leave the recording are
    NaN, and counted.
    """
    first, last, kept = _frames_inside(frames.times, windows)
    many = int((last - first)[kept].sum()) > len(frames.times)
    whole = frames.read(0, len(frames.times)) if many else None
    n_units = frames.read(0, 1).shape[1]
    values = np.full((len(kept), n_units), np.nan)
    for trial in np.flatnonzero(kept):
        a, b = int(first[trial]), int(last[trial])
        block = frames.read(a, b) if whole is None else whole[a:b]
        values[trial] = REDUCERS[reduce](block.astype(np.float64), windows.stops[trial] - windows.starts[trial])
    if not kept.all():
        report.warn(
            f"{int((~kept).sum())} of {len(kept)} windows hold no frame of {frames.series.path!r}, reach beyond its "
            "first or last or across a gap: their rows are NaN."
        )
    return values


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
