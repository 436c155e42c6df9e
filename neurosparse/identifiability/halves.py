"""Averages over random halves of the repeats, on the samples of a pair: what ceilings and unbiased distances need."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf_shrinkage

from neurosparse import population
from neurosparse.backend.resampling import label_codes, label_means, random_halves
from neurosparse.errors import DataWarning, EvidenceWarning
from neurosparse.identifiability.pairing import Nan

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Repeats:
    """Trials of one side whose stimuli were all shown at least twice.

    Attributes
    ----------
    trials : DataArray (trial, unit)
    stimuli : (sample,) labels of the joined samples
    rows : (kept,) int array
        Which of the joined samples have repeats.
    """

    trials: xr.DataArray
    stimuli: NDArray[Any]
    rows: NDArray[np.int64]

    def halves(self, n_splits: int, random_state: int) -> Iterator[tuple[Array, Array]]:
        """Pairs of (kept, unit) averages over disjoint halves of the trials."""
        wanted = self.stimuli[self.rows]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", (DataWarning))  # stimuli shown once: left out already, and counted
            for pair in population.split_halves(self.trials, n_splits=n_splits, random_state=random_state):
                first, second = (np.asarray(half.sel(stimulus=wanted).values, dtype=np.float64) for half in pair)
                yield first, second

    def quarters(self, n_splits: int, random_state: int) -> Iterator[list[tuple[Array, Array]]]:
        """Two pairs of (kept, unit) averages over four disjoint quarters of the trials; none below four a stimulus."""
        values = np.asarray(self.trials.values, dtype=np.float64)
        distinct, codes, counts = label_codes(self.trials["stimulus"].values, "stimulus")
        wanted = np.searchsorted(distinct, self.stimuli[self.rows])
        if counts[wanted].min() < 4:
            return
        rng = np.random.default_rng(random_state)
        for first in random_halves(codes, counts, n_splits, random_state=rng):
            pairs = []
            for half in (np.flatnonzero(first), np.flatnonzero(~first)):
                own = codes[half]
                inside = next(random_halves(own, np.bincount(own, minlength=len(counts)), 1, random_state=rng))
                parts = [
                    label_means(values[rows], codes[rows], len(counts))[0] for rows in (half[inside], half[~inside])
                ]
                pairs.append((parts[0][wanted], parts[1][wanted]))
            yield pairs

    def noise_covariance(self) -> Array:
        """Covariance (unit, unit) of trials about their stimulus mean, shrunk towards a multiple of the identity."""
        values = np.asarray(self.trials.values, dtype=np.float64)
        _, codes, counts = label_codes(self.trials["stimulus"].values, "stimulus")
        residual = values - label_means(values, codes, len(counts))[0][codes]
        residual = residual[counts[codes] > 1]
        scatter = residual.T @ residual / max(len(residual) - int((counts > 1).sum()), 1)
        share = ledoit_wolf_shrinkage(residual, assume_centered=True)
        mean = np.trace(scatter) / len(scatter)
        return np.asarray((1 - share) * scatter + share * mean * np.eye(len(scatter)))


def repeats_of(side: Any, stimuli: NDArray[Any], nan: Nan) -> Repeats | None:
    """The trials of `side` on these stimuli; None where fewer than four of them were repeated."""
    if not isinstance(side, xr.DataArray) or side.dims != ("trial", "unit") or "stimulus" not in side.coords:
        return None
    seen = ~np.isnan(np.asarray(side.values, dtype=np.float64)).any(axis=1)
    if nan == "raise" or seen.all():
        trials = side
    else:
        trials = side.isel(trial=np.flatnonzero(seen))
    distinct, counts = np.unique(trials["stimulus"].values, return_counts=True)
    repeated = distinct[counts > 1]
    rows = np.flatnonzero(np.isin(stimuli, repeated))
    if len(rows) < 4:
        return None
    if len(rows) < len(stimuli):
        warnings.warn(
            f"{len(stimuli) - len(rows)} of {len(stimuli)} stimuli were shown once; ceilings leave them out.",
            EvidenceWarning,
            stacklevel=3,
        )
    return Repeats(trials.isel(trial=np.flatnonzero(np.isin(trials["stimulus"].values, stimuli))), stimuli, rows)
