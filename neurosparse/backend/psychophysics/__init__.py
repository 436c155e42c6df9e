"""Interpretability of one-dimensional response profiles, and their sparseness, on arrays.

Profiles (sample, profile) and a similarity of samples enter; scores with their null and bootstrap draws leave. A sample
is a stimulus, or a bin of time. Imports numpy, scipy, numba and ``errors``; anyone above the backend may import it.
"""

from neurosparse.backend.psychophysics.similarity import Similarity, cosine_rows, cosine_similarity
from neurosparse.backend.psychophysics.sparseness import (
    hoyer,
    kurtosis,
    poisson_surrogate,
    rotated_directions,
    treves_rolls,
    vinje_gallant,
)
from neurosparse.backend.psychophysics.tasks import Draw, draw_tasks, least_samples, rank_order, side_limits
from neurosparse.backend.psychophysics.two_alternative import (
    Block,
    TwoAlternative,
    credit,
    query_truth,
    randomised_p_value,
    two_alternative,
    wilson_interval,
)

__all__ = [
    "Block",
    "Draw",
    "Similarity",
    "TwoAlternative",
    "cosine_rows",
    "cosine_similarity",
    "credit",
    "draw_tasks",
    "hoyer",
    "kurtosis",
    "least_samples",
    "poisson_surrogate",
    "query_truth",
    "randomised_p_value",
    "rank_order",
    "rotated_directions",
    "side_limits",
    "treves_rolls",
    "two_alternative",
    "vinje_gallant",
    "wilson_interval",
]
