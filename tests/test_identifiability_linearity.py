"""Linear, nonlinear, unrelated or undecidable: verdicts on known relations, their power, and the panel beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import neurosparse
from neurosparse import population
from neurosparse.backend.linear import (
    cross_validated_ridge,
    map_singular_values,
    matched_correlations,
    participation_ratio,
)
from neurosparse.backend.nonlinear import (
    nonlinear_ceiling,
    nonlinear_shares,
    plant_quadratics,
    quadratic_features,
    radial_features,
)
from neurosparse.backend.resampling import group_folds
from neurosparse.errors import InputError
from neurosparse.identifiability import linear_identifiability
from neurosparse.identifiability.linearity import Bounds, Evidence, judge

ASK = {"n_permutations": 99, "n_bootstraps": 100, "nonlinear": "kernels", "directions": ["x->y"]}


def rotation(p, rng):
    return np.linalg.qr(rng.standard_normal((p, p)))[0]


def relation(name, n, p, rng):
    """x, and a y that is related to it as `name` says."""
    x = rng.standard_normal((n, p))
    if name == "rotated":
        return x, x @ rotation(p, rng)
    if name == "permuted":
        return x, x[:, rng.permutation(p)] * rng.uniform(0.5, 2, p)
    if name == "linear":
        return x, x @ rng.standard_normal((p, p))
    if name == "noisy":
        y = x @ rotation(p, rng)
        return x, y + 0.7 * rng.standard_normal(y.shape)
    if name == "squared":
        return x, (x @ rotation(p, rng)) ** 2
    if name == "swapped":
        y, moved = x @ rotation(p, rng), rng.choice(n, n // 3, replace=False)
        y[moved] = y[rng.permutation(moved)]
        return x, y
    if name == "clusters":  # half of the clusters change places, more of them than a linear map can move
        centres = 2 * rng.standard_normal((2 * p, p))
        cluster, moved = rng.permutation(np.arange(n) % (2 * p)), np.arange(2 * p)
        moved[:p] = np.roll(moved[:p], 1)
        x = centres[cluster] + rng.standard_normal((n, p))
        return x, (x + centres[moved[cluster]] - centres[cluster]) @ rotation(p, rng)
    return x, rng.standard_normal((n, p))


def verdict(name, n, p, seed, **options):
    x, y = relation(name, n, p, np.random.default_rng([seed, n, p]))
    return linear_identifiability(x, y, **ASK, random_state=seed, **options)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("rotated", {"linear"}),
        ("permuted", {"linear"}),
        ("linear", {"linear"}),
        ("noisy", {"linear up to noise"}),
        ("squared", {"nonlinear"}),
        ("swapped", {"linear up to noise", "undecidable"}),
        ("clusters", {"nonlinear"}),
        ("unrelated", {"unrelated"}),
    ],
)
def test_verdicts_on_known_relations(name, said):
    found = verdict(name, 120, 4, 0)
    assert str(found["linearity"].values[0]) in said, str(found["reasons"].values[0])
    assert "R2" in str(found["reasons"].values[0])
    assert (found["nonlinear_gap_low"] <= found["nonlinear_gap"]).all()
    if name == "squared":
        assert float(found["nonlinear_R2"][0]) > 0.9
        assert float(found["mean_R2"][0]) < 0.1


RIGHT = {
    "rotated": "linear",
    "permuted": "linear",
    "linear": "linear",
    "noisy": "linear up to noise",
    "swapped": "linear up to noise",  # a third of the rows: what is left is noise
    "clusters": "nonlinear",
    "squared": "nonlinear",
    "unrelated": "unrelated",
}


@pytest.mark.slow
@pytest.mark.parametrize(("p", "n"), [(5, 50), (5, 100), (20, 200), (20, 400), (40, 400)])
@pytest.mark.parametrize("name", list(RIGHT))
@pytest.mark.filterwarnings("ignore::neurosparse.errors.EvidenceWarning")
def test_verdicts_of_two_hundred_worlds(name, p, n):
    said = [str(verdict(name, n, p, 9000 + seed)["linearity"].values[0]) for seed in range(200)]
    print(f"\n{name} p={p} n={n}", {one: said.count(one) for one in sorted(set(said))})
    right = RIGHT[name]
    assert sum(one.startswith("linear") for one in said) <= 2 or right.startswith("linear")
    assert said.count("linear") <= 2 or right == "linear"
    assert said.count("unrelated") <= 2 or right == "unrelated"
    assert said.count("nonlinear") <= 2 or right == "nonlinear"


def test_too_few_samples_for_the_dimension_are_undecidable_not_linear():
    found = verdict("noisy", 50, 20, 0)
    assert str(found["linearity"].values[0]) == "undecidable"
    assert "a quadratic worth 0.1 would not be found at this n and p" in str(found["reasons"].values[0])
    assert float(found["detectable_share"][0]) > 0.05
    hidden = verdict("squared", 60, 30, 1)  # half as many directions as samples: nothing can be said, nor is
    assert str(hidden["linearity"].values[0]) == "undecidable"
    assert "nor is a quadratic worth 0.5 ruled out" in str(hidden["reasons"].values[0])
    assert "fewer samples than twice the linear directions" in str(hidden["reasons"].values[0])
    assert "quadratic share unknown;" in str(hidden["reasons"].values[0])
    assert np.isnan(hidden["quadratic_share"]).all()


@pytest.mark.parametrize(("name", "p"), [("rotated", 40), ("noisy", 20), ("clusters", 20), ("unrelated", 20)])
def test_ten_samples_a_dimension_decide(name, p):
    assert str(verdict(name, 10 * p, p, 0)["linearity"].values[0]) == RIGHT[name]


def test_the_readme_is_run_as_printed():
    code = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    rng = np.random.default_rng(0)
    given = {"neurosparse": neurosparse, "latents": rng.standard_normal((120, 4))}
    given["code"] = given["latents"] @ rng.standard_normal((4, 4))
    exec(code.split("<!-- identifiability -->\n```python\n")[1].split("```")[0], given)
    assert given["found"]["linearity"].values.tolist() == ["linear", "linear"]
    for word in given["found"]["linearity"].values:
        assert f'"{word}"' in code
    assert "R2 1.00" in str(given["found"]["reasons"].values[0])


def test_a_verdict_asks_for_known_maps():
    with pytest.raises(InputError, match="nonlinear must be True, False or \"kernels\"; got 'network'"):
        linear_identifiability(np.zeros((9, 2)), np.zeros((9, 2)), nonlinear="network")


def drawn_shares(make, orders=(2, 3), n_draws=40, n=80, p=6, groups=None):
    """Mean and standard error over draws of the estimated shares, and the mean error they claim."""
    values, errors = [], []
    for seed in range(n_draws):
        rng = np.random.default_rng([seed, 77])
        x = rng.standard_normal((n, p))
        found = nonlinear_shares(x, [make(x, rng)], np.arange(n) if groups is None else groups, orders)
        values.append([found[order][0].value for order in orders])
        errors.append([found[order][0].error for order in orders])
    spread = np.std(values, axis=0, ddof=1)
    return np.mean(values, axis=0), spread / np.sqrt(n_draws), np.sqrt(np.mean(np.square(errors), axis=0)) / spread


def test_noise_has_no_polynomial_share_whatever_its_variance_and_groups():
    loud = drawn_shares(lambda x, rng: x[:, :3] + (x**2).sum(1)[:, None] * rng.standard_normal((len(x), 3)))
    groups = np.repeat(np.arange(40), 2)
    shared = drawn_shares(lambda x, rng: np.repeat(rng.standard_normal((40, 3)), 2, axis=0), groups=groups)
    for mean, error, claimed in (loud, shared):
        assert (np.abs(mean) < 3 * error).all()
        assert (np.abs(mean) < 0.05).all()
        assert (claimed > 0.8).all()
        assert (claimed < 1.6).all()


def test_noise_shared_by_near_copies_of_a_sample_makes_no_share_if_they_are_a_group():
    def copies(x, rng):
        x[1::2] = x[::2] + 0.01 * rng.standard_normal(x[::2].shape)
        return np.repeat(rng.standard_normal((len(x) // 2, 3)), 2, axis=0)

    apart = drawn_shares(copies, n_draws=20)
    together = drawn_shares(copies, n_draws=20, groups=np.repeat(np.arange(40), 2))
    assert apart[0][0] > 5 * apart[1][0]
    assert abs(together[0][0]) < 3 * together[1][0]


def test_shares_are_those_of_drawn_forms():
    def quadratic(x, rng):
        return plant_quadratics(x, x[:, :4] + rng.standard_normal((len(x), 4)), 0.3, rng)

    mean, error, _ = drawn_shares(quadratic, (2,), n=200)
    assert mean[0] == pytest.approx(0.3, abs=0.03)
    assert error[0] < 0.01

    def cubic(x, rng):
        form = np.prod([x @ rng.standard_normal((x.shape[1], 4)) for _ in range(3)], axis=0)
        return form / form.std(0)

    mean, error, _ = drawn_shares(cubic)
    assert mean[1] > 0.3
    assert abs(mean[0]) < 4 * error[0]


def test_too_many_directions_or_too_few_groups_have_no_share():
    rng = np.random.default_rng(0)
    y = rng.standard_normal((60, 2))
    for x, groups in ((rng.standard_normal((60, 40)), np.arange(60)), (rng.standard_normal((60, 3)), np.zeros(60))):
        one = nonlinear_shares(x, [y], groups, (2,))[2][0]
        assert np.isnan([one.value, one.error, one.null_error]).all()


def test_a_ceiling_lets_noisy_averages_be_linear():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 4))
    shown = np.repeat(np.arange(300), 4)
    y = (x @ rotation(4, rng))[shown] + 0.8 * rng.standard_normal((1200, 4))
    trials = population.from_arrays(y, dims=("trial", "unit"), stimulus=shown)
    clean = population.from_arrays(x, dims=("stimulus", "unit"), stimulus=np.arange(300))
    found = linear_identifiability(clean, trials, **ASK)
    assert float(found["mean_R2_low"][0]) < 0.9
    assert float(found["mean_ceiling_R2"][0]) == pytest.approx(1 / 1.16, abs=0.03)
    assert str(found["linearity"].values[0]) == "linear"


def evidence(**changes):
    given = {
        "linear": Bounds(0.95, 0.93, 0.97),
        "nonlinear": Bounds(0.95, 0.93, 0.97),
        "gap": Bounds(0.0, -0.01, 0.01),
        "quadratic": Bounds(0.0, -0.01, 0.01),
        "cubic": Bounds(0.0, -0.2, 0.2),
        "cubic_p": 0.5,
        "ceiling": np.nan,
        "planted_share": 0.1,
        "detectable_share": 0.03,
        "p": 0.005,
    }
    return Evidence(**(given | changes))


NONE = Bounds(0.0, -0.03, 0.03)
NOTHING = {"linear": NONE, "nonlinear": NONE, "p": 0.5}


@pytest.mark.parametrize(
    ("changes", "said", "reason"),
    [
        ({}, "linear", "ceiling unknown"),
        ({"gap": Bounds(0.04, 0.01, 0.07)}, "undecidable", "the gap may exceed 0.05"),
        ({"gap": Bounds(0.1, 0.06, 0.14)}, "nonlinear", "the gap is above 0.05"),
        ({"quadratic": Bounds(0.1, 0.06, 0.14)}, "nonlinear", "the quadratic share is above 0.05"),
        ({"quadratic": Bounds(0.04, 0.01, 0.07)}, "undecidable", "the quadratic share may exceed 0.05"),
        ({"cubic": Bounds(0.2, 0.06, 0.3)}, "nonlinear", "the cubic share is above 0.05"),
        ({"cubic": Bounds(0.2, 0.01, 0.3)}, "linear", "R2"),
        (
            {"cubic": Bounds(0.2, 0.01, 0.3), "cubic_p": 0.005},
            "undecidable",
            "a cubic part is seen, and may exceed 0.05",
        ),
        ({"cubic": Bounds(0.02, 0.01, 0.03), "cubic_p": 0.005}, "linear", "R2"),
        ({"detectable_share": 0.11}, "undecidable", "would not be found at this n and p"),
        ({"planted_share": np.nan}, "undecidable", "fewer samples than twice the linear directions"),
        ({"linear": Bounds(0.5, 0.4, 0.6)}, "linear up to noise", "what is left is no function of x"),
        ({"linear": Bounds(0.92, 0.89, 0.95)}, "linear up to noise", "what is left is no function of x"),
        ({"linear": Bounds(0.5, 0.4, 0.6), "p": 0.02}, "undecidable", "a linear relation is not shown"),
        ({"linear": Bounds(0.5, 0.46, 0.54), "ceiling": 0.5}, "linear", "ceiling 0.50"),
        (NOTHING, "unrelated", "both maps stay under 0.1 of R2, and quadratics under 0.5"),
        (NOTHING | {"quadratic": Bounds(0.3, 0.0, 0.6)}, "undecidable", "nor is a quadratic worth 0.5 ruled out"),
        (NOTHING | {"quadratic": Bounds(np.nan, np.nan, np.nan)}, "undecidable", "nor is a quadratic worth 0.5"),
        (NOTHING | {"linear": Bounds(0.05, 0.0, 0.11)}, "undecidable", "a linear relation is not shown"),
        (NOTHING | {"nonlinear": Bounds(0.06, 0.02, 0.11)}, "undecidable", "a linear relation is not shown"),
        (NOTHING | {"p": np.nan}, "undecidable", "no p-value is calibrated here"),
        (NOTHING | {"p": 0.005, "linear": Bounds(0.01, -0.01, 0.03)}, "undecidable", "a linear relation is not shown"),
        ({"gap": Bounds(0.0, np.nan, np.nan)}, "undecidable", "no intervals without n_bootstraps"),
    ],
)
def test_rules_of_the_verdict(changes, said, reason):
    found, reasons = judge(evidence(**changes))
    assert found == said
    assert reason in reasons


def test_the_panel_tells_permutations_from_rotations_from_linear_maps():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 6))
    codes = {"permuted": x[:, ::-1] * -1, "rotated": x @ rotation(6, rng), "linear": x @ rng.standard_normal((6, 6))}
    found = {name: linear_identifiability(x, y, n_permutations=0, n_bootstraps=0) for name, y in codes.items()}
    for one in found.values():
        np.testing.assert_allclose(one["weak_mcc"], 1, atol=1e-4)
        np.testing.assert_allclose(one["pooled_R2"], 1, atol=1e-4)
    np.testing.assert_allclose(found["permuted"]["strong_mcc"], 1, atol=1e-9)  # signs are free
    assert (found["rotated"]["strong_mcc"] < 0.8).all()
    assert (found["rotated"]["map_spread"] < 1e-3).all()
    white = np.linalg.qr(x - x.mean(axis=0))[0]
    stretched = linear_identifiability(white, white * np.arange(1, 7), n_permutations=0, n_bootstraps=0)
    assert float(stretched["map_spread"][0]) == pytest.approx(np.std(np.arange(1, 7)) / 3.5, abs=1e-3)
    assert (found["rotated"]["mean_canonical_r"] > 0.999).all()
    without = linear_identifiability(x, x, n_permutations=0, n_bootstraps=0, panel=False)
    assert "strong_mcc" not in without
    assert "linearity" not in without


def test_the_linear_share_over_the_ceiling_does_not_depend_on_the_repeats():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((240, 40))
    y = 0.6 * x @ rotation(40, rng)[:, :8] + 0.8 * rng.standard_normal((240, 8))  # .36 of it is linear
    clean, found = population.from_arrays(x, dims=("stimulus", "unit"), stimulus=np.arange(240)), {}
    for n_repeats in (2, 8):
        shown = np.repeat(np.arange(240), n_repeats)
        noisy = population.from_arrays(
            y[shown] + 1.5 * rng.standard_normal((len(shown), 8)), dims=("trial", "unit"), stimulus=shown
        )
        one = linear_identifiability(clean, noisy, n_permutations=0, n_bootstraps=0, directions=["x->y"]).isel(
            direction=0
        )
        found[n_repeats] = [float(one[name] / one["median_ceiling_r"] ** 2) for name in ("linear_share", "median_R2")]
        assert (
            float(one["linear_share_low"])
            < 0.36 * float(one["median_ceiling_r"]) ** 2
            < float(one["linear_share_high"])
        )
    assert found[2][0] == pytest.approx(found[8][0], abs=0.06)
    assert found[2][0] == pytest.approx(0.36, abs=0.08)
    assert found[2][1] < found[8][1] - 0.05  # the map is worse for noisier targets
    series = [population.from_arrays(one, dims=("time", "unit"), bin_width=0.1) for one in (x, y)]
    assert np.isnan(linear_identifiability(*series, n_permutations=0, n_bootstraps=0)["linear_share"]).all()


def test_the_panel_of_unrelated_codes_is_zero_on_average():
    found = []
    for seed in range(20):
        x, y = np.random.default_rng(seed).standard_normal((2, 100, 20))
        one = linear_identifiability(x, y, n_permutations=0, n_bootstraps=0, directions=["x->y"], random_state=seed)
        found.append([float(one[name][0]) for name in ("weak_mcc", "strong_mcc", "mean_canonical_r")])
    mean, error = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / np.sqrt(20)
    assert (np.abs(mean) < 3 * error).all()
    assert (np.abs(mean) < 0.05).all()


def test_dimensions_and_matches_of_known_codes():
    rng = np.random.default_rng(0)
    white = rng.standard_normal((4000, 8))
    assert participation_ratio(white) == pytest.approx(8, abs=0.1)
    assert participation_ratio(np.outer(white[:, 0], rng.standard_normal(30))) == pytest.approx(1)
    wide = white[:40] @ np.eye(8, 60)
    assert participation_ratio(wide) == pytest.approx(participation_ratio(white[:40]))
    assert np.isnan(participation_ratio(np.ones((5, 3))))
    folds = group_folds(np.arange(200), 5)
    np.testing.assert_allclose(matched_correlations(white[:200], -2 * white[:200, :3], folds), 1)
    np.testing.assert_allclose(map_singular_values(white, 3 * white @ rotation(8, rng), 1e-5), 1, atol=1e-3)


def test_planted_quadratics_are_worth_what_they_say_and_kernels_hold_them():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((3000, 3)), rng.standard_normal((3000, 2))
    planted = plant_quadratics(x, y, 0.1, rng)
    products = np.column_stack([np.ones(3000), x, *(x[:, i] * x[:, j] for i in range(3) for j in range(i + 1))])
    rest = planted - products @ np.linalg.lstsq(products, planted, rcond=None)[0]
    np.testing.assert_allclose(1 - rest.var(axis=0) / planted.var(axis=0), 0.1, atol=0.02)
    small = x[:60]
    centred = small - small.mean(axis=0)
    expected = (1 + centred @ centred.T / np.mean((centred**2).sum(axis=1))) ** 2
    features = quadratic_features(small)
    np.testing.assert_allclose(features @ features.T, expected, atol=1e-6)
    assert features.shape[1] == 10  # 1, 3 and 6 products
    near = radial_features(small, 1.0)
    squares = ((small[:, None] - small) ** 2).sum(-1)
    expected = np.exp(-squares / 2 / np.median(squares[np.triu_indices(60, 1)]))
    np.testing.assert_allclose(near @ near.T, expected, atol=1e-6)


@pytest.mark.parametrize("network", [False, True])
def test_ties_go_to_the_linear_map_and_what_bends_does_not(network):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((150, 4))
    y = np.hstack([x @ rotation(4, rng) + 0.5 * rng.standard_normal((150, 4)), x[:, :2] * x[:, 2:]])
    folds = group_folds(np.arange(150), 3)
    inner = [group_folds(np.arange(100), 3) for _ in folds]
    linear = cross_validated_ridge(x, y, folds, inner)
    found = nonlinear_ceiling(x, y, folds, inner, linear, network=network)
    assert (found.choice[:, :4] == 0).mean() > 0.8
    assert found.names[0] == "linear"
    assert (found.choice[:, 4:] > 0).all()
    same = np.flatnonzero((found.choice == 0).all(axis=0))
    np.testing.assert_array_equal(found.mapped[:, same], linear.mapped[:, same])
    held = y[:, 4:]
    assert (((held - found.mapped[:, 4:]) ** 2).mean(0) < 0.5 * held.var(0)).all()
    partly = x[:, :2] + 0.4 * (x[:, 2:] ** 2 - 1)  # r .87 of the linear map
    slightly = cross_validated_ridge(x, partly, folds, inner)
    assert (nonlinear_ceiling(x, partly, folds, inner, slightly, network=False).choice > 0).all()
    exact = cross_validated_ridge(x, x, folds, inner, penalties=np.array([1e-8]))
    assert nonlinear_ceiling(x, x, folds, inner, exact).names == ("linear", "network")  # nothing can be ahead of r = 1


def test_a_nonlinear_ceiling_of_very_many_samples_is_refused():
    x = np.random.default_rng(0).standard_normal((4001, 2))
    with pytest.raises(InputError, match="a nonlinear ceiling is computed for at most 4000 samples; got 4001"):
        linear_identifiability(x, x, n_permutations=0, n_bootstraps=0, nonlinear=True)
