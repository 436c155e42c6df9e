"""Queries, intervals, covariates and random units."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neurosparse import population
from neurosparse.errors import DataWarning, InputError, MissingError


@pytest.fixture
def x():
    return population.from_arrays(
        np.arange(40.0).reshape(8, 5),
        dims=("trial", "unit"),
        unit=[f"u{i}" for i in range(5)],
        stimulus=[0, 0, 1, 1, 2, 2, 3, 3],
        coords={
            "area": ("unit", ["V1", "V4", "V4", None, "V4"]),
            "quality": ("unit", ["good", "good", "mua", "good", "good"]),
            "snr": ("unit", [1.0, 2.0, 3.0, 4.0, np.nan]),
            "sorted": ("unit", [True, False, True, True, True]),
            "spike count": ("unit", [5, 6, 7, 8, 9]),
            "start_time": ("trial", np.arange(8) * 10.0),
        },
    )


@pytest.fixture
def series():
    return population.from_arrays(np.arange(20.0).reshape(10, 2), dims=("time", "unit"), bin_width=1.0)


@pytest.mark.parametrize(
    ("query", "units"),
    [
        ("area == 'V4' and quality == 'good'", [1, 4]),
        ("(area == 'V4') & (quality == 'good')", [1, 4]),
        ("area == 'V1' or quality == 'mua'", [0, 2]),
        ("(area == 'V1') | (quality == 'mua')", [0, 2]),
        ("area == 'V1' or (area == 'V4' and snr > 2)", [0, 2]),
        ("not (sorted and area == 'V4')", [0, 1, 3]),
        ("area in ['V1', 'V2']", [0]),
        ("area not in ['V1', 'V2']", [1, 2, 3, 4]),
        ("area != 'V4'", [0, 3]),
        ("area == None", [3]),
        ("area != None and snr != None", [0, 1, 2]),
        ("snr > 2", [2, 3]),
        ("1 < snr <= 3", [1, 2]),
        ("not snr > 2", [0, 1, 4]),
        ("~(snr > 2)", [0, 1, 4]),
        ("sorted", [0, 2, 3, 4]),
        ("not sorted", [1]),
        ("`spike count` - 4 >= snr", [0, 1, 2, 3]),
        ("`spike count` % 2 == 1", [0, 2, 4]),
        ("snr * 2 == -(-4)", [1]),
        ("unit == 'u3'", [3]),
    ],
)
def test_query_keeps_what_it_says(x, query, units):
    kept = population.select(x, query)
    assert kept["unit"].values.tolist() == [f"u{i}" for i in units]
    assert (kept.values == x.values[:, units]).all()


def test_query_agrees_with_pandas(x):
    table = pd.DataFrame({name: x[name].values for name in ("area", "quality", "snr", "sorted")})
    for query in ("area == 'V4' and snr >= 2", "quality != 'good' or snr < 2", "sorted and not area == 'V4'"):
        wanted = table.query(query, engine="python").index
        assert population.select(x, query)["unit"].values.tolist() == [f"u{i}" for i in wanted]


def test_parts_on_several_dims_select_on_each_and_are_recorded(x):
    kept = population.select(x, "area == 'V4' and stimulus < 2 and start_time >= 10")
    assert kept.shape == (3, 3)
    assert (kept.values == x.values[1:4][:, [1, 2, 4]]).all()
    step = population.provenance(kept)["steps"][-1]
    assert step["kept"] == {"trial": [3, 8], "unit": [3, 5]}


@pytest.mark.parametrize(
    ("query", "error", "message"),
    [
        (
            "region == 'V4'",
            MissingError,
            r"'region' is no coord .* trial: start_time, stimulus, trial; unit: area, qual",
        ),
        ("`a b` == 1", MissingError, "'a b' is no coord"),
        ("area == 'V4' or stimulus == 1", InputError, "mixes the dims trial, unit. Each part must ask of one dim"),
        ("1 == 1", InputError, "part '1 == 1' of the query names no coord"),
        ("area == 'MT'", InputError, r"keeps none of 5 units. area has 'V4' \(3\), 'V1' \(1\)"),
        ("snr > 50", InputError, r"keeps none of 5 units. snr has"),
        ("area == 4", InputError, "'area == 4' compares text with numbers"),
        ("snr == '4'", InputError, "compares text with numbers"),
        ("area in [1, 2]", InputError, "compares text with numbers"),
        ("area in 'V4'", InputError, "'in' needs a list"),
        ("area == ['V4']", InputError, "a list goes with in and not in only"),
        ("area < None", InputError, "None, for missing, goes with == and != only"),
        ("area is None", InputError, "Compare with == != < <= > >= or in"),
        ("snr", InputError, "'snr' is not true or false for each row"),
        ("area == 'V4' & quality == 'good'", InputError, "every comparison needs its own brackets"),
        ("area + 1 == 2", InputError, "'area' is not a number"),
        ("area ==", InputError, "cannot read the query 'area =='"),
        ("", InputError, "a query is a text such as"),
        (3, InputError, "a query is a text such as"),
    ],
)
def test_query_refusals(x, query, error, message):
    with pytest.raises(error, match=message):
        population.select(x, query)


@pytest.mark.parametrize(
    "query",
    [
        "area.__class__ == 'V4'",
        "(lambda: 1)() == area",
        "area[0] == 'V4'",
        "[a for a in area] == 1",
        "f'{area}' == 'V4'",
        "unit.__init__.__globals__",
        "@area == 1",
        "(area := 'V4') == 'V4'",
        "snr ** 9 ** 9 > 1",
        "snr if snr else snr",
    ],
)
def test_a_query_is_never_run_as_code(x, query):
    with pytest.raises((InputError, MissingError), match="cannot hold|no coord|cannot read|not true or false"):
        population.select(x, query)


def test_many_values_are_summed_up():
    x = population.from_arrays(
        np.zeros((20, 1)), dims=("trial", "unit"), coords={"name": ("trial", list("abcdefghijklmnopqrst"))}
    )
    with pytest.raises(InputError, match="trial lies in 0.0 to 19.0"):
        population.select(x, "trial > 40")
    with pytest.raises(InputError, match="name has 20 values, such as"):
        population.select(x, "name == 'z'")


def test_restrict_time_to_intervals(series):
    table = pd.DataFrame({"start_time": [4.5, 0.0, 0.5], "stop_time": [6.5, 1.6, 1.0], "other": "x"})
    kept = population.restrict(series, table)
    assert kept["time"].values.tolist() == [0.5, 1.5, 4.5, 5.5]  # start is in, stop is out, overlaps count once
    assert (kept.values == series.sel(time=kept.time).values).all()
    assert population.restrict(series, (4.5, 6.5))["time"].values.tolist() == [4.5, 5.5]
    assert population.provenance(kept)["steps"][-1] == {"step": "restrict", "kept": [4, 10], "n_intervals": 3}


def test_restrict_trials_by_their_start(x):
    assert population.restrict(x, [[10.0, 20.0], [55.0, 60.5]])["trial"].values.tolist() == [1, 6]
    unknown = x.assign_coords(start_time=("trial", [np.nan, 10, 20, 30, 40, 50, 60, 70]))
    assert population.restrict(unknown, (0, 15))["trial"].values.tolist() == [1]


def test_restrict_by_covariate(series):
    speed = xr.DataArray(np.arange(10.0), dims="time", coords={"time": series.time})
    assert population.restrict(series, covariate=speed, above=3, below=6)["time"].values.tolist() == [4.5, 5.5]
    assert population.restrict(series, covariate=speed.values, above=8)["time"].values.tolist() == [9.5]
    assert population.restrict(series, (0, 5), covariate=speed, above=3)["time"].values.tolist() == [4.5]


def test_restrict_by_a_covariate_of_the_inner_dim():
    x = population.from_arrays(np.zeros((2, 5, 1)), dims=("trial", "time", "unit"), time=np.arange(5.0) - 2)
    assert population.restrict(x, covariate=x.time, below=0).shape == (2, 2, 1)


def test_restrict_counts_unknown_covariates(series):
    speed = np.arange(10.0)
    speed[[2, 8]] = np.nan
    with pytest.warns(DataWarning, match="covariate is NaN in 2 of 10 time samples; they are not kept"):
        kept = population.restrict(series, covariate=speed, above=6)
    assert kept["time"].values.tolist() == [7.5, 9.5]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "restrict needs intervals, or a covariate"),
        ({"intervals": (0, 5), "above": 3}, "above and below are limits of a covariate"),
        ({"covariate": np.zeros(10)}, "a covariate needs above= or below="),
        ({"covariate": np.zeros(9), "above": 1}, r"one value for each of the 10 time samples; got shape \(9,\)"),
        ({"covariate": np.zeros(10), "above": 1}, "keeps none of the 10 time samples"),
        ({"intervals": (100, 200)}, "keeps none of the 10 time samples. Are both on the same clock"),
        ({"intervals": [[0, 1], [3, 2]]}, "1 of 2 intervals are NaN or end before they start, first row 1: 3.0 to 2.0"),
        ({"intervals": [[0, np.nan]]}, "1 of 1 intervals are NaN"),
        ({"intervals": np.zeros((2, 3))}, r"DataFrame or \(start, stop\) pairs; got shape \(2, 3\)"),
        (
            {"intervals": pd.DataFrame({"start": [0]})},
            r"need columns start_time and stop_time; .* missing among \['start'\]",
        ),
    ],
)
def test_restrict_refusals(series, arguments, message):
    with pytest.raises(InputError, match=message):
        population.restrict(series, **arguments)


def test_restrict_refuses_other_clocks_and_stimuli(series, x):
    shifted = xr.DataArray(np.arange(10.0), dims="time", coords={"time": series.time + 0.01})
    with pytest.raises(InputError, match=r"different time labels. .* covariate.interp\(time=x.time\)"):
        population.restrict(series, covariate=shifted, above=3)
    with pytest.raises(InputError, match="time dim first, or trials with a start_time coord"):
        population.restrict(population.average(x), (0, 1))


def test_subsample_units(x):
    kept = population.subsample_units(x, 3, random_state=1)
    assert kept.shape == (8, 3)
    assert (np.diff(kept["spike count"]) > 0).all()  # in their order
    assert (kept.values == x.sel(unit=kept.unit).values).all()
    drawn = {tuple(population.subsample_units(x, 3, random_state=seed)["unit"].values) for seed in range(30)}
    assert len(drawn) > 5
    for wrong in (0, 6, 2.5):
        with pytest.raises(InputError, match="between 1 and the 5 units there are"):
            population.subsample_units(x, wrong)
