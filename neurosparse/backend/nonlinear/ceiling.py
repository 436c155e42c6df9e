"""The best of linear ridge, kernel ridge and a small network, chosen inside the training samples."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from neurosparse.backend.linear import RidgeScores, correlations, cross_validated_ridge, isometric
from neurosparse.backend.linear.ridge import Folds
from neurosparse.backend.nonlinear.kernels import LARGEST, bumps_on_a_plane, quadratic_features, radial_features
from neurosparse.errors import InputError

Array = NDArray[np.floating]

PENALTIES = np.logspace(-6, 3, 10)
WIDTHS = (0.7, 2.0)  # of radial kernels, in median distances: one that bends, one that is nearly linear
BUMPS = {"width": 0.35, "linear": 3.0}  # a radial kernel too narrow to hold a linear map, beside one
HIDDEN = (64, 64)
COMPONENTS = 100  # the network sees these many principal components at the most
# A nonlinear map must be ahead of the linear one by this much inner r to be chosen: ties are broken for the simpler.
AHEAD = 0.005
LESS_SURE = 0.02  # the network's inner r is of one inner fold, so it must be further ahead


@dataclass(frozen=True)
class NonlinearScores:
    """Held-out predictions of the map chosen for each fold and target.

    Attributes
    ----------
    mapped : (sample, t) float64
        Without the baseline, as in `RidgeScores`.
    choice : (fold, t) int64
        Index into `names`.
    names : tuple of str
    """

    mapped: Array
    choice: NDArray[np.int64]
    names: tuple[str, ...]


def nonlinear_ceiling(
    x: Array,
    y: Array,
    folds: Folds,
    inner_folds: Sequence[Folds],
    linear: RidgeScores,
    *,
    nuisance: Array | None = None,
    network: bool = True,
    random_state: int = 0,
) -> NonlinearScores:
    """Held-out predictions of `y` by the map, linear or not, that is best inside the training samples.

    Candidates: the linear ridge; kernel ridge with a quadratic, two radial kernels, and a linear kernel with a narrow
    radial one; a network with two layers of 64 rectified units. Each target and fold has its own choice, so the ceiling
    falls below the linear map by accident alone.

    Parameters
    ----------
    x, y, folds, inner_folds, nuisance
        As in `cross_validated_ridge`, which made `linear` of them.
    linear : RidgeScores
    network : bool
        Whether the network is a candidate: it costs a fit a fold, two where it is ahead.
    random_state : int

    Returns
    -------
    NonlinearScores

    Raises
    ------
    InputError
        If there are more than 4,000 samples, for which kernels of all pairs are not worth their time.

    Notes
    -----
    Kernels are made of all samples, which tells a fold where its test samples lie and nothing of their targets. Inner
    scores of the network are of one inner fold. Cost: four eigendecompositions of n x n, then `cross_validated_ridge`
    on them; the network about a second a fit at 500 samples. What
    cannot be chosen any more is not fitted: nothing is where the linear map's inner r is 1.
    """
    if len(x) > LARGEST:
        raise InputError(f"a nonlinear ceiling is computed for at most {LARGEST} samples; got {len(x)}. Give fewer.")
    small = isometric(x)
    maps = {
        "quadratic kernel": partial(quadratic_features, small),
        **{f"radial kernel {width:g}": partial(radial_features, small, width) for width in WIDTHS},
        "linear and a narrow radial kernel": partial(bumps_on_a_plane, small, **BUMPS),
    }
    mapped, inner, names = [linear.mapped], [linear.inner_r + AHEAD], ["linear"]
    for name, features in maps.items() if (linear.inner_r + AHEAD < 1).any() else ():  # no r is ahead of 1
        found = cross_validated_ridge(features(), y, folds, inner_folds, penalties=PENALTIES, nuisance=nuisance)
        mapped.append(found.mapped)
        inner.append(found.inner_r)
        names.append(name)
    if network:
        best = np.nan_to_num(np.stack(inner), nan=-2.0).max(axis=0)
        predicted, scored = _network(small, y, folds, inner_folds, nuisance, random_state, best + LESS_SURE)
        mapped.append(predicted)
        inner.append(scored - LESS_SURE)
        names.append("network")
    choice = np.nan_to_num(np.stack(inner), nan=-2.0).argmax(axis=0)  # (fold, t)
    of_row = choice[np.maximum(linear.fold, 0)]
    chosen = np.take_along_axis(np.stack(mapped), of_row[None], axis=0)[0]
    return NonlinearScores(np.where(linear.fold[:, None] >= 0, chosen, np.nan), choice, tuple(names))


def _network(
    x: Array,
    y: Array,
    folds: Folds,
    inner_folds: Sequence[Folds],
    nuisance: Array | None,
    random_state: int,
    to_beat: Array,
) -> tuple[Array, Array]:
    """Held-out predictions, and r of the first inner fold, (sample, t) and (fold, t).

    Fitted only where it can be chosen: where some target's inner r may pass, or has passed, what is `to_beat`.
    """
    ones = np.ones((len(x), 1))
    base = ones if nuisance is None else np.hstack([ones, nuisance])
    mapped, inner_r = np.full(y.shape, np.nan), np.full((len(folds), y.shape[1]), np.nan)
    for index, ((train, test), inner) in enumerate(zip(folds, inner_folds, strict=True)):
        if (to_beat[index] >= 1).all():
            continue
        own, other = train[inner[0][0]], train[inner[0][1]]
        target = y[other] - base[other] @ np.linalg.lstsq(base[own], y[own], rcond=None)[0]
        inner_r[index] = correlations(_fitted(x, y, base, own, other, random_state), target)
        if (np.nan_to_num(inner_r[index], nan=-2.0) > to_beat[index]).any():
            mapped[test] = _fitted(x, y, base, train, test, random_state)
    return mapped, inner_r


def _fitted(
    x: Array, y: Array, base: Array, train: NDArray[np.int64], test: NDArray[np.int64], random_state: int
) -> Array:
    target = y[train] - base[train] @ np.linalg.lstsq(base[train], y[train], rcond=None)[0]
    size = target.std(axis=0)
    size = np.where(size > 0, size, 1.0)
    mean = x[train].mean(axis=0)
    _, scale, right = np.linalg.svd(x[train] - mean, full_matrices=False)
    kept = min(COMPONENTS, int((scale > 1e-9 * scale[0]).sum()))
    # on the scale of the leading component: whitening would make noise as loud as signal
    inputs = (x - mean) @ right[:kept].T * (np.sqrt(len(train)) / scale[0])
    model = MLPRegressor(
        hidden_layer_sizes=HIDDEN, alpha=1e-2, early_stopping=True, max_iter=200, random_state=random_state
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(inputs[train], target / size if y.shape[1] > 1 else (target / size).ravel())
    return np.asarray(model.predict(inputs[test])).reshape(len(test), -1) * size
