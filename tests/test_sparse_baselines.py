"""Other dictionaries under the same face: the kind that came in comes back, and their codes are what they say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import nnls
from sklearn.decomposition import PCA
from sklearn.utils.estimator_checks import parametrize_with_checks

from neurosparse import population
from neurosparse.backend.baselines import BASELINES, random_dictionary
from neurosparse.errors import InputError
from neurosparse.sparse_coding import Baseline, DictionaryLearning, certify_codes, dictionary_recovery, sparse_encode


def planted(n_samples=300):
    rng = np.random.default_rng(0)
    codes = rng.uniform(0.5, 1.5, (n_samples, 8)) * (rng.random((n_samples, 8)) < 0.15)
    atoms = np.abs(random_dictionary(8, 8, random_state=3))
    return codes @ atoms + 0.02 * rng.standard_normal((n_samples, 8)), atoms


@parametrize_with_checks([Baseline("pca", 1)])
def test_scikit_learn_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize("name", BASELINES)
def test_each_kind_comes_back_with_labels(name):
    x, _ = planted()
    units = [f"u{unit}" for unit in range(8)]
    labelled = population.from_arrays(x, dims=("stimulus", "unit"), unit=units, stimulus=np.arange(300))
    one, two, three = (Baseline(name, random_state=0).fit(kind) for kind in (labelled, x, torch.from_numpy(x)))
    assert one.dictionary_.dims == ("atom", "unit")
    assert list(one.dictionary_["unit"].values) == units
    np.testing.assert_array_equal(one.dictionary_, two.dictionary_)
    assert isinstance(three.dictionary_, torch.Tensor)
    codes = one.transform(labelled)
    assert codes.dims == ("stimulus", "atom")
    np.testing.assert_allclose(codes, two.transform(x))
    back = one.inverse_transform(codes)
    assert back.dims == ("stimulus", "unit")
    np.testing.assert_allclose(back, two.inverse_transform(codes.values))
    with pytest.raises(InputError, match="codes need the dictionary's 8 atoms; got 3"):
        one.inverse_transform(np.ones((2, 3)))
    with pytest.raises(InputError, match="unit labels, first at position 0"):
        one.transform(labelled[:, ::-1])


def test_codes_are_the_methods_own_or_those_of_the_same_solver():
    x, _ = planted()
    pca = Baseline("pca", 3).fit(x)
    reference = PCA(3, svd_solver="full").fit(x)
    np.testing.assert_allclose(np.abs(pca.transform(x)), np.abs(reference.transform(x)))
    np.testing.assert_allclose(
        pca.inverse_transform(pca.transform(x)), reference.inverse_transform(reference.transform(x))
    )
    nmf = Baseline("nmf", 4, random_state=0).fit(x)
    np.testing.assert_allclose(nmf.transform(x)[5], nnls(nmf.dictionary_.T, x[5] - nmf.offset_)[0])
    np.testing.assert_array_equal(Baseline("units").fit_transform(x), x)
    sparse = Baseline("random", 20, penalty=0.1, random_state=0).fit(x)
    codes = sparse.transform(x)
    assert float(certify_codes(x, sparse.dictionary_, codes, penalty=0.1, offset=sparse.offset_).gap.max()) <= 1e-6
    assert codes.min() >= 0
    expected = sparse_encode(x, sparse.dictionary_, penalty=0.1, offset=sparse.offset_, tol=1e-6)
    np.testing.assert_array_equal(codes, expected)
    assert Baseline("random", 20, penalty=0.1, codes="signed", random_state=0).fit_transform(x).min() < 0
    assert list(pca.get_feature_names_out()) == ["baseline0", "baseline1", "baseline2"]


@pytest.mark.filterwarnings("ignore::neurosparse.errors.EvidenceWarning")
def test_none_of_them_finds_sparse_atoms_as_the_learner_does():
    x, atoms = planted()
    learner = DictionaryLearning(8, penalty=0.05, n_restarts=2, random_state=0).fit(x)
    found = float(dictionary_recovery(learner.dictionary_, atoms).cosine.mean())
    others = {
        name: float(dictionary_recovery(Baseline(name, 8, random_state=0).fit(x).dictionary_, atoms).cosine.mean())
        for name in BASELINES
    }
    assert found > 0.95
    assert all(value < found - 0.01 for value in others.values()), others
    assert others["ica"] > max(others["pca"], others["random"])


def test_what_is_no_baseline_is_said():
    with pytest.raises(InputError, match="baselines are pca, ica"):
        Baseline("lda").fit(planted()[0])
    with pytest.raises(InputError, match="pca has at most 8 atoms"):
        Baseline("pca", 9).fit(planted()[0])
