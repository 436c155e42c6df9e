"""Products of 8-bit integers pass over no atom that exceeds its penalty; what they cannot tell is told otherwise."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neurosparse.backend import devices
from neurosparse.backend.inference import candidates, coordinate, duality_gap, encode
from neurosparse.backend.inference.kernels import make_coarse
from neurosparse.backend.inference.kernels.compiling import compiled
from neurosparse.backend.inference.kernels.screening import coarsen, gather_above


@compiled
def coarse_row(values, made):
    return coarsen(values, made)


@compiled
def above(products, step, level, signed, place, found):
    return gather_above(products, step, level, signed, place, found)


@pytest.fixture(autouse=True)
def exactly(monkeypatch):
    """Screened on every processor, by exact products."""
    monkeypatch.setattr(coordinate, "fast_int8", lambda: True)
    monkeypatch.setattr(candidates, "multiply_int8", lambda rows, atoms, out: out.copy_(rows.int() @ atoms.int().T))


@pytest.fixture
def handed(monkeypatch):
    """How many rows of each block were finished in full precision."""
    counts, screened = [], coordinate.screened

    def counted(*arguments):
        found, n_handed = screened(*arguments)
        counts.append(n_handed)
        return found, n_handed

    monkeypatch.setattr(coordinate, "screened", counted)
    return counts


def problem(n_units=40, n_atoms=600, n_samples=1400, seed=0, n_active=4, noise=0.0):
    rng = np.random.default_rng(seed)
    atoms = rng.standard_normal((n_atoms, n_units)).astype(np.float32)
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    z = np.zeros((n_samples, n_atoms), np.float32)
    for row in z:
        row[rng.choice(n_atoms, n_active, replace=False)] = rng.uniform(0.2, 1, n_active)
    x = z @ atoms + noise * rng.standard_normal((n_samples, n_units))
    return x.astype(np.float32), atoms


def exact_gap(x, atoms, z, penalty=0.1, signed=False):
    """Of all atoms, in double precision."""
    return duality_gap(x.astype(float), atoms.astype(float), z.astype(float), penalty, signed=signed)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("heavy", [False, True])
def test_what_8_bits_lose_is_bounded_and_the_bound_is_near(heavy, dtype):
    rng = np.random.default_rng(1)
    _, atoms = problem(200, 100)
    atoms, rate = atoms.astype(dtype), rng.uniform(1, 4, 100).astype(dtype)
    coarse = make_coarse(atoms, rate)
    assert coarse.atoms.shape == (128, 200)
    back = coarse.atoms[:100] * coarse.step[:100, None]
    assert 1 <= coarse.longest / np.linalg.norm(back, axis=1).max() < 1.02
    np.testing.assert_allclose(coarse.furthest, np.linalg.norm(back - atoms * rate[:, None], axis=1).max(), rtol=1e-3)
    lost_to_bound = []
    for _ in range(200):
        row = (rng.standard_t(2, 200) if heavy else rng.standard_normal(200)).astype(dtype)
        made = np.zeros(200, np.int8)
        step, lost = coarse_row(row, made)
        assert np.abs(made.astype(int)).max() == 127
        np.testing.assert_allclose(lost, np.linalg.norm(row - step * made), rtol=1e-3)
        bound = lost * coarse.longest + np.linalg.norm(row) * coarse.furthest
        found = coarse.atoms[:100].astype(int) @ made.astype(int) * coarse.step[:100] * step
        missed = np.abs(found - (atoms * rate[:, None]) @ row).max()
        assert missed <= bound
        lost_to_bound.append(missed / bound)
    # Cauchy-Schwarz is met by vectors that point the same way; chance stays below by the root of the units.
    assert 0.05 < np.mean(lost_to_bound) < 0.5
    assert not coarse.atoms[100:].any()


def test_rows_too_small_to_scale_are_lost_whole():
    made = np.ones(5, np.int8)
    step, lost = coarse_row(np.full(5, 1e-38, np.float32), made)
    assert step == 0
    assert lost >= 1e-38 * np.sqrt(5) * 0.999
    assert not made.any()


@pytest.mark.parametrize("signed", [False, True])
def test_every_product_above_the_level_is_gathered_but_those_of_candidates(signed):
    rng = np.random.default_rng(2)
    products, step = rng.integers(-1000, 1000, 320).astype(np.int32), rng.uniform(0.5, 2, 320).astype(np.float32)
    place, found = np.full(320, -1, np.int32), np.zeros(320, np.int32)
    place[5:300:7] = 0
    for level in (0.0, 300.0, 1e9):
        value = np.abs(products * step) if signed else products * step
        expected = np.flatnonzero((value > level) & (place < 0))
        count = above(products, step, level, signed, place, found)
        np.testing.assert_array_equal(found[:count], expected)
    assert len(expected) == 0


@pytest.mark.parametrize("codes", ["nonnegative", "signed"])
@pytest.mark.parametrize("weights", [None, np.geomspace(0.5, 5, 600)])
def test_screened_codes_are_those_of_the_gram_matrix(codes, weights, monkeypatch, handed):
    x, atoms = problem(noise=0.02)
    found = encode(x, atoms, 0.1, codes=codes, weights=weights)
    assert found.solver == "coordinate: candidates, 8 bits"
    assert found.converged.all()
    penalty = 0.1 if weights is None else 0.1 * weights
    assert exact_gap(x, atoms, found.codes, penalty, codes == "signed").max() <= 1.01e-4
    assert handed == [0, 0, 0]
    monkeypatch.setattr(coordinate, "fast_int8", lambda: False)
    plain = encode(x, atoms, 0.1, codes=codes, weights=weights)
    assert plain.solver == "coordinate: candidates, Gram"
    np.testing.assert_allclose(found.objective, plain.objective, atol=2e-4 * np.square(x).sum(1).max())


def blind(x, atoms):
    """The atoms do not reach the first unit."""
    atoms[:, 0] = x[:, 0] = 0
    return x, atoms / np.linalg.norm(atoms, axis=1, keepdims=True)


def test_rows_that_8_bits_cannot_certify_are_finished_in_full_precision(handed):
    x, atoms = blind(*problem())
    for spiky in (x[3], x[700]):  # what no atom takes away hides the others
        spiky[0] = 30
    found = encode(x, atoms, 0.1)
    assert found.solver == "coordinate: candidates, 8 bits"
    assert found.converged.all()
    assert handed == [1, 1, 0]
    assert exact_gap(x, atoms, found.codes).max() <= 1.01e-4
    plain = encode(np.where(np.arange(40) == 0, 0, x), atoms, 0.1)
    np.testing.assert_allclose(found.codes[3], plain.codes[3], atol=0.1)  # the gap is a share of 30 squared here
    assert (plain.codes[3] > 0.2).sum() >= 2


def test_where_many_rows_need_full_precision_the_others_are_not_screened(handed):
    x, atoms = blind(*problem())
    x[:, 0] = 30
    found = encode(x, atoms, 0.1)
    assert found.solver == "coordinate: candidates, Gram"
    assert found.converged.all()
    assert handed == [512]


def test_where_many_codes_are_active_the_others_are_not_screened(handed, monkeypatch):
    x, atoms = problem(noise=1.0)
    assert encode(x, atoms, 0.02).solver == "coordinate: candidates, 8 bits"
    handed.clear()
    monkeypatch.setattr(coordinate, "MAX_ACTIVE", 20)
    found = encode(x, atoms, 0.02)
    assert found.solver == "coordinate: candidates, Gram"
    assert handed == [0]
    assert (found.codes > 0).sum(1).mean() > 20


def test_many_atoms_alike_exceed_their_penalty_at_once():
    rng = np.random.default_rng(3)
    centre = rng.standard_normal(40)
    atoms = centre + 0.05 * rng.standard_normal((900, 40))
    atoms = (atoms / np.linalg.norm(atoms, axis=1, keepdims=True)).astype(np.float32)
    x = (centre / 6 + 0.02 * rng.standard_normal((64, 40))).astype(np.float32)
    found = encode(x, atoms, 0.1)
    assert found.converged.all()
    assert exact_gap(x, atoms, found.codes).max() <= 1.05e-4


def test_data_of_any_scale():
    x, atoms = problem(n_samples=64)
    plain = encode(x, atoms, 0.1)
    for scale in (1e-12, 1e12):
        found = encode(scale * x, atoms, scale * 0.1)
        assert found.converged.all()
        np.testing.assert_allclose(found.codes / scale, plain.codes, atol=2e-2)


@pytest.mark.parametrize("stopped", [{"tol": 1e-5, "max_iter": 4}, {"tol": 0.05}, {"tol": 0.3}])
def test_stopped_early_the_certificate_is_of_all_atoms(stopped):
    x, atoms = problem(noise=0.1)
    found = encode(x, atoms, 0.1, **stopped)
    assert found.gap.max() > 0.01
    np.testing.assert_allclose(found.gap, exact_gap(x, atoms, found.codes), rtol=1e-3, atol=1e-7)


def test_processors_without_the_instructions_or_with_other_results_are_not_trusted(monkeypatch):
    try:
        for capabilities, product, expected in (
            ({"avx512_vnni": True}, lambda rows, atoms: rows.int() @ atoms.int(), True),
            ({"avx512_vnni": False}, lambda rows, atoms: rows.int() @ atoms.int(), False),
            ({"avx512_vnni": True}, lambda rows, atoms: (rows.int() @ atoms.int()).clamp(-(2**15), 2**15), False),
            ({"avx512_vnni": True}, None, False),
        ):
            devices.fast_int8.cache_clear()
            monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=capabilities: found)
            monkeypatch.setattr(torch, "_int_mm", product)
            if product is None:
                monkeypatch.delattr(torch, "_int_mm")
            assert devices.fast_int8() is expected
    finally:
        devices.fast_int8.cache_clear()
