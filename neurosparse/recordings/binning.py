"""Bins of a units table: counts or rates, NaN where a unit was not observed, whole or block by block.

`Trains` and edges enter, arrays leave.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from neurosparse.recordings.counting import Clock, count_bins, observed
from neurosparse.recordings.kernels import Kernel, smooth
from neurosparse.recordings.load_report import LoadReport
from neurosparse.recordings.trains import Trains

Span = tuple[float, float] | None


@dataclass(frozen=True)
class Bins:
    """Bins of one width, as many in each of some windows.

    Attributes
    ----------
    trains : Trains
    starts : numpy.ndarray
        Where the first bin of each window begins, seconds, shape (trial,).
    width : float
        Seconds.
    n_bins : int
    clock : Clock
    span : (float, float) or None
        When a unit without obs_intervals was observed; None for always.
    rate : bool
        Whether values are spikes a second rather than counts.
    kernel : Kernel, optional
        Smooths the rates; reads the bins on either side that it needs.
    first : int
        The first bin that is meant, counted from `starts`: a block begins on the same grid as the whole.
    """

    trains: Trains
    starts: np.ndarray
    width: float
    n_bins: int
    clock: Clock
    span: Span
    rate: bool = False
    kernel: Kernel | None = None
    first: int = 0

    def values(self, dtype: Any = None, spend: bool = False) -> np.ndarray:
        """Shape (unit, trial, time): uint16 or uint32 counts, float32 for rates and where some are NaN; or `dtype`.

        With `spend` the spike times are let go as they are counted, and nothing can be counted again.
        """
        if self.kernel is not None:
            return self._smoothed(self.kernel)
        hidden = hidden_bins(self.trains, self.span, *self.edges())
        small = np.float32 if any(mask is not None for mask in hidden) or self.rate else np.uint16
        counts = self._counts(self.trains.times, dtype or small, spend)
        if self.rate:
            counts /= np.float32(self.width)
        for unit, mask in enumerate(hidden):
            if mask is not None:
                counts[unit, mask] = np.nan
        return counts

    def edges(self) -> tuple[np.ndarray, np.ndarray]:
        """Starts and stops of all bins, each (trial, time)."""
        edges = self.starts[:, None] + (self.first + np.arange(self.n_bins + 1)) * self.width
        return edges[:, :-1], edges[:, 1:]

    def _counts(self, times: list[np.ndarray], dtype: Any, spend: bool = False) -> np.ndarray:
        return count_bins(times, self.starts, self.width, self.n_bins, self.clock, dtype, self.first, spend)

    def _smoothed(self, kernel: Kernel) -> np.ndarray:
        wide = replace(self, first=self.first - kernel.before, n_bins=kernel.before + self.n_bins + kernel.after)
        hidden = hidden_bins(self.trains, self.span, *wide.edges())
        rates = np.empty((len(hidden), len(self.starts), self.n_bins), np.float32)
        for unit, mask in enumerate(hidden):
            counts = wide._counts([self.trains.times[unit]], np.uint16)[0]
            rates[unit] = smooth(counts, mask, kernel) / self.width
        return rates

    def blocks(self, running: bool, dtype: Any, first: int, last: int) -> np.ndarray:
        """Windows `first` to `last`, (trial, time, unit); of one `running` window its bins, (time, unit)."""
        if running:
            return replace(self, first=self.first + first, n_bins=last - first).values(dtype)[:, 0].T
        return np.moveaxis(replace(self, starts=self.starts[first:last]).values(dtype), 0, -1)

    def dtype(self) -> np.dtype:
        """The dtype that all blocks fit, known without counting."""
        if self.rate or any(mask is not None for mask in hidden_bins(self.trains, self.span, *self.edges())):
            return np.dtype(np.float32)
        return np.dtype(np.uint32 if _crowded(self.trains, self.width) else np.uint16)


def _crowded(trains: Trains, width: float) -> bool:
    """Whether a bin of `width` seconds anywhere could hold more than 65,535 spikes."""
    n = np.iinfo(np.uint16).max
    return any(len(train) > n and bool((train[n:] - train[:-n] < 1.01 * width).any()) for train in trains.times)


def hidden_bins(trains: Trains, span: Span, starts: np.ndarray, stops: np.ndarray) -> list[np.ndarray | None]:
    """For each unit, which bins are not fully inside its obs_intervals, or inside `span` where it states none.

    None for a unit observed throughout; units of the same intervals share one array.
    """
    default = None if span is None else np.array([span])
    masks: dict[bytes, np.ndarray | None] = {}
    hidden: list[np.ndarray | None] = []
    for unit in range(len(trains.times)):
        stated = None if trains.observed is None or not len(trains.observed[unit]) else trains.observed[unit]
        intervals = default if stated is None else stated
        if intervals is None:
            hidden.append(None)
            continue
        key = intervals.tobytes()
        if key not in masks:
            mask = ~observed(intervals, starts, stops)
            masks[key] = mask if mask.any() else None
        hidden.append(masks[key])
    return hidden


def report_hidden(hidden: list[np.ndarray | None], trains: Trains, span: Span, report: LoadReport) -> None:
    """Say how many bins (trial, time) are NaN, in how many units and trials, and why."""
    masks = [mask for mask in hidden if mask is not None]
    if not masks:
        return
    n_hidden = sum(int(mask.sum()) for mask in masks)
    where = f"in {len(masks)} of {len(hidden)} units"
    n_trials = len(masks[0])
    if n_trials > 1:
        trials = np.logical_or.reduce([mask.any(1) for mask in {id(mask): mask for mask in masks}.values()])
        where += f" and {int(trials.sum())} of {n_trials} trials"
    reason = "obs_intervals"
    if span is not None:
        reason = f"the session ({span[0]:g} to {span[1]:g} s, by what the file holds)"
        if trains.observed is not None:
            reason = "the obs_intervals, or the session where a unit has none"
    report.warn(
        f"{n_hidden} of {masks[0].size * len(hidden)} counts are NaN, {where}: their bins are not fully inside "
        f"{reason}."
    )
