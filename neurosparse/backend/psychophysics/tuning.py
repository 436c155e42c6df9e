"""What a profile says of where the animal was, or which way it faced: maps over bins of a covariate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neurosparse.backend.linear.scoring import correlations, fisher_mean
from neurosparse.backend.psychophysics.products import Product

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def bin_codes(covariate: Floats, n_bins: int, period: float | None = None) -> tuple[Ints, Floats]:
    """Bin of every sample, and the bins' centres.

    Parameters
    ----------
    covariate : (sample, dimension) float64 array
        NaN where it was not observed.
    n_bins : int
        Equal bins a dimension, over what was observed, or over one period.
    period : float, optional
        Of a circular covariate, 2 pi for an angle in radians.

    Returns
    -------
    codes : (sample,) int64 array
        -1 where not observed.
    centres : (bin, dimension) float64 array
        All ``n_bins ** dimension`` bins, the last dimension fastest.
    """
    seen = np.isfinite(covariate).all(axis=1)
    if period is not None:
        low, width = np.zeros(covariate.shape[1]), np.full(covariate.shape[1], period / n_bins)
        inside = np.mod(covariate[seen], period)
    else:
        low = covariate[seen].min(axis=0)
        span = np.ptp(covariate[seen], axis=0)
        width, inside = np.where(span > 0, span, 1.0) / n_bins, covariate[seen]
    place = np.clip(((inside - low) / width).astype(np.int64), 0, n_bins - 1)
    codes = np.full(len(covariate), -1, dtype=np.int64)
    shape = (n_bins,) * covariate.shape[1]
    codes[seen] = np.ravel_multi_index(tuple(place.T), shape)
    axes = np.meshgrid(*[low[k] + width[k] * (np.arange(n_bins) + 0.5) for k in range(len(shape))], indexing="ij")
    return codes, np.stack([axis.ravel() for axis in axes], axis=1)


def tuning_maps(
    values: Floats, codes: Ints, n_bins: int, times: Floats | None = None, product: Product | None = None
) -> tuple[Floats, Floats]:
    """Mean response in each bin (bin, profile), NaN where no sample fell, and how many did (bin,).

    `times` (sample,) says how often each sample occurs; `product` is `left_product` of the values.
    """
    members = np.asarray(np.arange(n_bins)[:, None] == codes, dtype=np.float64)
    if times is not None:
        members *= times
    occupancy = members.sum(axis=1)
    total = members @ values if product is None else np.asarray(product(members), dtype=np.float64)
    visited = occupancy[:, None] > 0
    return np.where(visited, total / np.where(visited, occupancy[:, None], 1.0), np.nan), occupancy


def information_per_spike(maps: Floats, occupancy: Floats) -> Floats:
    r"""Bits a spike, sum_x p_x (m_x / m) log2(m_x / m), for bins x visited with probability p_x and m = sum p_x m_x.

    Parameters
    ----------
    maps : (bin, profile) float64 array
        Non-negative.
    occupancy : (bin,) float64 array

    Returns
    -------
    (profile,) float64 array
        NaN for a silent profile. Noise raises it, by about (bins - 1) / (2 ln 2 x spikes) bits.

    References
    ----------
    W. Skaggs et al., NIPS 1992.
    """
    visited = occupancy > 0
    share = (occupancy[visited] / occupancy[visited].sum())[:, None]
    mean = (share * maps[visited]).sum(axis=0)
    relative = np.where(mean > 0, maps[visited] / np.where(mean > 0, mean, 1.0), np.nan)
    logged = np.log2(np.where(relative > 0, relative, 1.0))
    return (share * relative * logged).sum(axis=0)


def mean_direction_length(maps: Floats, centres: Floats, period: float) -> Floats:
    """Length of the mean direction of a map, each visited bin counting alike: 0 for a flat map, 1 for a single bin.

    Occupancy is taken out, since `maps` (bin, profile) are means over samples; `centres` (bin,) in units of `period`.
    """
    visited = np.isfinite(maps).all(axis=1)
    turn = np.exp(2j * np.pi * centres[visited] / period)
    total = maps[visited].sum(axis=0)
    return np.where(total > 0, np.abs(turn @ maps[visited]) / np.where(total > 0, total, 1.0), np.nan)


def map_stability(
    values: Floats,
    codes: Ints,
    n_bins: int,
    halves: Bools,
    times: Floats | None = None,
    product: Product | None = None,
) -> Floats:
    """Correlation of the maps of two halves of the samples over the bins that both visited, Fisher mean over splits.

    `halves` (split, sample); the result is (profile,), NaN where fewer than three bins are shared.
    """
    each = []
    for half in halves:
        count = np.ones(len(values)) if times is None else times
        first, second = (tuning_maps(values, codes, n_bins, count * part, product)[0] for part in (half, ~half))
        both = np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1)
        enough = both.sum() >= 3
        each.append(correlations(first[both], second[both]) if enough else np.full(values.shape[1], np.nan))
    return np.asarray(fisher_mean(np.stack(each)))
