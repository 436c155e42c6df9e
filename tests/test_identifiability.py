"""The front door of linear identifiability: known answers, negative controls, splits that do not leak, refusals."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import torch
import xarray as xr
from scipy import stats
from scipy.signal import lfilter

from neurosparse import population
from neurosparse.backend.linear import PENALTIES, correlations, fisher_mean, ridge_fold, ridge_predict
from neurosparse.errors import DataWarning, EvidenceWarning, InputError
from neurosparse.identifiability import choose_best, linear_identifiability, paired_difference, select_direction
from neurosparse.identifiability.splits import split_groups, split_time

QUICK = {"n_permutations": 39, "n_bootstraps": 50}
NO_NULL = {"n_permutations": 0, "n_bootstraps": 0}


def stimuli(values, ids=None, unit=None):
    return population.from_arrays(values, dims=("stimulus", "unit"), stimulus=ids, unit=unit)


def series(values, bin_width=0.1):
    return population.from_arrays(values, dims=("time", "unit"), bin_width=bin_width)


def code_pair(n=200, p=6, t=4, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, p))
    return x, x @ rng.standard_normal((p, t)) + noise * rng.standard_normal((n, t))


def autoregression(n, p, a, seed):
    noise = np.random.default_rng(seed).standard_normal((n + 500, p))
    return lfilter([1], [1, -a], noise, axis=0)[500:]


# --- known truth and negative controls -------------------------------------------------------------------------------


def test_known_map_is_found_both_ways_and_independent_codes_are_not():
    x, y = code_pair(t=6)
    found = linear_identifiability(x, y, **QUICK)
    assert found["median_r"].values.min() > 0.999
    assert found["median_R2"].values.min() > 0.999
    assert found["verdict"].values.tolist() == ["above chance"] * 2
    np.testing.assert_allclose(found["pooled_p"], 1 / 40)
    unrelated = linear_identifiability(x, np.random.default_rng(1).standard_normal((200, 6)), **QUICK)
    assert np.abs(unrelated["median_r"]).values.max() < 0.15
    assert unrelated["verdict"].values.tolist() == ["not above chance"] * 2


def test_a_quadratic_of_the_latents_is_no_linear_image():
    x, _ = code_pair(n=300)
    found = linear_identifiability(x, x**2, **NO_NULL, directions=["x->y"])
    assert abs(float(found["median_r"][0])) < 0.1
    assert float(found["median_R2"][0]) < 0.02


def test_rotated_predictors_and_permuted_units_change_nothing_scaled_units_do():
    x, y = code_pair(noise=2.0)
    rotation = np.linalg.qr(np.random.default_rng(3).standard_normal((6, 6)))[0]
    plain = linear_identifiability(x, y, **QUICK)
    rotated = linear_identifiability(7 * x @ rotation + 100, y[:, ::-1], **QUICK)
    forward, turned = select_direction(plain), select_direction(rotated)
    np.testing.assert_allclose(turned["r"].values[::-1], forward["r"].values, atol=1e-8)
    np.testing.assert_allclose(turned["penalty"].values[:, ::-1], forward["penalty"].values)
    np.testing.assert_allclose(turned["null_r"].values[::-1], forward["null_r"].values, atol=1e-4)
    stretched = linear_identifiability(x * np.array([100, 1, 1, 1, 1, 1]), y, **NO_NULL)
    assert np.abs(select_direction(stretched)["r"].values - forward["r"].values).max() > 1e-5


def test_one_way_maps_are_told_from_two_way_maps():
    x, y = code_pair(n=300, p=8, t=2)  # two of eight dimensions survive
    found = linear_identifiability(x, y, **NO_NULL)
    assert float(found["median_R2"][0]) > 0.999
    assert float(found["median_R2"][1]) < 0.6


@pytest.mark.parametrize("noise", [1.0, 2.0])
def test_r_of_a_noise_free_predictor_reaches_the_ceiling_of_the_noisy_side(noise):
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((400, 3))
    shown = np.repeat(np.arange(400), 4)
    trials = (signal @ np.linalg.qr(rng.standard_normal((3, 3)))[0])[shown] + noise * rng.standard_normal((1600, 3))
    y = population.from_arrays(trials, dims=("trial", "unit"), stimulus=shown)
    found = linear_identifiability(stimuli(signal), y, n_permutations=0, n_bootstraps=200)
    truth = np.sqrt(1 / (1 + noise**2 / 4))
    forward = select_direction(found)
    np.testing.assert_allclose(forward["ceiling_r"], truth, atol=0.04)
    np.testing.assert_allclose(forward["r"], truth, atol=0.05)
    assert forward["median_r_low"] < truth < forward["median_r_high"] + 0.03
    back = select_direction(found, "y->x")
    assert back["ceiling_r"].isnull().all()
    assert "noise of the predictors lowers r by an unknown amount" in str(back["note"].values)
    assert "no ceiling on the predicted side" in str(back["note"].values)
    halves = linear_identifiability(y, y, **NO_NULL)
    assert "the predictors are noisy too" in str(halves["note"].values[0])


def test_r_is_computed_within_folds_where_pooling_would_be_negative():
    rng = np.random.default_rng(0)
    within, pooled = [], []
    for seed in range(15):
        x, y = rng.standard_normal((118, 200)), rng.standard_normal((118, 4))
        forward = select_direction(linear_identifiability(x, y, **NO_NULL, directions=["x->y"], random_state=seed))
        within.append(forward["r"].values.mean())
        pooled.append(correlations(forward["prediction"].values, forward["observed"].values).mean())
    error = np.std(within, ddof=1) / np.sqrt(15)
    assert abs(np.mean(within)) < 2.5 * error
    assert np.mean(pooled) < -0.05


def assert_p_is_super_uniform(n_draws, n, p):
    rng = np.random.default_rng(5)
    drawn = []
    for seed in range(n_draws):
        x, y = rng.standard_normal((n, p)), rng.standard_normal((n, 2))
        found = linear_identifiability(
            x, y, n_permutations=19, n_bootstraps=0, n_folds=4, directions=["x->y"], random_state=seed
        )
        drawn.append([found["pooled_p"].values[0], *found["p"].values])
    for column in np.array(drawn).T:
        for level in (0.05, 0.1, 0.5):
            low, high = stats.binom.interval(0.999, n_draws, level)
            assert low <= (column <= level + 1e-9).sum() <= high


def test_p_of_independent_data_is_uniform():
    assert_p_is_super_uniform(80, 60, 8)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "p"), [(118, 200), (500, 16)])
def test_p_of_independent_data_is_uniform_at_the_sizes_of_recordings(n, p):
    assert_p_is_super_uniform(400, n, p)


def test_intervals_hold_the_scores_narrow_with_samples_and_follow_random_state():
    wide = linear_identifiability(*code_pair(n=100, noise=2.0), n_permutations=0, n_bootstraps=400)
    narrow = linear_identifiability(*code_pair(n=1600, noise=2.0), n_permutations=0, n_bootstraps=400)
    for found in (wide, narrow):
        assert (found["r_low"] < found["r"]).all()
        assert (found["r"] < found["r_high"]).all()
        assert (found["median_R2_low"] < found["median_R2"]).all()
        assert (found["median_R2"] < found["median_R2_high"]).all()
    spread = [float((found["median_r_high"] - found["median_r_low"])[0]) for found in (wide, narrow)]
    assert 2.5 < spread[0] / spread[1] < 7  # sqrt(16) = 4
    again = linear_identifiability(*code_pair(n=100, noise=2.0), n_permutations=0, n_bootstraps=400)
    xr.testing.assert_identical(wide, again)
    other = linear_identifiability(*code_pair(n=100, noise=2.0), n_permutations=0, n_bootstraps=400, random_state=1)
    assert not np.array_equal(other["fold"], wide["fold"])


@pytest.mark.slow
def test_intervals_cover_what_the_fitted_maps_reach_on_new_stimuli():
    rng, covered = np.random.default_rng(0), []
    for seed in range(200):
        weights = rng.standard_normal((6, 8))
        x = rng.standard_normal((3300, 6))
        y = x @ weights + 2 * rng.standard_normal((3300, 8))
        found = linear_identifiability(
            x[:300], y[:300], n_permutations=0, n_bootstraps=400, directions=["x->y"], random_state=seed
        )
        reached = []
        for index in range(5):
            train = np.flatnonzero(found["fold"].values != index)
            fitted = ridge_fold(x, train, np.arange(300, 3300), [], penalties=PENALTIES, nuisance=np.ones((len(x), 1)))
            choice = np.abs(PENALTIES[:, None] / found["penalty"].values[index] - 1).argmin(axis=0)
            mapped, baseline = ridge_predict(fitted, y[train], choice)
            reached.append(correlations(mapped, y[300:] - baseline))
        truth = np.median(fisher_mean(np.array(reached)))
        covered.append(float(found["median_r_low"][0]) <= truth <= float(found["median_r_high"][0]))
    assert np.mean(covered) > 0.86  # .92 measured; floor .90 less two standard errors


def test_copies_of_a_stimulus_do_not_narrow_the_interval():
    x, y = code_pair(n=200, noise=2.0)
    once = linear_identifiability(x, y, n_permutations=0, n_bootstraps=400)
    copies = [np.tile(side, (6, 1)) for side in (x, y)]
    six = linear_identifiability(*copies, groups=np.tile(np.arange(200), 6), n_permutations=0, n_bootstraps=400)
    width = [float((found["median_r_high"] - found["median_r_low"])[0]) for found in (once, six)]
    assert 0.7 < width[1] / width[0] < 1.4  # resampled one by one it would be 1 / sqrt(6) = .41


# --- splits and nulls ------------------------------------------------------------------------------------------------


def duplicated(seed=0):
    """60 random codes shown twice; y is random too, so any score is memory."""
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((60, 80)), rng.standard_normal((60, 3))
    return np.tile(x, (2, 1)) + 0.01 * rng.standard_normal((120, 80)), np.tile(y, (2, 1)), np.tile(np.arange(60), 2)


def test_duplicates_on_both_sides_inflate_and_groups_mend_it():
    x, y, copies = duplicated()
    with pytest.warns(EvidenceWarning, match="60 of 120 rows of y are exact copies"):
        leaky = linear_identifiability(x, y, **QUICK)
    mended = linear_identifiability(x, y, groups=copies, **QUICK)
    assert float(leaky["median_r"][0]) > 0.6
    assert abs(float(mended["median_r"][0])) < 0.25
    assert float(mended["pooled_p"][0]) > 0.05
    for index in range(5):
        held = mended["fold"].values == index
        assert not set(copies[held]) & set(copies[~held])
    # permuted as wholes, in order: every copy keeps its twin
    assert mended.attrs["n_groups"] == 60
    np.testing.assert_array_equal(mended["group"], copies)


def test_null_moves_whole_groups_among_groups_of_their_size():
    groups = np.array([0, 1, 2, 3, 3, 4, 4, 5, 5, 5, 6, 7, 8, 9])
    split = split_groups(groups, n_folds=3, n_permutations=60, seeds=np.arange(6))
    for order in split.orders:
        np.testing.assert_array_equal(np.sort(order), np.arange(14))
        moved = groups[order]
        assert moved[3] == moved[4] in (3, 4)
        assert moved[5] == moved[6] in (3, 4)
        assert order[4] == order[3] + 1  # in order within the group
        np.testing.assert_array_equal(order[7:10], [7, 8, 9])
    assert len(np.unique(split.orders[:, 0])) == 7  # every group of one comes to place 0
    assert split.attrs["n_samples_never_permuted"] == 3
    for (train, _), inner in zip(split.folds, split.inner, strict=True):
        for inner_train, inner_test in inner:
            assert not set(groups[train][inner_train]) & set(groups[train][inner_test])


def test_groups_that_cannot_change_places_give_no_p():
    x, y = code_pair(n=100, noise=1.0)
    blocks = np.repeat(np.arange(5), [10, 15, 20, 25, 30])
    with pytest.warns(EvidenceWarning, match=r"no p-value: groups of equal size can change places in fewer than 20"):
        found = linear_identifiability(x, y, groups=blocks, **QUICK)
    assert found["pooled_p"].isnull().all()
    assert found["p"].isnull().all()
    assert found["verdict"].values.tolist() == ["undecidable"] * 2
    assert float(found["median_r"][0]) > 0.8


@pytest.mark.parametrize("name", ["session", "animal"])
def test_whole_sessions_and_animals_are_held_out(name):
    """Codes that only know their session: trials of one session on both sides of a split would score."""
    rng = np.random.default_rng(0)
    of_trial = np.repeat(np.arange(30), 10)
    x, y = (rng.standard_normal((30, 8))[of_trial] + 0.1 * rng.standard_normal((300, 8)) for _ in range(2))
    sides = [
        population.from_arrays(side, dims=("trial", "unit"), coords={name: ("trial", of_trial)}) for side in (x, y)
    ]
    leaky = linear_identifiability(*sides, **NO_NULL)
    whole = linear_identifiability(*sides, groups=name, **QUICK)
    assert float(leaky["median_R2"][0]) > 0.1
    assert float(whole["median_R2"][0]) < 0.02
    assert float(whole["pooled_p"][0]) > 0.05  # whole sessions change places
    for index in range(5):
        held = whole["fold"].values == index
        assert not set(of_trial[held]) & set(of_trial[~held])


def test_groups_by_name_by_id_and_by_order_agree():
    x, y, copies = duplicated()
    ids = np.array([f"image {i:03d}" for i in range(120)])
    shuffled = np.random.default_rng(0).permutation(120)
    by_order = linear_identifiability(x, y, groups=copies, **NO_NULL)
    named = stimuli(x[shuffled], ids[shuffled]).assign_coords(picture=("stimulus", copies[shuffled]))
    other = stimuli(y, ids)
    by_name = linear_identifiability(named, other, groups="picture", **NO_NULL)
    labels = xr.DataArray(copies[shuffled], dims="stimulus", coords={"stimulus": ids[shuffled]})
    by_id = linear_identifiability(named, other, groups=labels, **NO_NULL)
    for found in (by_name, by_id):
        np.testing.assert_allclose(found["r"], by_order["r"], atol=1e-8)
        assert found["stimulus"].values.tolist() == ids.tolist()


def test_averages_over_trials_are_joined_on_the_stimulus_in_any_order():
    x, y = code_pair(n=80)
    ids = np.random.default_rng(2).permutation(80)
    shown = np.repeat(ids, 3)
    order = np.random.default_rng(3).permutation(240)
    trials = population.from_arrays(
        np.repeat(y, 3, axis=0)[order], dims=("trial", "unit"), stimulus=shown[order], unit=["a", "b", "c", "d"]
    )
    back_to_front = stimuli(x[::-1], ids[::-1])
    found = linear_identifiability(back_to_front, trials, **NO_NULL)
    assert float(found["median_r"][0]) > 0.999
    assert select_direction(found)["unit"].values.tolist() == ["a", "b", "c", "d"]
    wrong = linear_identifiability(stimuli(x, np.roll(ids, 1)), trials, **NO_NULL)
    assert abs(float(wrong["median_r"][0])) < 0.3
    swapped = linear_identifiability(trials, back_to_front, **NO_NULL)
    np.testing.assert_array_equal(swapped["fold"], found["fold"])
    np.testing.assert_allclose(swapped["median_r"].values[::-1], found["median_r"].values)


def test_time_series_are_split_in_blocks_with_a_gap_and_shifted():
    x = autoregression(1500, 3, 0.8, seed=0)
    y = x @ np.random.default_rng(1).standard_normal((3, 2)) + autoregression(1500, 2, 0.8, seed=2)
    found = linear_identifiability(series(x), series(y), **QUICK)
    tau = found.attrs["autocorrelation_time"]
    assert 5 < tau < 14  # 9 in theory
    assert found.attrs["gap"] >= tau
    assert found.attrs["n_over_tau"] == pytest.approx(1500 / tau)
    assert (np.diff(found["fold"]) >= 0).all()  # contiguous
    assert f"left out on each side (autocorrelation time {tau:.3g})" in found.attrs["split"]
    assert found["verdict"].values[0] == "above chance"
    assert found["prediction"].dims == ("time", "target")
    unrelated = linear_identifiability(series(x), series(autoregression(1500, 2, 0.8, seed=9)), **QUICK)
    assert unrelated["verdict"].values.tolist() == ["not above chance"] * 2


def test_gaps_lie_between_training_and_test_blocks_inside_too():
    x, y = autoregression(1500, 3, 0.8, seed=0), autoregression(1500, 2, 0.8, seed=1)
    split = split_time(x, y, np.arange(1500.0), n_folds=5, n_permutations=0, seed=0)
    gap = split.attrs["gap"]
    assert gap >= 5
    assert split.attrs["null"] == "none: no permutations were asked for"
    for (train, test), inner in zip(split.folds, split.inner, strict=True):
        assert np.abs(train[:, None] - test).min() == gap + 1
        for inner_train, inner_test in inner:
            assert np.abs(train[inner_train][:, None] - train[inner_test]).min() > gap
    # the units of the bootstrap are runs of two autocorrelation times
    assert np.bincount(split.groups)[:-1].min() >= 2 * split.attrs["autocorrelation_time"] - 1


def test_shuffled_folds_would_score_unrelated_smooth_series_and_blocks_do_not():
    shuffled, blocks = [], []
    for seed in range(6):
        x, y = autoregression(600, 16, 0.98, seed), autoregression(600, 2, 0.98, 100 + seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EvidenceWarning)
            blocks.append(float(linear_identifiability(series(x), series(y), **NO_NULL)["median_R2"][0]))
        shuffled.append(float(linear_identifiability(x, y, **NO_NULL)["median_R2"][0]))
    assert np.mean(shuffled) > 0.3
    assert np.mean(blocks) < 0


def test_slow_series_give_scores_but_no_p():
    x, y = autoregression(600, 3, 0.97, seed=0), autoregression(600, 2, 0.97, seed=1)
    with pytest.warns(EvidenceWarning, match=r"no p-value: 600 samples are n / tau = .* a shift null needs 50"):
        found = linear_identifiability(series(x), series(y), **QUICK)
    assert found["verdict"].values.tolist() == ["undecidable"] * 2
    assert "p undecidable: 600 samples" in str(found["note"].values[0])
    assert found["p"].isnull().all()
    assert found["r"].notnull().all()


def test_breaks_in_time_give_no_p_and_shifts_are_all_different():
    x, y = np.random.default_rng(0).standard_normal((2, 300, 2))
    time = np.arange(300) * 0.1 + 50.0 * (np.arange(300) >= 150)
    broken = [population.from_arrays(side, dims=("time", "unit"), time=time) for side in (x, y)]
    with pytest.warns(EvidenceWarning, match="time has 1 breaks, and a shift may not cross them"):
        linear_identifiability(*broken, **QUICK)
    short = linear_identifiability(series(x[:, :1]), series(y[:, :1]), n_permutations=1000, n_bootstraps=0)
    assert 200 < short.sizes["permutation"] < 300  # all the shifts there are


def test_shared_drift_is_no_evidence_of_a_map():
    drift = 3 * np.linspace(-1, 1, 600)[:, None]
    x, y = np.random.default_rng(0).standard_normal((2, 600, 3)) + drift
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EvidenceWarning)
        found = linear_identifiability(series(x), series(y), **NO_NULL)
    assert np.abs(found["median_r"]).max() < 0.1
    assert found["median_R2"].max() < 0.02
    assert found.attrs["R2_baseline"] == "linear drift of the training fold"
    assert float(linear_identifiability(x, y, **NO_NULL)["median_R2"][0]) > 0.5  # as rows without an order


@pytest.mark.slow
def test_shift_null_is_calibrated_where_it_is_allowed():
    rejected, decided = 0, 0
    for seed in range(400):
        x, y = autoregression(1200, 3, 0.8, seed), autoregression(1200, 2, 0.8, 10_000 + seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EvidenceWarning)  # some draws are refused
            found = linear_identifiability(
                series(x), series(y), n_permutations=99, n_bootstraps=0, directions=["x->y"], random_state=seed
            )
        p = float(found["pooled_p"][0])
        decided += np.isfinite(p)
        rejected += p <= 0.05
    low, high = stats.binom.interval(0.99, decided, 0.05)
    assert decided > 350
    assert low <= rejected <= high


def test_whole_trials_stay_together_when_there_is_time_within_them():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 10, 3))
    y = x @ rng.standard_normal((3, 2)) + rng.standard_normal((40, 10, 2))
    kinds = {"dims": ("trial", "time", "unit"), "bin_width": 0.05}
    found = linear_identifiability(population.from_arrays(x, **kinds), population.from_arrays(y, **kinds), **QUICK)
    assert found["prediction"].dims == ("trial", "time", "target")
    assert (found["fold"].max("time") == found["fold"].min("time")).all()
    assert found["verdict"].values[0] == "above chance"
    np.testing.assert_allclose(
        found["observed"].isel(target=found["target_direction"].values == "x->y").values, y, rtol=1e-12
    )


def test_pooled_p_counts_permutations_whose_median_r_is_as_large():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((150, 5))
    y = np.hstack([x[:, :1], 0.1 * x[:, 1:] + rng.standard_normal((150, 4))])  # one unit certain, four hardly
    found = linear_identifiability(x, y, n_permutations=99, n_bootstraps=0, directions=["x->y"])
    observed, null = float(found["median_r"][0]), found["null_median_r"].values[0]
    assert float(found["pooled_p"][0]) == pytest.approx((1 + (null >= observed).sum()) / 100)
    assert float(found["p"][0]) == pytest.approx(0.01)
    assert float(found["pooled_p"][0]) > 0.02
    assert float(found["median_null_r"][0]) == pytest.approx(null.mean())


# --- what the result says of itself ----------------------------------------------------------------------------------


def test_result_says_what_it_measured_and_survives_a_file(tmp_path):
    found = linear_identifiability(stimuli(code_pair()[0]), stimuli(code_pair(noise=1.0)[1]), **QUICK)
    expected = {"n_samples", "n_units_x", "n_units_y", "split", "direction", "equivalence_class", "interval", "null"}
    assert expected <= set(found.attrs)
    assert found.attrs["direction"] == "higher is better"
    assert found.attrs["equivalence_class"] == "up to an invertible linear map (with offset)"
    assert found.attrs["dimensions"] == "not matched: 6 and 4 units, so no linear map between them is invertible"
    assert linear_identifiability(*code_pair(t=6), **NO_NULL).attrs["dimensions"].startswith("matched: 6 units")
    assert "held fixed" in found.attrs["interval"]
    assert found.sizes["permutation"] == 39
    assert json.loads(found.attrs["penalties"])[0] == pytest.approx(1e-5)
    assert set(json.loads(found.attrs["provenance"])) == {"x", "y"}
    found.to_netcdf(tmp_path / "result.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "result.nc", engine="h5netcdf") as opened:
        assert opened["verdict"].values.tolist() == found["verdict"].values.tolist()
        np.testing.assert_array_equal(opened["prediction"], found["prediction"])


def test_populations_arrays_and_tensors_give_the_same_numbers():
    x, y = code_pair(noise=1.0)
    labelled = linear_identifiability(stimuli(x), stimuli(y), **QUICK)
    for given in ((x, y), (torch.as_tensor(x), torch.as_tensor(y)), (x, stimuli(y))):
        found = linear_identifiability(*given, **QUICK)
        for name in ("r", "R2", "p", "r_low", "prediction"):
            np.testing.assert_allclose(found[name], labelled[name], rtol=1e-10)


def test_targets_beyond_the_limit_are_drawn_at_random_and_said_so():
    x, y = code_pair(p=30, t=4)
    found = linear_identifiability(x, y, max_targets=10, **NO_NULL)
    assert found["n_targets"].values.tolist() == [4, 10]
    assert found["n_targets_available"].values.tolist() == [4, 30]
    assert found["n_predictors"].values.tolist() == [30, 4]
    assert "10 of 30 targets drawn at random" in str(found["note"].values[1])
    chosen = select_direction(found, "y->x")
    assert chosen["unit_index"].values.tolist() != list(range(10))
    np.testing.assert_array_equal(chosen["observed"].values, x[:, chosen["unit_index"].values])
    everything = linear_identifiability(x, y, max_targets=None, **NO_NULL)
    assert everything["n_targets"].values.tolist() == [4, 30]


def test_silent_units_are_counted_and_one_unit_is_enough():
    x, y = code_pair(noise=1.0)
    y[:, 2] = 0.1
    found = linear_identifiability(x, y[:, 1:3], **QUICK)
    assert np.isnan(found["r"].values[1])
    assert np.isnan(found["p"].values[1])
    assert found["n_scored"].values.tolist() == [1, 6]
    assert "1 constant targets have no score" in str(found["note"].values[0])
    assert float(found["median_r"][0]) == pytest.approx(float(found["r"][0]))
    alone = linear_identifiability(x[:, :1], x[:, :1] * 2 + 1, **QUICK)
    assert alone["median_r"].values.min() > 0.999


def test_silent_units_of_a_time_series_have_no_score_either():
    x, y = np.random.default_rng(0).standard_normal((2, 400, 3))
    y[:, 1] = 3.3  # the drift regressed out leaves rounding of it
    found = linear_identifiability(series(x), series(y), **QUICK)
    forward = select_direction(found)
    for name in ("r", "R2", "p", "r_low"):
        assert np.isnan(forward[name].values).tolist() == [False, True, False]
    assert np.isnan(forward["inner_r"].values[:, 1]).all()
    assert found["n_scored"].values.tolist() == [2, 3]


def test_nan_raises_or_drops_on_both_sides():
    x, y = code_pair(noise=1.0)
    holes = y.copy()
    holes[5, 1] = np.nan
    with pytest.raises(InputError, match=r"y has 1 NaN values in 1 of 200 samples, first at stimulus=5, unit=1"):
        linear_identifiability(stimuli(x), stimuli(holes), **NO_NULL)
    kept = np.arange(200) != 5
    with pytest.warns(DataWarning, match="those samples are left out"):
        dropped = linear_identifiability(stimuli(x), stimuli(holes), nan="drop", groups=np.arange(200) // 2, **NO_NULL)
    assert dropped["stimulus"].values.tolist() == np.arange(200)[kept].tolist()
    clean = linear_identifiability(x[kept], y[kept], groups=(np.arange(200) // 2)[kept], **NO_NULL)
    np.testing.assert_allclose(dropped["r"], clean["r"], rtol=1e-10)
    trials = np.repeat(y, 2, axis=0)
    trials[0, 0] = np.nan
    given = population.from_arrays(trials, dims=("trial", "unit"), stimulus=np.repeat(np.arange(200), 2))
    with pytest.raises(InputError, match="y has 1 NaN values in 1 of 400 samples"):
        linear_identifiability(stimuli(x), given, **NO_NULL)
    with pytest.warns(DataWarning, match="left out"):
        assert linear_identifiability(stimuli(x), given, nan="drop", **NO_NULL).sizes["stimulus"] == 200


# --- several representations -----------------------------------------------------------------------------------------


def three_representations(seed=0):
    rng = np.random.default_rng(seed)
    latents = rng.standard_normal((240, 5))
    y = latents @ rng.standard_normal((5, 8)) + 2 * rng.standard_normal((240, 8))
    codes = {name: latents + noise * rng.standard_normal((240, 5)) for name, noise in (("good", 0.3), ("poor", 1.5))}
    codes["none"] = rng.standard_normal((240, 5))
    return {name: linear_identifiability(x, y, **NO_NULL) for name, x in codes.items()}


def test_paired_difference_finds_the_better_map_and_none_between_equals():
    results = three_representations()
    found = paired_difference(results["good"], results["poor"], n_bootstraps=400)
    assert float(found["difference_low"]) > 0
    assert float(found["difference_low"]) < float(found["difference"]) < float(found["difference_high"])
    assert float(found["median_r_a"]) == pytest.approx(float(results["good"]["median_r"][0]))
    assert float(found["difference"]) == pytest.approx(float(found["median_r_a"] - found["median_r_b"]))
    turned = paired_difference(results["poor"], results["good"], n_bootstraps=400)
    assert float(turned["difference_high"]) == pytest.approx(-float(found["difference_low"]))
    same = paired_difference(results["good"], results["good"])
    assert float(same["difference_low"]) == float(same["difference_high"]) == 0
    assert found.attrs["n_groups"] == 240


def test_pairing_makes_the_interval_narrower_than_two_separate_ones():
    rng = np.random.default_rng(0)
    x, y = code_pair(n=150, noise=3.0)
    a = linear_identifiability(x, y, n_permutations=0, n_bootstraps=500)
    b = linear_identifiability(x + 0.1 * rng.standard_normal(x.shape), y, n_permutations=0, n_bootstraps=500)
    paired = paired_difference(a, b)
    width = float(paired["difference_high"] - paired["difference_low"])
    assert width < 0.5 * float((a["median_r_high"] - a["median_r_low"])[0])


def test_best_representation_is_chosen_by_training_samples():
    results = three_representations()
    best = choose_best(results, n_bootstraps=100)
    assert best["choice"].values.tolist() == ["good"] * 5
    forward = select_direction(results["good"])
    np.testing.assert_allclose(best["r"], forward["r"], rtol=1e-10)
    np.testing.assert_allclose(best["prediction"], forward["prediction"])
    np.testing.assert_allclose(best["inner_r"], forward["inner_r"])
    np.testing.assert_allclose(best["penalty"], forward["penalty"])
    assert best["verdict"].values.tolist() == ["undecidable"]
    assert "best of 3 by training samples" in str(best["note"].values[0])
    margin = paired_difference(best, results["none"], n_bootstraps=200)
    assert float(margin["difference_low"]) > 0


def test_choice_does_not_look_at_the_scores_and_mixes_folds():
    results = three_representations()
    swayed = {name: result.copy(deep=True) for name, result in results.items()}
    swayed["good"]["r"][:] = -1.0  # a held-out score must not sway the choice
    assert choose_best(swayed, n_bootstraps=0)["choice"].values.tolist() == ["good"] * 5
    swayed["good"]["inner_r"][3] = -0.5
    best = choose_best(swayed, n_bootstraps=0)
    assert best["choice"].values.tolist() == ["good", "good", "good", "poor", "good"]
    fold = best["fold"].values
    for index, name in enumerate(best["choice"].values):
        expected = select_direction(results[name])["prediction"].values[fold == index]
        np.testing.assert_allclose(best["prediction"].values[fold == index], expected)


def test_choosing_among_noise_is_not_rewarded():
    rng = np.random.default_rng(0)
    chosen, best_after_the_fact = [], []
    for seed in range(5):
        y = rng.standard_normal((100, 4))
        results = {
            str(i): linear_identifiability(
                rng.standard_normal((100, 10)), y, **NO_NULL, directions=["x->y"], random_state=seed
            )
            for i in range(5)
        }
        chosen.append(float(choose_best(results, n_bootstraps=0)["median_r"][0]))
        best_after_the_fact.append(max(float(result["median_r"][0]) for result in results.values()))
    assert np.mean(best_after_the_fact) > np.mean(chosen) + 0.03
    assert np.mean(best_after_the_fact) > 0.05
    assert abs(np.mean(chosen)) < 0.05


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": code_pair(seed=4)[1]}, r"'b' and 'a' predict different targets \(4 and 4 units\)"),
        ({"random_state": 1}, r"'b' and 'a' have different folds. Give both the same groups="),
        ({"groups": np.repeat(np.arange(100), 2)}, r"'b' and 'a' have different folds"),
        ({"n": 190}, r"'b' and 'a' have different samples: stimulus: 190 and stimulus: 200"),
    ],
)
def test_results_that_do_not_belong_together_are_refused(change, message):
    x, y = code_pair(noise=1.0)
    a = linear_identifiability(x, y, **NO_NULL)
    n = change.pop("n", 200)
    b = linear_identifiability(x[:n], change.pop("y", y)[:n], **NO_NULL, **change)
    with pytest.raises(InputError, match=message):
        paired_difference(a, b)
    with pytest.raises(InputError, match=message):
        choose_best({"a": a, "b": b})


def test_other_groups_with_the_same_folds_are_refused():
    a = linear_identifiability(*code_pair(noise=1.0), **NO_NULL)
    b = a.assign(group=a["group"] // 2)
    with pytest.raises(InputError, match="'b' and 'a' have different groups"):
        paired_difference(a, b)


def test_wrong_results_and_directions_are_refused():
    found = linear_identifiability(*code_pair(), **NO_NULL, directions=["x->y"])
    with pytest.raises(InputError, match=r"holds the directions \['x->y'\]; got 'y->x'"):
        select_direction(found, "y->x")
    with pytest.raises(InputError, match="expected a result of linear_identifiability; got Dataset"):
        select_direction(xr.Dataset())
    for given in ({}, [found]):
        with pytest.raises(InputError, match="choose_best needs a mapping of names to results, at least one; got"):
            choose_best(given)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_folds": 1}, "n_folds must be an integer of at least 2"),
        ({"n_folds": 70}, r"at least 3 test samples; the smallest of 70 folds has 2"),
        ({"n_folds": 201}, "201 folds need at least 201 groups"),
        ({"n_permutations": -1}, "n_permutations must be an integer of at least 0; got -1"),
        ({"n_bootstraps": 1.5}, "n_bootstraps must be an integer of at least 0; got 1.5"),
        ({"n_permutations": "many"}, "n_permutations must be an integer of at least 0; got 'many'"),
        ({"n_bootstraps": None}, "n_bootstraps must be an integer of at least 0; got None"),
        ({"max_targets": 0}, "max_targets, where it is not None, must be an integer of at least 1; got 0"),
        ({"directions": "x->y"}, r"directions must be a list of \['x->y', 'y->x'\], each once; got 'x->y'"),
        ({"penalties": [-1.0]}, "penalties must be a list of multiples of the mean eigenvalue"),
        ({"penalties": "auto"}, "penalties must be a list of multiples .*; got 'auto'"),
        ({"penalties": [1.0, np.inf], "estimator": "reduced_rank"}, "penalties must be finite; got"),
        ({"nan": "mask"}, "nan must be 'raise' or 'drop'"),
        (
            {"groups": np.arange(199)},
            r"one label for each of the 200 stimulus entries, sorted by id; got shape \(199,\)",
        ),
        ({"groups": "picture"}, "groups names 'picture', which is no coord on dim 'stimulus'"),
        ({"groups": np.repeat([0, 1], 100), "n_folds": 2}, "needs two groups there; fold 0 of 2 trains on one"),
        ({"groups": np.zeros(200)}, "5 folds need at least 5 groups; got 1"),
        (
            {"groups": xr.DataArray(np.arange(199), dims="stimulus", coords={"stimulus": np.arange(199)})},
            "groups has no entry for 1 of 200 stimulus ids, first 199",
        ),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    x, y = code_pair()
    with pytest.raises(InputError, match=message):
        linear_identifiability(stimuli(x), stimuli(y), **(NO_NULL | arguments))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (
            np.ones((20, 2)),
            np.random.default_rng(0).random((20, 2)),
            "x does not vary: all 2 of its units are constant",
        ),
        (np.random.default_rng(0).random((20, 2)), np.zeros((20, 3)), "y does not vary: all 3 of its units"),
        (np.zeros((0, 2)), np.zeros((0, 2)), "x is empty"),
        (np.ones((20, 2)), np.ones((21, 2)), "x and y must have the same samples; got 20 and 21 rows"),
        (np.ones(20), np.ones((20, 2)), r"x must be a population or a \(sample, unit\) matrix"),
        (
            stimuli(np.ones((20, 2))),
            series(np.ones((20, 2))),
            r"same sample dims; got x \(stimulus, unit\) and y \(time",
        ),
        (stimuli(np.ones((20, 2))), stimuli(np.ones((20, 2)), np.arange(1, 21)), "1 ids missing in y, such as 0"),
        (
            stimuli(np.ones((9, 2))),
            population.from_arrays(np.ones((9, 2)), dims=("trial", "unit")),
            "Trials need a stimulus coord to be averaged",
        ),
        (
            population.from_arrays(np.ones((20, 2)), dims=("trial", "unit"), stimulus=np.arange(20)),
            np.ones((20, 2)),
            "x has trials, the other side is a plain array that names no stimuli",
        ),
        (
            stimuli(np.ones((20, 2))).rename(unit="neuron"),
            np.ones((20, 2)),
            r"x needs dims .* got \(stimulus, neuron\)",
        ),
    ],
)
def test_inputs_that_do_not_fit_are_refused(x, y, message):
    with pytest.raises(InputError, match=message):
        linear_identifiability(x, y, **NO_NULL)


def test_duplicated_stimuli_are_refused_and_copies_warned_of():
    x, y = code_pair(n=40)
    twice = stimuli(x).assign_coords(stimulus=np.arange(40) // 2)
    with pytest.raises(InputError, match="duplicated stimulus labels"):
        linear_identifiability(twice, stimuli(y), **NO_NULL)
    doubled = np.tile(x, (2, 1))
    with pytest.warns(EvidenceWarning, match=r"40 of 80 rows of x are exact copies of others"):
        linear_identifiability(doubled, np.random.default_rng(0).random((80, 2)), **NO_NULL)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        linear_identifiability(doubled, np.tile(y, (2, 1)), groups=np.tile(np.arange(40), 2), **NO_NULL)
        linear_identifiability(np.random.default_rng(0).poisson(1.0, (80, 2)), y.repeat(2, axis=0).round(), **NO_NULL)


def test_tiny_folds_and_different_bins_are_told():
    x, y = code_pair(n=20)
    with pytest.warns(EvidenceWarning, match="the smallest test fold has 4 samples"):
        linear_identifiability(x, y, **NO_NULL)
    kinds = {"dims": ("stimulus", "time", "unit")}
    values = np.random.default_rng(0).standard_normal((40, 3, 2))
    first = population.from_arrays(values, bin_width=0.1, **kinds)
    second = population.from_arrays(values, bin_width=0.2, **kinds)
    with pytest.raises(InputError, match="x and y have different time labels"):
        linear_identifiability(first, second, **NO_NULL)
    with pytest.raises(InputError, match="sessions or epochs, of at least 4 samples each; one of 20 has 1"):
        linear_identifiability(series(x), series(y), groups=np.arange(20), **NO_NULL)


def test_repeats_too_few_for_a_ceiling_are_said_so():
    x, y = code_pair(n=60, noise=1.0)
    shown = np.concatenate([np.arange(60), [0, 1]])
    trials = population.from_arrays(np.vstack([y, y[:2]]), dims=("trial", "unit"), stimulus=shown)
    found = linear_identifiability(stimuli(x), trials, **NO_NULL)
    assert "no ceiling on the predicted side (only 2 stimuli were repeated)" in str(found["note"].values[0])
