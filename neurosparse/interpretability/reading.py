"""From what a front door was given to the `Question` that every family of scores takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurosparse.backend.devices import resolve_device
from neurosparse.backend.psychophysics import Draw, Similarity
from neurosparse.interpretability.about import BY_SIMILARITY, read_names
from neurosparse.interpretability.asking import (
    Question,
    check_draws,
    cluster_weights,
    near,
    one_a_stimulus,
    permuted_samples,
    read_classes,
    read_covariate,
)
from neurosparse.interpretability.profiles import Profiles, apart_in_time, check_enough, grouped, read_profiles
from neurosparse.interpretability.similarity import (
    covariate_similarity,
    label_similarity,
    observed_together,
    read_judge,
)


def ask(
    profiles: Any,
    *,
    scores: Any,
    stimuli: Any,
    stimulus_similarity: Any,
    draw: Draw,
    draws: tuple[Any, Any],
    random_state: Any,
    nan: str = "raise",
    labels: Any = None,
    covariate: Any = None,
    period: float | None = None,
    n_bins: int = 20,
    alpha: float | None = None,
    groups: Any = None,
    device: Any = "cpu",
) -> tuple[Question, str]:
    """Read and check what `interpretability_scores` was given, once; also why there is no p-value, or nothing."""
    check_draws(*draws)
    rng = np.random.default_rng(random_state)
    profiles, stimulus_similarity = observed_together(profiles, stimulus_similarity, nan)
    samples = read_profiles(profiles, nan)
    names = read_names(scores, _given(samples, labels, covariate, period), len(samples.labels))
    place = read_covariate(covariate, samples, period)

    def told(name: str) -> Similarity:
        if name == "covariate":
            return covariate_similarity(place, period)
        return label_similarity(None if labels is None else one_a_stimulus(labels, samples, "labels"))

    by_similarity = bool(set(names) & set(BY_SIMILARITY))
    judge = read_judge(samples, stimuli, stimulus_similarity, nan, told) if by_similarity else None
    samples = grouped(samples, near(samples, stimuli, groups))
    samples = apart_in_time(samples, judge.features if judge else None)
    if {"mis", "soft_mis"} & set(names):
        check_enough(samples, draw.n_explanations)
    permuted, note = permuted_samples(samples, draws[0], rng)
    return (
        Question(
            names=names,
            samples=samples,
            judge=judge,
            draw=draw,
            permuted=permuted,
            weights=cluster_weights(samples, draws[1], rng),
            n_permutations=int(draws[0]),
            rng=rng,
            alpha=alpha,
            classes=read_classes(labels, samples),
            covariate=place,
            period=period,
            n_bins=n_bins,
            device=resolve_device(device) if device != "cpu" else device,
        ),
        note,
    )


def _given(samples: Profiles, labels: Any, covariate: Any, period: Any) -> set[str]:
    told = {
        "labels": labels is not None,
        "covariate": covariate is not None,
        "period": covariate is not None and period is not None and np.ndim(covariate) == 1,
        "trials": samples.trials is not None,
    }
    return {name for name, there in told.items() if there}
