"""Options of the wrong kind: what was expected, what arrived, before anything is computed."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neurosparse.backend.linear import cross_validated_ridge
from neurosparse.backend.resampling import bootstrap_weights, group_folds, permutations
from neurosparse.errors import InputError
from neurosparse.identifiability import (
    additivity,
    analogy,
    choose_best,
    compressed_sensing_bounds,
    consistency,
    linear_identifiability,
    paired_difference,
    phase_diagram,
    representational_similarity,
    superposition_reference,
)
from neurosparse.simulation import classifier_features, cluster_world

X, Y = np.random.default_rng(0).standard_normal((2, 60, 4))
RAGGED = [[1], [1, 2]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": ["cka", "rsa"]}, r"metric must be one of \['cca', .*\]; got \['cka', 'rsa'\]"),
        ({"metric": {}}, r"metric must be one of .*; got {}"),
        ({"metric": "shape", "alpha": "half"}, r"alpha must lie between 0 \(any linear map\) and 1 .*; got 'half'"),
        ({"metric": "shape", "alpha": None}, "alpha must lie between 0 .*; got None"),
        ({"metric": "shape", "alpha": True}, "alpha must lie between 0 .*; got True"),
        ({"metric": "cca", "components": True}, r"components must be an integer of at least 1 or a share.*; got True"),
        ({"interval": "no"}, "interval must be True or False; got 'no'"),
        ({"random_state": "x"}, "random_state must be a whole number of at least 0, .*; got 'x'"),
        ({"random_state": -1}, "random_state must be a whole number of at least 0, .*; got -1"),
        ({"random_state": 1.5}, "random_state must be a whole number of at least 0, .*; got 1.5"),
    ],
)
def test_options_of_a_similarity(options, message):
    with pytest.raises(InputError, match=message):
        representational_similarity(X, Y, n_permutations=0, **options)


def test_mass_of_a_soft_matching():
    pytest.importorskip("ot")
    for mass in ("all", None):
        with pytest.raises(InputError, match=f"mass is the share of units that is matched.*; got {mass!r}"):
            representational_similarity(X, Y, metric="partial_soft", mass=mass, n_permutations=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_splits": "x"}, "n_splits must be an integer of at least 1; got 'x'"),
        ({"panel": "no"}, "panel must be True or False; got 'no'"),
        ({"nonlinear": 1}, 'nonlinear must be True, False or "kernels"; got 1'),
        ({"nonlinear": np.array([1, 2])}, 'nonlinear must be True, False or "kernels"; got array'),
        ({"directions": 3}, r"directions must be a list of \['x->y', 'y->x'\], each once; got 3"),
        ({"directions": [["x->y"]]}, r"directions must be a list of .*; got \[\['x->y'\]\]"),
        ({"directions": ["x->y", "x->y"]}, "directions must be a list of .*, each once"),
        ({"penalties": RAGGED}, r"penalties must be a list of multiples .*; got \[\[1\], \[1, 2\]\]"),
        ({"groups": RAGGED * 30}, "groups must have one label for each of the 60 stimulus entries"),
        ({"random_state": "x"}, "random_state must be a whole number of at least 0"),
    ],
)
def test_options_of_a_map(options, message):
    with pytest.raises(InputError, match=message):
        linear_identifiability(X, Y, n_permutations=0, n_bootstraps=0, **options)


@pytest.mark.parametrize("side", [None, "x", {"a": 1}, xr.Dataset(), RAGGED, 3.0])
def test_sides_that_are_no_matrix(side):
    kind = type(side).__name__
    with pytest.raises(InputError, match=rf"x must be a population or a \(sample, unit\) matrix .* got a {kind} that"):
        linear_identifiability(side, Y)
    with pytest.raises(InputError, match=rf"y must be a population or a \(sample, unit\) matrix .* got a {kind} that"):
        representational_similarity(X, side)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_fold": 3}, r"consistency has no option 'n_fold'. Did you mean 'n_folds'\?"),
        ({"wrong": 3}, r"consistency has no option 'wrong'. It takes those of linear_identifiability: \['groups'"),
        ({"on_step": 3}, "on_step must be a function of one text; got 3"),
    ],
)
def test_options_of_consistency(options, message):
    with pytest.raises(InputError, match=message):
        consistency({"a": X, "b": Y}, **options)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: additivity(X, X, X, blank="b"), "blank needs trials .* of numbers; got str of <U1"),
        (lambda: additivity(X, X, X, random_state="x"), "random_state must be a whole number"),
        (lambda: analogy(X, X, X, Y, random_state=[0.5]), "random_state must be a whole number"),
        (lambda: compressed_sensing_bounds(100, 20, RAGGED), "k must be a whole number or a list of them"),
        (
            lambda: compressed_sensing_bounds(100, 20, 3, constants="x"),
            "constants must be a number or a list .*; got 'x'",
        ),
        (lambda: compressed_sensing_bounds(100, 20, 3, constants=RAGGED), "constants must be a number or a list"),
        (lambda: phase_diagram(c="x"), "c must be a number or a list of numbers; got 'x'"),
        (lambda: phase_diagram(penalty="x"), "penalty must be positive; got 'x'"),
        (lambda: phase_diagram(random_state="x"), "random_state must be a whole number"),
        (lambda: superposition_reference("a", 3, 4), "n_units_x must be an integer of at least 1; got 'a'"),
        (lambda: superposition_reference(3, 0, 4), "n_units_y must be an integer of at least 1; got 0"),
        (lambda: superposition_reference(3, 3, "x"), "n_features must be a number or a list of numbers; got 'x'"),
        (lambda: superposition_reference(3, 3, [0, 4]), r"numbers of features must be at least 1; got \[0, 4\]"),
    ],
)
def test_options_of_the_rest(call, message):
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"concentration": "high"},
            "concentration must be a positive number and swapped a share .*; got 'high' and 0.0",
        ),
        ({"swapped": None}, "concentration must be a positive number and swapped a share .*; got 10.0 and None"),
        ({"n_dims": "x"}, "n_dims must be an integer of at least 1; got 'x'"),
        ({"n_layers": 1.5}, "n_layers must be an integer of at least 1; got 1.5"),
        ({"random_state": "x"}, "random_state must be a whole number"),
    ],
)
def test_options_of_a_cluster_world(options, message):
    with pytest.raises(InputError, match=message):
        cluster_world(**{"n_clusters": 5, "n_stimuli": 50} | options)


def test_options_of_a_classifier():
    world = cluster_world(n_clusters=5, n_stimuli=50)
    for options, message in (
        ({"n_steps": "many"}, "n_steps must be an integer of at least 1; got 'many'"),
        ({"batch": 0}, "batch must be an integer of at least 1; got 0"),
        ({"hidden": ("a",)}, "each width of hidden must be an integer of at least 1; got 'a'"),
        ({"hidden": 0}, "each width of hidden must be an integer of at least 1; got 0"),
        ({"learning_rate": "fast"}, "learning_rate must be a positive number; got 'fast'"),
        ({"unit_norm": "yes"}, "unit_norm must be True or False; got 'yes'"),
        ({"random_state": None}, "random_state must be an integer of at least 0; got None"),
    ):
        with pytest.raises(InputError, match=message):
            classifier_features(world, **options)
    assert classifier_features(world, hidden=8, n_steps=1)[0].sizes["unit"] == 5


def test_random_states_of_the_backend():
    for call in (
        lambda: bootstrap_weights(np.arange(5), 3, random_state="x"),
        lambda: group_folds(np.arange(9), 3, random_state="x"),
        lambda: permutations(5, 3, random_state="x"),
    ):
        with pytest.raises(InputError, match="random_state must be a whole number of at least 0, .*; got 'x'"):
            call()
    folds = group_folds(np.arange(60), 2)
    inner = [group_folds(np.arange(30), 2) for _ in folds]
    with pytest.raises(InputError, match="penalties must be a list"):
        cross_validated_ridge(X, Y, folds, inner, penalties=RAGGED)


def test_the_random_states_of_comparisons():
    found = linear_identifiability(X, Y, n_permutations=0, n_bootstraps=0, panel=False)
    with pytest.raises(InputError, match="random_state must be a whole number"):
        paired_difference(found, found, random_state="x")
    with pytest.raises(InputError, match="random_state must be a whole number"):
        choose_best({"a": found, "b": found}, random_state="x")
