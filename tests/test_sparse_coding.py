"""The estimator keeps scikit-learn's contract, gives back the kind it was given, and says what it cannot do."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
import xarray as xr
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from neurosparse import population
from neurosparse.backend.baselines import random_dictionary
from neurosparse.errors import ConvergenceWarning, DataWarning, EvidenceWarning, FileError, InputError
from neurosparse.sparse_coding import (
    DictionaryLearning,
    certify_codes,
    checking,
    checkpointing,
    dictionary_recovery,
    dictionary_stability,
    sparse_encode,
    storing,
)

N_UNITS, N_ATOMS = 12, 14


def planted(n_samples=400, seed=0):
    rng = np.random.default_rng(seed)
    codes = rng.uniform(0.5, 1.5, (n_samples, N_ATOMS)) * (rng.random((n_samples, N_ATOMS)) < 0.12)
    atoms = random_dictionary(N_ATOMS, N_UNITS, random_state=seed)
    return codes @ atoms + 0.05 * rng.standard_normal((n_samples, N_UNITS)), atoms


def as_population(x, trials=None):
    units = [f"u{unit}" for unit in range(x.shape[1])]
    if trials is None:
        return population.from_arrays(x, dims=("stimulus", "unit"), unit=units, stimulus=np.arange(len(x)))
    return population.from_arrays(
        x.reshape(trials, -1, x.shape[1]), dims=("trial", "time", "unit"), unit=units, bin_width=0.1
    )


def quiet(learner, x):
    """Fit without the warnings that these small worlds earn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EvidenceWarning)
        return learner.fit(x)


@pytest.fixture(scope="module")
def fitted():
    x, atoms = planted()
    learner = quiet(DictionaryLearning(N_ATOMS, random_state=0), as_population(x))
    return learner, as_population(x), atoms


@parametrize_with_checks([DictionaryLearning(2, n_restarts=2, random_state=0)])
@pytest.mark.filterwarnings("ignore::neurosparse.errors.NeurosparseWarning")
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def test_defaults_find_the_planted_atoms_from_a_population(fitted):
    learner, x, atoms = fitted
    found = dictionary_recovery(learner.dictionary_, atoms, x=x)
    assert float(found.cosine.min()) > 0.95
    assert float(found.share_above_90) == 1
    assert float(found.corrected) > 0.9
    assert set(found.control.values) == {"isotropic", "covariance_matched", "shuffled_codes", "gaussian_surrogate"}
    assert float(found.chance.max()) < 0.75
    control = dictionary_recovery(learner.dictionary_, random_dictionary(N_ATOMS, N_UNITS, random_state=9), x=x)
    assert float(control.corrected) < 0.1


def test_what_is_fitted(fitted):
    learner, x, _ = fitted
    assert learner.dictionary_.dims == ("atom", "unit")
    np.testing.assert_array_equal(learner.dictionary_["unit"], x["unit"])
    np.testing.assert_allclose(np.linalg.norm(learner.dictionary_.values, axis=1), 1, rtol=1e-12)
    assert learner.offset_.dims == ("unit",)
    assert (np.diff(learner.utility_) <= 0).all()
    codes = learner.transform(x)
    np.testing.assert_allclose(learner.usage_, (codes > 0).mean("stimulus"), atol=0.01)
    np.testing.assert_allclose(learner.utility_, 0.5 * (codes**2).mean("stimulus"), rtol=1e-2)
    final = [step["objective"] for step in learner.history_ if step["stage"] == "settle"]
    assert (np.diff(final) <= 1e-9).all()
    assert learner.n_iter_ == len(learner.history_)
    assert learner.penalty_ in learner.penalty_path_["penalty"]
    certificate = certify_codes(x, learner.dictionary_, codes, penalty=learner.penalty_, offset=learner.offset_)
    assert float(certificate.gap.max()) <= 1e-6
    assert float(certificate.kkt.max()) < 1e-3
    assert float(certificate.objective.mean()) == pytest.approx(learner.objective_, rel=1e-4)


def test_each_kind_comes_back_and_the_numbers_are_the_same(fitted):
    learner, x, _ = fitted
    codes = learner.transform(x)
    assert codes.dims == ("stimulus", "atom")
    np.testing.assert_array_equal(codes["stimulus"], x["stimulus"])
    assert population.provenance(codes)["steps"][-1]["step"] == "sparse codes"
    np.testing.assert_allclose(learner.transform(x.values), codes.values)
    tensor = learner.transform(torch.as_tensor(x.values))
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_allclose(tensor.numpy(), codes.values)
    back = learner.inverse_transform(codes)
    assert back.dims == ("stimulus", "unit")
    np.testing.assert_array_equal(back["unit"], x["unit"])
    by_hand = codes.values @ learner.dictionary_.values + learner.offset_.values
    np.testing.assert_allclose(back.values, by_hand)
    np.testing.assert_allclose(learner.inverse_transform(codes.values), by_hand)
    assert float(((back - x) ** 2).mean()) < 0.1 * float(x.var())


def test_trials_by_time_are_samples_like_any_other(fitted):
    learner, x, _ = fitted
    codes = learner.transform(as_population(x.values, trials=20))
    assert codes.dims == ("trial", "time", "atom")
    np.testing.assert_allclose(codes.values.reshape(-1, N_ATOMS), learner.transform(x.values))


def test_fitting_arrays_tensors_and_populations_is_one_thing(fitted):
    learner, x, _ = fitted
    settings = clone(learner).set_params(penalty=learner.penalty_, n_restarts=1)
    plain, tensor, labelled = (quiet(clone(settings), kind) for kind in (x.values, torch.as_tensor(x.values), x))
    assert isinstance(plain.dictionary_, np.ndarray)
    assert isinstance(tensor.dictionary_, torch.Tensor)
    np.testing.assert_array_equal(plain.dictionary_, tensor.dictionary_.numpy())
    np.testing.assert_array_equal(plain.dictionary_, labelled.dictionary_.values)


def test_permuted_units_give_permuted_atoms(fitted):
    learner, x, _ = fitted
    order = np.random.default_rng(0).permutation(N_UNITS)
    other = quiet(clone(learner), x[:, order])
    found = dictionary_recovery(other.dictionary_.values, learner.dictionary_.values[:, order])
    assert float(found.cosine.min()) > 0.99


def test_score_foretells_held_out_entries_and_falls_for_noise(fitted):
    learner, _, _ = fitted
    fresh = planted(seed=0, n_samples=800)[0][400:]
    assert learner.score(fresh) > 0.6
    noise = np.random.default_rng(1).standard_normal((200, N_UNITS))
    assert learner.score(noise) < 0.05
    assert isinstance(learner.score(fresh), float)


def test_signed_codes_and_nonnegative_atoms():
    x, _ = planted(200)
    learner = quiet(
        DictionaryLearning(6, codes="signed", atoms="nonnegative", penalty=0.2, n_restarts=2, random_state=0), x
    )
    assert learner.dictionary_.min() >= 0
    assert learner.transform(x).min() < 0
    bare = quiet(DictionaryLearning(6, offset=False, penalty=0.2, n_restarts=1, random_state=0), x)
    assert not bare.offset_.any()
    assert learner.offset_.any()


def test_superfluous_atoms_come_last(fitted):
    _, x, atoms = fitted
    large = quiet(DictionaryLearning(N_ATOMS + 4, random_state=0), x)
    assert float(dictionary_recovery(large.dictionary_, atoms).cosine.min()) > 0.9
    # Of most only: a superfluous atom may share a true one's samples, and then takes up to half of its utility.
    first = dictionary_recovery(large.dictionary_[:N_ATOMS], atoms).cosine
    assert int((first > 0.9).sum()) >= N_ATOMS - 1
    assert large.utility_[N_ATOMS:].mean() < 0.5 * large.utility_[:N_ATOMS].mean()


def test_samples_with_nan_are_left_out_on_request(fitted):
    learner, x, _ = fitted
    holey = x.copy()
    holey[5, 2] = np.nan
    with pytest.raises(InputError, match="NaN"):
        learner.transform(holey)
    dropping = clone(learner).set_params(nan="drop", penalty=0.2, n_restarts=1)
    with pytest.warns(DataWarning, match="left out"):
        quiet(dropping, holey)
    with pytest.warns(DataWarning, match="left out"):
        codes = dropping.transform(holey)
    assert bool(codes[5].isnull().all())
    assert int(codes.isnull().sum()) == N_ATOMS
    with pytest.raises(ValueError, match="NaN"):
        learner.transform(holey.values)


@pytest.mark.parametrize(
    ("settings", "n_samples", "message"),
    [
        ({"n_atoms": 0}, 50, "n_atoms must be a whole number of at least 1; got 0"),
        ({"n_atoms": 51}, 50, r"n_atoms = 51 exceeds n_samples = 50.*at most 1 atoms"),
        ({"atoms": "positive"}, 50, "atoms must be"),
        ({"codes": "positive"}, 50, "codes must be"),
        ({"n_restarts": 0}, 50, "n_restarts must be"),
        ({"penalty": -1.0}, 50, "penalty must be 'auto' or a number above 0"),
        ({"penalty": "best"}, 50, "penalty must be 'auto' or a number above 0"),
        ({}, 1, "at least 2, got 1 sample"),
        ({}, 9, "Give a penalty"),
    ],
)
def test_what_cannot_be_fitted_is_said(settings, n_samples, message):
    learner = DictionaryLearning(**({"n_atoms": 1} | settings))
    with pytest.raises(InputError, match=message):
        learner.fit(planted(n_samples)[0])


def test_units_that_changed_place_are_refused(fitted):
    learner, x, _ = fitted
    swapped = x[:, [1, 0, *range(2, N_UNITS)]]
    with pytest.raises(InputError, match="differ in 2 of 12 unit labels, first at position 0: u1 against u0"):
        learner.transform(swapped)
    with pytest.raises(InputError, match="X has 5 units, but this dictionary was learned over 12"):
        learner.transform(x[:, :5])
    with pytest.raises(InputError, match="codes need the dictionary's 14 atoms; got 3"):
        learner.inverse_transform(np.ones((4, 3)))
    with pytest.raises(InputError, match="the dictionary|dictionary and|differ"):
        sparse_encode(swapped, learner.dictionary_, penalty=0.1)
    with pytest.raises(InputError, match="all alike"):
        DictionaryLearning(2, penalty="auto").fit(np.ones((20, 3)))


def test_weak_evidence_is_said_once_with_its_reasons():
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.exponential(size=(60, 3)), rng.standard_normal((60, 1)) * 1e-3])
    with pytest.warns(EvidenceWarning) as caught:
        DictionaryLearning(5, penalty=0.05, random_state=0, n_restarts=1).fit(x)
    text = str(caught[0].message)
    assert len(caught) == 1
    for part in ("active samples an atom", "5 atoms exceed 4 units", "are a single unit", "surrogate_test"):
        assert part in text


def test_good_evidence_is_silent_and_constant_units_are_named():
    x, _ = planted(1500)
    learner = DictionaryLearning(10, penalty=0.3, n_restarts=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", EvidenceWarning)
        learner.fit(x)
    still = as_population(np.column_stack([x[:, :11], np.full(len(x), 2.0)]))
    with pytest.warns(DataWarning, match="1 of 12 units is constant and tells nothing: u11"):
        learner.fit(still)
    assert np.isfinite(learner.dictionary_.values).all()


def test_stopping_early_is_said():
    x, _ = planted(200)
    with pytest.warns(ConvergenceWarning, match="max_iter = 2"):
        quiet(DictionaryLearning(6, penalty=0.1, max_iter=2, tol=1e-12, n_restarts=1, random_state=0), x)
    with pytest.warns(ConvergenceWarning, match="of 200 samples stopped after 1 steps"):
        sparse_encode(x, random_dictionary(30, N_UNITS, random_state=0), penalty=0.01, max_iter=1)


def test_progress_is_shown_on_request(capsys):
    quiet(DictionaryLearning(3, penalty=0.3, n_restarts=1, progress=True, random_state=0), planted(100)[0])
    assert "dictionary" in capsys.readouterr().err


def test_codes_of_a_given_dictionary(fitted):
    learner, x, _ = fitted
    codes = sparse_encode(x, learner.dictionary_, penalty=0.2, offset=learner.offset_, tol=1e-8)
    assert codes.dims == ("stimulus", "atom")
    assert codes.attrs["quantity"] == "sparse code"
    plain = sparse_encode(x.values, learner.dictionary_.values, penalty=0.2, offset=learner.offset_.values, tol=1e-8)
    np.testing.assert_allclose(codes.values, plain)
    good = certify_codes(x, learner.dictionary_, codes, penalty=0.2, offset=learner.offset_)
    assert float(good.gap.max()) <= 1e-8
    bad = certify_codes(x, learner.dictionary_, codes + 0.1, penalty=0.2, offset=learner.offset_)
    assert float(bad.gap.min()) > 1e-3
    assert float(bad.kkt.min()) > 0.1
    with pytest.raises(InputError, match="z has 400 negative entries, but codes = 'nonnegative'"):
        certify_codes(x, learner.dictionary_, codes.where(codes["atom"] > 0, -0.1), penalty=0.2)


@pytest.mark.parametrize(
    ("dictionary", "message"),
    [
        (np.ones(12), r"shape \(atom, unit\)"),
        (np.full((3, 12), np.nan), "finite"),
        (np.ones((3, 11)), "the same units"),
        (xr.DataArray(np.ones((12, 3)), dims=("unit", "atom")), r"dims \(atom, unit\)"),
    ],
)
def test_dictionaries_that_do_not_fit_are_refused(dictionary, message):
    with pytest.raises(InputError, match=message):
        sparse_encode(planted(20)[0], dictionary, penalty=0.1)
    with pytest.raises(InputError, match="z needs shape"):
        certify_codes(planted(20)[0], np.ones((3, 12)), np.ones((20, 4)), penalty=0.1)


@pytest.mark.gpu
def test_cuda_fits_and_encodes():
    x, atoms = planted()
    learner = quiet(DictionaryLearning(N_ATOMS, random_state=0, device="cuda"), x)
    assert float(dictionary_recovery(learner.dictionary_, atoms).cosine.min()) > 0.9
    here = clone(learner).set_params(device="cpu", penalty=learner.penalty_)
    assert quiet(here, x).objective_ == pytest.approx(learner.objective_, rel=1e-2)


def test_save_and_load_give_the_same_learner_and_no_pickle_is_read(fitted, tmp_path):
    learner, x, _ = fitted
    learner.save(tmp_path / "a.safetensors")
    again = DictionaryLearning.load(tmp_path / "a.safetensors")
    assert again.get_params() == learner.get_params()
    xr.testing.assert_identical(again.dictionary_, learner.dictionary_)
    xr.testing.assert_identical(again.transform(x), learner.transform(x))
    assert again.history_ == learner.history_
    np.testing.assert_array_equal(again.penalty_path_["held_out_error"], learner.penalty_path_["held_out_error"])
    (tmp_path / "b.safetensors").write_bytes(pickle.dumps({"dictionary": 1}))
    with pytest.raises(FileError, match="expected a safetensors file of a dictionary"):
        DictionaryLearning.load(tmp_path / "b.safetensors")
    with pytest.raises(FileError, match="expected a safetensors file"):
        DictionaryLearning.load(tmp_path / "absent.safetensors")
    storing.write(tmp_path / "c.safetensors", {"a": np.zeros(2)}, {"kind": "something"})
    with pytest.raises(FileError, match="holds 'something'; expected a dictionary"):
        DictionaryLearning.load(tmp_path / "c.safetensors")
    plain = quiet(DictionaryLearning(4, penalty=0.3, n_restarts=1, random_state=0), torch.as_tensor(x.values))
    plain.save(tmp_path / "d.safetensors")
    assert isinstance(DictionaryLearning.load(tmp_path / "d.safetensors").dictionary_, torch.Tensor)


KILLED = """
import os, sys, warnings
import numpy as np

from neurosparse.sparse_coding import DictionaryLearning, storing
warnings.simplefilter("ignore")
folder, stop = sys.argv[1], int(sys.argv[2])
written, write = 0, storing.write
def counting(*arguments):
    global written
    write(*arguments)
    written += 1
    if written == stop:
        os.kill(os.getpid(), 9)
storing.write = counting
x = np.load(folder + "/x.npy")
settings = {"penalty": 0.15, "n_restarts": 2, "random_state": 3, "checkpoint_minutes": 0}
learner = DictionaryLearning(8, checkpoint=folder + "/fit", **settings).fit(x)
np.savez(folder + "/found.npz", atoms=learner.dictionary_, offset=learner.offset_, history=len(learner.history_))
"""


@pytest.mark.parametrize("stop", [12, 60])
def test_a_killed_fit_resumes_to_the_last_bit(tmp_path, stop):
    x = planted(150)[0]
    np.save(tmp_path / "x.npy", x)
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    assert subprocess.run([*command, str(stop)], check=False).returncode == -9
    assert (tmp_path / "fit").exists()
    assert not (tmp_path / "found.npz").exists()
    other = DictionaryLearning(8, penalty=0.15, n_restarts=2, random_state=4, checkpoint=tmp_path / "fit")
    with pytest.raises(FileError, match="a fit of other data or parameters"):
        other.fit(x)
    learner = quiet(
        DictionaryLearning(
            8, penalty=0.15, n_restarts=2, random_state=3, checkpoint=str(tmp_path / "fit"), checkpoint_minutes=0
        ),
        x,
    )
    whole = quiet(DictionaryLearning(8, penalty=0.15, n_restarts=2, random_state=3), x)
    np.testing.assert_array_equal(learner.dictionary_, whole.dictionary_)
    np.testing.assert_array_equal(learner.offset_, whole.offset_)
    assert learner.history_ == whole.history_
    assert not (tmp_path / "fit").exists()
    with pytest.raises(InputError, match="checkpoint needs random_state to be a number; got None"):
        DictionaryLearning(8, checkpoint=tmp_path / "fit").fit(x)


def test_a_stream_in_chunks_is_the_stream_in_one_piece_and_finds_the_atoms():
    x, atoms = planted(256 * 16)
    whole, parts = (DictionaryLearning(N_ATOMS, penalty=0.1, random_state=0).partial_fit(x[:1024]) for _ in range(2))
    whole.partial_fit(x[1024:])
    for chunk in np.split(x[1024:], 3):
        parts.partial_fit(chunk)
    assert parts.history_ == whole.history_
    for name in ("gram", "cross", "use", "total"):
        assert torch.equal(getattr(parts._stream.statistics, name), getattr(whole._stream.statistics, name))
    for _ in range(15):
        whole.partial_fit(x)
    # A stream has no restarts, no surplus and no replacement: up to three of fourteen are missed, by seed.
    assert int((dictionary_recovery(whole.dictionary_, atoms).cosine > 0.95).sum()) >= N_ATOMS - 3
    assert whole.history_[-1]["objective"] < whole.history_[0]["objective"]
    np.testing.assert_allclose(whole.mean_, x.mean(0), atol=0.02)
    with pytest.raises(InputError, match="they need fit"):
        DictionaryLearning(4, n_nuisance=1).partial_fit(x)


def test_weights_are_the_units_of_another_scale():
    x, _ = planted()
    scale = np.linspace(0.3, 3, N_UNITS)
    plain = quiet(DictionaryLearning(N_ATOMS, penalty=0.1, n_restarts=3, random_state=0), x)
    weighted = quiet(
        DictionaryLearning(N_ATOMS, penalty=0.1, n_restarts=3, random_state=0, weights=scale**-2), x * scale
    )
    stretched = plain.dictionary_ * scale
    stretched /= np.linalg.norm(stretched, axis=1, keepdims=True)
    np.testing.assert_allclose(weighted.dictionary_, stretched, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(weighted.dictionary_, axis=1), 1)
    back = weighted.inverse_transform(weighted.transform(x * scale)) / scale
    np.testing.assert_allclose(back, plain.inverse_transform(plain.transform(x)), atol=0.02)
    assert weighted.score(x * scale) == pytest.approx(plain.score(x), abs=0.02)
    with pytest.raises(InputError, match="one number above 0 for each of 12 units"):
        DictionaryLearning(4, weights=np.ones(3)).fit(x)


def counts(seed, n_samples=1500, n_units=24, n_atoms=16, size=5.0):
    """Poisson counts of non-negative atoms over a background, and the atoms."""
    rng = np.random.default_rng(seed)
    atoms = np.abs(rng.standard_normal((n_atoms, n_units))) * (rng.random((n_atoms, n_units)) < 0.3) + 0.01
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    codes = rng.exponential(size, (n_samples, n_atoms)) * (rng.random((n_samples, n_atoms)) < 0.1)
    return rng.poisson(codes @ atoms + 0.2).astype(float), atoms


def test_the_likelihood_of_counts_finds_the_atoms_and_the_background():
    x, atoms = counts(0)
    squared = DictionaryLearning(
        16, atoms="nonnegative", weights=1 / x.mean(0), penalty=1.8, n_restarts=6, random_state=1
    )
    quiet(squared, x)
    learner = quiet(clone(squared).set_params(loss="poisson", weights=None, penalty=squared.penalty_), x)
    found, before = (float(dictionary_recovery(one.dictionary_, atoms).cosine.mean()) for one in (learner, squared))
    assert found > max(0.9, before - 0.01)
    # The background is .2 everywhere; the squared loss cannot tell it from rare events.
    assert np.abs(learner.offset_ - 0.2).mean() < 0.5 * np.abs(squared.offset_ - 0.2).mean()
    objective = [step["objective"] for step in learner.history_ if step["stage"] == "counts"]
    assert len(objective) > 3
    assert (np.diff(objective) < 0).all()
    codes = learner.transform(x)
    assert (codes >= 0).all()
    assert (codes == 0).mean() > 0.5
    back = learner.inverse_transform(codes)
    assert np.corrcoef(back.ravel(), x.ravel())[0, 1] > 0.7
    assert learner.transform(np.zeros((2, 24))).max() == 0
    for wrong, message in (
        ({"atoms": "signed"}, "loss='poisson' needs atoms='nonnegative'"),
        ({"loss": "gamma"}, "loss must be 'auto' or 'squared' or 'poisson' or 'sqrt'; got 'gamma'"),
    ):
        with pytest.raises(InputError, match=message):
            DictionaryLearning(**{"n_atoms": 4, "atoms": "nonnegative", "loss": "poisson"} | wrong).fit(x)
    for loss in ("poisson", "sqrt"):
        with pytest.raises(InputError, match="needs counts; X has 1 negative"):
            DictionaryLearning(4, atoms="nonnegative", loss=loss).fit(np.vstack([x, -np.eye(24)[:1]]))


def test_sparse_counts_are_averaged_over_what_may_have_made_them():
    x, atoms = counts(2, size=1.0)
    assert x.mean() < 0.5
    learner = DictionaryLearning(
        16, atoms="nonnegative", loss="poisson", penalty=2.0, n_restarts=2, max_iter=50, random_state=0
    )
    averaged = quiet(clone(learner), x)
    assert {step["stage"] for step in averaged.history_} >= {"counts", "average"}
    objective = [step["objective"] for step in averaged.history_ if step["stage"] == "average"]
    assert (np.diff(objective) < 0).all()
    assert averaged.objective_ == objective[-1]
    np.testing.assert_allclose(np.linalg.norm(averaged.dictionary_, axis=1), 1)
    assert (np.diff(averaged.utility_) <= 0).all()
    np.testing.assert_allclose(averaged.usage_, (averaged.transform(x) > 0).mean(0), atol=2e-3)
    # Counts that are not whole, such as averages of repeats, keep the likeliest atoms.
    likeliest = quiet(clone(learner), x * (1 + 1e-9))
    assert "average" not in {step["stage"] for step in likeliest.history_}
    found, before = (float(dictionary_recovery(one.dictionary_, atoms).cosine.mean()) for one in (averaged, likeliest))
    print(found, before, x.mean())
    assert found > before + 0.05
    one, other = (quiet(clone(learner).set_params(offset=False), x[:300]) for _ in range(2))
    np.testing.assert_array_equal(one.dictionary_, other.dictionary_)
    assert (one.offset_ < 0.1 * x[:300].mean(0)).all()


def test_a_shared_gain_is_taken_out():
    x, atoms = planted(800)
    rng = np.random.default_rng(1)
    shared = rng.standard_normal(N_UNITS)
    shared /= np.linalg.norm(shared)
    noisy = x + 2 * rng.standard_normal((len(x), 1)) * shared
    learner = quiet(DictionaryLearning(N_ATOMS, n_nuisance=1, penalty=0.15, n_restarts=2, random_state=0), noisy)
    assert abs(float((learner.nuisance_ @ shared)[0])) > 0.98
    left = atoms - np.outer(atoms @ shared, shared)
    without = quiet(clone(learner).set_params(n_nuisance=0), noisy)
    found, missed = (float(dictionary_recovery(one.dictionary_, left).cosine.mean()) for one in (learner, without))
    assert found > 0.95
    assert found > missed + 0.02
    with pytest.raises(InputError, match="n_nuisance = 12 leaves nothing of 12 units"):
        DictionaryLearning(4, n_nuisance=12).fit(x)


def test_one_atom_is_spoken_of_in_the_singular():
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.exponential(size=(90, 1)), 0.01 * rng.standard_normal((90, 2))])
    with pytest.warns(EvidenceWarning, match="1 atom is a single unit"):
        DictionaryLearning(1, penalty=0.05, random_state=0, n_restarts=1).fit(x)


def test_a_population_of_counts_is_fitted_as_counts_unless_something_else_is_asked_for(tmp_path, monkeypatch):
    x, _ = counts(3, n_samples=300)
    spikes = as_population(x).assign_attrs(quantity="spike count")
    learner = DictionaryLearning(16, penalty=2.0, n_restarts=1, max_iter=20, random_state=0)
    found = quiet(clone(learner), spikes)
    asked = quiet(clone(learner).set_params(loss="poisson", atoms="nonnegative"), x)
    assert (found.loss_, found.atoms_) == ("poisson", "nonnegative")
    np.testing.assert_array_equal(found.dictionary_, asked.dictionary_)
    found.save(tmp_path / "counts.safetensors")
    again = DictionaryLearning.load(tmp_path / "counts.safetensors")
    assert (again.loss, again.loss_, again.atoms_) == ("auto", "poisson", "nonnegative")
    np.testing.assert_array_equal(again.transform(x), asked.transform(x))
    arrays, header = storing.of_learner(asked)  # as files were before losses were chosen
    old = {name: value for name, value in header.items() if name not in ("loss", "atoms")}
    storing.write(tmp_path / "old.safetensors", arrays, old)
    np.testing.assert_array_equal(
        DictionaryLearning.load(tmp_path / "old.safetensors").transform(x), again.transform(x)
    )
    keys = set()
    for one in (found, quiet(clone(learner), x)):  # the same parameters and numbers, not the same fit
        keys.add(checkpointing.key_of(one, x))
    assert len(keys) == 2
    stability, expected = (dictionary_stability(one, x, n_fits=2) for one in (found, asked))
    xr.testing.assert_equal(stability, expected)
    # Plain numbers, rates and what is no count are not; neither is what signs were asked for.
    for data, options in (
        (x, {}),
        (as_population(x).assign_attrs(quantity="firing rate"), {}),
        (spikes / 2, {}),
        (spikes, {"atoms": "signed"}),
        (spikes, {"codes": "signed"}),
    ):
        other = quiet(clone(learner).set_params(**options), data)
        assert (other.loss_, other.atoms_) == ("squared", "signed")
        assert (other._scale == 1).all()
    # Large ones, and streams, take weights in place of the likelihood.
    monkeypatch.setattr(checking, "MOST_COUNTS", x.size * 16 - 1)
    large = quiet(clone(learner), spikes)
    weighed = quiet(clone(learner).set_params(loss="squared", atoms="nonnegative", weights=1 / x.mean(0)), x)
    assert (large.loss_, large.atoms_) == ("squared", "nonnegative")
    np.testing.assert_allclose(large.dictionary_, weighed.dictionary_, atol=1e-9)
    stability, expected = (dictionary_stability(one, x, n_fits=2).stability for one in (large, weighed))
    np.testing.assert_allclose(stability, expected, atol=1e-3)
    monkeypatch.undo()
    stream = clone(learner).partial_fit(spikes)
    assert (stream.loss_, stream.atoms_) == ("squared", "nonnegative")
    np.testing.assert_allclose(stream._scale, x.mean(0) ** -0.5)
