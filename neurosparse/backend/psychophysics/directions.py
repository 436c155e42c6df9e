"""Directions that other methods would have given, and profiles along them that are as sparse as codes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from neurosparse.backend.baselines import fit_baseline, random_rotation

Floats = NDArray[np.float64]


def _along(name: str) -> Callable[[Floats, int, int], Floats]:
    """Unit directions along which a baseline reads its codes, (atom, unit); as many as samples and units allow."""

    def directions(x: Floats, n_atoms: int, seed: int) -> Floats:
        most = {"kmeans": len(x), "random": n_atoms}.get(name, min(x.shape))
        found = fit_baseline(name, x, min(n_atoms, most), random_state=seed)
        rows = found.dictionary if found.encoder is None else found.encoder
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))

    return directions


DIRECTIONS: dict[str, Callable[[Floats, int, int], Floats]] = {
    "pca": _along("pca"),
    "ica": _along("ica"),
    "nmf": _along("nmf"),
    "kmeans": _along("kmeans"),
    "random_dictionary": _along("random"),
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
