"""Is what `recoverability` foretells what happens? Row R11 of the plan: 40 cells, one fit with the defaults in each.

Cells are drawn once from a grid of M, N, k, n and reliability (`cells`), before anything was fitted. A world of each,
its amplitudes of another law (U(0.5, 1.5)) and from another seed than those of `recoverability`, which is told M, N,
k, n and reliability alone, is fitted by `DictionaryLearning` told N alone. What happened is the matched |cos| above
chance as a share of what is left up to 1. "possible" is right where that is at least .65, halfway between the two
levels of the verdict; "impossible" where it is below; "marginal" only where it lies between the two levels. The goal is
36 of 40.
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

import numpy as np

from neurosparse.backend import baselines
from neurosparse.backend.limits import IMPOSSIBLE, POSSIBLE
from neurosparse.backend.matching import chance_corrected, recovery
from neurosparse.errors import NeurosparseWarning
from neurosparse.sparse_coding import DictionaryLearning, recoverability
from tests.benchmarks import harness

HALFWAY = 0.5 * (POSSIBLE + IMPOSSIBLE)
GRID: dict[str, list[Any]] = {
    "n_units": [12, 16, 24, 32, 48],
    "atoms_a_unit": [0.5, 1.0, 1.5, 2.0, 3.0],
    "n_active": [1, 2, 3, 5, 8],
    "n_samples": [60, 120, 250, 500, 1000, 2500],
    "reliability": [1.0, 0.9, 0.7, 0.5, 0.3, 0.1],
}


def cells(n: int = 40, seed: int = 0) -> list[dict[str, Any]]:
    """Cells with more atoms than active ones and no more atoms than samples, none twice."""
    random, found = np.random.RandomState(seed), list[dict[str, Any]]()
    while len(found) < n:
        drawn = {name: values[random.randint(len(values))] for name, values in GRID.items()}
        n_atoms = round(drawn["n_units"] * drawn.pop("atoms_a_unit"))
        cell = {"n_units": drawn.pop("n_units"), "n_atoms": n_atoms, **drawn}
        if 2 * cell["n_active"] <= n_atoms <= cell["n_samples"] and cell not in found:
            found.append(cell)
    return found


def draw(cell: dict[str, Any], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples of a cell and their atoms."""
    random = np.random.RandomState(seed)
    atoms = baselines.random_dictionary(cell["n_atoms"], cell["n_units"], random_state=random)
    codes = np.zeros((cell["n_samples"], cell["n_atoms"]))
    for row in codes:
        row[random.choice(cell["n_atoms"], cell["n_active"], replace=False)] = random.uniform(
            0.5, 1.5, cell["n_active"]
        )
    signal = codes @ atoms
    noise = signal.var(axis=0).mean() * (1 - cell["reliability"]) / cell["reliability"]
    return signal + np.sqrt(noise) * random.standard_normal(signal.shape), atoms


def measure(number: int, cell: dict[str, Any]) -> dict[str, Any]:
    """What was foretold of a cell and what happened."""
    clock = [time.process_time()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NeurosparseWarning)
        foretold = recoverability(**cell, cache=False)
        clock.append(time.process_time())
        x, truth = draw(cell, 1000 + number)
        learner = DictionaryLearning(cell["n_atoms"], random_state=number).fit(x)
        clock.append(time.process_time())
    cosine = float(recovery(learner.dictionary_, truth).mean())
    others = [baselines.covariance_matched_dictionary(x, cell["n_atoms"], random_state=seed) for seed in range(5)]
    chance = float(np.mean([recovery(atoms, truth).mean() for atoms in others]))
    if foretold.sizes["control"]:
        chance = max(chance, float(foretold.null.max()))
    happened, verdict = float(chance_corrected(cosine, chance)), foretold.attrs["verdict"]
    right = {
        "possible": happened >= HALFWAY,
        "impossible": happened < HALFWAY,
        "marginal": IMPOSSIBLE <= happened < POSSIBLE,
    }[verdict]
    theory = "possible" if bool(foretold.met.all()) else "not"
    return {
        "task": number,
        **cell,
        "verdict": verdict,
        "expected": float(foretold.expected_cosine),
        "found": cosine,
        "chance": chance,
        "happened": happened,
        "right": bool(right),
        "bounds_right": (theory == "possible") == (happened >= HALFWAY),
        "foresight_cpu_s": clock[1] - clock[0],
        "fit_cpu_s": clock[2] - clock[1],
    }


def add_options(parser: argparse.ArgumentParser) -> None:
    """How many cells."""
    parser.add_argument("--cells", type=int, default=40, help="cells (%(default)s)")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first of them (%(default)s)")


def run(options: argparse.Namespace) -> harness.Outcome:
    """One row a cell; the last one counts."""
    rows = []
    for number, cell in list(enumerate(cells(options.cells)))[options.first :]:
        rows.append(measure(number, cell))
        print(rows[-1], flush=True)
    total = {name: sum(row[name] for row in rows) for name in ("right", "bounds_right")}
    rows.append({"task": f"right of {len(rows)}", **total})
    return harness.Outcome({"cells": options.cells, "grid": GRID, "goal": "36 of 40"}, rows)
