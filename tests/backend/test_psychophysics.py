"""The two-alternative task and sparseness, against loops, hand values and planted truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from neurosparse.backend.psychophysics import (
    Block,
    Draw,
    Similarity,
    cosine_similarity,
    credit,
    draw_tasks,
    hoyer,
    kurtosis,
    poisson_surrogate,
    query_truth,
    randomised_p_value,
    rank_order,
    rotated_directions,
    side_limits,
    treves_rolls,
    two_alternative,
    vinje_gallant,
    wilson_interval,
)
from neurosparse.backend.resampling import p_value
from neurosparse.errors import InputError


def draw_of(values, draw, *, groups=None, weights=None, seed=0):
    rng = np.random.default_rng(seed)
    groups = np.arange(len(values)) if groups is None else groups
    order, limits = rank_order(values, rng), side_limits(values, draw.n_explanations)
    return draw_tasks(order, limits, groups, draw, rng, weights)


def naive_evidence(similarity, task, index):
    """D+ - D- of one task, as its definition reads."""
    (q_top, *top), (q_bottom, *bottom) = task
    a = {}
    for query in (q_top, q_bottom):
        for side, explanations in (("+", top), ("-", bottom)):
            total = 0.0
            for explanation in explanations:
                total += similarity[index[query]][index[explanation]]
            a[query, side] = total / len(explanations)
    return (a[q_top, "+"] - a[q_top, "-"]) - (a[q_bottom, "+"] - a[q_bottom, "-"])


# --- the task -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["most", "least"])
def test_evidence_equals_the_naive_loop_for_a_matrix_and_for_rows(query):
    rng = np.random.default_rng(0)
    values, features = rng.standard_normal((90, 3)), rng.standard_normal((90, 5))
    tasks = draw_of(values, Draw(n_tasks=4, n_explanations=5, quantile=0.2, query=query))
    asymmetric = rng.standard_normal((90, 90))
    for index in (np.arange(90), rng.permutation(90)):
        for similarity, matrix in (
            (Similarity(matrix=asymmetric), asymmetric),
            (Similarity(rows=features), features @ features.T),
        ):
            expected = [[naive_evidence(matrix, task, index) for task in profile] for profile in tasks.tolist()]
            np.testing.assert_allclose(similarity.evidence(tasks, index), expected, rtol=1e-12, atol=1e-12)


def test_score_equals_the_naive_loop_over_tasks():
    rng = np.random.default_rng(1)
    ranking, judging = rng.standard_normal((80, 4)), rng.integers(0, 3, (80, 4)).astype(float)
    matrix = rng.standard_normal((80, 80))
    draw, same = Draw(n_tasks=9, n_explanations=4, quantile=0.2), np.arange(80)
    result = two_alternative(
        [Block(ranking, judging, Similarity(matrix=matrix), np.arange(4))],
        4,
        draw,
        groups=same,
        permuted=same[None, ::-1].copy(),
        clusters=same,
        weights=np.empty((0, 80), dtype=np.int64),
        random_state=5,
    )
    tasks = draw_of(ranking, draw, seed=5)
    for index, scores in ((same, result.score), (same[::-1], result.null[0])):
        for profile in range(4):
            right = 0.0
            for task in tasks[profile].tolist():
                truth = judging[task[0][0], profile] - judging[task[1][0], profile]
                agree = naive_evidence(matrix, task, index) * truth
                right += 1.0 if agree > 0 else 0.5 if truth == 0 else 0.0
            assert scores[profile] == pytest.approx(right / 9)


def test_queries_and_explanations_are_disjoint_and_from_their_own_ends():
    values = np.random.default_rng(2).standard_normal((200, 5))
    for query in ("most", "least"):
        draw = Draw(n_tasks=30, n_explanations=6, quantile=0.1, query=query)
        tasks = draw_of(values, draw)
        assert tasks.min() >= 0
        flat = tasks.reshape(5, 30, -1)
        assert all(len(np.unique(task)) == 14 for profile in flat for task in profile)
        rank = stats.rankdata(values, axis=0) - 1
        for profile in range(5):
            at = rank[tasks[profile], profile]
            assert (at[:, 0] >= 200 - draw.pool_size(200)).all()
            assert (at[:, 1] < draw.pool_size(200)).all()
            sign = 1 if query == "most" else -1
            assert (sign * at[:, 0, 1:] < sign * at[:, 0, :1]).all()
            assert (sign * at[:, 1, 1:] > sign * at[:, 1, :1]).all()


def test_the_query_place_has_the_distribution_of_an_extreme_of_random_ones():
    # The most extreme of k of m random places is at place j with probability C(m-1-j, k-1) / C(m, k).
    values = np.arange(400.0)[:, None]
    draw = Draw(n_tasks=20_000, n_explanations=3, quantile=0.05)
    places = 399 - draw_of(values, draw)[0, :, 0, 0]
    expected = [stats.hypergeom.pmf(0, 20, 4, j) * 4 / (20 - j) for j in range(17)]
    np.testing.assert_allclose(np.bincount(places, minlength=17) / 20_000, expected, atol=0.012)


def test_near_duplicates_and_bins_within_the_gap_never_meet():
    values = np.random.default_rng(3).standard_normal((300, 4))
    groups = np.arange(300) // 3
    tasks = draw_of(values, Draw(n_tasks=20, n_explanations=5, quantile=0.2), groups=groups).reshape(4, 20, -1)
    assert all(len(np.unique(groups[task])) == 12 for profile in tasks for task in profile)
    close = draw_of(values, Draw(n_tasks=20, n_explanations=5, quantile=0.2, gap=12))
    drawn = close[close[..., 0, 0] >= 0]
    assert len(drawn) > 40
    for task in drawn:
        for side in range(2):
            others = np.delete(task.ravel(), side * task.shape[1])
            assert np.abs(others - task[side, 0]).min() >= 12


def test_a_task_that_cannot_be_drawn_is_marked_and_not_scored():
    values = np.sin(np.arange(100) / 16)[:, None]  # one period: each end is one stretch of time
    tasks = draw_of(values, Draw(n_tasks=5, n_explanations=9, quantile=0.2, gap=60))
    assert (tasks == -1).all()
    assert np.isnan(Similarity(matrix=np.eye(100)).evidence(tasks, np.arange(100))).all()


def test_a_bootstrap_sample_draws_only_what_it_holds():
    values = np.random.default_rng(4).standard_normal((200, 3))
    weights = np.random.default_rng(5).multinomial(200, np.full(200, 1 / 200)).astype(np.int64)
    tasks = draw_of(values, Draw(n_tasks=20, n_explanations=4, quantile=0.1), weights=weights).reshape(3, 20, -1)
    assert (weights[tasks] > 0).all()
    assert all(len(np.unique(task)) == 10 for profile in tasks for task in profile)


def test_sides_hold_active_samples_of_a_sparse_code_and_refuse_one_with_too_few():
    code = np.zeros((100, 4))
    code[:30, 0] = np.arange(1, 31)  # top: the 30 active; bottom: the 70 silent
    code[:30, 1] = -np.arange(1, 31)
    code[:5, 2] = 1.0  # fewer active than a task needs, and nothing below the median
    code[:, 3] = 1.0 + 1e-10 * np.arange(100)  # constant
    np.testing.assert_array_equal(side_limits(code, 9), [[30, 70], [70, 30], [0, 0], [0, 0]])
    tasks = draw_of(code, Draw(n_tasks=10, quantile=0.5))
    assert (tasks[0, :, 0] < 30).all()
    assert (tasks[0, :, 1] >= 30).all()
    assert (tasks[2:] == -1).all()


def test_ties_are_broken_at_random_not_by_the_order_of_samples():
    first = np.array([rank_order(np.zeros((50, 1)), np.random.default_rng(seed))[0, 0] for seed in range(400)])
    assert stats.kstest(first / 50, "uniform").pvalue > 1e-3


def test_credit_is_half_for_ties_and_truth_follows_the_judging_half():
    tasks = np.array([[[[0, 1], [2, 3]], [[1, 0], [3, 2]], [[4, 0], [2, 3]]]])  # (profile, task, side, sample)
    truth = query_truth(tasks, np.array([[5.0], [1], [2], [3], [2]]))
    np.testing.assert_array_equal(truth, [[1, -1, 0]])
    np.testing.assert_array_equal(credit(np.array([[0.1, 0.2, 0.3]]), truth), [[1, 0, 0.5]])
    np.testing.assert_array_equal(credit(np.array([[0.0, -1, np.nan]]), truth), [[0.5, 1, np.nan]])


def test_the_interval_of_a_share_has_its_closed_form_where_all_answers_are_right():
    # Wilson: n / (n + z^2) for n of n, its mirror image for none of n, symmetric about a half for half of n.
    low, high = wilson_interval(np.array([1.0, 0.0, 0.5]), np.array([20, 20, 20]))
    z2 = stats.norm.ppf(0.975) ** 2
    np.testing.assert_allclose([low[0], high[0]], [20 / (20 + z2), 1], atol=1e-9)
    np.testing.assert_allclose([low[1], high[1]], [0, z2 / (20 + z2)], atol=1e-9)
    assert low[2] + high[2] == pytest.approx(1)
    expected = stats.binomtest(10, 20).proportion_ci(method="wilson")
    np.testing.assert_allclose([low[2], high[2]], [expected.low, expected.high])


def noise_scores(seed, n_permutations=49):
    rng = np.random.default_rng(seed)
    n = 120
    values, same = rng.standard_normal((n, 1)), np.arange(n)
    permuted = np.stack([rng.permutation(n) for _ in range(n_permutations)])
    return two_alternative(
        [Block(values, values, cosine_similarity(rng.standard_normal((n, 3))), np.array([0]))],
        1,
        Draw(n_tasks=10, n_explanations=4, quantile=0.1),
        groups=same,
        permuted=permuted,
        clusters=same,
        weights=np.empty((0, n), dtype=np.int64),
        random_state=rng,
    )


def test_p_values_are_calibrated_where_similarity_knows_nothing():
    results = [noise_scores(seed) for seed in range(400)]
    score = np.array([result.score[0] for result in results])
    assert abs(score.mean() - 0.5) < 3 * score.std() / 20
    plain = np.array([p_value(result.score, result.null)[0] for result in results])
    rng = np.random.default_rng(0)
    randomised = np.array([randomised_p_value(result.score, result.null, rng)[0] for result in results])
    assert stats.kstest(randomised, "uniform").pvalue > 0.01
    for level in (0.01, 0.05, 0.10):
        assert (plain <= level).sum() <= stats.binom.ppf(0.995, 400, level)
        assert (randomised <= level).sum() >= stats.binom.ppf(0.005, 400, level)


def test_a_profile_with_half_of_its_tasks_undrawn_is_nan_in_score_null_and_bootstrap():
    rng = np.random.default_rng(0)
    values = np.zeros((100, 2))
    values[:, 0] = rng.standard_normal(100)
    values[:3, 1] = 1.0
    same = np.arange(100)
    result = two_alternative(
        [Block(values, values, cosine_similarity(rng.standard_normal((100, 3))), np.arange(2))],
        2,
        Draw(n_tasks=4, n_explanations=4),
        groups=same,
        permuted=same[None],
        clusters=same // 2,
        weights=np.ones((1, 50), dtype=np.int64),
    )
    np.testing.assert_array_equal(result.n_tasks, [4, 0])
    for array in (result.score, result.null[0], result.bootstrap[0]):
        np.testing.assert_array_equal(np.isnan(array), [False, True])


def test_a_profile_asked_in_fewer_than_half_of_its_blocks_is_not_scored():
    rng = np.random.default_rng(0)
    varying, flat, same = rng.standard_normal((100, 1)), np.ones((100, 1)), np.arange(100)
    similarity = cosine_similarity(rng.standard_normal((100, 3)))
    for ranked, scored in (([varying, flat, flat], False), ([varying, varying, flat], True)):
        result = two_alternative(
            [Block(values, values, similarity, np.array([0])) for values in ranked],
            1,
            Draw(n_tasks=1, n_explanations=4),
            groups=same,
            permuted=same[None],
            clusters=same,
            weights=np.ones((1, 100), dtype=np.int64),
        )
        assert np.isfinite([result.score, result.null[0], result.bootstrap[0]]).all() == scored


def test_cosine_similarity_is_about_the_mean_and_leaves_a_mean_sample_without_direction():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((20, 4)) + 7
    features[3] = 0
    features[3] = features.sum(axis=0) / 19  # equal to the mean of the others, hence to the mean
    similarity = cosine_similarity(features)
    centred = features - features.mean(axis=0)
    expected = centred @ centred.T / np.outer(np.linalg.norm(centred, axis=1), np.linalg.norm(centred, axis=1))
    keep = np.arange(20) != 3
    np.testing.assert_allclose(similarity.matrix[np.ix_(keep, keep)], expected[np.ix_(keep, keep)], atol=1e-12)
    assert (similarity.matrix[3] == 0).all()


def test_many_samples_keep_rows_with_the_same_evidence(monkeypatch):
    rng = np.random.default_rng(0)
    values, features = rng.standard_normal((120, 2)), rng.standard_normal((120, 4))
    tasks = draw_of(values, Draw(n_tasks=5, n_explanations=4))
    by_matrix = cosine_similarity(features).evidence(tasks, np.arange(120))
    monkeypatch.setattr("neurosparse.backend.psychophysics.similarity.MATRIX_SAMPLES_OF_FEW", 100)
    by_rows = cosine_similarity(features)
    assert by_rows.matrix is None
    np.testing.assert_allclose(by_rows.evidence(tasks, np.arange(120)), by_matrix, atol=1e-12)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_tasks": 0}, "n_tasks must be a whole number of at least 1; got 0"),
        ({"n_explanations": 2.5}, "n_explanations must be a whole number of at least 1; got 2.5"),
        ({"quantile": 0.6}, r"quantile is the share of samples at one end, in \(0, .5\]; got 0.6"),
        ({"query": "best"}, "query must be 'most' or 'least' .* got 'best'"),
    ],
)
def test_a_draw_says_what_is_wrong_with_it(wrong, message):
    with pytest.raises(InputError, match=message):
        Draw(**wrong)


def test_a_similarity_is_a_matrix_or_rows():
    with pytest.raises(InputError, match="a matrix, rows or both; got neither"):
        Similarity()


# --- sparseness -----------------------------------------------------------------------------------------------------


def test_sparseness_has_its_hand_values():
    # Columns: equal, single, two of four, (1, 2, 3, 0).
    r = np.array([[1.0, 0, 3, 1], [1, 4, 0, 2], [1, 0, 3, 3], [1, 0, 0, 0]])
    # a = mean^2 / mean square: 1, 1/4, 1/2, (6/4)^2 / (14/4) = 9/14.
    np.testing.assert_allclose(treves_rolls(r), [1, 1 / 4, 1 / 2, 9 / 14])
    np.testing.assert_allclose(vinje_gallant(r), [0, 1, 2 / 3, (5 / 14) * (4 / 3)])
    # (2 - L1 / L2) / 1: 2 - 4/2, 2 - 1, 2 - 6 / sqrt(18), 2 - 6 / sqrt(14).
    np.testing.assert_allclose(hoyer(r), [0, 1, 2 - np.sqrt(2), 2 - 6 / np.sqrt(14)], atol=1e-12)
    np.testing.assert_allclose(hoyer(-r), hoyer(r))


def test_kurtosis_is_scipys_and_nan_for_a_constant():
    values = np.random.default_rng(0).standard_t(6, (300, 3)) + 5
    np.testing.assert_allclose(kurtosis(values), stats.kurtosis(values, axis=0), rtol=1e-9)
    assert np.isnan(kurtosis(np.full((9, 1), 0.1))).all()


@pytest.mark.parametrize("measure", [treves_rolls, vinje_gallant, hoyer, kurtosis])
def test_sparseness_ignores_scale_and_order_but_not_an_offset(measure):
    rng = np.random.default_rng(0)
    values = rng.exponential(size=(50, 3))
    np.testing.assert_allclose(measure(7 * values), measure(values), rtol=1e-9)
    np.testing.assert_allclose(measure(rng.permuted(values, axis=0)), measure(values), rtol=1e-9)
    if measure is not kurtosis:
        assert (np.abs(measure(values + 1) - measure(values)) > 0.05).all()


@pytest.mark.parametrize("measure", [treves_rolls, vinje_gallant, hoyer, kurtosis])
def test_weights_are_repeated_rows(measure):
    rng = np.random.default_rng(0)
    values = rng.exponential(size=(30, 3))
    counts = rng.multinomial(30, np.full(30, 1 / 30), size=2)
    expected = [measure(np.repeat(values, count, axis=0)) for count in counts]
    np.testing.assert_allclose(measure(values, counts.astype(float)), expected, rtol=1e-9)


def test_silent_profiles_and_single_samples_have_no_sparseness():
    for measure in (treves_rolls, vinje_gallant, hoyer, kurtosis):
        assert np.isnan(measure(np.zeros((5, 2)))).all()
    assert np.isnan(vinje_gallant(np.ones((1, 2)))).all()
    assert np.isnan(hoyer(np.ones((1, 2)))).all()


@pytest.mark.parametrize("measure", [treves_rolls, vinje_gallant])
def test_moment_ratios_refuse_signed_responses(measure):
    with pytest.raises(InputError, match=r"need non-negative responses; got -2 at sample 1, profile 0. Use hoyer"):
        measure(np.array([[1.0, 2], [-2, 1]]))


def test_poisson_surrogates_have_the_mean_and_noise_of_averaged_counts():
    rng = np.random.default_rng(0)
    rates, repeats = np.array([[2.0, 5.0], [0.0, 1.0]]), np.array([4, 10])
    draws = np.stack([poisson_surrogate(rates, repeats, rng) for _ in range(4000)])
    np.testing.assert_allclose(draws.mean(axis=0), rates, atol=0.06)
    np.testing.assert_allclose(draws.var(axis=0), rates / repeats[:, None], atol=0.09)


def test_rotated_directions_are_what_whole_rotations_give():
    rng = np.random.default_rng(0)
    values = rng.exponential(size=(40, 3)) * [1, 2, 5]
    by_direction = hoyer(rotated_directions(values, 3000, rng))
    by_rotation = np.concatenate([hoyer(values @ stats.ortho_group.rvs(3, random_state=rng)) for _ in range(1000)])
    assert stats.ks_2samp(by_direction, by_rotation).pvalue > 1e-3
    energy = (rotated_directions(values, 3000, rng) ** 2).sum(axis=0).mean()
    assert energy == pytest.approx((values**2).sum() / 3, rel=0.05)
