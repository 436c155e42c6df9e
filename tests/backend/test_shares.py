"""Shares of variance that are quadratic, cubic or local: what noise makes of them, and what planted forms do."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from neurosparse.backend.linear import linear_share
from neurosparse.backend.linear.share import resigned_law, resigned_sums
from neurosparse.backend.nonlinear import plant_quadratics, planted_shares, share_form

KINDS = ("quadratic", "cubic", "local")


def drawn_shares(make, kinds=KINDS, n_draws=40, n=80, p=6, groups=None, even=False):
    """Mean and standard error over draws of the estimated shares, the mean error they claim, and p of none.

    p is of the mean over targets, or of directions that weigh alike.
    """
    values, errors, ps = [], [], []
    for seed in range(n_draws):
        rng = np.random.default_rng([seed, 77])
        x = rng.standard_normal((n, p))
        y = make(x, rng)
        forms = [share_form(x, np.arange(n) if groups is None else groups, kind) for kind in kinds]
        found = [form.share(y) for form in forms]
        values.append([one.value for one in found])
        errors.append([one.error for one in found])
        ps.append([form.even_p(y) if even else one.p for form, one in zip(forms, found, strict=True)])
    spread = np.std(values, axis=0, ddof=1)
    claimed = np.sqrt(np.mean(np.square(errors), axis=0)) / spread
    return np.mean(values, axis=0), spread / np.sqrt(n_draws), claimed, np.array(ps)


def loud(x, rng):
    """Noise that is louder far from the mean of x."""
    return x[:, :3] + (x**2).sum(1)[:, None] * rng.standard_normal((len(x), 3))


def tied(x, rng):
    return np.repeat(rng.standard_normal((len(x) // 2, 3)), 2, axis=0)


@pytest.mark.parametrize("even", [False, True])
@pytest.mark.parametrize(("make", "groups"), [(loud, None), (tied, np.repeat(np.arange(40), 2))])
def test_noise_has_no_share_whatever_its_variance_and_groups(make, groups, even):
    mean, error, claimed, p = drawn_shares(make, groups=groups, even=even)
    assert (np.abs(mean) < 3 * error).all()
    assert (np.abs(mean) < 0.08).all()
    assert (claimed > 0.75).all()
    assert (claimed < 1.6).all()
    rejected = (p <= 0.05).sum(axis=0)
    assert (rejected <= stats.binom.ppf(0.995, len(p), 0.05)).all()
    assert (stats.kstest(p, "uniform", axis=0).pvalue > 0.005).all()


@pytest.mark.slow
@pytest.mark.parametrize("even", [False, True])
@pytest.mark.parametrize(("make", "worst"), [(lambda x, rng: rng.standard_t(4, (len(x), 3)), 1), (loud, 3)])
def test_p_of_no_share_keeps_its_level(make, worst, even):
    """Three times the level at the worst, where noise is loudest at the samples that least squares bends to."""
    p = drawn_shares(make, n_draws=1000, n=60, even=even)[3]
    for level in (0.001, 0.01, 0.05):
        print(level, (p <= level).mean(axis=0))
        assert ((p <= level).sum(axis=0) <= stats.binom.ppf(0.995, len(p), worst * level)).all()


def test_noise_shared_by_near_copies_of_a_sample_makes_no_share_if_they_are_a_group():
    def copies(x, rng):
        x[1::2] = x[::2] + 0.01 * rng.standard_normal(x[::2].shape)
        return tied(x, rng)

    apart = drawn_shares(copies, ("quadratic",), n_draws=20)
    together = drawn_shares(copies, ("quadratic",), n_draws=20, groups=np.repeat(np.arange(40), 2))
    assert apart[0][0] > 5 * apart[1][0]
    assert abs(together[0][0]) < 3 * together[1][0]


def test_shares_are_those_of_drawn_functions():
    def quadratic(x, rng):
        return plant_quadratics(x, x[:, :4] + rng.standard_normal((len(x), 4)), 0.3, rng)

    mean, error, *_ = drawn_shares(quadratic, ("quadratic",), n=200, n_draws=30)
    assert mean[0] == pytest.approx(0.3, abs=0.03)
    assert error[0] < 0.01

    def cubic(x, rng):
        form = np.prod([x @ rng.standard_normal((x.shape[1], 4)) for _ in range(3)], axis=0)
        return form / form.std(0)

    mean, error, *_ = drawn_shares(cubic)
    assert mean[1] > 0.3
    assert abs(mean[0]) < 4 * error[0]

    def waves(x, rng):
        turns = 2 * np.pi * rng.random((2, 3))
        return np.cos(3 * x @ [np.cos(turns[0]), np.sin(turns[0])] + turns[1])

    mean, _, _, p = drawn_shares(waves, n=150, p=2, n_draws=20)
    assert mean[2] > 0.5
    assert (p[:, 2] <= 1e-4).all()
    assert mean[2] > 2 * mean[:2].max()


def test_the_form_is_the_nearest_that_sees_no_pair_within_a_group():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 3))
    groups = np.repeat(np.arange(30), 2)
    form = share_form(x, groups, "quadratic")
    m = np.eye(60) - form.basis @ form.basis.T
    np.testing.assert_allclose(m @ form.between @ m, form.between, atol=1e-5)
    within = groups[:, None] == groups
    assert np.abs(form.between[within]).max() < 1e-5 * np.abs(form.between).max()
    products = x - x.mean(axis=0)
    products = products @ products.T
    kernel = m @ (products / np.trace(products) * 60) ** 2 @ m
    rest = kernel - form.between  # of a nearest point, what is left is M D M with D within groups
    solved = np.linalg.lstsq(
        np.stack([np.outer(m[i], m[j]).ravel() for i, j in np.argwhere(within)], axis=1), rest.ravel(), rcond=None
    )[0]
    fitted = np.stack([np.outer(m[i], m[j]).ravel() for i, j in np.argwhere(within)], axis=1) @ solved
    np.testing.assert_allclose(fitted, rest.ravel(), atol=1e-5 * np.abs(rest).max())


def test_noise_is_as_large_as_it_was_before_least_squares_took_of_it():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 15))
    x[:4] *= 4
    y = rng.standard_normal((40, 4000))
    for groups in (np.arange(40), np.repeat(np.arange(20), 2)):
        form = share_form(x, groups, "quadratic")
        raw, noise = form.residuals(y).var(axis=1), form.noise(y).var(axis=1)
        assert raw[:4].max() < 0.5
        np.testing.assert_allclose(noise, noise.mean(), rtol=0.12)
        assert noise.mean() == pytest.approx(40 / 39, abs=0.03)


@pytest.mark.parametrize("groups", [np.arange(40), np.repeat(np.arange(20), 2)])
def test_noise_of_cubic_forms_is_what_the_samples_of_a_group_miss_of_a_map_fitted_without_them(groups):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((40, 6)), rng.standard_normal((40, 2))
    design, target = np.column_stack([np.ones(40), x]), (y - y.mean(axis=0)) / y.std(axis=0)
    expected = np.empty_like(target)
    for group in np.unique(groups):
        own = groups == group
        expected[own] = target[own] - design[own] @ np.linalg.lstsq(design[~own], target[~own], rcond=None)[0]
    np.testing.assert_allclose(share_form(x, groups, "cubic").noise(y), expected, atol=1e-8)


def test_the_law_of_signs_is_that_of_drawn_signs():
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(30), 2)
    pairs = rng.standard_normal((60, 3))
    pairs = np.where(codes[:, None] == codes, 0.0, pairs @ pairs.T)
    drawn, law = resigned_sums(pairs, codes, 20000, rng), resigned_law(pairs, codes)
    assert law.std() == pytest.approx(drawn.std(), rel=0.03)
    for level in (0.9, 0.99, 0.999):
        assert (drawn > law.ppf(level)).mean() == pytest.approx(1 - level, rel=0.3)
    assert resigned_law(np.zeros((5, 5)), np.arange(5)).sf(1.0) == 0


def test_directions_weigh_alike_and_their_law_is_that_of_drawn_signs():
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(30), 2)
    x, noise = rng.standard_normal((60, 3)), rng.standard_normal((60, 3))
    y = x + noise @ [[3, 1, 0], [0, 1, 2], [0, 0, 0.3]] + 0.5 * x[:, :1] ** 2
    form = share_form(x, codes, "quadratic")
    rest = form.residuals(y)
    weights = np.linalg.inv(rest.T @ rest + 0.01 * 60 * np.eye(3))
    signs = rng.choice([-1.0, 1.0], size=(20000, 30))[:, codes]  # (draw, sample)
    drawn = signs[:, :, None] * form.noise(y)
    null = np.einsum("bit,ij,bju,tu->b", drawn, form.between, drawn, weights, optimize=True)
    p = form.even_p(y)
    assert p == pytest.approx(np.mean(null >= np.trace(form.between @ rest @ weights @ rest.T)), rel=0.1)
    assert 0.01 < p < 0.2


def test_directions_that_weigh_alike_are_those_of_any_map_of_the_targets():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 4))
    y = plant_quadratics(x, x + rng.standard_normal((60, 4)), 0.2, rng)
    form = share_form(x, np.arange(60), "quadratic")
    mapped = [y @ rng.standard_normal((4, 4)) for _ in range(5)]
    even, mean = (np.log([p(one) for one in (y, *mapped)]) for p in (form.even_p, lambda one: form.share(one).p))
    assert np.ptp(even) < 0.5 * np.ptp(mean)
    assert even.max() < -10 < mean.max()


def test_what_noise_of_all_targets_hides_is_seen_in_the_other_directions():
    def hidden(share):
        def make(x, rng):
            y = x + 2 * rng.standard_normal((len(x), 1)) + 0.5 * rng.standard_normal(x.shape)
            return plant_quadratics(x, y, share, rng) if share else y

        return make

    seen = [(drawn_shares(hidden(0.1), ("quadratic",), even=even)[3] <= 0.01).mean() for even in (False, True)]
    assert seen[0] < 0.3
    assert seen[1] > 0.9
    assert (drawn_shares(hidden(0), ("quadratic",), even=True)[3] <= 0.01).sum() <= 3


def test_as_many_targets_as_samples_leave_directions_to_see():
    def many(x, rng):
        latents = plant_quadratics(x, x @ rng.standard_normal((6, 6)), 0.2, rng)
        return latents @ rng.standard_normal((6, 100)) + rng.standard_normal((len(x), 100))

    assert (drawn_shares(many, ("quadratic",), n_draws=20, even=True)[3] <= 0.01).mean() > 0.9
    groups = np.repeat(np.arange(40), 4)

    def copied(x, rng):  # as many free samples as 19 directions want, but free groups for 4
        x[:, 3:] = 0
        x[:] = x[::4][groups] + 0.05 * rng.standard_normal(x.shape) * (x != 0)
        latents = plant_quadratics(x, x @ rng.standard_normal((6, 6)), 0.3, rng)
        return latents @ rng.standard_normal((6, 60)) + 4 * rng.standard_normal((40, 60))[groups]

    assert (drawn_shares(copied, ("quadratic",), n=160, groups=groups, even=True)[3] <= 0.01).mean() > 0.8


def test_directions_of_hardly_any_variance_do_not_weigh():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 5))
    y = x + 1e-3 * rng.standard_normal((60, 5))
    y[:, :1] = plant_quadratics(x, y[:, :1], 0.1, rng)
    form = share_form(x, np.arange(60), "quadratic")
    assert form.even_p(y) == pytest.approx(form.share(y).p, rel=0.05)
    assert form.even_p(y) < 0.01
    assert 0 <= form.even_p(x) <= 1  # nothing is left but rounding
    assert form.even_p(y[:, :1]) == pytest.approx(form.share(y[:, :1]).p, rel=1e-6)


@pytest.mark.parametrize(("share", "size"), [(0.1, 0.7), (0.4, 2.0)])
def test_planted_shares_are_those_estimated_of_planted_targets(share, size):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((80, 5))
    form = share_form(x, np.arange(80), "quadratic")

    def plain():
        return x + size * rng.standard_normal((80, 5))

    made = np.array([form.share(plant_quadratics(x, plain(), share, rng)).value for _ in range(200)])
    drawn = np.concatenate([planted_shares(form, x, plain(), share, 50, rng) for _ in range(10)])
    assert drawn.mean() == pytest.approx(made.mean(), abs=3 * made.std() / np.sqrt(200))
    assert drawn.std() == pytest.approx(made.std(), rel=0.15)
    wide = planted_shares(form, x, np.hstack([plain() for _ in range(8)]), share, 100, rng)  # 40 targets, 32 planted
    assert wide.mean() == pytest.approx(made.mean(), abs=0.02)
    assert 0.3 < wide.std() / drawn.std() < 0.6


def test_what_is_nonlinear_already_is_noise_to_what_is_planted():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((120, 4))
    y = plant_quadratics(x, x + rng.standard_normal((120, 4)), 0.5, rng)
    form = share_form(x, np.arange(120), "quadratic")
    assert form.share(y).value > 0.35
    assert planted_shares(form, x, y, 0.1, 100, rng).mean() == pytest.approx(0.1, abs=0.04)


def test_planted_products_are_free_of_their_two_directions():
    x, y = np.random.default_rng(0).standard_normal((2, 80, 5))
    planted = plant_quadratics(x, y, 1 - 1e-12, np.random.default_rng(5))
    rng = np.random.default_rng(5)
    for _ in range(2):
        along = (x - x.mean(axis=0)) @ rng.standard_normal((5, 5))
        assert np.abs(np.mean(along * planted, axis=0)).max() < 1e-5


def test_p_of_a_linear_share_is_uniform_over_unrelated_codes():
    found = []
    for seed in range(150):
        x, y = np.random.default_rng(seed).standard_normal((2, 50, 5))
        found.append(linear_share(x, y, np.arange(50), law=True).p)
    assert stats.kstest(found, "uniform").pvalue > 0.005
    assert np.isnan(linear_share(x, y, np.arange(50)).p)
    assert np.isnan(linear_share(x, y, np.arange(50) % 19, law=True).p)
    assert np.isfinite(linear_share(x, y, np.arange(50) % 20, law=True).p)


def test_too_many_directions_or_too_few_groups_have_no_share():
    rng = np.random.default_rng(0)
    assert share_form(rng.standard_normal((60, 40)), np.arange(60), "quadratic") is None
    assert share_form(rng.standard_normal((60, 3)), np.arange(60) % 19, "quadratic") is None
    assert share_form(rng.standard_normal((60, 3)), np.arange(60) % 20, "quadratic") is not None
    heavy = rng.standard_t(1.5, (60, 5))  # a sample that least squares nearly meets alone
    assert np.isfinite(share_form(heavy, np.arange(60), "cubic").share(rng.standard_normal((60, 2))).value)
