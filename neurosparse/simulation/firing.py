"""Rates -> spike times. Arrays enter and leave; it imports numpy and ``errors``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurosparse.errors import InputError

# Spikes and trials lie on a clock of 2**15 Hz: every time is exact in float64, and files of them compress well.
CLOCK = 32768
_SHORTEST = 0.001
_FASTEST = 500.0


@dataclass(frozen=True)
class Firing:
    """How neurons turn latents into spikes.

    Attributes
    ----------
    baseline : float
        Rate in Hz where no latent is active, and between trials.
    depth : float
        Standard deviation of a unit's rate over stimuli, as a share of `baseline`, for the average unit.
    window, gap : float
        Seconds a trial lasts, and seconds between two.
    """

    baseline: float = 26.0
    depth: float = 0.36
    window: float = 1.0
    gap: float = 0.25

    def __post_init__(self) -> None:
        """Raise an InputError where a value is out of range."""
        # A window of a few ticks could be asked to hold more spikes than it has ticks.
        durations = self.window >= _SHORTEST and (self.gap == 0 or self.gap >= _SHORTEST)
        if not (durations and 0 < self.baseline <= _FASTEST and self.depth > 0):
            raise InputError(
                f"Firing needs baseline in (0, {_FASTEST:g}] Hz, depth > 0, window >= {_SHORTEST} s and gap 0 or >= "
                f"{_SHORTEST} s; got {self}."
            )


def spike_trains(
    rates: np.ndarray, firing: Firing, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, ...], float]:
    """Poisson spikes of a session of trials, with a gap before each trial and after the last.

    Parameters
    ----------
    rates : (trial, unit)
        Hz during each trial; between trials it is ``firing.baseline``.
    firing : Firing
    rng : Generator

    Returns
    -------
    starts, stops : (trial,)
        Seconds; a spike belongs to a trial if ``start <= time < stop``.
    spike_times : tuple of (spike,) arrays
        Seconds, ascending and distinct, one array a unit.
    duration : float
        End of the session, seconds.
    """
    window, gap = round(firing.window * CLOCK), round(firing.gap * CLOCK)
    start = gap + np.arange(len(rates)) * (window + gap)  # ticks
    pauses = np.arange(len(rates) + 1) * (window + gap)
    # Counts first, then places: given its count, a Poisson process is uniform on its interval.
    shown = rng.poisson(rates * window / CLOCK)  # (trial, unit)
    idle = rng.poisson(firing.baseline * gap / CLOCK, (len(pauses), rates.shape[1]))  # (pause, unit)
    spike_times = []
    for unit in range(rates.shape[1]):
        begin = np.concatenate([np.repeat(start, shown[:, unit]), np.repeat(pauses, idle[:, unit])])
        length = np.repeat([window, gap], [shown[:, unit].sum(), idle[:, unit].sum()])
        spike_times.append(_distinct_ticks(begin, length, rng) / CLOCK)
    return start / CLOCK, (start + window) / CLOCK, tuple(spike_times), float((start[-1] + window + gap) / CLOCK)


def _distinct_ticks(begin: np.ndarray, length: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One tick of each ``[begin, begin + length)``, ascending, none twice: a neuron cannot spike twice at once."""
    ticks = begin + rng.integers(0, length)
    while True:
        rank = np.argsort(ticks, kind="stable")
        twice = rank[1:][np.diff(ticks[rank]) == 0]
        if twice.size == 0:
            return ticks[rank]
        ticks[twice] = begin[twice] + rng.integers(0, length[twice])
