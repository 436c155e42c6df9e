"""Sparse codes satisfy the conditions of their optimum, and say how nearly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import sparse_encode as sklearn_encode

from neurosparse.backend.inference import certificate_of, duality_gap, encode, held_out_entries, objective
from neurosparse.errors import InputError

SOLVERS = ("coordinate", "cyclic", "fista")
# Every form that a solver takes, small problems or not.
UNSCREENED = {"coordinate.MAX_WHOLE": 0, "coordinate.fast_int8": lambda: False}
# Exactly, on processors without the instructions too; and however many rows are handed over to full precision.
SCREENED = {
    "coordinate.MAX_WHOLE": 0,
    "coordinate.fast_int8": lambda: True,
    "coordinate.MIN_SCREENED_ROWS": 0,
    "coordinate.MAX_HANDED": 1,
    "candidates.multiply_int8": lambda rows, atoms, out: out.copy_(rows.int() @ atoms.int().T),
}
FORMS = {
    "whole": ("coordinate", {}),
    "cached": ("coordinate", {**UNSCREENED, "coordinate.MIN_ROWS_PER_ATOM": 0}),
    "factored": ("coordinate", {**UNSCREENED, "coordinate.MAX_GRAM": 0}),
    "screened": ("coordinate", SCREENED),
    "cyclic": ("cyclic", {}),
    "cyclic factored": ("cyclic", {**UNSCREENED, "coordinate.MAX_GRAM": 0}),
    "cyclic screened": ("cyclic", SCREENED),
    "fista": ("fista", {}),
    "working sets": ("fista", {"fista.MIN_ATOMS": 0}),
}


@pytest.fixture(params=FORMS)
def solver(request, monkeypatch):
    """The name of a solver, in one of its forms; candidates are few, so that rounds are many."""
    name, changes = FORMS[request.param]
    for place, value in changes.items():
        monkeypatch.setattr(f"neurosparse.backend.inference.{place}", value)
    monkeypatch.setattr("neurosparse.backend.inference.fista.FIRST_WANT", 8)
    return name


def problem(n_units=12, n_atoms=30, n_samples=40, seed=0):
    rng = np.random.default_rng(seed)
    atoms = rng.standard_normal((n_atoms, n_units))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    return rng.standard_normal((n_samples, n_units)), atoms


def kkt_violation(x, atoms, z, penalty, signed):
    slope = (x - z @ atoms) @ atoms.T
    idle = (np.abs(slope) if signed else slope) - penalty
    return np.where(z == 0, np.maximum(idle, 0), np.abs(slope - penalty * np.sign(z))).max() / np.min(penalty)


@pytest.mark.parametrize("codes", ["nonnegative", "signed"])
def test_orthonormal_dictionary_is_soft_thresholding(solver, codes):
    x, _ = problem(n_units=16)
    atoms = np.linalg.qr(np.random.default_rng(1).standard_normal((16, 16)))[0]
    along = x @ atoms.T
    expected = np.sign(along) * np.maximum(np.abs(along) - 0.4, 0)
    if codes == "nonnegative":
        expected = np.maximum(expected, 0)
    found = encode(x, atoms, 0.4, codes=codes, tol=1e-12, solver=solver)
    np.testing.assert_allclose(found.codes, expected, atol=1e-6)
    assert found.converged.all()
    assert np.abs(expected).max() > 1  # else zeros would pass


@pytest.mark.parametrize("codes", ["nonnegative", "signed"])
def test_orthonormal_thresholds_in_single_precision_by_weights_and_where_observed(solver, codes):
    x = problem(n_units=16)[0].astype(np.float32)
    turned = np.eye(16, dtype=np.float32)[np.random.default_rng(1).permutation(16)]  # stays so where units are missing
    weights = np.linspace(0.2, 2, 16)
    mask = np.random.default_rng(2).random(x.shape) < 0.8
    for seen, options in ((x, {}), (np.where(mask, x, 0), {"mask": mask})):
        along = seen.astype(float) @ turned.T
        expected = np.sign(along) * np.maximum(np.abs(along) - 0.4 * weights, 0)
        expected = np.maximum(expected, 0) if codes == "nonnegative" else expected
        found = encode(x, turned, 0.4, codes=codes, weights=weights, tol=1e-12, solver=solver, **options)
        assert found.codes.dtype == np.float32
        np.testing.assert_allclose(found.codes, expected, atol=1e-6)
        assert found.converged.all()


@pytest.mark.parametrize("codes", ["nonnegative", "signed"])
@pytest.mark.parametrize(("n_units", "n_atoms"), [(8, 16), (64, 40), (12, 90)])
def test_codes_are_optimal_and_the_gap_is_what_it_says(solver, codes, n_units, n_atoms):
    x, atoms = problem(n_units, n_atoms)
    found = encode(x, atoms, 0.3, codes=codes, tol=1e-9, solver=solver)
    assert found.converged.all()
    assert kkt_violation(x, atoms, found.codes, 0.3, codes == "signed") < 1e-3
    np.testing.assert_allclose(found.objective, objective(x, atoms, found.codes, 0.3), rtol=1e-9)
    gap = duality_gap(x, atoms, found.codes, 0.3, signed=codes == "signed")
    np.testing.assert_allclose(found.gap, gap, atol=1e-12)


def test_the_gap_bounds_the_excess_of_bad_codes():
    x, atoms = problem()
    best = encode(x, atoms, 0.3, tol=1e-12).objective
    for worse in (np.zeros((40, 30)), np.abs(np.random.default_rng(3).standard_normal((40, 30)))):
        excess = (objective(x, atoms, worse, 0.3) - best) / (0.5 * np.square(x).sum(1))
        gap = duality_gap(x, atoms, worse, 0.3)
        assert (gap >= excess - 1e-10).all()
        assert excess.max() > 0.1


@pytest.mark.parametrize("codes", ["nonnegative", "signed"])
def test_both_solvers_reach_one_objective(codes):
    x, atoms = problem(n_units=20, n_atoms=80)
    values = [encode(x, atoms, 0.2, codes=codes, tol=1e-8, solver=solver).objective for solver in SOLVERS]
    for value in values[1:]:
        np.testing.assert_allclose(value, values[0], rtol=1e-6)


@pytest.mark.parametrize("codes", ["nonnegative", "signed"])
def test_objective_is_that_of_scikit_learn(codes):
    x, atoms = problem()
    # sklearn's sparse_encode takes alpha in these units: its Lasso's alpha is divided by the number of units inside.
    theirs = sklearn_encode(x, atoms, algorithm="lasso_cd", alpha=0.3, positive=codes == "nonnegative", max_iter=10_000)
    ours = encode(x, atoms, 0.3, codes=codes, tol=1e-10)
    assert (ours.objective <= objective(x, atoms, theirs, 0.3) + 1e-9).all()
    np.testing.assert_allclose(ours.codes, theirs, atol=2e-2)


def test_a_penalty_for_each_atom():
    x, atoms = problem()
    penalty = np.linspace(0.1, 2.0, 30)
    found = encode(x, atoms, penalty, tol=1e-10)
    slope = (x - found.codes @ atoms) @ atoms.T
    assert (slope <= penalty + 1e-3).all()
    np.testing.assert_allclose((slope - penalty)[found.codes > 1e-6], 0, atol=1e-3)
    np.testing.assert_allclose(encode(x, atoms, penalty, tol=1e-10, solver="fista").codes, found.codes, atol=1e-3)


def test_scaling_data_and_penalty_scales_codes(solver):
    x, atoms = problem()
    small, large = (encode(scale * x, atoms, scale * 0.3, tol=1e-10, solver=solver).codes for scale in (1, 1000))
    np.testing.assert_allclose(large, 1000 * small, atol=1e-2)


def test_codes_of_atoms_of_any_norm(solver):
    x, atoms = problem(n_samples=600)  # more than one block
    norms = np.linspace(0.5, 3, 30)
    plain = encode(x, atoms, 0.3, tol=1e-10, solver=solver).codes
    found = encode(x, norms[:, None] * atoms, 0.3 * norms, tol=1e-10, solver=solver).codes
    np.testing.assert_allclose(found * norms, plain, atol=1e-3)


def test_zero_rows_zero_atoms_duplicates_and_dull_penalties(solver):
    x, atoms = problem()
    x[3] = 0
    atoms[5] = 0
    atoms[7] = atoms[6]
    found = encode(x, atoms, 0.3, tol=1e-8, solver=solver)
    assert found.converged.all()
    assert not found.codes[3].any()
    assert found.gap[3] == 0
    assert not found.codes[:, 5].any()
    single = encode(x, np.delete(atoms, 7, axis=0), 0.3, tol=1e-8, solver=solver)
    np.testing.assert_allclose(found.objective, single.objective, rtol=1e-6)
    assert not encode(x, atoms, 100.0, solver=solver).codes.any()


def test_warm_start_does_not_change_the_answer_nor_its_input(solver):
    x, atoms = problem()
    cold = encode(x, atoms, 0.3, tol=1e-10, solver=solver)
    start = np.full((40, 30), -0.5)
    warm = encode(x, atoms, 0.3, initial=start, tol=1e-10, solver=solver)
    np.testing.assert_allclose(warm.codes, cold.codes, atol=1e-3)
    assert (start == -0.5).all()
    dust = np.where(cold.codes > 0, cold.codes, -1e-9)
    assert (encode(x, atoms, 0.3, initial=dust, tol=1e-4, solver=solver).codes >= 0).all()
    again = encode(x, atoms, 0.3, initial=cold.codes, tol=1e-6, solver=solver)
    assert again.iterations.max() <= 1


@pytest.mark.parametrize("codes", ["nonnegative", "signed"])
def test_stopping_early_is_reported_with_the_certificate_of_where_it_stopped(solver, codes):
    x, atoms = problem(n_units=20, n_atoms=80)
    for max_iter in (1, 3, 30):
        found = encode(x, atoms, 0.05, codes=codes, tol=1e-10, max_iter=max_iter, solver=solver)
        assert not found.converged.all()
        assert found.gap.max() > 1e-6
        worth = certificate_of(x, atoms, found.codes, 0.05, signed=codes == "signed")
        for said, true in zip((found.objective, found.gap, found.kkt), worth, strict=True):
            np.testing.assert_allclose(said, true, rtol=1e-7, atol=1e-9)
        slack = kkt_violation(x, atoms, found.codes, 0.05, codes == "signed")
        assert worth[2].max() == pytest.approx(slack, rel=1e-6)


def test_permuted_units_and_atoms_permute_codes():
    x, atoms = problem()
    rng = np.random.default_rng(5)
    units, order = rng.permutation(12), rng.permutation(30)
    found = encode(x[:, units], atoms[order][:, units], 0.3, tol=1e-10).codes
    np.testing.assert_allclose(found, encode(x, atoms, 0.3, tol=1e-10).codes[:, order], atol=1e-4)


def test_tensors_give_tensors_in_their_precision():
    x, atoms = (torch.as_tensor(values, dtype=torch.float32) for values in problem())
    for solver in SOLVERS:
        found = encode(x, atoms, 0.3, tol=1e-4, solver=solver)
        assert found.codes.dtype == torch.float32
        assert bool(found.converged.all())


def test_hidden_entries_are_foretold_by_the_true_dictionary_alone():
    rng = np.random.default_rng(0)
    _, atoms = problem(n_units=20, n_atoms=25)
    codes = rng.exponential(size=(200, 25)) * (rng.random((200, 25)) < 0.1)
    x = codes @ atoms
    total = np.square(x).sum()
    true = held_out_entries(x, atoms, 0.05).sum() / total
    wrong = held_out_entries(x, atoms[:, rng.permutation(20)], 0.05).sum() / total
    assert true < 0.15
    assert wrong > 0.6
    one_unit = held_out_entries(x[:, :1], atoms[:, :1], 0.05)  # nothing is left to infer from
    np.testing.assert_allclose(one_unit, np.square(x[:, 0]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"penalty": 0.0}, "penalty must be above 0"),
        ({"penalty": np.ones(3)}, "one for each of 30 atoms"),
        ({"codes": "positive"}, "codes must be"),
        ({"solver": "lars"}, "solver must be"),
        ({"initial": np.zeros((2, 2))}, r"initial codes need shape \(40, 30\)"),
        ({"dictionary": np.ones((30, 11))}, "the same units"),
    ],
)
def test_what_does_not_fit_is_said(change, message):
    x, atoms = problem()
    arguments = {"x": x, "dictionary": atoms, "penalty": 0.3} | change
    with pytest.raises(InputError, match=message):
        encode(**arguments)


@pytest.mark.gpu
def test_cuda_agrees_with_the_cpu():
    x, atoms = problem(n_units=64, n_atoms=256, n_samples=500)
    here = encode(x, atoms, 0.3, tol=1e-8).objective
    there = encode(torch.as_tensor(x).cuda(), torch.as_tensor(atoms).cuda(), 0.3, tol=1e-8)
    assert there.codes.is_cuda
    np.testing.assert_allclose(there.objective.cpu().numpy(), here, rtol=1e-4)
