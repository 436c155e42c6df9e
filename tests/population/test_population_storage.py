"""A saved population comes back exactly, or is refused with a reason before anything is written."""

from __future__ import annotations

import math

import h5netcdf
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neurosparse import population
from neurosparse.errors import FileError, InputError

DTYPES = ["bool", "uint8", "uint16", "int16", "int64", "float32", "float64"]
TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=6)
NAMES = TEXT.filter(
    lambda s: s not in ("", ".", "..", "population", "trial", "time", "unit", "stimulus") and "/" not in s
)


def same(a, b):
    """Equal, with NaN and None each equal to itself."""
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a):
        return math.isnan(b)
    return type(a) is type(b) and a == b


def assert_identical(a, b):
    assert a.dims == b.dims
    assert a.name == b.name
    assert list(map(str, a.coords)) == list(map(str, b.coords))
    for one, two in [(a.variable, b.variable), *((a[name].variable, b[name].variable) for name in a.coords)]:
        assert one.dims == two.dims
        assert one.dtype == two.dtype
        assert all(map(same, one.values.ravel().tolist(), two.values.ravel().tolist()))
        assert one.attrs.keys() == two.attrs.keys()
        assert all(same(value, two.attrs[key]) for key, value in one.attrs.items())


@st.composite
def columns(draw, n):
    match draw(st.sampled_from(["text", "missing", "number"])):
        case "text":
            return np.array(draw(st.lists(TEXT, min_size=n, max_size=n)), dtype=np.str_)
        case "missing":
            entries = draw(st.lists(TEXT | st.sampled_from([None, math.nan]), min_size=n, max_size=n))
            column = np.empty(n, dtype=object)
            column[:] = entries
            return column
    return draw(hnp.arrays(draw(st.sampled_from(DTYPES)), n))


@st.composite
def populations(draw):
    dims = draw(st.sampled_from(population.DIMS))
    shape = tuple(draw(st.integers(0, 3)) for _ in dims)
    dtype = draw(st.sampled_from(DTYPES))
    finite = {"elements": st.floats(width=int(dtype[-2:]), allow_infinity=False)} if dtype.startswith("f") else {}
    values = draw(hnp.arrays(dtype, shape, **finite))
    size = dict(zip(dims, shape, strict=True))
    coords = {}
    for name in draw(st.lists(NAMES, max_size=3, unique=True)):
        dim = draw(st.sampled_from(dims))
        coords[name] = (dim, draw(columns(size[dim])))
    unit = draw(st.lists(TEXT, min_size=shape[-1], max_size=shape[-1], unique=True))
    x = population.from_arrays(
        values,
        dims=dims,
        unit=np.array(unit, dtype=draw(st.sampled_from(["U", object]))),
        time=np.cumsum(np.full(size["time"], 0.1)) if "time" in size else None,
        coords=coords,
        session=draw(TEXT),
        provenance=draw(st.dictionaries(TEXT, TEXT | st.integers() | st.none() | st.lists(TEXT), max_size=2)),
    )
    x.attrs |= draw(
        st.dictionaries(st.sampled_from(["alpha", "β", "n"]), TEXT | st.floats() | st.integers(-(2**63), 2**63 - 1))
    )
    return x.rename(draw(st.none() | st.just("activity")))


@settings(
    max_examples=40,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(x=populations())
def test_round_trip_is_exact(tmp_path, x):
    path = tmp_path / "x.nc"
    population.save(x, path)
    back = population.open(path)
    assert_identical(x, back)
    population.check(back)


def test_the_comparison_of_this_file_sees_differences():
    x = population.from_arrays([[1, 2]], dims=("trial", "unit"), coords={"area": ("unit", ["V1", None])})
    for other in (
        x.astype(float),
        x + 1,
        x.assign_attrs(more=1),
        x.assign_coords(area=("unit", ["V1", ""])),
        x.rename("y"),
    ):
        with pytest.raises(AssertionError):
            assert_identical(x, other)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(0, 2), (2, 0), (3, 2)])
def test_dtypes_and_empty_populations(tmp_path, dtype, shape):
    x = population.from_arrays(
        np.ones(shape, dtype=dtype),
        dims=("trial", "unit"),
        coords={"name": ("trial", np.array(["ä"] * shape[0], dtype=object)), "good": ("unit", np.ones(shape[1], bool))},
    )
    population.save(x, tmp_path / "x.nc")
    assert_identical(x, population.open(tmp_path / "x.nc"))


def test_nan_missing_text_scalar_coords_and_long_provenance(tmp_path):
    x = population.from_arrays(
        [[np.nan, 1.0], [2.0, 3.0]],
        dims=("trial", "unit"),
        coords={"area": ("unit", ["", None]), "note": ("trial", ["NaN", "日本"])},
        provenance={"log": "ö" * 200_000},
    ).assign_coords(day=3, rig="left")
    x["area"].attrs["units"] = "none"
    population.save(x, tmp_path / "x.nc")
    back = population.open(tmp_path / "x.nc")
    assert_identical(x, back)
    assert back["area"].isnull().values.tolist() == [False, True]


def test_time_stays_seconds(tmp_path):
    x = population.from_arrays(np.zeros((3, 1)), dims=("time", "unit"), time=[0.1 + 0.2, 1e9 + 1e-7, 2e9])
    for units in ("s", "seconds since 2020-01-01", "days"):
        x["time"].attrs["units"] = units
        population.save(x, tmp_path / "x.nc")
        assert_identical(x, population.open(tmp_path / "x.nc"))


def test_what_was_computed_can_be_saved(tmp_path):
    x = population.from_arrays(
        np.random.default_rng(0).poisson(3, (12, 3)), dims=("trial", "unit"), stimulus=np.repeat(list("abcd"), 3)
    )
    for y in (population.average(x), population.scale_by_noise(x), population.select(x, "stimulus == 'b'")):
        population.save(y, tmp_path / "y.nc")
        assert_identical(y, population.open(tmp_path / "y.nc"))


def test_any_netcdf_reader_can_read_it(tmp_path):
    x = population.from_arrays([[1.0, 2.0]], dims=("trial", "unit"), coords={"area": ("unit", ["V1", "V4"])})
    population.save(x, tmp_path / "x.nc")
    with h5netcdf.File(tmp_path / "x.nc") as file:
        assert file["population"].dimensions == ("trial", "unit")
        assert file["population"][...].tolist() == [[1.0, 2.0]]
        assert "_FillValue" not in file["population"].attrs
        assert list(file["area"][...]) in (["V1", "V4"], [b"V1", b"V4"])


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    x = population.from_arrays([[1.0]], dims=("trial", "unit"))
    population.save(x, tmp_path / "x.nc")

    def broken(self, path, **kwargs):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", broken)
    with pytest.raises(OSError, match="disk full"):
        population.save(x + 1, tmp_path / "x.nc")
    assert population.open(tmp_path / "x.nc").values.tolist() == [[1.0]]
    assert [path.name for path in tmp_path.iterdir()] == ["x.nc"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x.assign_coords({"a/b": ("unit", [1])}), "a coord named 'a/b' cannot be saved: names hold no '/'"),
        (lambda x: x.assign_coords({"": ("unit", [1])}), "a coord named '' cannot be saved"),
        (lambda x: x.assign_coords(population=("unit", [1])), "a coord named 'population' cannot be saved"),
        (lambda x: x.assign_coords(area__missing=("unit", [1])), "a coord named 'area__missing' cannot be saved"),
        (lambda x: x.assign_coords(area=("unit", ["a\0b"])), "coord 'area' holds a NUL character"),
        (lambda x: x.assign_coords(area=("unit", ["\ud800"])), "coord 'area' holds .* no valid unicode"),
        (lambda x: x.assign_attrs(scale_factor=2.0), "attrs cannot hold the key 'scale_factor': it is reserved"),
        (lambda x: x.assign_attrs(neurosparse_x=1), "attrs cannot hold the key 'neurosparse_x'"),
        (lambda x: x.assign_attrs(big=2**70), r"attrs\['big'\] = .* does not fit in 64 bits"),
        (lambda x: x.assign_attrs(text="a\0"), r"attrs\['text'\] holds a NUL character"),
        (lambda x: x.assign_coords(a=("unit", [1], {"flag": True})), "attrs of coord 'a' hold str, int and float only"),
        (lambda x: x.rename(3), "the name must be a str to be saved; got 3"),
        (lambda x: x.astype(np.float16), "its values are of dtype float16, which netCDF does not hold"),
        (lambda x: x.rename(unit="neuron"), "needs dims"),
        (
            lambda x: x.assign_coords(when=("trial", np.array(["2020-01-01"], dtype="datetime64[ns]"))),
            "dates in coord 'when'",
        ),
    ],
)
def test_what_cannot_be_saved_is_refused(tmp_path, change, message):
    x = change(population.from_arrays([[1.0]], dims=("trial", "unit")))
    with pytest.raises(InputError, match=message):
        population.save(x, tmp_path / "x.nc")
    assert not list(tmp_path.iterdir())


def test_open_refusals(tmp_path):
    with pytest.raises(FileError, match="there is no file .*nothing.nc"):
        population.open(tmp_path / "nothing.nc")
    (tmp_path / "text.nc").write_text("hello")
    with pytest.raises(FileError, match="cannot read .*text.nc as netCDF"):
        population.open(tmp_path / "text.nc")
    xr.Dataset({"a": 1}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    with pytest.raises(FileError, match="holds no population of neurosparse"):
        population.open(tmp_path / "other.nc")
    xr.Dataset({"population": 1}, attrs={"neurosparse_format": 99}).to_netcdf(tmp_path / "new.nc", engine="h5netcdf")
    with pytest.raises(FileError, match="has format 99, newer than 1"):
        population.open(tmp_path / "new.nc")
    with pytest.raises(FileError, match="does not exist. Create it first"):
        population.save(population.from_arrays([[1.0]], dims=("trial", "unit")), tmp_path / "no" / "x.nc")
