"""Atoms of sparse counts, averaged over all that may have made them.

The likeliest codes of a few spikes are far from the true ones, and atoms learned from them explain accidents. Counts
(sample, unit) and a dictionary (atom, unit) enter as numpy arrays, a better one leaves. Imports numpy and scipy.

References
----------
Draws that are matched before they are averaged: Stephens 2000.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from neurosparse.backend.dictionary.allocation import Prior, begin, fitted, sweep

Floats = NDArray[np.float64]
# Mean count of a unit above which the likeliest codes do as well in less time (mean 10: |cos| .9985, averaged .9987).
SPARSE = 5.0
# Sweeps: as many as weigh an atom against a spike so many times, within these bounds.
WEIGHINGS, FEWEST, MOST = 4e9, 150, 2000
# Share of the sweeps that come before any is averaged, and how many are.
BURN, DRAWS = 1 / 3, 200
# Spread of the atoms to begin with, a unit.
SPREAD = 0.2


def sparse_counts(x: Floats) -> bool:
    """Whether samples are whole numbers, and so few spikes that averaging pays."""
    return bool(0 < x.mean() <= SPARSE) and bool((x == np.round(x)).all())


def average_counts(
    x: Floats,
    dictionary: Floats,
    offset: Floats,
    *,
    weights: Floats,
    learn_offset: bool = True,
    n_sweeps: int | None = None,
    random_state: np.random.RandomState,
) -> tuple[Floats, Floats]:
    """Posterior means of atoms and offset of ``x_iu ~ Poisson(offset_u + sum_j z_ij d_ju)``, by Gibbs sampling.

    A code z_ij is 0, or exponential with a mean of its atom's own; an atom, of sum 1, comes from a Dirichlet
    distribution in proportion to the units' mean counts. The prior is fitted to the allocation of spikes after every
    sweep (`allocation`). The atoms of each draw are matched to the sum of those before, by their cosines, and added.

    Parameters
    ----------
    x : (sample, unit) array
        Whole numbers, not negative, not all 0.
    dictionary : (atom, unit) array
        Where to start. Negative entries become 0.
    offset : (unit,) array
        What it is where it is not learned.
    weights : (unit,) array
        Of the units in an atom's norm, also where draws are matched.
    learn_offset : bool
    n_sweeps : int, optional
        By default what `WEIGHINGS` affords.
    random_state : numpy.random.RandomState

    Returns
    -------
    dictionary : (atom, unit) array
        ``sum_u weights_u d_ju^2 = 1``.
    offset : (unit,) array

    Notes
    -----
    A sweep costs ``n_spikes n_atoms``, on one CPU thread 1 to 2 ns each; 4 bytes a sample and atom are held. Same
    random state, same result on one machine. Where samples have many spikes the chain stays near where it starts, and
    atoms that are missed there are missed here; where they have few, where it starts does not matter.
    """
    allocation, n_atoms = begin(x, dictionary, random_state), len(dictionary)
    n_spikes, mean, scale = len(allocation.owner), x.mean(0), np.sqrt(weights)
    if n_sweeps is None:
        n_sweeps = int(np.clip(WEIGHINGS / (n_spikes * n_atoms), FEWEST, MOST))
    first_kept = int(BURN * n_sweeps)
    every = max(1, (n_sweeps - first_kept) // DRAWS)
    prior = Prior(np.zeros(n_atoms), np.zeros(n_atoms), SPREAD * mean / mean.mean(), np.asarray(offset, dtype=float))
    atoms, background, n_draws = np.zeros(dictionary.shape), np.zeros(len(mean)), 0
    for number in range(n_sweeps):
        prior = fitted(prior, allocation, learn_background=learn_offset)
        sweep(*allocation, *prior, random_state.random_sample(n_spikes))
        if number >= first_kept and (number - first_kept) % every == 0:
            drawn = (allocation.of_unit.T + prior.spread) / (allocation.total + prior.spread.sum())[:, None]
            atoms, background = add_matched(atoms, drawn * scale), background + prior.background
            n_draws += 1
    return _unit(atoms) / scale, background / n_draws


def add_matched(atoms: Floats, drawn: Floats) -> Floats:
    """The sum so far and those drawn, made of unit norm, each beside the one that it is most like, (atom, unit)."""
    drawn = _unit(drawn)
    if not atoms.any():
        return drawn
    _, order = linear_sum_assignment(-_unit(atoms) @ drawn.T)
    return np.asarray(atoms + drawn[order])


def _unit(atoms: Floats) -> Floats:
    return np.asarray(atoms / np.linalg.norm(atoms, axis=1, keepdims=True).clip(1e-300))
