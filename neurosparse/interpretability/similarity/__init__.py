"""What says which stimuli are alike, and the blocks of tasks that follow from it."""

from neurosparse.interpretability.similarity.halves import blocks
from neurosparse.interpretability.similarity.images import pixel_rows, pixel_similarity
from neurosparse.interpretability.similarity.judge import Judge
from neurosparse.interpretability.similarity.labels import places
from neurosparse.interpretability.similarity.reading import observed_together, read_judge
from neurosparse.interpretability.similarity.told import covariate_similarity, label_similarity

__all__ = [
    "Judge",
    "blocks",
    "covariate_similarity",
    "label_similarity",
    "observed_together",
    "pixel_rows",
    "pixel_similarity",
    "places",
    "read_judge",
]
