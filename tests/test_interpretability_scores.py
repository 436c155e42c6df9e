"""The choice of scores at the front door: what each needs, what it finds, and that only what is asked is paid for."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from neurosparse import interpretability_scores, population
from neurosparse.backend.psychophysics import cosine_similarity
from neurosparse.errors import InputError
from neurosparse.interpretability import summary
from neurosparse.interpretability.about import ABOUT, DEFAULT
from neurosparse.population import from_arrays

SMALL = {"n_explanations": 4, "quantile": 0.1, "n_permutations": 19, "n_bootstraps": 20}
FEW = SMALL | {"n_permutations": 1, "n_bootstraps": 1}
BY_STIMULI = ("mis", "soft_mis", "monosemanticity", "intrusion", "index_v1", "dprime", "auc")


def latents(n, n_latents, n_active, rng):
    z = np.zeros((n, n_latents))
    active = np.argsort(rng.random((n, n_latents)), axis=1)[:, :n_active]
    np.put_along_axis(z, active, rng.exponential(1, active.shape) + 0.2, axis=1)
    return z


def stimuli_population(values, **kwargs):
    return from_arrays(values, dims=("stimulus", "unit"), **kwargs)


def mixed(z, degrees):
    angle = np.deg2rad(degrees)
    a, b = z[:, 0::2], z[:, 1::2]
    return np.concatenate([np.cos(angle) * a + np.sin(angle) * b, np.sin(angle) * a + np.cos(angle) * b], axis=1)


def world(seed, n=600, n_latents=12, n_active=2):
    rng = np.random.default_rng(seed)
    z = latents(n, n_latents, n_active, rng)
    return z, stimuli_population(z + 0.5 * rng.standard_normal(z.shape)), z.argmax(axis=1), rng


def turning(seed=0, n=3000, n_units=6):
    """Head-direction cells and a cell that does not care, over a smooth walk of the angle."""
    rng = np.random.default_rng(seed)
    angle = np.mod(np.cumsum(0.4 * rng.standard_normal(n)), 2 * np.pi)
    preferred = np.linspace(0, 2 * np.pi, n_units, endpoint=False)
    rate = np.exp(2 * np.cos(angle[:, None] - preferred))
    rate[:, -1] = 1.0
    return from_arrays(rng.poisson(rate), dims=("time", "unit"), bin_width=0.1, quantity="spike count"), angle


# --- the planted truth ----------------------------------------------------------------------------------------------


def test_every_score_ranks_latents_above_mixtures_above_rotations_above_shuffled_in_the_mean():
    means = []
    for seed in range(4):
        z, embedding, labels, rng = world(seed, 900, 30, 3)
        rotated = np.maximum(z @ stats.ortho_group.rvs(z.shape[1], random_state=rng), 0)
        row = []
        for values in (z, mixed(z, 22), mixed(z, 45), rotated, z[rng.permutation(len(z))]):
            scored = interpretability_scores(
                stimuli_population(values),
                scores=BY_STIMULI,
                stimulus_similarity=embedding,
                labels=labels,
                n_tasks=60,
                n_permutations=1,
                n_bootstraps=1,
            )
            row.append([float(scored[name].mean()) for name in BY_STIMULI])
        means.append(row)
    mean = np.mean(means, axis=0)  # (world made of, score)
    for place, name in enumerate(BY_STIMULI):
        assert (np.diff(mean[:, place]) < 0).all(), (name, mean[:, place])
    for name, chance in (("mis", 0.5), ("soft_mis", 0.5), ("intrusion", 0.2), ("dprime", 0.0), ("auc", 0.5)):
        assert mean[-1, BY_STIMULI.index(name)] == pytest.approx(chance, abs=0.08)


def test_the_nulls_say_what_shuffled_profiles_score():
    z, embedding, labels, rng = world(0)
    names = ("soft_mis", "monosemanticity", "intrusion", "index_v1", "dprime", "class_contrast", "auc")
    given = {"scores": names, "stimulus_similarity": embedding, "labels": labels}
    true = interpretability_scores(stimuli_population(z), **given, **SMALL | {"n_permutations": 40})
    again = [
        interpretability_scores(stimuli_population(z[rng.permutation(600)]), **given, **FEW | {"random_state": seed})
        for seed in range(12)
    ]
    for name in names:
        shuffled = np.array([scored[name].mean() for scored in again])
        error = shuffled.std() / np.sqrt(12) + 0.01
        assert abs(shuffled.mean() - float(true[f"{name}_null"].mean())) < 4 * error, name
        assert (true[f"{name}_p"] <= 0.05).mean() > 0.9, name
        assert float(true[f"{name}_median_p"]) <= 0.05


def test_p_values_of_the_new_scores_are_calibrated_for_noise():
    names = ("soft_mis", "monosemanticity", "index_v1", "auc")
    p = {name: [] for name in names}
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x, embedding = (stimuli_population(rng.standard_normal((90, 5))) for _ in range(2))
        scored = interpretability_scores(
            x,
            scores=names,
            stimulus_similarity=embedding,
            labels=rng.integers(0, 3, 90),
            random_state=seed,
            **SMALL | {"n_permutations": 39, "n_bootstraps": 1, "n_tasks": 5},
        )
        for name in names:
            p[name] += scored[f"{name}_p"].values.tolist()
    for name in names:
        below = (np.array(p[name]) <= 0.05).sum()
        assert stats.binom.ppf(0.001, 300, 0.05) <= below <= stats.binom.ppf(0.999, 300, 0.05), (name, below)


def test_intervals_of_the_new_scores_cover_the_score_of_fresh_stimuli():
    names = ("monosemanticity", "intrusion", "auc", "dprime")
    scores, intervals = [], []
    for seed in range(16):
        z, embedding, labels, _ = world(seed, n=300, n_latents=8)
        scored = interpretability_scores(
            stimuli_population(z),
            scores=names,
            stimulus_similarity=embedding,
            labels=labels,
            **SMALL | {"n_permutations": 1, "n_bootstraps": 100},
        )
        scores.append([scored[name].mean() for name in names])
        intervals.append([(scored[f"{name}_low"], scored[f"{name}_high"]) for name in names])
    target, ends = np.mean(scores, axis=0), np.array(intervals)  # (world, score, end, unit)
    covered = ((ends[:, :, 0] <= target[:, None]) & (target[:, None] <= ends[:, :, 1])).mean(axis=(0, 2))
    assert (covered > 0.85).all(), covered


def test_head_direction_cells_say_where_the_head_points_and_the_others_do_not():
    x, angle = turning()
    names = ("information", "stability", "direction_length")
    scored = interpretability_scores(x, scores=names, covariate=angle, period=2 * np.pi, **SMALL)
    # A von Mises cell of kappa 2: I1(2) / I0(2) = .698.
    np.testing.assert_allclose(scored["direction_length"][:5], 0.698, atol=0.05)
    assert (scored["stability"][:5] > 0.9).all()
    for name in names:
        assert (scored[f"{name}_p"][:5] <= 0.05).all()
        assert (scored[name][:5] > scored[name][5] + 0.3).all()
    assert scored["information"][5] < 0.05
    # Count noise alone makes bits: (bins - 1) / (2 ln 2 x spikes).
    assert float(scored["information_null"][5]) == pytest.approx(19 / (2 * np.log(2) * float(x[:, 5].sum())), rel=0.2)
    assert "circular shifts of the covariate" in scored["information"].attrs["null"]


def test_a_covariate_that_was_not_always_observed_uses_what_was():
    x, angle = turning()
    holed = np.where(np.arange(3000) < 500, np.nan, angle)
    given = {"scores": "direction_length", "period": 2 * np.pi}
    first = interpretability_scores(x, covariate=holed, **given, **FEW)
    second = interpretability_scores(x[500:], covariate=angle[500:], **given, **FEW)
    np.testing.assert_allclose(first["direction_length"], second["direction_length"])


def test_reliability_is_that_of_the_population_room_and_codes_of_atoms_have_one_too():
    rng = np.random.default_rng(0)
    stimulus = np.repeat(np.arange(150), 4)
    signal = rng.standard_normal((150, 10)) * np.linspace(0, 2, 10)
    x = from_arrays(signal[stimulus] + rng.standard_normal((600, 10)), dims=("trial", "unit"), stimulus=stimulus)
    scored = interpretability_scores(x, scores="reliability", **SMALL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = population.reliability(x)["reliability"]
    np.testing.assert_allclose(scored["reliability"][3:], expected[3:], atol=0.03)
    assert scored["reliability_p"][0] > 0.05
    assert (scored["reliability_p"][4:] <= 0.05).all()
    codes = interpretability_scores(x.rename(unit="atom"), scores="reliability", **SMALL)
    np.testing.assert_array_equal(codes["reliability"], scored["reliability"])


def test_scores_from_the_same_trials_do_not_see_shared_noise():
    rng = np.random.default_rng(0)
    means = {"monosemanticity": [], "intrusion": []}
    for _ in range(8):
        gain = rng.standard_normal((400, 1)) * rng.standard_normal(12)
        x = from_arrays(
            gain + rng.standard_normal((400, 12)), dims=("trial", "unit"), stimulus=np.repeat(np.arange(100), 4)
        )
        scored = interpretability_scores(x, scores=tuple(means), **FEW)
        for name in means:
            means[name].append(float((scored[name] - scored[f"{name}_null"]).mean()))
    for name, excess in means.items():
        assert abs(np.mean(excess)) < 3 * np.std(excess) / np.sqrt(8) + 0.01, name


# --- the choice -----------------------------------------------------------------------------------------------------


def test_only_what_is_asked_for_is_there_and_is_the_same_as_before():
    z, embedding, _, _ = world(0, n=200)
    x = stimuli_population(z)
    usual = interpretability_scores(x, stimulus_similarity=embedding, **SMALL)
    assert usual.attrs["scores"].split(", ") == list(DEFAULT)
    assert not any(f"{name}_median" in usual for name in set(ABOUT) - set(DEFAULT))
    alone = interpretability_scores(x, scores="mis", stimulus_similarity=embedding, **SMALL)
    xr.testing.assert_identical(alone["mis"], usual["mis"])
    assert set(summary(alone)) == {"mis", "mis_low", "mis_high", "mis_null", "mis_p"}
    # Sparseness asks nothing of the stimuli, so codes of atoms need no similarity for it.
    sparse = interpretability_scores(x.rename(unit="atom"), scores=["hoyer_sparseness"], **SMALL)
    assert set(sparse.data_vars) == {name for name in usual.data_vars if name.startswith("hoyer")}
    assert "similarity" not in sparse.attrs


def test_all_means_all_that_can_be_had():
    z, embedding, labels, _ = world(0, n=200)
    x = stimuli_population(z)
    plain = interpretability_scores(x, scores="all", stimulus_similarity=embedding, **FEW).attrs["scores"].split(", ")
    assert set(plain) == {name for name in ABOUT if "needs" not in ABOUT[name]} - {"index_v2"}
    given = {"labels": labels, "covariate": labels, "period": 12.0}
    more = interpretability_scores(x, scores="all", stimulus_similarity=embedding, **given, **FEW)
    assert set(more.attrs["scores"].split(", ")) == set(ABOUT) - {"index_v2", "reliability"}
    assert all(more[name].attrs["blind_to"] for name in more.attrs["scores"].split(", "))


def test_index_v2_is_asked_of_eight_hundred_stimuli():
    rng = np.random.default_rng(0)
    values = rng.standard_normal((820, 3))
    x, embedding = stimuli_population(values), stimuli_population(values + 0.5 * rng.standard_normal((820, 3)))
    scored = interpretability_scores(x, scores="index_v2", stimulus_similarity=embedding, **SMALL)
    assert (scored["index_v2"] > 0.6).all()
    assert (scored["index_v2_low"] < scored["index_v2"]).all()
    assert (scored["index_v2_p"] <= 0.05).all()
    with pytest.raises(InputError, match="index_v2 needs at least 800 stimuli"):
        interpretability_scores(x[:700], scores="index_v2", stimulus_similarity=embedding, **SMALL)


@pytest.mark.parametrize("device", ["auto", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_the_device_gives_the_numbers_of_the_cpu(device):
    z, embedding, labels, _ = world(0, n=200)
    given = {"stimulus_similarity": embedding, "labels": labels, "covariate": labels, "period": 12.0}
    names = ("monosemanticity", "dprime", "class_contrast", "auc", "information", "stability", "direction_length")
    first, second = (
        interpretability_scores(stimuli_population(z), scores=names, device=place, **given, **SMALL)
        for place in ("cpu", device)
    )
    for name in first.data_vars:
        np.testing.assert_allclose(first[name], second[name], rtol=1e-4, atol=1e-5, err_msg=name)
    with pytest.raises(InputError, match="device needs 'auto', 'cpu', 'cuda'"):
        interpretability_scores(stimuli_population(z), scores=names, device="abacus", **given, **FEW)


def test_profiles_are_measured_some_at_a_time_with_the_same_result(monkeypatch):
    z, _, labels, _ = world(0, n=200)
    names = ("dprime", "class_contrast", "auc")
    whole = interpretability_scores(stimuli_population(z), scores=names, labels=labels, **SMALL)
    monkeypatch.setattr("neurosparse.interpretability.labelled._PROFILES", 11)  # eleven, and the last one
    monkeypatch.setattr("neurosparse.backend.psychophysics.selectivity._CHUNK", 1)
    xr.testing.assert_allclose(
        whole, interpretability_scores(stimuli_population(z), scores=names, labels=labels, **SMALL), atol=1e-5
    )


def test_near_duplicates_are_resampled_together():
    # Every stimulus is there twice: the interval is that of half as many, wider by the root of two.
    x = stimuli_population(np.repeat(np.random.default_rng(0).exponential(size=(60, 30)), 2, axis=0))
    asked = {"scores": ("hoyer_sparseness", "kurtosis"), "n_permutations": 1, "n_bootstraps": 400}
    together = interpretability_scores(x, groups=np.repeat(np.arange(60), 2), **asked)
    apart = interpretability_scores(x, **asked)
    for name in asked["scores"]:
        width = [float((found[f"{name}_high"] - found[f"{name}_low"]).mean()) for found in (together, apart)]
        assert width[0] / width[1] == pytest.approx(np.sqrt(2), rel=0.12), name


def test_what_a_stimulus_is_to_itself_does_not_count():
    z, embedding, _, rng = world(0, n=200)
    matrix = cosine_similarity(embedding.values).matrix
    names = ("mis", "monosemanticity", "intrusion", "index_v1")
    first, second = (
        interpretability_scores(stimuli_population(z), scores=names, stimulus_similarity=each, **FEW)
        for each in (matrix, matrix + np.diag(rng.uniform(-9, 9, 200)))
    )
    for name in names:
        np.testing.assert_allclose(first[name], second[name], err_msg=name)


def test_the_slope_is_reported():
    z, embedding, _, _ = world(0, n=200)
    x = stimuli_population(z)
    told = interpretability_scores(x, scores="soft_mis", stimulus_similarity=embedding, alpha=3.0, **FEW)
    assert told.attrs["alpha"] == 3.0
    assert "mis" not in told
    # Found from the similarity, it does not depend on the unit in which that is measured.
    matrix = cosine_similarity(embedding.values).matrix
    assert matrix is not None
    cosine, hundredths = (
        interpretability_scores(x, scores="soft_mis", stimulus_similarity=scale * matrix, **FEW) for scale in (1, 100)
    )
    assert cosine.attrs["alpha"] == pytest.approx(100 * hundredths.attrs["alpha"])
    np.testing.assert_allclose(cosine["soft_mis"], hundredths["soft_mis"])
    assert 0.6 < cosine["soft_mis"].mean() < 0.95


def test_signed_profiles_have_no_contrast_no_information_and_no_direction():
    z, embedding, labels, _ = world(0, n=200)
    x = stimuli_population(z - z.mean(axis=0))
    scored = interpretability_scores(
        x, scores="all", stimulus_similarity=embedding, labels=labels, covariate=labels, period=12.0, **FEW
    )
    for name in ("class_contrast", "information", "direction_length", "lifetime_sparseness"):
        assert scored[name].isnull().all()
        assert scored[name].attrs["null"] == "none: undefined for signed profiles (12 of 12 are)"
    for name in ("dprime", "auc", "stability", "monosemanticity"):
        assert scored[name].notnull().all()


def test_labels_and_covariates_are_brought_into_order():
    z, _, labels, rng = world(0, n=200)
    x = stimuli_population(z)
    order = rng.permutation(200)
    named = xr.DataArray(labels, {"stimulus": np.arange(200)}, "stimulus")[order]
    for name in ("auc", "stability"):
        given = {"labels" if name == "auc" else "covariate": labels}
        moved = dict.fromkeys(given, named)
        first = interpretability_scores(x, scores=name, **given, **SMALL)
        xr.testing.assert_identical(first, interpretability_scores(x, scores=name, **moved, **SMALL))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"scores": "interest"}, "scores must be 'all' or names out of mis, .*; got 'interest'"),
        ({"scores": []}, r"scores must be 'all' .* got \[\]"),
        ({"scores": 3}, "scores must be 'all' .* got 3"),
        ({"scores": ["auc"]}, "auc needs labels=, a class for each stimulus. Give it, or leave auc out"),
        ({"scores": "information"}, "information needs covariate="),
        ({"scores": "direction_length", "covariate": np.arange(200)}, "needs covariate= and its period="),
        ({"scores": "reliability"}, r"reliability needs profiles with dims \(trial, unit\) and at least two trials"),
        ({"scores": "auc", "labels": np.arange(7)}, r"labels needs one label for each of the 200 stimuli; got shape"),
        ({"scores": "auc", "labels": np.zeros((200, 2))}, "one class a sample; got shape .* Score one concept"),
        ({"scores": "auc", "labels": np.zeros(200)}, "at least two classes .* got 1 classes"),
        ({"scores": "auc", "labels": np.arange(200) // 3}, "the smallest .* with 2 stimuli in 2 groups. Merge or drop"),
        ({"scores": "stability", "covariate": np.full(200, np.nan)}, "observed on fewer than 3 samples"),
        ({"scores": "stability", "covariate": np.full(200, "a")}, r"covariate needs numbers .* got shape \(200,\)"),
        ({"scores": "stability", "covariate": np.arange(200), "period": -1}, "period is that of a circular"),
    ],
)
def test_wrong_requests_say_what_to_do(given, message):
    z, embedding, _, _ = world(0, n=200)
    with pytest.raises(InputError, match=message):
        interpretability_scores(stimuli_population(z), stimulus_similarity=embedding, **{**FEW, **given})


def test_a_covariate_of_other_times_is_refused():
    x, angle = turning(n=600)
    other = xr.DataArray(angle, {"time": x["time"].values + 0.05}, "time")
    with pytest.raises(InputError, match="covariate has other times than profiles. Interpolate"):
        interpretability_scores(x, scores="stability", covariate=other, **FEW)


def test_a_bar_is_shown_on_request(capsys):
    z, embedding, _, _ = world(0, n=200)
    interpretability_scores(stimuli_population(z), stimulus_similarity=embedding, progress=True, **FEW)
    assert "interpretability" in capsys.readouterr().err
    interpretability_scores(stimuli_population(z), stimulus_similarity=embedding, **FEW)
    assert capsys.readouterr().err == ""
