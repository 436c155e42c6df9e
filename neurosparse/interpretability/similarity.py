"""What says which stimuli are alike, and the blocks of tasks that follow from it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from neurosparse.backend.psychophysics import Block, Similarity, cosine_rows, cosine_similarity
from neurosparse.backend.resampling import label_codes, label_means, random_halves
from neurosparse.errors import EvidenceWarning, InputError
from neurosparse.interpretability.profiles import Profiles
from neurosparse.interpretability.sources import count_own, gabor_rows, warn_of_own_matrix
from neurosparse.population import as_matrix

Floats = NDArray[np.float64]

# Embeddings of more features than these are not searched for the profiles themselves.
_MOST_COMPARED = 4096

PIXELS = "cosine of pixels about the mean image"


@dataclass(frozen=True)
class Judge:
    """Where similarities come from.

    fixed : known beforehand, of the same samples as the profiles; else `responses`, whose rows are the profiles' own
    (trials, or samples where there are none), and from which similarities are computed. other_units : each profile is
    judged by the other half of the units alone.
    """

    what: str
    fixed: Similarity | None = None
    responses: Floats | None = None
    other_units: bool = False
    features: Floats | None = None


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
    warn_of_own_matrix(profiles.values, matrix)
    return Judge(what, Similarity(matrix=matrix))


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
            stacklevel=4,
        )
    values = profiles.values if profiles.trials is None else profiles.trials.values
    return Judge("cosine of the other half of the units", responses=values, other_units=True)


def _embedding(profiles: Profiles, embedding: xr.DataArray, nan: Any) -> Judge:
    _warn_of_itself(profiles, embedding)
    name = embedding.attrs.get("source") or embedding.attrs.get("session") or embedding.name or "population"
    what = f"cosine of {embedding.sizes[embedding.dims[-1]]} {embedding.dims[-1]}s of {name} about their mean"
    if embedding.dims[0] == profiles.source.dims[0] != "stimulus" and _same_samples(profiles.source, embedding):
        values = as_matrix(embedding.isel({embedding.dims[0]: profiles.rows}), name="stimulus_similarity").values
        if profiles.dim == "time":
            return Judge(what, cosine_similarity(values), features=values)
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
    features = means[places(profiles, labels, "stimulus_similarity")]
    return Judge(what, cosine_similarity(features), features=features)


def _same_samples(x: xr.DataArray, y: xr.DataArray) -> bool:
    dim = x.dims[0]
    same = x.sizes[dim] == y.sizes[dim] and np.array_equal(x[dim].values, y[dim].values)
    if dim == "trial":
        same = same and x.attrs.get("session", "") == y.attrs.get("session", "")
        same = same and "stimulus" in y.coords and np.array_equal(x["stimulus"].values, y["stimulus"].values)
    return bool(same)


def _warn_of_itself(profiles: Profiles, embedding: xr.DataArray) -> None:
    x = profiles.source
    dim = x.dims[0]
    if embedding.dims[0] != dim or not np.array_equal(embedding[dim].values, x[dim].values):
        return
    if dim == "trial" and embedding.dims != x.dims:
        return  # codes judged by what they code, on the trials that do not rank
    if embedding.sizes[embedding.dims[-1]] > _MOST_COMPARED or not np.isfinite(embedding.values).all():
        return
    same = count_own(x.values, embedding.values).tolist() if np.isfinite(x.values).all() else []
    if any(same):
        first = x[x.dims[-1]].values.tolist()[same.index(True)]
        warnings.warn(
            f"stimulus_similarity holds {sum(same)} of the {x.shape[-1]} profiles it is to judge, first "
            f"{first!r}: a profile counts as evidence for itself. Pass None for the other "
            "half of the units, or an embedding from elsewhere.",
            EvidenceWarning,
            stacklevel=5,
        )


def places(profiles: Profiles, labels: Any, name: str) -> NDArray[np.int64]:
    """Row of `labels` that holds each stimulus of the profiles."""
    if profiles.dim == "time":
        raise InputError(f"{name} is labelled by stimulus, but profiles has time samples. Give it on the same times.")
    place = pd.Index(labels).get_indexer(pd.Index(profiles.labels))
    lacking = profiles.labels[place < 0]
    if len(lacking):
        raise InputError(
            f"{name} lacks {len(lacking)} of the {len(profiles.labels)} stimuli of profiles, first "
            f"{lacking.tolist()[0]!r}; it has {len(labels)}, such as {np.asarray(labels)[:3].tolist()}. "
            "Label both alike, or select the shared ones."
        )
    return place


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


def blocks(profiles: Profiles, judge: Judge, n_tasks: int, rng: np.random.Generator) -> Iterator[Block]:
    """The blocks of tasks: one for all, or one a task where each task has random halves of its own.

    Where trials repeat, one half of them ranks. If the similarities come from the same trials they are those of the
    other half, and the ranking half says which query is the more active; else the other half does.
    """
    everything = np.arange(profiles.values.shape[1])
    if profiles.trials is None and not judge.other_units:
        assert judge.fixed is not None
        yield Block(profiles.values, profiles.values, judge.fixed, everything)
        return
    for ranking, judging, features in _halves(profiles, judge, n_tasks, rng):
        if judge.fixed is not None:
            yield Block(ranking, judging, judge.fixed, everything)
        elif not judge.other_units:
            yield Block(ranking, ranking, cosine_similarity(features), everything)
        else:
            for mine, other in _unit_halves(len(everything), rng):
                yield Block(ranking[:, mine], ranking[:, mine], cosine_similarity(features[:, other]), mine)


def _halves(
    profiles: Profiles, judge: Judge, n_tasks: int, rng: np.random.Generator
) -> Iterator[tuple[Floats, Floats, Floats]]:
    """Responses that rank, responses that judge, and what similarities are computed from, once for each task."""
    trials = profiles.trials
    if trials is None:
        for _ in range(n_tasks):
            yield profiles.values, profiles.values, profiles.values
        return
    n = len(profiles.labels)
    responses = trials.values if judge.responses is None else judge.responses
    for first in random_halves(trials.codes, profiles.repeats, n_tasks, random_state=rng):
        ranking, _ = label_means(trials.values[first], trials.codes[first], n)
        judging, _ = label_means(trials.values[~first], trials.codes[~first], n)
        features = judging
        if responses is not trials.values:
            features, _ = label_means(responses[~first], trials.codes[~first], n)
        yield ranking, judging, features


def _unit_halves(n_units: int, rng: np.random.Generator) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    first, second = np.array_split(rng.permutation(n_units), 2)
    return [(first, second), (second, first)]
