"""The verdict on populations: told of planted dictionaries, not of Gaussians, with splits that keep stimuli whole."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch

from neurosparse import population, simulation
from neurosparse.backend.baselines import random_dictionary
from neurosparse.backend.surrogate import gaussian_surrogate
from neurosparse.errors import InputError
from neurosparse.sparse_coding import DictionaryLearning, dictionary_recovery, surrogate_test
from neurosparse.sparse_coding.evidence import NOT_TOLD, TOLD, _splits


def small_world(seed=0, n_samples=300):
    rng = np.random.default_rng(seed)
    codes = rng.uniform(0.5, 1.5, (n_samples, 8)) * (rng.random((n_samples, 8)) < 0.15)
    return codes @ random_dictionary(8, 10, random_state=seed) + 0.1 * rng.standard_normal((n_samples, 10))


def v4_averages(path):
    """Mean count of each of 640 images by its pooled trial-noise sd, (image, unit)."""
    with h5py.File(path) as file:
        counts = file["processing/ecephys/spike_counts/data"][:].astype(float)
        image = file["intervals/trials/image_index"][:]
    labels, code = np.unique(image, return_inverse=True)
    mean = np.stack([counts[code == label].mean(0) for label in range(len(labels))])
    noise = np.sqrt(np.square(counts - mean[code]).sum(0) / (len(counts) - len(labels)))
    return mean / noise


def gaussian_draw(x, seed):
    """A plain Gaussian with the covariance of `x`: not conditioned on its sample covariance, as surrogates are."""
    rng = np.random.default_rng(seed)
    return x.mean(0) + rng.standard_normal(x.shape) @ np.linalg.cholesky(np.cov(x.T)).T


def test_verdicts_and_the_numbers_behind_them():
    x = small_world()
    told = surrogate_test(x, n_atoms=8, n_surrogates=8, n_splits=1)
    assert told.attrs["verdict"] == TOLD == "told from Gaussian"
    assert bool(told.told)
    assert float(told.stability) > float(told.surrogate_stability.max())
    assert float(told.gain) > float(told.surrogate_gain.max())
    assert set(told.control.values) == {"isotropic", "covariance_matched", "shuffled_codes"}
    assert told.attrs["n_samples"] == 300
    assert told.surrogate_gain.sizes == {"surrogate": 8}
    control = surrogate_test(gaussian_surrogate(x, random_state=3), n_atoms=8, n_surrogates=5, n_splits=1)
    assert control.attrs["verdict"] == NOT_TOLD == "not told from Gaussian"
    assert not bool(control.told)


def test_labels_and_tensors_give_the_same_numbers():
    x = small_world(n_samples=100)
    settings = {"n_atoms": 4, "penalty": 0.2, "n_surrogates": 5, "n_splits": 1}
    labelled = population.from_arrays(x, dims=("stimulus", "unit"), stimulus=np.arange(100))
    found = [surrogate_test(kind, **settings) for kind in (x, torch.as_tensor(x), labelled)]
    for other in found[1:]:
        assert float(other.stability) == float(found[0].stability)
        np.testing.assert_array_equal(other.surrogate_gain, found[0].surrogate_gain)


def test_halves_keep_stimuli_groups_and_time_together():
    x = np.zeros((40, 3))
    stimulus = np.repeat(np.arange(10), 4)
    trials = population.from_arrays(x, dims=("trial", "unit"), stimulus=stimulus)
    kept = np.ones(40, dtype=bool)
    for one, other in _splits(trials, kept, None, 3, 0):
        assert not set(stimulus[one]) & set(stimulus[other])
        np.testing.assert_array_equal(np.sort(np.concatenate([one, other])), np.arange(40))
    pairs = np.arange(40) // 2
    for one, other in _splits(x, kept, pairs, 2, 0):
        assert not set(pairs[one]) & set(pairs[other])
    series = population.from_arrays(x, dims=("time", "unit"), bin_width=0.1)
    ((early, late),) = _splits(series, kept, None, 3, 0)
    assert early.max() < late.min() or late.max() < early.min()
    aligned = population.from_arrays(x.reshape(10, 4, 3), dims=("trial", "time", "unit"), bin_width=0.1)
    for one, other in _splits(aligned, kept, None, 2, 0):
        assert not set(one // 4) & set(other // 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_atoms": 0}, "n_atoms must be at least 1"),
        ({"n_atoms": 60}, r"exceeds the 50 samples in half of x\. Use at most 1 atoms"),
        ({"n_surrogates": 3}, "at least 5 draws"),
        ({"x": np.ones((10, 3))}, "at least 20 samples; x has 10"),
        ({"x": np.ones((30, 3))}, "all alike"),
        ({"groups": "image"}, "groups names 'image'"),
        ({"groups": np.zeros(7)}, "one entry for each of 100"),
        ({"x": np.full((30, 3), np.nan)}, "NaN"),
    ],
)
def test_what_cannot_be_tested_is_said(change, message):
    arguments = {"x": small_world(n_samples=100), "n_atoms": 4, "n_surrogates": 5} | change
    with pytest.raises(InputError, match=message):
        surrogate_test(**arguments)


def test_recovery_of_unequal_sizes_and_other_units():
    truth = random_dictionary(8, 10, random_state=0)
    found = dictionary_recovery(truth[::-1][:6], truth)
    np.testing.assert_allclose(np.sort(found.cosine)[2:], 1)
    assert float(found.share_above_90) == 0.75
    assert float(found.chance[0]) < 0.6
    x = population.from_arrays(small_world(), dims=("stimulus", "unit"), unit=list("abcdefghij"))
    learner = DictionaryLearning(4, penalty=0.3, n_restarts=1, random_state=0).fit(x)
    with pytest.raises(InputError, match="unit labels, first at position 0: a against j"):
        dictionary_recovery(learner.dictionary_, learner.dictionary_[:, ::-1])


@pytest.mark.filterwarnings("ignore::neurosparse.errors.EvidenceWarning")  # 64 atoms of 32 units: known here
def test_the_simulated_world_is_recovered_with_nothing_told():
    world = simulation.sparse_world(random_state=7)
    x = population.scale_by_noise(world.counts())
    learner = DictionaryLearning(n_atoms=64, random_state=7).fit(x)
    found = dictionary_recovery(learner.dictionary_, world.dictionary / x["noise_sd"], x=x)
    assert float(found.share_above_90) >= 0.9
    assert float(found.chance_above_90.max()) < 0.02


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::neurosparse.errors.EvidenceWarning")
@pytest.mark.parametrize("seed", range(1000, 1010))
def test_simulated_worlds_are_recovered_and_told(seed):
    world = simulation.sparse_world(random_state=seed)
    x = population.scale_by_noise(world.counts())
    learner = DictionaryLearning(n_atoms=64, random_state=seed).fit(x)
    found = dictionary_recovery(learner.dictionary_, world.dictionary / x["noise_sd"], x=x)
    assert float(found.share_above_90) >= 0.9
    assert surrogate_test(x, n_atoms=64, random_state=seed).attrs["verdict"] == TOLD


@pytest.mark.data
def test_v4_at_15_atoms_is_told_and_a_gaussian_of_its_covariance_is_not(data_file):
    x = v4_averages(data_file("cowley_v4_210325.nwb"))
    settings = {"n_atoms": 15, "penalty": 0.57, "n_surrogates": 9, "random_state": 1}
    assert surrogate_test(x, **settings).attrs["verdict"] == TOLD
    control = settings | {"n_surrogates": 5, "n_splits": 1}
    assert surrogate_test(gaussian_draw(x, 0), **control).attrs["verdict"] == NOT_TOLD


@pytest.mark.data
@pytest.mark.slow
def test_v4_verdicts_in_full(data_file):
    x = v4_averages(data_file("cowley_v4_210325.nwb"))
    few, many = surrogate_test(x, n_atoms=15), surrogate_test(x, n_atoms=100)
    assert few.attrs["verdict"] == TOLD
    assert 0.6 < float(few.stability) < 0.8
    assert float(many.excess) < 0.1
    assert many.attrs["verdict"] == NOT_TOLD


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("n_atoms", [15, 100])
def test_gaussians_of_v4_covariance_are_not_told_in_19_of_20_draws(data_file, n_atoms):
    x = v4_averages(data_file("cowley_v4_210325.nwb"))
    told = [bool(surrogate_test(gaussian_draw(x, seed), n_atoms=n_atoms, random_state=seed).told) for seed in range(20)]
    assert sum(told) <= 1
