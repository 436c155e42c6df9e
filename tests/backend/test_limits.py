"""Bounds are the formulas, planted worlds have the covariance asked for, and what cannot be found is not."""

from __future__ import annotations

import numpy as np
import pytest

from neurosparse.backend import baselines, limits
from neurosparse.backend.limits import Bound, Plan, World


def plan(n_units=12, n_atoms=12, n_active=2, n_samples=300, reliability=1.0, **settings):
    unit = np.eye(n_units)
    return Plan(n_atoms, n_active, n_samples, reliability * unit, (1 - reliability) * unit, **settings)


def test_bounds_are_their_formulas():
    found = limits.bounds(50, 100, 4, 640, 0.76)
    assert found["events"] == pytest.approx((25.6, 30))
    assert found["samples"] == pytest.approx((640, 50 * 100 / 46))
    assert found["units"] == pytest.approx((50, 8 * np.log(25)))
    assert found["detection"] == pytest.approx((50 * 0.76 / (4 * 0.24), 2 * np.log(100)))
    assert [bound.met for bound in found.values()] == [False, True, True, True]
    assert limits.bounds(4, 8, 4, 10**6, 1.0)["samples"].needed == np.inf
    assert limits.bounds(50, 100, 4, 640, 1.0)["detection"].has == np.inf
    assert Bound(3, 3).met
    assert not Bound(2.9, 3).met


def test_who_knows_the_codes_errs_as_the_ceiling_says():
    rng = np.random.default_rng(0)
    atoms = baselines.random_dictionary(20, 60, random_state=0)
    cosines = []
    for _ in range(4):
        codes = np.abs(rng.standard_normal((300, 20))) * (rng.random((300, 20)) < 0.15)
        signal = codes @ atoms
        signal, codes = (part - part.mean(0) for part in (signal, codes))
        noise = np.sqrt(signal.var(0).mean() * 0.6 / 0.4) * rng.standard_normal(signal.shape)
        found = np.linalg.lstsq(codes, signal + noise, rcond=None)[0]
        cosines.append((found * atoms).sum(1) / np.linalg.norm(found, axis=1))
    assert np.mean(cosines) == pytest.approx(limits.cosine_ceiling(20, 300, 0.4), abs=0.015)
    assert limits.cosine_ceiling(20, 300, 1.0) == 1
    assert limits.cosine_ceiling(20, 300, 0.0) == 0


@pytest.mark.parametrize("codes", ["nonnegative", "signed"])
def test_planted_samples_have_the_covariances_asked_for(codes):
    rng = np.random.default_rng(0)
    signal, noise = (root.T @ root for root in rng.standard_normal((2, 20, 5)) * [[[3, 1, 1, 1, 0.3]]])
    wanted = Plan(300, 2, 4000, signal, 0.1 * noise, codes)
    assert wanted.reliability == pytest.approx(np.trace(signal) / np.trace(signal + 0.1 * noise))
    x, atoms = limits.planted(wanted, random_state=0)
    np.testing.assert_allclose(np.linalg.norm(atoms, axis=1), 1)
    assert np.trace(np.cov(x.T)) == pytest.approx(np.trace(signal + 0.1 * noise), rel=0.05)
    # Unit norm draws large directions in a little.
    assert np.corrcoef(np.cov(x.T).ravel(), (signal + 0.1 * noise).ravel())[0, 1] > 0.97
    assert limits.planted(plan(atoms="nonnegative"), random_state=0)[1].min() >= 0


def test_codes_of_nearly_one_size_are_planted_too_and_are_harder_where_many_are_active():
    few = plan(n_units=16, n_atoms=12, n_active=5, n_samples=600)
    for narrow, variation in ((True, 0.25), (False, np.sqrt(np.pi / 2 - 1))):
        x, atoms = limits.planted(few, narrow=narrow, random_state=0)
        codes = x @ np.linalg.pinv(atoms)
        active = codes[np.abs(codes) > 1e-9]
        assert len(active) == 5 * len(x)
        assert active.std() / active.mean() == pytest.approx(variation, rel=0.05)
    worlds = limits.fit_worlds(plan(n_units=16, n_atoms=24, n_active=6, n_samples=150), 2, random_state=0)
    assert [world.amplitudes for world in worlds] == ["spread", "narrow"]
    assert worlds[0].cosine > worlds[1].cosine + 0.2


def test_what_is_clean_is_found_and_what_drowns_is_not():
    clean, drowned = (limits.fit_worlds(plan(reliability=share), 1, random_state=0) for share in (1.0, 0.05))
    assert min(world.cosine for world in clean) > 0.95
    assert limits.corrected(clean) > 0.9
    assert limits.corrected(drowned) < 0.3
    assert set(clean[0].chance) == {"isotropic", "covariance_matched", "shuffled_codes", "gaussian_surrogate"}
    # What knows less finds less, but never nothing: 12 directions of 12 units are alike by chance.
    assert all(0.3 < value < 0.8 for world in clean for value in world.chance.values())
    again = limits.fit_worlds(plan(), 1, random_state=0)
    assert again == clean


def test_verdicts():
    met = {"events": Bound(40, 30), "samples": Bound(90, 80)}
    short, far, wall = (
        met | change for change in ({"events": Bound(20, 30)}, {"events": Bound(5, 30)}, {"samples": Bound(70, 80)})
    )
    assert [limits.judge(found, []) for found in (met, short, far, wall)] == [
        "possible",
        "marginal",
        "impossible",
        "impossible",
    ]

    def worlds(corrected):
        return [World(0.4 + 0.6 * corrected, 0.0, {"low": 0.1, "high": 0.4})]

    assert limits.corrected(worlds(0.7)) == pytest.approx(0.7)
    assert [limits.judge(far, worlds(share)) for share in (0.81, 0.79, 0.51, 0.49)] == [
        "possible",
        "marginal",
        "marginal",
        "impossible",
    ]
    assert limits.judge(wall, worlds(1.0)) == "impossible"
