"""What else there is to say of a linear map between two codes: matched units, singular values, dimensions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from neurosparse.backend.linear.ridge import Folds, isometric
from neurosparse.backend.linear.scoring import Array, correlations, fisher_mean


def participation_ratio(x: Array) -> float:
    """``(sum_i l_i)^2 / sum_i l_i^2`` of the covariance's eigenvalues: over how many dimensions a code spreads.

    Computed from the smaller of scatter and Gram matrix; NaN where nothing varies.
    """
    x = x - x.mean(axis=0)
    gram = x @ x.T if x.shape[1] > x.shape[0] else x.T @ x
    total, squares = float(np.trace(gram)), float(np.vdot(gram, gram))
    return total**2 / squares if squares > 0 else float("nan")


def matched_correlations(x: Array, y: Array, folds: Folds) -> NDArray[np.float64]:
    """Held-out r of each unit of the smaller side with its one-to-one partner: sign and partner from training rows.

    Parameters
    ----------
    x, y : (n, p), (n, q) arrays
    folds : list of (train, test)

    Returns
    -------
    (min(p, q),) array
        Fisher-averaged over folds; 0 on average for unrelated codes, since neither sign nor partner saw the test rows.
    """
    if x.shape[1] > y.shape[1]:
        x, y = y, x
    r = []
    for train, test in folds:
        likeness = _cross_correlations(x[train], y[train])
        rows, columns = linear_sum_assignment(np.abs(likeness), maximize=True)
        r.append(correlations(x[test][:, rows], y[test][:, columns]) * np.sign(likeness[rows, columns]))
    return np.asarray(fisher_mean(np.stack(r)))


def map_singular_values(x: Array, y: Array, penalty: float) -> NDArray[np.float64]:
    """Singular values of the ridge map from `x` to `y`, both scaled to unit total variance, largest first.

    Parameters
    ----------
    x, y : (n, p), (n, q) arrays
    penalty : float
        Multiple of the mean eigenvalue of the scatter of `x`.

    Returns
    -------
    (min(p, q, n),) array
        All equal for a rotation of codes of equal dimension.
    """
    x, y = (side / max(np.linalg.norm(side), np.finfo(float).tiny) for side in (isometric(x), y - y.mean(axis=0)))
    scatter = x.T @ x
    size = penalty * float(np.trace(scatter)) / max(np.linalg.matrix_rank(scatter), 1)
    weights = np.linalg.solve(scatter + max(size, 1e-12 * np.trace(scatter)) * np.eye(len(scatter)), x.T @ y)
    return np.linalg.svd(weights, compute_uv=False)


def _cross_correlations(x: Array, y: Array) -> Array:
    sides = []
    for values in (x, y):
        centred = values - values.mean(axis=0)
        size = np.linalg.norm(centred, axis=0)
        varies = size > 1e-10 * np.linalg.norm(values, axis=0)
        sides.append(np.divide(centred, size, out=np.zeros_like(centred), where=varies))
    return sides[0].T @ sides[1]
