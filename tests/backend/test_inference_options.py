"""Missing entries, weights, targets, pursuits, refits, sparse results, threads and memory of `encode`."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
import torch
from sklearn.linear_model import orthogonal_mp_gram

from neurosparse.backend.inference import duality_gap, encode, encode_checked, kkt_violation, objective, penalty_for
from neurosparse.errors import InputError

SOLVERS = ("coordinate", "cyclic", "fista")


def problem(n_units=12, n_atoms=30, n_samples=40, seed=0):
    rng = np.random.default_rng(seed)
    atoms = rng.standard_normal((n_atoms, n_units))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    return rng.standard_normal((n_samples, n_units)), atoms


def planted(n_units=30, n_atoms=60, n_active=4, n_samples=50, noise=0.0, seed=0):
    """Samples, atoms and the codes behind them."""
    rng = np.random.default_rng(seed)
    _, atoms = problem(n_units, n_atoms, 1, seed)
    codes = np.zeros((n_samples, n_atoms))
    for row in codes:
        row[rng.choice(n_atoms, n_active, replace=False)] = rng.uniform(0.5, 1.5, n_active)
    return codes @ atoms + noise * rng.standard_normal((n_samples, n_units)), atoms, codes


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("codes", ["nonnegative", "signed"])
def test_a_mask_gives_each_sample_the_codes_of_its_observed_units(solver, codes):
    x, atoms = problem(n_units=20, n_atoms=50)
    mask = np.random.default_rng(1).random(x.shape) < 0.7
    mask[0], mask[1] = True, False
    hidden = np.where(mask, x, np.nan)  # what stands there is never read
    found = encode(hidden, atoms, 0.3, codes=codes, mask=mask, tol=1e-9, solver=solver)
    assert found.converged.all()
    for i in (0, 2, 7, 20):
        alone = encode(x[i : i + 1, mask[i]], atoms[:, mask[i]], 0.3, codes=codes, tol=1e-10)
        np.testing.assert_allclose(found.objective[i], alone.objective[0], rtol=1e-7)
        np.testing.assert_allclose(found.codes[i], alone.codes[0], atol=1e-3)
    assert not found.codes[1].any()
    np.testing.assert_allclose(found.objective, objective(x, atoms, found.codes, 0.3, mask=mask), rtol=1e-9)
    gap = duality_gap(x, atoms, found.codes, 0.3, mask=mask, signed=codes == "signed")
    np.testing.assert_allclose(found.gap, gap, atol=1e-10)
    unmasked = encode(x, atoms, 0.3, codes=codes, tol=1e-9).codes
    assert np.abs(unmasked[2] - found.codes[2]).max() > 0.01  # else the mask did nothing


def test_hidden_entries_of_a_planted_world_are_foretold():
    x, atoms, _ = planted()
    mask = np.random.default_rng(2).random(x.shape) < 0.8
    z = encode(x, atoms, 0.02, mask=mask).codes
    error = np.square(x - z @ atoms)[~mask].sum() / np.square(x)[~mask].sum()
    wrong = np.square(x - z @ atoms[::-1])[~mask].sum() / np.square(x)[~mask].sum()
    assert error < 0.1
    assert wrong > 0.5


def test_weights_multiply_the_penalty():
    x, atoms = problem()
    weights = np.linspace(0.5, 2, 30)
    found = encode(x, atoms, 0.3, weights=weights, tol=1e-9)
    np.testing.assert_array_equal(found.codes, encode(x, atoms, 0.3 * weights, tol=1e-9).codes)
    np.testing.assert_allclose(found.objective, objective(x, atoms, found.codes, 0.3, weights=weights), rtol=1e-9)
    assert kkt_violation(x, atoms, found.codes, 0.3, weights=weights).max() < 1e-3
    assert kkt_violation(x, atoms, found.codes, 0.3).max() > 0.1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n_units", "n_atoms"), [(8, 16), (64, 256), (93, 1000)])
def test_solvers_agree_and_their_certificate_is_that_of_the_codes(n_units, n_atoms, dtype):
    x, atoms = (values.astype(dtype) for values in problem(n_units, n_atoms, 60))
    lowest = encode(x.astype(float), atoms.astype(float), 0.3, tol=1e-8).objective
    for solver in SOLVERS:
        found = encode(x, atoms, 0.3, solver=solver)
        assert found.codes.dtype == dtype
        assert found.converged.all()
        assert found.gap.max() <= 1e-4
        np.testing.assert_allclose(found.objective, lowest, rtol=2e-4)
        assert (found.objective >= lowest * (1 - 1e-5)).all()
        kkt = kkt_violation(x, atoms, found.codes, 0.3)
        np.testing.assert_allclose(found.kkt, kkt, atol=2e-4)
    assert found.certificate()["share_converged"] == 1


def test_penalties_in_the_units_of_others():
    from sklearn.linear_model import Lasso

    x, atoms = problem(n_samples=3)
    penalty = 0.3
    ours = encode(x, atoms, penalty, tol=1e-12, codes="signed").codes
    lasso = Lasso(alpha=penalty / x.shape[1], fit_intercept=False, tol=1e-12, max_iter=100_000).fit(atoms.T, x.T)
    np.testing.assert_allclose(ours, lasso.coef_, atol=1e-5)

    def autoencoder_loss(z, c):  # means over units and atoms
        return np.square(x - z @ atoms).mean(1) + c * np.abs(z).mean(1)

    c = 2 * len(atoms) * penalty / x.shape[1]
    rng = np.random.default_rng(0)
    for size in (0.01, 0.1):
        assert (autoencoder_loss(ours + size * rng.standard_normal(ours.shape), c) > autoencoder_loss(ours, c)).all()
    np.testing.assert_allclose(
        autoencoder_loss(ours, c) * x.shape[1] / 2, objective(x, atoms, ours, penalty), rtol=1e-10
    )


@pytest.mark.parametrize("codes", ["nonnegative", "signed"])
def test_the_penalty_that_gives_so_many_codes(codes):
    x, atoms = problem(n_units=40, n_atoms=100, n_samples=300)
    for n_active in (3, 12):
        found = encode(x, atoms, "auto", n_active=n_active, codes=codes)
        assert (found.codes != 0).sum(1).mean() == pytest.approx(n_active, rel=0.04)
        again = encode(x, atoms, penalty_for(x, atoms, n_active, codes=codes), codes=codes)
        assert again.penalty == found.penalty
    with pytest.raises(InputError, match="no atom correlates"):
        penalty_for(np.zeros((5, 40)), atoms, 2)
    with pytest.raises(InputError, match="n_active must be above 0 and at most the 100 atoms; got 101"):
        penalty_for(x, atoms, 101)


def test_signed_pursuit_is_that_of_scikit_learn():
    x, atoms = problem(n_units=20, n_atoms=50)
    found = encode(x, atoms, n_active=5, codes="signed")
    theirs = orthogonal_mp_gram(atoms @ atoms.T, atoms @ x.T, n_nonzero_coefs=5).T
    np.testing.assert_allclose(found.codes, theirs, atol=1e-8)
    assert found.solver == "pursuit"
    assert found.converged.all()
    assert np.isnan(found.gap).all()
    assert ((found.codes != 0).sum(1) == 5).all()


def test_nonnegative_pursuit_refits_exactly():
    x, atoms = problem(n_units=20, n_atoms=50)
    found = encode(x, atoms, n_active=6)
    assert (found.codes >= 0).all()
    assert ((found.codes > 0).sum(1) <= 6).all()
    for row, z in zip(x, found.codes, strict=True):
        support = np.flatnonzero(z)
        np.testing.assert_allclose(z[support], scipy.optimize.nnls(atoms[support].T, row)[0], atol=1e-8)
    single = encode(x, atoms, n_active=1).codes
    np.testing.assert_array_equal(single.argmax(1), (x @ atoms.T).argmax(1))


@pytest.mark.parametrize("codes", ["nonnegative", "signed"])
def test_pursuit_of_more_codes_than_units_ends_when_nothing_is_left(codes):
    x, atoms = problem(n_units=6, n_atoms=40)
    found = encode(x, atoms, n_active=20, codes=codes)
    assert found.converged.all()
    assert ((found.codes != 0).sum(1) <= 6).all()
    np.testing.assert_allclose(found.codes @ atoms, x, atol=1e-4)


def test_pursuit_finds_planted_codes_stops_there_and_heeds_the_mask():
    x, atoms, truth = planted(n_units=60)
    found = encode(x, atoms, n_active=10)
    np.testing.assert_allclose(found.codes, truth, atol=1e-6)
    assert found.iterations.max() < 10
    mask = np.random.default_rng(3).random(x.shape) < 0.8
    np.testing.assert_allclose(encode(np.where(mask, x, 9.0), atoms, n_active=10, mask=mask).codes, truth, atol=1e-6)
    stretched = encode(x, 3 * atoms, n_active=10).codes
    np.testing.assert_allclose(stretched, truth / 3, atol=1e-6)
    nothing = encode(np.zeros((2, 60)), atoms, n_active=3)
    assert not nothing.codes.any()
    assert nothing.converged.all()


def test_debiasing_takes_the_shrinkage_away_and_pruning_what_is_spurious():
    x, atoms, truth = planted(n_units=40, noise=0.05, n_samples=100)
    raw, plain, pruned = (
        encode(x, atoms, 0.2, tol=1e-8, **options).codes for options in ({}, {"debias": True}, {"prune": True})
    )
    np.testing.assert_array_equal(plain[raw == 0], 0)
    for row, z, first in zip(x, plain, raw, strict=True):
        support = np.flatnonzero(first)
        np.testing.assert_allclose(z[support], scipy.optimize.nnls(atoms[support].T, row)[0], atol=1e-7)
    kept = truth > 0
    assert (truth - raw)[kept].mean() > 0.1
    assert abs((truth - plain)[kept & (raw > 0)].mean()) < 0.03
    assert (pruned[~kept] != 0).sum() < 0.2 * (plain[~kept] != 0).sum()
    assert (pruned[kept] != 0).mean() > 0.98
    # Each code that was kept is worth its penalty, each that was dropped was not.
    row, z = x[0], pruned[0]
    support = np.flatnonzero(z)
    for j in support:
        others = np.setdiff1d(support, j)
        rest = scipy.optimize.nnls(atoms[others].T, row)[1]
        assert 0.5 * (rest**2 - scipy.optimize.nnls(atoms[support].T, row)[1] ** 2) >= 0.5 * 0.2**2
    signed = encode(x, atoms, 0.2, codes="signed", debias=True).codes[0]
    support = np.flatnonzero(signed)
    np.testing.assert_allclose(signed[support], np.linalg.lstsq(atoms[support].T, x[0])[0], atol=1e-6)


@pytest.mark.parametrize("n_atoms", [30, 600])
def test_sparse_codes_are_the_dense_ones(n_atoms):
    x, atoms = problem(n_units=25, n_atoms=n_atoms, n_samples=200)
    dense, compressed = (encode(x, 2 * atoms, 0.5, sparse=sparse) for sparse in (False, True))
    assert isinstance(compressed.codes, scipy.sparse.csr_array)
    assert compressed.codes.has_canonical_format
    np.testing.assert_array_equal(compressed.codes.toarray(), dense.codes)
    again = encode(x, 2 * atoms, 0.5, initial=compressed.codes, tol=1e-3)
    assert again.iterations.max() == 0
    pursued = encode(x, atoms, n_active=3, sparse=True).codes
    np.testing.assert_array_equal(pursued.toarray(), encode(x, atoms, n_active=3).codes)
    assert encode(x.astype(np.float32), atoms, 0.5, sparse=True).codes.dtype == np.float32
    assert encode(x[:0], atoms, 0.5, sparse=True).codes.shape == (0, n_atoms)


@pytest.mark.parametrize(("n_atoms", "screens"), [(100, False), (700, False), (700, True)])
def test_threads_do_not_change_a_bit(n_atoms, screens, monkeypatch):
    monkeypatch.setattr("neurosparse.backend.inference.coordinate.fast_int8", lambda: screens)
    x, atoms = (values.astype(np.float32) for values in problem(50, n_atoms, 1100))  # three blocks
    before = torch.get_num_threads()
    one, two = (encode(x, atoms, 0.2, n_threads=n) for n in (1, 2))
    assert torch.get_num_threads() == before
    np.testing.assert_array_equal(one.codes, two.codes)
    np.testing.assert_array_equal(one.gap, two.gap)
    mask = np.ones(x.shape, bool)
    mask[:, 3] = False
    np.testing.assert_array_equal(*(encode(x, atoms, 0.2, n_threads=n, mask=mask).codes for n in (1, 3)))


def test_callers_may_use_threads():
    x, atoms = problem(30, 600, 300)
    expected = encode(x, atoms, 0.2).codes
    found = {}
    threads = [
        threading.Thread(target=lambda i=i: found.update({i: encode(x, atoms, 0.2, n_threads=2).codes}))
        for i in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(3):
        np.testing.assert_array_equal(found[i], expected)


def test_the_choice_is_made_by_size_and_recorded(monkeypatch):
    x, atoms = problem(8, 600, 200)
    assert encode(x, atoms[:100], 0.3).solver == "coordinate: whole Gram"
    monkeypatch.setattr("neurosparse.backend.inference.coordinate.fast_int8", lambda: True)
    assert encode(x, atoms, 0.3).solver == "coordinate: candidates, 8 bits"
    assert encode(x[:20], atoms, 0.3).solver == "coordinate: candidates, factored"
    monkeypatch.setattr("neurosparse.backend.inference.coordinate.fast_int8", lambda: False)
    assert encode(x, atoms, 0.3).solver == "coordinate: candidates, Gram"
    assert encode(x[:20], atoms, 0.3).solver == "coordinate: candidates, factored"
    assert encode(x, atoms[:100], 0.3, mask=np.ones(x.shape, bool)).solver == "coordinate: candidates, factored"
    assert encode(x, atoms[:100], 0.3, solver="cyclic").solver == "cyclic: whole Gram"
    assert encode(x, atoms[:100], 0.3, solver="fista").solver == "fista: factored"
    assert encode(x, atoms[:15], 0.3, solver="fista").solver == "fista: Gram"
    monkeypatch.setattr("neurosparse.backend.inference.fista.MIN_ATOMS", 500)
    assert encode(x, atoms, 0.3, solver="fista").solver == "fista: working sets"


@pytest.mark.parametrize("n_samples", [200, 700])
@pytest.mark.parametrize("codes", ["nonnegative", "signed"])
def test_what_the_caller_checked_gets_the_same_codes_to_the_bit(codes, n_samples):
    x, atoms = (torch.from_numpy(values) for values in problem(20, 15, n_samples))
    atoms = 2 * atoms
    atoms[3] = 0
    cold = encode(x, atoms, 0.3, codes=codes, tol=1e-3)
    for start in (None, cold.codes + 0.1):
        full, lean = (f(x, atoms, 0.2, codes=codes, tol=1e-3, initial=start) for f in (encode, encode_checked))
        for one, other in zip(full, lean, strict=True):
            assert one is other or bool(torch.as_tensor(one == other).all())
        assert full.converged.all()


def test_small_tolerances_of_float32_samples_are_met_in_float64():
    x, atoms = (values.astype(np.float32) for values in problem(20, 80))
    found = encode(x, atoms, 0.1, tol=1e-8)
    assert found.converged.all()
    assert found.codes.dtype == np.float32


def test_a_few_candidates_at_a_time_still_end_at_the_optimum(monkeypatch):
    """More active atoms than there is room for at first."""
    monkeypatch.setattr("neurosparse.backend.inference.coordinate.fast_int8", lambda: False)
    monkeypatch.setattr("neurosparse.backend.inference.candidates.MIN_CANDIDATES", 40)
    x, atoms = problem(70, 600, 150)
    for scale in (1, 0):  # with a Gram matrix and without
        monkeypatch.setattr("neurosparse.backend.inference.coordinate.MAX_GRAM", scale * 2**29)
        found = encode(x, atoms, 0.05, tol=1e-7)
        assert found.converged.all()
        assert (found.codes > 0).sum(1).max() > 40
        assert duality_gap(x, atoms, found.codes, 0.05).max() <= 1.1e-7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"penalty": None}, "n_active must be from 1 to the 30 atoms"),
        ({"penalty": None, "n_active": 31}, "n_active must be from 1 to the 30 atoms.*got 31"),
        ({"penalty": "auto"}, "n_active must be"),
        ({"penalty": "small"}, "penalty must be a number above 0, one for each atom, 'auto' or None; got 'small'"),
        ({"n_active": 3}, "n_active goes with penalty='auto'"),
        ({"solver": "pursuit"}, "solver='pursuit' goes with n_active and no penalty"),
        ({"penalty": None, "n_active": 3, "solver": "fista"}, "goes with n_active and no penalty"),
        ({"weights": np.zeros(30)}, "weights must be above 0"),
        ({"weights": np.ones(3)}, "weights needs one number, or one for each of 30 atoms"),
        ({"mask": np.ones((40, 12))}, "mask needs booleans"),
        ({"mask": np.ones((4, 12), bool)}, r"mask needs booleans of the shape of x, \(40, 12\)"),
        ({"x": np.full((40, 12), np.nan)}, "finite numbers; got NaN or infinity"),
        ({"dictionary": np.full((30, 12), np.inf)}, "x and dictionary need finite numbers"),
        ({"initial": scipy.sparse.csr_array((2, 2))}, "initial codes need shape"),
    ],
)
def test_what_does_not_fit_is_said(change, message):
    x, atoms = problem()
    arguments = {"x": x, "dictionary": atoms, "penalty": 0.3} | change
    with pytest.raises(InputError, match=message):
        encode(**arguments)


BIG = """
import resource, sys
import numpy as np
from neurosparse.backend.inference import encode
n_samples, n_atoms, n_units, penalty = int(sys.argv[1]), 131_072, int(sys.argv[2]), sys.argv[3]
rng = np.random.default_rng(0)
atoms = rng.standard_normal((n_atoms, n_units), dtype=np.float32)
atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
x = np.empty((n_samples, n_units), np.float32)
for start in range(0, n_samples, 1024):
    part = x[start : start + 1024]
    chosen = rng.integers(n_atoms, size=(len(part), 32))
    part[:] = (rng.random((len(part), 1, 32), dtype=np.float32) @ atoms[chosen])[:, 0]
encode(x[:64], atoms[:2048], 0.5, sparse=True)  # libraries and compiled code are in
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
options = {"n_active": 32} if penalty == "none" else {"penalty": float(penalty)}
found = encode(x, atoms, sparse=True, n_threads=1, **options)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) / 1024, found.codes.nnz / n_samples, found.converged.mean(), found.solver)
"""


def peak(*arguments):
    """Megabytes that encoding against 131,072 atoms adds, and the codes of a sample."""
    done = subprocess.run(
        [sys.executable, "-c", BIG, *arguments], capture_output=True, text=True, check=True, timeout=3000
    )
    megabytes, n_active, converged, name = done.stdout.split(" ", 3)
    assert float(converged) == 1
    return float(megabytes), float(n_active), name


@pytest.mark.parametrize(("n_samples", "penalty"), [("192", "0.4"), ("64", "none")])
def test_codes_of_very_many_atoms_take_little_memory(n_samples, penalty):
    megabytes, n_active, _ = peak(n_samples, "64", penalty)
    assert megabytes < 200  # the codes alone, dense, would take 33 MB a piece of 64 samples, and the Gram matrix 64 GB
    assert 20 < n_active < 50


@pytest.mark.slow
def test_65536_samples_of_131072_atoms_take_less_than_a_gigabyte():
    megabytes, n_active, _ = peak("65536", "64", "0.4")
    assert megabytes < 1000
    assert n_active > 20


@pytest.mark.gpu
@pytest.mark.parametrize("n_atoms", [256, 2048])
def test_cuda_agrees_with_the_cpu_in_every_option(n_atoms):
    x, atoms = (torch.as_tensor(values, dtype=torch.float32) for values in problem(64, n_atoms, 500))
    mask = torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) < 0.8
    for options in (
        {"penalty": 0.3},
        {"penalty": 0.3, "codes": "signed"},
        {"penalty": 0.3, "mask": mask},
        {"penalty": 0.3, "prune": True},
        {"n_active": 5},
    ):
        here = encode(x, atoms, **options)
        there = encode(x.cuda(), atoms.cuda(), **options)
        assert there.codes.is_cuda
        assert bool(there.converged.all())
        np.testing.assert_allclose(there.objective.cpu(), here.objective, rtol=1e-4)
