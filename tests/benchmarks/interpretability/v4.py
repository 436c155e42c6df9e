"""V4 units beside sparse features of them, at two independent halves of the repeats, by two kinds of judge.

A dictionary is learned on the averages of one half of the repeats and scored on codes of single trials of the other;
then the halves change places. Embedding-based: a network's layer judges. Embedding-free: a dictionary of one half of
the units is judged by the other half's held-out repeats, and beside it, on the same profiles, by the network. Both
turns, and all halves of units, show the same images: they share their bootstrap samples.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from scipy import stats

from neurosparse import DictionaryLearning, population
from neurosparse.backend.resampling import random_halves
from neurosparse.backend.surrogate import gaussian_surrogate
from neurosparse.comparison import near_duplicate_stimuli
from neurosparse.population import from_arrays
from neurosparse.study import Study, load_responses
from tests.benchmarks.interpretability.common import measured, row, rows, turned
from tests.benchmarks.interpretability.head_direction import folder
from tests.benchmarks.interpretability.pictures import LAYER, V4, channels

SCORES = ("mis", "monosemanticity", "reliability")
KINDS = ("units", "principal 15", "sparse 15", "sparse 50", "rotated 15", "rotated 50", "surrogate 15", "surrogate 50")
OF_HALVES = ("units", "sparse 15", "sparse 50", "rotated 15", "rotated 50", "surrogate 15", "surrogate 50")


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
                    seed=0,
                    stimulus_similarity=judge,
                    groups=groups,
                )
            )
    found = rows("V4, embedding", sets, "units", SCORES)
    for size in (15, 50):
        pair = {kind: sets[kind] for kind in (f"sparse {size}", f"surrogate {size}")}
        above = rows("V4, gain over the surrogate", pair, f"surrogate {size}", SCORES)
        found += [row for row in above if row["representation"].startswith("sparse")]
    for each in found:
        if each["score"] == "reliability":
            of_each = [part["reliability"].value for part in sets[each["representation"]]]
            each["of_each"] = np.concatenate(of_each).tolist()
    return found


def by_units(both: tuple[Any, Any], judge: Any, groups: Any, n_splits: int) -> list[dict[str, Any]]:
    """Profiles of half of the units, judged by the other half and by the network."""
    sets: dict[str, dict[str, list[Any]]] = {"other units": {}, "network": {}}
    for turn, (learned, test) in enumerate((both, both[::-1])):
        averages = population.average(learned)
        held = test.assign_coords(trial=np.arange(test.sizes["trial"])).assign_attrs(session="")
        for mine, other in halves_of_units(test.sizes["unit"], n_splits):
            known, rest = averages.isel(unit=mine).values.astype(float), held.isel(unit=other)
            for kind in OF_HALVES:
                codes = learner_of(kind, known, turn)(test.isel(unit=mine).values.astype(float))
                for name, similarity in (("other units", rest), ("network", judge)):
                    scored = measured(
                        profiles_of(test, codes, "atom"),
                        SCORES[:2],
                        draws=(5, 100),
                        seed=0,
                        stimulus_similarity=similarity,
                        groups=groups,
                    )
                    sets[name].setdefault(kind, []).append(scored)
    found = [
        {"judge": name, **each}
        for name in sets
        for each in rows("V4, half of the units", sets[name], "units", SCORES[:2])
    ]
    return found + [_agreement(kind, sets["network"][kind], sets["other units"][kind]) for kind in OF_HALVES]


def halves_of_units(n_units: int, n_splits: int) -> list[tuple[Any, Any]]:
    rng, found = np.random.default_rng(0), []
    for _ in range(n_splits):
        first, second = (np.sort(part) for part in np.array_split(rng.permutation(n_units), 2))
        found += [(first, second), (second, first)]
    return found


def _agreement(kind: str, by_network: list[Any], by_others: list[Any]) -> dict[str, Any]:
    """Two judges of the same profiles: gain of mis by the network over that by units, and their rank correlation."""
    found = row("V4, gain of the network's mis over other units'", kind, "mis", by_network, by_others)
    each = [np.concatenate([part["mis"].value for part in parts]) for parts in (by_network, by_others)]
    seen = np.isfinite(each).all(axis=0)
    return found | {"spearman": float(stats.spearmanr(each[0][seen], each[1][seen]).statistic)}


def run(n_splits: int = 1) -> list[dict[str, Any]]:
    trials, images = load()
    both = halves(trials)
    images = images.sortby("stimulus")
    groups = near_duplicate_stimuli(images)
    judge = from_arrays(channels(images, layer=LAYER), dims=("stimulus", "unit"), stimulus=images["stimulus"].values)
    return by_embedding(both, judge, groups) + by_units(both, judge, groups, n_splits)
