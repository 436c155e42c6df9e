"""Counting spikes in bins, right to the sample: sorted arrays in, arrays of counts out. Imports numpy alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Two times of float64 arithmetic that should be equal differ by less than this many seconds, or a few of their last
# binary digits where they are larger than days.
SLACK_S = 1e-9
# An edge this near a sample, in samples, is meant to stand on it: files round times to the microsecond.
SNAP = 0.05


@dataclass(frozen=True)
class Clock:
    """The unit in which times are compared: whole samples where the sampling rate is known, else seconds.

    Attributes
    ----------
    rate : float or None
        Samples a second.
    slack : float
        Times closer than this, in the clock's own unit, are one time.
    """

    rate: float | None
    slack: float

    @classmethod
    def of(cls, trains: Sequence[np.ndarray], rate: float | None) -> Clock:
        """The clock of some spike times; `rate` None where it is not known."""
        if rate is not None:
            return cls(rate, 1e-3)
        latest = max((float(np.abs(train[[0, -1]]).max()) for train in trains if len(train)), default=0.0)
        return cls(None, max(SLACK_S, 4 * float(np.spacing(latest))))

    def spikes(self, times: np.ndarray) -> np.ndarray:
        """Spike times in this clock: the sample each was detected in, or seconds as they are."""
        return times if self.rate is None else np.rint(times * self.rate)

    def edges(self, times: np.ndarray) -> np.ndarray:
        """Edges in this clock; those that nearly stand on a sample are put on it."""
        if self.rate is None:
            return np.asarray(times, dtype=np.float64)
        samples = np.asarray(times, dtype=np.float64) * self.rate
        nearest = np.rint(samples)
        return np.where(np.abs(samples - nearest) < SNAP, nearest, samples)


def fits_rate(trains: Sequence[np.ndarray], rate: float) -> bool:
    """Whether spike times are whole samples at `rate`: at most 1 in 100 lies over a tenth of a sample off."""
    samples = np.concatenate([train[:1000] for train in trains] or [np.empty(0)]) * rate
    return bool(np.mean(np.abs(samples - np.rint(samples)) > 0.1) <= 0.01) if len(samples) else True


def count_bins(
    trains: Sequence[np.ndarray], starts: np.ndarray, bin_width: float, n_bins: int, clock: Clock
) -> np.ndarray:
    """Spikes of each unit in bins ``[start + k * bin_width, start + (k + 1) * bin_width)``.

    Parameters
    ----------
    trains : sequence of array
        Rising spike times in seconds, one array a unit.
    starts : (trial,) array
        Where the first bin of each trial begins, in seconds; trials may overlap.
    bin_width : float
        Seconds.
    n_bins : int
    clock : Clock

    Returns
    -------
    numpy.ndarray
        Shape (unit, trial, time), uint16, or uint32 where a bin holds more than 65,535 spikes.

    Notes
    -----
    Time goes with the number of spikes inside the trials plus the number of bins; memory is the result plus one
    unit's counts as int64. Each unit is written in one run, so the result is the transpose of the population.
    """
    counts = np.zeros((len(trains), len(starts), n_bins), np.uint16)
    first_edges = clock.edges(starts)
    step = float(clock.edges(np.asarray(bin_width)))
    for unit, train in enumerate(trains):
        spikes = clock.spikes(train)
        first, last = _between(spikes, first_edges, first_edges + n_bins * step, clock)
        n_inside = last - first
        trial = np.repeat(np.arange(len(starts)), n_inside)
        begin = np.repeat(first - (np.cumsum(n_inside) - n_inside), n_inside)
        inside = spikes[np.arange(len(trial)) + begin]
        bins = np.floor((inside - first_edges[trial] + clock.slack) / step).astype(np.int64)
        np.clip(bins, 0, n_bins - 1, out=bins)
        counted = np.bincount(trial * n_bins + bins, minlength=counts[unit].size)
        if counted.size and counted.max() > np.iinfo(counts.dtype).max:
            counts = counts.astype(np.uint32)
        counts[unit] = counted.reshape(len(starts), n_bins)
    return counts


def count_windows(trains: Sequence[np.ndarray], starts: np.ndarray, stops: np.ndarray, clock: Clock) -> np.ndarray:
    """Spikes of each unit in the windows ``[start, stop)``: shape (unit, trial), int64."""
    counts = np.empty((len(trains), len(starts)), np.int64)
    for unit, train in enumerate(trains):
        first, last = _between(clock.spikes(train), clock.edges(starts), clock.edges(stops), clock)
        counts[unit] = last - first
    return counts


def _between(spikes: np.ndarray, starts: np.ndarray, stops: np.ndarray, clock: Clock) -> tuple[np.ndarray, np.ndarray]:
    """First spike at or after each start, and at or after each stop."""
    first = np.searchsorted(spikes, starts - clock.slack)
    return first, np.maximum(np.searchsorted(spikes, stops - clock.slack), first)


def observed(intervals: np.ndarray, starts: np.ndarray, stops: np.ndarray, slack: float = 1e-6) -> np.ndarray:
    """Whether each span from `starts` to `stops` lies whole inside the union of `intervals` (interval, 2), seconds.

    Intervals that touch, to within `slack` seconds, are one.
    """
    if not len(intervals):
        return np.zeros(np.shape(starts), dtype=bool)
    intervals = intervals[np.argsort(intervals[:, 0], kind="stable")]
    reach = np.maximum.accumulate(intervals[:, 1])
    opens = np.concatenate([[True], intervals[1:, 0] > reach[:-1] + slack])
    begins = intervals[opens, 0]
    ends = reach[np.concatenate([opens[1:], [True]])]
    within = np.searchsorted(begins, np.asarray(starts) + slack, side="right") - 1
    return (within >= 0) & (np.asarray(stops) <= ends[np.maximum(within, 0)] + slack)
