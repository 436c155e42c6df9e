"""Maps of low rank: equal to ridge at full rank, to explicit minima, to scikit-learn; choice and null without leaks."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cross_decomposition import PLSRegression

from neurosparse.backend import linear
from neurosparse.backend.linear import cross_validated_low_rank, lowrank
from neurosparse.backend.resampling import group_folds, permutations
from neurosparse.errors import InputError
from neurosparse.identifiability import linear_identifiability


def planted(n=120, p=12, t=8, rank=2, noise=0.5, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, p)) * rng.uniform(0.5, 2, p) + rng.standard_normal(p)
    signal = x @ rng.standard_normal((p, rank)) @ rng.standard_normal((rank, t)) / np.sqrt(p)
    return x, signal + noise * rng.standard_normal((n, t)) + rng.standard_normal(t)


def nested(n, n_folds=4):
    folds = group_folds(np.arange(n), n_folds)
    return folds, [group_folds(np.arange(len(train)), n_folds) for train, _ in folds]


@pytest.mark.parametrize("drift", [False, True])
@pytest.mark.parametrize("p", [12, 200])
def test_full_rank_with_one_penalty_is_ridge(p, drift):
    x, y = planted(p=p)
    nuisance = np.linspace(-1, 1, len(x))[:, None] if drift else None
    options = {"penalties": np.array([0.3]), "nuisance": nuisance}
    full = cross_validated_low_rank(x, y, *nested(len(x)), method="reduced_rank", ranks=[8], **options)
    ridge = linear.cross_validated_ridge(x, y, *nested(len(x)), **options)
    np.testing.assert_allclose(full.mapped, ridge.mapped, atol=1e-9)
    np.testing.assert_allclose(full.baseline, ridge.baseline, atol=1e-24)
    assert full.rank.tolist() == [8] * 4
    np.testing.assert_array_equal(full.penalty, ridge.penalty)


def test_reduced_rank_minimises_its_penalised_error():
    x, y = planted()
    x, y = x - x.mean(0), y - y.mean(0)
    every = np.arange(len(x))
    fold = linear.ridge_fold(x, every, every, [], penalties=np.array([0.5]), nuisance=np.ones((len(x), 1)))
    penalty = float(fold.penalties[0])
    left, right = (one[0] for one in lowrank._reduced_rank(fold, y))
    w = np.linalg.lstsq(x, left[:, :2] @ right[:2], rcond=None)[0]

    def loss(w):
        return ((y - x @ w) ** 2).sum() + penalty * (w**2).sum()

    assert np.linalg.matrix_rank(w, tol=1e-8) == 2
    # Alternating least squares from many starts finds nothing lower, and the best of them is it
    lowest = np.inf
    rng = np.random.default_rng(0)
    for _ in range(5):
        a = np.linalg.qr(rng.standard_normal((y.shape[1], 2)))[0]
        for _ in range(300):
            b = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ y @ a)
            u, _, v = np.linalg.svd(y.T @ x @ b, full_matrices=False)
            a = u @ v
        lowest = min(lowest, loss(b @ a.T))
    assert loss(w) == pytest.approx(lowest, rel=1e-8)


@pytest.mark.parametrize(("p", "t"), [(12, 8), (12, 1), (200, 8)])
@pytest.mark.parametrize("k", [1, 3, 6])
def test_partial_least_squares_is_that_of_scikit_learn(p, t, k):
    x, y = planted(p=p, t=t)
    folds, inner = nested(len(x))
    found = cross_validated_low_rank(x, y, folds, inner, method="pls", ranks=[k])
    for train, test in folds:
        model = PLSRegression(n_components=k, scale=False, tol=1e-24, max_iter=5000).fit(x[train], y[train])
        expected = np.reshape(model.predict(x[test]), (len(test), t))
        np.testing.assert_allclose((found.mapped + found.baseline)[test], expected, atol=1e-6)
    assert np.isnan(found.penalty).all()


@pytest.mark.parametrize("method", ["reduced_rank", "pls"])
def test_choices_are_those_of_explicit_inner_folds_and_never_see_the_test_rows(method):
    x, y = planted()
    folds, inner = nested(len(x))
    found = cross_validated_low_rank(x, y, folds, inner, method=method, penalties=np.array([0.01, 1.0]))
    train, test = folds[0]
    errors = {}
    for penalty in (0.01, 1.0) if method == "reduced_rank" else (1.0,):
        for rank in range(1, 9):
            again = cross_validated_low_rank(
                x[train],
                y[train],
                inner[0],
                [group_folds(np.arange(len(own)), 2) for own, _ in inner[0]],
                method=method,
                ranks=[rank],
                penalties=np.array([penalty]),
            )
            errors[penalty, rank] = float(((y[train] - again.baseline - again.mapped) ** 2).sum())
    penalty, rank = min(errors, key=errors.get)
    assert found.rank[0] == rank
    if method == "reduced_rank":
        assert found.penalty[0, 0] == penalty
    spoiled = y.copy()
    spoiled[test] = 1e3
    after = cross_validated_low_rank(x, spoiled, folds, inner, method=method, penalties=np.array([0.01, 1.0]))
    np.testing.assert_array_equal(after.mapped[test], found.mapped[test])
    np.testing.assert_array_equal(after.inner_r[0], found.inner_r[0])


@pytest.mark.parametrize("method", ["reduced_rank", "pls"])
def test_planted_ranks_come_back_and_help(method):
    x, y = planted(n=80, p=30, t=40, rank=2, noise=1.0)
    low = cross_validated_low_rank(x, y, *nested(len(x)), method=method)
    assert (low.rank >= 2).all()
    ridge = linear.cross_validated_ridge(x, y, *nested(len(x)))
    r = [linear.held_out_scores(one.mapped, one.baseline, y, one.fold)[0].mean() for one in (low, ridge)]
    if method == "reduced_rank":  # pls may need more components than the map has directions
        assert (low.rank <= 4).all()
        assert r[0] > r[1] + 0.01


@pytest.mark.parametrize("method", ["reduced_rank", "pls"])
def test_the_null_chooses_again_and_holds_its_level(method):
    p_values = []
    for seed in range(12):
        x, y = np.random.default_rng(seed).standard_normal((2, 45, 4))
        orders = permutations(45, 19, random_state=seed)
        found = cross_validated_low_rank(
            x, y, *nested(45, 3), method=method, penalties=np.array([0.1, 10.0]), rearrangements=orders
        )
        r = linear.held_out_scores(found.mapped, found.baseline, y, found.fold)[0]
        p_values.append((1 + (np.median(found.null_r, axis=1) >= np.median(r)).sum()) / 20)
        if seed == 0:
            moved = cross_validated_low_rank(
                x, y[orders[3]], *nested(45, 3), method=method, penalties=np.array([0.1, 10.0])
            )
            expected = linear.held_out_scores(moved.mapped, moved.baseline, y[orders[3]], moved.fold)[0]
            np.testing.assert_allclose(found.null_r[3], expected, atol=1e-9)
    assert 0.25 < np.mean(p_values) < 0.8
    assert np.sum(np.array(p_values) <= 0.05) <= 3  # binomial 99.8 % of 12 at .05


def test_refusals():
    x, y = planted()
    with pytest.raises(InputError, match=r"method must be one of \['pls', 'reduced_rank'\]; got 'lasso'"):
        cross_validated_low_rank(x, y, *nested(len(x)), method="lasso")
    with pytest.raises(InputError, match="x and y need the same rows; got 119 and 120"):
        cross_validated_low_rank(x[1:], y, *nested(len(x)), method="pls")
    for ranks in ([], [0], [1.5]):
        with pytest.raises(InputError, match="ranks must be positive integers"):
            cross_validated_low_rank(x, y, *nested(len(x)), method="pls", ranks=ranks)
    with pytest.raises(InputError, match=r"estimator must be one of \['ridge', 'reduced_rank', 'pls'\]; got 'ols'"):
        linear_identifiability(x, y, estimator="ols")


def test_the_front_door_takes_each_estimator():
    x, y = planted()
    for estimator in ("reduced_rank", "pls"):
        found = linear_identifiability(x, y, estimator=estimator, n_folds=3, n_permutations=19, n_bootstraps=20)
        assert found["rank"].dims == ("direction", "fold_index")
        assert (found["pooled_p"] == 0.05).all()
        assert found.attrs["estimator"] == estimator
        assert np.isnan(found["map_spread"]).all() == (estimator == "pls")
    assert "rank" not in linear_identifiability(x, y, n_permutations=0, n_bootstraps=0)
