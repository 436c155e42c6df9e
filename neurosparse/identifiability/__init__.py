"""Is one representation a linear image of another? Populations or arrays enter, labelled Datasets leave.

A front door: imports `population`, the backend and ``errors``; knows nothing of where its neurons come from.
"""

from neurosparse.identifiability.agreement import consistency
from neurosparse.identifiability.analogies import analogy
from neurosparse.identifiability.capacity import compressed_sensing_bounds, phase_diagram
from neurosparse.identifiability.choices import choose_best, paired_difference
from neurosparse.identifiability.reference import superposition_reference
from neurosparse.identifiability.representational import representational_similarity
from neurosparse.identifiability.results import select_direction
from neurosparse.identifiability.scores import linear_identifiability
from neurosparse.identifiability.superposing import additivity

__all__ = [
    "additivity",
    "analogy",
    "choose_best",
    "compressed_sensing_bounds",
    "consistency",
    "linear_identifiability",
    "paired_difference",
    "phase_diagram",
    "representational_similarity",
    "select_direction",
    "superposition_reference",
]
