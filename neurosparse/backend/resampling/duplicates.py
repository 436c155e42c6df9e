"""Near-duplicate stimuli, which must share a fold."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from neurosparse.backend.resampling.checks import finite_matrix
from neurosparse.errors import InputError


def near_duplicates(features: ArrayLike, threshold: float = 0.9) -> NDArray[np.int64]:
    """Groups of rows that are joined by Pearson r > `threshold`, directly or through others.

    Parameters
    ----------
    features : (n, p) array
        One row a stimulus, for instance its pixels.
    threshold : float
        In [-1, 1).

    Returns
    -------
    (n,) int64 array
        Group of each row, numbered from 0 in order of first appearance. Constant rows, which have no r, share a group.

    Raises
    ------
    InputError
        If a value is not finite, `threshold` is out of range, or rows have fewer than 2 features.

    Notes
    -----
    O(n^2 p) time in blocks of 1,024 rows, O(n p) memory.
    """
    if not -1 <= threshold < 1:
        raise InputError(f"threshold is a correlation, at least -1 and below 1; got {threshold!r}.")
    rows = finite_matrix(features, "features")
    n, p = rows.shape
    if p < 2:
        raise InputError(f"rows correlate over at least 2 features; got features of shape {rows.shape}.")
    constant = np.ptp(rows, axis=1) == 0
    centred = rows - rows.mean(axis=1, keepdims=True)
    scaled = centred / np.where(constant, 1.0, np.linalg.norm(centred, axis=1))[:, None]
    flat = np.flatnonzero(constant)
    edges = [np.stack([flat[:-1], flat[1:]])]
    for start in range(0, n, 1024):
        first, second = np.nonzero(scaled[start : start + 1024] @ scaled.T > threshold)
        first = first + start
        keep = (first < second) & ~constant[first] & ~constant[second]
        edges.append(np.stack([first[keep], second[keep]]))
    first, second = np.concatenate(edges, axis=1)
    graph = sparse.coo_array((np.ones(len(first), dtype=bool), (first, second)), shape=(n, n))
    return sparse.csgraph.connected_components(graph, directed=False)[1].astype(np.int64)
