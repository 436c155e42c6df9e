"""Similarities that a user tells: labels of stimuli, and behaviour."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.backend.psychophysics import Similarity
from neurosparse.backend.psychophysics.similarity import MATRIX_SAMPLES
from neurosparse.backend.resampling import label_codes
from neurosparse.errors import InputError

Floats = NDArray[np.float64]


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
