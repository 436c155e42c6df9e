"""Dictionaries that nobody learned: what a score has to beat.

Sizes or samples (sample, unit) enter, unit-norm rows (atom, unit) leave. Imports numpy, scikit-learn and `errors`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import ortho_group
from sklearn.decomposition import PCA
from sklearn.utils import check_random_state

from neurosparse.errors import InputError

Floats = NDArray[np.float64]


def random_dictionary(n_atoms: int, n_units: int, *, random_state: Any = None) -> Floats:
    """Directions drawn uniformly from the sphere, (atom, unit)."""
    return _unit(check_random_state(random_state).standard_normal((n_atoms, n_units)))


def covariance_matched_dictionary(x: ArrayLike, n_atoms: int, *, random_state: Any = None) -> Floats:
    """Directions of Gaussian samples with the covariance of `x`: random, yet where the data vary.

    Parameters
    ----------
    x : (sample, unit) array
        At least two samples.
    n_atoms : int
    random_state : int, numpy.random.RandomState or None

    Returns
    -------
    (atom, unit) array

    Raises
    ------
    InputError
        If `x` does not vary.

    Notes
    -----
    A weighted sum of the samples themselves, so that no covariance has to be factored: its covariance over the weights
    is that of `x`.
    """
    rows = np.asarray(x, dtype=float)
    centred = rows - rows.mean(0)
    if not centred.any():
        raise InputError(f"x of shape {rows.shape} does not vary: it has no covariance to match.")
    return _unit(check_random_state(random_state).standard_normal((n_atoms, len(rows))) @ centred)


def random_rotation(n_units: int, *, random_state: Any = None) -> Floats:
    """An orthogonal matrix drawn from the Haar measure, (unit, unit)."""
    if n_units == 1:
        return np.ones((1, 1))
    return np.asarray(ortho_group.rvs(n_units, random_state=check_random_state(random_state)), dtype=float)


def principal_directions(x: ArrayLike, n_atoms: int) -> Floats:
    """The directions of largest variance, (atom, unit), in falling order.

    Raises
    ------
    InputError
        If there are fewer samples or units than atoms.
    """
    rows = np.asarray(x, dtype=float)
    if n_atoms > min(rows.shape):
        raise InputError(f"{rows.shape} samples and units have at most {min(rows.shape)} directions; got {n_atoms}.")
    return np.asarray(PCA(n_atoms, svd_solver="full").fit(rows).components_)


def _unit(rows: Floats) -> Floats:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
