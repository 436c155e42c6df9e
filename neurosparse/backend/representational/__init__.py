"""How alike two representations are, by measures that disagree about what may differ.

Float arrays with samples in rows enter, numbers leave. Imports numpy, scipy, scikit-learn, ``errors`` and the rooms
`linear` and `resampling`; POT only inside soft matching. Symbols: n samples, p and q units of either side.
"""

from neurosparse.backend.representational.canonical import canonical_correlations, held_out_canonical
from neurosparse.backend.representational.distances import correlation_distances, whitened_second_moment
from neurosparse.backend.representational.kernels import Kernel, debiased_cka, hsic, inner, linear_kernel
from neurosparse.backend.representational.matchings import one_to_one, semi_matching, soft_matching, transport_plan
from neurosparse.backend.representational.metrics import METRICS, Metric, metric_named
from neurosparse.backend.representational.shapes import held_out_shape, shape_similarity

__all__ = [
    "METRICS",
    "Kernel",
    "Metric",
    "canonical_correlations",
    "correlation_distances",
    "debiased_cka",
    "held_out_canonical",
    "held_out_shape",
    "hsic",
    "inner",
    "linear_kernel",
    "metric_named",
    "one_to_one",
    "semi_matching",
    "shape_similarity",
    "soft_matching",
    "transport_plan",
    "whitened_second_moment",
]
