"""The identifiability theorem, seen to hold and to break: clusters on a sphere, encoders trained by cross-entropy."""

from __future__ import annotations

import time

import numpy as np
import pytest

from neurosparse.errors import InputError
from neurosparse.identifiability import linear_identifiability
from neurosparse.simulation import classifier_features, cluster_world


def held_out(x, y, n=3000):
    found = linear_identifiability(
        x.isel(stimulus=slice(n)), y.isel(stimulus=slice(n)), n_permutations=0, n_bootstraps=0, panel=False
    )
    return float(found["median_R2"][0])


def test_latents_are_unit_vectors_about_their_centres_and_the_mixing_loses_nothing():
    world = cluster_world(4, 10, 4000, concentration=10.0)
    z, x = world.latents.values, world.observations.values
    np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1)
    for cluster in range(10):
        members = z[world.clusters == cluster]
        mean = members.mean(axis=0)
        # mean length of von Mises-Fisher in 4 dimensions at kappa 10: I_2(10) / I_1(10)
        assert np.linalg.norm(mean) == pytest.approx(2281.52 / 2670.99, abs=0.03)
        assert mean @ world.centres[cluster] / np.linalg.norm(mean) > 0.99
    assert held_out(world.observations, world.latents) < 0.9  # not linear
    near = ((x[:500, None] - x[None, :500]) ** 2).sum(-1), ((z[:500, None] - z[None, :500]) ** 2).sum(-1)
    apart = ~np.eye(500, dtype=bool)
    # three layers with slopes of at least .2 between maps that keep distances
    assert (near[0][apart] > 0.99 * 0.2**6 * near[1][apart]).all()
    again = cluster_world(4, 10, 4000, concentration=10.0)
    np.testing.assert_array_equal(again.observations, world.observations)
    assert not np.array_equal(cluster_world(4, 10, 4000, random_state=1).observations, world.observations)


def test_swapped_labels_are_a_share_of_them():
    clean, mixed = cluster_world(3, 20, 3000), cluster_world(3, 20, 3000, swapped=0.5)
    np.testing.assert_array_equal(clean.latents.values, mixed.latents.values)
    assert np.mean(clean.clusters != mixed.clusters) == pytest.approx(0.5 * 0.95, abs=0.03)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_clusters": 2}, "n_clusters and n_observed >= n_dims"),
        ({"n_observed": 2}, "n_clusters and n_observed >= n_dims"),
        ({"concentration": 0.0}, "concentration must be a positive number"),
        ({"swapped": 2.0}, "swapped a share"),
    ],
)
def test_sizes_are_checked(change, message):
    with pytest.raises(InputError, match=message):
        cluster_world(**{"n_dims": 3, "n_clusters": 20, "n_stimuli": 100} | change)


SMALL = {"hidden": (64, 64), "n_steps": 800, "batch": 500}


def test_a_classifier_straightens_what_it_sees_unless_its_labels_are_swapped():
    world = cluster_world(3, 20, 10_000)
    features, facts = classifier_features(world, **SMALL)
    seen, learned = held_out(world.observations, world.latents), held_out(features, world.latents)
    assert learned > 0.9
    assert learned > seen + 0.05
    assert 0.3 < facts["accuracy"] < 0.9
    swapped, _ = classifier_features(cluster_world(3, 20, 10_000, swapped=1.0), **SMALL)
    assert held_out(swapped, world.latents) < learned - 0.1
    with pytest.raises(InputError, match="n_steps must be an integer of at least 1; got 0"):
        classifier_features(world, n_steps=0)
    with pytest.raises(
        InputError, match=r"classifier_features needs a ClusterWorld \(from cluster_world\); got DataArray"
    ):
        classifier_features(world.observations)


@pytest.mark.slow
@pytest.mark.parametrize("unit_norm", [True, False])
def test_the_theorem_holds_where_clusters_overlap(unit_norm):
    world = cluster_world(5, 100, 200_000)
    begin = time.process_time()
    features, facts = classifier_features(world, unit_norm=unit_norm)
    facts["seconds"] = time.process_time() - begin
    few = slice(3000)
    found = linear_identifiability(
        features.isel(stimulus=few), world.latents.isel(stimulus=few), n_permutations=0, n_bootstraps=0
    )
    print(facts, {name: found[name].values.round(4) for name in ("median_R2", "pooled_R2", "map_spread")})
    assert float(found["median_R2"].min()) >= 0.99
    assert float(found["pooled_R2"].min()) >= 0.99
    assert held_out(world.observations, world.latents) < 0.9
    if unit_norm:
        np.testing.assert_allclose(np.linalg.norm(features[:100], axis=1), 1, atol=1e-5)
        assert float(found["map_spread"][0]) < 0.05  # a rotation


@pytest.mark.slow
def test_the_theorem_breaks_where_clusters_are_separable_although_the_latents_are_there():
    world = cluster_world(5, 10, 30_000, concentration=50.0)
    features, facts = classifier_features(world, n_steps=1500)
    few = slice(1000)
    found = linear_identifiability(
        features.isel(stimulus=few),
        world.latents.isel(stimulus=few),
        n_permutations=39,
        n_bootstraps=100,
        nonlinear=True,
        directions=["x->y"],
    )
    print(facts, {name: float(found[name][0]) for name in ("mean_R2", "nonlinear_R2", "nonlinear_gap")})
    assert facts["accuracy"] > 0.98
    assert float(found["mean_R2"][0]) < 0.8
    assert float(found["nonlinear_R2"][0]) > float(found["mean_R2"][0]) + 0.1
    assert str(found["linearity"].values[0]) == "nonlinear"
