"""How many sparse features a number of units can hold: bounds, and what a sparse solver recovers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neurosparse.backend.inference import encode
from neurosparse.backend.matching import match_codes

Array = NDArray[np.float64]


def draw(n: int, m: int, k: int, n_samples: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """A random dictionary (n, m) of unit norm, and codes (sample, n) with k entries uniform on 0 to 1."""
    atoms = rng.standard_normal((n, m))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    codes = np.zeros((n_samples, n))
    active = rng.random((n_samples, n)).argpartition(k - 1, axis=1)[:, :k]
    np.put_along_axis(codes, active, rng.random((n_samples, k)), axis=1)
    return atoms, codes


def recovered(atoms: Array, codes: Array, used: Array, penalty: float, tolerance: float = 0.05) -> tuple[float, float]:
    """Matched correlation and support F1 of the codes that the dictionary `used` gives for ``codes @ atoms``.

    Parameters
    ----------
    atoms, used : (n, m) arrays of unit norm
        What made the samples, and what the solver is told.
    codes : (sample, n) array
    penalty : float
    tolerance : float
        Codes above it count as active.
    """
    found = np.asarray(encode(codes @ atoms, used, penalty).codes)
    mcc = match_codes(found, codes, min_events=3).mean
    active, true = found > tolerance, codes > 0
    hits = float((active & true).sum())
    return mcc, 2 * hits / max(float(active.sum() + true.sum()), 1.0)


def coherence(atoms: Array) -> float:
    """Largest |cosine| of two different rows."""
    unit = atoms / np.linalg.norm(atoms, axis=1, keepdims=True)
    likeness = np.abs(unit @ unit.T)
    np.fill_diagonal(likeness, 0.0)
    return float(likeness.max())
