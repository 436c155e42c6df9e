"""Populations from arrays, what `check` says of what is none, and provenance."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neurosparse import population
from neurosparse.errors import InputError


def trials(n_trials=6, n_units=3, **more):
    values = np.arange(n_trials * n_units, dtype=float).reshape(n_trials, n_units)
    return population.from_arrays(values, dims=("trial", "unit"), **more)


def test_from_arrays_labels_and_attrs():
    x = population.from_arrays(
        np.zeros((4, 5, 2), dtype=np.uint8),
        dims=("trial", "time", "unit"),
        unit=["a", "b"],
        stimulus=[0, 0, 1, 1],
        coords={"area": ("unit", ["V1", None])},
        kind="spikes",
        quantity="spike count",
        session="mouse 1",
        bin_width=0.1,
        provenance={"dropped": np.int64(3)},
    )
    assert x.dims == ("trial", "time", "unit")
    assert x.dtype == np.uint8
    assert x["time"].values == pytest.approx([0.05, 0.15, 0.25, 0.35, 0.45])
    assert x["time"].attrs == {"units": "s"}
    assert x["stimulus"].dims == ("trial",)
    assert x["trial"].values.tolist() == [0, 1, 2, 3]
    assert x["area"].isnull().values.tolist() == [False, True]
    assert x.attrs["kind"] == "spikes"
    assert x.attrs["bin_width"] == 0.1
    facts = population.provenance(x)
    assert facts["dropped"] == 3
    assert facts["versions"]["numpy"] == np.__version__


def test_from_arrays_takes_tensors_and_pandas_columns():
    torch = pytest.importorskip("torch")
    values = torch.arange(6.0, requires_grad=True).reshape(2, 3).to(torch.bfloat16)
    labels = pd.Series(["x", "y"], index=[5, 9], dtype="str")
    x = population.from_arrays(values, dims=("stimulus", "unit"), stimulus=labels)
    assert x.values.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert x["stimulus"].values.tolist() == ["x", "y"]
    assert population.from_arrays(x, dims=x.dims).values.tolist() == x.values.tolist()


@pytest.mark.parametrize("shape", [(0, 3), (4, 0), (0, 0)])
def test_an_empty_population_is_one(shape):
    assert population.from_arrays(np.zeros(shape), dims=("trial", "unit")).shape == shape


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dims": ("trial",)}, r"dims \(trial\) name 1 axes; values has shape \(2, 3\)"),
        ({"dims": ("time", "unit")}, "a time dim needs time= .* or bin_width="),
        ({"dims": ("trial", "unit"), "time": [0.0, 1.0]}, r"time was given, but dims \(trial, unit\) have no time"),
        (
            {"dims": ("time", "unit"), "bin_width": 1, "stimulus": [0, 1]},
            "stimulus labels need a stimulus or trial dim",
        ),
        ({"dims": ("trial", "unit"), "unit": ["a", "b"]}, r"coord 'unit' must have shape \(3,\), one entry a unit"),
        ({"dims": ("trial", "unit"), "coords": {"area": ("cell", [1])}}, "coord 'area' is on dim 'cell', which is not"),
        ({"dims": ("trial", "unit"), "kind": "neurons"}, r"attrs\['kind'\] = 'neurons'; expected one of spikes"),
    ],
)
def test_from_arrays_refusals(arguments, message):
    with pytest.raises(InputError, match=message):
        population.from_arrays(np.zeros((2, 3)), **arguments)


def broken(how):
    x = trials(unit=["a", "b", "c"])
    match how:
        case "array":
            return x.values
        case "renamed":
            return x.rename(unit="neuron")
        case "odd name":
            return x.rename(unit="my neuron")
        case "presentation":
            return x.rename(trial="presentation")
        case "order":
            return x.T
        case "far":
            return xr.DataArray(np.zeros((2, 2, 2, 2)))
        case "unlabelled":
            return x.drop_vars("unit")
        case "multiindex":
            x = x.assign_coords(day=("trial", [0, 0, 0, 1, 1, 1]), row=("trial", range(6))).drop_vars("trial")
            return x.set_index(trial=["day", "row"])
        case "missing label":
            return x.assign_coords(unit=[1.0, np.nan, 3.0])
        case "duplicates":
            return x.assign_coords(unit=["a", "b", "a"])
        case "2-D coord":
            return x.assign_coords(depth=(("trial", "unit"), x.values))
        case "name":
            return x.assign_coords({3: ("unit", [1, 2, 3])})
        case "mixed":
            return x.assign_coords(area=("unit", np.array(["V1", 4, None], dtype=object)))
        case "dates":
            return x.assign_coords(when=("trial", np.arange(6).astype("datetime64[s]")))
        case "bytes":
            return x.assign_coords(area=("unit", np.array([b"V1", b"V2", b"V4"])))
        case "complex":
            return x.astype(complex)
        case "infinite":
            return x.where(x != 4, np.inf)
        case "attr list":
            return x.assign_attrs(layers=[1, 2])
        case "attr bool":
            return x.assign_attrs(sorted=True)
        case "provenance":
            return x.assign_attrs(provenance="by hand")
    raise AssertionError(how)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("array", "x must be an xarray.DataArray; got ndarray. Make one with population.from_arrays"),
        ("renamed", r'x needs dims .*\(trial, unit\).*; got \(trial, neuron\). Rename with x.rename\(neuron="unit"\)'),
        ("odd name", r"Rename with x.rename\(\{'my neuron': \"unit\"\}\)"),
        ("presentation", "Rename 'presentation' to what it is, stimulus or time or trial, with x.rename"),
        ("order", r'got \(unit, trial\). Reorder with x.transpose\("trial", "unit"\)'),
        ("far", "Select, average or stack the other dims away"),
        ("unlabelled", r"no labels on its dim 'unit'. Add them with x.assign_coords\(unit=np.arange\(3\)\)"),
        ("multiindex", r"MultiIndex on 'trial' \(levels \['day', 'row'\]\).*x.reset_index\(\"trial\"\)"),
        ("missing label", "has 1 missing unit labels"),
        ("duplicates", r"duplicated unit labels: 1 of 3, first 'a'. Label them uniquely"),
        ("2-D coord", r"coord 'depth' with dims \(trial, unit\); coords have one dim. Drop it with"),
        ("name", "a coord whose name is 3, not a str"),
        ("mixed", r"coord 'area' of mixed types: 4 \(int\) among text"),
        ("dates", r"dates in coord 'when' \(datetime64\[.*\]\). Give seconds as float"),
        ("bytes", r"coord 'area' of dtype \|S2; coords hold numbers, bool or text"),
        ("complex", "values of dtype complex128; expected numbers"),
        ("infinite", "1 infinite values, first at trial=1, unit='b'. Mark unobserved values NaN"),
        ("attr list", r"attrs\['layers'\] = \[1, 2\] of type list; attrs hold str, int and float only"),
        ("attr bool", r"attrs\['sorted'\] = True of type bool"),
        ("provenance", r"attrs\['provenance'\] that is not a JSON object"),
    ],
)
def test_check_says_what_is_wrong_and_how_to_mend_it(how, message):
    with pytest.raises(InputError, match=message):
        population.check(broken(how), name="x")


def test_check_mends_with_its_own_advice():
    population.check(broken("renamed").rename(neuron="unit"))
    population.check(broken("order").transpose("trial", "unit"))


@pytest.mark.parametrize(
    ("time", "message"),
    [
        (np.arange(3, dtype=np.float32), "time of dtype float32; it must be seconds as float64"),
        ([0.0, 2.0, 1.0], "time that does not increase, first from 2.0 to 1.0"),
        ([0.0, np.nan, 1.0], "1 time labels that are not finite, first at 1"),
    ],
)
def test_check_of_time(time, message):
    x = population.from_arrays(np.zeros((3, 2)), dims=("time", "unit"), bin_width=1.0)
    with pytest.raises(InputError, match=message):
        population.check(x.assign_coords(time=time))


def test_check_holds_to_the_dims_asked_for():
    x = trials()
    population.check(x, dims=("trial", "unit"))
    population.check(x, dims=[("stimulus", "unit"), ("trial", "unit")])
    with pytest.raises(
        InputError, match=r"brain needs dims \(stimulus, unit\); got \(trial, unit\). Average the repeats"
    ):
        population.check(x, dims=("stimulus", "unit"), name="brain")


def test_check_allows_nan_codes_scalars_and_missing_text():
    x = trials(coords={"area": ("unit", ["V1", None, "V4"])})
    population.check(x.where(x != 3))
    population.check(x.rename(unit="atom"))
    population.check(x.assign_coords(day=3))
    population.check(x.isel(unit=[0, 2]))


def test_record_appends_steps_and_leaves_the_original_alone():
    x = trials(provenance={"file": "a.nwb"})
    before = x.attrs["provenance"]
    y = population.record(population.record(x, "first", n=np.int64(2)), "second", values=np.array([1.0, np.nan]))
    assert x.attrs["provenance"] == before
    facts = population.provenance(y)
    assert facts["file"] == "a.nwb"
    assert facts["steps"] == [{"step": "first", "n": 2}, {"step": "second", "values": [1.0, None]}]
    json.loads(y.attrs["provenance"], parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_provenance_of_what_has_none_and_of_what_is_broken():
    assert population.provenance(xr.DataArray(0.0)) == {}
    with pytest.raises(InputError, match=r"must be a JSON object in one string; got 'by hand'"):
        population.provenance(broken("provenance"))


def test_the_room_loads_no_torch_pynwb_or_figures():
    heavy = ("torch", "pynwb", "h5py", "matplotlib")
    code = f"import sys, neurosparse.population; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_only_infinities_are_refused_not_missing_or_huge_values(dtype):
    values = np.ones((4, 3), dtype)
    values[1, 1], values[2, 2] = np.finfo(dtype).max, np.nan
    population.from_arrays(values, dims=("trial", "unit"))
    for infinity in (np.inf, -np.inf):
        values[3, 0] = infinity
        for stored in (values, np.asfortranarray(values)):
            with pytest.raises(InputError, match="1 infinite values, first at trial=3, unit=0"):
                population.from_arrays(stored, dims=("trial", "unit"))
