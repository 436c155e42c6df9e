"""A quadratic of known worth, planted to learn whether these samples could have shown one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neurosparse.backend.nonlinear.shares import ShareForm

Array = NDArray[np.floating]

MOST_PLANTED = 32  # targets of a draw that get a quadratic: fewer only widen the spread, and more cost n^2 each


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
    return np.sqrt(1 - share) * _standardised(y) + np.sqrt(share) * _products(x, y.shape[1], rng)


def planted_shares(form: ShareForm, x: Array, y: Array, share: float, n_draws: int, rng: np.random.Generator) -> Array:
    """Estimates were a quadratic worth `share` among targets like `y`, (n_draws,).

    The noise is what least squares leaves of `y`, with random signs for each group; so a nonlinear part that `y` has
    is noise here.

    Parameters
    ----------
    form : ShareForm
        Quadratic in `x`.
    x, y, share
        As in `plant_quadratics`.
    n_draws : int
    rng : Generator

    Notes
    -----
    2 n^2 flops a draw and target, for at most 32 targets.
    """
    t = min(y.shape[1], MOST_PLANTED)
    noise = form.noise(y)
    fitted = _standardised(y) - form.residuals(y)
    drawn = np.empty(n_draws)
    for index in range(n_draws):
        of = rng.choice(y.shape[1], t, replace=False)
        signs = rng.choice([-1.0, 1.0], size=form.codes.max() + 1)[form.codes]
        target = plant_quadratics(x, fitted[:, of] + signs[:, None] * noise[:, of], share, rng)
        # between sees nothing linear, so the targets need not be freed of it
        drawn[index] = float(np.mean(np.einsum("it,it->t", target, form.between @ target) / target.var(axis=0)))
    return form.scale * drawn


def _products(x: Array, n: int, rng: np.random.Generator) -> Array:
    """Products of two directions of `x`, freed of what is linear in the two, (sample, n), standardised."""
    x = x - x.mean(axis=0)
    first, second = (_standardised(x @ rng.standard_normal((x.shape[1], n))) for _ in range(2))
    beside = _standardised(second - first * np.mean(first * second, axis=0))
    product = first * second
    return _standardised(sum((-part * np.mean(part * product, axis=0) for part in (first, beside)), product))


def _standardised(values: Array) -> Array:
    centred = values - values.mean(axis=0)
    sd = centred.std(axis=0)
    return np.asarray(centred / np.where(sd > 0, sd, 1.0))
