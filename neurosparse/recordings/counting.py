"""Counting spikes in bins, right to the sample: sorted arrays in, counts out. Imports numpy and numba alone."""

from __future__ import annotations

from collections.abc import MutableSequence, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

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
    seen = off = 0
    for train in trains:  # one by one: together they would be as large as a small result
        samples = train[:1000] * rate
        seen += len(samples)
        off += int((np.abs(samples - np.rint(samples)) > 0.1).sum())
    return off <= 0.01 * seen


def count_bins(
    trains: MutableSequence[np.ndarray],
    starts: np.ndarray,
    bin_width: float,
    n_bins: int,
    clock: Clock,
    dtype: Any = np.uint16,
    first: int = 0,
    spend: bool = False,
) -> np.ndarray:
    """Spikes of each unit in bins ``[start + k * bin_width, start + (k + 1) * bin_width)``.

    Parameters
    ----------
    trains : list of array
        Rising spike times in seconds, one array a unit.
    starts : (trial,) array
        Where the first bin of each trial begins, in seconds; trials may overlap.
    bin_width : float
        Seconds.
    n_bins : int
    clock : Clock
    dtype : dtype
        Of the counts; uint16 becomes uint32 where a bin holds more than 65,535 spikes.
    first : int
        The k of the first bin: a part of a longer run of bins is counted on the same edges as the whole.
    spend : bool
        Let the times of each unit go once they are counted (`trains` must be a list): the result then grows while
        they shrink.

    Returns
    -------
    numpy.ndarray
        Shape (unit, trial, time).

    Notes
    -----
    Each unit's times are walked once, from where a trial begins to where it ends; memory is the result. Each unit is
    written in one run, so the result is the transpose of the population.
    """
    counts = np.zeros((len(trains), len(starts), n_bins), dtype)
    step = float(clock.edges(np.asarray(bin_width)))
    first_edges = clock.edges(starts) + first * step
    for unit, train in enumerate(trains):
        if not _count(train, first_edges, step, clock.rate or 0.0, clock.slack, counts[unit]):
            counts[unit] = 0
            counts = counts.astype(np.uint32)
            _count(train, first_edges, step, clock.rate or 0.0, clock.slack, counts[unit])
        if spend:
            trains[unit] = train[:0].copy()
    return counts


@njit(cache=True, nogil=True, error_model="numpy")
def _count(
    spikes: np.ndarray, starts: np.ndarray, step: float, rate: float, slack: float, counts: np.ndarray
) -> bool:  # pragma: no cover - compiled
    """Add the spikes of one unit to `counts` (trial, time); False where a count would pass 65,535 in two bytes.

    `starts`, `step` and `slack` are in samples where `rate` is not 0, else in seconds, as the spikes are.
    """
    n_bins, n_spikes, scale = counts.shape[1], len(spikes), 1 / step
    largest = 65_535 if counts.itemsize == 2 else 1 << 31
    low, before = 0, -np.inf
    for trial in range(len(starts)):
        begin = starts[trial] - slack
        end = starts[trial] + n_bins * step - slack
        # From the trial before on, in leaps that double and then in halves: trials come in order, if not always.
        low, before = 0 if begin < before else low, begin
        leap, high = 1, low
        while high < n_spikes and (np.rint(spikes[high] * rate) if rate else spikes[high]) < begin:
            low = high + 1
            high += leap
            leap *= 2
        high = min(high, n_spikes)
        while low < high:
            middle = (low + high) // 2
            if (np.rint(spikes[middle] * rate) if rate else spikes[middle]) < begin:
                low = middle + 1
            else:
                high = middle
        bins = counts[trial]
        for i in range(low, n_spikes):
            spike = np.rint(spikes[i] * rate) if rate else spikes[i]
            if spike >= end:
                break
            k = min(int((spike - begin) * scale), n_bins - 1)
            if bins[k] == largest:
                return False
            bins[k] += 1
    return True


@njit(cache=True, nogil=True)
def flaws(spikes: np.ndarray) -> tuple[int, int, int]:  # pragma: no cover - compiled
    """How many of one unit's times are NaN or infinite, how many lie before the one they follow, how many repeat it."""
    unreal, falls, repeats = 0, 0, 0
    for i in range(len(spikes)):
        if not np.isfinite(spikes[i]):
            unreal += 1
        elif i and spikes[i] < spikes[i - 1]:
            falls += 1
        elif i and spikes[i] == spikes[i - 1]:
            repeats += 1
    return unreal, falls, repeats


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
