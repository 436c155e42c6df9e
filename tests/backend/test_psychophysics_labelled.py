"""Selectivity, tuning and reliability, against other libraries, closed forms and planted truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from neurosparse.backend.psychophysics import (
    Selectivity,
    bin_codes,
    class_auc,
    class_statistics,
    information_per_spike,
    map_stability,
    mean_direction_length,
    repeat_reliability,
    tuning_maps,
)
from neurosparse.backend.psychophysics.selectivity import MEASURES
from neurosparse.backend.resampling import split_half_reliability

# --- selectivity ----------------------------------------------------------------------------------------------------


def members_of(classes):
    return (np.arange(classes.max() + 1)[:, None] == classes).astype(float)


def test_auc_is_scikit_learns_and_dprime_its_formula():
    rng = np.random.default_rng(0)
    values, classes = rng.integers(0, 9, (90, 4)).astype(float), rng.integers(0, 3, 90)
    auc = class_auc(stats.rankdata(values, axis=0), members_of(classes))
    found = class_statistics(values, members_of(classes))
    for k in range(3):
        for profile in range(4):
            inside, outside = values[classes == k, profile], values[classes != k, profile]
            assert auc[k, profile] == pytest.approx(roc_auc_score(classes == k, values[:, profile]))
            spread = np.sqrt((inside.var(ddof=1) + outside.var(ddof=1)) / 2)
            assert found["dprime"][k, profile] == pytest.approx((inside.mean() - outside.mean()) / spread)
            contrast = (inside.mean() - outside.mean()) / (inside.mean() + outside.mean())
            assert found["class_contrast"][k, profile] == pytest.approx(contrast)


def test_hand_values_of_selectivity():
    classes = np.repeat([0, 1], 3)
    values = np.array([[3.0, 1], [3, 1], [3, 1], [0, 1], [0, 1], [0, 1]])
    found = class_statistics(values, members_of(classes))
    np.testing.assert_allclose(found["class_contrast"], [[1, 0], [-1, 0]])
    assert np.isnan(found["dprime"]).all()  # no spread within the classes
    np.testing.assert_allclose(class_auc(stats.rankdata(values, axis=0), members_of(classes)), [[1, 0.5], [0, 0.5]])


def halves_of(classes, n=2, seed=0):
    rng = np.random.default_rng(seed)
    order = np.argsort(classes + rng.random((n, len(classes))), axis=1)
    halves = np.zeros((n, len(classes)), dtype=bool)
    np.put_along_axis(halves, order[:, ::2], True, axis=1)
    return halves


def test_the_class_is_picked_on_one_half_and_scored_on_the_other():
    # On the first half the profile answers to class 0, on the second to class 1: whoever picks and scores on the same
    # half finds a perfect profile, who holds out finds the opposite.
    rng = np.random.default_rng(0)
    classes = np.tile([0, 1], 40)
    first = np.arange(80) < 40
    values = (np.where(first, classes == 0, classes == 1) + 0.1 * rng.standard_normal(80))[:, None]
    found = Selectivity(values, classes, first[None], MEASURES).scores()
    assert found["auc"][0] == pytest.approx(0)
    assert found["dprime"][0] < -5


def test_selectivity_is_at_chance_for_noise_and_finds_planted_classes():
    rng = np.random.default_rng(1)
    classes = rng.integers(0, 8, 400)
    values = rng.standard_normal((400, 200))
    values[:, :50] += 2.0 * (classes[:, None] == np.arange(50) % 8)
    found = Selectivity(values, classes, halves_of(classes), MEASURES).scores()
    # Two unit normals 2 apart: d' = 2, AUC = Phi(2 / sqrt 2).
    assert found["dprime"][:50].mean() == pytest.approx(2, abs=0.12)
    assert found["auc"][:50].mean() == pytest.approx(stats.norm.cdf(np.sqrt(2)), abs=0.02)
    for name, chance in (("dprime", 0.0), ("auc", 0.5)):
        noise = found[name][50:]
        assert abs(noise.mean() - chance) < 3 * noise.std() / np.sqrt(150)


def test_draws_of_selectivity_are_those_of_one_draw_after_another():
    # Loops over the definitions: classes permuted and picked anew; the picked class's moments with samples repeated.
    rng = np.random.default_rng(3)
    classes = rng.integers(0, 3, 80)
    # Half of the profiles are noise, so that the two halves pick different classes.
    liked = (classes[:, None] == np.arange(6) % 3) * (np.arange(6) < 3)
    values = np.round(rng.exponential(size=(80, 6)) + liked, 1)
    half = halves_of(classes, 1)[0]
    measured = Selectivity(values, classes, half[None], MEASURES)
    permuted = np.stack([rng.permutation(80) for _ in range(4)])
    null, weights = measured.null(permuted), rng.multinomial(80, np.full(80, 1 / 80), size=3)
    resampled = measured.bootstrap(weights)

    def held_out(labels, repeats):
        found = {name: np.zeros(6) for name in MEASURES}
        for train, test in ((half, ~half), (~half, half)):
            rows = np.repeat(np.flatnonzero(test), repeats[test])
            learned = class_statistics(values[train], members_of(labels)[:, train])
            learned["auc"] = class_auc(stats.rankdata(values[train], axis=0), members_of(labels)[:, train])
            judged = class_statistics(values[rows], members_of(labels)[:, rows])
            judged["auc"] = class_auc(stats.rankdata(values[rows], axis=0), members_of(labels)[:, rows])
            for name in MEASURES:
                pick = learned["auc" if name == "auc" else "dprime"].argmax(axis=0)
                found[name] += judged[name][pick, np.arange(6)] / 2
        return found

    once, scores = measured.bootstrap(np.ones((1, 80), dtype=np.int64)), measured.scores()
    for name in MEASURES:
        np.testing.assert_allclose(once[name][0], scores[name], rtol=1e-3, atol=1e-5, err_msg=name)
        assert (np.abs(scores[name] - held_out(classes, np.ones(80, dtype=int))[name]) < 1e-6).all()
    for draw, order in enumerate(permuted):
        expected = held_out(classes[order], np.ones(80, dtype=int))
        for name in MEASURES:
            np.testing.assert_allclose(null[name][draw], expected[name], rtol=1e-3, atol=1e-4, err_msg=name)
    for draw, repeats in enumerate(weights):
        expected = held_out(classes, repeats)
        for name in ("dprime", "class_contrast"):
            np.testing.assert_allclose(resampled[name][draw], expected[name], rtol=1e-3, atol=1e-4, err_msg=name)
        # The AUC's are the first order in the weights, so that they are near, not equal.
        np.testing.assert_allclose(resampled["auc"][draw], expected["auc"], atol=0.08)


def test_null_and_bootstrap_of_selectivity():
    rng = np.random.default_rng(2)
    classes = rng.integers(0, 3, 120)
    values = rng.exponential(size=(120, 40)) + (classes[:, None] == 1)
    measured = Selectivity(values, classes, halves_of(classes), MEASURES)
    null = measured.null(np.stack([rng.permutation(120) for _ in range(60)]))
    assert abs(null["auc"].mean() - 0.5) < 0.01
    once = measured.bootstrap(np.ones((1, 120), dtype=np.int64))
    for name, value in measured.scores().items():
        np.testing.assert_allclose(once[name][0], value, rtol=1e-4, atol=1e-5)
    weights = rng.multinomial(120, np.full(120, 1 / 120), size=400)
    spread = measured.bootstrap(weights)["auc"].std(axis=0).mean()
    again = []
    for seed in range(40):
        other = np.random.default_rng(100 + seed)
        classes = other.integers(0, 3, 120)
        fresh = other.exponential(size=(120, 40)) + (classes[:, None] == 1)
        again.append(Selectivity(fresh, classes, halves_of(classes), ("auc",)).scores()["auc"])
    assert spread == pytest.approx(np.std(again, axis=0).mean(), rel=0.2)


# --- tuning ---------------------------------------------------------------------------------------------------------


def test_bins_cover_the_range_or_one_period_and_leave_out_what_was_not_observed():
    codes, centres = bin_codes(np.array([[0.0], [1.0], [2.0], [np.nan], [4.0]]), 4)
    np.testing.assert_array_equal(codes, [0, 1, 2, -1, 3])
    np.testing.assert_allclose(centres[:, 0], [0.5, 1.5, 2.5, 3.5])
    codes, centres = bin_codes(np.array([[-0.1], [0.1], [2 * np.pi + 0.1]]), 4, 2 * np.pi)
    np.testing.assert_array_equal(codes, [3, 0, 0])
    codes, centres = bin_codes(np.array([[0.0, 0.0], [1.0, 3.0], [0.4, 2.9]]), 2)
    np.testing.assert_array_equal(codes, [0, 3, 1])
    np.testing.assert_allclose(centres[3], [0.75, 2.25])


def test_information_is_the_bits_of_a_cell_that_fires_in_one_place():
    # Fires in k of b equally visited bins alone: log2(b / k) bits a spike. Uniform firing: none.
    maps = np.zeros((8, 3))
    maps[0, 0], maps[:4, 1], maps[:, 2] = 5.0, 2.0, 3.0
    np.testing.assert_allclose(information_per_spike(maps, np.full(8, 10.0)), [3, 1, 0], atol=1e-12)
    # Unequal occupancy counts: one bin of share 1/4.
    maps = np.array([[1.0], [0.0]])
    np.testing.assert_allclose(information_per_spike(maps, np.array([1.0, 3.0])), [2])
    assert np.isnan(information_per_spike(np.zeros((4, 1)), np.ones(4))).all()


def test_information_is_the_sparseness_of_a_map_so_that_broad_fields_mixed_have_no_more_than_a_half_silent_rotation():
    turn = 2 * np.pi * np.arange(360) / 360
    rng = np.random.default_rng(0)
    bits = []
    for kappa in (8, 25):
        fields = np.exp(kappa * (np.cos(turn[:, None] - rng.uniform(0, 2 * np.pi, 600)) - 1))
        mixed, rotated = fields[:, ::2] + fields[:, 1::2], np.maximum(fields @ rng.standard_normal((600, 300)), 0)
        bits.append([information_per_spike(maps, np.ones(360)).mean() for maps in (fields, mixed, rotated)])
    entropy = np.array([stats.vonmises(kappa).entropy() for kappa in (8, 25)])
    np.testing.assert_allclose([row[0] for row in bits], np.log2(2 * np.pi) - entropy / np.log(2), atol=1e-6)
    assert bits[0][2] > bits[0][1]  # fields of 48 degrees
    assert bits[1][2] < bits[1][1] - 0.3  # of 27 degrees


def test_poisson_noise_raises_information_as_the_formula_says():
    rng = np.random.default_rng(0)
    codes = np.arange(2000) % 20
    counts = rng.poisson(0.2, (2000, 400)).astype(float)
    maps, occupancy = tuning_maps(counts, codes, 20)
    found = information_per_spike(maps, occupancy)
    assert found.mean() == pytest.approx(np.mean(19 / (2 * np.log(2) * counts.sum(axis=0))), rel=0.1)


def test_mean_direction_length_is_that_of_von_mises_and_does_not_depend_on_occupancy():
    rng = np.random.default_rng(0)
    kappa = 2.0
    even = rng.uniform(0, 2 * np.pi, 40_000)
    uneven = np.mod(rng.vonmises(np.pi, 0.8, 40_000), 2 * np.pi)
    lengths = []
    for angle in (even, uneven):
        values = np.exp(kappa * np.cos(angle - 1.0))[:, None]
        codes, centres = bin_codes(angle[:, None], 60, 2 * np.pi)
        maps, _ = tuning_maps(values, codes, 60)
        lengths.append(mean_direction_length(maps, centres[:, 0], 2 * np.pi)[0])
    expected = stats.vonmises(kappa).expect(lambda x: np.cos(x), lb=-np.pi, ub=np.pi)
    np.testing.assert_allclose(lengths, expected, atol=0.01)
    raw = (
        np.abs(np.exp(1j * uneven) @ np.exp(kappa * np.cos(uneven - 1.0))) / np.exp(kappa * np.cos(uneven - 1.0)).sum()
    )
    assert abs(raw - expected) > 0.05


def test_maps_of_tuned_profiles_come_back_and_those_of_noise_do_not():
    rng = np.random.default_rng(0)
    position = rng.uniform(0, 1, (2000, 1))
    values = rng.standard_normal((2000, 40))
    values[:, :20] += 3 * np.sin(6 * position)
    codes, centres = bin_codes(position, 20)
    halves = rng.random((4, 2000)) < 0.5
    found = map_stability(values, codes, len(centres), halves)
    assert (found[:20] > 0.95).all()
    assert abs(found[20:].mean()) < 0.1
    one = map_stability(values, codes, 20, halves[:1])
    first, second = (tuning_maps(values[part], codes[part], 20)[0] for part in (halves[0], ~halves[0]))
    np.testing.assert_allclose(one, [stats.pearsonr(a, b)[0] for a, b in zip(first.T, second.T, strict=True)])


def test_weights_of_a_map_are_repeated_rows():
    rng = np.random.default_rng(0)
    values, codes = rng.exponential(size=(50, 3)), rng.integers(-1, 6, 50)
    times = rng.integers(0, 3, 50)
    maps, occupancy = tuning_maps(values, codes, 6, times.astype(float))
    expected, visits = tuning_maps(np.repeat(values, times, axis=0), np.repeat(codes, times), 6)
    np.testing.assert_allclose(maps, expected)
    np.testing.assert_allclose(occupancy, visits)


# --- reliability ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("repeats", [6, None])
def test_reliability_is_that_of_planted_signal_and_of_split_halves(repeats):
    rng = np.random.default_rng(0)
    n = 300
    counts = np.full(n, repeats) if repeats else rng.integers(2, 9, n)
    codes = np.repeat(np.arange(n), counts)
    signal = stats.zscore(rng.standard_normal((n, 60)), ddof=1)
    signal[:, 30:] = 0
    values = signal[codes] + 2.0 * rng.standard_normal((len(codes), 60))
    found, terms = repeat_reliability(values, codes, n)
    expected = 1 / (1 + 4 * np.mean(1 / counts))
    assert found[:30].mean() == pytest.approx(expected, abs=0.02)
    assert abs(found[30:].mean()) < 0.03
    lifted = split_half_reliability(values, codes, n_splits=100)[1]
    assert found[:30].mean() == pytest.approx(lifted[:30].mean(), abs=0.015)
    np.testing.assert_allclose(terms.resampled(np.ones((1, n), dtype=np.int64))[0], found)


def test_a_bootstrap_of_reliability_is_that_of_repeated_stimuli_and_covers():
    rng = np.random.default_rng(1)
    codes = np.repeat(np.arange(100), 4)
    values = rng.standard_normal((100, 1))[codes] + rng.standard_normal((400, 50))
    _, terms = repeat_reliability(values, codes, 100)
    weights = rng.multinomial(100, np.full(100, 1 / 100), size=300)
    chosen = np.repeat(np.arange(100), weights[0])
    total, noise = terms.means[chosen].var(axis=0, ddof=1), terms.noise[chosen].mean(axis=0)
    draws = terms.resampled(weights)
    np.testing.assert_allclose(draws[0], 1 - noise / total)
    assert np.isnan(repeat_reliability(np.ones((8, 1)), np.repeat([0, 1], 4), 2)[0]).all()
