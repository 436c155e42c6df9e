"""Baselines are unit-norm, random where they say so, and lie where the data vary where they say that."""

from __future__ import annotations

import numpy as np
import pytest

from neurosparse.backend import baselines
from neurosparse.errors import InputError


def stretched(seed=0):
    return np.random.default_rng(seed).standard_normal((500, 6)) * [10, 3, 1, 1, 1, 0] + 5


def test_random_directions_have_no_preference():
    atoms = baselines.random_dictionary(4000, 6, random_state=0)
    np.testing.assert_allclose(np.linalg.norm(atoms, axis=1), 1)
    np.testing.assert_allclose(atoms.T @ atoms / 4000, np.eye(6) / 6, atol=0.02)


def test_covariance_matched_directions_lie_where_the_data_vary():
    x = stretched()
    atoms = baselines.covariance_matched_dictionary(x, 4000, random_state=0)
    np.testing.assert_allclose(np.linalg.norm(atoms, axis=1), 1)
    assert np.abs(atoms[:, 5]).max() < 1e-12
    spread = np.linalg.cholesky(np.cov(x.T)[:5, :5])
    drawn = np.random.default_rng(1).standard_normal((4000, 5)) @ spread.T
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    np.testing.assert_allclose(np.square(atoms[:, :5]).mean(0), np.square(drawn).mean(0), atol=0.02)


def test_rotations_are_orthogonal_and_differ():
    for n_units in (1, 2, 7):
        rotation = baselines.random_rotation(n_units, random_state=0)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(n_units), atol=1e-12)
    assert not np.allclose(*(baselines.random_rotation(7, random_state=seed) for seed in (0, 1)))


def test_principal_directions_come_in_falling_order():
    found = baselines.principal_directions(stretched(), 3)
    assert (np.abs(np.diag(found)[:2]) > 0.99).all()


def test_what_cannot_be_is_said():
    with pytest.raises(InputError, match="does not vary"):
        baselines.covariance_matched_dictionary(np.ones((5, 3)), 2)
    with pytest.raises(InputError, match="at most 6 directions; got 7"):
        baselines.principal_directions(stretched(), 7)
