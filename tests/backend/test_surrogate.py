"""Surrogates keep mean and covariance and nothing else; the verdict is right of planted and of Gaussian samples."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from threadpoolctl import threadpool_limits

from neurosparse.backend.baselines import random_dictionary
from neurosparse.backend.surrogate import LEVEL, gaussian_surrogate, prediction_p, surrogate_test


def planted(n_samples=600, seed=0):
    rng = np.random.default_rng(seed)
    codes = rng.uniform(0.5, 1.5, (n_samples, 16)) * (rng.random((n_samples, 16)) < 0.12)
    return codes @ random_dictionary(16, 12, random_state=seed) + 0.1 * rng.standard_normal((n_samples, 12))


def gaussian(n_samples=600, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n_samples, 12)) @ rng.standard_normal((12, 12)) + 3


def halves(n_samples, seed=0):
    order = np.random.default_rng(seed).permutation(n_samples)
    return [(order[: n_samples // 2], order[n_samples // 2 :])]


def test_surrogates_have_the_mean_and_covariance_and_are_gaussian():
    x = planted(4000)
    drawn = gaussian_surrogate(x, random_state=0)
    np.testing.assert_allclose(drawn.mean(0), x.mean(0), atol=1e-12)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(x.T), atol=1e-12)
    assert stats.kurtosis(x, axis=0).mean() > 0.5
    assert abs(stats.kurtosis(drawn, axis=0).mean()) < 0.15
    assert not np.allclose(drawn, gaussian_surrogate(x, random_state=1))


def test_surrogates_of_few_samples_and_flat_units():
    x = np.random.default_rng(0).standard_normal((8, 20))
    x[:, 4] = 2
    drawn = gaussian_surrogate(x, random_state=0)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(x.T), atol=1e-12)
    np.testing.assert_allclose(drawn[:, 4], 2)


def test_prediction_p_is_uniform_for_one_more_normal_draw():
    rng = np.random.default_rng(0)
    p = np.array([prediction_p(draws[0], draws[1:]) for draws in rng.standard_normal((2000, 20)) * 3 + 1])
    for level in (0.01, 0.05, 0.5):
        assert (p < level).mean() == pytest.approx(level, abs=3 * np.sqrt(level * (1 - level) / 2000))
    assert prediction_p(2.0, np.ones(5)) == 0
    assert prediction_p(1.0, np.ones(5)) == 1


def test_a_planted_dictionary_is_told_and_numbers_are_consistent():
    seen = []
    found = surrogate_test(planted(), 16, halves(600), n_surrogates=5, random_state=0, on_step=seen.append)
    assert found.told
    assert found.observed.stability > 0.9
    assert found.excess > 0.5
    assert found.p_gain < LEVEL
    assert seen == list(range(6))
    assert found.excess == pytest.approx(
        (found.observed.stability - found.stability.mean()) / (1 - found.stability.mean())
    )
    assert max(found.chance.values()) < found.stability.mean() + 0.1


@pytest.mark.parametrize("seed", [0, 1])
def test_a_gaussian_is_not_told(seed):
    found = surrogate_test(gaussian(300, seed), 10, halves(300, seed), n_surrogates=5, random_state=seed)
    assert not found.told
    assert max(found.p_stability, found.p_gain) > 0.05


def test_same_random_state_same_numbers_on_any_number_of_threads():
    def ask(n_threads):
        with threadpool_limits(n_threads, user_api="blas"):
            return surrogate_test(gaussian(120), 4, halves(120), penalty=1.0, n_surrogates=5, random_state=1)

    one, two = ask(1), ask(2)
    np.testing.assert_array_equal(one.stability, two.stability)
    assert one.observed == two.observed
