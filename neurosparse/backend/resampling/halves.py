"""Repeats of a stimulus divided at random, and averaged by label."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from neurosparse.backend.resampling.checks import finite_matrix, generator, label_codes, whole_number
from neurosparse.errors import DataWarning, InputError


def repeated(labels: ArrayLike) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[np.int64], NDArray[np.int64]]:
    """Rows whose label occurs at least twice; single ones are left out with a warning that counts them.

    Returns
    -------
    rows : (m,) indices of the rows kept
    distinct : (label,) the labels kept, sorted
    codes : (m,) code of each kept row
    counts : (label,) repeats of each label kept

    Raises
    ------
    InputError
        If no label occurs twice.
    """
    distinct, codes, counts = label_codes(labels)
    several = counts >= 2
    if not several.any():
        raise InputError(
            f"noise cannot be measured: none of the {len(distinct)} labels has two repeats. "
            "Reliability and ceilings need at least two trials of a stimulus."
        )
    if not several.all():
        warnings.warn(
            f"{int((~several).sum())} of {len(distinct)} labels have one repeat and are left out of the reliability.",
            DataWarning,
            stacklevel=3,
        )
    rows = np.flatnonzero(several[codes])
    new_code = np.cumsum(several) - 1
    return rows, distinct[several], new_code[codes[rows]], counts[several]


def split_half_means(
    values: ArrayLike, labels: ArrayLike, n_splits: int, *, random_state: Any = 0
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Means of two random halves of the repeats of each label, again and again.

    Every trial enters one half; where a label has an odd number of repeats, a coin says which half gets one more.

    Parameters
    ----------
    values : (trial, unit) array
    labels : (trial,) array
        Stimulus of each trial. Labels with one repeat are left out (`repeated` says which are kept).
    n_splits : int
    random_state : int, numpy.random.Generator or None

    Yields
    ------
    first, second : (label, unit) float64 arrays
        Rows in the sorted order of the labels kept.

    Raises
    ------
    InputError
        If values are not finite, the lengths differ or no label has two repeats.

    Notes
    -----
    O(trial x unit) a split; nothing is kept between splits.
    """
    matrix = finite_matrix(values)
    n_splits = whole_number(n_splits, "n_splits")
    same_length(matrix, labels)
    rows, _, codes, counts = repeated(labels)
    return means_of_halves(matrix[rows], codes, counts, n_splits, random_state)


def random_halves(
    codes: NDArray[np.int64], counts: NDArray[np.int64], n_splits: int, *, random_state: Any = 0
) -> Iterator[NDArray[np.bool_]]:
    """Which rows enter the first half, in each of `n_splits` random halvings of the repeats of every label.

    Parameters
    ----------
    codes : (n,) int array
        Label of each row, as integers from 0.
    counts : (label,) int array
        Rows of each label. Where it is odd, a coin says which half gets one more.
    n_splits : int
    random_state : int, numpy.random.Generator or None

    Yields
    ------
    (n,) bool array
    """
    rng = generator(random_state)
    rank = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)
    for _ in range(n_splits):
        order = np.argsort(codes + rng.random(len(codes)))  # by label, at random within it
        n_first = counts // 2 + (counts % 2) * rng.integers(0, 2, size=len(counts))
        in_first = np.zeros(len(codes), dtype=bool)
        in_first[order] = rank < np.repeat(n_first, counts)
        yield in_first


def label_means(
    values: ArrayLike, codes: NDArray[np.int64], n_labels: int, weights: ArrayLike | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean over the rows of each label, of what was observed (not NaN).

    Parameters
    ----------
    values : (n, p) array
        NaN is left out, each column by itself.
    codes : (n,) int array
        Label of each row, from 0 to ``n_labels - 1``.
    n_labels : int
    weights : (n,) array, optional
        Non-negative weight of each row.

    Returns
    -------
    means : (label, p) float64
        NaN where nothing with weight was observed.
    observed : (label, p) float64
        Summed weight (number of rows, without weights) of what was observed.
    """
    matrix = np.asarray(values, dtype=np.float64)
    weight = np.ones(len(matrix)) if weights is None else np.asarray(weights, dtype=np.float64)
    adder = adder_of(codes, n_labels)
    seen = ~np.isnan(matrix)
    observed = adder @ (seen * weight[:, None])
    total = adder @ (np.where(seen, matrix, 0.0) * weight[:, None])
    return np.where(observed > 0, total / np.where(observed > 0, observed, 1.0), np.nan), observed


def same_length(matrix: NDArray[Any], labels: ArrayLike) -> None:
    if len(matrix) != np.size(labels):
        raise InputError(f"values has {len(matrix)} rows but labels has {np.size(labels)} entries: one a row.")


def means_of_halves(
    matrix: NDArray[np.float64],
    codes: NDArray[np.int64],
    counts: NDArray[np.int64],
    n_splits: int,
    random_state: Any,
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    adder = adder_of(codes, len(counts))
    total = adder @ matrix
    for in_first in random_halves(codes, counts, n_splits, random_state=random_state):
        n_first = adder @ in_first.astype(np.float64)
        first = adder @ (matrix * in_first[:, None])
        yield first / n_first[:, None], (total - first) / (counts - n_first)[:, None]


def adder_of(codes: NDArray[np.int64], n_labels: int) -> sparse.csr_array:
    """(label, row) matrix of ones that sums the rows of each label."""
    n = len(codes)
    return sparse.csr_array((np.ones(n), (codes, np.arange(n))), shape=(n_labels, n))
