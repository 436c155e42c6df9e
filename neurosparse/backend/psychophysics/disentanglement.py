"""Who is informative about what: disentanglement and completeness of importances, gaps of mutual information.

Importances (feature, concept) or bins (sample, feature) enter.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def _evenness(weights: Floats) -> Floats:
    """Entropy of each row over the log of its length: 1 where all weigh alike, 0 for a single one, NaN if none."""
    total = weights.sum(axis=1, keepdims=True)
    share = np.where(total > 0, weights / np.where(total > 0, total, 1.0), np.nan)
    logged = np.log(np.where(share > 0, share, 1.0))
    most = np.log(weights.shape[1]) if weights.shape[1] > 1 else 1.0
    return -(share * logged).sum(axis=1) / most


def dci(weights: Floats, explained: Bools | None = None) -> tuple[Floats, Floats, float]:
    """Disentanglement of features and completeness of concepts, from importances (feature, concept).

    D_i = 1 - H(P_i.) over concepts, C_j = 1 - H(P_.j) over features, entropies to base of their number; the overall
    disentanglement weighs features by their share of all importance.

    Parameters
    ----------
    weights : (feature, concept) non-negative float64 array
    explained : (concept,) bool array, optional
        Which concepts the features explain at all; by default all. Importances of the others are noise, and the few
        that noise leaves look disentangled: they are not counted, completeness there is 0, and the overall
        disentanglement is multiplied by the share of concepts that are explained.

    Returns
    -------
    disentanglement : (feature,), NaN for a feature that no concept needs
    completeness : (concept,)
    overall : float

    References
    ----------
    C. Eastwood, C. Williams, ICLR 2018. Deviation: `explained`.
    """
    if explained is None:
        explained = np.ones(weights.shape[1], dtype=bool)
    weights = np.where(explained, weights, 0.0)
    of_features, of_concepts = 1 - _evenness(weights), np.where(explained, 1 - _evenness(weights.T), 0.0)
    mass = weights.sum(axis=1)
    if not explained.any():
        return of_features, of_concepts, 0.0
    if mass.sum() == 0:
        return of_features, of_concepts, float("nan")
    return of_features, of_concepts, float(np.nansum(mass * of_features) / mass.sum() * explained.mean())


def binned(values: Floats, n_bins: int) -> Ints:
    """Bins of equal width of each column, from 0; (sample, column)."""
    low, span = values.min(axis=0), np.ptp(values, axis=0)
    place = (values - low) / np.where(span > 0, span, 1.0) * n_bins
    return np.clip(place.astype(np.int64), 0, n_bins - 1)


def mutual_information(first: Ints, second: Ints) -> Floats:
    """Plug-in mutual information in nats of every pair of columns of two integer matrices, (first, second)."""
    n = len(first)
    one_hot = [np.eye(part.max() + 1)[part] for part in (first, second)]  # (sample, column, value)
    flat = [part.reshape(n, -1) for part in one_hot]
    joint = (flat[0].T @ flat[1] / n).reshape(*one_hot[0].shape[1:], *one_hot[1].shape[1:])
    left, right = (part.mean(axis=0) for part in one_hot)
    apart = left[:, :, None, None] * right[None, None]
    inside = joint > 0
    return np.where(inside, joint * np.log(np.where(inside, joint, 1.0) / np.where(inside, apart, 1.0)), 0.0).sum(
        axis=(1, 3)
    )


def entropies(columns: Ints) -> Floats:
    """Plug-in entropy in nats of each integer column."""
    shares = [np.bincount(column) / len(column) for column in columns.T]
    return np.array([-(share[share > 0] * np.log(share[share > 0])).sum() for share in shares])


def mutual_information_gap(information: Floats, entropy: Floats) -> Floats:
    """(I of the best feature - I of the second) / H of each concept, from (feature, concept); NaN with one feature.

    References
    ----------
    R. Chen et al., NeurIPS 2018.
    """
    if len(information) < 2:
        return np.full(information.shape[1], np.nan)
    second, first = np.sort(information, axis=0)[-2:]
    return np.where(entropy > 0, (first - second) / np.where(entropy > 0, entropy, 1.0), np.nan)


def info_mec(information: Floats, entropy: Floats) -> tuple[float, float]:
    """Modularity and compactness, InfoM and InfoC, from mutual information (feature, concept) and H of concepts.

    With NMI_ij = I_ij / H_j: the mean over features of max_j NMI_ij / sum_j NMI_ij, rescaled from its least, one over
    the number of concepts, to 0; and the same over concepts. Features that know nothing are left out.

    References
    ----------
    K. Hsu et al., NeurIPS 2023. Deviation: information from bins, not from nearest neighbours.
    """
    relative = information / np.where(entropy > 0, entropy, np.inf)
    known = relative[relative.sum(axis=1) > 1e-12]
    return _concentration(known), _concentration(known.T)


def _concentration(weights: Floats) -> float:
    if weights.size == 0 or weights.shape[1] < 2:
        return float("nan")
    total = weights.sum(axis=1)
    mean = float((weights.max(axis=1)[total > 0] / total[total > 0]).mean())
    least = 1 / weights.shape[1]
    return (mean - least) / (1 - least)
