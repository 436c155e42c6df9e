"""Sets of profiles judged alike: the same stimuli, the same judge, the same bootstrap samples."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from neurosparse.backend.psychophysics import Draw, as_sparse, rotated
from neurosparse.interpretability.draws import Draws
from neurosparse.interpretability.families import measure
from neurosparse.interpretability.reading import ask
from neurosparse.population import from_arrays

Floats = np.ndarray


def measured(
    profiles: Any, scores: tuple[str, ...], *, draws: tuple[int, int], seed: int, **asked: Any
) -> dict[str, Draws]:
    """Scores with their null and bootstrap draws; of one seed and the same stimuli, draws are paired."""
    draw = Draw(asked.pop("n_tasks", 20), asked.pop("n_explanations", 9), asked.pop("quantile", 0.05))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        question, _ = ask(
            profiles, scores=scores, draw=draw, draws=draws, random_state=seed, **{"stimuli": None} | asked
        )
        return measure(question)


def medians(draws: Floats) -> Floats:
    """Over profiles, of those that have the score; one a draw."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanmedian(np.atleast_2d(draws), axis=1)


def interval(value: float, drawn: Floats) -> tuple[float, float]:
    """95 % of the draws about their own mean, laid on the value.

    A bootstrap sample offers fewer different queries than the stimuli do, so that the draws of a share of right answers
    lie below it.
    """
    low, high = value + np.nanquantile(drawn - np.nanmean(drawn), [0.025, 0.975])
    return float(low), float(high)


def row(
    task: str, representation: str, name: str, parts: list[dict[str, Draws]], base: list[dict[str, Draws]]
) -> dict[str, Any]:
    """Median over profiles, averaged over `parts` (halves, splits), beside its null and its gain over `base`."""
    drawn = np.mean([medians(part[name].bootstrap) for part in parts], axis=0)
    other = np.mean([medians(part[name].bootstrap) for part in base], axis=0)
    value = float(np.mean([medians(part[name].value)[0] for part in parts]))
    null = [medians(part[name].null) for part in parts if len(part[name].null)]
    gain = value - float(np.mean([medians(part[name].value)[0] for part in base]))
    low, high = interval(value, drawn)
    gain_low, gain_high = interval(gain, drawn - other)
    return {
        "task": task,
        "representation": representation,
        "score": name,
        "n": int(np.mean([np.isfinite(part[name].value).sum() for part in parts])),
        "median": value,
        "low": low,
        "high": high,
        "null": float(np.mean(null)) if null else float("nan"),
        "gain": gain,
        "gain_low": gain_low,
        "gain_high": gain_high,
        "parts": [float(medians(part[name].value)[0]) for part in parts],
    }


def rows(
    task: str, sets: Mapping[str, list[dict[str, Draws]]], base: str, names: tuple[str, ...]
) -> list[dict[str, Any]]:
    return [row(task, each, name, parts, sets[base]) for name in names for each, parts in sets.items()]


def turned(codes: Any, seed: int) -> Any:
    """Codes in a random basis, thresholded to the codes' own share of active samples."""
    values = np.asarray(codes.values, dtype=np.float64)
    return codes.copy(data=as_sparse(rotated(values, seed), float((values > 0).mean())))


def stimuli_population(values: Floats, stimulus: Any) -> Any:
    return from_arrays(values, dims=("stimulus", "unit"), stimulus=stimulus)
