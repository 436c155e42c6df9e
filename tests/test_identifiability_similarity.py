"""The front door of representational similarity: nulls, ceilings, intervals, what a result says of itself."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest
from scipy import stats
from scipy.signal import lfilter

from neurosparse import population
from neurosparse.backend.representational import METRICS
from neurosparse.errors import EvidenceWarning, InputError
from neurosparse.identifiability import linear_identifiability, representational_similarity, superposition_reference

QUICK = {"n_permutations": 39, "interval": False}
QUIET = {"n_permutations": 0, "interval": False}


def needs_pot(name):
    if "soft" in name:
        pytest.importorskip("ot", reason="POT is not installed: pip install 'neurosparse[matching]'")


def repeated(signal, noise=1.5, n_repeats=4, seed=0):
    shown = np.repeat(np.arange(len(signal)), n_repeats)
    trials = signal[shown] + noise * np.random.default_rng(1000 + seed).standard_normal((len(shown), signal.shape[1]))
    return population.from_arrays(trials, dims=("trial", "unit"), stimulus=shown)


def stimuli(values):
    return population.from_arrays(values, dims=("stimulus", "unit"), stimulus=np.arange(len(values)))


def signal(n=200, p=8, seed=0):
    return np.random.default_rng(seed).standard_normal((n, p)) * np.linspace(2, 0.5, p)


@pytest.mark.parametrize("name", list(METRICS))
def test_noise_takes_a_code_from_itself_to_the_ceiling_and_shuffling_to_the_null(name):
    needs_pot(name)
    x = signal()
    found = representational_similarity(repeated(x), stimuli(x), metric=name, n_permutations=39, interval=True)
    assert found["verdict"] == "above chance"
    assert float(found["p"]) == pytest.approx(1 / 40)
    assert 0.6 < float(found["value"]) < 0.95
    assert abs(float(found["null"])) < 0.06
    assert float(found["value_low"]) < float(found["value"]) < float(found["value_high"]) < 1
    assert float(found["relative"]) == pytest.approx(1, abs=0.06)
    assert "y counts as noise-free in the ceiling" in str(found["note"].values)
    both = representational_similarity(repeated(x), repeated(x, seed=1), metric=name, **QUIET)
    assert float(both["relative"]) == pytest.approx(1, abs=0.09)
    assert "noise-free" not in str(both["note"].values)
    other = representational_similarity(repeated(x), stimuli(signal(seed=7)), metric=name, **QUICK)
    assert abs(float(other["corrected"])) < 0.12
    assert other["verdict"] == "not above chance"
    assert np.isnan(other["value_low"])


def test_result_says_range_equivalence_class_blind_spots_and_split(tmp_path):
    x = signal(100)
    found = representational_similarity(x, x[:, ::-1], metric="one_to_one", **QUICK)
    assert found.attrs["equivalence_class"] == "order, offset and positive scale of units"
    assert found.attrs["blind_to"] == "units of the larger side that are left unmatched"
    assert found.attrs["split"].startswith("fitted and scored in 5 folds of whole groups")
    assert "refitted" in found.attrs["null"]
    assert found.attrs["symmetric"] == 1
    plain = representational_similarity(x, x, **QUICK)
    assert plain.attrs["split"] == "none: nothing is fitted, all samples score"
    assert np.isnan(plain["ceiling"])
    assert "no ceiling: no repeats" in str(plain["note"].values)
    found.to_netcdf(tmp_path / "found.nc", engine="h5netcdf")


def test_samples_are_joined_on_their_ids():
    x = signal(100)
    back = population.from_arrays(x[::-1], dims=("stimulus", "unit"), stimulus=np.arange(100)[::-1])
    assert float(representational_similarity(stimuli(x), back, **QUIET)["value"]) == pytest.approx(1)
    assert abs(float(representational_similarity(x, x[::-1], **QUIET)["value"])) < 0.2


def test_semi_matching_is_directional_and_says_so():
    x = signal(150, 4)
    more = np.hstack([x, signal(150, 4, seed=5)])
    there = representational_similarity(more, x, metric="semi", **QUIET)
    back = representational_similarity(x, more, metric="semi", **QUIET)
    assert float(there["value"]) == pytest.approx(1)
    assert float(back["value"]) < 0.7
    assert there.attrs["symmetric"] == 0


def test_crossnobis_is_free_of_noise_bias_and_needs_repeats():
    x = signal(60)
    rng = np.random.default_rng(0)
    loud = np.diag([1, 1, 1, 1, 4, 4, 4, 4.0])
    shown = np.repeat(np.arange(60), 6)
    trials = (x[shown] + 2 * rng.standard_normal((360, 8))) @ loud
    noisy = population.from_arrays(trials, dims=("trial", "unit"), stimulus=shown)
    weighted = float(representational_similarity(noisy, stimuli(x), metric="crossnobis", **QUIET)["value"])
    plain = float(representational_similarity(noisy, stimuli(x), metric="cka", **QUIET)["value"])
    assert weighted > plain + 0.1  # units on scales of their noise
    three = representational_similarity(repeated(x, n_repeats=3), stimuli(x), metric="crossnobis", **QUIET)
    assert np.isnan(three["ceiling"])
    assert "no ceiling: no repeats (crossnobis: fewer than four)" in str(three["note"].values)
    with pytest.raises(InputError, match="crossnobis distances need trials with repeats on at least one side"):
        representational_similarity(x, x, metric="crossnobis")
    once = noisy.isel(trial=np.r_[0, 6 : noisy.sizes["trial"]])
    with (
        pytest.warns(EvidenceWarning, match="1 of 60 stimuli were shown once"),
        pytest.raises(InputError, match="two trials of every stimulus; 1 of 60 have one"),
    ):
        representational_similarity(once, stimuli(x), metric="crossnobis")


def test_arguments_are_checked():
    x = signal(50)
    with pytest.raises(InputError, match="metric must be one of"):
        representational_similarity(x, x, metric="r2")
    with pytest.raises(InputError, match="n_permutations must be an integer of at least 0; got -1"):
        representational_similarity(x, x, n_permutations=-1)
    with pytest.raises(InputError, match="n_splits must be an integer of at least 1; got 0"):
        representational_similarity(x, x, n_splits=0)


def test_soft_matching_without_pot_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ot.lp", None)
    with pytest.raises(ImportError, match="soft matching needs POT. Install it with pip install"):
        representational_similarity(signal(50), signal(50), metric="soft", **QUIET)


def autoregression(n, p, a, seed):
    noise = np.random.default_rng(seed).standard_normal((n + 500, p))
    return lfilter([1], [1, -a], noise, axis=0)[500:]


def series(values):
    return population.from_arrays(values, dims=("time", "unit"), bin_width=0.1)


def test_smooth_series_are_shifted_and_too_slow_ones_are_refused():
    x, y = autoregression(1500, 8, 0.8, 0), autoregression(1500, 8, 0.8, 1)
    found = representational_similarity(series(x), series(y), **QUICK)
    assert found["verdict"] == "not above chance"
    assert float(found["corrected"]) < 0.05
    drift = np.linspace(-3, 3, 1500)[:, None]
    drifting = representational_similarity(series(x + drift), series(y + drift), **QUIET)
    assert float(drifting["value"]) == pytest.approx(float(found["value"]), abs=1e-6)
    slow = [series(autoregression(600, 3, 0.98, seed)) for seed in (0, 1)]
    with pytest.warns(EvidenceWarning, match="a shift null needs 50"):
        refused = representational_similarity(*slow, n_permutations=39)
    assert refused["verdict"] == "undecidable"
    assert np.isnan(refused["corrected"])
    assert np.isfinite(refused["value_low"])


def mean_of_independent(n, p, metric, n_draws, seed=0):
    rng, values, rejected = np.random.default_rng(seed), [], 0
    for draw in range(n_draws):
        x, y = rng.standard_normal((2, n, p))
        found = representational_similarity(x, y, metric=metric, n_permutations=19, interval=False, random_state=draw)
        values.append(float(found["corrected"]))
        rejected += float(found["p"]) <= 0.05
    return np.array(values), rejected


@pytest.mark.parametrize("metric", ["cka", "one_to_one", "cca", "procrustes"])
def test_independent_codes_score_nothing_on_average(metric):
    values, rejected = mean_of_independent(118, 40, metric, 20)
    assert abs(values.mean()) < 2.5 * values.std(ddof=1) / np.sqrt(20) + 0.005  # null clipped at 0
    assert rejected <= stats.binom.ppf(0.999, 20, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["cka", "rsa", "procrustes", "cca", "one_to_one", "semi"])
@pytest.mark.parametrize(("n", "p"), [(500, 16), (118, 200)])
def test_independent_codes_score_nothing_at_the_sizes_of_recordings(n, p, metric):
    n_draws = 200 if metric in ("cka", "one_to_one", "semi") else 60
    values, rejected = mean_of_independent(n, p, metric, n_draws, seed=1)
    assert abs(values.mean()) < 0.02
    low, high = stats.binom.interval(0.99, n_draws, 0.05)
    assert low <= rejected <= high


@pytest.mark.parametrize("metric", ["cka", "one_to_one"])
def test_intervals_are_as_wide_as_draws_differ(metric):
    values, widths = [], []
    for seed in range(15):
        z, noise = np.random.default_rng(seed).standard_normal((2, 100, 4))
        found = representational_similarity(z, z + noise, metric=metric, n_permutations=0, random_state=seed)
        values.append(float(found["value"]))
        widths.append(float(found["value_high"] - found["value_low"]))
    expected = 2 * stats.t.ppf(0.975, 19) * np.std(values, ddof=1)
    assert 0.6 < np.mean(widths) / expected < 1.8


@pytest.mark.slow
def test_intervals_cover_the_alignment_of_the_worlds_they_were_drawn_from():
    covered, truth = 0, None
    for seed in range(200):
        rng = np.random.default_rng(seed)
        z = rng.standard_normal((150 if truth is not None else 20_000, 6))
        noise = rng.standard_normal((len(z), 6))
        x, y = z * [2, 1, 1, 1, 1, 0.5], z + noise
        found = representational_similarity(x, y, n_permutations=0, interval=truth is not None, random_state=seed)
        if truth is None:
            truth = float(found["value"])
            continue
        covered += float(found["value_low"]) <= truth <= float(found["value_high"])
    assert 0.90 <= covered / 199 <= 0.99


def test_projections_of_the_same_features_follow_the_reference_curve():
    curve = superposition_reference(16, 16, [64])
    rng, cka, r2 = np.random.default_rng(0), [], []
    for _ in range(3):
        z = rng.standard_normal((1500, 64))
        x, y = (z @ rng.standard_normal((64, 16)) / 8 for _ in range(2))
        cka.append(float(representational_similarity(x, y, **QUIET)["value"]))
        r2.append(float(linear_identifiability(x, y, n_permutations=0, n_bootstraps=0)["R2"].mean()))
    assert np.mean(cka) == pytest.approx(float(curve["cka"][0]), abs=0.03)
    assert np.mean(r2) == pytest.approx(float(curve["R2"][0]), abs=0.03)
    assert curve["cka"].values == pytest.approx(16 / 80)
    assert "not a null" in curve.attrs["what"]
    unequal = superposition_reference(16, 32, [8, 64])
    np.testing.assert_allclose(unequal["R2_back"], [1, 0.5])
    np.testing.assert_allclose(unequal["cka"][1], np.sqrt(16 * 32 / (80 * 96)))
    with pytest.raises(InputError, match="n_units_x must be an integer of at least 1; got 0"):
        superposition_reference(0, 4, 10)


def test_warnings_of_stimuli_shown_once_do_not_repeat():
    shown = np.r_[np.repeat(np.arange(30), 3), 30]
    trials = population.from_arrays(
        np.random.default_rng(0).standard_normal((91, 5)), dims=("trial", "unit"), stimulus=shown
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        representational_similarity(trials, stimuli(signal(31, 5)), **QUIET)
    assert [str(one.message) for one in caught] == ["1 of 31 stimuli were shown once; ceilings leave them out."]
