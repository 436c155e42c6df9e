"""The labelled door to sparse codes passes every option on, says its certificate, and is never silent."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.sparse
import torch

from neurosparse import population
from neurosparse.backend.baselines import random_dictionary
from neurosparse.backend.inference import encode
from neurosparse.errors import ConvergenceWarning, InputError
from neurosparse.sparse_coding import certify_codes, sparse_encode, sparse_encode_csr

N_UNITS, N_ATOMS = 12, 20


@pytest.fixture(scope="module")
def world():
    rng = np.random.default_rng(0)
    atoms = random_dictionary(N_ATOMS, N_UNITS, random_state=0)
    codes = rng.uniform(0.5, 1.5, (60, N_ATOMS)) * (rng.random((60, N_ATOMS)) < 0.12)
    x = codes @ atoms
    units = [f"u{unit}" for unit in range(N_UNITS)]
    labelled = population.from_arrays(
        x.reshape(20, 3, N_UNITS), dims=("trial", "time", "unit"), unit=units, bin_width=0.1
    )
    return labelled, x, atoms


@pytest.mark.parametrize(
    "options",
    [
        {"penalty": 0.2},
        {"penalty": "auto", "n_active": 2},
        {"n_active": 3},
        {"n_active": 3, "codes": "signed"},
        {"penalty": 0.2, "weights": np.linspace(1, 2, N_ATOMS)},
        {"penalty": 0.2, "debias": True},
        {"penalty": 0.2, "prune": True},
        {"penalty": 0.2, "solver": "fista"},
        {"penalty": 0.2, "solver": "cyclic", "codes": "signed"},
    ],
    ids=lambda options: ", ".join(options),
)
def test_labelled_codes_are_those_of_the_array(world, options):
    labelled, x, atoms = world
    found = sparse_encode(labelled, atoms, **options)
    assert found.dims == ("trial", "time", "atom")
    expected = encode(x, atoms, **options)
    np.testing.assert_array_equal(found.values.reshape(60, N_ATOMS), expected.codes)
    assert found.attrs["solver"] == expected.solver
    assert found.attrs["share_converged"] == 1
    np.testing.assert_array_equal(found.attrs["penalty"], expected.penalty)
    np.testing.assert_array_equal(sparse_encode(x, atoms, **options), expected.codes)


def test_the_attrs_say_the_certificate(world):
    labelled, _, atoms = world
    found = sparse_encode(labelled, atoms, penalty=0.2)
    certificate = certify_codes(labelled, atoms, found, penalty=0.2)
    assert found.attrs["gap_max"] == pytest.approx(float(certificate.gap.max()), abs=1e-9)
    assert found.attrs["kkt_max"] == pytest.approx(float(certificate.kkt.max()), abs=1e-6)
    each = sparse_encode(labelled, atoms, penalty=np.full(N_ATOMS, 0.2))
    assert each.attrs["penalty"] == "one an atom"
    with pytest.warns(ConvergenceWarning, match=r"of 60 samples stopped after 1 steps with a duality gap of up to"):
        stopped = sparse_encode(labelled, atoms, penalty=0.01, max_iter=1)
    assert stopped.attrs["share_converged"] < 1


def test_certificates_of_sparse_codes_of_missing_entries_and_of_weights(world, monkeypatch):
    _, x, atoms = world
    holey = x.copy()
    holey[::7, 3] = np.nan
    options = {"penalty": 0.2, "weights": np.linspace(1, 2, N_ATOMS), "nan": "mask"}
    compressed = sparse_encode_csr(holey, atoms, tol=1e-8, **options)
    whole = certify_codes(holey, atoms, compressed, **options)
    assert float(whole.gap.max()) <= 1e-8
    assert whole.sizes == {"sample": 60}
    np.testing.assert_array_equal(whole.n_active, (compressed.toarray() != 0).sum(1))
    expected = encode(np.nan_to_num(holey), atoms, 0.2 * options["weights"], mask=~np.isnan(holey), tol=1e-8)
    np.testing.assert_allclose(whole.objective, expected.objective, rtol=1e-9)
    np.testing.assert_allclose(whole.kkt, expected.kkt, atol=1e-9)
    assert float(certify_codes(holey, atoms, compressed, penalty=0.2, nan="mask").gap.max()) > 1e-3
    monkeypatch.setattr("neurosparse.sparse_coding.coding.CERTIFIED", 8 * N_ATOMS)  # eight samples at a time
    for z in (compressed, compressed.toarray()):
        for name, values in certify_codes(holey, atoms, z, **options).items():
            np.testing.assert_allclose(values, whole[name], rtol=1e-12, atol=1e-12)
    with pytest.raises(InputError, match=r"z needs shape \(60, 20\), one code a sample and atom; got \(60, 19\)"):
        certify_codes(x, atoms, compressed[:, 1:], penalty=0.2)
    compressed.data[0] *= -1
    with pytest.raises(InputError, match="z has 1 negative entries"):
        certify_codes(holey, atoms, compressed, **options)


def test_sparse_codes_that_did_not_converge_are_not_silent(world):
    labelled, _, atoms = world
    with pytest.warns(ConvergenceWarning, match="of 60 samples stopped after 1 steps"):
        sparse_encode_csr(labelled, atoms, penalty=0.01, max_iter=1)


def test_missing_entries_are_left_out_of_the_loss(world, tmp_path):
    labelled, x, atoms = world
    holey = labelled.copy()
    holey[2, 1, 4] = np.nan
    with pytest.raises(InputError, match="NaN"):
        sparse_encode(holey, atoms, penalty=0.2)
    found = sparse_encode(holey, atoms, penalty=0.2, tol=1e-8, nan="mask")
    seen = np.delete(np.arange(N_UNITS), 4)
    alone = encode(x[7:8, seen], atoms[:, seen], 0.2, tol=1e-9).codes[0]
    np.testing.assert_allclose(found.values[2, 1], alone, atol=1e-4)
    whole = sparse_encode(labelled, atoms, penalty=0.2, tol=1e-8)
    np.testing.assert_allclose(found.values[3:], whole.values[3:], atol=1e-4)
    assert np.abs(found.values[2, 1] - whole.values[2, 1]).max() > 1e-3
    flat = holey.values.reshape(60, N_UNITS)
    np.testing.assert_allclose(
        sparse_encode(flat, atoms, penalty=0.2, tol=1e-8, nan="mask"), found.values.reshape(60, -1), atol=1e-6
    )
    tensor = sparse_encode(torch.from_numpy(flat), atoms, penalty=0.2, tol=1e-8, nan="mask")
    np.testing.assert_allclose(tensor.numpy(), found.values.reshape(60, -1), atol=1e-6)
    infinite = flat.copy()
    infinite[0, 0] = np.inf
    with pytest.raises(InputError, match="infin"):
        sparse_encode(infinite, atoms, penalty=0.2, nan="mask")
    population.save(found, tmp_path / "codes.nc")
    assert population.open(tmp_path / "codes.nc").attrs["solver"] == found.attrs["solver"]


def test_sparse_codes_and_single_precision(world):
    labelled, x, atoms = world
    for options in ({"penalty": 0.2}, {"penalty": 0.2, "debias": True, "codes": "signed"}, {"n_active": 3}):
        compressed = sparse_encode_csr(labelled, atoms, **options)
        assert isinstance(compressed, scipy.sparse.csr_array)
        np.testing.assert_array_equal(compressed.toarray(), sparse_encode(x, atoms, **options))
    holey = x.copy()
    holey[3, 2] = np.nan
    masked = sparse_encode_csr(holey, atoms, penalty=0.2, nan="mask", offset=np.full(N_UNITS, 0.1))
    whole = sparse_encode(holey, atoms, penalty=0.2, nan="mask", offset=np.full(N_UNITS, 0.1))
    np.testing.assert_array_equal(masked.toarray(), whole)
    with pytest.raises(InputError, match="NaN"):
        sparse_encode_csr(holey, atoms, penalty=0.2)
    with pytest.raises(TypeError, match="sparse"):
        sparse_encode(x, atoms, penalty=0.2, sparse=True)
    single = sparse_encode(x.astype(np.float32), atoms, penalty=0.2)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, sparse_encode(x, atoms, penalty=0.2, tol=1e-6), atol=0.02)


def test_what_goes_with_what_is_said(world):
    labelled, _, atoms = world
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match="n_active must be from 1 to the 20 atoms"):
            sparse_encode(labelled, atoms)
        with pytest.raises(InputError, match="nan must be"):
            sparse_encode(labelled, atoms, penalty=0.1, nan="keep")
