"""The front door: planted truth, negative controls, labels and every message."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from neurosparse import interpretability_scores, population
from neurosparse.backend.psychophysics import cosine_similarity, vinje_gallant
from neurosparse.errors import DataWarning, EvidenceWarning, InputError
from neurosparse.interpretability import pixel_similarity, summary
from neurosparse.interpretability.profiles import read_profiles
from neurosparse.interpretability.similarity import blocks, read_judge
from neurosparse.population import from_arrays

FEW = {"n_permutations": 1, "n_bootstraps": 1}
SMALL = {"n_explanations": 4, "quantile": 0.1, "n_permutations": 19, "n_bootstraps": 20}


def latents(n, n_latents, n_active, rng):
    """Sparse non-negative latents, `n_active` at a time."""
    z = np.zeros((n, n_latents))
    active = np.argsort(rng.random((n, n_latents)), axis=1)[:, :n_active]
    np.put_along_axis(z, active, rng.exponential(1, active.shape) + 0.2, axis=1)
    return z


def stimuli_population(values, **kwargs):
    return from_arrays(values, dims=("stimulus", "unit"), **kwargs)


def noisy_world(seed=0, n=200, n_units=8):
    rng = np.random.default_rng(seed)
    z = latents(n, n_units, 2, rng)
    return stimuli_population(z), stimuli_population(z + 0.3 * rng.standard_normal(z.shape), session="embedding")


def trials_of_noise(seed, shared, n=100, repeats=4, n_units=12):
    """Trials without any signal; what units share differs from trial to trial."""
    rng = np.random.default_rng(seed)
    gain = rng.standard_normal((n * repeats, 1)) * rng.standard_normal(n_units)
    values = shared * gain + rng.standard_normal((n * repeats, n_units))
    return from_arrays(values, dims=("trial", "unit"), stimulus=np.repeat(np.arange(n), repeats))


def rhythms(n, n_units, smooth, seed=0):
    """Time series with a timescale of about `smooth` bins, the units' phases spread over one shared pair of sources."""
    rng = np.random.default_rng(seed)
    kernel = np.exp(-np.arange(6 * smooth + 1) / smooth) if smooth else np.ones(1)
    source = np.stack(
        [np.convolve(rng.standard_normal(n + len(kernel)), kernel, "valid")[:n] for _ in range(2)], axis=1
    )
    phase = np.linspace(0, 2 * np.pi, n_units, endpoint=False)
    values = source @ np.stack([np.cos(phase), np.sin(phase)])
    return from_arrays(values + 0.1 * rng.standard_normal(values.shape), dims=("time", "unit"), bin_width=0.1)


# --- known truth ----------------------------------------------------------------------------------------------------


def mixed(z, degrees):
    """Each unit answers to two latents: z_i cos + z_j sin, and z_i sin + z_j cos."""
    angle = np.deg2rad(degrees)
    a, b = z[:, 0::2], z[:, 1::2]
    return np.concatenate([np.cos(angle) * a + np.sin(angle) * b, np.sin(angle) * a + np.cos(angle) * b], axis=1)


def test_true_latents_score_above_mixtures_above_shuffled_and_fall_with_the_angle():
    scores = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        z = latents(640, 30, 3, rng)
        embedding = stimuli_population(z + 0.7 * rng.standard_normal(z.shape))
        profiles = [mixed(z, degrees) for degrees in (0, 15, 30, 45)] + [z[rng.permutation(640)]]
        scores.append(
            [
                float(
                    interpretability_scores(
                        stimuli_population(values), stimulus_similarity=embedding, n_tasks=100, **FEW
                    )["mis"].mean()
                )
                for values in profiles
            ]
        )
    true, *_, mixture, shuffled = mean = np.mean(scores, axis=0)
    assert (np.diff(mean[:4]) < 0).all(), mean
    assert true - mixture > 0.03
    assert mixture > 0.8
    assert abs(shuffled - 0.5) < 0.03


def test_the_least_extreme_query_prefers_mixtures_which_is_why_it_is_not_the_default():
    rng = np.random.default_rng(0)
    z = latents(640, 60, 4, rng)
    embedding = stimuli_population(z + 0.5 * rng.standard_normal(z.shape))

    def mean(values, query):
        x = stimuli_population(values)
        scored = interpretability_scores(x, stimulus_similarity=embedding, n_tasks=100, query=query, **FEW)
        return float(scored["mis"].mean())

    assert mean(z, "most") > mean(mixed(z, 45), "most")
    assert mean(z, "least") < mean(mixed(z, 45), "least")


def test_other_half_of_the_units_finds_shared_signal_and_not_independent_noise():
    rng = np.random.default_rng(0)
    angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    preferred = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    tuned = np.exp(2 * np.cos(angle[:, None] - preferred)) + 0.5 * rng.standard_normal((200, 16))
    assert interpretability_scores(stimuli_population(tuned), **SMALL)["mis"].mean() > 0.95
    noise = interpretability_scores(stimuli_population(rng.standard_normal((200, 16))), **SMALL)
    assert abs(float(noise["mis"].mean()) - 0.5) < 0.08


def test_shared_noise_passes_for_signal_only_where_trials_are_averaged_first():
    held_out, leaked = [], []
    for seed in range(12):
        x = trials_of_noise(seed, shared=1.0)
        scored = interpretability_scores(x, random_state=seed, **SMALL)
        assert "one ranks, the other gives the similarities" in scored.attrs["split"]
        held_out.append(float(scored["mis"].mean()))
        with pytest.warns(
            EvidenceWarning, match="on the same trials, which were averaged before: noise that they share"
        ):
            leaked.append(float(interpretability_scores(population.average(x), **SMALL)["mis"].mean()))
    assert np.mean(leaked) > 0.75
    assert abs(np.mean(held_out) - 0.5) < 3 * np.std(held_out) / np.sqrt(12) + 0.01


def test_p_of_the_median_stays_calibrated_under_shared_noise():
    p = [
        float(
            interpretability_scores(
                trials_of_noise(seed, shared=2.0),
                random_state=seed,
                **SMALL | {"n_permutations": 39, "n_bootstraps": 1},
            )["mis_median_p"]
        )
        for seed in range(50)
    ]
    assert (np.array(p) <= 0.05).sum() <= stats.binom.ppf(0.995, 50, 0.05)


def test_a_unit_that_does_not_repeat_itself_scores_half_when_judged_on_other_trials():
    rng = np.random.default_rng(0)
    n, repeats = 120, 4
    signal, stimulus = rng.standard_normal(n), np.repeat(np.arange(n), repeats)
    reliable = signal[stimulus, None] + 0.3 * rng.standard_normal((n * repeats, 6))
    values = np.concatenate([reliable, rng.standard_normal((n * repeats, 6))], axis=1)
    x = from_arrays(values, dims=("trial", "unit"), stimulus=stimulus)
    truth = stimuli_population(np.stack([signal, signal**2], axis=1))
    scored = interpretability_scores(x, stimulus_similarity=truth, **SMALL | {"n_tasks": 40})
    assert scored.attrs["split"].endswith("one ranks, the other judges")
    assert (scored["mis"][:6] > 0.95).all()
    assert abs(float(scored["mis"][6:].mean()) - 0.5) < 0.1
    assert (scored["mis_p"][:6] < 0.06).all()


def test_similarity_from_the_same_trials_comes_from_those_that_do_not_rank():
    # Codes of trials whose similarity is the population they code: shared noise must not help here either.
    means = []
    for seed in range(12):
        x = trials_of_noise(seed, shared=1.0)
        codes = x[:, :6].rename(unit="atom")
        scored = interpretability_scores(codes, stimulus_similarity=x, random_state=seed, **SMALL)
        assert "on the trials that did not rank" in scored.attrs["similarity"]
        means.append(float(scored["mis"].mean()))
    assert abs(np.mean(means) - 0.5) < 3 * np.std(means) / np.sqrt(12) + 0.01


def blocks_of(x, similarity):
    """The blocks of three tasks, and the averages of both halves together."""
    profiles = read_profiles(x, "raise")
    judge = read_judge(profiles, None, similarity, "raise")
    return list(blocks(profiles, judge, 3, np.random.default_rng(0))), 2 * population.average(x).values


def test_one_half_of_the_trials_ranks_and_the_other_judges_by_a_similarity_from_elsewhere():
    x = trials_of_noise(0, shared=0.5, repeats=2)
    truth = stimuli_population(np.random.default_rng(0).standard_normal((100, 3)))
    found, both = blocks_of(x, truth)
    assert len(found) == 3
    assert not np.allclose(found[0].ranking, found[1].ranking)
    for block in found:
        np.testing.assert_allclose(block.judging, both - block.ranking, atol=1e-12)
        assert not np.allclose(block.judging, block.ranking)
        np.testing.assert_allclose(block.similarity.matrix, cosine_similarity(truth.values).matrix)


def test_one_half_of_the_trials_ranks_and_the_other_gives_the_similarity():
    x = trials_of_noise(0, shared=0.5, repeats=2)
    found, both = blocks_of(x.rename(unit="atom"), x)
    for block in found:
        np.testing.assert_array_equal(block.judging, block.ranking)
        np.testing.assert_allclose(block.similarity.matrix, cosine_similarity(both - block.ranking).matrix, atol=1e-9)


def test_other_units_on_other_trials_give_the_similarity():
    x = trials_of_noise(0, shared=0.5, repeats=2)
    found, both = blocks_of(x, None)
    for first, second in zip(found[0::2], found[1::2], strict=True):
        np.testing.assert_array_equal(np.sort([*first.columns, *second.columns]), np.arange(12))
        for mine, other in ((first, second), (second, first)):
            expected = cosine_similarity(both[:, other.columns] - other.ranking)
            np.testing.assert_allclose(mine.similarity.matrix, expected.matrix, atol=1e-9)
            np.testing.assert_array_equal(mine.judging, mine.ranking)


@pytest.mark.parametrize(("noise", "where"), [(2.0, (0.6, 0.9)), (0.8, (0.95, 0.99))])
def test_bootstrap_intervals_cover_the_score_of_fresh_stimuli(noise, where):
    scores, intervals = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        z = latents(400, 10, 2, rng)
        embedding = stimuli_population(z + noise * rng.standard_normal(z.shape))
        x = stimuli_population(z + 0.2 * rng.standard_normal(z.shape))
        scored = interpretability_scores(x, stimulus_similarity=embedding, n_permutations=1, n_bootstraps=60)
        scores.append(scored["mis"].values)
        intervals.append((scored["mis_low"].values, scored["mis_high"].values))
    target = np.mean(scores)
    assert where[0] < target < where[1]
    low, high = np.stack(intervals).transpose(1, 0, 2)
    covered = ((low <= target) & (target <= high)).mean()
    assert covered > 0.9  # 200 intervals; nominal .95
    assert 0.1 < (high - low).mean() < 0.7


# --- sparseness -----------------------------------------------------------------------------------------------------


def test_lifetime_sparseness_does_not_change_under_a_stimulus_shuffle_so_that_is_not_its_null():
    x, _ = noisy_world()
    rng = np.random.default_rng(1)
    shuffled = x.copy(data=rng.permuted(x.values, axis=0))
    before, after = (interpretability_scores(values, **SMALL) for values in (x, shuffled))
    for name in ("lifetime_sparseness", "hoyer_sparseness", "kurtosis"):
        np.testing.assert_allclose(before[name], after[name])
        assert "permuted" not in before[name].attrs["null"]
        assert (before[f"{name}_null"] < before[name]).all()


def test_sparse_latents_are_sparser_than_rotations_and_gaussian_noise_is_not():
    rng = np.random.default_rng(0)
    x = stimuli_population(latents(300, 50, 3, rng))
    assert (interpretability_scores(x, **SMALL | {"n_permutations": 99})["lifetime_sparseness_p"] <= 0.02).all()
    gaussian = stimuli_population(rng.standard_normal((200, 30)))
    scored = interpretability_scores(gaussian, **SMALL | {"n_permutations": 99})
    for name in ("hoyer_sparseness", "kurtosis"):
        assert stats.kstest(scored[f"{name}_p"], "uniform").pvalue > 1e-3


def test_nulls_of_rates_are_those_of_whole_rectified_rotations():
    rng = np.random.default_rng(0)
    z = latents(200, 12, 2, rng)
    rotated = [np.maximum(z @ stats.ortho_group.rvs(12, random_state=rng), 0) for _ in range(60)]
    scored = interpretability_scores(stimuli_population(z), **SMALL | {"n_permutations": 400})
    lifetime = np.nanmean([vinje_gallant(values) for values in rotated])
    one_sample = np.nanmean([vinje_gallant(values.T) for values in rotated])
    assert float(scored["lifetime_sparseness_null"].mean()) == pytest.approx(lifetime, abs=0.03)
    assert float(scored["population_sparseness_null"].mean()) == pytest.approx(one_sample, abs=0.03)


def test_flat_poisson_counts_are_not_sparser_than_their_null_and_tuned_ones_are():
    rng = np.random.default_rng(0)
    stimulus = np.repeat(np.arange(60), 5)
    tuning = np.ones((60, 40))
    tuning[rng.random((60, 40)) < 0.1] = 8.0
    tuning[:, :30] = 1.0
    counts = rng.poisson(tuning[stimulus])
    x = from_arrays(counts, dims=("trial", "unit"), stimulus=stimulus, quantity="spike count")
    scored = interpretability_scores(x, **SMALL | {"n_permutations": 99})
    assert "Poisson" in scored["lifetime_sparseness"].attrs["null"]
    p = scored["lifetime_sparseness_p"].values
    assert (p[:30] <= 0.05).sum() <= 5
    assert (p[30:] == 0.01).all()
    # A flat unit of mean 1 over 5 repeats has mean square 1 + 1/5, so S is near 1 - 1 / 1.2: all of it count noise.
    assert float(scored["lifetime_sparseness"][:30].mean()) == pytest.approx(1 - 1 / 1.2, abs=0.03)
    assert (scored["lifetime_sparseness_bias"][:30] > 0.05).all()
    relabelled = interpretability_scores(x.assign_attrs(quantity="firing rate"), **SMALL)
    assert "directions" in relabelled["lifetime_sparseness"].attrs["null"]
    assert relabelled["lifetime_sparseness_bias"].isnull().all()


def test_signed_profiles_keep_the_rows_and_say_why_they_are_empty():
    x, embedding = noisy_world()
    signed = x - x.mean("stimulus")
    scored = interpretability_scores(signed, stimulus_similarity=embedding, **SMALL)
    for name in ("lifetime_sparseness", "population_sparseness"):
        assert scored[name].isnull().all()
        assert scored[name].attrs["null"] == "none: undefined for signed profiles (8 of 8 are)"
    assert scored["hoyer_sparseness"].notnull().all()
    assert scored["kurtosis"].notnull().all()
    assert set(scored.data_vars) == set(interpretability_scores(x, stimulus_similarity=embedding, **SMALL).data_vars)
    assert set(summary(scored)) == set(summary(interpretability_scores(x, stimulus_similarity=embedding, **SMALL)))
    assert np.isnan(summary(scored)["lifetime_sparseness"])


# --- time -----------------------------------------------------------------------------------------------------------


def test_time_samples_are_kept_apart_and_scored_by_the_same_call():
    with pytest.warns(EvidenceWarning, match="in the same time bins"):
        scored = interpretability_scores(rhythms(3000, 8, smooth=5), **SMALL)
    assert scored["mis"].mean() > 0.9
    assert scored.attrs["tau"] == pytest.approx(10, rel=0.4)
    assert scored.attrs["interval"].startswith(
        f"95 % bootstrap over blocks of {int(np.ceil(2 * scored.attrs['tau']))} "
    )
    assert (scored["mis_p"] < 0.06).all()
    assert scored["population_sparseness"].dims == ("time",)


def test_a_recording_of_few_autocorrelation_times_is_undecidable():
    position = rhythms(600, 2, smooth=30, seed=1)
    scored = interpretability_scores(rhythms(600, 8, smooth=30), stimulus_similarity=position, **SMALL)
    assert scored.attrs["p_note"].startswith("undecidable: 600 samples are ")
    for name in ("mis_p", "mis_p_randomised", "mis_null", "mis_median_p"):
        assert scored[name].isnull().all()
    assert scored["mis"].notnull().any()


def test_independent_smooth_series_are_not_called_interpretable():
    p = []
    for seed in range(30):
        x, other = rhythms(1500, 4, smooth=4, seed=seed), rhythms(1500, 4, smooth=4, seed=1000 + seed)
        scored = interpretability_scores(
            x, stimulus_similarity=other, **SMALL | {"n_permutations": 39}, random_state=seed
        )
        p.append(float(scored["mis_p"][0]))
    assert (np.array(p) <= 0.05).sum() <= stats.binom.ppf(0.995, 30, 0.05)


# --- the similarity -------------------------------------------------------------------------------------------------


def test_pixels_matrix_and_embedding_agree_whatever_their_order():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (100, 4, 5)).astype(np.uint8)
    labels = np.array([f"image {i:03d}" for i in rng.permutation(100)])
    rows = images.reshape(100, -1).astype(float)
    x = stimuli_population(rows[:, :3] + rng.standard_normal((100, 3)), stimulus=labels)
    shuffle = rng.permutation(100)
    pixels = xr.DataArray(images, dims=("stimulus", "row", "column"), coords={"stimulus": labels})[shuffle]
    embedding = stimuli_population(rows, stimulus=labels)[shuffle]
    centred = rows - rows.mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    matrix = xr.DataArray(unit @ unit.T, dims=("stimulus", "other"), coords={"stimulus": labels, "other": labels})
    matrix = matrix[shuffle, shuffle]
    by_pixels = interpretability_scores(x, stimuli=pixels, stimulus_similarity="pixels", **SMALL)
    assert by_pixels["mis"].mean() > 0.6
    for similarity in (embedding, matrix, unit @ unit.T):
        scored = interpretability_scores(x, stimulus_similarity=similarity, **SMALL)
        np.testing.assert_allclose(scored["mis"], by_pixels["mis"])
    once = pixel_similarity(pixels)
    assert list(once["stimulus"].values) == list(pixels["stimulus"].values)
    reused = interpretability_scores(x, stimulus_similarity=once, **SMALL)
    np.testing.assert_allclose(reused["mis"], by_pixels["mis"])
    assert reused.attrs["similarity"] == by_pixels.attrs["similarity"]
    unlabelled = interpretability_scores(x, stimuli=images, stimulus_similarity="pixels", **SMALL)
    np.testing.assert_allclose(unlabelled["mis"], by_pixels["mis"])


def test_trials_in_any_order_and_units_in_any_order_give_the_same_sparseness_and_labels():
    rng = np.random.default_rng(0)
    x = trials_of_noise(0, shared=0.0).assign_coords(area=("unit", list("abcabcabcabc")))
    moved = x.isel(trial=rng.permutation(x.sizes["trial"]), unit=rng.permutation(12))
    first, second = interpretability_scores(x, **SMALL), interpretability_scores(moved, **SMALL)
    assert list(second["unit"].values) == list(moved["unit"].values)
    assert (second["area"] == moved["area"]).all()
    np.testing.assert_allclose(first["kurtosis"], second["kurtosis"].sel(unit=first["unit"]))


def test_near_duplicate_images_never_meet_and_are_counted():
    rng = np.random.default_rng(0)
    images = np.repeat(rng.random((60, 6, 6)), 2, axis=0) + 0.01 * rng.random((120, 6, 6))
    x = stimuli_population(rng.standard_normal((120, 5)) + np.repeat(rng.standard_normal((60, 5)), 2, axis=0))
    near = interpretability_scores(x, stimuli=images, stimulus_similarity="pixels", **SMALL)
    assert near.attrs["n_groups"] == 60
    assert near.attrs["interval"].startswith("95 % bootstrap over groups of near-duplicate stimuli")
    given = interpretability_scores(
        x, stimuli=images, stimulus_similarity="pixels", groups=np.repeat(np.arange(60), 2), **SMALL
    )
    xr.testing.assert_identical(near, given)
    # Pairs look alike and respond alike; were they to meet, the pixels would seem to explain the responses.
    split = interpretability_scores(
        x, stimuli=images, stimulus_similarity="pixels", groups=np.arange(120), **SMALL | {"n_tasks": 200}
    )
    near = interpretability_scores(x, stimuli=images, stimulus_similarity="pixels", **SMALL | {"n_tasks": 200})
    assert float(split["mis"].mean()) > float(near["mis"].mean()) + 0.03


def test_a_labelled_array_of_groups_is_brought_into_order():
    x, embedding = noisy_world()
    groups = xr.DataArray(np.arange(200) // 2, dims="stimulus", coords={"stimulus": np.arange(200)})
    rng = np.random.default_rng(0)
    first = interpretability_scores(x, stimulus_similarity=embedding, groups=groups, **SMALL)
    second = interpretability_scores(x, stimulus_similarity=embedding, groups=groups[rng.permutation(200)], **SMALL)
    xr.testing.assert_identical(first, second)


def test_a_population_that_judges_itself_is_warned_of():
    x, embedding = noisy_world()
    with pytest.warns(EvidenceWarning, match="holds 8 of the 8 profiles it is to judge, first 0"):
        interpretability_scores(x, stimulus_similarity=x, **SMALL)
    interpretability_scores(x.rename(unit="atom"), stimulus_similarity=embedding, **SMALL)


def test_the_result_is_deterministic_labelled_and_says_what_it_is():
    x, embedding = noisy_world()
    scored = interpretability_scores(x.rename(unit="atom"), stimulus_similarity=embedding, **SMALL)
    xr.testing.assert_identical(
        scored, interpretability_scores(x.rename(unit="atom"), stimulus_similarity=embedding, **SMALL)
    )
    assert scored["mis"].dims == ("atom",)
    assert scored["mis"].attrs["chance"] == 0.5
    assert all("direction" in scored[name].attrs for name in ("mis", "kurtosis", "population_sparseness"))
    assert (scored.attrs["n_samples"], scored.attrs["n_units"], scored.attrs["n_scored"]) == (200, 8, 8)
    assert "8 units of" in scored.attrs["similarity"]
    assert all(isinstance(value, str | int | float) for value in scored.attrs.values())
    row = summary(scored)
    assert row["mis"] == pytest.approx(float(np.median(scored["mis"])))
    assert row["mis_low"] <= row["mis"] <= row["mis_high"]
    assert row["mis_p"] == pytest.approx(0.05)


# --- inputs ---------------------------------------------------------------------------------------------------------


def test_constant_and_almost_silent_profiles_are_nan_and_counted():
    x, embedding = noisy_world()
    values = x.values.copy()
    values[:, 0] = 3.0
    values[:, 1] = 0.0
    values[:4, 2], values[4:, 2] = 1.0, 0.0
    scored = interpretability_scores(stimuli_population(values), stimulus_similarity=embedding, **SMALL)
    np.testing.assert_array_equal(scored["mis"].isnull(), [True] * 3 + [False] * 5)
    assert (scored.attrs["n_constant"], scored.attrs["n_not_asked"]) == (2, 1)
    assert scored["mis_p"][:3].isnull().all()
    silent = interpretability_scores(stimuli_population(np.zeros((200, 4))), stimulus_similarity=embedding, **SMALL)
    assert np.isnan(summary(silent)["mis"])
    assert np.isnan(summary(silent)["mis_p"])


def test_one_unit_is_scored_by_an_embedding_and_has_no_rotation():
    x, embedding = noisy_world()
    scored = interpretability_scores(x[:, :1], stimulus_similarity=embedding[:, 1:], **SMALL)
    assert scored["mis"].notnull().all()
    assert scored["lifetime_sparseness_p"].isnull().all()
    assert scored["hoyer_sparseness"].attrs["null"] == "none: one profile cannot be rotated"
    with pytest.raises(InputError, match="needs at least 4 units; profiles has 1"):
        interpretability_scores(x[:, :1], **SMALL)


def test_too_few_stimuli_say_how_many_are_needed():
    x, embedding = noisy_world(n=39)
    with pytest.raises(InputError, match="n_explanations=9 needs at least 40 stimuli .* has 39. Give more, or ask for"):
        interpretability_scores(x, stimulus_similarity=embedding)
    with pytest.raises(InputError, match="has 1. Give more"):
        interpretability_scores(x[:1], stimulus_similarity=embedding)
    interpretability_scores(x, stimulus_similarity=embedding, n_explanations=8, **FEW)


def test_nan_is_refused_or_left_out_with_a_count():
    x, embedding = noisy_world()
    holed = x.copy()
    holed[3, 2] = np.nan
    with pytest.raises(InputError, match="profiles has 1 NaN values in 1 of 200 samples, first at stimulus=3, unit=2"):
        interpretability_scores(holed, stimulus_similarity=embedding, **SMALL)
    with pytest.warns(DataWarning, match="those samples are left out"):
        scored = interpretability_scores(holed, stimulus_similarity=embedding, nan="drop", **SMALL)
    assert scored.attrs["n_samples"] == 199
    assert 3 not in scored["stimulus"].values
    x, other = rhythms(1500, 4, smooth=0), rhythms(1500, 4, smooth=0, seed=1)
    other[7, 0] = np.nan
    with pytest.warns(DataWarning, match="stimulus_similarity has 1 NaN"):
        scored = interpretability_scores(x, stimulus_similarity=other, nan="drop", **SMALL)
    assert scored.attrs["n_samples"] == 1499


def test_stimuli_with_one_trial_are_left_out_with_a_count():
    x = trials_of_noise(0, shared=0.0)
    with pytest.warns(DataWarning, match="1 of 100 stimuli have one trial and are left out"):
        scored = interpretability_scores(x[3:], **SMALL)
    assert scored.attrs["n_samples"] == 99
    once = interpretability_scores(x[::4], **SMALL)
    assert once.attrs["split"] == "none: ranked and judged on the same responses"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: {"profiles": x.values}, r"profiles needs dims \(stimulus, unit\).* got ndarray. Make one with"),
        (lambda x: {"profiles": x.rename(unit="neuron")}, r"got dims \('stimulus', 'neuron'\)"),
        (lambda x: {"profiles": x.expand_dims(time=[0.0], axis=1)}, r'reduce other dims first, as in x.mean\("time"\)'),
        (lambda x: {"profiles": x.rename(stimulus="trial")}, r"with a trial dim need a stimulus coord .* got coords"),
        (lambda x: {"profiles": x[:, :0]}, "profiles is empty"),
        (lambda x: {"profiles": x.rename(unit="atom"), "stimulus_similarity": None}, "as in stimulus_similarity=x"),
        (lambda x: {"stimulus_similarity": "mood"}, "stimulus_similarity='mood' is not known. Give 'pixels'"),
        (lambda x: {"stimulus_similarity": "pixels"}, "'pixels' needs stimuli="),
        (
            lambda x: {"stimulus_similarity": (x + 1).assign_coords(stimulus=x["stimulus"] + 2)},
            "stimulus_similarity lacks 2 of the 200 stimuli of profiles, first 0; it has 200, such as",
        ),
        (lambda x: {"stimulus_similarity": np.eye(7)}, r"of shape \(7, 7\) does not fit the 200 samples"),
        (
            lambda x: {"stimulus_similarity": np.ones((200, 3))},
            r"square .* got shape \(200, 3\) .*population.from_arrays",
        ),
        (
            lambda x: {"stimulus_similarity": np.full((200, 200), np.nan)},
            "40000 entries that are NaN or infinite, first at",
        ),
        (
            lambda x: {"stimulus_similarity": xr.DataArray(np.eye(200), {"stimulus": range(200), "b": range(1, 201)})},
            "other labels on its columns than on its rows",
        ),
        (
            lambda x: {"stimulus_similarity": rhythms(300, 4, 0)},
            r"with dims \('time', 'unit'\) does not have the samples",
        ),
        (
            lambda x: {"stimuli": np.ones((7, 4, 4)), "stimulus_similarity": "pixels"},
            r"unlabelled stimuli of shape \(7, 4, 4\)",
        ),
        (
            lambda x: {"stimuli": np.full((200, 4, 4), np.nan), "stimulus_similarity": "pixels"},
            "stimuli must be finite images",
        ),
        (
            lambda x: {"stimuli": xr.DataArray(np.ones((200, 4, 4)), dims=("image", "row", "column"))},
            "stimuli needs a labelled dim stimulus first; got dims",
        ),
        (
            lambda x: {
                "stimuli": xr.DataArray(np.ones((9, 4, 4)), {"stimulus": range(9)}, ("stimulus", "row", "column")),
                "stimulus_similarity": "pixels",
            },
            "stimuli lacks 191 of the 200 stimuli",
        ),
        (
            lambda x: {"groups": xr.DataArray(np.arange(3), {"stimulus": range(3)}, "stimulus")},
            "groups lacks 197 of the 200 stimuli of profiles, first 3",
        ),
        (lambda x: {"groups": np.arange(3)}, r"groups needs one label for each of the 200 stimuli; got shape \(3,\)"),
        (lambda x: {"n_permutations": 0}, "n_permutations must be a whole number of at least 1; got 0"),
        (lambda x: {"n_bootstraps": 0.5}, "n_bootstraps must be a whole number of at least 1; got 0.5"),
        (lambda x: {"nan": "mask"}, "nan must be 'raise' or 'drop'; got 'mask'"),
    ],
)
def test_wrong_inputs_say_what_to_do(change, message):
    x, embedding = noisy_world()
    with pytest.raises(InputError, match=message):
        interpretability_scores(**{"profiles": x, "stimulus_similarity": embedding} | change(x))


def test_time_profiles_refuse_what_is_labelled_by_stimulus():
    x = rhythms(600, 4, 0)
    _, embedding = noisy_world()
    with pytest.raises(InputError, match="stimulus_similarity is labelled by stimulus, but profiles has time samples"):
        interpretability_scores(x, stimulus_similarity=embedding, **SMALL)
    with pytest.raises(InputError, match="groups are for stimuli"):
        interpretability_scores(x, stimulus_similarity=rhythms(600, 4, 0, 1), groups=np.arange(600), **SMALL)
    with pytest.raises(InputError, match="needs at least 20 times"):
        interpretability_scores(x[:12], stimulus_similarity=rhythms(600, 4, 0, 1)[:12], **SMALL)


def test_unlabelled_images_do_not_go_with_trials():
    with pytest.raises(InputError, match="cannot be told apart"):
        interpretability_scores(trials_of_noise(0, 0.0), stimuli=np.ones((100, 3, 3)), stimulus_similarity="pixels")


def test_quiet_inputs_are_quiet():
    x, embedding = noisy_world()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        interpretability_scores(x, **SMALL)
        interpretability_scores(trials_of_noise(0, 0.0), **SMALL)
        interpretability_scores(x, stimulus_similarity=embedding, **SMALL)
