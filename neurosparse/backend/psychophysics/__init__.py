"""Interpretability of one-dimensional response profiles, and their sparseness, on arrays.

Profiles (sample, profile) and a similarity of samples enter; scores with their null and bootstrap draws leave. A sample
is a stimulus, or a bin of time. Imports numpy, scipy, numba and ``errors``; anyone above the backend may import it.
"""

from neurosparse.backend.psychophysics.ablation import decoding_losses, reconstruction_losses
from neurosparse.backend.psychophysics.alternatives import (
    TwoAlternative,
    credit,
    evidence_scale,
    query_truth,
    soft_credit,
    two_alternative,
)
from neurosparse.backend.psychophysics.answering import Answers, Block, Task, answer
from neurosparse.backend.psychophysics.directions import DIRECTIONS, as_sparse, mixtures, rotated
from neurosparse.backend.psychophysics.disentanglement import (
    binned,
    dci,
    entropies,
    info_mec,
    mutual_information,
    mutual_information_gap,
)
from neurosparse.backend.psychophysics.gabor import gabor_energy
from neurosparse.backend.psychophysics.index import AlikeAtTheTop, IndexTwo
from neurosparse.backend.psychophysics.intrusion import Intrusion
from neurosparse.backend.psychophysics.pairs import monosemanticity, monosemanticity_draws, unit_range
from neurosparse.backend.psychophysics.probes import (
    Split,
    explicitness,
    importances,
    ranked_features,
    sparse_probe,
)
from neurosparse.backend.psychophysics.products import left_product
from neurosparse.backend.psychophysics.repeats import repeat_reliability
from neurosparse.backend.psychophysics.selectivity import Selectivity, class_auc, class_statistics
from neurosparse.backend.psychophysics.shares import randomised_p_value, wilson_interval
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
from neurosparse.backend.psychophysics.tuning import (
    bin_codes,
    information_per_spike,
    map_stability,
    mean_direction_length,
    tuning_maps,
)

__all__ = [
    "DIRECTIONS",
    "AlikeAtTheTop",
    "Answers",
    "Block",
    "Draw",
    "IndexTwo",
    "Intrusion",
    "Selectivity",
    "Similarity",
    "Split",
    "Task",
    "TwoAlternative",
    "answer",
    "as_sparse",
    "bin_codes",
    "binned",
    "class_auc",
    "class_statistics",
    "cosine_rows",
    "cosine_similarity",
    "credit",
    "dci",
    "decoding_losses",
    "draw_tasks",
    "entropies",
    "evidence_scale",
    "explicitness",
    "gabor_energy",
    "hoyer",
    "importances",
    "info_mec",
    "information_per_spike",
    "kurtosis",
    "least_samples",
    "left_product",
    "map_stability",
    "mean_direction_length",
    "mixtures",
    "monosemanticity",
    "monosemanticity_draws",
    "mutual_information",
    "mutual_information_gap",
    "poisson_surrogate",
    "query_truth",
    "randomised_p_value",
    "rank_order",
    "ranked_features",
    "reconstruction_losses",
    "repeat_reliability",
    "rotated",
    "rotated_directions",
    "side_limits",
    "soft_credit",
    "sparse_probe",
    "treves_rolls",
    "tuning_maps",
    "two_alternative",
    "unit_range",
    "vinje_gallant",
    "wilson_interval",
]
