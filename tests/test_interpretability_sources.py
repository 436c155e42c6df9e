"""Where similarities come from: Gabor energy, labels, behaviour, halves of units, and never the code itself."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from neurosparse import interpretability_scores
from neurosparse.backend.psychophysics import cosine_similarity, gabor_energy
from neurosparse.errors import EvidenceWarning, InputError
from neurosparse.interpretability import unit_half_scores
from neurosparse.interpretability.similarity.own import held_out_share
from neurosparse.population import from_arrays

SMALL = {"n_explanations": 4, "quantile": 0.1, "n_permutations": 19, "n_bootstraps": 5}


def stimuli_population(values, **kwargs):
    return from_arrays(values, dims=("stimulus", "unit"), **kwargs)


def gratings(angles, phases, cycles=4, size=32):
    row, column = np.mgrid[:size, :size] / size
    along = np.cos(angles)[:, None, None] * column + np.sin(angles)[:, None, None] * row
    return np.cos(2 * np.pi * cycles * along + np.asarray(phases)[:, None, None])


def test_gabor_energy_knows_orientation_scale_and_place_and_not_phase():
    energy = gabor_energy(gratings(np.zeros(2), [0.0, np.pi]))
    np.testing.assert_allclose(energy[0], energy[1], rtol=1e-9)
    assert cosine_similarity(gratings(np.zeros(2), [0.0, np.pi]).reshape(2, -1)).matrix[0, 1] == pytest.approx(-1)
    found = gabor_energy(gratings(np.pi * np.arange(6) / 6, np.zeros(6)), n_parts=1).reshape(6, -1, 6)
    np.testing.assert_array_equal(found.sum(axis=1).argmax(axis=1), np.arange(6))
    scales = [
        gabor_energy(gratings(np.zeros(1), [0.3], cycles), n_parts=1).reshape(-1, 6)[:, 0] for cycles in (8, 4, 2)
    ]
    np.testing.assert_array_equal([each.argmax() for each in scales], [0, 1, 2])
    corner = np.zeros((1, 32, 32))
    corner[0, :8, 24:] = gratings(np.zeros(1), [0.0])[0, :8, 24:]
    assert gabor_energy(corner)[0].reshape(-1, 4, 4).sum(axis=0).argmax() == 3


def test_units_that_are_blind_to_phase_are_understood_by_gabor_energy_and_not_by_pixels():
    rng = np.random.default_rng(0)
    angles, phases = rng.uniform(0, np.pi, 200), rng.uniform(0, 2 * np.pi, 200)
    images = gratings(angles, phases) + 0.1 * rng.standard_normal((200, 32, 32))
    x = stimuli_population(np.exp(2 * np.cos(2 * (angles[:, None] - np.pi * np.arange(4) / 4))))
    given = {"stimuli": images, "groups": np.arange(200), "scores": "mis"}
    gabor = interpretability_scores(x, stimulus_similarity="gabor", **given, **SMALL)
    pixels = interpretability_scores(x, stimulus_similarity="pixels", **given, **SMALL)
    assert (gabor["mis"] > 0.95).all()
    assert pixels["mis"].mean() < gabor["mis"].mean() - 0.1
    coloured = interpretability_scores(
        x, stimulus_similarity="gabor", **given | {"stimuli": np.repeat(images[..., None], 3, axis=-1)}, **SMALL
    )
    np.testing.assert_allclose(coloured["mis"], gabor["mis"])


def test_labels_and_behaviour_as_similarity():
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 4, 200)
    x = stimuli_population((classes[:, None] == np.arange(4)) + 0.1 * rng.random((200, 4)))
    scored = interpretability_scores(x, stimulus_similarity="labels", labels=classes, scores="intrusion", **SMALL)
    assert (scored["intrusion"] > 0.95).all()
    angle = rng.uniform(0, 2 * np.pi, 300)
    tuned = stimuli_population(np.exp(np.cos(angle[:, None] - np.arange(4))))
    position = rng.random((300, 2))
    placed = stimuli_population(np.exp(-8 * ((position[:, None] - rng.random((1, 4, 2))) ** 2).sum(axis=2)))
    for profiles, given in ((tuned, {"covariate": angle, "period": 2 * np.pi}), (placed, {"covariate": position})):
        scored = interpretability_scores(profiles, stimulus_similarity="covariate", scores="mis", **given, **SMALL)
        assert (scored["mis"] > 0.95).all()
        noise = stimuli_population(rng.standard_normal((300, 20)))
        scored = interpretability_scores(noise, stimulus_similarity="covariate", scores="mis", **given, **SMALL)
        assert abs(float(scored["mis"].mean()) - 0.5) < 0.08


# --- the code itself ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda x: x.rename(unit="atom").assign_coords(atom=np.arange(100, 106)),
        lambda x: -2 * x[:, ::-1] + 3,
        lambda x: cosine_similarity(x.values).matrix,
        lambda x: (
            (x.values / np.linalg.norm(x.values, axis=1, keepdims=True))
            @ (x.values / np.linalg.norm(x.values, axis=1, keepdims=True)).T
        ),
        lambda x: x.values @ x.values.T,
    ],
)
def test_a_code_that_judges_itself_is_warned_of_under_any_name(make):
    x = stimuli_population(np.random.default_rng(0).exponential(size=(100, 6)))
    with pytest.warns(EvidenceWarning, match="profiles (that )?it is to judge"):
        interpretability_scores(x, stimulus_similarity=make(x), **SMALL)


def test_some_of_the_profiles_among_other_features_are_found_and_counted():
    rng = np.random.default_rng(0)
    x = stimuli_population(rng.exponential(size=(100, 6)))
    features = np.column_stack([rng.standard_normal((100, 5)), -3 * x.values[:, 4] + 1, x.values[:, 2]])
    with pytest.warns(EvidenceWarning, match="holds 2 of the 6 profiles it is to judge, first 2: a profile counts"):
        interpretability_scores(x, stimulus_similarity=stimuli_population(features), scores="monosemanticity", **SMALL)


def test_a_likeness_from_elsewhere_is_not_warned_of():
    rng = np.random.default_rng(0)
    x = stimuli_population(rng.exponential(size=(100, 6)))
    noisy = x.values + 0.5 * rng.standard_normal((100, 6))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for similarity in (stimuli_population(noisy), noisy @ noisy.T, np.ones((100, 100))):
            interpretability_scores(x, stimulus_similarity=similarity, scores="monosemanticity", **SMALL)


@pytest.mark.parametrize("as_matrix", [False, True])
def test_a_linear_image_of_the_code_is_warned_of_and_the_share_is_told(as_matrix):
    rng = np.random.default_rng(0)
    x = stimuli_population(rng.exponential(size=(100, 6)))
    image = x.values @ rng.standard_normal((6, 9)) + 3.0
    noisy = image + 0.3 * image.std() * rng.standard_normal(image.shape)
    other = rng.standard_normal((100, 9))

    def asked(features):
        given = features @ features.T if as_matrix else stimuli_population(features)
        scored = interpretability_scores(x, stimulus_similarity=given, scores="monosemanticity", **SMALL)
        return scored.attrs["similarity_from_profiles"]

    with pytest.warns(EvidenceWarning, match="is a linear image of the profiles .* says nothing that") as caught:
        assert asked(image) == pytest.approx(1, abs=1e-9)
    assert [Path(warning.filename).name for warning in caught] == [Path(__file__).name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert 0.5 < asked(noisy) < 0.99
        assert asked(other) < 0.2


def test_the_share_is_held_out_and_not_told_where_samples_are_few():
    rng = np.random.default_rng(0)
    values, features = rng.standard_normal((90, 29)), rng.standard_normal((90, 3))
    assert held_out_share(values, features) < 0  # 30 numbers fitted to 45 samples: in sample it would be two thirds
    assert np.isnan(held_out_share(values[:89], features[:89]))
    assert np.isnan(held_out_share(values, np.ones((90, 3))))
    with_a_constant = np.column_stack([values[:, :5], np.ones(90), np.zeros(90), 2 * values[:, 0]])
    assert held_out_share(with_a_constant, values[:, :5] @ rng.standard_normal((5, 4))) == pytest.approx(1)


def test_warnings_point_at_who_called():
    x = stimuli_population(np.random.default_rng(0).exponential(size=(100, 6)))
    timed = from_arrays(x.values, dims=("time", "unit"), bin_width=0.1)
    for profiles, similarity in ((x, x), (x, cosine_similarity(x.values).matrix), (timed, None)):
        with pytest.warns(EvidenceWarning) as caught:
            interpretability_scores(profiles, stimulus_similarity=similarity, scores="monosemanticity", **SMALL)
        assert {Path(warning.filename).name for warning in caught} == {Path(__file__).name}


# --- halves of units ------------------------------------------------------------------------------------------------


def directions(x):
    """A stand-in for a dictionary: leading directions of these units, signs as they come."""
    centred = x.values - x.values.mean(axis=0)
    _, _, right = np.linalg.svd(centred, full_matrices=False)
    return from_arrays(centred @ right[:3].T, dims=(x.dims[0], "unit"), **_samples(x)).rename(unit="atom")


def _samples(x):
    return {"stimulus": x["stimulus"].values} if x.dims[0] == "trial" else {}


def trials(shared, signal, seed=0):
    rng = np.random.default_rng(seed)
    stimulus = np.repeat(np.arange(100), 4)
    values = signal * (rng.standard_normal((100, 2)) @ rng.standard_normal((2, 16)))[stimulus]
    values = values + shared * rng.standard_normal((400, 1)) * rng.standard_normal(16) + rng.standard_normal((400, 16))
    return from_arrays(values, dims=("trial", "unit"), stimulus=stimulus)


def test_atoms_of_one_half_are_understood_by_the_other_where_there_is_signal_and_not_by_shared_noise():
    given = {"n_splits": 2, "scores": "mis", "n_tasks": 40, **SMALL}
    assert unit_half_scores(trials(0.0, 2.0), directions, **given)["mis_mean"] > 0.8
    noise = [
        float(unit_half_scores(trials(2.0, 0.0, s), directions, **given | {"n_tasks": 10})["mis_mean"])
        for s in range(6)
    ]
    assert abs(np.mean(noise) - 0.5) < 3 * np.std(noise) / np.sqrt(6) + 0.02
    found = unit_half_scores(trials(0.0, 2.0), directions, **given)
    assert found.sizes["half"] == 4
    np.testing.assert_allclose(found["mis_mean"], found["mis"].mean())


def test_learners_see_one_half_and_each_unit_is_in_one():
    seen = []

    def learn(part):
        seen.append(part["unit"].values.tolist())
        return directions(part)

    unit_half_scores(trials(0.0, 1.0), learn, n_splits=1, scores="monosemanticity", **SMALL)
    assert sorted(seen[0] + seen[1]) == list(range(16))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"stimulus_similarity": "gabor"}, "'gabor' needs stimuli="),
        ({"stimulus_similarity": "labels"}, "'labels' needs labels="),
        ({"stimulus_similarity": "covariate"}, "'covariate' needs covariate="),
        (
            {"stimulus_similarity": "covariate", "covariate": np.where(np.arange(100) < 9, np.nan, 1.0)},
            "covariate was not observed on 9 of 100 samples, which have no similarity. Select",
        ),
    ],
)
def test_sources_say_what_they_need(given, message):
    x = stimuli_population(np.random.default_rng(0).random((100, 6)))
    with pytest.raises(InputError, match=message):
        interpretability_scores(x, **given, **SMALL)


def test_too_many_distances_are_refused():
    x = stimuli_population(np.random.default_rng(0).random((4001, 4)))
    with pytest.raises(InputError, match="distances of 4001 samples do not fit; at most 4000 without a period"):
        interpretability_scores(x, stimulus_similarity="covariate", covariate=np.arange(4001.0), **SMALL)


def test_halves_of_units_say_what_is_wrong():
    x = trials(0.0, 1.0)
    with pytest.raises(InputError, match="unit halves need a population of at least 8 units; got .* with 7 units"):
        unit_half_scores(x[:, :7], directions)
    with pytest.raises(InputError, match=r"learn must give codes \(trial, atom\) of the 400 samples .* got ndarray"):
        unit_half_scores(x, lambda part: part.values)
