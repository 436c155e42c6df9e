"""Do response profiles mean something? Scores without a human judge, the same for units, atoms, neurons and networks.

Populations or codes enter, an xarray Dataset with a variable a score leaves. Imports ``population``, ``errors`` and the
backend.
"""

from neurosparse.interpretability.ablation import ablation_scores
from neurosparse.interpretability.concepts import concept_scores
from neurosparse.interpretability.controls import interpretability_controls
from neurosparse.interpretability.features import describe_feature
from neurosparse.interpretability.mixing import mixing_test
from neurosparse.interpretability.results import summary
from neurosparse.interpretability.scores import interpretability_scores
from neurosparse.interpretability.similarity import pixel_similarity
from neurosparse.interpretability.unit_halves import unit_half_scores

__all__ = [
    "ablation_scores",
    "concept_scores",
    "describe_feature",
    "interpretability_controls",
    "interpretability_scores",
    "mixing_test",
    "pixel_similarity",
    "summary",
    "unit_half_scores",
]
