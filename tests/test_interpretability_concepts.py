"""Concepts that are known: toy cases with closed forms, planted truth, held-out choice and every message."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import log_loss, mutual_info_score

from neurosparse.backend.baselines import random_rotation
from neurosparse.backend.psychophysics import (
    Split,
    binned,
    dci,
    entropies,
    explicitness,
    importances,
    info_mec,
    mutual_information,
    mutual_information_gap,
    ranked_features,
    sparse_probe,
)
from neurosparse.errors import InputError
from neurosparse.interpretability import concept_scores
from neurosparse.interpretability.concepts.measuring import _Read, explained_concepts
from neurosparse.population import from_arrays

FAST = {"n_permutations": 2, "n_features": (1, 2)}


# --- closed forms ---------------------------------------------------------------------------------------------------


def test_dci_has_its_closed_forms():
    # One feature a concept; one feature for both; two features for each of two concepts; no use at all.
    diagonal = dci(np.eye(4))
    np.testing.assert_allclose(diagonal[0], 1)
    np.testing.assert_allclose(diagonal[1], 1)
    assert diagonal[2] == pytest.approx(1)
    even = dci(np.ones((4, 2)))
    np.testing.assert_allclose(even[0], 0, atol=1e-12)
    np.testing.assert_allclose(even[1], 0, atol=1e-12)
    pairs = dci(np.array([[1.0, 0], [1, 0], [0, 1], [0, 1]]))
    np.testing.assert_allclose(pairs[0], 1)
    np.testing.assert_allclose(pairs[1], 1 - np.log(2) / np.log(4))
    # A row (3, 1): D = 1 - (H(1/4) in bits); weighed by mass 4 against 1 for the second row.
    share = -(0.75 * np.log2(0.75) + 0.25 * np.log2(0.25))
    rows, _, overall = dci(np.array([[3.0, 1], [0, 1]]))
    np.testing.assert_allclose(rows, [1 - share, 1])
    assert overall == pytest.approx((4 * (1 - share) + 1) / 5)
    assert np.isnan(dci(np.zeros((3, 2)))[2])


def test_concepts_that_are_not_explained_do_not_count_as_disentangled():
    # The second concept's only weight is noise: without it the third feature knows nothing, half of the concepts count.
    weights = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 0.1]])
    assert dci(weights)[2] == pytest.approx(1)
    rows, columns, overall = dci(weights, np.array([True, False]))
    np.testing.assert_allclose(rows, [1, 1, np.nan])
    np.testing.assert_allclose(columns, [1 - np.log(2) / np.log(3), 0])
    assert overall == pytest.approx(0.5)
    rows, columns, overall = dci(weights, np.zeros(2, dtype=bool))
    assert np.isnan(rows).all()
    np.testing.assert_array_equal(columns, 0)
    assert overall == 0


def test_mutual_information_is_scikit_learns_and_its_gap_has_closed_forms():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 5, (200, 3)), rng.integers(0, 4, (200, 2))
    found = mutual_information(first, second)
    for i in range(3):
        for j in range(2):
            assert found[i, j] == pytest.approx(mutual_info_score(first[:, i], second[:, j]))
    bits = np.array([[a, b] for a in (0, 1) for b in (0, 1)] * 10)
    # A copy of each concept: gap 1, and modular and compact. A duplicate of the first: its gap is 0.
    information = mutual_information(bits, bits)
    np.testing.assert_allclose(mutual_information_gap(information, entropies(bits)), 1, atol=1e-12)
    np.testing.assert_allclose(info_mec(information, entropies(bits)), 1, atol=1e-12)
    doubled = bits[:, [0, 0, 1]]
    information = mutual_information(doubled, bits)
    np.testing.assert_allclose(mutual_information_gap(information, entropies(bits)), [0, 1], atol=1e-12)
    modular, compact = info_mec(information, entropies(bits))
    assert modular == pytest.approx(1)
    assert compact == pytest.approx(((0.5 + 1) / 2 - 1 / 3) / (1 - 1 / 3))
    # One feature that holds both concepts knows each in full, and is not modular at all.
    both = 2 * bits[:, :1] + bits[:, 1:]
    assert info_mec(mutual_information(np.hstack([both, both]), bits), entropies(bits))[0] == pytest.approx(0)


def test_bins_are_of_equal_width():
    np.testing.assert_array_equal(binned(np.array([[0.0, 5], [0.26, 5], [1.0, 5]]), 4), [[0, 0], [1, 0], [3, 0]])


def test_stimuli_that_are_alike_are_one_piece_of_evidence_that_a_concept_is_explained():
    gains = np.random.default_rng(0).standard_normal(30)
    gains += 1.2 * gains.std(ddof=1) / np.sqrt(30) - gains.mean()  # 1.2 standard errors above 0

    def explained(gains, clusters):
        folds = np.array_split(np.arange(len(gains)), 3)
        of_folds = [[_Read([], 0.0, 0.0, np.ones(1), gains[fold])] for fold in folds]
        return explained_concepts(of_folds, folds, clusters).item()

    four = np.repeat(gains, 4)
    assert not explained(gains, np.arange(30))
    assert explained(four, np.arange(120))  # 2.4, were they different stimuli
    assert not explained(four, np.repeat(np.arange(30), 4))
    assert explained(gains + 0.3, np.arange(30))


def test_the_lasso_uses_the_features_that_make_the_concept():
    rng = np.random.default_rng(0)
    codes = rng.exponential(size=(400, 6)) * [1, 100, 1, 1, 1, 0]
    concept = codes[:, 1] / 100 + 0.3 * codes[:, 2] + 0.1 * rng.standard_normal(400)
    split = Split(np.arange(250), np.arange(250, 400), discrete=False)
    weights, score, gains = importances(codes, concept, split)
    assert score > 0.95
    assert weights[1] > 3 * weights[2] > 10 * weights[[0, 3, 4]].max()
    assert weights[5] == 0
    left = ((concept[250:] - concept[:250].mean()) ** 2).sum()
    assert gains.sum() / left == pytest.approx(score)
    np.testing.assert_array_equal(ranked_features(codes, concept, split)[:2], [1, 2])


def test_explicitness_is_one_less_scikit_learns_log_loss_over_that_of_the_frequencies():
    rng = np.random.default_rng(0)
    concept = rng.integers(0, 3, 150).astype(float)
    codes = rng.standard_normal((150, 4))
    codes[:, 1] += 1.5 * concept
    split = Split(np.arange(100), np.arange(100, 150), discrete=True)
    scaled = (codes - codes[:100].mean(axis=0)) / codes[:100].std(axis=0)
    probe = LogisticRegressionCV(
        Cs=[0.01, 0.3, 10.0], l1_ratios=(0.0,), scoring="neg_log_loss", cv=3, max_iter=200, use_legacy_attributes=False
    ).fit(scaled[:100], concept[:100])
    shares = np.tile(np.bincount(concept[:100].astype(int)) / 100, (50, 1))
    expected = 1 - log_loss(concept[100:], probe.predict_proba(scaled[100:])) / log_loss(concept[100:], shares)
    assert explicitness(codes, concept, split) == pytest.approx(expected)
    assert 0.1 < expected < 0.9


def test_features_are_ranked_on_training_stimuli_alone():
    rng = np.random.default_rng(0)
    concept = np.tile([0.0, 1.0], 60)
    codes = rng.standard_normal((120, 2))
    codes[:60, 0] += 6 * concept[:60]  # tells on the training half alone
    codes[60:, 1] += 6 * concept[60:]  # tells on the test half alone
    split = Split(np.arange(60), np.arange(60, 120), discrete=True)
    assert abs(sparse_probe(codes, concept, split, 1) - 0.5) < 0.2


# --- planted truth --------------------------------------------------------------------------------------------------


def latents(n, rng, n_latents=6):
    z = np.zeros((n, n_latents))
    active = np.argsort(rng.random((n, n_latents)), axis=1)[:, :2]
    np.put_along_axis(z, active, rng.exponential(1, active.shape) + 0.2, axis=1)
    return z


def stimuli_population(values):
    return from_arrays(values, dims=("stimulus", "unit"))


def test_true_latents_hold_concepts_one_by_one_mixtures_spread_them_and_noise_does_not_hold_them():
    rng = np.random.default_rng(0)
    z = (rng.exponential(1, (300, 6)) + 0.2) * (rng.random((300, 6)) < 0.3)  # independent of each other
    concepts = {"first": z[:, 0] > 0, "second": z[:, 1], "third": np.where(z[:, 2] > 0, "on", "off")}
    angle = np.pi / 4
    turned = np.cos(angle) * z + np.sin(angle) * np.roll(z, 1, axis=1)
    true, mixed, noise = (
        concept_scores(stimuli_population(values), concepts, n_features=(1, 2), n_permutations=n_draws)
        for values, n_draws in ((z, 2), (turned, 1), (rng.standard_normal((300, 6)), 1))
    )
    for name in ("completeness", "mutual_information_gap"):
        assert (true[name] > mixed[name] + 0.1).all(), name
    for name in ("overall_disentanglement", "info_modularity", "info_compactness"):
        assert true[name] > mixed[name] + 0.1, name
    one = true["probe"].sel(n_features=1)
    assert (one > mixed["probe"].sel(n_features=1)).all()
    assert (one > 0.9).all()
    assert true["overall_disentanglement"] > 0.9
    assert (mixed["explicitness"] > mixed["explicitness_null"] + 0.3).all()  # still there, for who reads all features
    assert (true["probe_p"] == 1 / 3).all()
    for name in ("probe", "explicitness", "informativeness"):
        assert (np.abs(noise[name] - noise[f"{name}_null"]) < 0.25).all(), name
    np.testing.assert_allclose(noise["probe_chance"], [0.5, 0, 0.5])
    assert true["is_discrete"].values.tolist() == [True, False, True]
    assert (true["probe_fold_low"] <= true["probe"] + 1e-9).all()


def test_a_rotation_hides_concepts_from_single_features_and_not_from_all_and_shuffled_codes_hold_none():
    rng = np.random.default_rng(0)
    z = (rng.exponential(1, (300, 8)) + 0.2) * (rng.random((300, 8)) < 0.3)
    concepts = {"first": z[:, 0] > 0, "second": z[:, 1], "third": z[:, 2]}
    turned = z @ random_rotation(8, random_state=0)
    # Copies: an even mixture of pairs with no sign, which loses half of the code.
    copied = np.repeat(z[:, ::2] + z[:, 1::2], 2, axis=1)
    found = {
        kind: concept_scores(stimuli_population(values), concepts, n_features=(1,), n_permutations=1)
        for kind, values in {"true": z, "turned": turned, "copied": copied, "shuffled": rng.permutation(z)}.items()
    }
    for name in ("explicitness", "informativeness"):
        of = {kind: float(scored[name].mean()) for kind, scored in found.items()}
        assert of["turned"] == pytest.approx(of["true"], abs=0.03), name
        assert of["true"] > of["copied"] + 0.2 > of["shuffled"] + 0.3, name
    for name in ("probe", "completeness", "overall_disentanglement", "mutual_information_gap", "info_modularity"):
        of = {kind: float(scored[name].mean()) for kind, scored in found.items()}
        assert of["true"] > of["turned"] + 0.1 > of["shuffled"] + 0.1, name
    assert float(found["shuffled"]["overall_disentanglement"]) == 0
    assert (found["shuffled"]["completeness"] == 0).all()


def test_more_features_make_better_probes_of_a_spread_concept():
    rng = np.random.default_rng(1)
    values = rng.standard_normal((900, 8))
    concepts = {"sum": values[:, :5].sum(axis=1)}
    found = concept_scores(stimuli_population(values), concepts, n_permutations=1)["probe"][0]
    assert (np.diff(found) > 0.1).all()
    # k of five equal terms explain k / 5.
    np.testing.assert_allclose(found, [0.2, 0.4, 1.0], atol=0.15)


def test_near_duplicates_share_a_fold():
    rng = np.random.default_rng(2)
    values = np.repeat(rng.standard_normal((50, 40)), 2, axis=0)
    concepts = {"luck": np.repeat(rng.integers(0, 2, 50), 2)}
    given = {"n_features": (40,), "n_permutations": 1}
    apart = concept_scores(stimuli_population(values), concepts, **given)["probe"].item()
    together = concept_scores(stimuli_population(values), concepts, groups=np.repeat(np.arange(50), 2), **given)
    assert apart > 0.9
    assert together["probe"].item() < 0.75


def test_concepts_may_come_as_a_labelled_array_in_any_order():
    rng = np.random.default_rng(3)
    z = latents(90, rng)
    order = rng.permutation(90)
    table = xr.DataArray(z[:, :2], {"stimulus": np.arange(90), "concept": ["a", "b"]}, ("stimulus", "concept"))
    first = concept_scores(stimuli_population(z), {"a": z[:, 0], "b": z[:, 1]}, **FAST)
    xr.testing.assert_identical(first, concept_scores(stimuli_population(z), table[order], **FAST))


@pytest.mark.parametrize(
    ("concepts", "change", "message"),
    [
        (np.ones(90), {}, r"concepts needs a mapping .* got ndarray. A single one goes in as \{'name': values\}"),
        ({}, {}, "concepts needs a mapping"),
        ({"a": np.ones(7)}, {}, "concept 'a' needs one label for each of the 90 stimuli"),
        ({"a": np.ones((90, 2))}, {}, r"concept 'a' needs one value a stimulus; got shape \(90, 2\)"),
        ({"a": np.ones(90)}, {}, "concept 'a' is constant or has NaN"),
        ({"a": np.arange(90) // 2}, {}, "each with more than n_folds=3 groups .* got 45, the smallest of 2. Merge"),
        ({"a": np.arange(90) % 2}, {"groups": np.arange(90) // 4}, "at least 30 stimuli that are no near-dup.* got 23"),
        ({"a": np.arange(90) % 2}, {"n_features": (0,)}, r"n_features are sizes of probes, 1 or more; got \(0,\)"),
    ],
)
def test_wrong_concepts_say_what_to_do(concepts, change, message):
    x = stimuli_population(np.random.default_rng(0).random((90, 4)))
    with pytest.raises(InputError, match=message):
        concept_scores(x, concepts, **change)
