"""Samples as the squared loss sees them, and codes back in units of the data. Each takes a `DictionaryLearning`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr
from sklearn.utils.validation import check_is_fitted, validate_data

from neurosparse.backend import dictionary as backend
from neurosparse.backend.devices import resolve_device
from neurosparse.backend.dictionary.counts import count_codes
from neurosparse.backend.dictionary.settings import DENSE_ENTRIES
from neurosparse.errors import InputError
from neurosparse.population import as_matrix
from neurosparse.sparse_coding.rows import encode_rows, same_units

CODE_TOL = 1e-6
CODE_STEPS = 100_000


def settings_of(learner: Any) -> backend.Settings:
    """The backend's settings of this learner's parameters."""
    return backend.Settings(
        codes=learner.codes,
        atoms=learner.atoms_,
        offset=learner.offset,
        max_iter=learner.max_iter,
        tol=learner.tol,
    )


def samples_of(learner: Any, X: Any, reset: bool) -> tuple[np.ndarray, Any]:
    """(sample, unit) numbers, units checked, and, unless plain arrays come and go, the way back to labels."""
    if not isinstance(X, xr.DataArray | torch.Tensor) and learner.nan == "raise":
        return validate_data(learner, X, reset=reset, dtype=np.float64), None
    samples = as_matrix(X, nan=learner.nan, name="X")
    if reset:
        learner.n_features_in_ = samples.shape[1]
    elif samples.shape[1] != learner.n_features_in_:
        raise InputError(
            f"X has {samples.shape[1]} units, but this dictionary was learned over {learner.n_features_in_}. Select "
            "the same units."
        )
    elif isinstance(X, xr.DataArray) and isinstance(learner.dictionary_, xr.DataArray):
        same_units(learner.dictionary_["unit"].values, X["unit"].values, "the dictionary", "X")
    return samples.values, samples


def seen(learner: Any, values: np.ndarray) -> np.ndarray:
    """Samples rooted, weighted, the nuisance taken out."""
    weighted = (np.sqrt(values) if learner.loss_ == "sqrt" else values) * learner._scale
    nuisance = learner.nuisance_
    return np.asarray(weighted - (weighted @ nuisance.T) @ nuisance if len(nuisance) else weighted)


def as_seen_tensor(learner: Any, values: np.ndarray) -> torch.Tensor:
    """`seen`, on the learner's device; float64 where that is cheap."""
    place = resolve_device(learner.device)
    exact = place.type == "cpu" and len(values) * learner.n_atoms <= DENSE_ENTRIES
    rows = torch.from_numpy(np.ascontiguousarray(seen(learner, values)))
    return rows.to(place, torch.float64 if exact else torch.float32)


def codes_of(learner: Any, values: np.ndarray) -> np.ndarray:
    """Codes for the atoms of unit norm in units of the data, (sample, atom)."""
    if learner.loss_ == "poisson":
        atoms, offset = learner._atoms / learner._scale, learner._offset / learner._scale
        return np.asarray(count_codes(values, atoms, offset, learner.penalty_) * learner._norms)
    found = encode_rows(
        seen(learner, values) - learner._offset,
        learner._atoms,
        learner.penalty_,
        codes=learner.codes,
        tol=CODE_TOL if resolve_device(learner.device).type == "cpu" else 1e-4,
        max_iter=CODE_STEPS,
        device=learner.device,
    )
    return np.asarray(found.codes * learner._norms)


def plain_atoms(learner: Any) -> np.ndarray:
    """Atoms of unit norm in units of the data."""
    return np.asarray(learner._atoms / learner._scale / learner._norms[:, None])


def responses_of(learner: Any, codes: Any) -> Any:
    """``offset + z D`` in units of the data, of the kind of the codes."""
    check_is_fitted(learner)
    samples = as_matrix(codes, nan=learner.nan, name="codes")
    if samples.shape[1] != len(learner._atoms):
        raise InputError(f"codes need the dictionary's {len(learner._atoms)} atoms; got {samples.shape[1]}.")
    units = learner.dictionary_["unit"].values if isinstance(learner.dictionary_, xr.DataArray) else None
    return samples.label(
        samples.values @ plain_atoms(learner) + learner._offset / learner._scale,
        coords=None if units is None else {"unit": units},
    )
