"""Similarities that need no population: Gabor energy, labels, behaviour; and the halves of units that judge atoms."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurosparse.backend.psychophysics import Similarity, cosine_rows, gabor_energy
from neurosparse.backend.psychophysics.similarity import MATRIX_SAMPLES
from neurosparse.backend.resampling import label_codes
from neurosparse.errors import EvidenceWarning, InputError

Floats = NDArray[np.float64]

# Above this correlation a column of an embedding is a profile again, and a matrix the profiles' own.
_SAME = 0.9999
_SEEN = 300


def gabor_rows(images: NDArray[Any]) -> Floats:
    """Gabor energies (stimulus, feature) of images (stimulus, row, column[, channel])."""
    grey = np.asarray(images, dtype=np.float64)
    return gabor_energy(grey if grey.ndim == 3 else grey.mean(axis=-1))


def label_similarity(labels: NDArray[Any] | None) -> Similarity:
    """1 for stimuli of one class, 0 for others."""
    if labels is None:
        raise InputError("stimulus_similarity='labels' needs labels=, a class for each stimulus.")
    distinct, classes, _ = label_codes(labels, "labels")
    return Similarity(rows=np.eye(len(distinct))[classes])


def covariate_similarity(covariate: Floats | None, period: float | None) -> Similarity:
    """Cosine of the angle between circular covariates; else minus the distance, each dimension standardised."""
    if covariate is None:
        raise InputError("stimulus_similarity='covariate' needs covariate=, such as the position at each sample.")
    if not np.isfinite(covariate).all():
        lost = int((~np.isfinite(covariate)).any(axis=1).sum())
        raise InputError(
            f"covariate was not observed on {lost} of {len(covariate)} samples, which have no similarity. Select the "
            "others from profiles and covariate first, as with population.restrict."
        )
    if period is not None:
        angle = 2 * np.pi * covariate / period
        return Similarity(rows=np.hstack([np.cos(angle), np.sin(angle)]))
    if len(covariate) > MATRIX_SAMPLES:
        raise InputError(
            f"distances of {len(covariate)} samples do not fit; at most {MATRIX_SAMPLES} without a period. Take every "
            "n-th sample, or bin the covariate and pass it as labels= with stimulus_similarity='labels'."
        )
    scaled = covariate / np.maximum(covariate.std(axis=0), 1e-300)
    square = (scaled**2).sum(axis=1)
    distance = np.sqrt(np.maximum(square[:, None] + square - 2 * scaled @ scaled.T, 0.0))
    return Similarity(matrix=-distance)


def count_own(values: Floats, features: Floats) -> NDArray[np.bool_]:
    """Which profiles (sample, profile) are again a column of `features` (sample, feature), in any scale or order."""
    parts = []
    for part in (values, features):
        centred = part - part.mean(axis=0)
        length = np.linalg.norm(centred, axis=0)
        parts.append(centred / np.where(length > 0, length, np.inf))
    return np.asarray((np.abs(parts[0].T @ parts[1]) > _SAME).any(axis=1))


def warn_of_own_matrix(values: Floats, matrix: Floats) -> None:
    """Warn where a given matrix is the likeness of the very profiles that it is to judge."""
    seen = np.linspace(0, len(values) - 1, min(len(values), _SEEN)).astype(int)
    given = matrix[np.ix_(seen, seen)]
    apart = ~np.eye(len(seen), dtype=bool)
    about_mean = cosine_rows(values)[seen]
    length = np.linalg.norm(values, axis=1, keepdims=True)
    raw = (values / np.where(length > 0, length, 1.0))[seen]
    likenesses = [about_mean @ about_mean.T, raw @ raw.T, values[seen] @ values[seen].T]
    if len(seen) < 4 or np.ptp(given[apart]) == 0:
        return
    for own in likenesses:
        if np.ptp(own[apart]) > 0 and np.corrcoef(own[apart], given[apart])[0, 1] > _SAME:
            warnings.warn(
                "stimulus_similarity is the likeness of the very profiles that it is to judge: they count as evidence "
                "for themselves. Compute it from other units, other repeats, or the stimuli.",
                EvidenceWarning,
                stacklevel=5,
            )
            return


def unit_half_scores(
    x: xr.DataArray,
    learn: Callable[[xr.DataArray], xr.DataArray],
    *,
    n_splits: int = 5,
    random_state: Any = 0,
    **asked: Any,
) -> xr.Dataset:
    """Score atoms without an embedding: a dictionary of one half of the units, judged by the other half.

    Every atom weighs all units it was learned from, so that "other units" must be kept from it before it is learned.

    Parameters
    ----------
    x : DataArray (trial, unit) or (stimulus, unit)
        With trials, the similarity comes from repeats that do not rank.
    learn : callable
        Takes half of the units of `x`, gives codes of the same samples with ``atom`` last.
    n_splits : int
        Random halvings of the units; each half learns once and judges once.
    random_state : int, numpy.random.Generator or None
    **asked
        As for `interpretability_scores`, such as ``scores`` and ``groups``.

    Returns
    -------
    Dataset
        Over ``half`` (two a split) the medians over atoms of each score, as `summary` names them, and ``_mean`` of each
        over halves. Halves of one split share stimuli, and splits share units: their spread is no interval.

    Raises
    ------
    InputError
        If there are fewer than 8 units, or the codes have other samples.
    """
    from neurosparse.interpretability.results import summary
    from neurosparse.interpretability.scores import interpretability_scores

    if x.dims[-1:] != ("unit",) or x.sizes["unit"] < 8:
        raise InputError(
            f"unit halves need a population of at least 8 units; got dims {tuple(map(str, x.dims))} with "
            f"{x.sizes.get('unit', 0)} units. Pass stimulus_similarity= to interpretability_scores instead."
        )
    rng, rows = np.random.default_rng(random_state), []
    for _ in range(n_splits):
        for mine, other in _halves_of(rng.permutation(x.sizes["unit"])):
            codes = learn(x.isel(unit=mine))
            if not isinstance(codes, xr.DataArray) or codes.dims != (x.dims[0], "atom") or len(codes) != len(x):
                raise InputError(
                    f"learn must give codes ({x.dims[0]}, atom) of the {len(x)} samples it was given; got "
                    f"{codes.dims if isinstance(codes, xr.DataArray) else type(codes).__name__}."
                )
            seed = int(rng.integers(2**31))
            scored = interpretability_scores(codes, stimulus_similarity=x.isel(unit=other), random_state=seed, **asked)
            rows.append(summary(scored))
    result = xr.Dataset({name: ("half", [row[name] for row in rows]) for name in rows[0]})
    for name in rows[0]:
        result[f"{name}_mean"] = result[name].mean()
    result.attrs = {"n_splits": n_splits, "similarity": "cosine of the units that the dictionary did not see"}
    return result


def _halves_of(order: NDArray[np.int64]) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    first, second = (np.sort(part) for part in np.array_split(order, 2))
    return [(first, second), (second, first)]
