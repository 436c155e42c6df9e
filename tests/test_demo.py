"""The demo finds what was planted, does not find what was not, and says both beside the truth."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from neurosparse.cli import main
from neurosparse.demo import _N_STIMULI, recover_dictionary, run_demo
from neurosparse.simulation import sparse_world


def test_the_planted_dictionary_is_found_and_shuffled_trials_have_none() -> None:
    world = sparse_world(n_stimuli=_N_STIMULI, random_state=4711)
    trials = world.counts()
    found = recover_dictionary(world, trials)
    assert world.dictionary.sizes["atom"] == 2 * world.dictionary.sizes["unit"]
    assert float(found["share_above_90"]) >= 0.9
    assert float(found["chance_above_90"].max()) < 0.05
    assert float(found["chance"].max()) < 0.55
    # Each unit's counts dealt to the trials anew: same counts, no features.
    rng = np.random.default_rng(0)
    lost = recover_dictionary(world, trials.copy(data=rng.permuted(trials.values, axis=0)))
    assert float(lost["share_above_90"]) < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5001, 5011))
def test_ten_unseen_worlds_are_recovered(seed: int) -> None:
    world = sparse_world(n_stimuli=_N_STIMULI, random_state=seed)
    assert float(recover_dictionary(world, world.counts())["share_above_90"]) >= 0.9


@pytest.mark.slow
def test_the_command_says_what_it_found_beside_the_truth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--out", str(tmp_path), "--seed", "3"]) == 0
    said = capsys.readouterr().out
    assert "64 latents, 3 active in each of 1200 images" in said
    assert "told from Gaussian: stability" in said
    (r,) = re.findall(r"scrambled  predicts it at r (-?\d\.\d\d) ", said)
    assert abs(float(r)) < 0.06
    assert {path.name for path in tmp_path.iterdir()} == {
        "demo.nwb",
        "comparison.nc",
        "comparison.png",
        "report.html",
        "study.toml",
        "table.csv",
    }
    assert run_demo(random_state=3) == said.rstrip("\n")
