"""Windows of frames as they are: the frame nearest to each step of a window's clock."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from neurosparse.errors import InputError
from neurosparse.recordings.frames.passing import passes
from neurosparse.recordings.frames.stored import SLACK, Frames, Source, frame_width
from neurosparse.recordings.intervals import Windows
from neurosparse.recordings.lazy import Blocks, as_dask
from neurosparse.recordings.load_report import LoadReport


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
    if isinstance(frames, Frames) and direct.any():
        with frames.held() as held:
            for trial in np.flatnonzero(direct):
                held.read_into(values[trial], int(lows[trial]))
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
