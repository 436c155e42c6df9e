"""Scores beside the truth: closed forms, every chance level there is, the oracle, and what is left out."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.sparse import csr_array

from neurosparse.backend.baselines import random_dictionary
from neurosparse.backend.matching import chance_of_codes
from neurosparse.errors import InputError
from neurosparse.sparse_coding import code_recovery, dictionary_recovery


def planted(n_samples=800, n_latents=10, rate=0.2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.exponential(size=(n_samples, n_latents)) * (rng.random((n_samples, n_latents)) < rate), rng


def test_atoms_at_a_known_angle_have_its_cosine():
    truth = np.eye(8)[:4]
    turned = np.array(
        [np.cos(angle) * truth[i] + np.sin(angle) * np.eye(8)[4 + i] for i, angle in enumerate((0, 0.2, 0.4, 1.0))]
    )
    found = dictionary_recovery(-3 * turned[[2, 0, 3, 1]], truth)
    np.testing.assert_allclose(found.cosine, np.cos([0, 0.2, 0.4, 1.0]))
    assert (float(found.share_above_90), float(found.share_above_95)) == (0.75, 0.5)
    mean, chance = float(found.mean_cosine), float(found.chance.max())
    assert float(found.corrected) == pytest.approx((mean - chance) / (1 - chance))
    assert float(dictionary_recovery(turned, truth, oracle=mean).corrected) == pytest.approx(1)
    assert list(found.control.values) == ["isotropic"]


def test_chance_is_the_largest_of_the_four_controls():
    codes, rng = planted(400, 8)
    atoms = random_dictionary(8, 8, random_state=0) * np.array([3, 2, 1, 1, 1, 0.3, 0.3, 0.3])
    x = codes @ atoms + 0.1 * rng.standard_normal((400, 8))
    found = dictionary_recovery(atoms, atoms, x=x, n_draws=5)
    assert list(found.control.values) == ["isotropic", "covariance_matched", "shuffled_codes", "gaussian_surrogate"]
    # Where the data vary more in some directions, atoms drawn evenly are the lowest of the levels.
    assert float(found.chance[0]) == float(found.chance.min()) < float(found.chance.max()) - 0.1
    assert float(found.chance.max()) < 0.85
    assert float(found.corrected) == pytest.approx(1)
    assert (found.chance_above_95 <= found.chance_above_90).all()
    assert "gaussian_surrogate" not in dictionary_recovery(atoms, atoms, x=x, n_draws=2, n_surrogates=0).control


def test_codes_that_are_perfect_halved_or_shuffled():
    truth, rng = planted()
    labelled = xr.DataArray(
        truth, dims=("stimulus", "atom"), coords={"stimulus": np.arange(800), "atom": np.arange(10)}
    )
    perfect = code_recovery(labelled * 2, truth)
    assert float(perfect.mcc) == pytest.approx(1)
    assert float(perfect.mcc_corrected) == pytest.approx(1)
    assert [float(perfect[name]) for name in ("precision", "recall", "f1", "coverage")] == [1, 1, 1, 1]
    assert float(perfect.mcc_chance) < 0.15
    assert float(perfect.f1_chance) == pytest.approx(0.2, abs=0.04)
    shuffled = code_recovery(rng.permutation(truth), truth)
    assert abs(float(shuffled.mcc_corrected)) < 0.06
    assert abs(float(shuffled.f1_corrected)) < 0.06
    kept = rng.random(truth.shape) < 0.5
    half = code_recovery(truth * kept, truth)
    assert float(half.precision) == 1
    assert float(half.recall) == pytest.approx(0.5, abs=0.05)
    assert float(half.f1) == pytest.approx(2 / 3, abs=0.05)
    # Against an oracle that is no better, nothing is missing.
    beside = code_recovery(truth * kept, truth, oracle=truth * kept)
    assert float(beside.mcc_corrected) == pytest.approx(1)
    assert float(beside.f1_corrected) == pytest.approx(1)
    assert float(half.mcc_corrected) < 0.9


def test_correlation_with_noise_has_its_closed_form():
    truth, rng = planted(20_000, 4)
    sd = truth.std(axis=0)
    found = code_recovery(truth + 0.75 * sd * rng.standard_normal(truth.shape), truth)
    np.testing.assert_allclose(found.correlation, 1 / np.sqrt(1 + 0.75**2), atol=0.015)


def test_rare_latents_are_left_out_and_counted():
    truth, _ = planted()
    truth[:, [2, 7]] = 0
    truth[:19, 2] = truth[::45, 7] = 1
    found = code_recovery(truth, truth)
    assert found.attrs["n_left_out"] == 2
    assert float(found.coverage) == 0.8
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(found.correlation)), [2, 7])
    assert float(found.precision) == 1
    with pytest.raises(InputError, match="no latent is active in 500"):
        code_recovery(truth, truth, min_events=500)
    with pytest.raises(InputError, match="the same samples"):
        code_recovery(truth, truth[:10])


def test_nothing_is_scored_where_it_was_matched():
    truth, rng = planted()
    early = truth.copy()
    early[1::2] = 0  # right wherever the matching is chosen, silent where it is scored
    found = code_recovery(early, truth)
    assert float(found.recall) == 0
    assert float(found.mcc) == 0
    once = truth.copy()
    once[:, 4] = 0
    once[0:100:2, 4] = 1  # fifty events, none in the other half
    assert code_recovery(truth, once).attrs["n_left_out"] == 1
    few, noise = rng.standard_normal((2, 80, 40))
    chance = float(code_recovery(noise, few).mcc_chance)
    assert chance == chance_of_codes(noise, few, by_halves=True)
    assert chance < chance_of_codes(noise, few) - 0.05


def test_sparse_codes_are_scored_as_dense_ones_are():
    truth, rng = planted()
    codes = truth * (rng.random(truth.shape) < 0.5)
    dense = code_recovery(codes, truth, oracle=truth)
    sparse = code_recovery(csr_array(codes), csr_array(truth), oracle=csr_array(truth))
    xr.testing.assert_allclose(sparse, dense)
    assert sparse.attrs == dense.attrs


def test_more_codes_than_latents_cost_precision_alone():
    truth, rng = planted()
    more = np.column_stack([truth, rng.exponential(size=(800, 10)) * (rng.random((800, 10)) < 0.2)])
    found = code_recovery(more, truth)
    assert float(found.recall) == 1
    assert float(found.precision) == pytest.approx(0.5, abs=0.04)
    fewer = code_recovery(truth[:, :6], truth)
    assert float(fewer.mcc) == pytest.approx(0.6)
    assert float(fewer.recall) == pytest.approx(0.6, abs=0.06)
