"""Linear, nonlinear, unrelated or undecidable: verdicts on known relations, their power, and the panel beside them."""

from __future__ import annotations

import numpy as np
import pytest

from neurosparse import population
from neurosparse.backend.linear import map_singular_values, matched_correlations, participation_ratio
from neurosparse.backend.nonlinear import plant_quadratics, quadratic_features, radial_features
from neurosparse.backend.resampling import group_folds
from neurosparse.errors import InputError
from neurosparse.identifiability import linear_identifiability
from neurosparse.identifiability.linearity import Bounds, Evidence, judge

ASK = {"n_permutations": 39, "n_bootstraps": 100, "nonlinear": True, "directions": ["x->y"]}


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
        ("unrelated", {"unrelated"}),
    ],
)
def test_verdicts_on_known_relations(name, said):
    found = verdict(name, 300 if name == "noisy" else 120, 4, 0)  # noise hides planted quadratics too
    assert str(found["linearity"].values[0]) in said, str(found["reasons"].values[0])
    assert "R2" in str(found["reasons"].values[0])
    assert (found["nonlinear_gap_low"] <= found["nonlinear_gap"]).all()
    if name == "squared":
        assert float(found["nonlinear_R2"][0]) > 0.9
        assert float(found["mean_R2"][0]) < 0.1


ALLOWED = {
    "rotated": {"linear"},
    "permuted": {"linear"},
    "linear": {"linear"},
    "squared": {"nonlinear"},
    "swapped": {"linear up to noise", "undecidable", "nonlinear"},
    "unrelated": {"unrelated", "undecidable"},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(ALLOWED))
@pytest.mark.filterwarnings("ignore::neurosparse.errors.EvidenceWarning")
def test_false_verdicts_are_rare(name):
    said = [str(verdict(name, 100, 5, 5000 + seed)["linearity"].values[0]) for seed in range(200)]
    wrong = sum(one not in ALLOWED[name] for one in said)
    print(name, {one: said.count(one) for one in sorted(set(said))})
    assert wrong <= 2
    if name != "unrelated":
        assert "unrelated" not in said


def test_too_few_samples_for_the_dimension_are_undecidable_not_linear():
    found = verdict("noisy", 60, 30, 0)
    assert str(found["linearity"].values[0]) == "undecidable"
    assert "a quadratic worth 0.1 of R2 would not be found at this n and p" in str(found["reasons"].values[0])
    assert float(found["planted_gap"][0]) < 0.05
    hidden = verdict("squared", 60, 30, 1)  # neither map sees it, and codes are not called unrelated for that
    assert str(hidden["linearity"].values[0]) == "undecidable"
    assert "nor would one worth 0.5 be" in str(hidden["reasons"].values[0])


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
        "ceiling": np.nan,
        "planted_gap": 0.09,
        "planted_R2": 0.4,
        "p": 0.01,
    }
    return Evidence(**(given | changes))


NONE = Bounds(0.0, -0.03, 0.03)


@pytest.mark.parametrize(
    ("changes", "said", "reason"),
    [
        ({}, "linear", "ceiling unknown"),
        ({"gap": Bounds(0.04, 0.01, 0.07)}, "undecidable", "the gap may exceed 0.05"),
        ({"gap": Bounds(0.1, 0.06, 0.14)}, "nonlinear", "the gap is above 0.05"),
        ({"planted_gap": 0.04}, "undecidable", "would not be found at this n and p"),
        ({"linear": Bounds(0.5, 0.4, 0.6)}, "linear up to noise", "what is left is no function of x"),
        ({"linear": Bounds(0.5, 0.46, 0.54), "ceiling": 0.5}, "linear", "ceiling 0.50"),
        ({"linear": NONE, "nonlinear": NONE, "p": 0.5}, "unrelated", "both maps stay under 0.1"),
        (
            {"linear": NONE, "nonlinear": NONE, "p": 0.5, "planted_R2": 0.05},
            "undecidable",
            "nor would one worth|linear",
        ),
        ({"linear": NONE, "nonlinear": NONE, "p": np.nan}, "undecidable", "no p-value is calibrated here"),
        ({"linear": NONE, "nonlinear": NONE, "p": 0.01}, "undecidable", "a linear relation is not shown"),
        ({"gap": Bounds(0.0, np.nan, np.nan)}, "undecidable", "no intervals without n_bootstraps"),
    ],
)
def test_rules_of_the_verdict(changes, said, reason):
    found, reasons = judge(evidence(**changes))
    assert found == said
    assert any(one in reasons for one in reason.split("|"))


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
    assert (found["linear"]["map_spread"] > 0.3).all()
    assert (found["rotated"]["mean_canonical_r"] > 0.999).all()
    without = linear_identifiability(x, x, n_permutations=0, n_bootstraps=0, panel=False)
    assert "strong_mcc" not in without
    assert "linearity" not in without


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


def test_a_nonlinear_ceiling_of_very_many_samples_is_refused():
    x = np.random.default_rng(0).standard_normal((4001, 2))
    with pytest.raises(InputError, match="a nonlinear ceiling is computed for at most 4000 samples; got 4001"):
        linear_identifiability(x, x, n_permutations=0, n_bootstraps=0, nonlinear=True)
