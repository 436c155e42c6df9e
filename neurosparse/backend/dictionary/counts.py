"""Dictionaries of counts: the Poisson likelihood with an identity link, under which features add.

Counts (sample, unit), non-negative atoms (atom, unit) and a positive offset enter as numpy arrays, better ones leave.
Imports numpy, numba and `errors`.

References
----------
Coordinate descent for the Kullback-Leibler divergence: Hsieh & Dhillon 2011, sec. 3; here with a penalty on the codes
and atoms of fixed norm, for which the norm is bounded from above by a parabola.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from neurosparse.errors import InputError

Floats = NDArray[np.float64]
# Least rate of a unit, as a share of its mean: where the model says silence, a stray spike must not cost everything.
FLOOR = 0.02
# Newton steps of one coordinate; from below they do not overshoot, so three see to the rest.
NEWTON = 3


class CountFit(NamedTuple):
    """Atoms of weighted unit norm, offset, codes, and the objective before each round."""

    dictionary: Floats
    offset: Floats
    codes: Floats
    objective: list[float]


def count_objective(x: Floats, dictionary: Floats, offset: Floats, codes: Floats, penalty: float) -> float:
    """Mean over samples of ``sum_u (mu_u - x_u log mu_u) + penalty sum_j z_j``, ``mu = offset + z D``."""
    rate = offset + codes @ dictionary
    return float((rate - x * np.log(rate)).sum(1).mean() + penalty * codes.sum(1).mean())


def count_codes(
    x: Floats,
    dictionary: Floats,
    offset: Floats,
    penalty: float,
    *,
    initial: Floats | None = None,
    tol: float = 1e-6,
    max_iter: int = 500,
) -> Floats:
    """Non-negative codes that minimise ``sum_u (mu_u - x_u log mu_u) + penalty sum_j z_j`` of each sample.

    Parameters
    ----------
    x : (sample, unit) array
        Counts, non-negative.
    dictionary : (atom, unit) array
        Non-negative.
    offset : (unit,) array
        Above 0.
    penalty : float
        Of the log likelihood: 1 costs as much as an expected spike.
    initial : (sample, atom) array, optional
    tol : float
        A sample is done when no code moved by more than this share of the largest.
    max_iter : int
        Sweeps.

    Returns
    -------
    (sample, atom) array

    Raises
    ------
    InputError
        If counts or atoms are negative, or the offset is not above 0.
    """
    if (x < 0).any() or (dictionary < 0).any() or not (offset > 0).all():
        raise InputError(
            f"counts need x >= 0, atoms >= 0 and an offset above 0; got minima {x.min():.3g}, {dictionary.min():.3g} "
            f"and {offset.min():.3g}. Use loss='squared' for signed data."
        )
    codes = np.zeros((len(x), len(dictionary))) if initial is None else np.array(initial, dtype=float)
    base = np.broadcast_to(offset, x.shape)
    linear = np.full(len(dictionary), float(penalty))
    _descend(np.ascontiguousarray(x), dictionary, base, linear, np.zeros(len(dictionary)), codes, tol, max_iter)
    return codes


def fit_counts(
    x: Floats,
    dictionary: Floats,
    offset: Floats,
    penalty: float,
    *,
    weights: Floats,
    learn_atoms: bool = True,
    learn_offset: bool = True,
    least: Floats | None = None,
    tol: float = 1e-5,
    max_iter: int = 100,
) -> CountFit:
    """Improve a dictionary in the Poisson likelihood: codes, then atoms and offset, in turn; the objective never rises.

    ``mean_i sum_u (mu_iu - x_iu log mu_iu) + penalty sum_j z_ij``, with ``sum_u weights_u d_ju^2 = 1``.

    Parameters
    ----------
    x : (sample, unit) array
    dictionary : (atom, unit) array
        Where to start, such as the dictionary of a weighted squared loss. Negative entries become 0.
    offset : (unit,) array
        Likewise; raised to `least`.
    penalty : float
    weights : (unit,) array
        Of the units in an atom's norm; 1 / mean makes `penalty` that of the weighted squared loss.
    learn_atoms, learn_offset : bool
        Otherwise they stay as given.
    least : (unit,) array, optional
        Of the offset; by default a small share of each unit's mean.
    tol : float
        Done when a round lowered the objective by a smaller share.
    max_iter : int
        Rounds at the most.

    Returns
    -------
    CountFit

    Notes
    -----
    A sweep costs ``n_samples n_atoms n_units``.
    """
    floor = np.maximum(FLOOR * x.mean(0) if least is None else least, 1e-6)
    atoms, base = np.clip(dictionary, 0, None), np.maximum(offset, floor)
    atoms = atoms / np.sqrt((weights * atoms**2).sum(1, keepdims=True)).clip(1e-12)
    codes, history = np.zeros((len(x), len(atoms))), list[float]()
    for _ in range(max_iter):
        codes = count_codes(x, atoms, base, penalty, initial=codes, tol=1e-4, max_iter=30)
        history.append(count_objective(x, atoms, base, codes, penalty))
        if len(history) > 1 and history[-2] - history[-1] <= tol * abs(history[-2]):
            break
        if not learn_atoms:
            base = _offset(x, codes @ atoms, base, floor) if learn_offset else base
            continue
        atoms, base = _atoms(x, atoms, base, codes, penalty, weights, floor, learn_offset)
        norm = np.sqrt((weights * atoms**2).sum(1))
        alive = norm > 0
        atoms[alive] /= norm[alive, None]
        codes *= np.where(alive, norm, 1.0)
    return CountFit(atoms, base, codes, history)


def _atoms(
    x: Floats,
    atoms: Floats,
    base: Floats,
    codes: Floats,
    penalty: float,
    weights: Floats,
    floor: Floats,
    learn_offset: bool,
) -> tuple[Floats, Floats]:
    """Atoms and offset for given codes: each unit is a row of the same problem, its samples the columns."""
    rows = [codes.T, np.ones((int(learn_offset), len(x)))]
    below = floor if learn_offset else base
    start = np.column_stack([atoms.T, *([base - floor] if learn_offset else [])])
    new = np.ascontiguousarray(start)
    drive = np.ascontiguousarray(np.vstack(rows))
    pull = np.append(penalty * codes.sum(0), np.zeros(int(learn_offset)))
    still = np.zeros(len(pull))
    for unit in range(x.shape[1]):
        _descend(
            np.ascontiguousarray(x[:, unit : unit + 1].T),
            drive,
            np.full((1, len(x)), below[unit]),
            still,
            pull * weights[unit],
            new[unit : unit + 1],
            1e-3,
            3,
        )
    found = new[:, : len(atoms)].T.copy()
    return found, (floor + new[:, -1]) if learn_offset else base


def _offset(x: Floats, driven: Floats, base: Floats, floor: Floats) -> Floats:
    """The offset beside what codes give, (sample, unit): of each unit one code, that all samples share."""
    above, still, one = (base - floor)[:, None].copy(), np.zeros(1), np.ones((1, len(x)))
    rows, below = np.ascontiguousarray(x.T), np.ascontiguousarray((driven + floor).T)
    _descend(rows, one, below, still, still, above, 1e-3, 3)
    return np.asarray(floor + above[:, 0])


@njit(cache=True, fastmath=True, error_model="numpy")
def _descend(
    x: np.ndarray,
    drive: np.ndarray,
    base: np.ndarray,
    linear: np.ndarray,
    quadratic: np.ndarray,
    codes: np.ndarray,
    tol: float,
    max_iter: int,
) -> None:  # pragma: no cover (compiled)
    """Row by row, in place: minimise ``sum_u mu_u - x_u log mu_u + sum_j linear_j z_j + quadratic_j z_j^2 / 2``."""
    n_rows, n_columns = x.shape
    n_atoms = len(drive)
    rate = np.empty(n_columns)
    total = np.empty(n_atoms)
    for j in range(n_atoms):
        total[j] = drive[j].sum()
    for i in range(n_rows):
        for u in range(n_columns):
            rate[u] = base[i, u]
        for j in range(n_atoms):
            if codes[i, j] != 0.0:
                for u in range(n_columns):
                    rate[u] += codes[i, j] * drive[j, u]
        for _ in range(max_iter):
            moved = 0.0
            largest = 0.0
            for j in range(n_atoms):
                if total[j] <= 0.0:
                    continue
                for _ in range(NEWTON):
                    now = codes[i, j]
                    slope = total[j] + linear[j] + quadratic[j] * now
                    curve = quadratic[j] + 1e-12
                    for u in range(n_columns):
                        ratio = drive[j, u] / rate[u]
                        slope -= x[i, u] * ratio
                        curve += x[i, u] * ratio * ratio
                    new = max(now - slope / curve, 0.0)
                    step = new - now
                    if step == 0.0:
                        break
                    codes[i, j] = new
                    for u in range(n_columns):
                        rate[u] += step * drive[j, u]
                    moved = max(moved, abs(step))
                    if abs(step) <= 0.01 * tol * new:
                        break
                largest = max(largest, codes[i, j])
            if moved <= tol * largest:
                break
