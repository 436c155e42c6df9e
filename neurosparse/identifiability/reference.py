"""What two projections of the same features score: a reference curve over an assumed number of features."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurosparse.backend.resampling import real_numbers, whole_number
from neurosparse.errors import InputError


def superposition_reference(n_units_x: int, n_units_y: int, n_features: Any) -> xr.Dataset:
    """What two random projections of the *same* white features score: a reference curve, never a null.

    For n features in superposition on m_x and m_y units: cka = sqrt(m_x m_y / ((n + m_x)(n + m_y))), m / (n + m)
    for equal sizes, and R2 = m_x / n from x to any unit of y. So codes of identical features look unlike each other
    when there are more features than units.

    Parameters
    ----------
    n_units_x, n_units_y : int
    n_features : int or sequence of int
        Assumed numbers of features: no recording tells this number.

    Returns
    -------
    xarray.Dataset over n_features
        ``cka``; ``R2`` (x->y) and ``R2_back`` (y->x), at most 1.

    Raises
    ------
    InputError
        If a number is below 1.

    References
    ----------
    The mechanism of A. Liu et al., arXiv:2604.00208 (2026): similarities of projections depend on the Gram matrix of
    the projection.

    Examples
    --------
    >>> round(float(superposition_reference(16, 16, 64)["cka"][0]), 3)
    0.2
    """
    n = real_numbers(n_features, "n_features")
    for name, size in (("n_units_x", n_units_x), ("n_units_y", n_units_y)):
        whole_number(size, name)
    if not (n >= 1).all():
        raise InputError(f"numbers of features must be at least 1; got {np.asarray(n_features).tolist()}.")
    curves = {
        "cka": np.sqrt(n_units_x * n_units_y / ((n + n_units_x) * (n + n_units_y))),
        "R2": np.minimum(n_units_x / n, 1.0),
        "R2_back": np.minimum(n_units_y / n, 1.0),
    }
    result = xr.Dataset({name: ("n_features", curve) for name, curve in curves.items()}, {"n_features": n.astype(int)})
    result.attrs = {
        "what": "reference curve over an assumed number of features, not a null",
        "assumes": "the same white features on both sides, isotropic random projections, no noise",
        "n_units_x": n_units_x,
        "n_units_y": n_units_y,
    }
    return result
