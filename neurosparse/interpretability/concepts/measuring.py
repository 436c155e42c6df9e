"""Scores of concepts: what is fitted on folds, and what is counted in bins of all samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.backend import psychophysics
from neurosparse.backend.psychophysics import Split
from neurosparse.interpretability.concepts.reading import Concepts
from neurosparse.interpretability.profiles import Profiles

Floats = NDArray[np.float64]
Parts = dict[str, Floats]

# Standard errors by which a held-out gain must be above 0: one-sided .05.
_ABOVE_LUCK = 1.645


@dataclass(frozen=True)
class _Read:
    """One concept on one fold; weights (feature,), gains (test sample,)."""

    probes: list[float]
    explicitness: float
    informativeness: float
    weights: Floats
    gains: Floats


def measured(
    samples: Profiles, table: Concepts, folds: list[Any], sizes: list[int], n_bins: int
) -> tuple[Parts, Parts]:
    """Scores by fold, (fold, ...), and scores of all samples together."""
    each = [list(_of_fold(samples.values, table, train, test, sizes)) for train, test in folds]
    explained = explained_concepts(each, [test for _, test in folds], samples.clusters)
    return _fitted(each, explained), _of_bins(samples.values, table, n_bins)


def explained_concepts(each: list[list[_Read]], tests: list[Any], clusters: Any) -> NDArray[np.bool_]:
    """Which concepts the lasso explains: held-out gains above 0 by more than luck, over clusters; (concept,)."""
    seen, places = np.unique(np.concatenate([clusters[test] for test in tests]), return_inverse=True)
    gains = np.zeros((len(seen), len(each[0])))
    np.add.at(gains, places, np.concatenate([np.stack([one.gains for one in fold], axis=1) for fold in each]))
    error = gains.std(axis=0, ddof=1) / np.sqrt(len(seen))
    return np.asarray(gains.mean(axis=0) > _ABOVE_LUCK * error)


def _fitted(each: list[list[_Read]], explained: NDArray[np.bool_]) -> Parts:
    found: dict[str, list[Any]] = {}
    for fold in each:
        of_features, of_concepts, overall = psychophysics.dci(
            np.stack([one.weights for one in fold], axis=1), explained
        )
        entries = {
            "probe": [one.probes for one in fold],
            "explicitness": [one.explicitness for one in fold],
            "informativeness": [one.informativeness for one in fold],
            "completeness": of_concepts,
            "disentanglement": of_features,
            "overall_disentanglement": overall,
        }
        for name, entry in entries.items():
            found.setdefault(name, []).append(entry)
    return {name: np.array(entries, dtype=np.float64) for name, entries in found.items()}


def _of_bins(values: Floats, table: Concepts, n_bins: int) -> Parts:
    whole = np.stack(
        [x if discrete else psychophysics.binned(x[:, None], n_bins)[:, 0] for x, discrete in table.values()]
    )
    concepts = whole.T.astype(np.int64)
    information = psychophysics.mutual_information(psychophysics.binned(values, n_bins), concepts)
    entropy = psychophysics.entropies(concepts)
    modular, compact = psychophysics.info_mec(information, entropy)
    return {
        "mutual_information_gap": psychophysics.mutual_information_gap(information, entropy),
        "info_modularity": np.array(modular),
        "info_compactness": np.array(compact),
    }


def _of_fold(values: Floats, table: Concepts, train: Any, test: Any, sizes: list[int]) -> Iterator[_Read]:
    for concept, discrete in table.values():
        split = Split(train, test, discrete)
        probes = [psychophysics.sparse_probe(values, concept, split, k) for k in sizes]
        explicit = psychophysics.explicitness(values, concept, split)
        weights, informative, gains = psychophysics.importances(values, concept, split)
        yield _Read(probes, explicit, informative, weights, gains)
