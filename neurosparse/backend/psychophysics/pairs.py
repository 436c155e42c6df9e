"""Monosemanticity: how alike the samples are that drive a profile, over all pairs but without a loop over them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.backend.psychophysics.products import left_product
from neurosparse.backend.psychophysics.similarity import Similarity
from neurosparse.backend.psychophysics.tasks import FLAT

Floats = NDArray[np.floating]
Ints = NDArray[np.int64]

# Numbers of one product over several draws: 160 MB in single precision.
_CHUNK = 40_000_000
# Numbers of the profiles that are weighed at once: 2 MB, which caches hold.
_CACHED = 250_000


def unit_range(values: Floats) -> Floats:
    """Each profile from 0 at its least to 1 at its most, NaN where it is constant; (sample, profile).

    In memory a profile follows another: its extremes and sums are then found without strides.
    """
    each = values.T.copy(order="C")
    low = each.min(axis=1, keepdims=True)
    each -= low
    span = each.max(axis=1, keepdims=True)
    each /= np.where(span < FLAT, np.nan, span)
    return each.T


def monosemanticity(values: Floats, similarity: Similarity) -> Floats:
    r"""Mean similarity of all pairs of samples, each weighed by the product of the profile's activities.

    .. math:: \mathrm{MS}_k = \frac{\sum_{i<j} a_{ik} a_{jk} s_{ij}}{\sum_{i<j} a_{ik} a_{jk}}
        = \frac{\|\sum_i a_{ik} e_i\|^2 - \sum_i a_{ik}^2 \|e_i\|^2}{(\sum_i a_{ik})^2 - \sum_i a_{ik}^2}

    with a the profile scaled to [0, 1] and s = e e^T where the similarity has rows e.

    Parameters
    ----------
    values : (sample, profile) float64 array
    similarity : Similarity

    Returns
    -------
    (profile,) float64 array
        The mean pairwise similarity for a profile that prefers nothing; NaN where fewer than two samples are above the
        profile's least, or it is constant.

    Notes
    -----
    O(sample x feature x profile) with rows, O(sample^2 x profile) with a matrix alone.

    References
    ----------
    M. Pach et al., arXiv 2504.02821 (the score). The form without pairs is elementary; it is also that of arXiv
    2602.12403.
    """
    step = max(_CACHED // len(values), 1)
    parts = [_of_some(values[:, k : k + step], similarity) for k in range(0, values.shape[1], step)]
    return np.concatenate(parts) if parts else np.empty(0)


def _of_some(values: Floats, similarity: Similarity) -> Floats:
    activity = unit_range(values).T  # (profile, sample)
    square, total = activity**2, activity.sum(axis=1)
    if similarity.rows is not None:
        drive = activity @ similarity.rows
        above = (drive**2).sum(axis=1) - square @ (similarity.rows**2).sum(axis=1)
    else:
        matrix = similarity.matrix
        assert matrix is not None
        above = np.einsum("ki,ki->k", activity, activity @ matrix.T) - square @ np.diag(matrix)
    return _over_pairs(above, total**2 - square.sum(axis=1))


def monosemanticity_draws(
    values: Floats,
    similarity: Similarity,
    *,
    permuted: Ints | None = None,
    weights: Ints | None = None,
    device: Any = "cpu",
) -> Floats:
    """`monosemanticity` of many draws: similarities permuted, or samples resampled.

    Parameters
    ----------
    values, similarity
        As for `monosemanticity`.
    permuted : (draw, sample) int64 array, optional
        Sample i takes the similarities of sample ``permuted[b, i]``.
    weights : (draw, sample) int64 array, optional
        How often each sample occurs; a sample makes no pair with its own copies. Give one of the two.
    device : {"auto", "cpu", "cuda"} or torch.device
        Of the matrix products.

    Returns
    -------
    (draw, profile) float64 array

    Notes
    -----
    Products in single precision: relative error about 1e-6.
    """
    chosen = permuted if permuted is not None else weights
    assert chosen is not None
    activity = unit_range(values).astype(np.float32)
    if not len(chosen):
        return np.empty((0, values.shape[1]))
    parts = _by_rows if similarity.rows is not None else _by_matrix
    return np.concatenate(list(parts(activity, similarity, permuted is not None, chosen, device)))


def _by_rows(activity: Floats, similarity: Similarity, shuffled: bool, chosen: Ints, device: Any) -> Iterator[Floats]:
    rows = np.asarray(similarity.rows, dtype=np.float32)
    n, n_features = rows.shape
    square, length = activity**2, (rows**2).sum(axis=1)
    times_activity, times_square = left_product(activity, device), left_product(square, device)
    step = max(_CHUNK // (n_features * max(n, activity.shape[1])), 1)
    for start in range(0, len(chosen), step):
        part = chosen[start : start + step]
        times = np.ones((1, n), dtype=np.float32) if shuffled else part.astype(np.float32)
        each = rows[part] if shuffled else times[:, :, None] * rows  # (draw, sample, feature)
        drive = times_activity(each.transpose(0, 2, 1).reshape(-1, n))
        own = times**2 * (length[part] if shuffled else length)
        above = (drive**2).reshape(len(part), n_features, -1).sum(axis=1, dtype=np.float64) - times_square(own)
        yield _over_pairs(above, times_activity(times).astype(np.float64) ** 2 - times_square(times**2))


def _by_matrix(activity: Floats, similarity: Similarity, shuffled: bool, chosen: Ints, device: Any) -> Iterator[Floats]:
    matrix = np.asarray(similarity.matrix, dtype=np.float32)
    square, itself = activity**2, np.diag(matrix)
    times_matrix = left_product(matrix.T, device)
    for draw in chosen:
        times = np.ones((1, len(matrix)), dtype=np.float32) if shuffled else draw[None].astype(np.float32)
        # Permuted similarities of samples are the similarities of samples permuted back.
        active = activity[np.argsort(draw)] if shuffled else times.T * activity
        above = np.einsum("ik,ik->k", active, times_matrix(active.T).T) - itself @ active**2
        pairs = (times @ activity).astype(np.float64) ** 2 - times**2 @ square
        yield _over_pairs(above[None], pairs)


def _over_pairs(above: Floats, below: Floats) -> Floats:
    """The ratio, NaN where no pair has weight: what is left of the difference then is rounding."""
    enough = below > 1e-5
    return np.where(enough, above / np.where(enough, below, 1.0), np.nan)
