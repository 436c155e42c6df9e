"""What stands beside a similarity: its null, its ceiling, its jackknife."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from neurosparse.backend.matching import chance_corrected
from neurosparse.backend.representational import Kernel, Metric, inner, whitened_second_moment
from neurosparse.backend.resampling import p_value
from neurosparse.identifiability.halves import Repeats
from neurosparse.identifiability.results import ROUNDING, chance_verdict
from neurosparse.identifiability.splits import Split

Array = NDArray[np.float64]

N_BLOCKS = 20
LEVEL = 0.95


def null_values(measure: Metric, values: list[Array], states: list[Any], split: Split) -> Array:
    """The value with the samples of one side in each order of the split; the side that is cheaper to prepare moves."""
    if split.orders is None:
        return np.empty(0)
    moved = 0 if measure.symmetric and values[0].shape[1] < values[1].shape[1] else 1
    drawn = []
    for order in split.orders:
        again = list(states)
        if measure.permuted is not None:
            again[moved] = measure.permuted(states[moved], order)
        else:
            again[moved] = measure.prepare(values[moved][order], split.folds)
        drawn.append(measure.compare(*again))
    return np.array(drawn)


def chance(value: float, null: Array) -> dict[str, Any]:
    if not len(null):
        return {"null": np.nan, "p": np.nan, "corrected": np.nan, "verdict": chance_verdict(np.nan)}
    p = float(p_value(value - ROUNDING, null))
    mean = float(np.nanmean(null)) if np.isfinite(null).any() else np.nan
    return {"null": mean, "p": p, "corrected": float(chance_corrected(value, mean)), "verdict": chance_verdict(p)}


def ceiling(
    measure: Metric, values: list[Array], repeats: list[Repeats | None], split: Split, n_splits: int, seed: int
) -> dict[str, Any]:
    if measure.share_of_signal is None or not any(repeats):
        return {"ceiling": np.nan}
    share = 1.0
    for side, one in zip(values, repeats, strict=True):
        if one is None:
            continue
        folds = restricted(split, one.rows, len(side))
        full = measure.prepare(side[one.rows], folds)
        found = [
            measure.share_of_signal(measure.prepare(first, folds), measure.prepare(second, folds), full)
            for first, second in one.halves(n_splits, seed)
        ]
        share *= float(np.mean(found))
    return {"ceiling": float(np.sqrt(share)) if share > 0 else np.nan}


def crossnobis_ceiling(
    states: list[Kernel], repeats: list[Repeats | None], n_splits: int, seed: int
) -> dict[str, float]:
    """sqrt of <G1, G2> / <G, G>: second moments of two disjoint sets of repeats, and of all of them."""
    share = 1.0
    for state, one in zip(states, repeats, strict=True):
        if one is None:
            continue
        noise = one.noise_covariance()
        found = [
            inner(*(whitened_second_moment([pair], noise) for pair in pairs)) for pairs in one.quarters(n_splits, seed)
        ]
        share *= float(np.mean(found)) / inner(state, state) if found else np.nan
    return {"ceiling": float(np.sqrt(share)) if share > 0 else np.nan}


def jackknife(measure: Metric, values: list[Array], states: list[Any], split: Split, seed: int) -> tuple[float, float]:
    """Half-width below and above: t times the standard error over the values without each block of groups.

    sd^2 = (g - 1) / g sum_j (v_j - mean v)^2 for g blocks left out in turn.
    """
    distinct = np.unique(split.groups)
    n_blocks = min(N_BLOCKS, len(distinct))
    if n_blocks < 2:
        return float("nan"), float("nan")
    in_time = split.nuisance is not None
    order = distinct if in_time else np.random.default_rng(seed).permutation(distinct)
    left_out = []
    for block in np.array_split(order, n_blocks):
        rows = np.flatnonzero(~np.isin(split.groups, block))
        folds = restricted(split, rows, len(split.groups))
        if measure.permuted is not None:  # a kernel: its own rows are all there is to it
            again = [measure.permuted(state, rows) for state in states]
            again = [_recentred(state) for state in again]
        else:
            again = [measure.prepare(side[rows], folds) for side in values]
        left_out.append(measure.compare(*again))
    spread = np.array(left_out) - np.mean(left_out)
    error = float(np.sqrt((n_blocks - 1) / n_blocks * (spread**2).sum()))
    half = float(stats.t.ppf(0.5 + LEVEL / 2, n_blocks - 1)) * error
    return half, half


def _recentred(kernel: Kernel) -> Kernel:
    """A kernel on fewer samples, centred over those."""
    values = kernel.values - kernel.values.mean(axis=0)
    if kernel.is_gram:
        if not kernel.squares.any():  # ranks of distances: only their common mean goes, and the diagonal stays 0
            n = len(kernel.values)
            values = kernel.values - kernel.values.sum() / max(n * (n - 1), 1)
            np.fill_diagonal(values, 0.0)
            return Kernel(values, True, kernel.squares)
        values = values - values.mean(axis=1, keepdims=True)
        return Kernel(values, True, np.diag(values).copy())
    return Kernel(values, False, np.einsum("ij,ij->i", values, values))


def restricted(split: Split, rows: NDArray[np.int64], n: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The folds of the split among `rows`, numbered by their place there; folds that lose their test rows go."""
    place = np.full(n, -1)
    place[rows] = np.arange(len(rows))
    parts = [(place[train], place[test]) for train, test in split.folds]
    kept = [(train[train >= 0], test[test >= 0]) for train, test in parts]
    return [(train, test) for train, test in kept if len(test) > 2]
