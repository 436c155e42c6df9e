"""Save a population as netCDF and open it again, exactly as it was.

The file is an ordinary netCDF-4 file with one variable ``population`` and one a coord. What netCDF cannot hold
(missing text, fixed-width text, the dtype bool) is marked by attributes that start with ``neurosparse_``. Nothing is
pickled.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from neurosparse.errors import FileError, InputError
from neurosparse.files import write_whole
from neurosparse.population.checking import check

FORMAT = 1
_VALUES = "population"
_MISSING = "__missing"
_MARK = "neurosparse_"
# Attributes that netCDF, CF or HDF5 give a meaning of their own.
_RESERVED = {
    "_FillValue", "missing_value", "scale_factor", "add_offset", "_Unsigned", "dtype", "coordinates", "calendar",
    "grid_mapping", "bounds", "CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", "_Netcdf4Dimid",
    "_Netcdf4Coordinates", "_nc3_strict", "_NCProperties",
}  # fmt: skip


def save(x: xr.DataArray, path: str | os.PathLike[str]) -> None:
    """Write a population to a netCDF file, whole or not at all.

    Parameters
    ----------
    x : population
    path : path-like
        Usually ending in ``.nc``. An existing file is replaced only when the new one is complete.

    Raises
    ------
    InputError
        If `x` is not a population, or holds a name or text that netCDF cannot: '/' in a name, a reserved name,
        a NUL character.
    FileError
        If the folder does not exist.

    Notes
    -----
    `open` gives back equal values, dtypes, labels, attrs and name. Encodings and chunking of a former file do not
    come along.
    """
    check(x)
    _check_names(x)
    variables = {_VALUES: _encode(x.variable, "its values")}
    for name in x.coords:
        variable = x[name].variable.to_base_variable()
        variables[str(name)] = _encode(variable, f"coord {name!r}")
        if variable.dtype.kind == "O":
            variables[f"{name}{_MISSING}"] = xr.Variable(variable.dims, _missing_kind(variable.values))
    header: dict[str, Any] = {f"{_MARK}format": FORMAT, f"{_MARK}coords": json.dumps(list(map(str, x.coords)))}
    if x.name is not None:
        header[f"{_MARK}name"] = str(x.name)
    dataset = xr.Dataset(variables, attrs=header)
    # No fill values: NaN is NaN to every reader.
    encoding = {name: {"_FillValue": None} for name in variables}
    with write_whole(path) as temporary:
        dataset.to_netcdf(temporary, engine="h5netcdf", encoding=encoding)


def _check_names(x: xr.DataArray) -> None:
    for name in x.coords:
        text = str(name)
        if not text or "/" in text or "\0" in text or text in (".", "..", _VALUES) or text.endswith(_MISSING):
            raise InputError(
                f"a coord named {text!r} cannot be saved: names hold no '/' or NUL and are not empty, '.', "
                f"'{_VALUES}' or '...{_MISSING}'. Rename it with x.rename({{{text!r}: ...}})."
            )
    if not isinstance(x.name, str | None):
        raise InputError(f"the name must be a str to be saved; got {x.name!r}. Rename with x.rename('activity').")
    _check_text([x.name or ""], "the name")
    for attrs, where in [(x.attrs, "attrs"), *((x[name].attrs, f"attrs of coord {name!r}") for name in x.coords)]:
        for key, value in attrs.items():
            _check_attr(key, value, where)


def _check_attr(key: Any, value: Any, where: str) -> None:
    if not isinstance(key, str) or isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InputError(f"{where} hold str, int and float only; got {key!r} = {value!r}. Convert it.")
    if not key or "\0" in key or "/" in key or key in _RESERVED or key.startswith(_MARK):
        raise InputError(
            f"{where} cannot hold the key {key!r}: it is reserved in netCDF files, or holds '/' or NUL. Rename it."
        )
    if isinstance(value, str):
        _check_text([key, value], f"{where}[{key!r}]")
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InputError(f"{where}[{key!r}] = {value} does not fit in 64 bits. Keep it as text.")


def _check_text(values: list[str], where: str) -> None:
    for value in values:
        if "\0" in value:
            raise InputError(f"{where} holds a NUL character in {value!r}, where netCDF text ends. Remove it.")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InputError(
                f"{where} holds {value!r}, which is no valid unicode. Replace the lone surrogate."
            ) from None


def _encode(variable: xr.Variable, where: str) -> xr.Variable:
    """The variable as netCDF holds it, its dtype marked where that is another one."""
    variable = variable.to_base_variable()
    kind, attrs = variable.dtype.kind, dict(variable.attrs)
    if kind == "b":
        return xr.Variable(variable.dims, variable.data.astype(np.uint8), attrs | {f"{_MARK}dtype": "bool"})
    if kind in "UO":
        text = [value if isinstance(value, str) else "" for value in variable.values.ravel().tolist()]
        _check_text(text, where)
        values = np.array(text, dtype=object).reshape(variable.shape)
        mark = "object" if kind == "O" else variable.dtype.str
        return xr.Variable(variable.dims, values, attrs | {f"{_MARK}dtype": mark})
    if kind == "f" and variable.dtype.itemsize not in (4, 8):
        raise InputError(f"{where} are of dtype {variable.dtype}, which netCDF does not hold. Use x.astype('float32').")
    return xr.Variable(variable.dims, variable.data, attrs)


def _missing_kind(values: np.ndarray) -> np.ndarray:
    """0 where there is text, 1 for None, 2 for NaN."""
    kinds = [0 if isinstance(value, str) else 1 if value is None else 2 for value in values.ravel().tolist()]
    return np.array(kinds, dtype=np.uint8).reshape(values.shape)


def open(path: str | os.PathLike[str]) -> xr.DataArray:
    """The population that `save` wrote, read into memory.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    population

    Raises
    ------
    FileError
        If the file does not exist, is no netCDF file, was not written by `save`, or by a newer version.
    """
    path = Path(path)
    if not path.is_file():
        raise FileError(f"there is no file {path}. Give the path of a population that population.save wrote.")
    try:
        dataset = xr.load_dataset(path, engine="h5netcdf", decode_cf=False)
    except (OSError, ValueError, KeyError) as error:
        raise FileError(f"cannot read {path} as netCDF: {error}. Is it complete, and not an NWB file?") from error
    version = dataset.attrs.get(f"{_MARK}format")
    if version is None or _VALUES not in dataset.variables:
        raise FileError(
            f"{path} is netCDF but holds no population of neurosparse. Make one with population.from_arrays."
        )
    if version > FORMAT:
        raise FileError(
            f"{path} has format {version}, newer than {FORMAT}, which this version reads. Update neurosparse."
        )
    coords = {
        name: _decode(dataset.variables[name], dataset.variables.get(f"{name}{_MISSING}"))
        for name in json.loads(dataset.attrs[f"{_MARK}coords"])
    }
    values = _decode(dataset.variables[_VALUES], None)
    name = dataset.attrs.get(f"{_MARK}name")
    return xr.DataArray(values.values, coords=coords, dims=values.dims, name=name, attrs=values.attrs)


def _decode(variable: xr.Variable, missing: xr.Variable | None) -> xr.Variable:
    attrs = {key: _python(value) for key, value in variable.attrs.items() if not key.startswith(_MARK)}
    dtype, values = variable.attrs.get(f"{_MARK}dtype"), variable.values
    if dtype is None:
        return xr.Variable(variable.dims, values, attrs)
    if dtype != "object":
        return xr.Variable(variable.dims, values.astype(dtype), attrs)
    values = values.astype(object)
    if missing is not None:
        values[missing.values == 1] = None
        values[missing.values == 2] = np.nan
    return xr.Variable(variable.dims, values, attrs)


def _python(value: Any) -> str | int | float:
    """An attribute as the plain type it was written from."""
    return value.item() if isinstance(value, np.generic) else value
