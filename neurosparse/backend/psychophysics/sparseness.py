"""How sparse response profiles are, and surrogates of what noise or a turned basis would give.

Every measure is taken over the samples (rows) of a (sample, profile) matrix; give the transpose for the sparseness of a
population. `weights` say how often each sample occurs, (bootstrap, sample), and add a leading axis to the result.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosparse.errors import InputError

Floats = NDArray[np.float64]


def _mean(values: Floats, weights: Floats | None) -> Floats:
    if weights is None:
        return values.mean(axis=0)
    return weights @ values / weights.sum(axis=1, keepdims=True)


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.where(below > 0, above / np.where(below > 0, below, 1.0), np.nan)


def treves_rolls(responses: ArrayLike, weights: Floats | None = None) -> Floats:
    """Treves-Rolls activity ratio a = mean(r)^2 / mean(r^2): 1 for equal responses, 1/n for a single one.

    Parameters
    ----------
    responses : (sample, profile) array
        Non-negative.
    weights : (bootstrap, sample) array, optional

    Returns
    -------
    (profile,) or (bootstrap, profile) float64 array
        In [1/n, 1]; NaN for a silent profile.

    Raises
    ------
    InputError
        If a response is negative: a ratio of moments about 0 has no meaning there, and a signed rotation of a sparse
        code scores above the code itself.

    References
    ----------
    A. Treves, E. Rolls, Network 2:371-397 (1991).
    """
    responses = np.asarray(responses, dtype=np.float64)
    if (responses < 0).any():
        sample, profile = (int(index[0]) for index in np.nonzero(responses < 0))
        raise InputError(
            "Treves-Rolls and Vinje-Gallant sparseness need non-negative responses; got "
            f"{responses[sample, profile]:.3g} at sample {sample}, profile {profile}. Use hoyer or kurtosis."
        )
    return _ratio(_mean(responses, weights) ** 2, _mean(responses**2, weights))


def vinje_gallant(responses: ArrayLike, weights: Floats | None = None) -> Floats:
    """Vinje-Gallant sparseness S = (1 - a) / (1 - 1/n), a of `treves_rolls`: 0 for equal responses, 1 for a single one.

    Parameters, Raises and NaN are those of `treves_rolls`; NaN also for one sample.

    References
    ----------
    W. Vinje, J. Gallant, Science 287:1273-1276 (2000).
    """
    n = len(np.asarray(responses))
    activity = treves_rolls(responses, weights)
    return (1 - activity) / (1 - 1 / n) if n > 1 else np.full_like(activity, np.nan)


def hoyer(responses: ArrayLike, weights: Floats | None = None) -> Floats:
    """Hoyer sparseness (sqrt(n) - |r|_1 / |r|_2) / (sqrt(n) - 1): 0 for equal magnitudes, 1 for a single response.

    Parameters
    ----------
    responses : (sample, profile) array
        Of any sign.
    weights : (bootstrap, sample) array, optional

    Returns
    -------
    (profile,) or (bootstrap, profile) float64 array
        In [0, 1]; NaN for a silent profile or one sample.

    References
    ----------
    P. Hoyer, Journal of Machine Learning Research 5:1457-1469 (2004).
    """
    magnitude = np.abs(np.asarray(responses, dtype=np.float64))
    root = np.sqrt(len(magnitude))
    if root <= 1:
        return np.full_like(_mean(magnitude, weights), np.nan)
    return (root - root * _ratio(_mean(magnitude, weights), np.sqrt(_mean(magnitude**2, weights)))) / (root - 1)


def kurtosis(responses: ArrayLike, weights: Floats | None = None) -> Floats:
    """Excess kurtosis m4 / m2^2 - 3 of each profile: 0 for a Gaussian, large for rare strong responses.

    Parameters
    ----------
    responses : (sample, profile) array
        Of any sign.
    weights : (bootstrap, sample) array, optional

    Returns
    -------
    (profile,) or (bootstrap, profile) float64 array
        NaN for a constant profile.
    """
    responses = np.asarray(responses, dtype=np.float64)
    constant = np.ptp(responses, axis=0) <= 1e-12 * np.abs(responses).max(axis=0)
    centred = responses - responses.mean(axis=0)
    # About the mean of each bootstrap sample: m2 = E2 - d^2, m4 = E4 - 4 d E3 + 6 d^2 E2 - 3 d^4 for E_k about 0.
    square = centred * centred
    powers = (centred, square, square * centred, square * square)
    d, second, third, fourth = (_mean(power, weights) for power in powers)
    variance = np.where(constant, 0.0, np.maximum(second - d**2, 0.0))
    return _ratio(fourth - 4 * d * third + 6 * d**2 * second - 3 * d**4, variance**2) - 3.0


def poisson_surrogate(rates: Floats, repeats: ArrayLike, rng: np.random.Generator) -> Floats:
    """Averages over repeats of Poisson counts with given means.

    Parameters
    ----------
    rates : (sample, profile) float64 array
        Expected count of one repeat; non-negative.
    repeats : (sample,) int array
        Repeats averaged in each sample.
    rng : numpy.random.Generator

    Returns
    -------
    (sample, profile) float64 array
    """
    repeats = np.asarray(repeats)[:, None]
    return rng.poisson(repeats * rates) / repeats


def rotated_directions(responses: Floats, n_directions: int, rng: np.random.Generator) -> Floats:
    """Profiles along random directions of the population's space, (sample, direction).

    Each is what one axis becomes under a random rotation, so no whole rotation need be drawn.
    """
    directions = rng.standard_normal((responses.shape[1], n_directions))
    return responses @ (directions / np.linalg.norm(directions, axis=0))
