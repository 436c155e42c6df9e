"""The demo holds the truth against what was found on one scale, and each number stands where its words say."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from neurosparse import demo, population
from neurosparse.cli import main
from neurosparse.networks import activations
from neurosparse.simulation import sparse_world, world_network


def test_the_truth_is_measured_as_the_responses_are(monkeypatch: pytest.MonkeyPatch) -> None:
    world = sparse_world(n_stimuli=60, n_units=6, n_atoms=12, random_state=1)
    trials = world.counts()
    asked: list[np.ndarray] = []
    learnt = SimpleNamespace(fit=lambda responses: SimpleNamespace(dictionary_=responses[:12]))
    monkeypatch.setattr(demo, "DictionaryLearning", lambda n_atoms, *, random_state: learnt)
    monkeypatch.setattr(demo, "dictionary_recovery", lambda found, truth, *, x: asked.append(truth))
    demo.recover_dictionary(world, trials)
    sd = population.scale_by_noise(trials)["noise_sd"].values
    assert sd.max() > 1.2 * sd.min()
    np.testing.assert_allclose(asked[0], world.dictionary.values / sd)


def test_the_analysis_gets_what_the_file_of_the_asked_world_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, asked = partial(sparse_world, n_units=6, n_atoms=12), {}
    monkeypatch.setattr(demo, "_N_STIMULI", 40)
    monkeypatch.setattr(demo, "sparse_world", made)
    monkeypatch.setattr(demo, "recover_dictionary", lambda world, trials, *, random_state: random_state)
    monkeypatch.setattr(demo, "compare", lambda *rest, **named: asked.update(named, populations=rest[0]))
    monkeypatch.setattr(demo, "_text", lambda world, recovery, result: f"seed {recovery}")
    assert demo.run_demo(random_state=3) == "seed 3"

    world = made(n_stimuli=40, random_state=3)
    trials, layer = asked["populations"]["recording"], asked["populations"]["superposed"]
    np.testing.assert_array_equal(trials.values, world.counts().values)
    np.testing.assert_array_equal(trials["stimulus"].values, world.counts()["stimulus"].values)
    module, _ = world_network(world, random_state=3)
    seen = activations(module, asked["stimuli"], ["superposed"], preprocess=module.preprocess, progress=False)
    xr.testing.assert_allclose(layer, seen["superposed"])
    assert asked["random_state"] == 3


def test_the_command_passes_seed_and_folder_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "run_demo", lambda out, *, random_state, on_step: f"{out} {random_state}")
    assert main(["demo", "--seed", "3", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path} 3\n"
    assert main(["demo"]) == 0
    assert capsys.readouterr().out == "None 0\n"


def test_each_number_stands_where_its_words_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "findings", lambda result: ["and so on"])
    world = SimpleNamespace(facts={"n_atoms": 64, "n_active": 3, "n_stimuli": 1200, "n_units": 32, "n_repeats": 5})
    recovery = xr.Dataset(
        {
            "share_above_90": 0.98,
            "mean_cosine": 0.961,
            "chance_above_90": ("kind", [0.0, 0.02]),
            "chance": ("kind", [0.4, 0.48]),
        }
    )
    rows = ("representation", ["recording", "superposed", "scrambled"])
    values = {
        "verdict": ["told from Gaussian", "", ""],
        "stability": [0.71, 0, 0],
        "stability_surrogate": [0.52, 0, 0],
        "ceiling": [0.93, np.nan, np.nan],
        "r": [np.nan, 0.88, 0.04],
        "r_null": [np.nan, 0.01, 0.03],
    }
    result = xr.Dataset({name: (rows[0], column) for name, column in values.items()}, {rows[0]: rows[1]})
    said = demo._text(world, recovery, result.assign_attrs(reference="recording"))
    for line in (
        "64 latents, 3 active in each of 1200 images, superposed in 32 spiking units, 5 trials an image",
        "found   98% of the 64 atoms at |cos| >= .9, mean 0.961",
        "chance  2%, mean 0.480",
        "told from Gaussian: stability 0.71, Gaussians of equal covariance 0.52",
        "superposed predicts the recording at r 0.88 (null 0.01; ceiling 0.93)",
        "scrambled  predicts it at r 0.04 (null 0.03)",
        "  and so on",
    ):
        assert line in said
