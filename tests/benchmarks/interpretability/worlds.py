"""Planted worlds with known concepts: do the scores rank what they should rank, and do p-values keep their level?"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats

from neurosparse import concept_scores, interpretability_scores
from neurosparse.backend.baselines import random_rotation
from neurosparse.backend.psychophysics import mixtures
from neurosparse.population import from_arrays

Floats = np.ndarray

BY_STIMULI = (
    "mis",
    "soft_mis",
    "monosemanticity",
    "intrusion",
    "index_v1",
    "dprime",
    "class_contrast",
    "auc",
)
SPARSENESS = ("lifetime_sparseness", "hoyer_sparseness", "kurtosis", "population_sparseness")
BY_PLACE = ("information", "direction_length", "stability")
BY_CONCEPT = (
    "probe",
    "overall_disentanglement",
    "completeness",
    "mutual_information_gap",
    "info_modularity",
    "info_compactness",
)
# A linear map of all features reads a concept as well after any rotation of them.
BY_ALL_FEATURES = ("informativeness", "explicitness")
ANGLES = (0, 15, 30, 45)
KINDS = ("truth", "mixed 15", "mixed 30", "mixed 45", "rotated", "shuffled")
# Profiles of a world without meaning: independent of each other, judged by one similarity.
N_NULL = 20
ONCE = {"n_permutations": 1, "n_bootstraps": 1}


def sparse_latents(n: int, n_latents: int, n_active: int, rng: np.random.Generator) -> Floats:
    """(stimulus, latent), `n_active` of each stimulus above .2, the others 0."""
    z = np.zeros((n, n_latents))
    active = np.argsort(rng.random((n, n_latents)), axis=1)[:, :n_active]
    np.put_along_axis(z, active, rng.exponential(1, active.shape) + 0.2, axis=1)
    return z


def changed(z: Floats, rng: np.random.Generator) -> dict[str, Floats]:
    """The latents, their mixtures, a rectified random rotation, and latents of other stimuli."""
    pairs = rng.permutation(z.shape[1])[: z.shape[1] // 2 * 2].reshape(-1, 2)
    scaled = z / np.sqrt((z**2).mean(axis=0))
    mixed = {f"mixed {degrees}": mixtures(scaled, pairs, degrees) for degrees in ANGLES[1:]}
    rotated = np.maximum(scaled @ random_rotation(z.shape[1], random_state=int(rng.integers(2**31))), 0)
    return {"truth": scaled, **mixed, "rotated": rotated, "shuffled": scaled[rng.permutation(len(z))]}


def turned(z: Floats, rng: np.random.Generator) -> dict[str, Floats]:
    """The latents, rotations of pairs and of all of them, which keep what the code as a whole holds, and shuffled."""
    pairs = rng.permutation(z.shape[1]).reshape(-1, 2)
    scaled = z / np.sqrt((z**2).mean(axis=0))
    kinds = {"truth": scaled}
    for degrees in ANGLES[1:]:
        angle = np.deg2rad(degrees)
        first, second = scaled[:, pairs[:, 0]], scaled[:, pairs[:, 1]]
        both = np.cos(angle) * first + np.sin(angle) * second, np.cos(angle) * second - np.sin(angle) * first
        kinds[f"mixed {degrees}"] = np.concatenate(both, axis=1)
    kinds["rotated"] = scaled @ random_rotation(z.shape[1], random_state=int(rng.integers(2**31)))
    return kinds | {"shuffled": scaled[rng.permutation(len(z))]}


def population_of(values: Floats, sample: str = "stimulus") -> Any:
    given = {"bin_width": 0.1} if sample == "time" else {}
    return from_arrays(values, dims=(sample, "unit"), **given)


def stimulus_world(seed: int) -> list[tuple[str, str, float]]:
    """Scores by similarity and by labels: 20 latents, 3 active, 1,500 stimuli, similarity from noisy latents."""
    rng = np.random.default_rng(seed)
    z = sparse_latents(1500, 20, 3, rng)
    embedding, labels = population_of(z + 0.7 * rng.standard_normal(z.shape)), z.argmax(axis=1)
    found = []
    for kind, values in changed(z, rng).items():
        scored = interpretability_scores(
            population_of(values),
            scores=(*BY_STIMULI, *SPARSENESS),
            stimulus_similarity=embedding,
            labels=labels,
            n_tasks=60,
            random_state=seed,
            **ONCE,
        )
        found += [(name, kind, float(scored[name].mean())) for name in (*BY_STIMULI, *SPARSENESS)]
    return found


def large_world(seed: int) -> list[tuple[str, str, float]]:
    """The index v2 shows 200 stimuli at each end: 12,000 stimuli, so that they are a ninth of a latent's 1,800.

    Of 1,500 they would be nearly all of a latent's 225, down to its weakest, and the strongest half of a mixture's.
    """
    rng = np.random.default_rng(seed)
    z = sparse_latents(12_000, 20, 3, rng)
    embedding = population_of(z + 0.7 * rng.standard_normal(z.shape))
    found = []
    for kind, values in changed(z, rng).items():
        given = {"scores": "index_v2", "stimulus_similarity": embedding, "random_state": seed}
        scored = interpretability_scores(population_of(values), **given, **ONCE)
        found.append(("index_v2", kind, float(scored["index_v2"].mean())))
    return found


def place_world(seed: int, kappa: float = 25.0) -> list[tuple[str, str, float]]:
    """Scores by a covariate: 24 cells of one field each on a circle, Poisson counts of their mixtures.

    A field is 27 degrees wide at half its height. With fields of 48 degrees (`kappa` 8) two of them have no more bits
    than a rectified rotation, which is silent on half of the circle.
    """
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, 3000)
    fields = np.exp(kappa * (np.cos(angle[:, None] - rng.uniform(0, 2 * np.pi, 24)) - 1))
    found = []
    for kind, rates in changed(fields, rng).items():
        scored = interpretability_scores(
            population_of(rng.poisson(2 * rates).astype(float)),
            scores=BY_PLACE,
            covariate=angle,
            period=2 * np.pi,
            random_state=seed,
            **ONCE,
        )
        found += [(name, kind, float(scored[name].mean())) for name in BY_PLACE]
    return found


def concept_world(seed: int) -> list[tuple[str, str, float]]:
    """Scores by known concepts: 8 independent latents, 300 stimuli, the concepts are the latents.

    Squared weights of a random rotation of N have a participation of 3 / (N + 2): of 4 latents it would mix no more
    than an even pair does.
    """
    rng = np.random.default_rng(seed)
    z = (rng.exponential(1, (300, 8)) + 0.2) * (rng.random((300, 8)) < 0.3)
    concepts = {f"{k}": z[:, k] > 0 if k % 2 else z[:, k] for k in range(8)}
    found = []
    for kind, values in turned(z, rng).items():
        scored = concept_scores(population_of(values), concepts, n_features=(1,), n_permutations=1, random_state=seed)
        found += [(name, kind, float(scored[name].mean())) for name in (*BY_CONCEPT, *BY_ALL_FEATURES)]
    return found


WORLDS: dict[str, Callable[[int], list[tuple[str, str, float]]]] = {
    "stimuli": stimulus_world,
    "large": large_world,
    "place": place_world,
    "concepts": concept_world,
}


def ranks(n_worlds: int, first_seed: int = 0) -> list[dict[str, Any]]:
    """A row a score: its mean over worlds for each kind of profiles, and each step down with its standard error."""
    rows = []
    for world in WORLDS.values():
        draws: dict[str, dict[str, list[float]]] = {}
        for seed in range(first_seed, first_seed + n_worlds):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for name, kind, value in world(seed):
                    draws.setdefault(name, {}).setdefault(kind, []).append(value)
        rows += [_ranked(name, kinds) for name, kinds in draws.items()]
    return rows


def _ranked(name: str, kinds: dict[str, list[float]]) -> dict[str, Any]:
    values = np.array([kinds[kind] for kind in KINDS])  # (kind, world)
    steps = values[:-1] - values[1:]
    error = steps.std(axis=1, ddof=1) / np.sqrt(values.shape[1])
    return {
        "task": "worlds",
        "score": name,
        "n_worlds": values.shape[1],
        **dict(zip(KINDS, values.mean(axis=1).tolist(), strict=True)),
        "falls": bool((steps.mean(axis=1) > 0).all()),
        "least_step_in_errors": float((steps.mean(axis=1) / np.where(error > 0, error, np.inf)).min()),
        "steps": steps.mean(axis=1).tolist(),
        "errors": error.tolist(),
    }


def levels(n_draws: int) -> list[dict[str, Any]]:
    """Worlds without meaning, 20 profiles each: how often p falls below a level."""
    names = ("mis", "soft_mis", "monosemanticity", "intrusion", "index_v1", "dprime", "auc", "stability", "reliability")
    p: dict[str, list[float]] = {}
    for seed in range(n_draws // N_NULL):
        for name, values in _null_world(seed, names).items():
            p.setdefault(name, []).extend(values)
    return [_level(name, np.array(values)) for name, values in p.items()]


def _null_world(seed: int, names: tuple[str, ...]) -> dict[str, list[float]]:
    rng = np.random.default_rng(10_000 + seed)
    n = 60
    x = from_arrays(rng.standard_normal((2 * n, N_NULL)), dims=("trial", "unit"), stimulus=np.tile(np.arange(n), 2))
    scored = interpretability_scores(
        x,
        scores=names,
        stimulus_similarity=population_of(rng.standard_normal((n, 3))),
        labels=rng.integers(0, 3, n),
        covariate=rng.random(n),
        n_bins=6,
        n_tasks=8,
        n_explanations=4,
        n_permutations=99,
        n_bootstraps=1,
        random_state=seed,
    )
    randomised = {f"{name} randomised": scored[f"{name}_p_randomised"].values for name in ("mis", "intrusion")}
    plain = {name: scored[f"{name}_p"].values for name in names}
    return {name: values.tolist() for name, values in (plain | randomised).items()}


def _level(name: str, p: Floats) -> dict[str, Any]:
    """Shares below .01, .05 and .10, whether each is within its binomial 99 % band, and p of uniformity."""
    row: dict[str, Any] = {"task": "null", "score": name, "n_draws": len(p)}
    high = True
    for level in (0.01, 0.05, 0.10):
        below = int((p <= level + 1e-12).sum())
        high = high and below <= stats.binom.ppf(0.995, len(p), level)
        row[f"p<={level}"] = below / len(p)
    row["super_uniform"] = bool(high)
    # Plain p-values take the values k / 100; randomised ones are uniform where the null holds.
    row["uniform_p"] = float(stats.kstest(p, "uniform").pvalue) if name.endswith("randomised") else float("nan")
    return row
