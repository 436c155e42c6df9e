"""Planted in V4: its noise, repeats and images, but another signal, which is known. Row R10 of the plan.

``python -m tests.benchmarks planted_v4 --worlds 20``; needs NEUROSPARSE_DATA_DIR. Everything is in units of each unit's
trial-noise sd. What a trial differs by from its picture's average stays as recorded; the averages' place is taken by a
planted dictionary (`limits.planted`: N atoms, k active, |N(0, 1)|) or by a Gaussian, both with the covariance that is
left of V4's averages once noise is taken off. Told are N (for the surrogate test alone) and nothing else:

- ``size`` is what `select_dictionary` takes, by the other half's repeats, of sizes a fifth apart; right within 20 %.
- ``told``: the verdict of `surrogate_test`; right where a dictionary is planted and told, or a Gaussian and not.
- ``recovery``: matched |cos| of a default fit of N atoms, above chance as a share of what is left: what "told" is
  worth.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from neurosparse import population
from neurosparse.backend import limits
from neurosparse.backend.baselines import covariance_matched_dictionary
from neurosparse.backend.matching import chance_corrected, recovery
from neurosparse.errors import NeurosparseWarning
from neurosparse.sparse_coding import DictionaryLearning, select_dictionary, surrogate_test
from neurosparse.study import Study, load_responses
from tests.benchmarks.harness import Outcome

Recording = tuple[np.ndarray, np.ndarray, np.ndarray]
# From half to twice the planted number, a fifth apart.
STEPS = (-4, -3, -2, -1, 0, 1, 2, 3, 4)


def recorded() -> Recording:
    """Picture of each trial, what the trial differs by from its average, and the signal's covariance; noise sd 1."""
    path = Path(os.environ["NEUROSPARSE_DATA_DIR"]) / "cowley_v4_210325.nwb"
    trials, _ = load_responses(Study(str(path), stimulus="image_index"))
    values, (_, picture) = trials.values, np.unique(trials["stimulus"].values, return_inverse=True)
    counts = np.bincount(picture)
    mean = averages(values, picture)
    noise = values - mean[picture]
    sd = np.sqrt(np.square(noise).sum(0) / (len(values) - len(counts)))
    noise, mean = noise / sd, mean / sd
    left = np.cov(mean.T) - np.mean(1 / counts) * (noise.T @ noise) / (len(values) - len(counts))
    size, directions = np.linalg.eigh(left)
    return picture, noise, (directions * size.clip(0)) @ directions.T


def averages(values: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """Mean over the trials of each picture, (picture, unit)."""
    sums = np.zeros((picture.max() + 1, values.shape[1]))
    np.add.at(sums, picture, values)
    return sums / np.bincount(picture)[:, None]


def measure(source: Recording, planted: bool, n_atoms: int, n_active: int, seed: int, n_surrogates: int) -> dict:
    """One world."""
    picture, noise, covariance = source
    random, n_pictures = np.random.RandomState(seed), int(picture.max()) + 1
    plan = limits.Plan(n_atoms, n_active, n_pictures, covariance, np.zeros_like(covariance))
    signal, truth = limits.planted(plan, random_state=random)
    if not planted:
        signal = random.multivariate_normal(np.zeros(len(covariance)), covariance, size=n_pictures)
    trials = population.from_arrays(signal[picture] + noise, dims=("trial", "unit"), stimulus=picture)
    x = averages(trials.values, picture)
    clock = time.process_time()
    found = surrogate_test(x, n_atoms=n_atoms, n_surrogates=n_surrogates, random_state=seed)
    told = bool(found.told)
    row = {"task": "planted" if planted else "Gaussian", "seed": seed, "told": told, "right": told == planted}
    row |= {"stability": float(found.stability), "surrogates": float(found.surrogate_stability.mean())}
    if planted:
        first, second = next(population.split_halves(trials, n_splits=1, random_state=seed))
        sizes = sorted({round(n_atoms * 1.2**step) for step in STEPS})
        chosen = select_dictionary(first, n_atoms=sizes, other=second, random_state=seed).attrs["n_atoms"]
        learner = DictionaryLearning(n_atoms, random_state=seed).fit(x)
        chance = recovery(covariance_matched_dictionary(x, n_atoms, random_state=seed), truth).mean()
        cosine = recovery(learner.dictionary_, truth).mean()
        row |= {"size": chosen, "size_right": abs(chosen - n_atoms) <= 0.2 * n_atoms}
        row |= {"cos": float(cosine), "recovery": float(chance_corrected(cosine, chance))}
    return row | {"cpu_s": time.process_time() - clock}


def add_options(parser: argparse.ArgumentParser) -> None:
    """How many worlds, and what is planted."""
    parser.add_argument("--worlds", type=int, default=20, help="of each kind (%(default)s)")
    parser.add_argument("--atoms", type=int, default=15, help="planted (%(default)s)")
    parser.add_argument("--active", type=int, default=2, help="of them in a sample (%(default)s)")
    parser.add_argument("--surrogates", type=int, default=19, help="a test (%(default)s)")


def run(options: argparse.Namespace) -> Outcome:
    """One row a world; the last one counts."""
    source, rows = recorded(), list[dict[str, Any]]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NeurosparseWarning)
        for seed in range(options.worlds):
            for planted in (True, False):
                rows.append(measure(source, planted, options.atoms, options.active, seed, options.surrogates))
                print(rows[-1], flush=True)
    total = {"right": sum(row["right"] for row in rows), "size_right": sum(row.get("size_right", 0) for row in rows)}
    rows.append({"task": f"right of {len(rows)}", **total})
    settings = {"worlds": options.worlds, "atoms": options.atoms, "active": options.active}
    return Outcome({**settings, "surrogates": options.surrogates, "goal": "N in 16 of 20, verdict in 38 of 40"}, rows)
