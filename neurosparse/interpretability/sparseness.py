"""Lifetime and population sparseness of profiles, each with the draws of its null and of its bootstrap."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from neurosparse.backend.psychophysics import (
    hoyer,
    kurtosis,
    poisson_surrogate,
    rotated_directions,
    vinje_gallant,
)
from neurosparse.interpretability.asking import Question
from neurosparse.interpretability.draws import Draws, none_drawn, quiet_mean
from neurosparse.interpretability.profiles import Profiles

Floats = NDArray[np.float64]
Measure = Callable[..., Floats]

# Numbers drawn at once by Poisson surrogates and bootstrap weights: 160 MB.
_CHUNK = 20_000_000
_DIRECTIONS = 500
_RESAMPLED = 20
_POISSON = "counts of a Poisson process at each profile's mean rate, with the same repeats"
_ROTATED = "random directions of the population's space"


def sparseness_scores(asked: Question) -> dict[str, Draws]:
    """`Draws` of the lifetime measures over profiles and of the population's over samples.

    Sparseness does not move when stimuli are shuffled, so a shuffle is no null for it. Where values are counts the
    null is a Poisson process that prefers nothing; elsewhere it is what a rotation makes of the population: measured
    on random directions, rectified where the measure needs non-negative values.
    """
    profiles, weights, n_null, rng = asked.samples, asked.weights, asked.n_permutations, asked.rng
    values = profiles.values
    directions = rotated_directions(values, _DIRECTIONS, rng)
    turned = "" if values.shape[1] > 1 else "none: one profile cannot be rotated"
    result = {
        name: Draws(
            measure(values),
            _shared(measure(directions), n_null, values.shape[1], rng) if not turned else none_drawn(values.shape[1]),
            turned or _ROTATED,
            bootstrap=_bootstrap(measure, values, weights, profiles.clusters),
        )
        for name, measure in {"hoyer_sparseness": hoyer, "kurtosis": kurtosis}.items()
        if name in asked.names
    }
    if not {"lifetime_sparseness", "population_sparseness"} & set(asked.names):
        return result
    if (values < 0).any():
        n, p = values.shape
        reason = f"none: undefined for signed profiles ({int((values < 0).any(axis=0).sum())} of {p} are)"
        for name, size in (("lifetime_sparseness", p), ("population_sparseness", n)):
            result[name] = Draws(
                np.full(size, np.nan), none_drawn(size), reason, none_drawn(p) if name.startswith("life") else None
            )
        return result
    return result | (_of_counts if profiles.are_counts else _of_rates)(profiles, weights, n_null, directions, rng)


def _of_counts(
    profiles: Profiles, weights: NDArray[np.int64], n_null: int, _: Floats, rng: np.random.Generator
) -> dict[str, Draws]:
    values, repeats = profiles.values, profiles.repeats
    flat = np.broadcast_to(np.average(values, axis=0, weights=repeats), values.shape)
    n_draws = int(np.clip(_CHUNK // values.size, 20, n_null))
    lifetime, population = np.empty((n_draws, values.shape[1])), np.empty((n_draws, len(values)))
    for draw in range(n_draws):
        surrogate = poisson_surrogate(flat, repeats, rng)
        lifetime[draw], population[draw] = vinje_gallant(surrogate), vinje_gallant(surrogate.T)
    measured = vinje_gallant(values), vinje_gallant(values.T)
    again = np.stack([vinje_gallant(poisson_surrogate(values, repeats, rng)) for _ in range(_RESAMPLED)])
    return _pair(profiles, weights, measured, (lifetime, population), _POISSON, quiet_mean(again) - measured[0])


def _of_rates(
    profiles: Profiles, weights: NDArray[np.int64], n_null: int, directions: Floats, rng: np.random.Generator
) -> dict[str, Draws]:
    values = profiles.values
    n, p = values.shape
    measured = vinje_gallant(values), vinje_gallant(values.T)
    if p == 1:
        return _pair(
            profiles, weights, measured, (none_drawn(1), none_drawn(n)), "none: one profile cannot be rotated", None
        )
    lifetime = _shared(vinje_gallant(np.maximum(directions, 0)), n_null, p, rng)
    # A rotation makes of any sample's vector one of random direction, and its length does not matter.
    isotropic = vinje_gallant(np.maximum(rng.standard_normal((p, _DIRECTIONS)), 0))
    population = np.broadcast_to(_shared(isotropic, n_null, 1, rng), (n_null, n))
    return _pair(profiles, weights, measured, (lifetime, population), f"{_ROTATED}, rectified", None)


def _pair(
    profiles: Profiles,
    weights: NDArray[np.int64],
    measured: tuple[Floats, Floats],
    null: tuple[Floats, Floats],
    how: str,
    bias: Floats | None,
) -> dict[str, Draws]:
    resampled = _bootstrap(vinje_gallant, profiles.values, weights, profiles.clusters)
    medians = np.array([_median_of(measured[1], weight[profiles.clusters]) for weight in weights])
    return {
        "lifetime_sparseness": Draws(measured[0], null[0], how, bootstrap=resampled, bias=bias),
        "population_sparseness": Draws(measured[1], null[1], how, median=medians),
    }


def _median_of(values: Floats, counts: NDArray[np.int64]) -> float:
    repeated = np.repeat(values, counts)
    repeated = repeated[np.isfinite(repeated)]
    return float(np.median(repeated)) if len(repeated) else float("nan")


def _shared(pool: Floats, n_null: int, n_profiles: int, rng: np.random.Generator) -> Floats:
    """Null draws of every profile from one pool, since a random axis does not know whose place it takes."""
    pool = pool[np.isfinite(pool)]  # a direction that is silent once rectified has no sparseness
    return rng.choice(pool, size=(n_null, n_profiles)) if len(pool) else none_drawn(n_profiles)


def _bootstrap(measure: Measure, values: Floats, weights: NDArray[np.int64], clusters: NDArray[np.int64]) -> Floats:
    parts = [measure(values, part[:, clusters].astype(np.float64)) for part in _chunks(weights, len(values))]
    return np.concatenate(parts) if parts else none_drawn(values.shape[1])


def _chunks(weights: NDArray[np.int64], n_samples: int) -> Iterator[NDArray[np.int64]]:
    step = max(_CHUNK // n_samples, 1)
    for start in range(0, len(weights), step):
        yield weights[start : start + step]
