"""What is known in closed form, in print or by name: soft thresholds, published laws, units that say nothing."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from neurosparse import population
from neurosparse.errors import DataWarning, EvidenceWarning
from neurosparse.sparse_coding import DictionaryLearning, code_recovery, dictionary_recovery, sparse_encode
from tests.benchmarks.recovery import LAWS, World


def quiet_fit(learner, x):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EvidenceWarning)
        return learner.fit(x)


@pytest.mark.parametrize(("dtype", "atol"), [(np.float64, 1e-6), (np.float32, 1e-5)])
@pytest.mark.parametrize("codes", ["nonnegative", "signed"])
@pytest.mark.parametrize("solver", ["coordinate", "cyclic", "fista"])
def test_orthonormal_atoms_give_soft_thresholds_of_their_own(solver, codes, dtype, atol):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 12)).astype(dtype)
    atoms = np.linalg.qr(rng.standard_normal((12, 12)))[0].astype(dtype)
    weights = np.linspace(0.2, 2, 12)
    along = x.astype(float) @ atoms.T
    expected = np.sign(along) * np.maximum(np.abs(along) - 0.5 * weights, 0)
    expected = np.maximum(expected, 0) if codes == "nonnegative" else expected
    found = sparse_encode(x, atoms, penalty=0.5, weights=weights, codes=codes, solver=solver, tol=1e-12)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, atol=atol)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_the_law_of_a_hundred_atoms_is_solved_in_codes_too(seed):
    """arXiv 2603.28744: 100 atoms, 47 units, 10 active; its DL-FISTA .951 in and .945 out of distribution."""
    world = World(LAWS["R2"], seed)
    learner = quiet_fit(DictionaryLearning(100, random_state=seed), world.x)
    for shifted in (False, True):
        truth = world.draw(5000, shifted=shifted).toarray()
        x = truth @ world.atoms
        codes = sparse_encode(x, learner.dictionary_, penalty=learner.penalty_, offset=learner.offset_)
        oracle = sparse_encode(x, world.atoms, penalty=learner.penalty_)
        found = code_recovery(codes, truth, oracle=oracle)
        assert float(found.mcc) > 0.97
        assert float(found.mcc_chance) < 0.3
        assert float(found.mcc_corrected) > 0.95


def test_units_that_say_nothing_are_named_and_leave_no_nan():
    rng = np.random.default_rng(0)
    x = rng.exponential(size=(200, 6)) * (rng.random((200, 6)) < 0.3)
    x[:, 2], x[:, 4] = 1.5, 1e-7 * x[:, 4]
    labelled = population.from_arrays(x, dims=("stimulus", "unit"), unit=list("abcdef"), stimulus=np.arange(200))
    with pytest.warns(DataWarning) as caught:
        learner = quiet_fit(DictionaryLearning(3, penalty=0.2, n_restarts=1, random_state=0), labelled)
    assert [str(one.message) for one in caught] == [
        "1 of 6 units is constant and tells nothing: c.",
        "1 of 6 units hardly varies beside the others: e.",
    ]
    assert np.isfinite(learner.dictionary_).all()
    assert np.isfinite(learner.transform(labelled)).all()
    assert np.abs(learner.dictionary_.sel(unit=["c", "e"])).max() < 1e-3


def test_counts_with_samples_without_a_spike():
    rng = np.random.default_rng(0)
    atoms = np.kron(np.eye(3), np.ones(3)) / np.sqrt(3)
    rates = rng.exponential(6, (300, 3)) * (rng.random((300, 3)) < 0.4) @ atoms
    counts = rng.poisson(rates).astype(float)
    counts[:40] = 0
    learner = DictionaryLearning(3, loss="poisson", atoms="nonnegative", penalty=0.3, n_restarts=2, random_state=0)
    quiet_fit(learner, counts)
    codes = learner.transform(counts)
    assert np.isfinite(codes).all()
    assert not codes[:40].any()
    assert float(dictionary_recovery(learner.dictionary_, atoms).cosine.min()) > 0.95


@pytest.mark.parametrize(
    "settings",
    [
        {"weights": np.linspace(0.5, 2, 8)},
        {"loss": "sqrt", "atoms": "nonnegative"},
        {"n_nuisance": 1, "codes": "signed"},
        {"offset": False},
    ],
    ids=lambda settings: ", ".join(settings),
)
def test_files_keep_scaling_nuisance_and_offset(settings, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.poisson(rng.exponential(3, (120, 8))).astype(float)
    learner = quiet_fit(DictionaryLearning(4, penalty=0.5, n_restarts=1, random_state=0, **settings), x)
    learner.save(tmp_path / "a.safetensors")
    again = DictionaryLearning.load(tmp_path / "a.safetensors")
    np.testing.assert_array_equal(again.transform(x), learner.transform(x))
    np.testing.assert_array_equal(
        again.inverse_transform(again.transform(x)), learner.inverse_transform(learner.transform(x))
    )
    assert again.score(x) == learner.score(x)
