"""How alike samples are, and what that says about which of two queries belongs to which explanations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from neurosparse.errors import InputError

# Similarities are kept as one matrix up to so many samples (128 MB), and computed as they are needed beyond. Where
# there are few features the matrix costs more than it saves much sooner.
MATRIX_SAMPLES = 4000
FEW_FEATURES, MATRIX_SAMPLES_OF_FEW = 64, 1000
# Numbers looked up at once by `Similarity.between`: 32 MB.
_CHUNK = 4_000_000


@dataclass(frozen=True)
class Similarity:
    """Similarities of samples: a whole matrix, rows whose inner products they are, or both.

    Parameters
    ----------
    matrix : (sample, sample) float64 array, optional
        Larger is more alike; on any scale.
    rows : (sample, feature) float64 array, optional
        Looked up where `matrix` is None; sums over all pairs of samples need them alone.
    """

    matrix: NDArray[np.float64] | None = None
    rows: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if self.matrix is None and self.rows is None:
            raise InputError("a Similarity holds a matrix, rows or both; got neither.")

    def evidence(self, tasks: NDArray[np.int64], index: NDArray[np.int64]) -> NDArray[np.float64]:
        """How much better the queries fit their own side's explanations, D+ - D-, for each task.

        With a(q, E) the mean similarity of query q to explanations E: D+ - D- = [a(q+, E+) - a(q+, E-)] -
        [a(q-, E+) - a(q-, E-)]. What a query adds to all its similarities cancels.

        Parameters
        ----------
        tasks : (profile, task, side, 1 + n_explanations) int64 array
            As `draw_tasks` gives it.
        index : (sample,) int64 array
            Sample i is looked up as ``index[i]``: a permutation for the null, ``arange`` for the score.

        Returns
        -------
        (profile, task) float64 array
            NaN for tasks that were not drawn.

        Notes
        -----
        O(profile x task x n_explanations) with a matrix, times the number of features with rows.
        """
        if self.matrix is not None:
            return _evidence_of_matrix(self.matrix, tasks, index)
        return _evidence_of_rows(self.rows, tasks, index)

    def between(self, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.float64]:
        """Similarities of two sets of samples, set by set.

        Parameters
        ----------
        first, second : (..., a) and (..., b) int64 arrays
            Samples, the leading axes alike.

        Returns
        -------
        (..., a, b) float64 array
        """
        if self.matrix is not None:
            return self.matrix[first[..., :, None], second[..., None, :]]
        assert self.rows is not None
        flat = first.reshape(-1, first.shape[-1]), second.reshape(-1, second.shape[-1])
        found = np.empty((len(flat[0]), first.shape[-1], second.shape[-1]))
        step = max(_CHUNK // (self.rows.shape[1] * (first.shape[-1] + second.shape[-1])), 1)
        for start in range(0, len(found), step):
            one, other = (self.rows[part[start : start + step]] for part in flat)
            found[start : start + step] = one @ other.swapaxes(1, 2)
        return found.reshape(*first.shape, second.shape[-1])


def cosine_similarity(features: ArrayLike) -> Similarity:
    """Cosine between samples once the mean sample is taken away from each.

    Parameters
    ----------
    features : (sample, feature) array
        Pixels, behaviour, or responses of other units.

    Returns
    -------
    Similarity
        A sample that equals the mean is at right angles to all.
    """
    rows = cosine_rows(features)
    most = MATRIX_SAMPLES if rows.shape[1] > FEW_FEATURES else MATRIX_SAMPLES_OF_FEW
    return Similarity(rows @ rows.T if len(rows) <= most else None, rows)


def cosine_rows(features: ArrayLike) -> Any:
    """Rows of unit length whose inner products are the cosines about the mean sample, (sample, feature)."""
    features = np.asarray(features, dtype=np.float64)
    rows = features - features.mean(axis=0)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    # A row equal to the mean leaves rounding dust, which must not be blown up to unit length.
    dust = length <= 1e-12 * np.abs(features).max(initial=0.0)
    rows *= np.where(dust, 0.0, 1.0 / np.where(dust, 1.0, length))
    return rows


# Two loops that repeat each other: with one loop over a term of either kind the rows took a third longer, and each
# process spent a second compiling it anew.
@njit(cache=True)
def _evidence_of_matrix(matrix: Any, tasks: Any, index: Any) -> Any:
    n_profiles, n_tasks, _, n_side = tasks.shape
    evidence = np.full((n_profiles, n_tasks), np.nan)
    for profile in range(n_profiles):
        for task in range(n_tasks):
            top, bottom = tasks[profile, task, 0], tasks[profile, task, 1]
            if top[0] < 0:
                continue
            total = 0.0
            first, second = matrix[index[top[0]]], matrix[index[bottom[0]]]
            for k in range(1, n_side):
                high, low = index[top[k]], index[bottom[k]]
                total += (first[high] - first[low]) - (second[high] - second[low])
            evidence[profile, task] = total / (n_side - 1)
    return evidence


@njit(cache=True)
def _evidence_of_rows(rows: Any, tasks: Any, index: Any) -> Any:
    n_profiles, n_tasks, _, n_side = tasks.shape
    evidence = np.full((n_profiles, n_tasks), np.nan)
    for profile in range(n_profiles):
        for task in range(n_tasks):
            top, bottom = tasks[profile, task, 0], tasks[profile, task, 1]
            if top[0] < 0:
                continue
            total = 0.0
            first, second = rows[index[top[0]]], rows[index[bottom[0]]]
            for k in range(1, n_side):
                high, low = rows[index[top[k]]], rows[index[bottom[k]]]
                for feature in range(rows.shape[1]):
                    total += (first[feature] - second[feature]) * (high[feature] - low[feature])
            evidence[profile, task] = total / (n_side - 1)
    return evidence
