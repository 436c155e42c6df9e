"""neurosparse: the same questions of recorded and artificial neurons.

Recordings in NWB files and activations of torch networks become one labelled array, the population; the front
doors ask of it whether a code is linearly identifiable, which sparse features it superposes and whether they can
be interpreted, and `compare` puts brain and model side by side.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0.dev0"

# Where each public name lives. Loaded on first use, so that `import neurosparse` costs nothing.
_HOMES = {
    "open_nwb": "recordings",
    "activations": "networks",
    "linear_identifiability": "identifiability",
    "representational_similarity": "identifiability",
    "superposition_reference": "identifiability",
    "additivity": "identifiability",
    "analogy": "identifiability",
    "compressed_sensing_bounds": "identifiability",
    "phase_diagram": "identifiability",
    "consistency": "identifiability",
    "DictionaryLearning": "sparse_coding",
    "recoverability": "sparse_coding",
    "select_dictionary": "sparse_coding",
    "sparse_encode": "sparse_coding",
    "surrogate_test": "sparse_coding",
    "interpretability_scores": "interpretability",
    "ablation_scores": "interpretability",
    "concept_scores": "interpretability",
    "describe_feature": "interpretability",
    "interpretability_controls": "interpretability",
    "mixing_test": "interpretability",
    "unit_half_scores": "interpretability",
    "compare": "comparison",
    "datasets": "catalog",
    "fetch": "catalog",
    "load": "catalog",
}
_ROOMS = (
    "catalog",
    "comparison",
    "demo",
    "errors",
    "files",
    "identifiability",
    "interchange",
    "interpretability",
    "manifests",
    "networks",
    "plots",
    "population",
    "recordings",
    "report",
    "simulation",
    "sparse_coding",
    "study",
)
__all__ = [
    "DictionaryLearning",
    "ablation_scores",
    "activations",
    "additivity",
    "analogy",
    "compare",
    "compressed_sensing_bounds",
    "concept_scores",
    "consistency",
    "datasets",
    "describe_feature",
    "fetch",
    "interpretability_controls",
    "interpretability_scores",
    "linear_identifiability",
    "load",
    "mixing_test",
    "open_nwb",
    "phase_diagram",
    "recoverability",
    "representational_similarity",
    "select_dictionary",
    "sparse_encode",
    "superposition_reference",
    "surrogate_test",
    "unit_half_scores",
    *_ROOMS,
]

if TYPE_CHECKING:
    from neurosparse.catalog import datasets, fetch, load
    from neurosparse.comparison import compare
    from neurosparse.identifiability import (
        additivity,
        analogy,
        compressed_sensing_bounds,
        consistency,
        linear_identifiability,
        phase_diagram,
        representational_similarity,
        superposition_reference,
    )
    from neurosparse.interpretability import (
        ablation_scores,
        concept_scores,
        describe_feature,
        interpretability_controls,
        interpretability_scores,
        mixing_test,
        unit_half_scores,
    )
    from neurosparse.networks import activations
    from neurosparse.recordings import open_nwb
    from neurosparse.sparse_coding import (
        DictionaryLearning,
        recoverability,
        select_dictionary,
        sparse_encode,
        surrogate_test,
    )


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    if name in _ROOMS:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
