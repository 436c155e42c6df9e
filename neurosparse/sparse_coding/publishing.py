"""What was fitted, in units of the data and as the kind that came in. Each takes a `DictionaryLearning`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr

from neurosparse.backend import dictionary as backend
from neurosparse.sparse_coding.viewing import plain_atoms


def keep(learner: Any, X: Any, values: np.ndarray, found: backend.Learner, penalty: float) -> None:
    """The backend's dictionary as fitted attributes, atoms in falling order of utility."""
    utility = found.utility() / found.statistics.weight.clamp(min=1)
    order = torch.argsort(utility, descending=True, stable=True)
    learner._atoms = found.dictionary[order].double().cpu().numpy()
    learner._atoms /= np.linalg.norm(learner._atoms, axis=1, keepdims=True)
    learner._offset = found.offset.double().cpu().numpy()
    learner.utility_ = utility[order].double().cpu().numpy()
    learner.usage_ = found.usage()[order].double().cpu().numpy()
    learner.penalty_, learner.objective_ = penalty, found.objective
    learner.mean_ = values.mean(0)
    publish(learner, X)


def publish(learner: Any, X: Any) -> None:
    """The fitted arrays in units of the data, with the unit coords of a population."""
    raw = learner._atoms / learner._scale
    # Exactly 1 where units have no weights, so that codes are what the solver gave.
    learner._norms = np.ones(len(raw)) if (learner._scale == 1).all() else np.linalg.norm(raw, axis=1).clip(1e-300)
    units = None
    if isinstance(X, xr.DataArray):
        units = {str(name): X[name].variable for name in X.coords if X[name].dims == ("unit",)}
    label(learner, units, isinstance(X, torch.Tensor), X.device if isinstance(X, torch.Tensor) else "cpu")


def label(learner: Any, units: dict[str, xr.Variable] | None, tensor: bool, device: Any = "cpu") -> None:
    """`dictionary_` and `offset_`: labelled, tensors or plain arrays."""
    atoms, offset = plain_atoms(learner), learner._offset / learner._scale
    learner.dictionary_, learner.offset_ = atoms, offset
    if units is not None:
        number = {"atom": np.arange(len(atoms))}
        learner.dictionary_ = xr.DataArray(atoms, {**number, **units}, ("atom", "unit"), "dictionary")
        learner.offset_ = xr.DataArray(offset, units, ("unit",), "offset")
    elif tensor:
        learner.dictionary_, learner.offset_ = (torch.from_numpy(value).to(device) for value in (atoms, offset))


def unit_names(learner: Any) -> np.ndarray:
    """Labels of the units, or their numbers."""
    if isinstance(learner.dictionary_, xr.DataArray) and "unit" in learner.dictionary_.coords:
        return np.asarray(learner.dictionary_["unit"].values)
    return np.arange(learner._atoms.shape[1])
