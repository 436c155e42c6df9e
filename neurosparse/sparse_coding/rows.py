"""Samples, dictionaries and codes between their labels and the solver."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
import xarray as xr

from neurosparse.backend.devices import resolve_device
from neurosparse.backend.inference import Codes, Encoding, encode
from neurosparse.errors import ConvergenceWarning, InputError
from neurosparse.population import Matrix, as_matrix


def encode_rows(
    rows: np.ndarray,
    atoms: np.ndarray,
    penalty: Any,
    *,
    codes: Codes = "nonnegative",
    tol: float = 1e-4,
    max_iter: int = 10_000,
    device: Any = "auto",
    **options: Any,
) -> Encoding:
    """Encode on the device, come back to numpy, and warn of samples that did not converge.

    `options` are those of `inference.encode`. float64 rows are solved in float32 on CUDA.
    """
    place = resolve_device(device)
    x = torch.from_numpy(np.ascontiguousarray(rows))
    x = x.to(place, x.dtype if place.type == "cpu" else torch.float32)
    d = torch.from_numpy(np.array(atoms, dtype=float)).to(x)
    found = encode(x, d, penalty, codes=codes, tol=tol, max_iter=max_iter, **options).to_numpy()
    n_left = int((~found.converged).sum())
    if n_left:
        warnings.warn(
            f"codes of {n_left} of {len(rows)} samples stopped after {max_iter} steps with a duality gap of up to "
            f"{found.gap.max():.1e}, above tol = {tol:g}. Raise max_iter or the penalty.",
            ConvergenceWarning,
            stacklevel=3,
        )
    return found


def posed(x: Any, offset: Any, nan: str) -> tuple[Matrix, np.ndarray, np.ndarray | None]:
    """Samples, their rows less the offset, and which entries are observed (None: all)."""
    x, observed = _observed(x) if nan == "mask" else (x, None)
    dtype = np.float32 if str(getattr(x, "dtype", "")).endswith("float32") else float
    samples = as_matrix(x, nan="raise" if nan == "mask" else nan, name="x", dtype=dtype)  # type: ignore[arg-type]
    return samples, samples.values - (0.0 if offset is None else np.asarray(offset, dtype=dtype)), observed


def _observed(x: Any) -> tuple[Any, np.ndarray]:
    """`x` with 0 for NaN, and the (sample, unit) entries that are observed.

    An entry of NaN is let through by this door alone: codes without it are exact over the other units.
    """
    if isinstance(x, xr.DataArray):
        missing = np.asarray(x.isnull().values)
        filled: Any = x.fillna(0)
    elif isinstance(x, torch.Tensor):
        missing, filled = x.isnan().cpu().numpy(), x.nan_to_num(nan=0.0, posinf=torch.inf, neginf=-torch.inf)
    else:
        filled = np.asarray(x)
        missing = np.isnan(filled)
        filled = np.where(missing, 0, filled)
    return filled, ~missing.reshape(-1, missing.shape[-1])


def label_codes(samples: Matrix, values: np.ndarray, **attrs: Any) -> Any:
    """Codes as the kind of thing that `samples` came from."""
    labelled = samples.label(values, last_dim="atom")
    if isinstance(labelled, xr.DataArray):
        labelled.attrs = {**labelled.attrs, "quantity": "sparse code", **attrs}
    return labelled


def dictionary_values(dictionary: Any, x: Any = None) -> np.ndarray:
    """A dictionary as (atom, unit) numbers, having checked its unit labels against those of `x`."""
    if isinstance(dictionary, xr.DataArray):
        if dictionary.ndim != 2 or dictionary.dims[-1] != "unit":
            raise InputError(f"dictionary needs dims (atom, unit); got {dictionary.dims}.")
        if isinstance(x, xr.DataArray) and "unit" in dictionary.coords and "unit" in x.coords:
            same_units(dictionary["unit"].values, x["unit"].values, "dictionary", "x")
    if isinstance(dictionary, torch.Tensor):
        dictionary = dictionary.detach().cpu()
    values = np.asarray(dictionary, dtype=float)
    if values.ndim != 2 or not np.isfinite(values).all():
        raise InputError(f"dictionary needs finite numbers of shape (atom, unit); got shape {values.shape}.")
    return values


def same_units(wanted: np.ndarray, got: np.ndarray, of_wanted: str, of_got: str) -> None:
    """Raise unless both name the same units in the same order."""
    if len(wanted) != len(got):
        raise InputError(f"{of_got} has {len(got)} units, {of_wanted} has {len(wanted)}. Select the same units.")
    differ = np.asarray(wanted) != np.asarray(got)
    if differ.any():
        first = int(np.argmax(differ))
        raise InputError(
            f"{of_got} and {of_wanted} differ in {int(differ.sum())} of {len(wanted)} unit labels, first at position "
            f"{first}: {got[first]} against {wanted[first]}. Bring the units in the same order: x.sel(unit=...)."
        )
