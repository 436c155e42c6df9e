"""The foresight on populations and numbers: right in direction, cached by content, and loud where it is no."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from neurosparse import population, simulation
from neurosparse.backend import limits
from neurosparse.errors import EvidenceWarning, InputError
from neurosparse.sparse_coding import recoverability


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NEUROSPARSE_CACHE_DIR", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("sizes", "verdict"),
    [
        ({"n_units": 24, "n_atoms": 24, "n_active": 2, "n_samples": 400, "reliability": 0.76}, "possible"),
        ({"n_units": 24, "n_atoms": 36, "n_active": 2, "n_samples": 400}, "possible"),
        ({"n_units": 24, "n_atoms": 24, "n_active": 2, "n_samples": 400, "reliability": 0.1}, "impossible"),
        ({"n_units": 20, "n_atoms": 60, "n_active": 4, "n_samples": 80}, "impossible"),
    ],
)
def test_known_cells_are_told_apart(sizes, verdict):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = recoverability(**sizes, n_worlds=1)
    assert found.attrs["verdict"] == verdict
    assert [issubclass(one.category, EvidenceWarning) for one in caught] == [True] * (verdict == "impossible")
    if found.sizes["world"]:
        above = float(found.expected_cosine) - float(found.null.max())
        assert above > 0.1 if verdict == "possible" else abs(above) < 0.1
        assert float(found.expected_cosine) <= float(found.cosine_ceiling) + 0.05


def test_the_summary_says_all_of_it():
    with pytest.warns(EvidenceWarning, match=r"500 atoms to these data cannot succeed: 3 distinct events an atom"):
        found = recoverability(n_atoms=500, n_active=5, n_units=50, n_samples=300, reliability=0.3, tau=1, n_worlds=0)
    lines = found.attrs["summary"].splitlines()
    assert lines[0] == "500 atoms, 5 active (given), in 50 units and 300 samples: impossible"
    assert [line[0] for line in lines[2:]] == ["!", "!", " ", "!"]
    assert "counting needs" in found.attrs["reasons"]
    assert np.isnan(found.expected_cosine)
    assert found.sizes == {"bound": 4, "world": 0, "control": 0}
    good = recoverability(n_atoms=12, n_active=2, n_units=12, n_samples=600, n_worlds=1)
    assert "expected |cos| 1.00" in good.attrs["summary"]
    assert f"null {float(good.null.max()):.2f}" in good.attrs["summary"]


def test_slow_samples_are_fewer_events(monkeypatch):
    sizes = {"n_atoms": 20, "n_active": 2, "n_units": 20, "n_samples": 1000, "n_worlds": 0}
    fast, slow = recoverability(**sizes), recoverability(**sizes, tau=10)
    for name, share in (("events", 0.1), ("samples", 0.1), ("units", 1)):
        assert float(slow.has.sel(bound=name)) == pytest.approx(share * float(fast.has.sel(bound=name)))
    planted = []
    monkeypatch.setattr(
        limits, "fit_worlds", lambda plan, *_, **__: planted.append(plan) or [limits.World(0.9, 1.0, {"a": 0.5})]
    )
    recoverability(**sizes | {"n_worlds": 1}, tau=10)
    assert [plan.n_samples for plan in planted] == [100]
    noise = np.random.default_rng(0).standard_normal((4000, 6))
    series = np.array([noise[i : i + 9].mean(0) for i in range(3990)])  # tau 9 by construction
    x = population.from_arrays(series, dims=("time", "unit"), bin_width=0.1)
    assert recoverability(x, n_atoms=3, n_active=1, n_worlds=0).attrs["tau"] == pytest.approx(9, rel=0.3)
    assert recoverability(series, n_atoms=3, n_active=1, n_worlds=0).attrs["tau"] == 1


def test_trials_their_scaled_averages_and_what_is_given_agree():
    trials = simulation.sparse_world(n_stimuli=600, random_state=3).counts()
    scaled = population.scale_by_noise(trials)
    by_trials, by_scale = (recoverability(x, n_atoms=16, n_worlds=0) for x in (trials, scaled))
    assert by_trials.attrs["reliability_from"] == "trials of one stimulus"
    assert by_scale.attrs["reliability_from"] == "noise sd and repeats"
    split = float(population.reliability(trials, n_splits=100).reliability.mean())
    assert by_trials.attrs["reliability"] == pytest.approx(split, abs=0.03)
    assert by_scale.attrs["reliability"] == pytest.approx(split, abs=0.03)
    assert by_trials.attrs["n_samples"] == by_scale.attrs["n_samples"] == 600
    told = recoverability(scaled.values, n_atoms=16, reliability=0.4, n_worlds=0)
    assert told.attrs["reliability"] == pytest.approx(0.4)
    unknown = recoverability(scaled.values, n_atoms=16, n_worlds=0)
    assert unknown.attrs["reliability_from"] == "unknown, taken as 1"
    assert "1 active (assumed)" in unknown.attrs["summary"]
    assert recoverability(n_atoms=1000, n_units=93, n_samples=10**5, n_worlds=0).attrs["n_active"] == 10


def test_noise_alone_carries_nothing():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((600, 10))
    trials = population.from_arrays(noise, dims=("trial", "unit"), stimulus=np.repeat(np.arange(150), 4))
    with pytest.warns(EvidenceWarning, match="cannot succeed"):
        found = recoverability(trials, n_atoms=10, n_active=2, n_worlds=1)
    assert found.attrs["reliability"] < 0.15
    assert float(found.corrected) < 0.5


def test_worlds_are_kept_by_content(own_cache, monkeypatch, capsys):
    sizes = {"n_atoms": 6, "n_active": 1, "n_units": 6, "n_samples": 80, "n_worlds": 1}
    first = recoverability(**sizes, progress=True)
    assert "worlds" in capsys.readouterr().err
    assert len(list(own_cache.glob("recoverability/*.json"))) == 1
    monkeypatch.setattr(limits, "fit_worlds", None)
    assert recoverability(**sizes).identical(first)
    for change in ({"reliability": 0.9}, {"random_state": 1}, {"n_samples": 81}, {"cache": False}):
        with pytest.raises(TypeError, match="not callable"):
            recoverability(**sizes | change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_units": None}, "needs x, or both n_units and n_samples"),
        ({"n_units": 1}, "at least 2; got 1 and 100"),
        ({"x": np.eye(30)}, "leave n_units and n_samples out"),
        ({"x": np.ones((30, 4)), "n_units": None, "n_samples": None}, "all alike"),
        ({"n_atoms": 1}, "n_atoms must be a whole number of at least 2; got 1"),
        ({"n_active": 8}, "n_active must be from 1 to below the 8 atoms; got 8"),
        ({"reliability": 1.5}, "from 0 to 1"),
        ({"reliability": [0.5, 0.5]}, "one for each of 5 units"),
        ({"tau": 0.5}, "at least 1; got 0.5"),
        ({"n_worlds": -1}, "n_worlds must be a whole number"),
    ],
)
def test_what_cannot_be_foreseen_is_said(change, message):
    with pytest.raises(InputError, match=message):
        recoverability(**{"n_atoms": 8, "n_units": 5, "n_samples": 100, "n_worlds": 0} | change)
