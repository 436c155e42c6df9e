"""Directions that other methods would have given, and profiles along them that are as sparse as codes."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import NMF, FastICA
from sklearn.exceptions import ConvergenceWarning

from neurosparse.backend.baselines import principal_directions, random_dictionary, random_rotation

Floats = NDArray[np.float64]


def _unit(rows: Floats) -> Floats:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0, length, 1.0)


def independent_directions(x: Floats, n_atoms: int, seed: int) -> Floats:
    """Directions of a linear ICA, (atom, unit); as many as samples and units allow."""
    n = min(n_atoms, *x.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a control need not be at its optimum
        ica = FastICA(n, whiten="unit-variance", max_iter=300, tol=1e-3, random_state=seed).fit(x)
    return _unit(ica.components_)


def nonnegative_directions(x: Floats, n_atoms: int, seed: int) -> Floats:
    """Atoms of a non-negative factorisation of each unit above its least, (atom, unit)."""
    n = min(n_atoms, *x.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = NMF(n, init="nndsvda", max_iter=300, random_state=seed).fit(x - x.min(axis=0))
    return _unit(model.components_)


def centroid_directions(x: Floats, n_atoms: int, seed: int) -> Floats:
    """Centroids of k-means on samples of unit length, (atom, unit).

    References
    ----------
    D. Klindt et al., arXiv 2310.11431.
    """
    rows = _unit(x)
    means = MiniBatchKMeans(min(n_atoms, len(x)), random_state=seed, n_init=3).fit(rows)
    return _unit(means.cluster_centers_ - rows.mean(axis=0))


DIRECTIONS: dict[str, Callable[[Floats, int, int], Floats]] = {
    "pca": lambda x, n, seed: principal_directions(x, min(n, *x.shape)),
    "ica": independent_directions,
    "nmf": nonnegative_directions,
    "kmeans": centroid_directions,
    "random_dictionary": lambda x, n, seed: random_dictionary(n, x.shape[1], random_state=seed),
}


def rotated(codes: Floats, seed: int) -> Floats:
    """Codes in a random basis of their own space, (sample, atom)."""
    return codes @ random_rotation(codes.shape[1], random_state=seed)


def as_sparse(profiles: Floats, share: float) -> Floats:
    """Profiles above a threshold of their own, so that `share` of each one's samples is above 0; (sample, profile).

    Each keeps the sign with the longer tail, since a direction and its opposite are one.
    """
    centred = profiles - np.median(profiles, axis=0)
    tail = np.where((centred**3).sum(axis=0) < 0, -1.0, 1.0)
    signed = centred * tail
    return np.maximum(signed - np.quantile(signed, 1 - share, axis=0), 0.0)


def mixtures(codes: Floats, pairs: NDArray[np.int64], degrees: float) -> Floats:
    """What a unit that superposes two features answers, (sample, 2 x pair): first partners, then second partners.

    cos(angle) a + sin(angle) b beside a, and sin(angle) a + cos(angle) b beside b. The weights are not negative, so
    that a mixture answers wherever one of the two does.

    Parameters
    ----------
    codes : (sample, atom) non-negative float64 array
    pairs : (pair, 2) int64 array
    degrees : float
        0 for the codes themselves, 45 for an even mixture.
    """
    angle = np.deg2rad(degrees)
    first, second = codes[:, pairs[:, 0]], codes[:, pairs[:, 1]]
    return np.concatenate(
        [np.cos(angle) * first + np.sin(angle) * second, np.sin(angle) * first + np.cos(angle) * second], axis=1
    )
