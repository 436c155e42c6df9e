"""Splits, nulls, bootstraps and ceilings against closed forms, each beside a case where the claim must not hold."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import chisquare

from neurosparse.backend import resampling as rs
from neurosparse.errors import DataWarning, InputError


def planted(n_labels, repeats, n_units, signal, noise, seed=0):
    """Trials of units with signal variance `signal` and trial-noise variance `noise`; and the labels."""
    rng = np.random.default_rng(seed)
    repeats = np.broadcast_to(repeats, n_labels)
    labels = np.repeat(np.arange(n_labels), repeats)
    tuning = rng.normal(scale=np.sqrt(signal), size=(n_labels, n_units))
    return tuning[labels] + rng.normal(scale=np.sqrt(noise), size=(len(labels), n_units)), labels


class TestLabels:
    def test_codes_give_labels_back(self):
        labels = np.array(["b", "a", "b", "c"])
        distinct, codes, counts = rs.label_codes(labels)
        assert (distinct[codes] == labels).all()
        assert counts.tolist() == [1, 2, 1]

    @pytest.mark.parametrize("labels", [[1.0, np.nan], np.array(["a", None], dtype=object)])
    def test_missing_label_is_named(self, labels):
        with pytest.raises(InputError, match=r"groups has 1 missing of 2 entries, first at row 1"):
            rs.label_codes(labels, "groups")

    def test_mixed_types_and_shapes_are_refused(self):
        with pytest.raises(InputError, match=r"mixes types \['int', 'str'\]"):
            rs.label_codes(np.array(["a", 1], dtype=object))
        with pytest.raises(InputError, match="one-dimensional with at least one entry; got shape"):
            rs.label_codes([])


class TestFolds:
    def test_groups_stay_whole_and_every_row_is_tested_once(self):
        groups = np.random.default_rng(0).integers(0, 37, 400)
        folds = rs.group_folds(groups, 5)
        for train, test in folds:
            assert not set(groups[train]) & set(groups[test])
            assert len(train) + len(test) == len(groups)
        assert sorted(np.concatenate([test for _, test in folds])) == list(range(400))

    def test_sizes_are_balanced_where_groups_are_unequal(self):
        groups = np.repeat(np.arange(12), [50, 30, 30, 20, 20, 20, 10, 10, 5, 3, 1, 1])
        sizes = [len(test) for _, test in rs.group_folds(groups, 4)]
        assert max(sizes) - min(sizes) <= 2

    def test_shuffle_follows_random_state(self):
        def first(seed):
            return rs.group_folds(np.arange(50), 5, random_state=seed)[0][1].tolist()

        assert first(1) == first(1)
        assert first(1) != first(2)
        assert first(1) != list(range(10))  # not the first ten rows: dealt out at random

    def test_too_few_groups(self):
        with pytest.raises(InputError, match=r"5 folds need at least 5 groups; got 3 group"):
            rs.group_folds([0, 0, 1, 2])
        with pytest.raises(InputError, match="n_folds must be an integer of at least 2; got 1"):
            rs.group_folds(np.arange(9), 1)

    def test_blocks_are_contiguous_and_the_gap_is_kept(self):
        folds = rs.block_folds(103, 5, gap=4)
        for train, test in folds:
            assert (np.diff(test) == 1).all()
            assert np.abs(train[:, None] - test[None, :]).min() == 5  # 4 samples lie between
        assert np.concatenate([test for _, test in folds]).tolist() == list(range(103))

    def test_gap_zero_uses_every_sample(self):
        assert all(len(train) + len(test) == 20 for train, test in rs.block_folds(20, 4))

    def test_impossible_blocks(self):
        with pytest.raises(InputError, match="a gap of 10 samples leaves nothing to train on"):
            rs.block_folds(12, 2, gap=10)
        with pytest.raises(InputError, match="5 folds need at least 5 samples; got 3"):
            rs.block_folds(3)


class TestNulls:
    def test_permutations_are_uniform(self):
        result = rs.permutations(3, 6000)
        _, counts = np.unique(result, axis=0, return_counts=True)
        assert len(counts) == 6
        assert chisquare(counts).pvalue > 1e-3

    def test_strata_keep_their_rows_but_are_shuffled_inside(self):
        strata = np.array(["a", "b", "a", "b", "b", "a", "c"])
        result = rs.permutations(7, 500, strata=strata)
        assert (np.sort(result, axis=1) == np.arange(7)).all()
        assert (strata[result] == strata).all()
        assert set(result[:, 0]) == {0, 2, 5}
        assert not (strata[rs.permutations(7, 500)] == strata).all()  # without strata they do mix

    def test_nothing_to_permute(self):
        with pytest.raises(InputError, match="nothing can be permuted: 3 row.s. in 3 strata of one row each"):
            rs.permutations(3, 10, strata=[0, 1, 2])
        with pytest.raises(InputError, match="one label for each of the 4 rows; got 3"):
            rs.permutations(4, 10, strata=[0, 1, 1])

    def test_shifts_are_cyclic_distinct_and_far_enough(self):
        result = rs.circular_shifts(50, 31, minimum=10)
        shifts = result[:, 0]
        assert len(set(shifts)) == 31
        assert shifts.min() == 10
        assert shifts.max() == 40
        assert (np.diff(result, axis=1) % 50 == 1).all()

    def test_too_many_shifts(self):
        with pytest.raises(InputError, match="50 samples have 31 circular shifts of at least 10 samples either way"):
            rs.circular_shifts(50, 32, minimum=10)

    def test_p_value_counts_ties_and_itself(self):
        assert rs.p_value(2.0, [1.0, 2.0, 3.0, 0.0]) == pytest.approx(3 / 5)
        assert rs.p_value(9.0, np.zeros(99)) == pytest.approx(0.01)

    def test_p_value_is_not_fooled_by_rounding_or_nan(self):
        assert rs.p_value(0.1 + 0.2, np.full(9, 0.3)) == 1.0  # 0.30000000000000004 is the same score
        assert rs.p_value(1.0, [np.nan, 0.0, 0.0]) == pytest.approx(0.5)
        assert np.isnan(rs.p_value(np.nan, np.zeros(9)))

    def test_p_value_is_uniform_without_effect_and_small_with_one(self):
        rng = np.random.default_rng(0)
        scores = rng.normal(size=(100, 4000))
        p = rs.p_value(scores[0], scores[1:])
        assert np.mean(p <= 0.05) == pytest.approx(0.05, abs=0.012)
        assert np.mean(rs.p_value(scores[0] + 3, scores[1:]) <= 0.05) > 0.85

    def test_p_value_axis_and_shapes(self):
        null = np.arange(12.0).reshape(3, 4)
        assert rs.p_value(np.zeros(3), null, axis=1).shape == (3,)
        with pytest.raises(InputError, match=r"must have the shape of observed, \(2,\); got \(4,\)"):
            rs.p_value(np.zeros(2), null)
        with pytest.raises(InputError, match="at least one null draw"):
            rs.p_value(np.zeros(2), np.zeros((0, 2)))

    @pytest.mark.parametrize("a", [-0.5, 0.0, 0.5, 0.9])
    def test_autocorrelation_time_of_a_first_order_autoregression(self, a):
        noise = np.random.default_rng(0).normal(size=(20500, 15))
        series = lfilter([1.0], [1.0, -a], noise, axis=0)[500:]
        assert rs.autocorrelation_time(series) == pytest.approx((1 + a) / (1 - a), rel=0.06)

    def test_autocorrelation_time_is_large_for_drift_and_skips_silent_units(self):
        rng = np.random.default_rng(0)
        noise = rng.normal(size=1000)
        alone = rs.autocorrelation_time(noise)
        assert rs.autocorrelation_time(np.stack([noise, np.zeros(1000)], axis=1)) == alone
        assert rs.autocorrelation_time(np.cumsum(noise)) > 50 * alone

    def test_autocorrelation_time_is_the_sum_of_lagged_products(self):
        series = np.sin(np.arange(30) / 4) + 0.01 * np.arange(30)
        centred = series - series.mean()
        rho = [centred[: 30 - lag] @ centred[lag:] / (centred @ centred) for lag in range(30)]
        pairs = [rho[k] + rho[k + 1] for k in range(0, 30, 2)]
        positive = pairs[: next(i for i, pair in enumerate(pairs) if pair <= 0)]
        assert rs.autocorrelation_time(series) == pytest.approx(2 * sum(positive) - 1)

    def test_autocorrelation_time_refusals(self):
        with pytest.raises(InputError, match="all 2 columns are constant: silent units"):
            rs.autocorrelation_time(np.ones((20, 2)))
        with pytest.raises(InputError, match="at least 4 samples; got 3"):
            rs.autocorrelation_time(np.arange(3.0))
        with pytest.raises(InputError, match=r"1 entries that are NaN or infinite, first at row 2, column 0"):
            rs.autocorrelation_time(np.array([0.0, 1, np.nan, 2, 3]))


class TestBootstrap:
    def test_groups_are_drawn_whole_and_as_many_as_there_are(self):
        groups = np.array([5, 5, 5, 7, 9, 9])
        weights = rs.bootstrap_weights(groups, 200)
        for group in (5, 9):
            assert (np.ptp(weights[:, groups == group], axis=1) == 0).all()
        assert (weights[:, [0, 3, 4]].sum(axis=1) == 3).all()
        assert (weights == 0).any()

    def test_interval_covers_a_mean_over_groups_and_ignoring_groups_does_not(self):
        rng = np.random.default_rng(0)
        groups = np.repeat(np.arange(40), 5)

        def covers(by):
            effect = rng.normal(size=40)[groups] + 0.1 * rng.normal(size=200)
            weights = rs.bootstrap_weights(by, 400, random_state=rng)
            low, high = rs.percentile_interval(weights @ effect / weights.sum(axis=1))
            return low <= 0 <= high

        assert np.mean([covers(groups) for _ in range(300)]) > 0.90
        assert np.mean([covers(np.arange(200)) for _ in range(100)]) < 0.75

    def test_interval_is_the_quantiles(self):
        low, high = rs.percentile_interval(np.arange(101.0)[:, None], level=0.9)
        assert (low[0], high[0]) == pytest.approx((5.0, 95.0))

    def test_refusals(self):
        with pytest.raises(InputError, match="needs at least two; got 1 over 3 rows"):
            rs.bootstrap_weights([1, 1, 1], 5)
        with pytest.raises(InputError, match="level must lie between 0 and 1"):
            rs.percentile_interval([1.0], level=95)
        with pytest.raises(InputError, match="an interval needs samples along axis 0"):
            rs.percentile_interval(np.zeros((0, 2)))


class TestReliability:
    def test_spearman_brown_closed_forms(self):
        assert rs.spearman_brown(0.5) == pytest.approx(2 / 3)
        assert rs.spearman_brown(rs.spearman_brown(0.3, 2), 0.5) == pytest.approx(0.3)
        assert rs.spearman_brown(np.array([0.0, 1.0])).tolist() == [0.0, 1.0]
        assert np.isnan(rs.spearman_brown(-1.0))
        with pytest.raises(InputError, match="factor must be positive"):
            rs.spearman_brown(0.5, 0)

    def test_halves_share_no_trial_and_hold_all(self):
        labels = np.repeat([3, 8, 9], [2, 5, 4])
        indicator = np.eye(11)  # a unit a trial: its mean is not zero only in the half that holds it
        for first, second in rs.split_half_means(indicator, labels, 20):
            in_first, in_second = (first > 0).any(axis=0), (second > 0).any(axis=0)
            assert (in_first ^ in_second).all()
            assert first.sum(axis=1) == pytest.approx(1.0)

    def test_halves_are_random(self):
        halves = [first for first, _ in rs.split_half_means(np.eye(8), np.repeat([0, 1], 4), 50)]
        assert len(np.unique(np.array(halves).reshape(50, -1), axis=0)) > 15

    @pytest.mark.parametrize("repeats", [2, 3, 10, "ragged"])
    def test_planted_reliability_is_recovered(self, repeats):
        n_labels = 300
        if repeats == "ragged":
            repeats = np.random.default_rng(1).integers(2, 8, n_labels)
        values, labels = planted(n_labels, repeats, 60, signal=1.0, noise=2.0)
        truth = 1.0 / (1.0 + 2.0 * np.mean(1.0 / np.bincount(labels)))
        _, reliability = rs.split_half_reliability(values, labels, n_splits=40)
        assert reliability.mean() == pytest.approx(truth, abs=0.012)

    def test_no_signal_no_reliability(self):
        values, labels = planted(300, 4, 60, signal=0.0, noise=1.0)
        r_half, _ = rs.split_half_reliability(values, labels, n_splits=20)
        assert abs(r_half.mean()) < 0.02

    def test_silent_units_are_nan_and_a_lucky_one_is_not_perfect(self):
        values, labels = planted(20, 4, 3, signal=1.0, noise=1.0)
        values[:, 0] = 0.1
        values[:, 1] = 0.0
        values[:2, 1] = 1.0  # fired in two trials of one stimulus
        r_half, reliability = rs.split_half_reliability(values, labels)
        assert np.isnan(r_half[0])
        assert np.isnan(reliability[0])
        assert 0.5 < r_half[1] < 0.8  # its two spikes part in 2 of 3 halvings

    def test_single_repeats_are_left_out_and_counted(self):
        values, labels = planted(30, 3, 5, signal=1.0, noise=1.0)
        more = np.concatenate([values, 100 * np.ones((2, 5))]), np.concatenate([labels, [77, 78]])
        with pytest.warns(DataWarning, match="2 of 32 labels have one repeat"):
            with_singles = rs.split_half_reliability(*more)
        assert np.array_equal(with_singles, rs.split_half_reliability(values, labels))

    def test_refusals(self):
        with pytest.raises(InputError, match="none of the 4 labels has two repeats"):
            rs.split_half_reliability(np.zeros((4, 1)), np.arange(4))
        with pytest.raises(InputError, match="at least 3 with two repeats; got 2"):
            rs.split_half_reliability(np.zeros((4, 1)), [0, 0, 1, 1])
        with pytest.raises(InputError, match="values has 4 rows but labels has 3 entries"):
            rs.split_half_means(np.zeros((4, 1)), [0, 0, 1], 5)
        with pytest.raises(InputError, match="NaN or infinite, first at row 1, column 0"):
            rs.split_half_reliability([[0.0], [np.nan]], [0, 0])
        with pytest.raises(InputError, match=r"must be a matrix \(sample, unit\); got shape \(4,\)"):
            rs.split_half_means(np.zeros(4), [0, 0, 1, 1], 5)

    def test_signal_power_is_unbiased_for_ragged_repeats_and_unequal_noise(self):
        rng = np.random.default_rng(0)
        repeats = rng.integers(2, 7, 40)
        labels = np.repeat(np.arange(40), repeats)
        noise_sd = rng.uniform(0.5, 3.0, 40)[labels]
        # 200 simulated sets stand in the columns.
        values = rng.normal(size=(40, 200))[labels] + noise_sd[:, None] * rng.normal(size=(len(labels), 200))
        power, _ = rs.signal_power(values, labels)
        assert power.mean() == pytest.approx(1.0, abs=3 * power.std() / np.sqrt(200))
        naive = np.var([values[labels == s].mean(axis=0) for s in range(40)], axis=0, ddof=1)
        assert naive.mean() > 1.5  # without the noise term it is far off

    def test_lower_bound_of_signal_power(self):
        values, labels = planted(100, 3, 2000, signal=0.0, noise=1.0)
        assert np.mean(rs.signal_power(values, labels)[1] > 0) < 0.07
        values, labels = planted(100, 3, 500, signal=1.0, noise=1.0)
        power, lower = rs.signal_power(values, labels)
        assert np.mean(lower < 1.0) > 0.93
        assert (lower > 0).mean() > 0.99
        assert (lower < power).all()

    def test_signal_power_needs_three_labels(self):
        with pytest.raises(InputError, match="a variance across labels needs at least 3"):
            rs.signal_power(np.zeros((4, 1)), [0, 0, 1, 1])

    def test_label_means_leave_nan_out_and_weigh(self):
        values = np.array([[1.0, np.nan], [3.0, np.nan], [5.0, 7.0]])
        means, observed = rs.label_means(values, np.array([0, 0, 1]), 2)
        assert means[:, 0].tolist() == [2.0, 5.0]
        assert np.isnan(means[0, 1])
        assert observed.tolist() == [[2, 0], [1, 1]]
        means, _ = rs.label_means(values, np.array([0, 0, 1]), 2, weights=[1.0, 3.0, 1.0])
        assert means[0, 0] == 2.5

    def test_column_correlations_match_numpy(self):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(2, 30, 4))
        y[:, 3] = 0.1
        r = rs.column_correlations(x, y)
        assert r[:3] == pytest.approx([np.corrcoef(x[:, i], y[:, i])[0, 1] for i in range(3)])
        assert np.isnan(r[3])


class TestNearDuplicates:
    def test_chains_join_and_strangers_stay_apart(self):
        rng = np.random.default_rng(0)
        rows = rng.normal(size=(2100, 400))  # more than one block of rows
        rows[2050] = 3 * (rows[4] + 0.4 * rng.normal(size=400)) + 7  # scale and offset do not matter
        rows[9] = rows[2050] + 1.2 * rng.normal(size=400)
        assert np.corrcoef(rows[4], rows[9])[0, 1] < 0.9  # one group through row 2050 only
        groups = rs.near_duplicates(rows, 0.9)
        assert groups[4] == groups[2050] == groups[9]
        assert len(np.unique(groups)) == 2098
        assert groups[0] == 0

    def test_opposite_rows_are_not_duplicates(self):
        row = np.random.default_rng(0).normal(size=20)
        assert rs.near_duplicates([row, -row]).tolist() == [0, 1]

    def test_threshold_and_constant_rows(self):
        rng = np.random.default_rng(0)
        rows = rng.normal(size=(4, 500))
        rows[1] = rows[0] + 0.75 * rng.normal(size=500)  # r = .8
        assert rs.near_duplicates(rows, 0.7)[1] == 0
        assert rs.near_duplicates(rows, 0.9)[1] == 1
        rows[2:] = [[0.0], [255.0]]
        assert len(set(rs.near_duplicates(rows)[2:])) == 1

    def test_refusals(self):
        with pytest.raises(InputError, match="at least -1 and below 1; got 1.0"):
            rs.near_duplicates(np.eye(3), 1.0)
        with pytest.raises(InputError, match="rows correlate over at least 2 features"):
            rs.near_duplicates(np.ones((3, 1)))
