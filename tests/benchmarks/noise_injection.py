"""A linear signal of known worth in the real noise of V4: level, power, bias and coverage; and fewer repeats.

``python -m tests.benchmarks noise_injection``; needs NEUROSPARSE_DATA_DIR. Injection: predictors are the leading
principal components of the pictures, the noise is what V4 answered to pictures drawn anew (its averages, permuted over
pictures, so with the units' own distributions and correlations), and a random linear signal makes up `worth` of each
unit's variance. Ladder: V4's own trials with few repeats kept of each picture, against two layers and pixels; scores
over their ceiling must not drift.
"""

from __future__ import annotations

import argparse
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from neurosparse import linear_identifiability, population
from neurosparse.backend.linear import isometric
from neurosparse.comparison import near_duplicate_stimuli
from neurosparse.errors import NeurosparseWarning
from neurosparse.study import Study, load_responses, network_populations
from tests.benchmarks.harness import Outcome

WORTHS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)
REPEATS = (2, 3, 4, 6)
LAYERS = ("_blocks.4", "_blocks.10")
N_COMPONENTS = 20
N_UNITS = 10  # of V4's 50, drawn anew each time
KEPT = 100  # components of layers and pixels in the ladder


def injected(images: np.ndarray, averages: np.ndarray, worth: float, seed: int) -> dict[str, Any]:
    """Scores of one draw."""
    rng = np.random.default_rng([seed, int(1e4 * worth)])
    units = rng.choice(averages.shape[1], N_UNITS, replace=False)
    noise = averages[rng.permutation(len(averages))][:, units]
    signal = images @ rng.standard_normal((images.shape[1], N_UNITS))
    noise, signal = ((one - one.mean(0)) / one.std(0) for one in (noise, signal))
    y = np.sqrt(1 - worth) * noise + np.sqrt(worth) * signal
    found = linear_identifiability(
        images, y, n_permutations=99, n_bootstraps=200, directions=["x->y"], panel=False, random_state=seed
    ).isel(direction=0)
    low, high = float(found["median_R2_low"]), float(found["median_R2_high"])
    return {
        "p": float(found["pooled_p"]),
        "R2": float(found["median_R2"]),
        "covers": low <= worth <= high,
        "verdict": str(found["verdict"].values),
    }


def few_repeats(trials: Any, n: int, rng: np.random.Generator) -> Any:
    """`n` trials of each picture."""
    stimulus = trials["stimulus"].values
    order = rng.permutation(len(stimulus))
    place = np.empty(len(order), dtype=int)
    seen: dict[Any, int] = {}
    for row in order:
        place[row] = seen.get(stimulus[row], 0)
        seen[stimulus[row]] = place[row] + 1
    return trials.isel(trial=np.flatnonzero(place < n))


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--draws", type=int, default=50, help="a worth of the signal (%(default)s)")
    parser.add_argument("--level-draws", type=int, default=500, help="without a signal (%(default)s)")
    parser.add_argument("--ladder-draws", type=int, default=3, help="choices of the repeats (%(default)s)")


def run(options: argparse.Namespace) -> Outcome:
    """One row a worth, and one a representation and number of repeats."""
    path = Path(os.environ["NEUROSPARSE_DATA_DIR"]) / "cowley_v4_210325.nwb"
    study = Study(str(path), stimulus="image_index", layers=list(LAYERS))
    trials, images = load_responses(study)
    averages = population.average(trials)
    shown = images.sel(stimulus=averages["stimulus"].values).values.reshape(averages.sizes["stimulus"], -1)
    pixels = leading(shown, N_COMPONENTS)
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NeurosparseWarning)
        for worth in WORTHS:
            n = options.draws if worth else options.level_draws
            found = [injected(pixels, averages.values, worth, seed) for seed in range(n)]
            r2, p = (np.array([one[key] for one in found]) for key in ("R2", "p"))
            row = {"task": "injection", "worth": worth, "draws": n, "power": float((p <= 0.05).mean())}
            row |= {"R2": float(r2.mean()), "R2_sd": float(r2.std(ddof=1))}
            rows.append(row | {"coverage": float(np.mean([one["covers"] for one in found]))})
            print(rows[-1], flush=True)
        sides = {"pixels": shown} | {
            name: layer.sel(stimulus=averages["stimulus"].values).values
            for name, layer in network_populations(study, images).items()
        }
        groups = near_duplicate_stimuli(images)
        for name, values in sides.items():
            side = population.from_arrays(
                leading(values, KEPT), dims=("stimulus", "unit"), stimulus=averages["stimulus"].values
            )
            for n in REPEATS:
                rows.append(
                    {"task": "ladder", "side": name, "repeats": n}
                    | ladder(side, trials, groups, n, options.ladder_draws)
                )
                print(rows[-1], flush=True)
    return Outcome({"components": N_COMPONENTS, "units": N_UNITS, "kept": KEPT}, rows)


def leading(values: np.ndarray, n: int) -> np.ndarray:
    """Principal components of the samples, as scaled."""
    left, size, _ = np.linalg.svd(isometric(values), full_matrices=False)
    return left[:, :n] * size[:n]


def ladder(side: Any, trials: Any, groups: Any, n: int, n_draws: int) -> dict[str, float]:
    """Median over units of r, of its ceiling, and of r over ceiling with the mean interval over draws."""
    drawn = []
    for seed in range(n_draws):
        found = linear_identifiability(
            side,
            few_repeats(trials, n, np.random.default_rng(seed)),
            groups=groups,
            n_permutations=0,
            n_bootstraps=200,
            directions=["x->y"],
            panel=False,
        ).isel(direction=0)
        ceiling = float(found["median_ceiling_r"])
        drawn.append(
            [float(found["median_r"]), ceiling]
            + [float(found[key]) / ceiling for key in ("median_r", "median_r_low", "median_r_high")]
        )
    names = ("r", "ceiling", "relative", "relative_low", "relative_high")
    return dict(zip(names, np.mean(drawn, axis=0).tolist(), strict=True))
