"""A gain, a neuropil signal: few dimensions that units share and that are no features. Imports numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# Of the codes' mean square, added before they are regressed out.
RIDGE = 1e-3


def nuisance_directions(x: Floats, rank: int, *, codes: Floats | None = None) -> Floats:
    """Orthonormal directions of largest variance in what codes leave of the samples, (rank, unit).

    Parameters
    ----------
    x : (sample, unit) array
    rank : int
    codes : (sample, atom) array, optional
        Regressed out first, with all that they can explain: atoms of the dictionary are no nuisance.
    """
    left = x - x.mean(0)
    if codes is not None:
        z = codes - codes.mean(0)
        gram = z.T @ z
        gram[np.diag_indices_from(gram)] += RIDGE * max(float(np.trace(gram)) / len(gram), 1e-12)
        left = left - z @ np.linalg.solve(gram, z.T @ left)
    return np.asarray(np.linalg.eigh(left.T @ left)[1].T[::-1][:rank])
