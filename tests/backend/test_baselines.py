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


def mixed(n_samples=800, n_sources=5, n_units=8, seed=0):
    rng = np.random.default_rng(seed)
    sources = rng.laplace(size=(n_samples, n_sources))
    return sources @ rng.standard_normal((n_sources, n_units)) + 3, sources


@pytest.mark.parametrize("name", baselines.BASELINES)
def test_baselines_have_unit_norm_and_read_back_what_they_can(name):
    x, _ = mixed()
    x = np.abs(x)
    n_atoms = {"units": 8, "kmeans": 20, "random": 20}.get(name, 8)
    found = baselines.fit_baseline(name, x, n_atoms, random_state=0)
    assert found.dictionary.shape == (n_atoms, 8)
    np.testing.assert_allclose(np.linalg.norm(found.dictionary, axis=1), 1)
    again = baselines.fit_baseline(name, x, n_atoms, random_state=0)
    np.testing.assert_array_equal(found.dictionary, again.dictionary)
    if name in ("pca", "ica", "units"):  # complete and exact
        back = (x - found.offset) @ found.encoder.T @ found.dictionary + found.offset
        np.testing.assert_allclose(back, x, atol=1e-6)
    if name == "nmf":
        assert found.encoder is None
        assert found.dictionary.min() >= 0
        np.testing.assert_array_equal(found.offset, x.min(axis=0))


def test_independent_components_are_the_mixing_directions():
    x, sources = mixed()
    found = baselines.fit_baseline("ica", x, 5, random_state=0)
    mixing = np.random.default_rng(0)
    mixing.laplace(size=(800, 5))
    truth = mixing.standard_normal((5, 8))
    truth /= np.linalg.norm(truth, axis=1, keepdims=True)
    assert np.abs(found.dictionary @ truth.T).max(axis=0).min() > 0.98
    codes = (x - found.offset) @ found.encoder.T
    assert np.abs(np.corrcoef(codes.T, sources.T)[:5, 5:]).max(axis=0).min() > 0.98


@pytest.mark.parametrize(
    ("name", "n_atoms", "message"),
    [
        ("lda", 3, "baselines are pca, ica, nmf, kmeans, random, units; got 'lda'"),
        ("pca", 7, "pca has at most 6 atoms for 500 samples of 6 units; got n_atoms = 7"),
        ("kmeans", 501, "kmeans has at most 500 atoms"),
        ("units", 5, "units has exactly 6 atoms"),
        ("ica", 0, "got n_atoms = 0"),
    ],
)
def test_baselines_that_cannot_be_are_refused(name, n_atoms, message):
    with pytest.raises(InputError, match=message):
        baselines.fit_baseline(name, stretched(), n_atoms)
