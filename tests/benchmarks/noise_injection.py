"""A linear signal of known worth in the real noise of V4: level, power, bias and coverage; and fewer repeats.

``python -m tests.benchmarks noise_injection``; needs NEUROSPARSE_DATA_DIR. Injection: predictors are the leading
principal components of the pictures, the noise is what V4 answered to pictures drawn anew (its averages, permuted over
pictures, so with the units' own distributions and correlations), and a random linear signal makes up `worth` of each
unit's variance. ``coverage`` counts the intervals of R2 that hold the worth, which they do not aim at: they speak of
the fitted map, which is worse than the true one. ``linear_share`` estimates the worth itself. Ladder: V4's own trials
with few repeats kept of each picture, against two layers and pixels; what is over its ceiling must not drift.
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
        images, y, n_permutations=99, n_bootstraps=200, directions=["x->y"], random_state=seed
    ).isel(direction=0)
    covers = {
        name: float(found[f"{name}_low"]) <= worth <= float(found[f"{name}_high"])
        for name in ("median_R2", "linear_share")
    }
    return {
        "p": float(found["pooled_p"]),
        "R2": float(found["median_R2"]),
        "covers": covers["median_R2"],
        "linear_share": float(found["linear_share"]),
        "share_covers": covers["linear_share"],
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
            r2, p, share = (np.array([one[key] for one in found]) for key in ("R2", "p", "linear_share"))
            row = {"task": "injection", "worth": worth, "draws": n, "power": float((p <= 0.05).mean())}
            row |= {"R2": float(r2.mean()), "R2_sd": float(r2.std(ddof=1))}
            row |= {"coverage": float(np.mean([one["covers"] for one in found]))}
            row |= {"linear_share": float(share.mean()), "linear_share_sd": float(share.std(ddof=1))}
            rows.append(row | {"share_coverage": float(np.mean([one["share_covers"] for one in found]))})
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
    print(f"drawn in {draw(rows, Path(options.out) / 'noise_injection.png')}")
    return Outcome({"components": N_COMPONENTS, "units": N_UNITS, "kept": KEPT}, rows)


def draw(rows: list[dict[str, Any]], path: Path) -> Path:
    """Power, estimates and coverage over the worth, and the ladder of repeats."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    injection = [row for row in rows if row["task"] == "injection"]
    worth = [row["worth"] for row in injection]
    figure, axes = plt.subplots(1, 4, figsize=(16, 3.8), layout="constrained")
    axes[0].plot(worth, [row["power"] for row in injection], "o-")
    axes[0].axhline(0.05, color="0.6", lw=0.8)
    axes[0].set(ylabel="share of draws with p <= .05", title="Power", ylim=(0, 1.03))
    axes[1].plot([0, max(worth)], [0, max(worth)], color="0.6", lw=0.8)
    for name, label in (("R2", "held-out R2 of the map"), ("linear_share", "linear share")):
        axes[1].errorbar(
            worth, [row[name] for row in injection], [row[f"{name}_sd"] for row in injection], fmt="o-", label=label
        )
    axes[1].set(ylabel="estimate (sd over draws)", title="Bias")
    for name, label in (("coverage", "interval of R2"), ("share_coverage", "interval of the linear share")):
        axes[2].plot(worth, [row[name] for row in injection], "o-", label=label)
    axes[2].axhline(0.95, color="0.6", lw=0.8)
    axes[2].set(ylabel="share of intervals that hold the worth", title="Coverage of the worth", ylim=(0, 1.03))
    for one in axes[:3]:
        one.set_xlabel("worth of the linear signal, share of variance")
    ladder_rows = [row for row in rows if row["task"] == "ladder"]
    for number, side in enumerate(dict.fromkeys(row["side"] for row in ladder_rows)):
        own = [row for row in ladder_rows if row["side"] == side]
        repeats = np.array([row["repeats"] for row in own])
        for name, style in (("relative", "o-"), ("relative_share", "s--")):
            value, low, high = (np.array([row[name + end] for row in own]) for end in ("", "_low", "_high"))
            # matplotlib hides what begins with an underscore
            label = f"{side.lstrip('_')}: " + ("r" if name == "relative" else "linear share") + " / its ceiling"
            axes[3].errorbar(
                repeats + 0.04 * number, value, [value - low, high - value], fmt=style, color=f"C{number}", label=label
            )
    axes[3].set(xlabel="repeats kept", xticks=REPEATS, title="Ladder (95 % intervals)", ylim=(0, 1.1))
    for one, place in zip(axes[1:], ("upper left", "center right", "upper right"), strict=True):
        one.legend(fontsize=7, frameon=False, loc=place)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path


def leading(values: np.ndarray, n: int) -> np.ndarray:
    """Principal components of the samples, as scaled."""
    left, size, _ = np.linalg.svd(isometric(values), full_matrices=False)
    return left[:, :n] * size[:n]


def ladder(side: Any, trials: Any, groups: Any, n: int, n_draws: int) -> dict[str, float]:
    """Median over units of r, of its ceiling, r over ceiling, and the linear share over the mean squared ceiling."""
    drawn = []
    for seed in range(n_draws):
        found = linear_identifiability(
            side,
            few_repeats(trials, n, np.random.default_rng(seed)),
            groups=groups,
            n_permutations=0,
            n_bootstraps=200,
            directions=["x->y"],
        ).isel(direction=0)
        ceiling = float(found["median_ceiling_r"])
        allowed = float(np.nanmean(found["ceiling_r"].values ** 2))
        drawn.append(
            [float(found["median_r"]), ceiling]
            + [float(found[key]) / ceiling for key in ("median_r", "median_r_low", "median_r_high")]
            + [float(found[key]) / allowed for key in ("linear_share", "linear_share_low", "linear_share_high")]
        )
    names = ["r", "ceiling"] + [
        f"{one}{end}" for one in ("relative", "relative_share") for end in ("", "_low", "_high")
    ]
    return dict(zip(names, np.mean(drawn, axis=0).tolist(), strict=True))
