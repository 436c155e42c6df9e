"""Spikes, calcium and a network layer pass the same three doors by the same calls."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import neurosparse
from neurosparse import population

ROOM = Path(neurosparse.__file__).parent
DOORS = ["backend", "identifiability", "sparse_coding", "interpretability"]


def through_the_doors(x: xr.DataArray) -> dict[str, xr.Dataset | xr.DataArray]:
    """The same calls for whoever the units belong to."""
    half = x.sizes["unit"] // 2
    learner = neurosparse.DictionaryLearning(4, random_state=0, nan="drop").fit(x)
    return {
        "maps": neurosparse.linear_identifiability(
            x.isel(unit=slice(half)), x.isel(unit=slice(half, None)), n_permutations=19, n_bootstraps=20, nan="drop"
        ),
        "codes": learner.transform(x),
        "scores": neurosparse.interpretability_scores(x, n_permutations=19, n_bootstraps=20, n_tasks=8, nan="drop"),
    }


def check_answers(x: xr.DataArray, answers: dict[str, xr.Dataset | xr.DataArray]) -> None:
    assert answers["codes"].dims == (x.dims[0], "atom")
    assert answers["codes"].sizes[x.dims[0]] == x.sizes[x.dims[0]]
    assert np.isfinite(answers["maps"]["median_r"]).all()
    assert np.isfinite(answers["scores"]["hoyer_sparseness_median"])
    assert set(answers["maps"]["verdict"].values) <= {"above chance", "not above chance", "undecidable"}


@pytest.mark.data
@pytest.mark.filterwarnings("ignore::neurosparse.errors.NeurosparseWarning")
def test_spikes(data_file: Callable[[str], Path]) -> None:
    with neurosparse.open_nwb(data_file("A2929-200711_neurosuite.nwb")) as recording:
        x = recording.spikes(bin_width=1.0)
    assert x.dims == ("time", "unit")
    assert x.sizes["unit"] == 15
    check_answers(x, through_the_doors(x))


@pytest.mark.data
@pytest.mark.filterwarnings("ignore::neurosparse.errors.NeurosparseWarning")
def test_calcium(data_file: Callable[[str], Path]) -> None:
    with neurosparse.open_nwb(data_file("2022_08_08.nwb")) as recording:
        x = recording.calcium("Fluorescence/Fluorescence", cells_only=True)
    assert x.sizes == {"time": 2000, "unit": 20}
    check_answers(x, through_the_doors(x))


@pytest.mark.filterwarnings("ignore::neurosparse.errors.NeurosparseWarning")
def test_a_network_layer() -> None:
    import torch

    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 12, 5), torch.nn.ReLU())
    images = np.random.default_rng(0).integers(0, 255, (150, 12, 12, 3)).astype(np.uint8)
    x = neurosparse.activations(
        module,
        images,
        ["1"],
        preprocess=lambda batch: torch.as_tensor(batch).permute(0, 3, 1, 2) / 255,
        pool="mean",
        progress=False,
    )["1"]
    check_answers(x, through_the_doors(x))


@pytest.mark.parametrize("door", DOORS)
def test_nobody_below_the_doors_reads_kind(door: str) -> None:
    files = list((ROOM / door).rglob("*.py"))
    assert files
    reads = re.compile(r"""attrs(\.get\(|\[)\s*["']kind["']""")
    for path in files:
        assert not reads.search(path.read_text(encoding="utf-8")), path


def test_a_population_says_what_it_is_whoever_made_it() -> None:
    x = population.from_arrays(np.ones((3, 2)), dims=("stimulus", "unit"), stimulus=[0, 1, 2])
    population.check(x)
    assert x.attrs["kind"] == "simulated"
