"""Monosemanticity, intrusion and the two indices, against loops, hand values and planted truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from neurosparse.backend.psychophysics import (
    AlikeAtTheTop,
    Block,
    Draw,
    IndexTwo,
    Intrusion,
    Similarity,
    answer,
    cosine_similarity,
    evidence_scale,
    left_product,
    monosemanticity,
    monosemanticity_draws,
    soft_credit,
    two_alternative,
)
from neurosparse.backend.psychophysics.alternatives import TwoAlternative
from neurosparse.errors import InputError


def block_of(values, similarity=None, judging=None):
    similarity = similarity or Similarity(matrix=np.eye(len(values)))
    return Block(values, values if judging is None else judging, similarity, np.arange(values.shape[1]))


def asked_of(task, block, seed=0, **draws):
    n = len(block.ranking)
    chosen = {"permuted": np.empty((0, n), dtype=np.int64), "weights": np.empty((0, n), dtype=np.int64)} | draws
    return answer(
        [block], block.ranking.shape[1], task, clusters=np.arange(n), rng=np.random.default_rng(seed), **chosen
    )


# --- monosemanticity ------------------------------------------------------------------------------------------------


def by_pairs(profile, matrix):
    """The definition, pair by pair."""
    activity = (profile - profile.min()) / (profile.max() - profile.min())
    above = below = 0.0
    for i in range(len(activity)):
        for j in range(i):
            weight = activity[i] * activity[j]
            above += weight * (matrix[i][j] + matrix[j][i]) / 2
            below += weight
    return above / below


@pytest.mark.parametrize("kind", ["rows", "matrix", "asymmetric"])
def test_monosemanticity_equals_the_double_loop(kind, monkeypatch):
    rng = np.random.default_rng(0)
    values, features = rng.exponential(size=(60, 4)), rng.standard_normal((60, 5))
    similarity = cosine_similarity(features)
    matrix = similarity.matrix
    if kind != "rows":
        matrix = rng.standard_normal((60, 60)) if kind == "asymmetric" else matrix
        similarity = Similarity(matrix=matrix)
    expected = [by_pairs(profile, matrix.tolist()) for profile in values.T]
    np.testing.assert_allclose(monosemanticity(values, similarity), expected, rtol=1e-9)
    monkeypatch.setattr("neurosparse.backend.psychophysics.pairs._CACHED", 180)  # three profiles, and the last
    np.testing.assert_allclose(monosemanticity(values, similarity), expected, rtol=1e-9)
    assert monosemanticity(values[:, :0], similarity).shape == (0,)


def test_monosemanticity_has_its_hand_values():
    matrix = np.array([[1.0, 0.5, -1.0], [0.5, 1.0, 0.2], [-1.0, 0.2, 1.0]])
    # Scaled: (1, 1, 0): the one pair (0, 1); (0, .5, 1): the one pair (1, 2); constant; a single active sample.
    values = np.array([[3.0, 0, 7, 1], [3, 1, 7, 0], [1, 2, 7, 0]])
    np.testing.assert_allclose(monosemanticity(values, Similarity(matrix=matrix)), [0.5, 0.2, np.nan, np.nan])


def test_draws_of_monosemanticity_are_permuted_and_repeated_rows():
    rng = np.random.default_rng(1)
    values, features = rng.exponential(size=(50, 3)), rng.standard_normal((50, 4))
    rows = cosine_similarity(features).rows
    permuted = np.stack([rng.permutation(50) for _ in range(3)])
    weights = rng.multinomial(50, np.full(50, 1 / 50), size=3)
    for similarity in (Similarity(rows=rows), Similarity(matrix=rows @ rows.T)):
        null = monosemanticity_draws(values, similarity, permuted=permuted)
        expected = [monosemanticity(values, Similarity(rows=rows[index])) for index in permuted]
        np.testing.assert_allclose(null, expected, atol=1e-5)
        drawn = monosemanticity_draws(values, similarity, weights=weights)
        for draw, weight in zip(drawn, weights, strict=True):
            rescaled = (values - values.min(axis=0)) / np.ptp(values, axis=0)
            copies = np.repeat(np.arange(50), weight)
            apart = copies[:, None] != copies
            pairs = rescaled[copies][:, None] * rescaled[copies][None] * apart[..., None]  # (copy, copy, profile)
            alike = (rows @ rows.T)[np.ix_(copies, copies)]
            np.testing.assert_allclose(draw, (pairs * alike[..., None]).sum((0, 1)) / pairs.sum((0, 1)), atol=1e-5)


@pytest.mark.parametrize("device", ["auto", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_products_on_a_device_are_those_of_numpy(device):
    rng = np.random.default_rng(0)
    part, held = rng.standard_normal((5, 30)), rng.standard_normal((30, 4))
    np.testing.assert_allclose(left_product(held, device)(part), part @ held, rtol=1e-12)
    values, features = rng.exponential(size=(50, 3)), rng.standard_normal((50, 4))
    orders = np.stack([rng.permutation(50) for _ in range(3)])
    for similarity in (Similarity(rows=features), Similarity(matrix=features @ features.T)):
        first, second = (
            monosemanticity_draws(values, similarity, permuted=orders, device=place) for place in ("cpu", device)
        )
        np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-5)


def test_a_profile_that_prefers_nothing_has_the_mean_similarity_and_a_class_that_of_its_pairs():
    rng = np.random.default_rng(2)
    similarity = cosine_similarity(rng.standard_normal((400, 3)) + np.repeat([[4.0, 0, 0], [0, 4, 0]], 200, axis=0))
    matrix = similarity.matrix
    first = np.repeat([1.0, 0.0], 200)
    flat = 1.0 + 1e-3 * (np.arange(400) == 0)  # least everywhere but once: after scaling it has no pair
    half_flat = np.where(np.arange(400) == 0, 0.0, 1.0)
    found = monosemanticity(np.stack([first, flat, half_flat], axis=1), similarity)
    off = ~np.eye(200, dtype=bool)
    assert found[0] == pytest.approx(matrix[:200, :200][off].mean())
    assert found[0] > found[2] + 0.5
    assert np.isnan(found[1])
    assert found[2] == pytest.approx(matrix[1:, 1:][~np.eye(399, dtype=bool)].mean())


# --- intrusion ------------------------------------------------------------------------------------------------------


def three_kinds(n=300, seed=0):
    """Profiles that each like one kind of sample, and features that tell the kinds apart."""
    rng = np.random.default_rng(seed)
    kind = np.arange(n) % 3
    values = np.eye(3)[kind] * rng.uniform(0.5, 1.5, (n, 1))
    return values, np.eye(3)[kind] + 0.05 * rng.standard_normal((n, 3)), kind


def test_intruders_are_low_here_high_elsewhere_and_found_by_a_similarity_that_knows():
    values, features, kind = three_kinds()
    task = Intrusion(np.arange(300), pool_size=30)
    block = block_of(values, cosine_similarity(features))
    drawn = task.draw(task.sides(block, np.random.default_rng(0)), np.random.default_rng(1))
    for profile in range(3):
        assert (kind[drawn[profile, :, :4]] == profile).all()
        assert (kind[drawn[profile, :, 4]] != profile).all()
        ranks = stats.rankdata(values[:, profile])
        assert ranks[drawn[profile, :, :4]].min() > 300 - 30
        assert all(len(set(shown)) == 5 for shown in drawn[profile].tolist())
    assert (asked_of(task, block)[0].score == 1).all()


def test_a_favourite_that_two_profiles_share_intrudes_on_neither():
    rng = np.random.default_rng(0)
    values = rng.exponential(size=(300, 1)) + 0.1 * rng.random((300, 3))
    task = Intrusion(np.arange(300), pool_size=30)
    drawn = task.draw(task.sides(block_of(values), rng), rng)
    ranks = stats.rankdata(values, axis=0)
    assert drawn.min() >= 0
    assert all((ranks[drawn[profile, :, 4], profile] <= 151).all() for profile in range(3))


def test_intrusion_is_at_chance_where_similarity_knows_nothing_and_below_where_it_misleads():
    rng = np.random.default_rng(0)
    values, _, _ = three_kinds()
    task = Intrusion(np.arange(300), pool_size=100, n_tasks=2000)
    found = asked_of(task, block_of(values, cosine_similarity(rng.standard_normal((300, 5)))))[0].score
    assert found.mean() == pytest.approx(0.2, abs=0.04)
    # The intruder is the most like the rest: it is never the one least alike.
    matrix = np.where(np.eye(3)[np.arange(300) % 3] @ np.eye(3)[np.arange(300) % 3].T > 0, -1.0, 1.0)
    assert (asked_of(task, block_of(values, Similarity(matrix=matrix)))[0].score == 0).all()
    # All alike: five share the name.
    tied = asked_of(task, block_of(values, Similarity(matrix=np.ones((300, 300)))))[0].score
    np.testing.assert_allclose(tied, 0.2)


def test_the_stranger_is_whoever_the_judging_responses_say():
    values, features, _ = three_kinds()
    rng = np.random.default_rng(0)
    task = Intrusion(np.arange(300), pool_size=100, n_tasks=500)
    other = rng.standard_normal(values.shape)  # a profile that does not repeat itself
    found = asked_of(task, block_of(values, cosine_similarity(features), judging=other))[0].score
    assert found.mean() == pytest.approx(0.2, abs=0.03)


def test_intrusion_keeps_near_duplicates_and_near_times_apart_and_gives_up_where_it_cannot():
    rng = np.random.default_rng(0)
    values = rng.exponential(size=(300, 4))
    groups = np.arange(300) // 3
    for task in (Intrusion(groups, 60), Intrusion(np.arange(300), 60, gap=15)):
        drawn = task.draw(task.sides(block_of(values), rng), rng)
        full = drawn[drawn[..., 0] >= 0]
        assert len(full) > 40
        for shown in full:
            assert len(np.unique(task.groups[shown])) == 5
            assert np.diff(np.sort(shown)).min() >= task.gap
    few = np.zeros((300, 2))
    few[:3, 0] = 1.0
    few[:, 1] = rng.exponential(size=300)
    task = Intrusion(np.arange(300), 60)
    drawn = task.draw(task.sides(block_of(few), rng), rng)
    assert (drawn[0] == -1).all()
    assert (drawn[1] >= 0).any()
    weights = rng.multinomial(300, np.full(300, 1 / 300)).astype(np.int64)
    drawn = task.draw(task.sides(block_of(values), rng), rng, weights)
    assert (weights[drawn[drawn >= 0]] > 0).all()


def test_one_profile_alone_has_strangers_from_its_own_bottom():
    values = np.random.default_rng(0).exponential(size=(100, 1))
    task = Intrusion(np.arange(100), 20)
    drawn = task.draw(task.sides(block_of(values), np.random.default_rng(0)), np.random.default_rng(1))
    assert (values[drawn[0, :, 4], 0] <= np.median(values)).all()


# --- index v1 and v2 ------------------------------------------------------------------------------------------------


def test_index_v1_is_the_mean_similarity_of_the_top_five_pairs():
    rng = np.random.default_rng(0)
    values, matrix = rng.standard_normal((80, 3)), rng.standard_normal((80, 80))
    found = asked_of(AlikeAtTheTop(np.arange(80)), block_of(values, Similarity(matrix=matrix)))[0].score
    for profile in range(3):
        top = np.argsort(-values[:, profile])[:5]
        expected = np.mean([matrix[i, j] for i in top for j in top if i != j])
        assert found[profile] == pytest.approx(expected)


def test_index_v1_skips_near_duplicates_and_what_a_bootstrap_sample_lacks():
    values = -np.arange(60.0)[:, None]
    task = AlikeAtTheTop(np.arange(60) // 2)
    sides = task.sides(block_of(values), np.random.default_rng(0))
    np.testing.assert_array_equal(task.draw(sides, None)[0, 0], [0, 2, 4, 6, 8])
    weights = np.ones(60, dtype=np.int64)
    weights[[0, 2]] = 0
    np.testing.assert_array_equal(task.draw(sides, None, weights)[0, 0], [1, 3, 4, 6, 8])
    near = AlikeAtTheTop(np.arange(60), gap=7)
    np.testing.assert_array_equal(near.draw(sides, None)[0, 0], [0, 7, 14, 21, 28])
    assert (AlikeAtTheTop(np.arange(60), gap=13).draw(sides, None) == -1).all()


def naive_index_two(order, matrix, n_trials, n_references):
    """Mean softmax over trials, as the description of the method reads; `order` from the least to the most active."""
    scores = []
    for t in range(n_trials):
        queries = {"top": order[::-1][t], "bottom": order[t]}
        references = {
            "top": [order[::-1][n_trials + n_trials * j + t] for j in range(n_references)],
            "bottom": [order[n_trials + n_trials * j + t] for j in range(n_references)],
        }
        block = np.array([[matrix[q][r] for q in queries.values()] for side in references.values() for r in side])
        block = (block - block.mean()) / block.std()
        top, bottom = block[:n_references].mean(axis=0), block[n_references:].mean(axis=0)
        right, wrong = top[0] + bottom[1], bottom[0] + top[1]
        scores.append(np.exp(right) / (np.exp(right) + np.exp(wrong)))
    return np.mean(scores)


@pytest.mark.parametrize("margin", [0.0, 0.25])
def test_index_v2_equals_its_description(margin):
    rng = np.random.default_rng(0)
    index = IndexTwo(margin, n_trials=4, n_references=3)
    values, matrix = rng.standard_normal((150, 3)), rng.standard_normal((150, 150))
    matrix += matrix.T
    trials = index.trials(values, np.arange(150), rng)
    assert all(len(np.unique(trials[profile])) == 4 * 4 * 2 for profile in range(3))
    found = index.scores(Similarity(matrix=matrix), trials, np.arange(150)).mean(axis=1)
    out = int(margin * 150)
    for profile in range(3):
        order = np.argsort(values[:, profile])[out : 150 - out]
        assert found[profile] == pytest.approx(naive_index_two(order.tolist(), matrix, 4, 3))


def test_index_v2_does_not_depend_on_the_unit_of_similarity_and_does_not_ask_of_the_too_sparse():
    rng = np.random.default_rng(1)
    index = IndexTwo(n_trials=4, n_references=3)
    values = rng.exponential(size=(100, 2))
    values[10:, 0] = 0.0
    trials = index.trials(values, np.arange(100), rng)
    features = rng.standard_normal((100, 4))
    first, second = (
        index.scores(Similarity(matrix=scale * features @ features.T), trials, np.arange(100)) for scale in (1, 50)
    )
    assert np.isnan(first[0]).all()
    np.testing.assert_allclose(first[1], second[1])


def test_index_v2_says_how_many_stimuli_it_needs():
    with pytest.raises(InputError, match=r"needs at least 800 stimuli .* got 799. Use mis"):
        IndexTwo().trials(np.random.default_rng(0).random((799, 1)), np.arange(799), np.random.default_rng(0))
    with pytest.raises(InputError, match="margin of 0.25 at each end"):
        IndexTwo(0.25).trials(np.random.default_rng(0).random((1000, 1)), np.arange(1000), np.random.default_rng(0))
    with pytest.raises(InputError, match="got 400"):
        IndexTwo().trials(np.random.default_rng(0).random((800, 1)), np.arange(800) // 2, np.random.default_rng(0))


# --- the soft score -------------------------------------------------------------------------------------------------


def both_scores(alpha, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    values, same = rng.standard_normal((120, 4)), np.arange(120)
    features = values + 1.5 * rng.standard_normal(values.shape)
    rows = cosine_similarity(features).rows
    block = block_of(values, Similarity(matrix=scale * rows @ rows.T))
    how = Draw(n_tasks=50, n_explanations=4, quantile=0.1)
    if alpha is None:
        alpha = 1 / evidence_scale(block, how, same, np.random.default_rng(9))
    hard, soft = asked_of(TwoAlternative(how, same, alpha), block)
    return hard.score, soft.score


def test_soft_scores_go_from_a_half_to_the_hard_score_as_alpha_grows():
    hard, soft = both_scores(1e9)
    np.testing.assert_allclose(hard, soft)
    assert (hard > 0.6).all()
    np.testing.assert_allclose(both_scores(1e-9)[1], 0.5)
    assert (np.diff([both_scores(alpha)[1] for alpha in (0.1, 1, 3, 10)], axis=0) > 0).all()
    # The published slope, made for another similarity, leaves cosines within .15 of .5.
    assert (np.abs(both_scores(0.16)[1] - 0.5) < 0.15).all()


def test_the_slope_taken_from_the_similarity_makes_scores_free_of_its_unit():
    np.testing.assert_allclose(both_scores(None)[1], both_scores(None, scale=40.0)[1], rtol=1e-9)
    fixed = both_scores(1.0)[1], both_scores(1.0, scale=40.0)[1]
    assert (fixed[1] > fixed[0] + 0.05).all()


def test_soft_credit_is_the_sigmoid_on_the_true_side():
    np.testing.assert_allclose(
        soft_credit(np.array([[2.0, 2.0, 2.0]]), np.array([[1, -1, 0]]), 0.5),
        [[1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1)), 0.5]],
    )


def test_asking_for_the_soft_score_does_not_change_the_hard_one():
    rng = np.random.default_rng(0)
    values, same = rng.standard_normal((100, 3)), np.arange(100)
    block = block_of(values, cosine_similarity(rng.standard_normal((100, 3))))
    how = Draw(n_tasks=9, n_explanations=4)
    empty = np.empty((0, 100), dtype=np.int64)
    alone = two_alternative([block], 3, how, groups=same, permuted=empty, clusters=same, weights=empty, random_state=0)
    np.testing.assert_array_equal(alone.score, asked_of(TwoAlternative(how, same, 2.0), block)[0].score)
