"""Dictionaries that no sparsity was asked of: what a score has to beat.

Sizes or samples (sample, unit) enter, unit-norm rows (atom, unit) leave. Imports numpy, scipy, scikit-learn and
`errors`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import ortho_group
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import NMF, PCA, FastICA
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from neurosparse.errors import InputError

Floats = NDArray[np.float64]


class Baseline(NamedTuple):
    """A dictionary, and how its method codes samples.

    Attributes
    ----------
    dictionary : (atom, unit) array
        Atoms of unit norm; ``offset + codes @ dictionary`` are samples again.
    offset : (unit,) array
    encoder : (atom, unit) array or None
        Codes are ``(x - offset) @ encoder.T``; None where they are non-negative least squares.
    """

    dictionary: Floats
    offset: Floats
    encoder: Floats | None


def fit_baseline(name: str, x: ArrayLike, n_atoms: int, *, random_state: Any = None) -> Baseline:
    """The dictionary that the method called `name` gives for `x`.

    Parameters
    ----------
    name : {"pca", "ica", "nmf", "kmeans", "random", "units"}
        ``"nmf"``: of each unit above its least. ``"kmeans"``: centroids of samples of unit length, from their mean.
        ``"random"``: directions drawn uniformly. ``"units"``: each unit by itself.
    x : (sample, unit) array
    n_atoms : int
    random_state : int, numpy.random.RandomState or None

    Returns
    -------
    Baseline

    Raises
    ------
    InputError
        If there is no such method, or it has not so many atoms for so many samples and units.

    References
    ----------
    k-means directions: D. Klindt et al., arXiv 2310.11431.
    """
    rows = np.asarray(x, dtype=float)
    if name not in BASELINES:
        raise InputError(f"baselines are {', '.join(BASELINES)}; got {name!r}.")
    n_samples, n_units = rows.shape
    most = {"kmeans": n_samples, "random": n_atoms, "units": n_units}.get(name, min(rows.shape))
    if not 1 <= n_atoms <= most or (name == "units" and n_atoms != n_units):
        raise InputError(
            f"{name} has {'exactly' if name == 'units' else 'at most'} {most} atoms for {n_samples} samples of "
            f"{n_units} units; got n_atoms = {n_atoms}."
        )
    return BASELINES[name](rows, n_atoms, random_state)


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


def _pca(x: Floats, n_atoms: int, random_state: Any) -> Baseline:
    atoms = principal_directions(x, n_atoms)
    return Baseline(atoms, x.mean(axis=0), atoms)


def _ica(x: Floats, n_atoms: int, random_state: Any) -> Baseline:
    """Atoms are the columns of the mixing matrix; codes are the sources, in the atoms' units."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a control need not be at its optimum
        model = FastICA(n_atoms, whiten="unit-variance", max_iter=300, tol=1e-3, random_state=random_state).fit(x)
    size = np.linalg.norm(model.mixing_, axis=0)
    return Baseline((model.mixing_ / size).T, model.mean_, model.components_ * size[:, None])


def _nmf(x: Floats, n_atoms: int, random_state: Any) -> Baseline:
    least = x.min(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = NMF(n_atoms, init="nndsvda", max_iter=300, random_state=random_state).fit(x - least)
    return Baseline(_unit(model.components_), least, None)


def _kmeans(x: Floats, n_atoms: int, random_state: Any) -> Baseline:
    rows = _unit(x)
    means = MiniBatchKMeans(n_atoms, random_state=random_state, n_init=3).fit(rows)
    atoms = _unit(means.cluster_centers_ - rows.mean(axis=0))
    return Baseline(atoms, x.mean(axis=0), atoms)


def _random(x: Floats, n_atoms: int, random_state: Any) -> Baseline:
    atoms = random_dictionary(n_atoms, x.shape[1], random_state=random_state)
    return Baseline(atoms, x.mean(axis=0), atoms)


def _units(x: Floats, n_atoms: int, random_state: Any) -> Baseline:
    return Baseline(np.eye(n_atoms), np.zeros(n_atoms), np.eye(n_atoms))


BASELINES: dict[str, Callable[[Floats, int, Any], Baseline]] = {
    "pca": _pca,
    "ica": _ica,
    "nmf": _nmf,
    "kmeans": _kmeans,
    "random": _random,
    "units": _units,
}


def _unit(rows: Floats) -> Floats:
    """Rows of unit norm; a row of zeros stays one."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(length > 0, length, 1.0))
