"""Which scores are measured together, and by whom."""

from __future__ import annotations

from collections.abc import Callable

from neurosparse.interpretability import labelled, likeness
from neurosparse.interpretability.asking import Question
from neurosparse.interpretability.draws import Draws
from neurosparse.interpretability.sparseness import sparseness_scores

# Each family of scores is measured together, where one of its names is asked for.
FAMILIES: list[tuple[tuple[str, ...], Callable[[Question], dict[str, Draws]]]] = [
    (("mis", "soft_mis"), likeness.two_alternative_scores),
    (("lifetime_sparseness", "hoyer_sparseness", "kurtosis", "population_sparseness"), sparseness_scores),
    (("monosemanticity",), likeness.monosemanticity_scores),
    (("intrusion",), likeness.intrusion_scores),
    (("index_v1",), likeness.index_one_scores),
    (("index_v2",), likeness.index_two_scores),
    (("dprime", "class_contrast", "auc"), labelled.selectivity_scores),
    (("information", "stability", "direction_length"), labelled.tuning_scores),
    (("reliability",), labelled.reliability_scores),
]


def measure(asked: Question) -> dict[str, Draws]:
    """The draws of every score that is asked for."""
    found: dict[str, Draws] = {}
    for names, family in FAMILIES:
        if set(names) & set(asked.names):
            found |= family(asked)
    return found
