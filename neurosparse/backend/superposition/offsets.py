"""Differences of codes: are they parallel, and do they lead to the right code?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neurosparse.backend.superposition.sums import row_cosines

Array = NDArray[np.float64]


def nearest(query: Array, candidates: Array, excluded: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
    """Candidate of largest cosine with each query, (n,), leaving out (n, candidate) `excluded` ones."""
    unit = [rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-300) for rows in (query, candidates)]
    likeness = unit[0] @ unit[1].T
    if excluded is not None:
        likeness = np.where(excluded, -np.inf, likeness)
    return likeness.argmax(axis=1).astype(np.int64)


def parallelism(first: Array, second: Array) -> float:
    """Mean cosine of matching offsets; NaN where all are zero."""
    cosines = row_cosines(first, second)
    seen = np.isfinite(cosines)
    return float(cosines[seen].mean()) if seen.any() else float("nan")
