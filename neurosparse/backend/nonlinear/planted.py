"""A quadratic of known worth, planted to learn whether these samples could have shown one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def plant_quadratics(x: Array, y: Array, share: float, rng: np.random.Generator) -> Array:
    """Targets of which a product of two directions of `x` makes up `share` of the variance, the rest being `y`.

    Parameters
    ----------
    x : (n, p) array
        Directions are drawn isotropically, so they follow the variance of `x`.
    y : (n, t) array
    share : float
        In (0, 1).
    rng : Generator

    Returns
    -------
    (n, t) array
        Standardised; each target has a product of its own, freed of what is linear in its two directions.
    """
    x = x - x.mean(axis=0)
    first, second = (x @ rng.standard_normal((x.shape[1], y.shape[1])) for _ in range(2))
    product = _standardised(first) * _standardised(second)
    for column, one, other in zip(product.T, first.T, second.T, strict=True):
        known = np.column_stack([np.ones(len(x)), one, other])
        column -= known @ np.linalg.lstsq(known, column, rcond=None)[0]
    return np.sqrt(1 - share) * _standardised(y) + np.sqrt(share) * _standardised(product)


def _standardised(values: Array) -> Array:
    centred = values - values.mean(axis=0)
    sd = centred.std(axis=0)
    return np.asarray(centred / np.where(sd > 0, sd, 1.0))
