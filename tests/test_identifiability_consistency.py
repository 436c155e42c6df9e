"""Consistency of several populations: every ordered pair, held out, with its null and its ceiling."""

from __future__ import annotations

import numpy as np
import pytest

from neurosparse import population
from neurosparse.errors import InputError
from neurosparse.identifiability import consistency, linear_identifiability

QUICK = {"n_permutations": 19, "n_bootstraps": 20}


def runs(n=150, noise=0.5, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, 3))
    alike = {name: z @ rng.standard_normal((3, 6)) + noise * rng.standard_normal((n, 6)) for name in ("a", "b", "c")}
    return alike | {"other": rng.standard_normal((n, 6))}


def test_runs_of_one_code_agree_and_another_code_does_not():
    steps = []
    found = consistency(runs(), **QUICK, on_step=steps.append)
    alike = found["median_r"].sel(source=["a", "b", "c"], target=["a", "b", "c"]).values
    assert np.isnan(np.diag(alike)).all()
    assert np.nanmin(alike) > 0.7
    apart = found["median_r"].sel(source="other").dropna("target")
    assert np.abs(apart).max() < 0.25
    assert set(found["verdict"].sel(source="a", target=["b", "c"]).values) == {"above chance"}
    assert (found["p"].sel(source="other", target=["a", "b", "c"]) > 0.05).all()
    assert "other" in str(found["worst_pair"].values)
    assert len(steps) == 6
    assert np.nanmax(np.abs(found["null_r"])) < 0.1


def test_an_entry_is_what_the_pair_gives_by_itself():
    given = runs()
    found = consistency(given, **QUICK)
    pair = linear_identifiability(given["a"], given["c"], **QUICK)
    for name, entry in (("median_r", "median_r"), ("pooled_p", "p"), ("strong_mcc",) * 2, ("linear_share",) * 2):
        there = float(found[entry].sel(source="a", target="c"))
        back = float(found[entry].sel(source="c", target="a"))
        assert [there, back] == pytest.approx(pair[name].values.tolist())
    as_predictor = found["median_r"].mean("target")
    np.testing.assert_allclose(found["mean_r"], as_predictor)
    assert np.abs(as_predictor.values - found["median_r"].mean("source").values).max() > 1e-3  # not as predicted


def test_animals_are_joined_on_their_stimuli_with_their_ceilings(tmp_path):
    rng = np.random.default_rng(1)
    z = rng.standard_normal((120, 3))
    animals = {}
    for index, seen in enumerate((np.arange(100), np.arange(100)[::-1])):
        shown = np.repeat(seen, 4)
        trials = (z @ rng.standard_normal((3, 5)))[shown] + rng.standard_normal((400, 5))
        animals[f"animal {index}"] = population.from_arrays(trials, dims=("trial", "unit"), stimulus=shown)
    found = consistency(animals, **QUICK)
    assert float(found["n_samples"].sel(source="animal 0", target="animal 1")) == 100
    assert (found["ceiling_r"].sel(source="animal 0", target="animal 1") > 0.7).all()
    found.to_netcdf(tmp_path / "found.nc", engine="h5netcdf")


def test_one_population_has_nothing_to_agree_with():
    with pytest.raises(InputError, match="consistency needs at least two populations; got"):
        consistency({"a": np.eye(9)})
    with pytest.raises(InputError, match="consistency needs a mapping of names to populations; got list"):
        consistency([np.eye(9), np.eye(9)])
    with pytest.raises(InputError, match="consistency needs an integer as random_state, for equal folds; got"):
        consistency(runs(), random_state=np.random.default_rng(0))
    with pytest.raises(InputError, match="a as x, short as y: x and y must have the same samples; got 150 and 9 rows"):
        consistency({"a": runs()["a"], "short": np.eye(9)}, **QUICK)
    with pytest.raises(InputError, match="consistency fits both directions"):
        consistency(runs(), directions=["x->y"])
