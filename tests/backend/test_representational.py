"""Measures of similarity on arrays: against formulas written out, independent libraries and what each must not see."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from scipy.optimize import linear_sum_assignment, linprog
from scipy.spatial.distance import pdist, squareform
from scipy.stats import spearmanr
from sklearn.cross_decomposition import CCA

from neurosparse.backend.representational import (
    METRICS,
    canonical_correlations,
    correlation_distances,
    debiased_cka,
    hsic,
    linear_kernel,
    metric_named,
    shape_similarity,
    transport_plan,
    whitened_second_moment,
)
from neurosparse.backend.representational.canonical import principal_scores
from neurosparse.backend.representational.kernels import kernel_cosine
from neurosparse.backend.resampling import group_folds
from neurosparse.errors import InputError

WITHOUT_POT = [name for name in METRICS if "soft" not in name]


def rotation(p, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((p, p)))[0]


def compare(name, x, y, n_folds=5, **options):
    measure, folds = metric_named(name, **options), group_folds(np.arange(len(x)), n_folds)
    return measure.compare(measure.prepare(x, folds), measure.prepare(y, folds))


@pytest.mark.parametrize(("p", "q"), [(5, 4), (5, 60), (60, 4), (50, 60)])
def test_unbiased_dependence_is_the_estimator_with_its_diagonals_removed(p, q):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((30, p)) + 3, rng.standard_normal((30, q))
    n, ones = 30, np.ones(30)
    k, l = x @ x.T, y @ y.T  # not centred: the estimator must not care
    np.fill_diagonal(k, 0)
    np.fill_diagonal(l, 0)
    expected = np.trace(k @ l) + (ones @ k @ ones) * (ones @ l @ ones) / ((n - 1) * (n - 2))
    expected = (expected - 2 / (n - 2) * (ones @ k @ l @ ones)) / (n * (n - 3))
    assert hsic(linear_kernel(x), linear_kernel(y)) == pytest.approx(expected, rel=1e-9)


def test_kernels_reordered_are_kernels_of_reordered_samples():
    rng = np.random.default_rng(0)
    order = rng.permutation(30)
    for p in (5, 60):
        x, y = rng.standard_normal((30, p)), linear_kernel(rng.standard_normal((30, 7)))
        moved = linear_kernel(x).reordered(order)
        assert moved.is_gram == (p > 30)
        assert debiased_cka(moved, y) == pytest.approx(debiased_cka(linear_kernel(x[order]), y))


def test_too_few_samples_have_no_unbiased_dependence():
    with pytest.raises(InputError, match="the same samples, at least 4; got 3 and 3"):
        hsic(linear_kernel(np.eye(3)), linear_kernel(np.eye(3)))


@pytest.mark.parametrize(("n", "m"), [(64, 16), (256, 64), (256, 128)])
def test_two_projections_of_the_same_white_features_score_m_over_n_plus_m(n, m):
    rng = np.random.default_rng(n + m)
    found = []
    for _ in range(4):
        z = rng.standard_normal((2000, n))
        sides = [linear_kernel(z @ rng.standard_normal((n, m)) / np.sqrt(n)) for _ in range(2)]
        found.append(debiased_cka(*sides))
    assert np.mean(found) == pytest.approx(m / (n + m), abs=0.03)


def test_independent_codes_with_more_units_than_samples_have_no_alignment_where_the_plain_one_is_high():
    rng = np.random.default_rng(0)
    plain, debiased = [], []
    for _ in range(30):
        sides = [linear_kernel(rng.standard_normal((118, 600))) for _ in range(2)]
        plain.append(kernel_cosine(*sides))
        debiased.append(debiased_cka(*sides))
    assert np.mean(plain) > 0.8
    assert abs(np.mean(debiased)) < 2.5 * np.std(debiased) / np.sqrt(30)


def test_correlation_distances_agree_with_scipy():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((25, 6)), rng.standard_normal((25, 9))
    expected = spearmanr(pdist(x, "correlation"), pdist(y, "correlation")).statistic
    assert kernel_cosine(correlation_distances(x), correlation_distances(y)) == pytest.approx(expected, abs=1e-9)
    with pytest.raises(InputError, match="at least 3 samples of 3 units; got 25 samples of 2 units"):
        correlation_distances(x[:, :2])


def test_cosine_of_second_moments_is_the_whitened_cosine_of_distances():
    rng = np.random.default_rng(0)
    n, contrasts = 7, []
    for i in range(n):
        for j in range(i + 1, n):
            contrasts.append(np.eye(n)[i] - np.eye(n)[j])
    contrasts = np.array(contrasts)
    whitener = np.linalg.inv((contrasts @ contrasts.T) ** 2)  # covariance of distances of pure noise, to a factor
    sides, distances = [], []
    for p in (5, 12):
        halves = [tuple(rng.standard_normal((2, n, p)) + rng.standard_normal((n, p))) for _ in range(2)]
        sides.append(whitened_second_moment(halves))
        found = [np.einsum("ij,ij->i", contrasts @ a, contrasts @ b) / p for a, b in halves]
        distances.append(np.mean(found, axis=0))
    d, e = distances
    expected = d @ whitener @ e / np.sqrt((d @ whitener @ d) * (e @ whitener @ e))
    assert kernel_cosine(*sides) == pytest.approx(expected, abs=1e-9)


def test_second_moments_between_halves_have_no_noise_bias_and_whiten_by_the_noise():
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((40, 3))
    scale = np.diag([1.0, 5.0, 0.2])
    draws = [tuple(signal @ scale + 3 * rng.standard_normal((2, 40, 3)) @ scale) for _ in range(4000)]
    found = whitened_second_moment(draws, 9 * scale @ scale)
    centred = signal - signal.mean(axis=0)
    np.testing.assert_allclose(found.values, centred @ centred.T / 27, atol=0.04)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_shape_frees_what_it_says_and_nothing_else(alpha):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((80, 4)) * [3, 1, 1, 0.3]
    assert shape_similarity(x, 7 * x @ rotation(4) + 2, alpha) == pytest.approx(1, abs=1e-9)
    stretched = shape_similarity(x, x @ np.diag([0.1, 1, 3, 9.0]) @ rotation(4), alpha)
    if alpha == 0:
        assert stretched == pytest.approx(1, abs=1e-9)
    else:
        assert stretched < 0.95
    assert shape_similarity(x, np.tanh(2 * x) ** 2, alpha) < 0.6
    with pytest.raises(InputError, match=r"alpha must lie between 0 \(any linear map\) and 1"):
        shape_similarity(x, x, 1.5)


def test_shape_agrees_with_procrustes_and_with_canonical_correlations():
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((60, 4)) * [3, 1, 1, 0.3], rng.standard_normal((60, 4))
    centred = [side - side.mean(axis=0) for side in (x, y)]
    turn, total = orthogonal_procrustes(*centred)
    sizes = np.prod([np.linalg.norm(side) for side in centred])
    assert shape_similarity(x, y) == pytest.approx(total / sizes)
    assert shape_similarity(x, y) == pytest.approx(np.vdot(centred[0] @ turn, centred[1]) / sizes)
    assert shape_similarity(x, y, 0.0) == pytest.approx(canonical_correlations(x, y).mean(), abs=1e-6)
    # fewer units on one side: silent ones are added
    padded = np.hstack([y[:, :2], np.zeros((60, 2))])
    assert shape_similarity(x, y[:, :2]) == pytest.approx(shape_similarity(x, padded))


def test_canonical_correlations_agree_with_scikit_learn():
    rng = np.random.default_rng(2)
    x = rng.standard_normal((300, 5))
    y = x[:, :3] @ rng.standard_normal((3, 4)) + rng.standard_normal((300, 4))
    model = CCA(n_components=4, max_iter=5000, tol=1e-12).fit(x, y)
    scores = model.transform(x, y)
    expected = [np.corrcoef(scores[0][:, i], scores[1][:, i])[0, 1] for i in range(4)]
    np.testing.assert_allclose(canonical_correlations(x, y), expected, atol=1e-6)


def test_principal_components_are_chosen_on_training_samples_and_never_many():
    rng = np.random.default_rng(3)
    train, test = rng.standard_normal((2, 100, 30)) * np.r_[10, 5, np.full(28, 0.01)]
    scores, others = principal_scores(train, test, 0.95)
    assert scores.shape == others.shape == (100, 2)
    np.testing.assert_allclose(scores.T @ scores, np.eye(2), atol=1e-10)
    assert principal_scores(train, test, 1.0)[0].shape[1] == 10  # a tenth of the samples
    assert principal_scores(train, test, 3)[0].shape[1] == 3
    with pytest.raises(InputError, match="components must be an integer of at least 1 or a share"):
        principal_scores(train, test, 1.5)


def test_transport_is_exact_and_partial_transport_moves_what_it_was_told():
    pytest.importorskip("ot")
    rng = np.random.default_rng(0)
    square = rng.random((6, 6))
    rows, columns = linear_sum_assignment(square)
    plan = transport_plan(square)
    assert np.vdot(plan, square) == pytest.approx(square[rows, columns].mean())
    cost = rng.random((4, 7)) - 0.3
    for mass in (1.0, 0.6):
        limits = np.vstack([np.kron(np.eye(4), np.ones(7)), np.kron(np.ones(4), np.eye(7))])
        solved = linprog(
            cost.ravel(),
            A_ub=limits,
            b_ub=np.r_[np.full(4, 1 / 4), np.full(7, 1 / 7)],
            A_eq=np.ones((1, 28)),
            b_eq=[mass],
        )
        plan = transport_plan(cost, mass)
        assert np.vdot(plan, cost) == pytest.approx(solved.fun, abs=1e-9)
        assert plan.sum() == pytest.approx(mass)
        assert plan.sum(1).max() <= 1 / 4 + 1e-9
        assert plan.sum(0).max() <= 1 / 7 + 1e-9
    with pytest.raises(InputError, match="mass is the share of units that is matched"):
        transport_plan(cost, 0.0)


def anisotropic(n=300, p=6, seed=0):
    return np.random.default_rng(seed).standard_normal((n, p)) * np.linspace(2, 0.5, p)


#                 rotated, permuted and scaled, any linear map: 1 where the measure must not see it
SEES = {
    "cka": (1, 0, 0),
    "rsa": (1, 0, 0),
    "crossnobis": (1, 0, 0),
    "shape": (1, 0, 0),
    "procrustes": (1, 0, 0),
    "one_to_one": (0, 1, 0),
    "semi": (0, 1, 0),
    "soft": (0, 1, 0),
    "partial_soft": (0, 1, 0),
    "cca": (1, 1, 1),
}


@pytest.mark.parametrize("name", list(METRICS))
def test_each_measure_is_one_where_it_must_and_clearly_not_where_it_must_not(name):
    if "soft" in name:
        pytest.importorskip("ot")
    x = anisotropic()
    changes = [x @ rotation(6), x[:, ::-1] * [0.2, 1, 5, 1, 3, 9], x @ np.diag([0.1, 1, 3, 9, 1, 0.3]) @ rotation(6)]
    options = {"components": 1.0} if name == "cca" else {}
    # Pearson distances are kept by rotations that keep the mean pattern; a balanced code has none.
    first = x - x.mean(axis=1, keepdims=True) if name == "rsa" else x
    if name == "rsa":
        basis = np.linalg.qr(np.hstack([np.ones((6, 1)), np.random.default_rng(1).standard_normal((6, 5))]))[0]
        turn = basis[:, 1:] @ rotation(5) @ basis[:, 1:].T
        changes[0] = first @ turn
    for changed, is_free in zip(changes, SEES[name], strict=True):
        value = compare(name, first, changed, **options)
        assert value > 1 - 1e-6 if is_free else value < 0.97, (name, value)
    if name == "shape":
        assert compare("shape", x, changes[2], alpha=0.0) > 1 - 1e-6
    bent = np.sin(3 * x)
    assert compare(name, first, bent, **options) < 0.6
    swapped = x[np.random.default_rng(5).permutation(300)]
    assert abs(compare(name, first, swapped, **options)) < 0.25


def test_semi_matching_finds_copies_one_to_one_does_not():
    x = anisotropic(p=3)
    copies = np.hstack([x, x, x])
    assert compare("semi", x, copies) == pytest.approx(1)
    assert compare("one_to_one", x, np.hstack([copies, anisotropic(p=3, seed=9)])) == pytest.approx(1)
    assert compare("semi", x, np.hstack([copies, anisotropic(p=3, seed=9)])) < 0.8  # y has units of no counterpart
    assert compare("semi", np.hstack([x, anisotropic(p=3, seed=9)]), x) == pytest.approx(1)  # x may have more


def test_partial_soft_matching_leaves_out_units_without_a_counterpart():
    pytest.importorskip("ot")
    x, own = anisotropic(p=4), anisotropic(p=1, seed=9)
    y = np.hstack([x, anisotropic(p=1, seed=10)])
    full, part = compare("soft", np.hstack([x, own]), y), compare("partial_soft", np.hstack([x, own]), y, mass=0.8)
    assert part == pytest.approx(1)
    assert full == pytest.approx(0.8, abs=0.05)


def test_unknown_measures_and_options_are_refused():
    with pytest.raises(InputError, match=r"metric must be one of \['cca', 'cka'.*; got 'svcca'"):
        metric_named("svcca")
    with pytest.raises(InputError, match="alpha must lie between 0"):
        metric_named("shape", alpha=-0.1)


def test_distances_are_symmetric_ranks_centred():
    square = correlation_distances(anisotropic(20)).values
    np.testing.assert_allclose(square, square.T)
    assert squareform(square).mean() == pytest.approx(0, abs=1e-9)
