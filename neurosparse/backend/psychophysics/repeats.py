"""How much of an average over repeats would come back with other repeats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Terms:
    """What a reliability is made of: mean responses and the noise variance of each, (stimulus, profile)."""

    means: Floats
    noise: Floats

    def reliability(self) -> Floats:
        return self.resampled(np.ones((1, len(self.means)), dtype=np.int64))[0]

    def resampled(self, weights: Ints) -> Floats:
        """(draw, profile), stimuli counted by `weights` (draw, stimulus)."""
        times = weights / weights.sum(axis=1, keepdims=True)
        centred = self.means - self.means.mean(axis=0)
        n = weights.sum(axis=1, keepdims=True)
        total = (times @ centred**2 - (times @ centred) ** 2) * n / (n - 1)
        varies = total > 1e-12 * (self.means**2).max(axis=0, initial=0.0)
        return np.where(varies, 1 - (times @ self.noise) / np.where(varies, total, 1.0), np.nan)


def repeat_reliability(values: Floats, codes: Ints, n_stimuli: int) -> tuple[Floats, Terms]:
    """Signal variance over the variance of the average, 1 - mean_s(v_s / R_s) / Var_s(m_s).

    m_s and v_s are mean and variance (both ddof 1) over the R_s repeats of stimulus s. It estimates what the
    Spearman-Brown correction of the split-half correlation does, with no split to draw.

    Parameters
    ----------
    values : (trial, profile) float64 array
    codes : (trial,) int64 array
        Stimulus of each trial, from 0 to ``n_stimuli - 1``, each at least twice.
    n_stimuli : int

    Returns
    -------
    reliability : (profile,) float64 array
        At most 1; below 0 by chance where there is no signal; NaN where averages do not vary.
    terms : Terms
    """
    adder = sparse.csr_array((np.ones(len(codes)), (codes, np.arange(len(codes)))), shape=(n_stimuli, len(codes)))
    counts = np.bincount(codes, minlength=n_stimuli)[:, None]
    means = adder @ values / counts
    noise = adder @ (values - means[codes]) ** 2 / (counts * (counts - 1))
    terms = Terms(means, noise)
    return terms.reliability(), terms
