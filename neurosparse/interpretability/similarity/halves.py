"""The blocks of tasks, with halves of repeats and of units of their own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from neurosparse.backend.psychophysics import Block, cosine_similarity
from neurosparse.backend.resampling import label_means, random_halves
from neurosparse.interpretability.profiles import Profiles
from neurosparse.interpretability.similarity.judge import Judge

Floats = NDArray[np.float64]


def blocks(profiles: Profiles, judge: Judge, n_tasks: int, rng: np.random.Generator) -> Iterator[Block]:
    """The blocks of tasks: one for all, or one a task where each task has random halves of its own.

    Where trials repeat, one half of them ranks. If the similarities come from the same trials they are those of the
    other half, and the ranking half says which query is the more active; else the other half does.
    """
    everything = np.arange(profiles.values.shape[1])
    if profiles.trials is None and not judge.other_units:
        assert judge.fixed is not None
        yield Block(profiles.values, profiles.values, judge.fixed, everything)
        return
    for ranking, judging, features in _halves(profiles, judge, n_tasks, rng):
        if judge.fixed is not None:
            yield Block(ranking, judging, judge.fixed, everything)
        elif not judge.other_units:
            yield Block(ranking, ranking, cosine_similarity(features), everything)
        else:
            for mine, other in _unit_halves(len(everything), rng):
                yield Block(ranking[:, mine], ranking[:, mine], cosine_similarity(features[:, other]), mine)


def _halves(
    profiles: Profiles, judge: Judge, n_tasks: int, rng: np.random.Generator
) -> Iterator[tuple[Floats, Floats, Floats]]:
    """Responses that rank, responses that judge, and what similarities are computed from, once for each task."""
    trials = profiles.trials
    if trials is None:
        for _ in range(n_tasks):
            yield profiles.values, profiles.values, profiles.values
        return
    n = len(profiles.labels)
    responses = trials.values if judge.responses is None else judge.responses
    for first in random_halves(trials.codes, profiles.repeats, n_tasks, random_state=rng):
        ranking, _ = label_means(trials.values[first], trials.codes[first], n)
        judging, _ = label_means(trials.values[~first], trials.codes[~first], n)
        features = judging
        if responses is not trials.values:
            features, _ = label_means(responses[~first], trials.codes[~first], n)
        yield ranking, judging, features


def _unit_halves(n_units: int, rng: np.random.Generator) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    first, second = np.array_split(rng.permutation(n_units), 2)
    return [(first, second), (second, first)]
