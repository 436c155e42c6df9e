"""Bootstrap weights over whole groups, and percentile intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosparse.backend.resampling.checks import generator, label_codes, whole_number
from neurosparse.errors import InputError


def bootstrap_weights(groups: ArrayLike, n_bootstraps: int, *, random_state: Any = 0) -> NDArray[np.float64]:
    """How often each row enters each bootstrap sample when whole groups are drawn with replacement.

    Parameters
    ----------
    groups : (n,) array of labels
        Rows with one label are drawn together.
    n_bootstraps : int
    random_state : int, numpy.random.Generator or None

    Returns
    -------
    (bootstrap, n) float64 array of counts
        Constant within a group; as many groups are drawn as there are.

    Raises
    ------
    InputError
        If there are fewer than two groups.
    """
    n_bootstraps = whole_number(n_bootstraps, "n_bootstraps")
    distinct, codes, _ = label_codes(groups, "groups")
    n_groups = len(distinct)
    if n_groups < 2:
        raise InputError(f"a bootstrap over groups needs at least two; got {n_groups} over {len(codes)} rows.")
    rng = generator(random_state)
    counts = rng.multinomial(n_groups, np.full(n_groups, 1.0 / n_groups), size=n_bootstraps)
    return counts[:, codes].astype(np.float64)


def percentile_interval(samples: ArrayLike, level: float = 0.95, axis: int = 0) -> tuple[Any, Any]:
    """Central interval that holds `level` of the samples; NaN where a sample is NaN.

    Parameters
    ----------
    samples : array
        Bootstrap values along `axis`.
    level : float
        In (0, 1).
    axis : int

    Returns
    -------
    low, high : arrays of the shape of `samples` without `axis`

    Raises
    ------
    InputError
        If `level` is outside (0, 1), or there are no samples.
    """
    if not 0 < level < 1:
        raise InputError(f"level must lie between 0 and 1, as in 0.95; got {level!r}.")
    samples = np.asarray(samples, dtype=np.float64)
    if samples.ndim == 0 or samples.shape[axis] == 0:
        raise InputError(f"an interval needs samples along axis {axis}; got shape {samples.shape}.")
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2], axis=axis)
    return low, high
