"""Frames brought to one number a window or a bin: their sum, their mean, or their sum a second."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from neurosparse.errors import InputError
from neurosparse.recordings.frames.passing import passes
from neurosparse.recordings.frames.stored import SLACK, Source, frame_width
from neurosparse.recordings.intervals import Windows
from neurosparse.recordings.lazy import Blocks, as_dask
from neurosparse.recordings.load_report import LoadReport

# Two frames further apart than this many typical steps have a missing one between them.
GAP = 1.5


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
