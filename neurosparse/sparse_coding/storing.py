"""Fitted dictionaries and half-done fits in files: safetensors with a JSON header, never a pickle.

Arrays and plain facts enter and leave. Imports ``files`` and ``errors``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import xarray as xr
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from neurosparse.errors import FileError
from neurosparse.files import write_whole

Arrays = dict[str, np.ndarray]
KIND = "dictionary"
_ARRAYS = ("utility_", "usage_", "mean_", "nuisance_", "_atoms", "_offset", "_scale", "_norms")


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


def of_learner(learner: Any) -> tuple[Arrays, dict[str, Any]]:
    """Arrays and header that `to_learner` makes the same fitted learner of."""
    arrays = {name: getattr(learner, name) for name in _ARRAYS}
    if learner.penalty_path_ is not None:
        arrays |= {f"penalty_path_.{name}": entry for name, entry in learner.penalty_path_.items()}
    return arrays, {
        "kind": KIND,
        "parameters": {name: plain(value) for name, value in learner.get_params().items()},
        "container": "torch" if isinstance(learner.dictionary_, torch.Tensor) else "numpy",
        "labels": labels_to_json(learner.dictionary_),
        "loss": learner.loss_,
        "atoms": learner.atoms_,
        "penalty": learner.penalty_,
        "objective": learner.objective_,
        "history": learner.history_,
        "verdict": getattr(learner, "verdict_", ""),
    }


def to_learner(learner: Any, arrays: Arrays, header: Mapping[str, Any]) -> None:
    """Set what `of_learner` took, save labels."""
    for name in _ARRAYS:
        setattr(learner, name, arrays[name])
    tried = {name.partition(".")[2]: entry for name, entry in arrays.items() if name.startswith("penalty_path_.")}
    learner.penalty_path_ = tried or None
    # A file of before losses were chosen says them among the parameters.
    learner.loss_, learner.atoms_ = (header.get(name, getattr(learner, name)) for name in ("loss", "atoms"))
    learner.penalty_, learner.objective_ = header["penalty"], header["objective"]
    learner.history_, learner.n_iter_ = header["history"], len(header["history"])
    if header.get("verdict"):
        learner.verdict_ = header["verdict"]
    learner.n_features_in_ = learner._atoms.shape[1]


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
