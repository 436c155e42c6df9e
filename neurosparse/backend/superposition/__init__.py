"""Whether codes add, whether their differences are parallel, and how many features fit on so many units.

Float arrays enter, numbers leave. Imports numpy, scipy, ``errors``, the backend's `inference` and its `resampling`.
Rows of the arrays of one call belong together: row i of `a`, `b` and `ab` is pair i.
"""

from neurosparse.backend.superposition.offsets import nearest, parallelism
from neurosparse.backend.superposition.sums import (
    centred_by_others,
    corrected_cosine,
    gains,
    mismatched,
    ranks,
    residual_share,
    row_cosines,
)

__all__ = [
    "centred_by_others",
    "corrected_cosine",
    "gains",
    "mismatched",
    "nearest",
    "parallelism",
    "ranks",
    "residual_share",
    "row_cosines",
]
