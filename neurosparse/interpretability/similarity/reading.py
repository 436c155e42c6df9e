"""From `stimulus_similarity`, in any of its forms, to a `Judge`."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurosparse.backend.psychophysics import Similarity, cosine_similarity
from neurosparse.backend.resampling import label_codes, label_means
from neurosparse.errors import EvidenceWarning, InputError
from neurosparse.interpretability.profiles import Profiles
from neurosparse.interpretability.similarity.images import PIXELS, gabor_rows, pixel_rows
from neurosparse.interpretability.similarity.judge import Judge
from neurosparse.interpretability.similarity.labels import places
from neurosparse.interpretability.similarity.own import (
    held_out_share,
    warn_of_itself,
    warn_of_linear_image,
    warn_of_own_matrix,
)
from neurosparse.population import as_matrix

Floats = NDArray[np.float64]


def observed_together(x: Any, similarity: Any, nan: Any) -> tuple[Any, Any]:
    """Both without the samples that NaN leaves out of the similarity, where it has the samples of `x` itself."""
    if nan != "drop" or not isinstance(x, xr.DataArray) or not isinstance(similarity, xr.DataArray):
        return x, similarity
    dim = x.dims[0]
    if similarity.dims[0] != dim or dim == "stimulus" or similarity.ndim != 2 or not _same_samples(x, similarity):
        return x, similarity
    seen = np.flatnonzero(as_matrix(similarity, nan=nan, name="stimulus_similarity").kept)
    return x.isel({dim: seen}), similarity.isel({dim: seen})


def read_judge(
    profiles: Profiles, stimuli: Any, similarity: Any, nan: Any, told: Callable[[str], Similarity] | None = None
) -> Judge:
    """Turn `stimulus_similarity` into a Judge of these samples; `told` knows "labels" and "covariate"."""
    if similarity is None:
        return _other_units(profiles)
    if isinstance(similarity, str):
        return _named(profiles, stimuli, similarity, told)
    if isinstance(similarity, xr.DataArray) and similarity.dims[-1:] in (("unit",), ("atom",)):
        return _embedding(profiles, similarity, nan)
    what = getattr(similarity, "attrs", {}).get("long_name", "a matrix given")
    matrix = _matrix(similarity, profiles)
    share = held_out_share(profiles.values, matrix)
    if not warn_of_own_matrix(profiles.values, matrix):
        warn_of_linear_image(share)
    return Judge(what, Similarity(matrix=matrix), from_profiles=share)


def _named(profiles: Profiles, stimuli: Any, name: str, told: Callable[[str], Similarity] | None) -> Judge:
    if name in ("labels", "covariate") and told is not None:
        found = told(name)
        return Judge(f"the {name} given", found, features=found.rows)
    if name not in ("pixels", "gabor"):
        raise InputError(
            f"stimulus_similarity={name!r} is not known. Give 'pixels', 'gabor', 'labels', 'covariate', a (stimulus, "
            "stimulus) matrix, a population of the same stimuli, or None for the other half of the units."
        )
    if stimuli is None:
        raise InputError(f"stimulus_similarity={name!r} needs stimuli=, the images (stimulus, row, column[, channel]).")
    features, what = pixel_rows(stimuli, profiles), PIXELS
    if name == "gabor":
        shape = np.shape(stimuli)[1:]
        features, what = gabor_rows(features.reshape(-1, *shape)), "cosine of Gabor energies about their mean"
    return Judge(what, cosine_similarity(features), features=features)


def _other_units(profiles: Profiles) -> Judge:
    if profiles.last == "atom":
        raise InputError(
            "codes of atoms have no other units to judge them by: every atom weighs all units. Pass the population "
            "that they code, as in stimulus_similarity=x, or 'pixels' with stimuli=, or another embedding."
        )
    n_units = profiles.values.shape[1]
    if n_units < 4:
        raise InputError(
            f"similarity from the other half of the units needs at least 4 units; profiles has {n_units}. Pass "
            "stimulus_similarity=: 'pixels' with stimuli=, a matrix, or another population of the same samples."
        )
    if profiles.trials is None and (profiles.dim == "time" or profiles.repeats.max(initial=1) > 1):
        again = "in the same time bins" if profiles.dim == "time" else "on the same trials, which were averaged before"
        warnings.warn(
            f"stimulus_similarity=None judges units by other units {again}: noise that they share (gain, arousal, "
            "movement) raises the score as signal does. Pass trials with repeats, or an embedding from elsewhere.",
            EvidenceWarning,
            stacklevel=5,
        )
    values = profiles.values if profiles.trials is None else profiles.trials.values
    return Judge("cosine of the other half of the units", responses=values, other_units=True)


def _embedding(profiles: Profiles, embedding: xr.DataArray, nan: Any) -> Judge:
    told = warn_of_itself(profiles, embedding)
    name = embedding.attrs.get("source") or embedding.attrs.get("session") or embedding.name or "population"
    what = f"cosine of {embedding.sizes[embedding.dims[-1]]} {embedding.dims[-1]}s of {name} about their mean"
    if embedding.dims[0] == profiles.source.dims[0] != "stimulus" and _same_samples(profiles.source, embedding):
        values = as_matrix(embedding.isel({embedding.dims[0]: profiles.rows}), name="stimulus_similarity").values
        if profiles.dim == "time":
            return _fixed(what, values, profiles, told)
        if profiles.trials is not None:
            return Judge(f"{what}, on the trials that did not rank", responses=values)
    if embedding.dims[0] not in ("stimulus", "trial") or "stimulus" not in embedding.coords or embedding.ndim != 2:
        raise InputError(
            f"stimulus_similarity with dims {tuple(map(str, embedding.dims))} does not have the samples of profiles, "
            f"({profiles.source.dims[0]}, {profiles.last}): give (stimulus, unit), or the very same "
            f"{profiles.source.dims[0]} labels."
        )
    matrix = as_matrix(embedding, nan=nan, name="stimulus_similarity")
    labels, codes, _ = label_codes(
        embedding["stimulus"].values[matrix.kept], "the stimulus coord of stimulus_similarity"
    )
    means, _ = label_means(matrix.values, codes, len(labels))
    return _fixed(what, means[places(profiles, labels, "stimulus_similarity")], profiles, told)


def _fixed(what: str, features: Floats, profiles: Profiles, told: bool) -> Judge:
    share = held_out_share(profiles.values, features)
    if not told:
        warn_of_linear_image(share, depth=7)
    return Judge(what, cosine_similarity(features), features=features, from_profiles=share)


def _same_samples(x: xr.DataArray, y: xr.DataArray) -> bool:
    dim = x.dims[0]
    same = x.sizes[dim] == y.sizes[dim] and np.array_equal(x[dim].values, y[dim].values)
    if dim == "trial":
        same = same and x.attrs.get("session", "") == y.attrs.get("session", "")
        same = same and "stimulus" in y.coords and np.array_equal(x["stimulus"].values, y["stimulus"].values)
    return bool(same)


def _matrix(similarity: Any, profiles: Profiles) -> Floats:
    labelled = isinstance(similarity, xr.DataArray)
    values = similarity.values if labelled else np.asarray(similarity)
    if values.ndim != 2 or values.shape[0] != values.shape[1] or values.dtype.kind not in "biuf":
        raise InputError(
            f"stimulus_similarity must be a square (stimulus, stimulus) matrix of numbers; got shape {values.shape} of "
            f"dtype {values.dtype}. Make an embedding a population with population.from_arrays."
        )
    if labelled and similarity.dims[0] in similarity.coords and profiles.dim != "time":
        first = similarity[similarity.dims[0]].values
        second = similarity.coords.get(similarity.dims[1])
        if second is not None and not np.array_equal(first, second.values):
            raise InputError("stimulus_similarity has other labels on its columns than on its rows.")
        place = places(profiles, first, "stimulus_similarity")
    elif len(values) == len(profiles.labels):
        place = np.arange(len(values))
    else:
        raise InputError(
            f"stimulus_similarity of shape {values.shape} does not fit the {len(profiles.labels)} samples of profiles "
            "(stimuli sorted). Give a DataArray with a stimulus coord."
        )
    values = np.ascontiguousarray(values[np.ix_(place, place)], dtype=np.float64)
    bad = ~np.isfinite(values)
    if bad.any():
        row, column = (profiles.labels[index[0]].item() for index in np.nonzero(bad))
        raise InputError(
            f"stimulus_similarity has {int(bad.sum())} entries that are NaN or infinite, first at {row!r}, {column!r}."
        )
    return values
