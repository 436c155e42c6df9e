"""Frames placed in time: over the recording, in windows, or one vector a window, and labelled."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from neurosparse.errors import FileError, InputError
from neurosparse.recordings.assembly import Load, Measure, assemble
from neurosparse.recordings.frames import Source, aligned_frames, binned_frames, frame_width, reduced_frames
from neurosparse.recordings.lazy import Blocks, as_dask
from neurosparse.recordings.load_report import LoadReport
from neurosparse.recordings.spikes import n_whole_bins


def place(
    frames: Source,
    coords: dict[str, np.ndarray],
    measure: Measure,
    load: Load,
    *,
    bin_width: float | None = None,
    chunks: int | str | None = None,
) -> xr.DataArray:
    """Frames over time, in windows or one vector a window, as a population.

    Parameters
    ----------
    frames : Source
    coords : dict
        Of the dim `unit`.
    measure : Measure
    load : Load
    bin_width : float or None
        Seconds over which frames are averaged; None for the frames as they are.
    chunks : int, "auto" or None
        Entries of the first dim a block of a dask array.
    """
    request, report = load.request, load.report
    report.choose(reduce=request.reduce, bin_width=bin_width)
    if bin_width is not None and request.reduce is not None:
        raise InputError(f"bin_width is of bins; with reduce={request.reduce!r} there are none. Leave one of them out.")
    _check_clock(frames)
    windows, time = load.windows(), None
    if windows is None:
        values, time = _running(frames, request.window, bin_width, report, chunks)
    elif request.reduce is not None:
        values = reduced_frames(frames, windows, request.reduce, report, chunks)
    elif bin_width is None:
        values, time = aligned_frames(frames, windows, report, chunks)
    else:
        n_bins = n_whole_bins(windows.length, bin_width)
        values = binned_frames(frames, windows.starts, n_bins, bin_width, report, chunks)
        time = windows.offset + (np.arange(n_bins) + 0.5) * bin_width
        values = values.reshape(len(windows.starts), n_bins, -1)  # of one trial too
    if request.reduce == "rate":
        measure = Measure(measure.kind, f"{measure.quantity} a second", f"{measure.units} s-1")
    width = None if time is None else bin_width or frame_width(frames.times) or None
    return assemble(load, values, coords, measure, windows=windows, time=time, bin_width=width)


def _check_clock(frames: Source) -> None:
    repeats = int((np.diff(frames.times) <= 0).sum())
    if repeats:
        raise FileError(
            f"timestamps of {frames.path!r} must rise; {repeats} of {len(frames.times)} equal the one before. Give "
            "repair=True to keep the first frame of each time."
        )


def _running(
    frames: Source, window: Any, bin_width: float | None, report: LoadReport, chunks: int | str | None
) -> tuple[Any, np.ndarray]:
    """Frames, or bins of them, over the recording or a window of it: values (time, unit) and their times."""
    if bin_width is None:
        first, last = _between(frames, window)
        if chunks is None:
            return frames.read(first, last), frames.times[first:last]
        shape, dtype = (last - first, frames.n_units), frames.read(first, first + 1).dtype
        return as_dask(Blocks(shape, dtype, partial(_shifted, frames, first)), chunks), frames.times[first:last]
    n_whole_bins(bin_width, bin_width)
    if window is None:
        start = float(np.floor(frames.times[0] / bin_width + 1e-9) * bin_width)
        n_bins = int((frames.times[-1] - start) / bin_width + 1e-9) + 1
    else:
        start, n_bins = float(window[0]), n_whole_bins(float(window[1]) - float(window[0]), bin_width)
    values = binned_frames(frames, np.array([start]), n_bins, bin_width, report, chunks)
    return values, start + (np.arange(n_bins) + 0.5) * bin_width


def _shifted(frames: Source, by: int, first: int, last: int) -> np.ndarray:
    return frames.read(by + first, by + last)


def _between(frames: Source, window: Any) -> tuple[int, int]:
    """Frames of a window in seconds of the recording."""
    if window is None:
        return 0, len(frames.times)
    first, last = np.searchsorted(frames.times, [float(edge) for edge in window])
    if first == last:
        raise InputError(
            f"window={tuple(window)} holds no frame of {frames.path!r}, which runs from {frames.times[0]:g} to "
            f"{frames.times[-1]:g} s."
        )
    return int(first), int(last)
