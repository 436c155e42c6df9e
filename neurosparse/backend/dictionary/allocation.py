"""Whose is each spike? Given at random to an atom or the background, as likely as all the others make it.

A collapsed Gibbs sampler of sparse counts: codes and atoms are integrated out. Counts (sample, unit) and a dictionary
(atom, unit) enter as numpy arrays. Imports numpy, scipy and numba.

References
----------
The sampler: Griffiths & Steyvers 2004, eq. 5; the model: Canny 2004 (GaP), with codes that are 0 or exponential in
place of gamma ones, and a background. Spread of the atoms: Minka 2000, "Estimating a Dirichlet distribution", eq. 55.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import digamma

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
# Where to begin: shares of the spikes that are the background's, and of an atom's that are spread as the mean is.
BACKGROUND, SMOOTH = 0.1, 0.05
# An atom's own amplitude is mixed with that of all atoms, which counts as so many of its spikes.
SHARED = 20.0


class Prior(NamedTuple):
    """What is believed of codes, atoms and background.

    Attributes
    ----------
    first : (atom,) array
        Odds of one spike to none in a sample.
    again : (atom,) array
        Probability of one more spike where there is one: ``mean code / (1 + mean code)``.
    spread : (unit,) array
        Parameters of the Dirichlet distribution of atoms.
    background : (unit,) array
        Spikes a sample.
    """

    first: Floats
    again: Floats
    spread: Floats
    background: Floats


class Allocation(NamedTuple):
    """Whose each spike is, and the counts of that.

    Attributes
    ----------
    sample, unit : (spike,) arrays
        Spikes of a sample stand together.
    owner : (spike,) array
        An atom, or n_atoms for the background.
    of_sample : (sample, atom) array
    of_unit : (unit, atom) array
    total : (atom,) array
    """

    sample: Indices
    unit: Indices
    owner: Indices
    of_sample: NDArray[np.int32]
    of_unit: Floats
    total: Floats


def begin(x: Floats, dictionary: Floats, random_state: np.random.RandomState) -> Allocation:
    """Each spike to an atom at random, in proportion to what atoms of equal sums give to its unit, whatever its sample.

    Codes are then all alike, and sparse ones form where samples ask for them.
    """
    mean, n_atoms = x.mean(0), len(dictionary)
    shares = np.clip(dictionary, 0, None)
    shares = shares / shares.sum(1, keepdims=True).clip(1e-300)
    shares = (1 - SMOOTH) * shares + SMOOTH * mean / mean.sum()
    rates = np.vstack([(1 - BACKGROUND) / n_atoms * shares, BACKGROUND * mean / mean.sum()])
    bounds = np.cumsum(rates, axis=0).T  # (unit, atom and background)
    bounds = bounds / bounds[:, -1:].clip(1e-300) + np.arange(len(mean))[:, None]
    where = np.nonzero(x)
    sample, unit = (np.repeat(index, x[where].astype(int)) for index in where)
    place = np.searchsorted(bounds.ravel(), unit + random_state.random_sample(len(unit)), side="right")
    return counted(sample, unit, np.clip(place - unit * (n_atoms + 1), 0, n_atoms), (*x.shape, n_atoms))


def counted(sample: Indices, unit: Indices, owner: Indices, shape: tuple[int, int, int]) -> Allocation:
    """The allocation of spikes to owners, for numbers of samples, units and atoms."""
    n_samples, n_units, n_atoms = shape
    given = owner < n_atoms
    of_sample = np.zeros((n_samples, n_atoms), dtype=np.int32)
    of_unit = np.zeros((n_units, n_atoms))
    np.add.at(of_sample, (sample[given], owner[given]), 1)
    np.add.at(of_unit, (unit[given], owner[given]), 1)
    return Allocation(sample, unit, owner, of_sample, of_unit, of_unit.sum(0))


def fitted(prior: Prior, allocation: Allocation, *, learn_background: bool = True) -> Prior:
    """The prior that the allocation makes likely; the spread is one step nearer to it, in proportion to what it was."""
    n_samples, n_atoms = allocation.of_sample.shape
    active, total = np.count_nonzero(allocation.of_sample, axis=0), allocation.total
    ends = (active.sum() + 1) / (total.sum() + 2)
    ends = (active + SHARED * ends) / (total + SHARED)  # (atom,) probability of no more spike
    share = (active + 0.5) / (n_samples + 1)
    background = prior.background
    if learn_background:
        given = allocation.unit[allocation.owner == n_atoms]
        background = (np.bincount(given, minlength=len(background)) + 0.5) / n_samples
    spread = prior.spread * _wider(prior.spread, allocation)
    return Prior(share * ends / (1 - share), 1 - ends, spread, background)


@njit(cache=True, fastmath=True, error_model="numpy")
def sweep(
    sample: np.ndarray,
    unit: np.ndarray,
    owner: np.ndarray,
    of_sample: np.ndarray,
    of_unit: np.ndarray,
    total: np.ndarray,
    first: np.ndarray,
    again: np.ndarray,
    spread: np.ndarray,
    background: np.ndarray,
    uniform: np.ndarray,
) -> None:  # pragma: no cover (compiled)
    """Give each spike anew, in place; `Allocation`, `Prior` and numbers of [0, 1), (spike,).

    Where n_ij spikes of sample i and n_ju of unit u are atom j's, another one of u in i is j's in proportion to
    ``w(n_ij) (n_ju + spread_u) / (n_j + sum spread)``, and the background's in proportion to ``background_u``. Here
    ``w(n) = (n + 1) P(n + 1) / P(n)``: ``first_j`` for n = 0, ``(n + 1) again_j`` for more.
    """
    n_atoms = len(total)
    whole = spread.sum()
    weight, code, inverse = np.empty(n_atoms), np.empty(n_atoms), 1 / (total + whole)
    last = -1
    for s in range(len(sample)):
        i, u, now = sample[s], unit[s], owner[s]
        if now < n_atoms:
            of_sample[i, now] -= 1
            of_unit[u, now] -= 1
            total[now] -= 1
            inverse[now] = 1 / (total[now] + whole)
        if i != last:
            for j in range(n_atoms):
                n = of_sample[i, j]
                code[j] = (n + 1) * again[j] if n > 0 else first[j]
            last = i
        elif now < n_atoms:
            n = of_sample[i, now]
            code[now] = (n + 1) * again[now] if n > 0 else first[now]
        summed = 0.0
        for j in range(n_atoms):
            weight[j] = code[j] * (of_unit[u, j] + spread[u]) * inverse[j]
            summed += weight[j]
        left = uniform[s] * (summed + background[u]) - background[u]
        new = n_atoms
        if left > 0:
            new = 0
            left -= weight[0]
            while left > 0 and new < n_atoms - 1:
                new += 1
                left -= weight[new]
        owner[s] = new
        if new < n_atoms:
            of_sample[i, new] += 1
            of_unit[u, new] += 1
            total[new] += 1
            code[new] = (of_sample[i, new] + 1) * again[new]
            inverse[new] = 1 / (total[new] + whole)


def _wider(spread: Floats, allocation: Allocation) -> float:
    """Factor of one step of Minka's fixed point, at most 2 either way; units without a spike say nothing."""
    seen, total = spread > 0, allocation.total
    spread, of_unit, whole = spread[seen], allocation.of_unit[seen], spread.sum()
    gained = spread @ (digamma(of_unit + spread[:, None]) - digamma(spread)[:, None]).sum(1)
    spent = whole * (digamma(total + whole) - digamma(whole)).sum()
    return float(np.clip(gained / spent, 0.5, 2.0)) if spent > 0 else 1.0
