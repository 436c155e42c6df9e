"""Features beside controls, and beside mixtures of themselves: planted truth, negative controls, every message."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from neurosparse.backend.psychophysics import as_sparse, mixtures, rotated
from neurosparse.backend.psychophysics.directions import DIRECTIONS
from neurosparse.errors import InputError
from neurosparse.interpretability import interpretability_controls, mixing_test
from neurosparse.interpretability.controls import CONTROLS, gain_p, nearest
from neurosparse.population import from_arrays

QUICK = {"n_bootstraps": 40, "n_tasks": 20, "scores": ("mis", "monosemanticity")}


def latents(n, n_latents, n_active, rng):
    z = np.zeros((n, n_latents))
    active = np.argsort(rng.random((n, n_latents)), axis=1)[:, :n_active]
    np.put_along_axis(z, active, rng.exponential(1, active.shape) + 0.2, axis=1)
    return z


def population_of(values, last="unit", **kwargs):
    return from_arrays(values, dims=("stimulus", "unit"), **kwargs).rename(unit=last)


def world(seed, n=600, n_latents=30, n_units=20):
    rng = np.random.default_rng(seed)
    z = latents(n, n_latents, 3, rng)
    dictionary = rng.standard_normal((n_latents, n_units))
    x = z @ dictionary / np.linalg.norm(dictionary, axis=1).mean()
    embedding = population_of(z + 0.7 * rng.standard_normal(z.shape), session="elsewhere")
    return z, population_of(x), embedding, rng


# --- the parts ------------------------------------------------------------------------------------------------------


def test_mixtures_have_their_formula_and_keep_the_codes_at_angle_nought():
    codes = np.random.default_rng(0).exponential(size=(9, 4))
    pairs = np.array([[2, 0], [1, 3]])
    np.testing.assert_array_equal(mixtures(codes, pairs, 0), codes[:, [2, 1, 0, 3]])
    found = mixtures(codes, pairs, 30)
    np.testing.assert_allclose(found[:, 0], np.cos(np.pi / 6) * codes[:, 2] + 0.5 * codes[:, 0])
    np.testing.assert_allclose(found[:, 2], 0.5 * codes[:, 2] + np.cos(np.pi / 6) * codes[:, 0])
    np.testing.assert_allclose(mixtures(codes, pairs, 45)[:, :2], mixtures(codes, pairs, 45)[:, 2:])


def test_controls_are_as_sparse_as_they_are_asked_to_be_and_keep_the_longer_tail():
    rng = np.random.default_rng(0)
    values = np.stack([rng.exponential(size=400), -rng.exponential(size=400), rng.standard_normal(400)], axis=1)
    for share in (0.05, 0.3):
        found = as_sparse(values, share)
        assert (found >= 0).all()
        np.testing.assert_allclose((found > 0).mean(axis=0), share, atol=0.01)
    top = np.argsort(-np.abs(values), axis=0)[:5]
    for profile in range(2):
        assert (as_sparse(values, 0.1)[top[:, profile], profile] > 0).all()


@pytest.mark.parametrize("name", DIRECTIONS)
def test_directions_are_of_unit_norm_and_not_more_than_there_can_be(name):
    rng = np.random.default_rng(0)
    x = latents(200, 6, 2, rng) @ rng.random((6, 8))
    for n_atoms in (5, 20):
        found = DIRECTIONS[name](x, n_atoms, 0)
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-6)
        assert len(found) == (n_atoms if name in ("kmeans", "random_dictionary") else min(n_atoms, 8))
    np.testing.assert_array_equal(found, DIRECTIONS[name](x, 20, 0))


def test_independent_components_and_non_negative_parts_are_found_where_they_are():
    rng = np.random.default_rng(0)
    sources = rng.laplace(size=(2000, 4))
    mixing = rng.standard_normal((4, 4))
    unmixed = sources @ mixing @ DIRECTIONS["ica"](sources @ mixing, 4, 0).T
    assert np.abs(np.corrcoef(sources.T, unmixed.T)[:4, 4:]).max(axis=1).min() > 0.98
    parts = np.kron(np.eye(4), np.ones(3))
    found = DIRECTIONS["nmf"](latents(500, 4, 2, rng) @ parts, 4, 0)
    assert np.abs(found @ parts.T / np.sqrt(3)).max(axis=0).min() > 0.95


def test_rotations_keep_lengths_and_the_nearest_profile_is_the_most_correlated():
    rng = np.random.default_rng(0)
    codes = rng.exponential(size=(50, 6))
    np.testing.assert_allclose(np.linalg.norm(rotated(codes, 1), axis=1), np.linalg.norm(codes, axis=1))
    order = rng.permutation(6)
    np.testing.assert_array_equal(nearest(codes, -3 * codes[:, order] + 1), np.argsort(order))


def test_p_of_a_gain_counts_draws_that_are_not_above_nought():
    np.testing.assert_allclose(gain_p(np.array([[1.0, -1], [2, 1], [3, 1], [1, 1]])), [0.2, 0.4])
    assert np.isnan(gain_p(np.full((3, 1), np.nan))).all()


# --- controls -------------------------------------------------------------------------------------------------------


def test_true_features_beat_every_control_and_noise_beats_none():
    z, x, embedding, rng = world(0)
    asked = QUICK | {"scores": ("intrusion", "monosemanticity"), "n_tasks": 20, "n_bootstraps": 200}
    found = interpretability_controls(population_of(z, "atom"), x, stimulus_similarity=embedding, **asked)
    assert found["representation"].values.tolist() == ["codes", *CONTROLS]
    # ICA and k-means find some of the latents: they are good controls. The others find none.
    beaten = found.drop_sel(control=["ica", "kmeans"])
    for name in ("intrusion", "monosemanticity"):
        assert (beaten[f"{name}_median_gain"] > 0).all()
        p, q = found[f"{name}_gain_p"].values, found[f"{name}_gain_q"].values
        np.testing.assert_allclose(q, [stats.false_discovery_control(each) for each in p])
        assert (q > p + 1e-3).any()
    assert (beaten["monosemanticity_median_gain_p"] < 0.05).all()
    told = (found["monosemanticity_gain_q"] < 0.05).mean("atom")
    assert told.sel(control="units") > 0.9, told
    assert told.sel(control="rotated_codes") > 0.3, told
    others = found["active_share"].sel(representation=list(CONTROLS[1:]))
    np.testing.assert_allclose(others, float(found["active_share"][0]), atol=0.01)
    noise = population_of(np.maximum(rng.standard_normal(z.shape) - 1.3, 0), "atom")
    found = interpretability_controls(noise, x, stimulus_similarity=embedding, **asked)
    assert (found["intrusion_gain_q"] < 0.05).mean() < 0.05
    assert (found["monosemanticity_median_gain"] < 0.02).all()


def test_codes_against_themselves_gain_nothing():
    z, _, embedding, _ = world(1, n=200)
    found = interpretability_controls(
        population_of(z, "atom"), population_of(z), controls=["units"], stimulus_similarity=embedding, **QUICK
    )
    np.testing.assert_array_equal(found["matched"][0], np.arange(30))
    np.testing.assert_allclose(found["monosemanticity_gain"], 0, atol=1e-12)
    assert (found["monosemanticity_gain_p"] == 1).all()
    assert abs(float(found["mis_median_gain"][0])) < 0.1


def test_trials_are_scored_with_halves_of_their_own():
    rng = np.random.default_rng(0)
    stimulus = np.repeat(np.arange(150), 2)
    z = latents(150, 8, 2, rng)
    noisy = np.maximum(z[stimulus] + 0.2 * rng.standard_normal((300, 8)), 0)
    codes = from_arrays(noisy, dims=("trial", "unit"), stimulus=stimulus).rename(unit="atom")
    x = from_arrays(noisy @ rng.standard_normal((8, 12)), dims=("trial", "unit"), stimulus=stimulus)
    found = interpretability_controls(
        codes, x, controls=["units", "pca"], stimulus_similarity=population_of(z), **QUICK
    )
    assert (found["monosemanticity_median_gain"] > 0.02).all()
    tested = mixing_test(codes, stimulus_similarity=population_of(z), **QUICK)
    assert tested["monosemanticity_gain"][-1] > 0.02
    assert tested["mis_shuffled"] < 0.6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"controls": ["units", "lda"]}, "controls must be names out of units, pca, .* got"),
        ({"controls": "pca"}, "controls must be names out of"),
        ({"stimulus_similarity": None}, "would judge each representation by itself. Give one judge for all"),
        ({"x": population_of(np.ones((7, 3)))}, r"x must have the samples of codes; got stimulus \(7\) against"),
    ],
)
def test_wrong_controls_say_what_to_do(change, message):
    z, x, embedding, _ = world(2, n=100)
    given = {"codes": population_of(z, "atom"), "x": x, "stimulus_similarity": embedding} | change
    with pytest.raises(InputError, match=message):
        interpretability_controls(**given)


# --- mixing ---------------------------------------------------------------------------------------------------------


def test_features_score_above_their_mixtures_and_fall_with_the_angle():
    z, _, embedding, _ = world(3, n=900)
    asked = QUICK | {"n_tasks": 60, "scores": ("mis", "intrusion", "monosemanticity")}
    found = mixing_test(population_of(z, "atom"), stimulus_similarity=embedding, **asked)
    assert found["angle"].values.tolist() == [0, 15, 30, 45]
    for name in ("mis", "intrusion", "monosemanticity"):
        assert found[f"{name}_gain"][0] == 0
        assert found[f"{name}_gain_p"][-1] < 0.05
        assert found[f"{name}_gain_low"][-1] > 0
        assert found[name][-1] > found[f"{name}_rotated"] > found[f"{name}_shuffled"]
    assert found["monosemanticity_falls"]


def test_mixtures_that_are_mixed_again_lose_little_and_noise_loses_nothing():
    z, _, embedding, rng = world(4, n=900)
    order = rng.permutation(30).reshape(-1, 2)
    true, again, noise = (
        mixing_test(population_of(values, "atom"), stimulus_similarity=embedding, **QUICK)
        for values in (z, mixtures(z, order, 45), np.maximum(rng.standard_normal(z.shape) - 1.3, 0))
    )
    gain = [float(found["monosemanticity_gain"][-1]) for found in (true, again, noise)]
    assert gain[0] > 1.5 * gain[1] > 0
    assert abs(gain[2]) < 0.1 * gain[0]
    assert noise["mis_gain_p"][-1] > 0.05


def test_the_test_keeps_its_level_where_codes_mean_nothing():
    p = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        codes = population_of(rng.exponential(size=(120, 6)), "atom")
        embedding = population_of(rng.standard_normal((120, 4)))
        found = mixing_test(
            codes, stimulus_similarity=embedding, scores="monosemanticity", angles=[45], n_bootstraps=100, n_pairings=1
        )
        p.append(float(found["monosemanticity_gain_p"][-1]))
    assert (np.array(p) <= 0.05).sum() <= stats.binom.ppf(0.999, 40, 0.05)


@pytest.mark.parametrize(
    ("values", "change", "message"),
    [
        (np.ones((100, 6)), {"stimulus_similarity": None}, "mixing_test needs stimulus_similarity= from elsewhere"),
        (-np.ones((100, 6)), {}, "needs non-negative codes: a rotation of signed ones makes profiles with two poles"),
        (np.ones((100, 3)), {}, "needs at least 4 features to pair; got 3"),
        (np.ones((100, 6)), {"angles": (30, 60)}, r"angles must rise within \(0, 45\] degrees.* got \(30, 60\)"),
        (np.ones((100, 6)), {"angles": ()}, "angles must rise"),
        (np.ones((100, 6)), {"angles": (30, 15)}, "angles must rise"),
    ],
)
def test_wrong_mixing_says_what_to_do(values, change, message):
    embedding = population_of(np.random.default_rng(0).random((100, 3)))
    with pytest.raises(InputError, match=message):
        mixing_test(population_of(values), **{"stimulus_similarity": embedding} | change)
