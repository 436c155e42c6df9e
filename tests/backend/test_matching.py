"""Matching finds what is the same under another name, and random dictionaries match as well as chance says."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy.sparse import coo_array, csc_array, csr_array

from neurosparse.backend.baselines import random_dictionary
from neurosparse.backend.matching import (
    chance_corrected,
    chance_of_codes,
    match,
    match_codes,
    match_codes_by_halves,
    match_support,
    pairing,
    recovery,
    stability,
)
from neurosparse.errors import InputError


def test_a_permuted_and_flipped_self_matches_wholly():
    atoms = random_dictionary(20, 9, random_state=0)
    order = np.random.default_rng(1).permutation(20)
    flips = np.where(np.arange(20) % 2, 1.0, -3.0)[:, None]
    pairs = match(atoms, (flips * atoms[order]))
    np.testing.assert_allclose(pairs.value, 1)
    np.testing.assert_array_equal(order[pairs.second], pairs.first)


# Published beside these as one or a few draws each; the spread of a single draw is .02 at the small one.
@pytest.mark.parametrize(
    ("n_units", "n_atoms", "chance"), [(8, 16, 0.611), (47, 100, 0.369), (79, 500, 0.345), (93, 1000, 0.333)]
)
def test_chance_level_of_random_dictionaries(n_units, n_atoms, chance):
    values = [
        match(*(random_dictionary(n_atoms, n_units, random_state=2 * seed + side) for side in (0, 1))).value.mean()
        for seed in range(20 if n_atoms < 200 else 2)
    ]
    # At (8, 16) the mean over 200 draws is .631 (sd .026): the published .611 is one draw, within one sd of it.
    assert np.mean(values) == pytest.approx(chance, abs=0.03 if n_units == 8 else 0.02)


def test_matching_is_one_to_one_and_not_greedy():
    first = np.array([[1.0, 0.0], [0.8, 0.6]])
    second = np.array([[0.96, 0.28], [0.6, -0.8]])  # greedy pairs the first rows and leaves |cos| 0 for the second
    pairs = match(first, second)
    np.testing.assert_array_equal(pairs.second, [1, 0])
    assert pairs.value.sum() == pytest.approx(0.6 + 0.936)


def test_dictionaries_of_unequal_size():
    atoms = random_dictionary(12, 6, random_state=0)
    value = recovery(atoms[:5], atoms)
    np.testing.assert_allclose(np.sort(value)[-5:], 1)
    assert (value == 0).sum() == 7
    np.testing.assert_allclose(recovery(atoms, atoms[:5]), 1)
    np.testing.assert_allclose(recovery(np.vstack([atoms[:4], np.zeros(6)]), atoms[:5])[:4], 1)


def test_codes_match_up_to_order_sign_and_scale_and_rare_latents_are_left_out():
    rng = np.random.default_rng(0)
    truth = rng.exponential(size=(500, 10)) * (rng.random((500, 10)) < 0.2)
    truth[:, 3] = 0
    truth[:5, 3] = 1
    found = match_codes(-2 * truth[:, rng.permutation(10)] + 1, truth)
    assert found.mean == pytest.approx(1)
    assert found.coverage == pytest.approx(0.9)
    assert np.isnan(found.value[3])
    null = match_codes(rng.permutation(truth), truth)
    assert null.mean < 0.15
    assert match_codes(truth[:, :4], truth).value[9] == 0


def test_chance_correction():
    np.testing.assert_allclose(chance_corrected([0.6, 1.0, 0.2], 0.6), [0, 1, -1])
    assert chance_corrected(0.5, -0.3) == pytest.approx(0.5)
    assert np.isnan(chance_corrected(1.0, 1.0))


def test_what_does_not_fit_is_said():
    with pytest.raises(InputError, match="got 3 and 4 units"):
        match(np.ones((2, 3)), np.ones((2, 4)))
    with pytest.raises(InputError, match="first needs a matrix of finite numbers"):
        match(np.full((2, 3), np.nan), np.ones((2, 3)))
    with pytest.raises(InputError, match="the same samples"):
        match_codes(np.ones((5, 2)), np.ones((6, 2)))
    with pytest.raises(InputError, match="no latent is active in 20 of 5 samples"):
        match_codes(np.ones((5, 2)), np.ones((5, 2)))


@pytest.mark.parametrize("shape", [(300, 300), (240, 300), (300, 240)])
def test_sparse_assignment_finds_what_the_dense_one_finds(shape, monkeypatch):
    truth = random_dictionary(300, 12, random_state=0)
    rng = np.random.default_rng(1)
    learned = truth[rng.permutation(300)[: shape[0]]] + 0.1 * rng.standard_normal((shape[0], 12))
    dense = match(learned, truth[: shape[1]])
    monkeypatch.setattr(pairing, "DENSE_ROWS", 10)
    sparse = match(learned, truth[: shape[1]])
    assert len(set(sparse.first)) == len(set(sparse.second)) == min(shape)
    same = {*zip(dense.first, dense.second, strict=True)} & {*zip(sparse.first, sparse.second, strict=True)}
    assert len(same) > 0.9 * min(shape)
    assert sparse.value.sum() > 0.995 * dense.value.sum()
    # Too few candidates: every row still has a partner of its own.
    monkeypatch.setattr(pairing, "CANDIDATES", 1)
    alone = match(learned, truth[: shape[1]])
    assert len(set(alone.first)) == len(set(alone.second)) == min(shape)


@pytest.mark.slow
def test_twenty_thousand_atoms_match_without_a_cubic_wall():
    truth = random_dictionary(20_000, 64, random_state=0)
    order = np.random.default_rng(1).permutation(20_000)
    pairs = match(truth[order], truth)
    np.testing.assert_array_equal(order[pairs.first], pairs.second)
    np.testing.assert_allclose(pairs.value, 1)


def planted_codes(n_samples=2000, n_latents=12, seed=0):
    rng = np.random.default_rng(seed)
    return rng.exponential(size=(n_samples, n_latents)) * (rng.random((n_samples, n_latents)) < 0.2), rng


def test_support_of_perfect_codes_is_perfect_and_of_shuffled_ones_at_chance():
    truth, rng = planted_codes()
    order = rng.permutation(12)
    perfect = match_support(2 * truth[:, order], truth)
    assert (perfect.precision, perfect.recall, perfect.f1, perfect.coverage) == (1, 1, 1, 1)
    assert perfect.corrected == pytest.approx(1)
    assert perfect.chance == pytest.approx(0.2, abs=0.03)
    assert abs(match_support(rng.permutation(truth), truth).corrected) < 0.05
    missed = truth * (rng.random(truth.shape) < 0.5)
    half = match_support(missed, truth)
    assert half.precision == 1
    assert half.recall == pytest.approx(0.5, abs=0.03)
    # Twelve more atoms that fire at the same rate are supports of nothing.
    extra = np.column_stack([truth, rng.random((2000, 12)) * (rng.random((2000, 12)) < 0.2)])
    assert match_support(extra, truth).precision == pytest.approx(0.5, abs=0.03)


def test_rare_latents_are_left_out_of_supports():
    truth, _ = planted_codes()
    truth[:, 0] = 0
    truth[:5, 0] = 1
    found = match_support(truth, truth)
    assert found.coverage == pytest.approx(11 / 12)
    assert found.precision == 1


def test_matching_where_it_is_scored_flatters_and_halves_do_not():
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((80, 40))
    noise = rng.standard_normal((80, 40))
    flattered, honest = match_codes(noise, truth).mean, match_codes_by_halves(noise, truth).mean
    assert flattered > 0.2
    assert honest < flattered - 0.05
    assert match_codes_by_halves(truth[:, ::-1], truth).mean == pytest.approx(1)
    np.testing.assert_array_equal(match_codes_by_halves(truth[:, ::-1], truth).code, np.arange(40)[::-1])
    assert chance_of_codes(truth, truth) == pytest.approx(flattered, abs=0.05)
    with pytest.raises(InputError, match="in 50 of 40 samples"):
        match_codes_by_halves(noise, truth, min_events=50)


@pytest.mark.parametrize("dense_rows", [3000, 10])
@pytest.mark.parametrize("kind", [csr_array, csc_array, coo_array])
def test_sparse_codes_match_as_dense_ones_do(kind, dense_rows, monkeypatch):
    monkeypatch.setattr(pairing, "DENSE_ROWS", dense_rows)
    truth, rng = planted_codes(n_samples=1500, n_latents=60)
    order = rng.permutation(60)[:50]
    codes = truth[:, order] * (rng.random((1500, 50)) < 0.7)
    codes[:, 7], truth[:, 9] = 0, 0
    codes[:, 8] = 2.0  # no zero, and nothing that varies
    for score in (match_codes, match_codes_by_halves):
        dense, sparse, mixed = score(codes, truth), score(kind(codes), kind(truth)), score(kind(codes), truth)
        np.testing.assert_allclose(sparse.value, dense.value, atol=1e-6)
        np.testing.assert_allclose(mixed.value, dense.value, atol=1e-6)
        real = dense.value > 0.1  # who goes with nobody is left to chance
        np.testing.assert_array_equal(sparse.code[real], dense.code[real])
        assert (sparse.mean, sparse.coverage) == (pytest.approx(dense.mean), dense.coverage)
    assert chance_of_codes(kind(codes), truth) == pytest.approx(chance_of_codes(codes, truth), abs=1e-3)
    without = np.delete(codes, [7, 8], axis=1)
    np.testing.assert_allclose(match_support(kind(without), kind(truth)), match_support(without, truth), atol=1e-3)
    codes[3, 4] = np.nan
    with pytest.raises(InputError, match="codes needs a matrix of finite numbers"):
        match_codes(kind(codes), truth)
    with pytest.raises(InputError, match="the same samples"):
        match_codes(kind(codes), truth[1:])


def test_sparse_codes_are_left_as_they_came():
    truth, _ = planted_codes(n_samples=200)
    rows, columns = np.nonzero(truth)
    columns = columns[np.lexsort((-columns, rows))]  # of a row, the last first
    pointer = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=200))])
    given = csr_array((truth[rows, columns].astype(np.float32), columns, pointer), shape=truth.shape)
    before = given.toarray()
    assert match_codes(given, given).mean == pytest.approx(1)
    match_support(given, given)
    np.testing.assert_array_equal(given.toarray(), before)


def test_codes_of_many_atoms_are_matched_without_their_zeros():
    rng, n_samples, n_atoms = np.random.default_rng(0), 100_000, 3200
    atom = rng.integers(n_atoms, size=(n_samples, 5))
    pointer = np.arange(n_samples + 1) * 5
    truth = csr_array((rng.exponential(size=atom.size), atom.ravel(), pointer), shape=(n_samples, n_atoms))
    truth.sum_duplicates()
    order = rng.permutation(n_atoms)
    tracemalloc.start()
    found = match_codes(-truth[:, order], truth)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(order[found.code], np.arange(n_atoms))
    np.testing.assert_allclose(found.value, 1)
    assert peak < 0.1 * 8 * n_samples * n_atoms


def test_an_oracle_is_the_other_end_of_the_scale():
    assert chance_corrected(0.7, 0.5, oracle=0.9) == pytest.approx(0.5)
    assert np.isnan(chance_corrected(0.7, 0.9, oracle=0.8))


def test_stability_names_the_atoms_that_come_back():
    atoms = random_dictionary(10, 20, random_state=0)
    other = random_dictionary(10, 20, random_state=1)
    other[:6] = -atoms[:6]
    found = stability([atoms, other[::-1], other])
    np.testing.assert_allclose(found[:6], 1)
    assert found[6:].max() < 0.8
    with pytest.raises(InputError, match="at least 2 are needed; got 1"):
        stability([atoms])
