"""Counts: spikes are given as often as their probability says, and averages find atoms that likeliest codes miss."""

from __future__ import annotations

from itertools import product
from math import lgamma

import numpy as np
import pytest

from neurosparse.backend.baselines import random_dictionary
from neurosparse.backend.dictionary.allocation import Prior, begin, counted, fitted, sweep
from neurosparse.backend.dictionary.averaging import add_matched, average_counts, sparse_counts
from neurosparse.backend.dictionary.counts import count_codes, count_objective, fit_counts
from neurosparse.backend.matching import recovery


def sparse(seed=0, n_samples=2000, n_units=16, n_atoms=20, mean=0.2, background=0.1):
    """Poisson counts of few active atoms over a background, and the atoms."""
    rng = np.random.default_rng(seed)
    atoms = np.abs(rng.standard_normal((n_atoms, n_units))) * (rng.random((n_atoms, n_units)) < 0.3) + 0.01
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    signal = rng.exponential(size=(n_samples, n_atoms)) * (rng.random((n_samples, n_atoms)) < 2 / n_atoms) @ atoms
    rate = mean * ((1 - background) * signal / signal.mean() + background)
    return rng.poisson(rate).astype(float), atoms


def log_probability(prior, owner, sample, unit, shape):
    """Of spikes and their owners, codes and atoms integrated out, up to a constant: the model written down directly."""
    n_samples, n_units, n_atoms = shape
    said = sum(np.log(prior.background[u]) for u, j in zip(unit, owner, strict=True) if j == n_atoms)
    for j in range(n_atoms):
        none = 1 / (1 + prior.first[j] / (1 - prior.again[j]))  # P(n) = first again^(n - 1) P(0)
        for i in range(n_samples):
            n = int(((owner == j) & (sample == i)).sum())
            said += np.log(none) if n == 0 else np.log(none * prior.first[j]) + (n - 1) * np.log(prior.again[j])
            said += lgamma(n + 1)
        of_unit = np.bincount(unit[owner == j], minlength=n_units)
        said += lgamma(prior.spread.sum()) - lgamma(prior.spread.sum() + of_unit.sum())
        said += sum(lgamma(a + n) - lgamma(a) for a, n in zip(prior.spread, of_unit, strict=True))
    return said


def test_spikes_are_given_as_often_as_their_probability_says():
    sample, unit, shape = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 0]), (2, 2, 2)
    prior = Prior(np.array([0.3, 0.8]), np.array([0.4, 0.7]), np.array([0.5, 0.2]), np.array([0.3, 0.1]))
    states = [np.array(state) for state in product(range(3), repeat=len(sample))]
    expected = np.exp([log_probability(prior, state, sample, unit, shape) for state in states])
    expected /= expected.sum()
    allocation = counted(sample, unit, np.full(5, 2), shape)
    random, seen, place = np.random.RandomState(0), np.zeros(len(states)), 3 ** np.arange(4, -1, -1)
    for _ in range(60_000):
        sweep(*allocation, *prior, random.random_sample(5))
        seen[allocation.owner @ place] += 1
    seen /= seen.sum()
    assert np.abs(seen - expected).sum() / 2 < 0.035
    # As it would be were codes of more spikes no more likely to have another one.
    other = np.exp([log_probability(prior._replace(again=prior.first / 2), s, sample, unit, shape) for s in states])
    assert np.abs(seen - other / other.sum()).sum() / 2 > 0.1


def test_counts_of_the_allocation_stay_those_of_its_owners():
    x, atoms = sparse(n_samples=300)
    allocation = begin(x, atoms, np.random.RandomState(0))
    prior = Prior(np.zeros(20), np.zeros(20), 0.2 * np.ones(16), x.mean(0))
    for seed in range(5):
        prior = fitted(prior, allocation)
        sweep(*allocation, *prior, np.random.RandomState(seed).random_sample(len(allocation.owner)))
    again = counted(*allocation[:3], (*x.shape, 20))
    for one, other in zip(allocation, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (allocation.of_sample.sum(1) <= x.sum(1)).all()
    np.testing.assert_array_equal(np.bincount(allocation.unit, minlength=16), x.sum(0))
    np.testing.assert_array_equal(np.bincount(allocation.sample, minlength=300), x.sum(1))


def test_the_first_owners_are_those_that_the_atoms_make_likely_in_any_sample():
    x = np.zeros((4000, 3))
    x[:2000, 0], x[2000:, 2] = 3, 2
    atoms = np.array([[1.0, 0, 0], [1.0, 0, 3.0], [0, 0, 0]])  # the third stands for the mean: .6, 0, .4
    allocation = begin(x, atoms, np.random.RandomState(0))
    shares = 0.95 * np.array([[1, 0, 0], [0.25, 0, 0.75], [0, 0, 0]]) + 0.05 * np.array([0.6, 0, 0.4])
    for u in (0, 2):
        rates = np.append(0.3 * shares[:, u], 0.1 * x.mean(0)[u] / x.mean(0).sum())
        given = np.bincount(allocation.owner[allocation.unit == u], minlength=4)
        np.testing.assert_allclose(given / given.sum(), rates / rates.sum(), atol=0.02)


def test_the_prior_is_that_of_the_codes_and_atoms_that_were_drawn():
    rng = np.random.default_rng(0)
    n_samples, rate, size, spread = 20_000, np.array([0.1, 0.3]), np.array([4.0, 1.0]), np.array([0.4, 0.1, 0.9, 0.6])
    of_sample = rng.poisson(rng.exponential(size, (n_samples, 2)) * (rng.random((n_samples, 2)) < rate))
    many = [rng.dirichlet(spread) for _ in range(400)]
    allocation = counted(np.zeros(0, int), np.zeros(0, int), np.zeros(0, int), (n_samples, 4, 2))
    allocation.of_sample[:], allocation.total[:] = of_sample, of_sample.sum(0)
    found = fitted(Prior(np.zeros(2), np.zeros(2), spread, np.ones(4)), allocation, learn_background=False)
    np.testing.assert_allclose(found.again, size / (1 + size), rtol=0.02)
    none = 1 - rate * size / (1 + size)
    np.testing.assert_allclose(found.first, rate * size / (1 + size) ** 2 / none, rtol=0.05)
    np.testing.assert_array_equal(found.background, 1)
    # The spread keeps its proportions and finds its size, from either side.
    of_unit = np.array([rng.multinomial(200, atom) for atom in many], dtype=float).T
    wide = counted(np.zeros(0, int), np.zeros(0, int), np.zeros(0, int), (1, 4, 400))
    wide.of_unit[:], wide.total[:] = of_unit, of_unit.sum(0)
    for factor in (0.05, 20):
        prior = Prior(np.zeros(400), np.zeros(400), factor * spread, np.ones(4))
        for _ in range(300):
            prior = fitted(prior, wide)
        np.testing.assert_allclose(prior.spread, spread, rtol=0.1)


def test_draws_are_matched_before_they_are_added():
    rng = np.random.default_rng(0)
    atoms = random_dictionary(12, 8, random_state=0)
    total = np.zeros((12, 8))
    for _ in range(20):
        total = add_matched(total, 5 * (atoms + 0.05 * rng.standard_normal(atoms.shape))[rng.permutation(12)])
    assert recovery(total, atoms).min() > 0.99
    assert np.linalg.norm(total, axis=1) == pytest.approx(20, rel=0.05)


def test_averages_find_atoms_that_the_likeliest_codes_do_not():
    x, atoms = sparse()
    weights, anywhere = 1 / x.mean(0), np.random.RandomState(0).random_sample(atoms.shape)
    averaged, likeliest = [], []
    for start in (atoms, anywhere):
        found, offset = average_counts(
            x, start, x.mean(0), weights=weights, n_sweeps=600, random_state=np.random.RandomState(1)
        )
        averaged.append(recovery(found, atoms).mean())
        mode = fit_counts(x, start, 0.1 * x.mean(0), 1.5, weights=weights).dictionary
        likeliest.append(recovery(mode, atoms).mean())
    # Averages stay nearer to the true atoms, and come nearer from anywhere.
    assert averaged[0] > max(0.9, likeliest[0] + 0.05)
    assert averaged[1] > max(0.85, likeliest[1] + 0.05)
    assert (weights * found**2).sum(1) == pytest.approx(1)
    assert offset.mean() == pytest.approx(0.02, rel=0.3)  # a tenth of .2
    short = {"weights": weights, "n_sweeps": 20}
    again, same = (
        average_counts(x, anywhere, offset, random_state=np.random.RandomState(3), **short)[0] for _ in range(2)
    )
    np.testing.assert_array_equal(again, same)
    fixed = average_counts(x, anywhere, 2 * offset, learn_offset=False, random_state=np.random.RandomState(3), **short)
    np.testing.assert_allclose(fixed[1], 2 * offset)


def test_counts_that_hold_no_atoms_give_their_mean():
    rng = np.random.default_rng(0)
    mean = 0.3 * np.exp(0.7 * rng.standard_normal(16))
    x = rng.poisson(mean * rng.gamma(3, 1 / 3, (2000, 1))).astype(float)
    start, mean = rng.random((20, 16)), x.mean(0)
    weights = 1 / mean
    found, _ = average_counts(x, start, mean, weights=weights, n_sweeps=300, random_state=np.random.RandomState(0))
    alike = (weights * mean * found).sum(1) / np.sqrt((weights * mean**2).sum())
    assert alike.min() > 0.9
    likeliest = fit_counts(x, start, mean / 2, 1.5, weights=weights).dictionary
    assert ((weights * mean * likeliest).sum(1) / np.sqrt((weights * mean**2).sum())).mean() < 0.8


def test_an_offset_of_its_own_is_the_best_for_given_atoms():
    x, atoms = sparse(n_samples=800, mean=0.3)
    least = np.full(16, 0.03)
    settings = {"weights": np.ones(16), "learn_atoms": False, "least": least, "tol": 1e-9, "max_iter": 300}
    found = fit_counts(x, atoms, x.mean(0) / 2, 4.0, **settings)
    np.testing.assert_allclose(found.dictionary, atoms)
    assert (np.diff(found.objective) <= 1e-12).all()
    slope = (1 - x / (found.offset + found.codes @ atoms)).mean(0)
    free = found.offset > least + 1e-6
    assert 0 < free.sum() < 16
    np.testing.assert_allclose(slope[free], 0, atol=1e-4)
    assert (slope[~free] > -1e-4).all()
    codes = count_codes(x, atoms, least, 4.0)
    assert found.objective[-1] < count_objective(x, atoms, least, codes, 4.0) - 0.01


def test_averages_are_for_whole_numbers_and_few():
    x = np.random.default_rng(0).poisson(0.5, (50, 4)).astype(float)
    assert sparse_counts(x)
    assert not sparse_counts(x / 2)
    assert not sparse_counts(20 * x)
    assert not sparse_counts(0 * x)
