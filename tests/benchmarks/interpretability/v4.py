"""V4 units beside sparse features of them, at two independent halves of the repeats, by two kinds of judge.

A dictionary is learned on the averages of one half of the repeats and scored on codes of single trials of the other;
then the halves change places. Embedding-based: a network's layer judges. Embedding-free: a dictionary of one half of
the units is judged by the other half's held-out repeats.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from neurosparse import DictionaryLearning, population
from neurosparse.backend.resampling import random_halves
from neurosparse.backend.surrogate import gaussian_surrogate
from neurosparse.comparison import near_duplicate_stimuli
from neurosparse.interpretability import unit_half_scores
from neurosparse.population import from_arrays
from neurosparse.study import Study, load_responses
from tests.benchmarks.interpretability.common import measured, medians, rows, turned
from tests.benchmarks.interpretability.head_direction import folder
from tests.benchmarks.interpretability.pictures import LAYER, V4, channels

SCORES = ("mis", "monosemanticity", "reliability")
KINDS = ("units", "principal 15", "sparse 15", "sparse 50", "rotated 15", "rotated 50", "surrogate 15", "surrogate 50")
OF_HALVES = ("units", "sparse 15", "rotated 15", "surrogate 15", "sparse 50", "surrogate 50")


def load() -> tuple[Any, Any]:
    """Trials scaled by each unit's trial noise, and the images."""
    trials, images = load_responses(Study(str(folder() / V4), stimulus="image_index"))
    noise = trials.groupby("stimulus").var("trial", ddof=1).mean("stimulus")
    return (trials / np.sqrt(np.maximum(noise, 0.05))).assign_attrs(trials.attrs | {"quantity": "scaled count"}), images


def halves(trials: Any, seed: int = 0) -> tuple[Any, Any]:
    """Two disjoint halves of each image's repeats."""
    _, codes, counts = np.unique(trials["stimulus"].values, return_inverse=True, return_counts=True)
    first = next(iter(random_halves(codes, counts, 1, random_state=seed)))
    return trials.isel(trial=np.flatnonzero(first)), trials.isel(trial=np.flatnonzero(~first))


def learner_of(kind: str, averages: np.ndarray, seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """From responses to profiles of a kind, learned on averages."""
    name, _, size = kind.partition(" ")
    if name == "units":
        return lambda x: x
    if name == "principal":
        mean = averages.mean(axis=0)
        right = np.linalg.svd(averages - mean, full_matrices=False)[2][: int(size)]
        return lambda x: (x - mean) @ right.T
    known = gaussian_surrogate(averages, random_state=seed) if name == "surrogate" else averages
    fitted = _fitted(int(size), seed, known.tobytes(), known.shape)

    def codes(x: np.ndarray) -> np.ndarray:
        found = np.asarray(fitted.transform(x), dtype=np.float64)
        return (
            turned(from_arrays(found, dims=("time", "unit"), bin_width=1.0), seed).values
            if name == "rotated"
            else found
        )

    return codes


@cache
def _fitted(n_atoms: int, seed: int, known: bytes, shape: tuple[int, ...]) -> Any:
    """The same dictionary for its codes and for the codes turned."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        learner = DictionaryLearning(n_atoms, n_restarts=2, random_state=seed, device="cpu")
        return learner.fit(np.frombuffer(known).reshape(shape))


def profiles_of(trials: Any, values: np.ndarray, last: str) -> Any:
    found = from_arrays(values, dims=("trial", "unit"), stimulus=trials["stimulus"].values, session="")
    return found.rename(unit=last)


def by_embedding(both: tuple[Any, Any], judge: Any, groups: Any) -> list[dict[str, Any]]:
    sets: dict[str, list[Any]] = {}
    for turn, (learned, test) in enumerate((both, both[::-1])):
        averages = population.average(learned).values.astype(float)
        for kind in KINDS:
            values = learner_of(kind, averages, turn)(test.values.astype(float))
            sets.setdefault(kind, []).append(
                measured(
                    profiles_of(test, values, "atom"),
                    SCORES,
                    draws=(5, 200),
                    seed=turn,
                    stimulus_similarity=judge,
                    groups=groups,
                )
            )
    found = rows("V4, embedding", sets, "units", SCORES)
    for size in (15, 50):
        pair = {kind: sets[kind] for kind in (f"sparse {size}", f"surrogate {size}")}
        above = rows("V4, gain over the surrogate", pair, f"surrogate {size}", SCORES)
        found += [row for row in above if row["representation"].startswith("sparse")]
    for row in found:
        row["halves"] = [medians(part[row["score"]].value)[0] for part in sets[row["representation"]]]
        if row["score"] == "reliability":
            row["of_each"] = np.concatenate(
                [part["reliability"].value for part in sets[row["representation"]]]
            ).tolist()
    return found


def by_units(both: tuple[Any, Any], groups: Any, n_splits: int) -> list[dict[str, Any]]:
    """No interval: halves of units share stimuli and units; their range is shown."""
    found: list[dict[str, Any]] = []
    for kind in OF_HALVES:
        each = []
        for turn, (learned, test) in enumerate((both, both[::-1])):
            averages = population.average(learned)

            def learn(part: Any, averages: Any = averages, turn: int = turn, kind: str = kind) -> Any:
                known = averages.sel(unit=part["unit"]).values.astype(float)
                return profiles_of(part, learner_of(kind, known, turn)(part.values.astype(float)), "atom")

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                each.append(
                    unit_half_scores(
                        test.assign_coords(trial=np.arange(test.sizes["trial"])).assign_attrs(session=""),
                        learn,
                        n_splits=n_splits,
                        random_state=turn,
                        scores=SCORES[:2],
                        groups=groups,
                        n_permutations=5,
                        n_bootstraps=1,
                    )
                )
        for name in SCORES[:2]:
            values = np.concatenate([part[name].values for part in each])
            nulls = np.concatenate([part[f"{name}_null"].values for part in each])
            found.append(
                {
                    "task": "V4, other units",
                    "representation": kind,
                    "score": name,
                    "median": float(values.mean()),
                    "lowest": float(values.min()),
                    "highest": float(values.max()),
                    "null": float(nulls.mean()),
                    "halves": [float(part[name].mean()) for part in each],
                }
            )
    return found


def run(n_splits: int = 1) -> list[dict[str, Any]]:
    trials, images = load()
    both = halves(trials)
    images = images.sortby("stimulus")
    groups = near_duplicate_stimuli(images)
    judge = from_arrays(channels(images, layer=LAYER), dims=("stimulus", "unit"), stimulus=images["stimulus"].values)
    return by_embedding(both, judge, groups) + by_units(both, groups, n_splits)
