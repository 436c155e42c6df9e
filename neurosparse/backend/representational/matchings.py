"""Units matched to units: one to one, each to its best, or by transported mass. Chosen on training samples, scored on
others.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from neurosparse.backend.linear import correlations
from neurosparse.backend.resampling import is_real
from neurosparse.errors import DependencyError, InputError

Array = NDArray[np.float64]


def standardised(train: Array, test: Array) -> tuple[Array, Array]:
    """Both parts in units of the training samples' mean and sd; units that are constant there become 0."""
    mean, sd = train.mean(axis=0), train.std(axis=0)
    scale = np.divide(1.0, sd, out=np.zeros_like(sd), where=sd > 1e-12 * np.abs(train).max(axis=0, initial=0.0))
    return (train - mean) * scale, (test - mean) * scale


def unit_correlations(x: Array, y: Array) -> Array:
    """Pearson r of every unit of `x` with every unit of `y`, (p, q); 0 with a constant unit."""
    x, y = _unit_columns(x), _unit_columns(y)
    return x.T @ y


def one_to_one(x: tuple[Array, Array], y: tuple[Array, Array]) -> Array:
    """Test r of the pairs of units whose training r has the largest sum (Hungarian), (min(p, q),).

    Parameters
    ----------
    x, y : pairs of (training, test) arrays
        (n, p) and (m, p); (n, q) and (m, q).
    """
    rows, columns = linear_sum_assignment(unit_correlations(x[0], y[0]), maximize=True)
    return _pair_correlations(x[1][:, rows], y[1][:, columns])


def semi_matching(x: tuple[Array, Array], y: tuple[Array, Array]) -> Array:
    """Test r of each unit of `y` with the unit of `x` that has the largest training r, (q,); `x` units may serve twice.

    Parameters
    ----------
    x, y : pairs of (training, test) arrays
    """
    best = unit_correlations(x[0], y[0]).argmax(axis=0)
    return _pair_correlations(x[1][:, best], y[1])


def soft_matching(x: tuple[Array, Array], y: tuple[Array, Array], mass: float = 1.0) -> float:
    """Mean test r under the transport of units that has the largest mean training r.

    ``sum_ij P_ij r_ij / mass`` with P >= 0, rows summing to at most 1/p and columns to at most 1/q, total `mass`.

    Parameters
    ----------
    x, y : pairs of (training, test) arrays
    mass : float
        In (0, 1]; below 1 the units that match worst are left out (partial soft matching).

    Returns
    -------
    float in [-1, 1]

    References
    ----------
    M. Khosla and A. Williams, Soft matching distance, arXiv:2311.09466 (2024). Partial soft matching: arXiv:2602.19331
    (2026). Correlation cost, with the plan fitted on other samples than it is scored on.
    """
    plan = transport_plan(1.0 - unit_correlations(x[0], y[0]), mass)
    return float(np.vdot(plan, unit_correlations(x[1], y[1])) / mass)


def transport_plan(cost: Array, mass: float = 1.0) -> Array:
    """The plan of least cost that moves `mass` between uniform marginals.

    Parameters
    ----------
    cost : (p, q) array
    mass : float
        In (0, 1].

    Returns
    -------
    (p, q) array
        Non-negative; rows sum to at most 1/p, columns to at most 1/q, everything to `mass`.

    Raises
    ------
    InputError
        If `mass` is out of range.
    DependencyError
        If POT is not installed.

    Notes
    -----
    Exact (network simplex), about (p + q)^3. The partial problem is the balanced one with one more unit a side that
    takes what is not moved at no cost.
    """
    if not is_real(mass) or not 0 < mass <= 1:
        raise InputError(f"mass is the share of units that is matched, above 0 and at most 1; got {mass!r}.")
    p, q = cost.shape
    sums = np.full(p, 1.0 / p), np.full(q, 1.0 / q)
    if mass == 1:
        return np.asarray(_transport()(*sums, np.ascontiguousarray(cost)))
    rest = 1.0 - mass
    wide = np.zeros((p + 1, q + 1))
    # Costs at least 0 and a dear corner: nothing goes from rest to rest, so exactly `mass` stays among the units.
    wide[:p, :q] = cost - cost.min()
    wide[p, q] = 2.0 * (wide.max() + 1.0)
    return np.asarray(_transport()(np.append(sums[0], rest), np.append(sums[1], rest), wide))[:p, :q]


def _transport():  # type: ignore[no-untyped-def]
    try:
        from ot.lp import emd
    except ImportError as error:
        raise DependencyError(
            "soft matching needs POT. Install it with pip install 'neurosparse[matching]', or use metric='one_to_one' "
            "or 'semi'."
        ) from error
    return emd


def _unit_columns(values: Array) -> Array:
    centred = values - values.mean(axis=0)
    size = np.linalg.norm(centred, axis=0)
    varies = size > 1e-10 * np.linalg.norm(values, axis=0)
    return np.divide(centred, size, out=np.zeros_like(centred), where=varies)


def _pair_correlations(x: Array, y: Array) -> Array:
    """r of matching columns: 0 where the matched unit is silent, NaN where the predicted one is."""
    return np.asarray(correlations(x, y))
