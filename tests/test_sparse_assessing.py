"""Atoms that are there come back and are told; a Gaussian's do neither, and the learner says so, or raises."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
import xarray as xr
from sklearn.base import clone

from neurosparse import population
from neurosparse.backend.baselines import random_dictionary
from neurosparse.errors import EvidenceError, EvidenceWarning, InputError
from neurosparse.sparse_coding import DictionaryLearning, assessing, dictionary_stability
from neurosparse.sparse_coding.assessing import verdict
from neurosparse.sparse_coding.splitting import sample_groups
from neurosparse.sparse_coding.tracking import followed

FEW = {"n_fits": 2, "n_surrogates": 5}


def planted(n_samples=200, seed=0):
    rng = np.random.default_rng(seed)
    codes = rng.uniform(0.5, 1.5, (n_samples, 6)) * (rng.random((n_samples, 6)) < 0.15)
    return codes @ random_dictionary(6, 16, random_state=seed) + 0.1 * rng.standard_normal((n_samples, 16))


def quiet_fit(x, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EvidenceWarning)
        return DictionaryLearning(
            **({"n_atoms": 6, "penalty": 0.15, "n_restarts": 1, "random_state": 0} | settings)
        ).fit(x)


@pytest.fixture(scope="module")
def told():
    x = planted()
    return quiet_fit(x).assess(x, **FEW), x


@pytest.fixture(scope="module")
def gaussian():
    x = np.random.default_rng(1).standard_normal((150, 8))
    learner = quiet_fit(x, n_atoms=5, penalty=0.8)
    with pytest.warns(EvidenceWarning, match=r"not told from Gaussian: .* Do not read features into these atoms"):
        learner.assess(x, **FEW)
    return learner, x


def test_planted_atoms_come_back_and_are_told(told):
    learner, _ = told
    found = learner.stability_
    assert float(found.stability.min()) > 0.98
    assert bool(found.comes_back.all())
    assert set(found.control.values) == {"isotropic", "covariance_matched", "shuffled_codes", "gaussian_surrogate"}
    assert found.attrs["mean"] > float(found.chance.max()) + 0.05
    np.testing.assert_allclose(found.stability, found.cosine.mean("fit"))
    chance = float(found.chance.max())
    np.testing.assert_allclose(found.corrected, (found.stability - chance) / (1 - chance))
    first, second = repr(learner).splitlines()
    assert first == "DictionaryLearning(n_atoms=6, n_restarts=1, penalty=0.15, random_state=0)"
    assert second.startswith(f"# told from Gaussian: stability {float(learner.evidence_.stability):.2f} (95 % of")


def test_the_repr_of_a_gaussians_dictionary_says_what_lies_within_the_surrogates(gaussian):
    learner, _ = gaussian
    assert not bool(learner.evidence_.told)
    assert "\n# not told from Gaussian: " in repr(learner)
    assert "lies within the surrogates' 95 %" in repr(learner)
    assert int(learner.stability_.comes_back.sum()) < 5


def test_a_new_fit_forgets_the_verdict_and_a_file_keeps_it(told, tmp_path):
    learner, x = told
    learner.save(tmp_path / "a.safetensors")
    assert repr(DictionaryLearning.load(tmp_path / "a.safetensors")) == repr(learner)
    again = quiet_fit(x)
    again.verdict_ = again.stability_ = "old"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EvidenceWarning)
        again.fit(x)
    assert "#" not in repr(again)
    assert not hasattr(again, "stability_")
    assert "#" not in repr(clone(learner))


def test_strict_makes_errors_of_warnings(gaussian, monkeypatch):
    assessed, x = gaussian
    learner = DictionaryLearning(9, penalty=0.8, n_restarts=1, random_state=0, strict=True)
    with pytest.raises(EvidenceError, match="9 atoms exceed 8 units"):
        learner.fit(x)
    assert learner.dictionary_.shape == (9, 8)  # what was fitted is there to look at
    # What is found is another test's: the fits need not be made again.
    monkeypatch.setattr(assessing, "dictionary_stability", lambda *_, **__: assessed.stability_)
    monkeypatch.setattr(assessing, "surrogate_test", lambda *_, **__: assessed.evidence_)
    learner.set_params(strict=True)
    with pytest.raises(EvidenceError, match="not told from Gaussian"):
        learner.assess(x, **FEW)
    assert "not told" in repr(learner)
    assert issubclass(EvidenceError, ValueError)


def evidence(stability, gain, told, surrogates=(0.5, 0.52, 0.54, 0.52, 0.52), gains=(0.1, 0.12, 0.11, 0.1, 0.12)):
    return xr.Dataset(
        {
            "stability": stability,
            "gain": gain,
            "surrogate_stability": ("surrogate", list(surrogates)),
            "surrogate_gain": ("surrogate", list(gains)),
            "told": told,
        }
    )


# By hand: t(.95, 4) = 2.132, sd .0141 and .01, sqrt(1.2): bounds .553 and .133.
def test_the_verdict_in_a_line():
    assert verdict(evidence(0.9, 0.3, True)) == (
        "told from Gaussian: stability 0.90 (95 % of surrogates below 0.55), gain 0.30 (95 % of surrogates below 0.13)"
    )
    assert verdict(evidence(0.552, 0.3, False)) == (
        "not told from Gaussian: stability 0.55 lies within the surrogates' 95 % (up to 0.55)"
    )
    assert verdict(evidence(0.9, 0.13, False)) == (
        "not told from Gaussian: gain 0.13 lies within the surrogates' 95 % (up to 0.13)"
    )
    assert " and gain 0.10 lies" in verdict(evidence(0.5, 0.1, False))
    assert verdict(evidence(0.56, 0.3, False)) == (
        "not told from Gaussian: stability 0.56 is too little above the surrogates' 0.52"
    )


def test_starts_samples_and_orders_are_never_shared(told, monkeypatch):
    learner, x = told
    fits = []
    real = DictionaryLearning.fit

    def watching(self, X, y=None):
        fits.append((self.random_state, X.copy()))
        return real(self, X)

    monkeypatch.setattr(DictionaryLearning, "fit", watching)
    dictionary_stability(learner, x, n_fits=3)
    seeds = [seed for seed, _ in fits]
    assert len({*seeds, learner.random_state}) == 4
    for i, (_, rows) in enumerate(fits):
        assert rows.shape == x.shape
        assert len(np.unique(rows, axis=0)) == pytest.approx(0.632 * len(x), rel=0.15)
        assert all(not np.array_equal(rows, other) for _, other in fits[i + 1 :])


def test_groups_are_drawn_whole():
    labels = np.repeat(np.arange(10), 3)
    drawn = assessing._drawn(labels, np.random.RandomState(0))
    counts = np.bincount(drawn, minlength=30).reshape(10, 3)
    assert (counts == counts[:, :1]).all()
    assert counts[:, 0].sum() == 10
    assert counts.max() > 1
    assert (np.diff(labels[drawn]) != 0).sum() > 15  # groups in random order alone would change 9 times
    kept = np.ones(40, dtype=bool)
    series = population.from_arrays(np.zeros((40, 2)), dims=("time", "unit"), bin_width=0.1)
    np.testing.assert_array_equal(sample_groups(series, kept, None), np.repeat(np.arange(20), 2))
    trials = population.from_arrays(np.zeros((40, 2)), dims=("trial", "unit"), stimulus=np.repeat([7, 3], 20))
    np.testing.assert_array_equal(sample_groups(trials, kept, None), np.repeat([1, 0], 20))


def test_labels_of_a_population_are_heard():
    x = planted()
    few = population.from_arrays(x, dims=("stimulus", "unit"), stimulus=np.arange(200))
    few = few.assign_coords(n_repeats=("stimulus", np.repeat([2, 5], 100)))
    with pytest.warns(
        EvidenceWarning, match="200 stimuli are fewer than 300; averages over 2 to 5 repeats count alike"
    ):
        DictionaryLearning(6, penalty=0.15, n_restarts=1, random_state=0).fit(few)
    series = population.from_arrays(x, dims=("time", "unit"), time=np.arange(200.0))
    series.attrs.pop("bin_width", None)
    with pytest.warns(EvidenceWarning, match="the frame rate is unknown"):
        DictionaryLearning(6, penalty=0.15, n_restarts=1, random_state=0).fit(series)
    noisy = few.assign_coords(noise_sd=("unit", np.ones(16)))  # as `scale_by_noise` leaves it: a noise sd of 1
    for scale, drowned in ((1.0, True), (10.0, False)):
        with pytest.warns(EvidenceWarning) as caught:
            DictionaryLearning(6, penalty=0.15 * scale, n_restarts=1, random_state=0).fit(scale * noisy)
        said = r"reliability \d\.\d\d and 33 samples an atom would place atoms at \|cos\| \d\.\d\d even if the codes"
        assert [bool(re.search(said, str(one.message))) for one in caught] == [drowned]
    with pytest.warns(EvidenceWarning, match=r"9 samples are fewer than counting needs, \d+ \(M N / \(M - k\)\)"):
        DictionaryLearning(9, penalty=0.15, n_restarts=1, random_state=0).fit(x[:9])


def test_what_cannot_be_assessed_is_said(told):
    learner, x = told
    with pytest.raises(InputError, match="n_fits needs at least 2"):
        dictionary_stability(learner, x, n_fits=1)
    with pytest.raises(InputError, match="one entry for each of 200"):
        dictionary_stability(learner, x, groups=np.zeros(3))


def test_atoms_that_follow_the_session_or_the_animal_are_counted():
    rng = np.random.default_rng(0)
    speed, order = rng.exponential(size=200), np.arange(200.0)
    codes = rng.exponential(size=(200, 5)) * (rng.random((200, 5)) < 0.4)
    speed[0] = 1e6  # one wrong reading counts as one
    codes[:, 1] = np.maximum(140 - order, 0)  # a drift, down
    codes[:, 2] = np.maximum(speed - 0.5, 0)
    codes[:, 4] = 0
    trials = population.from_arrays(np.zeros((200, 2)), dims=("trial", "unit"), stimulus=np.arange(200) % 9)
    trials = trials.assign_coords(running_speed=("trial", speed), contrast=("trial", speed))
    every = np.ones(200, dtype=bool)
    both = ["1 of 5 atoms follow the order of trials", "1 of 5 atoms follow running_speed"]
    assert followed(codes, trials, every) == both
    kept = order % 3 > 0
    assert followed(codes[kept], trials, kept) == both
    assert followed(codes[:, [0, 3]], trials, every) == []
    assert followed(codes, trials.values, every) == []
    # Of trials by time the order is that of the trials, and speed may run along time.
    aligned = population.from_arrays(np.zeros((20, 10, 2)), dims=("trial", "time", "unit"), bin_width=0.1)
    aligned = aligned.assign_coords(speed=("time", np.arange(10.0)), motion=("trial", np.zeros(20)))
    along = np.column_stack([np.repeat(np.arange(20), 10), np.tile(np.arange(10), 20)])
    assert followed(along, aligned, every) == [
        "1 of 2 atoms follow the order of trials",
        "1 of 2 atoms follow speed",
    ]
    images = trials.drop_vars("stimulus").rename(trial="stimulus")
    assert followed(codes, images, every) == both[1:]


def test_assess_says_what_atoms_follow(told, monkeypatch):
    learner, x = told
    monkeypatch.setattr(assessing, "dictionary_stability", lambda *_, **__: learner.stability_)
    monkeypatch.setattr(assessing, "surrogate_test", lambda *_, **__: learner.evidence_)
    first = np.argsort(np.asarray(learner.transform(x))[:, 0])
    sorted_by_it = population.from_arrays(x[first], dims=("time", "unit"), bin_width=0.1)
    with pytest.warns(
        EvidenceWarning, match=r"1 of 6 atoms follow the order of time \(rank correlation of \.5 or more"
    ):
        learner.assess(sorted_by_it)
