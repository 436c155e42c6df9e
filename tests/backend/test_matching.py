"""Matching finds what is the same under another name, and random dictionaries match as well as chance says."""

from __future__ import annotations

import numpy as np
import pytest

from neurosparse.backend.baselines import random_dictionary
from neurosparse.backend.matching import chance_corrected, match, match_codes, recovery
from neurosparse.errors import InputError


def test_a_permuted_and_flipped_self_matches_wholly():
    atoms = random_dictionary(20, 9, random_state=0)
    order = np.random.default_rng(1).permutation(20)
    flips = np.where(np.arange(20) % 2, 1.0, -3.0)[:, None]
    pairs = match(atoms, (flips * atoms[order]))
    np.testing.assert_allclose(pairs.value, 1)
    np.testing.assert_array_equal(order[pairs.second], pairs.first)


# Published beside these as one or a few draws each; the spread of a single draw is .02 at the small one.
@pytest.mark.parametrize(("n_units", "n_atoms", "chance"), [(8, 16, 0.611), (47, 100, 0.369)])
def test_chance_level_of_random_dictionaries(n_units, n_atoms, chance):
    values = [
        match(*(random_dictionary(n_atoms, n_units, random_state=2 * seed + side) for side in (0, 1))).value.mean()
        for seed in range(20)
    ]
    assert np.mean(values) == pytest.approx(chance, abs=0.03)


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
