"""Shares of right answers: the interval that a share of few tasks has, and the p-value of a score with ties."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def wilson_interval(score: Floats, n_tasks: Ints) -> tuple[Floats, Floats]:
    """95 % Wilson interval of a share of `n_tasks` independent tasks; NaN where `score` is.

    It keeps its width where all answers are right, and a bootstrap of them has none.

    References
    ----------
    E. Wilson, Journal of the American Statistical Association 22:209-212 (1927).
    """
    z = 1.959963984540054
    n = np.maximum(n_tasks, 1)
    centre = (score + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(score * (1 - score) / n + z**2 / (4 * n**2))
    return centre - half, centre + half


def randomised_p_value(observed: Floats, null: Floats, rng: np.random.Generator) -> Floats:
    """One-sided p-value with ties broken at random, p = (#{null > observed} + U (1 + #{null = observed})) / (1 + B).

    Parameters
    ----------
    observed : (profile,) array
    null : (draw, profile) array
    rng : numpy.random.Generator
        Gives U, uniform in [0, 1), one a profile.

    Returns
    -------
    (profile,) array
        Uniform under the null for scores that take few values, where the plain p-value is only super-uniform.
    """
    above, equal = (null > observed).sum(axis=0), (null == observed).sum(axis=0)
    p = (above + rng.random(np.shape(observed)) * (1 + equal)) / (1 + len(null))
    return np.where(np.isnan(observed), np.nan, p)
