"""Scores that need more than responses: classes of stimuli, a covariate, or repeats."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from neurosparse.backend.psychophysics import (
    Selectivity,
    bin_codes,
    information_per_spike,
    left_product,
    map_stability,
    mean_direction_length,
    repeat_reliability,
    tuning_maps,
)
from neurosparse.interpretability.asking import Question, sample_halves
from neurosparse.interpretability.draws import Draws, none_drawn

Floats = NDArray[np.float64]

# Profiles whose selectivity is measured at once: what one half holds of them stays small.
_PROFILES = 1000


def _signed(asked: Question) -> str:
    """Why a score of non-negative profiles is undefined, or nothing."""
    values = asked.samples.values
    n_signed = int((values.min(axis=0) < 0).sum())
    return f"none: undefined for signed profiles ({n_signed} of {values.shape[1]} are)" if n_signed else ""


def _undefined(asked: Question, reason: str) -> Draws:
    n_profiles = asked.samples.values.shape[1]
    return Draws(np.full(n_profiles, np.nan), none_drawn(n_profiles), reason, bootstrap=none_drawn(n_profiles))


def selectivity_scores(asked: Question) -> dict[str, Draws]:
    """dprime, class_contrast and auc: null by permuted labels with the class picked anew."""
    assert asked.classes is not None
    names = [name for name in ("dprime", "class_contrast", "auc") if name in asked.names]
    result = {}
    if "class_contrast" in names and (signed := _signed(asked)):
        names.remove("class_contrast")
        result["class_contrast"] = _undefined(asked, signed)
    if not names:
        return result
    halves = sample_halves(asked.samples, asked.classes, asked.rng)
    how, weights = f"{asked.shuffled.format('labels')}, the class picked anew", asked.sample_weights
    parts: list[list[dict[str, Floats]]] = [[], [], []]
    for start in range(0, asked.samples.values.shape[1], _PROFILES):
        some = asked.samples.values[:, start : start + _PROFILES]
        measured = Selectivity(some, asked.classes, halves, tuple(names), asked.device)
        for part, draws in zip(
            parts, (measured.scores(), measured.null(asked.permuted), measured.bootstrap(weights)), strict=True
        ):
            part.append(draws)
    joined = [{name: np.concatenate([each[name] for each in part], axis=-1) for name in names} for part in parts]
    value, null, bootstrap = joined
    return result | {name: Draws(value[name], null[name], how, bootstrap=bootstrap[name]) for name in names}


def tuning_scores(asked: Question) -> dict[str, Draws]:
    """information, stability and direction_length of maps over bins of the covariate."""
    assert asked.covariate is not None
    values, result = asked.samples.values, {}
    codes, centres = bin_codes(asked.covariate, asked.n_bins, asked.period)
    n_bins, signed = len(centres), _signed(asked)
    halves = sample_halves(asked.samples, None, asked.rng)
    product = left_product(values, asked.device)

    def information(codes: NDArray[np.int64], times: Floats | None = None) -> Floats:
        return information_per_spike(*tuning_maps(values, codes, n_bins, times, product))

    def direction(codes: NDArray[np.int64], times: Floats | None = None) -> Floats:
        return mean_direction_length(
            tuning_maps(values, codes, n_bins, times, product)[0], centres[:, 0], asked.period or 1.0
        )

    def stability(codes: NDArray[np.int64], times: Floats | None = None) -> Floats:
        return map_stability(values, codes, n_bins, halves, times, product)

    measures: dict[str, Callable[..., Floats]] = {
        "information": information,
        "stability": stability,
        "direction_length": direction,
    }
    for name, measure in measures.items():
        if name in asked.names:
            needs_positive = signed and name != "stability"
            result[name] = _undefined(asked, signed) if needs_positive else _of_maps(asked, measure, codes)
    return result


def _of_maps(asked: Question, measure: Callable[..., Floats], codes: NDArray[np.int64]) -> Draws:
    n_profiles = asked.samples.values.shape[1]
    null = [measure(codes[order]) for order in asked.permuted]
    resampled = [measure(codes, times.astype(np.float64)) for times in asked.sample_weights]
    return Draws(
        measure(codes),
        np.array(null).reshape(len(null), n_profiles),
        asked.shuffled.format("covariate"),
        bootstrap=np.array(resampled).reshape(len(resampled), n_profiles),
    )


def reliability_scores(asked: Question) -> dict[str, Draws]:
    trials, n = asked.samples.trials, len(asked.samples.labels)
    assert trials is not None
    null = [
        repeat_reliability(trials.values, trials.codes[asked.rng.permutation(len(trials.codes))], n)[0]
        for _ in range(asked.n_permutations)
    ]
    value, terms = repeat_reliability(trials.values, trials.codes, n)
    bootstrap = terms.resampled(asked.sample_weights)
    how = "trials permuted over stimuli, repeats as many"
    return {"reliability": Draws(value, np.array(null), how, bootstrap=bootstrap)}
