"""h5py and numpy alone, written by hand for the one task: what a careful user could do without a library."""

from __future__ import annotations

import h5py
import numpy as np
import pynwb


def counts(path: str, tiny: str, bin_width: float):
    def load(path):
        with h5py.File(path, "r") as file:
            times = file["units/spike_times"][:]
            ends = file["units/spike_times_index"][:].astype(np.int64)
        n_bins = int(np.ceil(times.max() / bin_width))
        values = np.empty((len(ends), n_bins), np.uint16)
        for unit, train in enumerate(np.split(times, ends[:-1])):
            values[unit] = np.bincount((train / bin_width).astype(np.int64), minlength=n_bins)[:n_bins]
        return values.T

    load(tiny)
    return (lambda: load(path)), facts


def trials(path: str, tiny: str, bin_width: float, window: list[float]):
    def load(path):
        with h5py.File(path, "r") as file:
            times = file["units/spike_times"][:]
            ends = file["units/spike_times_index"][:].astype(np.int64)
            starts = file["intervals/trials/start_time"][:] + window[0]
        n_bins = round((window[1] - window[0]) / bin_width)
        values = np.zeros((len(ends), len(starts), n_bins), np.uint16)
        for unit, train in enumerate(np.split(times, ends[:-1])):
            first = np.searchsorted(train, starts)
            last = np.searchsorted(train, starts + n_bins * bin_width)
            trial = np.repeat(np.arange(len(starts)), last - first)
            offset = np.arange(len(trial)) - np.repeat(np.cumsum(last - first) - (last - first), last - first)
            inside = train[np.repeat(first, last - first) + offset]
            bins = np.minimum(((inside - starts[trial]) / bin_width).astype(np.int64), n_bins - 1)
            values[unit] = np.bincount(trial * n_bins + bins, minlength=values[unit].size).reshape(values[unit].shape)
        return values.transpose(1, 2, 0)

    load(tiny)
    return (lambda: load(path)), facts


def frames(path: str, tiny: str, window: list[float]):
    def load(path):
        with h5py.File(path, "r") as file:
            series = file["processing/ophys/Fluorescence/RoiResponseSeries"]
            rate, start = series["starting_time"].attrs["rate"], series["starting_time"][()]
            first = np.ceil((file["intervals/trials/start_time"][:] + window[0] - start) * rate - 1e-3).astype(int)
            n_frames = round((window[1] - window[0]) * rate)
            values = np.empty((len(first), n_frames, series["data"].shape[1]), series["data"].dtype)
            for trial, frame in enumerate(first):
                values[trial] = series["data"][frame : frame + n_frames]
        return values

    load(tiny)
    return (lambda: load(path)), facts


def inspect(path: str, tiny: str):
    def look(path):
        with pynwb.NWBHDF5IO(path, "r", load_namespaces=True) as io:
            return len(io.read().objects)

    look(tiny)
    return (lambda: look(path)), (lambda n: {"objects": n})


def facts(x):
    return {
        "shape": list(x.shape),
        "dtype": str(x.dtype),
        "trial_axis": 0,
        "output_mb": x.nbytes / 1e6,
        "sum": float(np.nansum(x, dtype=float)),
    }
