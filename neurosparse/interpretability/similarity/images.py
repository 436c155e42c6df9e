"""Similarities of images: pixels, and Gabor energy."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurosparse.backend.psychophysics import cosine_rows, gabor_energy
from neurosparse.errors import InputError
from neurosparse.interpretability.profiles import Profiles
from neurosparse.interpretability.similarity.labels import places

Floats = NDArray[np.float64]

PIXELS = "cosine of pixels about the mean image"


def pixel_similarity(stimuli: xr.DataArray) -> xr.DataArray:
    """What ``stimulus_similarity="pixels"`` computes, to be computed once for many sets of profiles of all `stimuli`.

    Parameters
    ----------
    stimuli : DataArray (stimulus, row, column[, channel])
        With a `stimulus` coord.

    Returns
    -------
    DataArray (stimulus, other_stimulus)
        Cosine of pixels about the mean image, float64: 8 n^2 bytes.

    Raises
    ------
    InputError
        If the images are not finite, or have no labelled stimuli.
    """
    if not isinstance(stimuli, xr.DataArray) or stimuli.dims[:1] != ("stimulus",) or "stimulus" not in stimuli.coords:
        raise InputError("pixel_similarity needs stimuli= as a DataArray with a labelled dim stimulus first.")
    rows = cosine_rows(_flat(stimuli.values))
    ids = stimuli["stimulus"].values
    coords = {"stimulus": ids, "other_stimulus": ids}
    return xr.DataArray(rows @ rows.T, coords, ("stimulus", "other_stimulus"), attrs={"long_name": PIXELS})


def pixel_rows(stimuli: Any, profiles: Profiles) -> Floats:
    """Pixels of each stimulus of the profiles, (sample, pixel)."""
    images = _flat(stimuli.values if isinstance(stimuli, xr.DataArray) else np.asarray(stimuli))
    if isinstance(stimuli, xr.DataArray):
        if stimuli.dims[0] != "stimulus" or "stimulus" not in stimuli.coords:
            raise InputError(f"stimuli needs a labelled dim stimulus first; got dims {tuple(map(str, stimuli.dims))}.")
        images = images[places(profiles, stimuli["stimulus"].values, "stimuli")]
    elif profiles.source.dims[0] != "stimulus" or len(images) != profiles.source.sizes["stimulus"]:
        raise InputError(
            f"unlabelled stimuli of shape {np.shape(stimuli)} cannot be told apart: they go with profiles (stimulus, "
            f"unit) of as many stimuli, in their order; got profiles with {dict(profiles.source.sizes)}. "
            "Give a DataArray with a stimulus coord."
        )
    else:
        images = images[profiles.rows]
    return images


def _flat(images: Any) -> Floats:
    if images.ndim < 2 or images.dtype.kind not in "biuf" or not np.isfinite(images).all():
        raise InputError(
            f"stimuli must be finite images (stimulus, row, column[, channel]); got shape {images.shape} of dtype "
            f"{images.dtype}."
        )
    return np.asarray(images.reshape(len(images), -1), dtype=np.float64)


def gabor_rows(images: NDArray[Any]) -> Floats:
    """Gabor energies (stimulus, feature) of images (stimulus, row, column[, channel])."""
    grey = np.asarray(images, dtype=np.float64)
    return gabor_energy(grey if grey.ndim == 3 else grey.mean(axis=-1))
