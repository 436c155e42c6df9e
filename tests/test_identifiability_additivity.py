"""The superposition test and analogies: the calibration table, blanks, noise, gains, shared constituents."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from neurosparse import population
from neurosparse.errors import EvidenceWarning, InputError
from neurosparse.identifiability import additivity, analogy

QUIET = {"n_permutations": 0, "n_bootstraps": 0}
M, N, K, P = 512, 4096, 8, 200


def superposed(mean, noise, seed):
    """Random dictionary of N atoms on M units; A, B and both of them, `mean` and `noise` in units of the signal."""
    rng = np.random.default_rng(seed)
    atoms = rng.standard_normal((N, M))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    a, b = (np.stack([rng.random(K) @ atoms[rng.choice(N, K, replace=False)] for _ in range(P)]) for _ in range(2))
    size = np.sqrt((a**2).sum(axis=1).mean())
    shared = rng.standard_normal(M)
    shared *= mean * size / np.linalg.norm(shared)
    drawn = noise * size / np.sqrt(M) * rng.standard_normal((3, P, M))
    return shared + a + drawn[0], shared + b + drawn[1], shared + a + b + drawn[2]


# mean, noise: raw matched, B0, B1, centred matched, B0, B1, A only. With m the squared mean and v the squared noise in
# units of the signal, raw matched is (2m + 2) / sqrt((4m + 2)(m + 2)), and so on; the published table is within .02.
TABLE = [
    ((0, 0), (1.000, 0.000, 0.500, 1.000, 0.000, 0.500, 0.707)),
    ((1, 0), (0.943, 0.471, 0.707, 1.000, 0.000, 0.500, 0.707)),
    ((2, 0), (0.962, 0.770, 0.866, 1.000, 0.000, 0.500, 0.707)),
    ((4, 0), (0.987, 0.928, 0.957, 1.000, 0.000, 0.500, 0.707)),
    ((4, 0.3), (0.983, 0.925, 0.954, 0.937, 0.000, 0.468, 0.662)),
]


def assert_table(row, n_seeds, tolerance):
    (mean, noise), expected = row
    found = []
    for seed in range(n_seeds):
        one = additivity(*superposed(mean, noise, seed), **QUIET)
        found.append(
            [float(one[name][i]) for i in (0, 1) for name in ("cosine", "mismatched_both", "mismatched_one")]
            + [float(one["single_a"][1])]
        )
    np.testing.assert_allclose(np.mean(found, axis=0), expected, atol=tolerance)


@pytest.mark.parametrize("row", [TABLE[1], TABLE[4]])
def test_calibration_table(row):
    assert_table(row, 3, 0.02)


@pytest.mark.slow
@pytest.mark.parametrize("row", TABLE)
def test_calibration_table_in_full(row):
    assert_table(row, 20, 0.015)


def codes(n=60, units=40, seed=0):
    return np.random.default_rng(seed).standard_normal((2, n, units))


def test_sums_are_told_from_averages_maxima_and_unrelated_codes():
    a, b = codes()
    summed = additivity(a, b, a + b, n_permutations=99, n_bootstraps=99)
    averaged = additivity(a, b, 0.5 * (a + b), n_permutations=99, n_bootstraps=99)
    larger = additivity(a, b, np.where(np.abs(a) > np.abs(b), a, b), n_permutations=0, n_bootstraps=99)
    for one, name, gain in ((summed, "sum", 1.0), (averaged, "average", 0.5)):
        assert str(one["combination"].values) == name
        assert [float(one["gain_a"]), float(one["gain_b"])] == pytest.approx([gain, gain])
        assert float(one["residual_share"]) == pytest.approx(0, abs=1e-12)
        assert float(one["cosine"][0]) == pytest.approx(1)
        assert float(one["p"][1]) == pytest.approx(0.01)
        assert float(one["top1"][1]) == 1.0
    assert float(averaged["residual_share_of_sum"]) > 0.9  # the cosine alone cannot see it
    assert float(larger["residual_share"]) > 0.15
    unrelated = additivity(a, b, codes(seed=5)[0], n_permutations=99, n_bootstraps=99)
    assert abs(float(unrelated["cosine"][1])) < 0.1
    assert float(unrelated["p"][1]) > 0.05
    assert str(unrelated["combination"].values) == "other"
    assert float(unrelated["top1"][1]) < 0.15
    assert float(unrelated["mean_rank"][1]) == pytest.approx(30, abs=8)
    one_wrong = additivity(a, codes(seed=6)[1], a + b, **QUIET)
    assert float(one_wrong["cosine"][1]) == pytest.approx(0.5, abs=0.05)


def test_unequal_gains_are_neither_and_their_intervals_hold_them():
    a, b = codes(200)
    rng = np.random.default_rng(3)
    found = additivity(a, b, 1.0 * a + 0.5 * b + 2 * rng.standard_normal(a.shape), n_permutations=0, n_bootstraps=200)
    assert str(found["combination"].values) == "other"
    assert float(found["gain_a_low"]) < 1.0 < float(found["gain_a_high"])
    assert float(found["gain_b_low"]) < 0.5 < float(found["gain_b_high"])
    # the raw cosine of a alone is 1 / sqrt(1.25) of the whole and b's half of that, before noise
    assert float(found["best_single"][0]) >= max(float(found["single_a"][0]), float(found["single_b"][0]))
    assert float(found["single_a"][0]) > 1.5 * float(found["single_b"][0])
    with_offset = additivity(a, b, a + b + 3.0, **QUIET)
    np.testing.assert_allclose(with_offset["offset"], 3.0)
    assert float(with_offset["residual_share"]) == pytest.approx(0, abs=1e-12)


def test_a_shared_mean_is_the_offset_that_a_fit_without_a_blank_reports():
    a, b = codes(300)
    mean = np.linspace(-2, 2, 40)
    found = additivity(a + mean, b + mean, a + b + mean, **QUIET)
    np.testing.assert_allclose(found["offset"], -mean, atol=1e-9)
    blanks = mean + 0.01 * np.random.default_rng(0).standard_normal((9, 40))
    np.testing.assert_allclose(additivity(a + mean, b + mean, a + b + mean, blanks, **QUIET)["offset"], 0, atol=0.05)
    assert float(found["cosine"][0]) < float(found["cosine"][1])
    assert "no blank: centred by the mean single code of other pairs" in str(found["note"].values)


def test_blanks_of_their_own_do_not_make_unrelated_codes_alike_a_shared_one_does():
    rng = np.random.default_rng(0)
    apart, shared = [], []
    for _ in range(20):
        a, b = rng.standard_normal((2, 50, 100))
        ab = rng.standard_normal((50, 100)) * np.sqrt(2)
        blank = rng.standard_normal((3, 100))
        apart.append(float(additivity(a, b, ab, blank, **QUIET)["cosine"][1]))
        with pytest.warns(EvidenceWarning, match=r"1 blank trial\(s\) must serve all three terms"):
            shared.append(float(additivity(a, b, ab, blank[0], **QUIET)["cosine"][1]))
    # (2 o . o) / sqrt((2 + 4)(2 + 1)) = .47 for o as large as a
    assert np.mean(shared) == pytest.approx(0.47, abs=0.05)
    assert abs(np.mean(apart)) < 3 * np.std(apart, ddof=1) / np.sqrt(20)
    found = additivity(a, b, a + b, blank, **QUIET)
    assert found.attrs["centred_by"] == "independent blanks"


def trials(values, noise, n_repeats, seed, names=None):
    shown = np.repeat(np.arange(len(values)), n_repeats)
    drawn = values[shown] + noise * np.random.default_rng(seed).standard_normal((len(shown), values.shape[1]))
    return population.from_arrays(drawn, dims=("trial", "unit"), stimulus=shown if names is None else names[shown])


def test_repeats_free_cosine_and_gains_of_noise():
    a, b = codes(80)
    given = [trials(one, 2.0, 6, 100 + i) for i, one in enumerate((a, b, a + b))]
    found = additivity(*given, scale="none", n_permutations=0, n_bootstraps=100)
    assert float(found["cosine"][1]) < 0.72
    assert float(found["corrected_cosine"]) == pytest.approx(1, abs=0.06)
    assert float(found["cosine"][1] / found["ceiling"]) == pytest.approx(1, abs=0.06)
    assert float(found["gain_a"]) == pytest.approx(1, abs=0.1)
    assert str(found["combination"].values) == "sum"
    plain = additivity(*(population.average(one) for one in given), n_permutations=0, n_bootstraps=0)
    assert float(plain["gain_a"]) < 0.7  # drawn towards 0
    assert "noise of a and b draws the gains towards 0" in str(plain["note"].values)
    assert np.isnan(plain["ceiling"])
    silent = [trials(np.zeros((80, 40)), 2.0, 6, 200 + i) for i in range(3)]
    nothing = [additivity(*silent, scale="none", random_state=seed, **QUIET)["corrected_cosine"] for seed in range(3)]
    assert np.isnan(nothing).any() or np.abs(nothing).max() < 3


def test_units_are_weighted_by_their_noise_and_pairs_joined_by_name():
    a, b = codes(50)
    names = np.array([f"pair {i:02d}" for i in range(50)])
    loud = np.r_[np.ones(39), 50.0]
    given = [trials(one * 1.0, loud, 4, 300 + i, names) for i, one in enumerate((a, b, a + b))]
    given[2] = given[2].isel(trial=np.arange(given[2].sizes["trial"])[::-1])
    scaled = additivity(*given, **QUIET)
    plain = additivity(*given, scale="none", **QUIET)
    assert float(scaled["cosine"][1]) > float(plain["cosine"][1]) + 0.3
    assert scaled["pair"].values.tolist() == names.tolist()
    fewer = additivity(given[0], given[1], given[2].isel(trial=given[2]["stimulus"].values != "pair 07"), **QUIET)
    assert fewer.sizes["pair"] == 49


def grid(rng, n_a=8, n_b=8, units=40):
    first, second = np.divmod(np.arange(n_a * n_b), n_b)
    return rng.standard_normal((n_a, units))[first], rng.standard_normal((n_b, units))[second], (first, second)


def test_p_is_calibrated_where_constituents_are_shared():
    rng, p = np.random.default_rng(0), []
    for seed in range(120):
        a, b, names = grid(rng, 4, 6, 12)
        ab = rng.standard_normal(a.shape) + 2 * rng.standard_normal((4, 12))[names[0]]  # structured, but unrelated
        found = additivity(a, b, ab, constituents=names, n_permutations=39, n_bootstraps=0, random_state=seed)
        p.append(float(found["p"][0]))
    assert (np.array(p) <= 0.05).sum() <= stats.binom.ppf(0.999, 120, 0.05)
    assert stats.kstest(p, "uniform", alternative="greater").pvalue > 0.001
    a, b, names = grid(rng)
    found = additivity(a, b, a + b, constituents=names, n_permutations=99, n_bootstraps=99)
    assert float(found["p"][1]) == pytest.approx(0.01)
    assert found.attrs["n_constituents_a"] == 8
    assert abs(float(found["mismatched_both"][0])) < 0.1


def test_intervals_of_shared_constituents_are_wider():
    rng = np.random.default_rng(1)
    a, b, names = grid(rng, 5, 40)
    quality = np.repeat(rng.random(5), 40)[:, None]
    ab = a + b + 3 * quality * rng.standard_normal(a.shape)
    known = additivity(a, b, ab, constituents=names, n_permutations=0, n_bootstraps=300)
    unknown = additivity(a, b, ab, n_permutations=0, n_bootstraps=300)
    width = [float((one["cosine_high"] - one["cosine_low"])[0]) for one in (known, unknown)]
    assert width[0] > 2 * width[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ab": np.zeros((5, 4))}, r"a, b and ab need the same shape \(pair, unit\) with at least 4 pairs"),
        ({"a": np.full((60, 40), np.nan)}, "a needs finite numbers; got 2400 NaN or infinite ones, first in row 0"),
        ({"b": "codes"}, r"b needs a matrix \(pair, unit\) of numbers; got shape \(\) of <U5"),
        ({"constituents": 5}, r"constituents must be two lists of 60 labels, of a and of b; got \[\]"),
        ({"scale": "noise"}, "scaling by noise needs trials with repeats"),
        ({"scale": "sqrt"}, "scale must be 'auto', 'noise' or 'none'"),
        ({"constituents": ([1, 2], [3, 4])}, "constituents must be two lists of 60 labels"),
        ({"blank": np.zeros((3, 7))}, "blank needs finite trials of 40 units"),
        ({"n_permutations": -1}, "n_permutations must be an integer of at least 0"),
        ({"a": population.from_arrays(np.zeros((60, 40)), dims=("stimulus", "unit"))}, "must all be arrays, or all be"),
    ],
)
def test_arguments_are_checked(change, message):
    a, b = codes()
    with pytest.raises(InputError, match=message):
        additivity(**{"a": a, "b": b, "ab": a + b} | change)


def test_populations_need_the_same_units_and_stimuli_that_name_pairs():
    a, b = codes()
    given = [trials(one, 1.0, 2, i) for i, one in enumerate((a, b, a + b))]
    with pytest.raises(InputError, match="same units and at least 4 pairs in common; got 60 pairs"):
        additivity(given[0], given[1], given[2].isel(unit=slice(3)))
    with pytest.raises(InputError, match="ab has trials without a coord 'stimulus' to name the pair"):
        additivity(given[0], given[1], given[2].drop_vars("stimulus"))
    with pytest.raises(InputError, match="needs two trials of every pair"):
        additivity(given[0], given[1], population.average(given[2]), scale="noise")


# --- analogies -------------------------------------------------------------------------------------------------------


def quadruples(n=40, units=30, seed=0, strength=1.0):
    rng = np.random.default_rng(seed)
    objects, attributes = rng.standard_normal((2, n, units)), strength * rng.standard_normal((2, units))
    return [one + other for one in objects for other in attributes]


def test_parallel_offsets_lead_to_the_answer_and_private_ones_do_not():
    found = analogy(*quadruples(), n_permutations=99, n_bootstraps=99)
    assert float(found["top1"]) == float(found["top1_not_excluded"]) == 1.0
    assert float(found["parallelism"]) == pytest.approx(1)
    assert float(found["p"]) == pytest.approx(0.01)
    assert str(found["verdict"].values) == "above chance"
    assert abs(float(found["null"])) < 0.1
    rng = np.random.default_rng(1)
    private = [one + rng.standard_normal(one.shape) for one in quadruples(strength=0.0)]
    other = analogy(*private, n_permutations=99, n_bootstraps=99)
    assert abs(float(other["parallelism"])) < 0.12
    assert float(other["parallelism_low"]) < float(other["parallelism"]) < float(other["parallelism_high"])
    assert float(other["p"]) > 0.05


def test_leaving_the_inputs_out_makes_retrieval_easy_and_the_baseline_says_so():
    rng = np.random.default_rng(2)
    a1, a2, b1, b2 = quadruples(strength=0.1)
    private = [one + 0.1 * rng.standard_normal(one.shape) for one in (a1, a2, b1, b2)]
    found = analogy(*private, **QUIET)
    assert float(found["top1"]) == 1.0
    assert float(found["top1_of_b2"]) == 1.0  # the offset did nothing
    assert float(found["top1_of_b2_not_excluded"]) == 0.0
    assert float(found["top1_not_excluded"]) < 0.9
    assert float(found["cosine"]) - float(found["cosine_of_b2"]) < 0.02


def test_candidates_are_distinct_and_more_of_them_make_it_harder():
    a1, a2, b1, b2 = quadruples(10)
    found = analogy(a1, a2, b1, b2, **QUIET)
    assert found.attrs["n_candidates"] == 40
    assert float(found["top1_chance"]) == pytest.approx(1 / 37)
    twice = analogy(*(np.vstack([one, one]) for one in (a1, a2, b1, b2)), **QUIET)
    assert twice.attrs["n_candidates"] == 40
    nothing = analogy(a1, a1, b1, b1, **QUIET)  # an attribute that does nothing: the answer is an input, and stays
    assert float(nothing["top1"]) == 1.0
    decoys = a1 - a2 + b2 + 1e-9
    more = analogy(a1, a2, b1 + 0.1, b2, candidates=decoys, **QUIET)
    assert more.attrs["n_candidates"] == 50
    assert float(more["top1"]) == 0.0
    with pytest.raises(InputError, match="candidates need 30 units; got 2"):
        analogy(a1, a2, b1, b2, candidates=np.zeros((3, 2)))
    with pytest.raises(InputError, match="n_bootstraps must be an integer of at least 0; got 1.5"):
        analogy(a1, a2, b1, b2, n_bootstraps=1.5)
    with pytest.raises(InputError, match="need the same shape with at least 2 quadruples"):
        analogy(a1, a2, b1[:3], b2)
