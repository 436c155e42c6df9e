"""The ridge against explicit refits and scikit-learn; penalty, null and scores on data with a known answer."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV

from neurosparse.backend import linear
from neurosparse.backend.linear import inner as inside
from neurosparse.backend.linear import scoring
from neurosparse.backend.resampling import block_folds, bootstrap_weights, group_folds, permutations
from neurosparse.errors import InputError


def planted(n, p, t, noise=1.0, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, p)) * rng.uniform(0.3, 3, p) + rng.standard_normal(p)
    y = x @ rng.standard_normal((p, t)) / np.sqrt(p) + noise * rng.standard_normal((n, t)) + rng.standard_normal(t)
    return x, y


def nested(groups, n_folds=5, seed=0):
    folds = group_folds(groups, n_folds, random_state=seed)
    return folds, [group_folds(groups[train], n_folds, random_state=seed + 1) for train, _ in folds]


def ridge_by_normal_equations(x, y, nuisance, penalty):
    """Coefficients of [nuisance, x], the first not penalised."""
    design = np.hstack([nuisance, x])
    ridge = np.diag([0.0] * nuisance.shape[1] + [penalty] * x.shape[1])
    return np.linalg.solve(design.T @ design + ridge, design.T @ y)


@pytest.mark.parametrize("gap", [0, 3])
@pytest.mark.parametrize("drift", [False, True])
@pytest.mark.parametrize("p", [4, 25, 120])
def test_inner_errors_and_correlations_equal_explicit_refits(p, drift, gap):
    n = 60
    x, y = planted(n + 15, p, 3)
    nuisance = np.ones((n + 15, 1))
    if drift:
        nuisance = np.hstack([nuisance, np.linspace(-1, 1, n + 15)[:, None]])
    train, inner = np.arange(n), block_folds(n, 4, gap=gap)
    fold = linear.ridge_fold(
        x, train, np.arange(n, n + 15), inner, penalties=np.array([1e-3, 1.0, 30.0]), nuisance=nuisance
    )
    errors, predicted = np.zeros((3, 3)), np.empty((3, n, 3))
    for level, penalty in enumerate(fold.penalties):
        for rows, held in inner:
            w = ridge_by_normal_equations(x[rows], y[rows], nuisance[rows], penalty)
            k = nuisance.shape[1]
            errors[level] += ((y[held] - nuisance[held] @ w[:k] - x[held] @ w[k:]) ** 2).sum(axis=0)
            predicted[level, held] = x[held] @ w[k:]
            # the predictors' part is what is left of x w after the nuisance is regressed out on the training rows
            predicted[level, held] -= nuisance[held] @ np.linalg.lstsq(nuisance[train], x[train] @ w[k:], rcond=None)[0]
    for way in (linear.inner_errors, inside._errors_from_residuals, coefficients):
        np.testing.assert_allclose(way(fold, y[train]), errors, rtol=1e-8)
        many = way(fold, np.tile(y[train], 25))  # more targets than rows
        np.testing.assert_allclose(many, np.tile(errors, 25), rtol=1e-8)
    choice = np.array([0, 1, 2])
    expected = np.full((len(inner), 3), np.nan)
    r = inside._errors_from_coefficients(fold, y[train], correlated=True)[1]
    for index, (rows, held) in enumerate(inner):
        for target, level in enumerate(choice):
            w = ridge_by_normal_equations(x[rows], y[rows, target], nuisance[rows], fold.penalties[level])
            whole = nuisance[held] @ w[: nuisance.shape[1]] + x[held] @ w[nuisance.shape[1] :]
            mapped = predicted[level, held, target]
            expected[index, target] = np.corrcoef(mapped, y[held, target] - (whole - mapped))[0, 1]
            assert r[index, level, target] == pytest.approx(expected[index, target], abs=1e-9)
    np.testing.assert_allclose(
        linear.inner_correlations(fold, y[train], choice), np.tanh(np.arctanh(expected).mean(axis=0)), rtol=1e-7
    )


def coefficients(fold, y):
    return inside._errors_from_coefficients(fold, y)[0]


@pytest.mark.parametrize("p", [4, 60])
def test_the_choice_and_its_r_are_those_of_errors_and_correlations(p):
    x, y = planted(300, p, 4, noise=2.0)
    y += 1e4  # an offset far above the sd
    y[:, 1] = 3.3  # never varies
    train, folds = np.arange(240), block_folds(240, 5, gap=2)
    fold = linear.ridge_fold(
        x,
        train,
        np.arange(240, 300),
        folds,
        penalties=linear.PENALTIES,
        nuisance=np.linspace(1, 2, 300)[:, None] ** [0, 1],
    )
    choice, r = linear.inner_choice(fold, y[train])
    np.testing.assert_array_equal(choice[[0, 2, 3]], linear.inner_errors(fold, y[train]).argmin(axis=0)[[0, 2, 3]])
    expected = linear.inner_correlations(fold, y[train], choice)
    np.testing.assert_allclose(r[[0, 2, 3]], expected[[0, 2, 3]], atol=1e-5)
    assert np.isnan([r[1], expected[1]]).all()


@pytest.mark.parametrize("p", [5, 400])
def test_predictions_and_penalties_are_those_of_scikit_learn(p):
    x, y = planted(128, p, 2, noise=2.0, seed=3)  # inner folds of equal size: 4 x 24
    folds, inner = nested(np.arange(128), n_folds=4)
    found = linear.cross_validated_ridge(x, y, folds, inner)
    for index, (train, test) in enumerate(folds):
        centred = x[train] - x[train].mean(axis=0)
        s = np.linalg.svd(centred, compute_uv=False) ** 2
        grid = linear.PENALTIES * s[: min(p, len(train) - 1)].mean()
        for target in range(2):
            search = GridSearchCV(Ridge(), {"alpha": grid}, scoring="neg_mean_squared_error", cv=inner[index])
            search.fit(x[train], y[train, target])
            chosen = linear.PENALTIES[search.best_index_]
            assert found.penalty[index, target] == pytest.approx(chosen)
            prediction = found.baseline[test, target] + found.mapped[test, target]
            np.testing.assert_allclose(prediction, search.predict(x[test]), rtol=1e-7, atol=1e-8)
        np.testing.assert_allclose(found.baseline[test], np.tile(y[train].mean(axis=0), (len(test), 1)))
    assert len(np.unique(found.penalty)) > 1


def test_isometric_predictors_have_the_same_inner_products_in_fewer_columns():
    x = np.random.default_rng(0).standard_normal((20, 300)) + 5
    reduced = linear.isometric(x)
    assert reduced.shape == (20, 20)
    np.testing.assert_allclose(reduced @ reduced.T, (x - x.mean(0)) @ (x - x.mean(0)).T, atol=1e-10)
    assert linear.isometric(x[:, :7]).shape == (20, 7)


@pytest.mark.parametrize("drift", [0.0, 3.0])
@pytest.mark.parametrize("p", [6, 200])
def test_null_equals_whole_new_fits_of_permuted_targets_whatever_the_chunks(p, drift, monkeypatch):
    x, y = planted(90, p, 3, seed=1)
    nuisance = np.linspace(-1, 1, 90)[:, None]
    y += drift * nuisance
    folds, inner = nested(np.arange(90))
    orders = np.vstack([np.arange(90), permutations(90, 6, random_state=2)])
    given = {"nuisance": nuisance if drift else None}
    null = linear.cross_validated_ridge(x, y, folds, inner, rearrangements=orders, **given).null_r
    for order, r in zip(orders, null, strict=True):
        again = linear.cross_validated_ridge(x, y[order], folds, inner, **given)
        np.testing.assert_allclose(
            r, linear.held_out_scores(again.mapped, again.baseline, y[order], again.fold)[0], atol=2e-4
        )
    assert null[0].min() > 0.3  # the identity keeps the map
    assert np.abs(null[1:]).mean() < 0.2
    monkeypatch.setattr(scoring, "CHUNK_BYTES", 1.0)
    np.testing.assert_allclose(
        linear.cross_validated_ridge(x, y, folds, inner, rearrangements=orders, **given).null_r, null, atol=2e-5
    )


@pytest.mark.parametrize("side", ["x", "y"])
def test_penalty_and_inner_score_never_see_the_test_rows(side):
    x, y = planted(100, 30, 4, seed=5)
    folds, inner = nested(np.arange(100))
    before = linear.cross_validated_ridge(x, y, folds, inner)
    held = folds[2][1]
    (x if side == "x" else y)[held] = 50 * np.random.default_rng(9).standard_normal(
        (len(held), 30 if side == "x" else 4)
    )
    after = linear.cross_validated_ridge(x, y, folds, inner)
    np.testing.assert_array_equal(after.penalty[2], before.penalty[2])
    np.testing.assert_allclose(after.inner_r[2], before.inner_r[2], rtol=1e-8)
    others = [0, 1, 3, 4]
    assert np.abs(after.inner_r[others] - before.inner_r[others]).min() > 1e-3  # there the noise is training data


def independent_scores(n, p, n_draws, seed, n_targets=4):
    """(draw, 3): r within folds, R2 within folds, r of predictions pooled over folds; means over targets."""
    rng = np.random.default_rng(seed)
    rows = []
    for draw in range(n_draws):
        x, y = rng.standard_normal((n, p)), rng.standard_normal((n, n_targets))
        folds, inner = nested(np.arange(n), seed=draw)
        found = linear.cross_validated_ridge(x, y, folds, inner)
        r, r2 = linear.held_out_scores(found.mapped, found.baseline, y, found.fold)
        pooled = linear.correlations(found.mapped + found.baseline, y)
        rows.append([r.mean(), r2.mean(), pooled.mean()])
    return np.array(rows)


def assert_independent_data_score_nothing(n, p, n_draws):
    scores = independent_scores(n, p, n_draws, seed=n)
    mean, error = scores.mean(axis=0), scores.std(axis=0, ddof=1) / np.sqrt(n_draws)
    assert abs(mean[0]) < 2 * error[0] + 0.005
    assert mean[1] < 2 * error[1]
    # pooling over folds turns the differing training means into an anti-correlation: what r must not be
    assert mean[2] < -0.04
    assert mean[2] < mean[0] - 3 * error[2]


@pytest.mark.parametrize(("n", "p"), [(500, 16), (118, 200)])
def test_independent_data_score_nothing_and_pooled_r_would_be_negative(n, p):
    assert_independent_data_score_nothing(n, p, 30)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "p"), [(500, 16), (118, 200)])
def test_independent_data_score_nothing_over_100_draws(n, p):
    assert_independent_data_score_nothing(n, p, 100)


def test_known_map_scores_one_and_a_quadratic_of_the_same_inputs_scores_nothing():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 10))
    targets = np.hstack([x @ rng.standard_normal((10, 3)), x[:, :3] ** 2 - 1])
    folds, inner = nested(np.arange(300))
    found = linear.cross_validated_ridge(x, targets, folds, inner)
    r, r2 = linear.held_out_scores(found.mapped, found.baseline, targets, found.fold)
    assert r[:3].min() > 0.9999
    assert r2[:3].min() > 0.9999
    assert np.abs(r[3:]).max() < 0.2
    assert r2[3:].max() < 0.05


def test_drift_in_both_is_no_evidence_once_it_is_a_nuisance():
    rng = np.random.default_rng(0)
    time = np.linspace(-1, 1, 400)[:, None]
    x, y = 3 * time + rng.standard_normal((400, 5)), 3 * time + rng.standard_normal((400, 5))
    folds, inner = nested(np.arange(400))
    plain = linear.cross_validated_ridge(x, y, folds, inner)
    mended = linear.cross_validated_ridge(x, y, folds, inner, nuisance=time)
    assert linear.held_out_scores(plain.mapped, plain.baseline, y, plain.fold)[0].min() > 0.5
    assert np.abs(linear.held_out_scores(mended.mapped, mended.baseline, y, mended.fold)[0]).max() < 0.15


def test_scores_are_within_folds_with_the_given_baseline_and_integer_weights_are_repeated_rows():
    rng = np.random.default_rng(4)
    fold = np.repeat([0, 1, 2], 20)
    target = rng.standard_normal((60, 3))
    baseline = np.repeat(rng.standard_normal((3, 3)), 20, axis=0)
    mapped = 0.5 * (target - baseline) + 0.3 * rng.standard_normal((60, 3))
    r, r2 = linear.held_out_scores(mapped, baseline, target, fold)
    by_fold = [np.corrcoef(mapped[fold == k, 0], target[fold == k, 0])[0, 1] for k in range(3)]
    assert r[0] == pytest.approx(np.tanh(np.arctanh(by_fold).mean()))
    share = [
        ((target - baseline - mapped)[fold == k, 0] ** 2).sum() / ((target - baseline)[fold == k, 0] ** 2).sum()
        for k in range(3)
    ]
    assert r2[0] == pytest.approx(1 - np.mean(share))
    weights = bootstrap_weights(np.arange(60) // 2, 4)
    weighted = linear.held_out_scores(mapped, baseline, target, fold, weights)
    for index, counts in enumerate(weights.astype(int)):
        rows = np.repeat(np.arange(60), counts)
        expected = linear.held_out_scores(mapped[rows], baseline[rows], target[rows], fold[rows])
        np.testing.assert_allclose([weighted[0][index], weighted[1][index]], expected, rtol=1e-10)


def test_constant_target_has_no_r_and_constant_prediction_scores_zero():
    rng = np.random.default_rng(0)
    y = rng.standard_normal((40, 3))
    y[:, 1] = 0.1
    fold = np.repeat([0, 1], 20)
    y[fold == 0, 2] = 0.1  # silent in one fold: scored in the other
    mapped = np.where(np.arange(3) == 0, 0.0, rng.standard_normal((40, 3)))
    r, r2 = linear.held_out_scores(mapped, np.full((40, 3), 0.03), y, fold)
    assert r[0] == 0
    assert np.isnan(r[1])
    assert np.isnan(r2[1])
    assert r[2] == pytest.approx(np.corrcoef(mapped[20:, 2], y[20:, 2])[0, 1])
    assert np.isnan(linear.fisher_mean(np.full((2, 1), np.nan)))
    assert linear.fisher_mean(np.array([1.0, 1.0])) == pytest.approx(1.0)


def test_constant_predictors_predict_the_training_mean():
    x, y = np.ones((50, 4)), np.random.default_rng(0).standard_normal((50, 2))
    folds, inner = nested(np.arange(50))
    found = linear.cross_validated_ridge(x, y, folds, inner)
    np.testing.assert_array_equal(found.mapped, 0)
    np.testing.assert_array_equal(linear.held_out_scores(found.mapped, found.baseline, y, found.fold)[0], 0)


def test_errors_say_what_to_give():
    x, y = planted(30, 3, 2)
    folds, inner = nested(np.arange(30))
    with pytest.raises(InputError, match=r"need the same rows; got 30 and 29"):
        linear.cross_validated_ridge(x, y[:-1], folds, inner)
    for bad in ([0.0, 1.0], [], [np.nan], [1e-12]):
        with pytest.raises(InputError, match=r"at least 1e-8 .* such as \[0.01, 1, 100\]; got"):
            linear.cross_validated_ridge(x, y, folds, inner, penalties=bad)


def shares(worth, n=200, p=20, copies=1, n_draws=40, noise=1.0):
    """Errors of the estimated share, and the standard errors it claims."""
    found = []
    for seed in range(n_draws):
        rng = np.random.default_rng([seed, n, p])
        size = np.linspace(3, 0.1, p)
        x, weights = rng.standard_normal((n, p)) * size, rng.standard_normal((p, 5))
        weights /= np.linalg.norm(weights * size[:, None], axis=0)
        groups = np.arange(n) // copies
        rest = rng.standard_normal((n, 5))[groups] * (1 + (noise - 1) * np.abs(x[:, :1]) / size[0])
        rest /= np.sqrt(1 + 2 * (noise - 1) * np.sqrt(2 / np.pi) + (noise - 1) ** 2)
        one = linear.linear_share(x, np.sqrt(worth) * x @ weights + np.sqrt(1 - worth) * rest + 5, groups)
        found.append([one.value - worth, one.error])
    return np.array(found).T


@pytest.mark.parametrize("settings", [{"worth": 0.0, "p": 90}, {"worth": 0.2}, {"worth": 0.6, "noise": 3.0}])
def test_the_linear_share_is_what_is_linear_whatever_the_map_finds(settings):
    off, claimed = shares(**settings)
    assert abs(off.mean()) < 3 * off.std(ddof=1) / np.sqrt(len(off))
    assert (np.abs(off) < 1.96 * claimed).mean() >= 0.85
    assert claimed.mean() < 2 * off.std(ddof=1)


def test_noise_shared_within_groups_is_no_linear_share():
    together, _ = shares(0.2, copies=2)
    assert abs(together.mean()) < 3 * together.std(ddof=1) / np.sqrt(len(together))
    rng = np.random.default_rng(0)
    x = np.repeat(rng.standard_normal((100, 20)), 2, axis=0) + 0.01 * rng.standard_normal((200, 20))
    y = np.repeat(rng.standard_normal((100, 5)), 2, axis=0)
    apart, tied = (linear.linear_share(x, y, groups).value for groups in (np.arange(200), np.arange(200) // 2))
    assert apart > 0.1
    assert abs(tied) < 0.1


def test_the_linear_share_equals_refits_without_each_group():
    x, y = planted(40, 6, 2)
    groups = np.repeat(np.arange(20), 2)
    gain = np.zeros(2)
    for group in range(20):
        own = groups == group
        design = np.column_stack([np.ones(40), x])
        predicted = design[own] @ np.linalg.lstsq(design[~own], y[~own], rcond=None)[0]
        gain += ((y[own] - y.mean(0)) * (predicted - y[~own].mean(0))).sum(0)
    expected = (gain / ((y - y.mean(0)) ** 2).sum(0)).mean()
    assert linear.linear_share(x, y, groups).value == pytest.approx(expected)
    exact = linear.linear_share(x, x @ np.ones((6, 1)), np.arange(40))
    assert exact.value == pytest.approx(1, abs=0.05)
    for few in (
        linear.linear_share(x, y, np.zeros(40)),
        linear.linear_share(np.hstack([x] + [x**k for k in (2, 3, 4)]), y, groups),
    ):
        assert np.isnan([few.value, few.error]).all()
    alone = np.column_stack([x, np.arange(40) == 3])  # a direction that one row alone knows
    assert np.isnan(linear.linear_share(alone, y, np.arange(40)).value)
