"""What is lost without an atom: of the reconstruction, and of what can be read out linearly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV

Floats = NDArray[np.float64]

_PENALTIES = np.logspace(-3, 5, 9)


def reconstruction_losses(x: Floats, codes: Floats, dictionary: Floats, offset: Floats) -> tuple[float, Floats]:
    """R2 of x ~ offset + codes @ dictionary, and what it loses when each atom is left out, the other codes as they are.

    Without atom k the residual r becomes r + z_k d_k, so the loss is sum (2 z_k r.d_k + z_k^2 |d_k|^2) / sum |x - m|^2.

    Parameters
    ----------
    x : (sample, unit), codes : (sample, atom), dictionary : (atom, unit), offset : (unit,) float64 arrays

    Returns
    -------
    r_squared : float
    losses : (atom,)
    """
    residual = x - offset - codes @ dictionary
    total = ((x - x.mean(axis=0)) ** 2).sum()
    more = 2 * (codes * (residual @ dictionary.T)).sum(axis=0) + (codes**2).sum(axis=0) * (dictionary**2).sum(axis=1)
    return float(1 - (residual**2).sum() / total), more / total


def decoding_losses(
    codes: Floats, target: Floats, folds: list[tuple[NDArray[np.int64], NDArray[np.int64]]]
) -> tuple[float, Floats, Floats]:
    """Held-out R2 of a ridge from all codes to a target, and what it loses without each code.

    Parameters
    ----------
    codes : (sample, atom), target : (sample, dimension) float64 arrays
    folds : list of (train, test) indices
        The penalty is chosen within the training samples.

    Returns
    -------
    r_squared : float
        1 - squared error over that of the training mean, test samples of all folds together.
    silenced : (atom,)
        Loss with the atom at its training mean and the map as it is: how much this map leans on the atom.
    refitted : (atom,)
        Loss with the map learned anew without the atom: what no other atom can stand in for.
    """
    n_atoms = codes.shape[1]
    error, silent, anew, total = 0.0, np.zeros(n_atoms), np.zeros(n_atoms), 0.0
    for train, test in folds:
        truth = target[test]
        total += ((truth - target[train].mean(axis=0)) ** 2).sum()
        scale = np.maximum(codes[train].std(axis=0), 1e-12)
        scaled = (codes - codes[train].mean(axis=0)) / scale
        ridge = RidgeCV(_PENALTIES).fit(scaled[train], target[train])
        predicted = ridge.predict(scaled[test]).reshape(truth.shape)
        error += ((truth - predicted) ** 2).sum()
        weights = np.atleast_2d(ridge.coef_)  # (dimension, atom)
        for atom in range(n_atoms):
            without = predicted - scaled[test, atom, None] * weights[:, atom]
            silent[atom] += ((truth - without) ** 2).sum()
            others = np.delete(scaled, atom, axis=1)
            if others.shape[1]:
                again = RidgeCV(_PENALTIES).fit(others[train], target[train]).predict(others[test])
            else:
                again = np.broadcast_to(target[train].mean(axis=0), truth.shape)
            anew[atom] += ((truth - again.reshape(truth.shape)) ** 2).sum()
    return float(1 - error / total), (silent - error) / total, (anew - error) / total
