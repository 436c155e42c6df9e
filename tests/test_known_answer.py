"""The known answer: macaque V4 against EfficientNet-lite0, on the real recording.

Reference medians were measured once outside this package (scikit-learn ridge, 5 image folds, 4 x 4 pooled maps).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from neurosparse import linear_identifiability, population
from neurosparse.comparison import near_duplicate_stimuli
from neurosparse.identifiability import choose_best, paired_difference
from neurosparse.networks import pixels
from neurosparse.study import Study, load_responses, network_populations, run_study

REFERENCE = {
    "pixels": 0.25,
    "_conv_stem": 0.26,
    "_blocks.2": 0.50,
    "_blocks.4": 0.52,
    "_blocks.7": 0.54,
    "_blocks.10": 0.57,
    "_blocks.14": 0.55,
    "_conv_head": 0.53,
}
LAYERS = [name for name in REFERENCE if name != "pixels"]

pytestmark = pytest.mark.data


def assert_order_and_size(r: dict[str, float], ceiling: float) -> None:
    """What an honest pipeline finds, whoever ran it."""
    for name, reference in REFERENCE.items():
        assert abs(r[name] - reference) < 0.05, (name, r[name], reference)
        assert r[name] < ceiling
    assert all(r[name] >= r["_conv_stem"] for name in LAYERS)
    assert all(r[name] > r["_blocks.2"] for name in ("_blocks.7", "_blocks.10", "_blocks.14"))


@pytest.fixture(scope="module")
def study(data_file: Callable[[str], Path]) -> Study:
    return Study(str(data_file("cowley_v4_210325.nwb")), stimulus="image_index", layers=LAYERS)


def test_v4_against_the_trained_network_and_pixels(study: Study) -> None:
    trials, images = load_responses(study)
    reliability = population.reliability(trials).median()
    assert 0.58 < float(reliability["split_half_r"]) < 0.63
    assert 0.74 < float(reliability["reliability"]) < 0.78
    assert abs(float(reliability["ceiling"]) - 0.87) < 0.02

    seen = {**network_populations(study, images), "pixels": pixels(images, 28)}
    maps: dict[str, xr.Dataset] = {
        name: linear_identifiability(
            layer, trials, groups=near_duplicate_stimuli(images), n_permutations=0, directions=["x->y"], panel=False
        )
        for name, layer in seen.items()
    }
    r = {name: float(found["median_r"][0]) for name, found in maps.items()}
    assert_order_and_size(r, float(reliability["ceiling"]))

    best = choose_best({name: maps[name] for name in LAYERS})
    assert set(best["choice"].values) <= {"_blocks.7", "_blocks.10", "_blocks.14"}
    assert float(paired_difference(best, maps["pixels"])["difference_low"]) > 0.2


@pytest.mark.slow
def test_the_whole_study_with_five_random_networks(study: Study, tmp_path: Path) -> None:
    result = run_study(study, tmp_path)
    r = {name: float(result["r"].sel(representation=name)) for name in LAYERS}
    r["pixels"] = float(result["family_r"].sel(family="pixels"))
    assert_order_and_size(r, float(result["ceiling"].sel(representation="recording")))
    controls = result.drop_sel(family="model")
    assert controls.sizes["family"] == 6
    assert (controls["family_difference_low"] > 0).all()
    assert np.all(result["p"].drop_sel(representation="recording") < 0.01)
