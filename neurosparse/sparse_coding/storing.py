"""Fitted dictionaries and half-done fits in files: safetensors with a JSON header, never a pickle.

Arrays and plain facts enter and leave. Imports ``files`` and ``errors``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from neurosparse.errors import FileError
from neurosparse.files import write_whole

Arrays = dict[str, np.ndarray]


def write(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> None:
    """Write arrays and a header that JSON can hold, whole or not at all."""
    whole = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    with write_whole(path) as temporary:
        save_file(whole, temporary, metadata={"neurosparse": json.dumps(dict(header))})


def read(path: str | os.PathLike[str], kind: str) -> tuple[Arrays, dict[str, Any]]:
    """Arrays and header of a file that `write` made.

    Raises
    ------
    FileError
        If the file is missing, is no safetensors file, or holds something other than `kind`.
    """
    try:
        with safe_open(os.fspath(path), framework="numpy") as file:
            header = json.loads((file.metadata() or {}).get("neurosparse", "{}"))
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, FileNotFoundError, IsADirectoryError, ValueError) as error:
        raise FileError(f"cannot read {path}: expected a safetensors file of a {kind}; {error}.") from error
    if header.get("kind") != kind:
        raise FileError(f"{path} holds {header.get('kind', 'something else')!r}; expected a {kind}.")
    return arrays, header


def labels_to_json(dictionary: Any) -> dict[str, Any] | None:
    """The unit coords of a labelled dictionary; None of a plain one."""
    if not isinstance(dictionary, xr.DataArray):
        return None
    units = [name for name in dictionary.coords if dictionary[name].dims == ("unit",)]
    return {
        str(name): {"dtype": dictionary[name].dtype.str, "values": dictionary[name].values.tolist()} for name in units
    }


def labels_from_json(labels: Mapping[str, Any]) -> dict[str, xr.Variable]:
    """What `labels_to_json` was given, as variables over ``unit``."""
    return {
        name: xr.Variable(("unit",), np.array(entry["values"], dtype=np.dtype(entry["dtype"])))
        for name, entry in labels.items()
    }


def plain(value: Any) -> Any:
    """A parameter as JSON holds it; what it cannot hold becomes None (generators) or text (devices)."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray | list | tuple):
        return np.asarray(value).tolist()
    if isinstance(value, np.random.RandomState | np.random.Generator):
        return None
    return str(value)
